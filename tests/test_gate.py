"""`drill gate` from its words to its exit code, with scripted runs: no process is started, everything else is real."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import msgspec
import pytest
import yaml
from calibration.story import history
from folders import write_run
from hostile import ALL
from markdown_it import MarkdownIt
from test_gate_changes import BASE

from drills import cli
from drills.events import Limits
from drills.gate import runs
from drills.gate.result import ChangePart, GateResult, PlacePart
from drills.gate.runs import Setting, Subject
from drills.gateways.litellm import LiteLLM
from drills.problems import UsageProblem
from drills.result import Result
from drills.shelf import load
from drills.verdict import judge
from reports import gate as report

pytestmark = pytest.mark.clock

PASSES, FAILS, INVALID = "ppp[xsssss]spp", "ppp[xxxxxx]spp", "ppp[nnnnnn]spp"
LIMITS = Limits(switchover_within_s=0.45)


def result_of(story: str) -> Result:
    """What a run of a story comes to."""
    return judge(history(story, LIMITS), "story")


class Runs:
    """Runs that were never run: a story for each side and number; every call is written down."""

    def __init__(self, **stories: tuple[str, ...]) -> None:
        self.stories = stories
        self.calls: list[tuple[str, str, int]] = []

    def __call__(
        self, scenario: str, subject: Subject, setting: Setting, seed: int, _say: Callable[[str], None]
    ) -> tuple[Result, Path]:
        """What `drills.gate.runs.drill` gives."""
        side = subject.config.stem if subject.config is not None else "sample"
        before = sum(call[:2] == (scenario, side) for call in self.calls)
        self.calls.append((scenario, side, seed))
        told = self.stories[side]
        story = told[before % len(told)]
        if story.startswith("problem"):
            raise UsageProblem(story)
        return result_of(story), setting.out / f"{side}-{len(self.calls)}"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(LiteLLM, "prepare", lambda _self, _say: "1.106.2")
    monkeypatch.delenv("GITHUB_WORKSPACE", raising=False)
    Path("base.yaml").write_text(BASE)


def gate(monkeypatch: pytest.MonkeyPatch, fake: Runs, head: str, *words: str) -> int:
    """Run the command with a head; its exit code."""
    Path("head.yaml").write_text(head)
    monkeypatch.setattr(runs, "drill", fake)
    with pytest.raises(SystemExit) as ended:
        cli.main(["gate", "--base", "base.yaml", "--head", "head.yaml", "--seed", "1", *words])
    return int(str(ended.value.code))


def told(capsys: pytest.CaptureFixture[str]) -> str:
    """What went to standard output."""
    return capsys.readouterr().out


ONE = "fast/cloud-outage"
MUST_SHOW = [
    # what changes, what the head's runs then are, and the sentence that names it
    (
        "      timeout: 5\n  - model_name: gpt",
        "      timeout: 60\n  - model_name: gpt",
        "timeout of chat raised from 5 s to 60 s",
    ),
    ("  cooldown_time: 15\n", "", "cooldown_time was dropped (it was 15 s, default 5 s)"),
    (", gemini]", "]", "the fallback chat -> gemini was removed"),
    (
        "model: azure/gpt-4o\n      api_base: https://acme-ai.openai.azure.com\n",
        "model: bedrock/us.amazon.nova-pro-v1:0\n      aws_region_name: us-west-2\n",
        "the fallback bedrock-us-west-2-nova-pro now sits in the same cloud as the primary (aws)",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "named"), MUST_SHOW)
def test_a_change_that_breaks_the_failover(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], old: str, new: str, named: str
) -> None:
    """Caught, and named in one sentence with its effect; confirmed by a second pair; exit code 1."""
    fake = Runs(base=(PASSES,), head=(FAILS,))
    assert gate(monkeypatch, fake, BASE.replace(old, new), ONE) == 1
    out = told(capsys)
    assert out.startswith("WORSE: the head is worse than the base in 1 of 1 scenario")
    [line] = [line for line in out.splitlines() if line.startswith("change: ") and named in line]
    assert re.search(r"^change: head\.yaml:\d+: ", line)
    assert "in Loss of a whole cloud (fast), callers are not answered well again within" in line
    assert "instead of after 0." in line
    assert "(RTO 6 s)" in line
    assert "head fails 2 of 2 runs, base 0 of 2" in line
    assert [side for _, side, _ in fake.calls] == ["base", "head", "head", "base"]
    seeds = [seed for _, _, seed in fake.calls]
    assert seeds[0] == seeds[1] != seeds[2] == seeds[3]  # a pair has one seed


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (
            "[gpt-4o, gemini]",
            "[gpt4-o]",
            "head.yaml:24: the fallback 'gpt4-o' is no model_name; did you mean 'gpt-4o'?",
        ),
        (
            "  fallbacks:\n    - chat: [gpt-4o, gemini]\n",
            "",
            "head.yaml:20: nothing to fail over to: no fallback leads",
        ),
    ],
)
def test_a_head_that_cannot_be_drilled(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], old: str, new: str, problem: str
) -> None:
    """A typo in the fallback's name, and no fallback left: exit code 2, with the line; nothing is run."""
    fake = Runs()
    assert gate(monkeypatch, fake, BASE.replace(old, new), "--annotations", "github", "--summary", "s.md") == 2
    out = told(capsys)
    assert out.startswith("UNUSABLE: the head cannot be drilled")
    assert f"problem: {problem}" in out
    assert "change: head.yaml:2" in out
    assert "::error file=head.yaml,line=2" in out
    assert Path("s.md").read_text().startswith("### Failover gate: UNUSABLE\n")
    assert fake.calls == []


def test_only_comments_and_order(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Same; the head is drilled once in each scenario all the same, unless asked not to."""
    head = "# a comment\n" + BASE.replace(
        "  num_retries: 0\n  cooldown_time: 15\n", "  cooldown_time: 15\n  num_retries: 0\n"
    )
    fake = Runs(head=(PASSES,))
    assert gate(monkeypatch, fake, head) == 0
    out = told(capsys)
    assert out.startswith("SAME: the configs mean the same; the head passes in 4 of 4 scenarios")
    assert [side for _, side, _ in fake.calls] == ["head"] * 4
    quick = Runs()
    assert gate(monkeypatch, quick, head, "--quick") == 0
    assert "the configs mean the same; --quick: no drill was run" in told(capsys)
    assert quick.calls == []


def test_a_config_that_is_bad_by_itself(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The same as the base, and failing: exit code 1."""
    assert gate(monkeypatch, Runs(head=(FAILS,)), BASE + "# nothing\n", ONE) == 1
    assert told(capsys).startswith("FAILS: the configs mean the same; the head fails in 1 of 1 scenario")


def test_both_fail(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Not worse, and not good either."""
    assert gate(monkeypatch, Runs(base=(FAILS,), head=(FAILS,)), BASE.replace("15", "16"), ONE) == 1
    assert told(capsys).startswith("FAILS: the head fails in 1 of 1 scenario, as the base does")


def test_one_flake_is_not_red_and_not_hidden(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One failure among ten runs: same, and said."""
    fake = Runs(base=(PASSES,), head=(FAILS, *[PASSES] * 20))
    assert gate(monkeypatch, fake, BASE.replace("15", "16"), ONE, "--budget", "3m") == 0
    out = told(capsys)
    assert out.startswith("SAME: no difference in 1 of 1 scenario")
    assert "1 of 10 runs of head failed" in out


def test_runs_that_prove_nothing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Tried twice; inconclusive, exit code 3, with the reason."""
    assert gate(monkeypatch, Runs(base=(PASSES,), head=(INVALID,)), BASE.replace("15", "16"), ONE) == 3
    out = told(capsys)
    assert out.startswith("INCONCLUSIVE: no judgement in 1 of 1 scenario")
    assert "the runs of head proved nothing: " in out


def test_slower_by_times_alone(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Both sides pass; the head takes longer in every run: worse by how much, and how sure."""
    fake = Runs(base=("ppp[xsssss]spp",), head=("ppp[xxxsss]spp",))
    words = (ONE, "--budget", "2h", "--pairs", "4", "--json")
    assert gate(monkeypatch, fake, BASE.replace("15", "30"), *words) == 1
    found = msgspec.json.decode(told(capsys), type=GateResult)
    [part] = found.findings
    assert part.times is not None
    assert (part.times.n_base, part.times.n_head, part.times.counted) == (8, 8, True)
    assert part.times.ratio is not None
    assert part.times.ratio > 1.5
    assert part.times.p < 0.01
    assert re.search(r"after 0\.\d+ s instead of 0\.\d+ s \(RTO 6 s\), \d\.\d\d times as long \(95 %: ", part.said)
    assert len(part.runs_base) == len(part.runs_head) == 8
    assert found.exit_code == 1
    assert found.changes[0].effects == (part.scenario,)


def test_stored_results(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Their verdicts are compared; their times are shown and never decide."""
    scenario = load(ONE)
    for number in range(4):
        write_run(
            tmp_path / "old" / f"run-{number}",
            history("ppp[xsssss]spp", LIMITS),
            scenario_sha256=scenario.sha256,
            gateway="litellm",
        )
    Path("head.yaml").write_text(BASE)
    fake = Runs(head=("ppp[xxxsss]spp",))
    monkeypatch.setattr(runs, "drill", fake)
    with pytest.raises(SystemExit) as ended:
        cli.main(["gate", "--base", "old", "--head", "head.yaml", ONE])
    assert ended.value.code == 0
    out = told(capsys)
    assert "note: the base is stored: " in out
    assert "18 to 38 % false alarms" in out
    assert "base: results in old" in out
    assert "on whatever machine the base was measured, which proves nothing" in out
    assert len(fake.calls) == 1


def test_a_stored_base_that_lacks_a_scenario_is_not_said_to_have_run_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Of two scenarios the base has one: what both do is said of that one only."""
    sha256 = load(ONE).sha256
    write_run(tmp_path / "old" / "run", history(FAILS, LIMITS), scenario_sha256=sha256, gateway="litellm")
    monkeypatch.setattr(runs, "drill", Runs(head=(FAILS,)))
    Path("head.yaml").write_text(BASE)
    with pytest.raises(SystemExit) as ended:
        cli.main(["gate", "--base", "old", "--head", "head.yaml", ONE, "fast/primary-down"])
    assert ended.value.code == 1
    said = "FAILS: the head fails in 2 of 2 scenarios, as the base does in 1, and did not run the other\n"
    assert told(capsys).startswith(said)


def test_a_stored_result_that_is_not_its_historys_is_no_base(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Edited by hand into a failure, so that any head is better: refused, and nothing is run."""
    folder = tmp_path / "old" / "run"
    write_run(folder, history(PASSES, LIMITS), scenario_sha256=load(ONE).sha256, gateway="litellm")
    path = folder / "result.json"
    path.write_text(path.read_text().replace('"verdict": "pass"', '"verdict": "fail"', 1))
    assert json.loads(path.read_text())["verdict"] == "fail"
    fake = Runs()
    assert gate(monkeypatch, fake, BASE, ONE, "--base", "old") == 2
    assert "it says fail, and its history comes to pass" in capsys.readouterr().err
    assert fake.calls == []


def test_what_only_an_included_file_changes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both main files are the same to the byte, and the head's include is not: no "same", and the change is named."""
    for side, cooldown in (("main", 15), ("pr", 1)):
        Path(side).mkdir()
        whole = yaml.safe_load(BASE)
        whole["router_settings"]["cooldown_time"] = cooldown
        Path(side, "router.yaml").write_text(yaml.safe_dump({"router_settings": whole.pop("router_settings")}))
        Path(side, "config.yaml").write_text(yaml.safe_dump({"include": ["router.yaml"], **whole}))
    assert Path("main/config.yaml").read_bytes() == Path("pr/config.yaml").read_bytes()
    fake = Runs(config=(PASSES,))
    monkeypatch.setattr(runs, "drill", fake)
    with pytest.raises(SystemExit) as ended:
        cli.main(["gate", "--base", "main/config.yaml", "--head", "pr/config.yaml", ONE, "--pairs", "1"])
    out = told(capsys)
    assert "cooldown_time lowered from 15 s to 1 s" in out
    assert "the configs mean the same" not in out
    assert (ended.value.code, len(fake.calls)) == (0, 2)


@pytest.mark.parametrize("words", [(), ("--json",)])
def test_a_red_gate_stays_red_where_nobody_can_be_told(tmp_path: Path, words: tuple[str, ...]) -> None:
    """A full disk behind standard output: the exit code is the verdict's all the same, and one line says why."""
    for side in ("base", "head"):
        (tmp_path / f"{side}.yaml").write_text(BASE if side == "base" else BASE.replace("15", "16"))
    script = f"""
import sys
sys.path[:0] = {[str(Path(__file__).parent)]!r}
from drills import cli
from drills.gate import runs
from drills.gateways.litellm import LiteLLM
from test_gate import FAILS, PASSES, Runs
LiteLLM.prepare = lambda _self, _say: "1.106.2"
runs.drill = Runs(base=(PASSES,), head=(FAILS,))
cli.main(["gate", "--base", "base.yaml", "--head", "head.yaml", "{ONE}", *{words!r}])
"""
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", script], cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 1, done.stderr
    assert done.stderr.splitlines()[-1] == "drill: worse; it cannot be written: No space left on device"


def test_a_base_that_is_broken(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A change that mends a config is judged by itself."""
    Path("base.yaml").write_text(BASE.replace("[gpt-4o, gemini]", "[gpt4-o]"))
    fake = Runs(head=(PASSES,))
    assert gate(monkeypatch, fake, BASE, ONE) == 0
    assert "note: the base cannot be drilled, so the head is judged alone: base.yaml:24:14:" in told(capsys)
    assert [side for _, side, _ in fake.calls] == ["head"]


def test_a_head_that_the_gateway_refuses(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """It does not start: exit code 2, with what the gateway said."""
    fake = Runs(base=(PASSES,), head=("problem: litellm ended at its start: bad key",))
    assert gate(monkeypatch, fake, BASE.replace("15", "16"), ONE) == 2
    out = told(capsys)
    assert "problem: problem: litellm ended at its start: bad key" in out


def test_all_legs_in_one_cloud_is_measured_and_not_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """`drill run` refuses a fault that leaves nothing; the gate runs it on a head whose base had something left."""
    base = BASE.replace(", gemini]", "]")
    Path("base.yaml").write_text(base)
    head = base.replace(
        "azure/gpt-4o\n      api_base: https://acme-ai.openai.azure.com\n", "bedrock/amazon.nova-pro-v1:0\n"
    )
    seen = []

    def drill(_scenario: str, subject: Subject, *_: object) -> tuple[Result, Path]:
        seen.append((subject.config and subject.config.stem, subject.hopeless))
        return result_of(FAILS if subject.hopeless else PASSES), Path("folder")

    assert gate(monkeypatch, drill, head, ONE) == 1  # type: ignore[arg-type]
    assert seen == [("base", False), ("head", True), ("head", True), ("base", False)]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--budget", "4"), "--budget: '4' is not a duration; write a number and a unit"),
        (("--pairs", "0"), "--pairs: at least 1"),
        (("nothing-of-the-kind",), "unknown scenario 'nothing-of-the-kind'"),
        (("--gateway", "http://127.0.0.1:1"), "--gateway: a gate starts both sides itself"),
        (("--summary", "no/such/folder.md"), "--summary no/such/folder.md: no such folder"),
        (("--gateway", "litelm"), "did you mean 'litellm'?"),
        (("--summary", "."), "--summary .: cannot be written: Is a directory"),
        (("--out", "head.yaml"), "--out head.yaml: cannot make a folder for the results: File exists"),
        (("--out", "here", "--base", "here"), "--base here: this gate's own runs go there (--out)"),
    ],
)
def test_wrong_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str
) -> None:
    """Exit code 2 and one clear line; nothing is run."""
    Path("here").mkdir()
    fake = Runs()
    assert gate(monkeypatch, fake, BASE, *words) == 2
    assert said in capsys.readouterr().err
    assert fake.calls == []


def test_an_interrupt_ends_the_gate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 130; the run has restored everything by then."""

    def drill(*_: object) -> tuple[Result, Path]:
        raise KeyboardInterrupt

    assert gate(monkeypatch, drill, BASE.replace("15", "16"), ONE) == 130  # type: ignore[arg-type]


# --- what a reviewer sees


def summarised(monkeypatch: pytest.MonkeyPatch, config: str, **stories: tuple[str, ...]) -> str:
    """The summary of a gate in one scenario."""
    gate(monkeypatch, Runs(**stories), config, ONE, "--summary", "s.md")
    return Path("s.md").read_text()


def test_the_summary_is_short_and_begins_with_the_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    """Verdict, one sentence, a line for each change, one table."""
    head = BASE.replace("timeout: 5\n  - model_name: gpt", "timeout: 60\n  - model_name: gpt").replace("15", "20")
    text = summarised(monkeypatch, head, base=(PASSES,), head=(FAILS,))
    shown = text.split("<details>")[0].splitlines()
    assert shown[0] == "### Failover gate: WORSE"
    assert shown[2] == "the head is worse than the base in 1 of 1 scenario."
    changes = [line for line in shown if line.startswith("- ")]
    assert [line.split("**")[1] for line in changes] == [
        "timeout of chat raised from 5 s to 60 s",
        "cooldown\\_time raised from 15 s to 20 s",
    ]
    assert all("(together with 1 other change)" in line.replace("\\", "") for line in changes)
    assert sum(line.startswith("|---") for line in shown) == 1
    assert len(shown) < 20
    html = MarkdownIt("commonmark").enable("table").render(text)
    assert html.count("<table>") == 1
    assert "<td>worse</td>" in html


def test_the_summary_is_added_to_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step summary may hold more than one gate."""
    Path("s.md").write_text("before\n")
    assert summarised(monkeypatch, BASE, head=(PASSES,)).startswith("before\n### Failover gate: SAME\n")


def test_a_summary_stays_short(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Of very many changes the first are shown, and how many there are besides."""
    more = "".join(f"  setting_{number}: 1\n" for number in range(100))
    text = summarised(monkeypatch, BASE + more, base=(PASSES,), head=(FAILS,))
    assert text.count("\n- **") == 30
    assert "\n- and 70 more changes\n" in text
    assert capsys.readouterr().err.count("\nrun: ") == 4


def hostile_result(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> GateResult:
    """A red result in which every text is an attack."""
    gate(monkeypatch, Runs(base=(PASSES,), head=(FAILS,)), BASE.replace("15", "16"), ONE, "--json")
    found = msgspec.json.decode(told(capsys), type=GateResult)
    place = PlacePart(file="a,b:c%\n::error::d.yaml", line=3)
    replace = msgspec.structs.replace
    return replace(
        found,
        said=ALL,
        head=replace(found.head, config=ALL, version=ALL),
        changes=(ChangePart(aspect="other", what=ALL, said=ALL, place=place, effects=found.changes[0].effects),),
        findings=tuple(
            replace(part, name=ALL, said=ALL, base=ALL, runs_head=(ALL, ALL), place=place) for part in found.findings
        ),
        problems=(ALL,),
        problem_places=(place,),
        notes=(ALL,),
    )


def test_nothing_from_outside_is_taken_for_markup(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither HTML nor a link, nor a second table, nor an escape sequence; in Markdown, in a log, in an annotation."""
    bad = hostile_result(monkeypatch, capsys)
    html = MarkdownIt("commonmark").enable("table").render(report.markdown(bad).decode())
    assert not re.search(r"<(script|img|a|b|svg|h2|evil)\b", html)
    assert html.count("<table>") == 1
    assert "\x1b" not in html + report.text(bad)
    assert "\u202e" not in html + report.text(bad)
    lines = report.github(bad, PurePosixPath("/repo"))
    assert len(lines) == 3
    for line in lines:
        assert line.startswith("::error file=a%2Cb%3Ac%25%0A%3A%3Aerror%3A%3Ad.yaml,line=3,title=")
        assert "\n" not in line
        assert line.count("::error ") == 1


def test_what_an_old_runner_takes_for_a_command_is_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A runner of GitHub finds `##[command]` anywhere in a line, so a name in a config could silence annotations."""
    head = BASE.replace("chat: [gpt-4o", "chat: ['##[stop-commands]tok', gpt-4o")
    gate(monkeypatch, Runs(base=(PASSES,), head=(FAILS,)), head, ONE, "--annotations", "github")
    said = capsys.readouterr()
    assert "stop-commands" in said.out
    assert "##[" not in said.out + said.err
    gate(monkeypatch, Runs(base=(PASSES,), head=(FAILS,)), head, ONE, "--annotations", "github", "--json")
    said = capsys.readouterr()
    assert "##[" not in said.out + said.err
    found = msgspec.json.decode(said.out, type=GateResult)
    assert any("##[stop-commands]tok" in change.what for change in found.changes)
    place = PlacePart(file="##[stop-commands]tok.yaml", line=3)
    bad = msgspec.structs.replace(found, problems=("said",), problem_places=(place,))
    assert report.github(bad, PurePosixPath("/repo"))[0] == "::error title=The config cannot be drilled::said"


def test_annotations_name_only_files_of_the_repository(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An absolute path inside is made relative; one outside is left out, because GitHub could not show it."""
    bad = hostile_result(monkeypatch, capsys)
    for file, seen in (("/repo/x/c.yaml", "file=x/c.yaml,line=3,"), ("/other/c.yaml", ""), ("../c.yaml", "")):
        part = msgspec.structs.replace(bad.changes[0], place=PlacePart(file=file, line=3), said="said")
        alone = msgspec.structs.replace(bad, changes=(part,), problems=(), problem_places=())
        assert report.github(alone, PurePosixPath("/repo"))[0] == f"::error {seen}title=Failover gate::said"


def test_the_json_has_no_infinity(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Never is null."""
    gate(monkeypatch, Runs(base=(PASSES,), head=(FAILS,)), BASE.replace("15", "16"), ONE, "--json")
    found = json.loads(told(capsys))
    assert found["findings"][0]["times"]["head_median_s"] is None
    assert found["findings"][0]["times"]["ratio"] is None
    assert found["schema"] == "failover-drill/gate/1"
