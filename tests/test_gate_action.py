"""The GitHub Action: its file as a parser reads it, and its shell steps as a runner would run them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from drills.manifest import MANIFEST_FILE

HERE = Path(__file__).parent
FOLDER = HERE.parent / ".github" / "actions" / "failover-drill"
ACTION: dict[str, Any] = yaml.safe_load((FOLDER / "action.yml").read_text(encoding="utf-8"))
STEPS: list[dict[str, Any]] = ACTION["runs"]["steps"]
SHELL = [step for step in STEPS if "run" in step]


def step(name: str) -> dict[str, Any]:
    """The step of that name."""
    return next(one for one in STEPS if one["name"] == name)


def test_what_a_runner_demands() -> None:
    """A composite action names a shell for each `run`, describes each input, and has no keys that nobody knows."""
    assert set(ACTION) == {"name", "description", "inputs", "outputs", "runs"}
    assert ACTION["runs"]["using"] == "composite"
    assert all(one["shell"] == "bash" for one in SHELL)
    assert all(one["description"] for one in (*ACTION["inputs"].values(), *ACTION["outputs"].values()))
    assert all(isinstance(one.get("default", ""), str) for one in ACTION["inputs"].values())
    assert all(set(one) <= {"name", "id", "if", "shell", "env", "run", "uses", "with"} for one in STEPS)
    assert all(re.fullmatch(r"actions/[a-z-]+@v\d+", one["uses"]) for one in STEPS if "uses" in one)


def test_no_text_from_outside_is_pasted_into_a_script() -> None:
    """Inputs come as variables; a value with a quote in it is then only a value. Every input and output is used."""
    assert not [one["name"] for one in SHELL if "${{" in one["run"]]
    whole = json.dumps(STEPS)
    for name in ACTION["inputs"]:
        assert f"inputs.{name} " in whole, name
    ids = {one["id"] for one in STEPS if "id" in one}
    assert set(re.findall(r"steps\.([a-z]+)\.", json.dumps(ACTION))) == ids


@pytest.mark.parametrize("name", [one["name"] for one in SHELL])
def test_bash_can_read_it(name: str) -> None:
    """Each script parses."""
    done = subprocess.run(["bash", "-n"], input=step(name)["run"], text=True, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


class Runner:
    """A runner's files and variables. Steps run in a clone of a repository with two commits."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.repository = folder / "repo"
        self.output = folder / "output"
        self.summary = folder / "summary.md"
        (folder / "temp" / "failover-drill" / "bin").mkdir(parents=True)
        tool = folder / "temp" / "failover-drill" / "bin" / "drill"
        tool.write_text(f'#!/bin/sh\nexec "{sys.executable}" -P -m drills.cli "$@"\n')
        tool.chmod(0o755)

    def run(self, name: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Run a step."""
        self.output.write_text("")
        return subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step(name)["run"]],
            cwd=self.repository,
            env={
                "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
                "HOME": str(self.folder),
                "RUNNER_TEMP": str(self.folder / "temp"),
                "GITHUB_ACTION_PATH": str(FOLDER),
                "GITHUB_OUTPUT": str(self.output),
                "GITHUB_STEP_SUMMARY": str(self.summary),
                "GITHUB_WORKSPACE": str(self.repository),
                **env,
            },
            text=True,
            capture_output=True,
            check=False,
            timeout=150,
        )

    def git(self, *words: str) -> str:
        """Git, as nobody in particular."""
        who = ("-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "init.defaultBranch=main")
        done = subprocess.run(["git", *who, *words], cwd=self.repository, text=True, capture_output=True, check=True)
        return done.stdout.strip()

    def said(self) -> dict[str, str]:
        """The step's outputs."""
        return dict(line.split("=", 1) for line in self.output.read_text().splitlines())


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    """A repository whose gateway served a dead primary from its standby, and no longer does."""
    made = Runner(tmp_path)
    made.repository.mkdir()
    made.git("init", "--quiet")
    for mode in ("good", "never"):
        settings = {"mode": mode, "truth_file": str(tmp_path / "truth.jsonl")}
        (made.repository / "gateway.json").write_text(json.dumps(settings))
        made.git("add", ".")
        made.git("commit", "--quiet", "-m", mode)
    return made


def test_each_use_has_its_own_artefact(runner: Runner) -> None:
    """Its name differs by job and by inputs, and the runs of an earlier use are not in it."""
    old = runner.folder / "temp" / "drill-results" / "run"
    old.mkdir(parents=True)
    names = []
    for job, inputs in (
        ("gate-0", '{"config": "a"}'),
        ("gate-1", '{"config": "a"}'),
        ("gate-0", '{\n "config": "b/:"}'),
    ):
        done = runner.run("Start clean", JOB=job, INPUTS=inputs)
        assert done.returncode == 0, done.stderr
        names.append(runner.said()["artifact"])
        assert re.fullmatch(rf"failover-drill-{job}-[0-9a-f]{{8}}", names[-1])
    assert len(set(names)) == 3
    assert not old.exists()


def test_the_cache_knows_every_file_of_the_installs(runner: Runner, tmp_path: Path) -> None:
    """A change of any of them is another key."""
    copy = tmp_path / "copy"
    action = copy / ".github" / "actions" / "failover-drill"
    action.mkdir(parents=True)
    drills = HERE.parent / "drills"
    pins = [*drills.glob("gateways/*.txt"), *drills.glob("gateways/*.json"), *drills.rglob("*_install.py")]
    pins += [drills / "installing.py", HERE.parent / "pyproject.toml"]
    assert {"portkey.lock.json", "portkey.package.json", "toxiproxy_install.py"} <= {pin.name for pin in pins}
    copies = [copy / pin.relative_to(HERE.parent) for pin in pins]
    for pin, to in zip(pins, copies, strict=True):
        to.parent.mkdir(parents=True, exist_ok=True)
        to.write_bytes(pin.read_bytes())
    keys = set()
    for to in (None, *copies):
        if to is not None:
            to.write_bytes(to.read_bytes() + b"\n")
        assert runner.run("Name the cache", GATEWAY="litellm", GITHUB_ACTION_PATH=str(action)).returncode == 0
        keys.add(runner.said()["key"])
    assert len(keys) == 1 + len(copies)


def test_the_cache_has_one_key_for_each_set_of_pins(runner: Runner) -> None:
    """Of this machine, this Python, and what would be installed."""
    keys = []
    for gateway in ("litellm", "portkey", "my own.yaml"):
        done = runner.run("Name the cache", GATEWAY=gateway)
        assert done.returncode == 0, done.stderr
        keys.append(runner.said()["key"])
        assert re.fullmatch(r"failover-drill-\S+-Python-3\.\d+\.\S+-[0-9a-f]{64}", keys[-1])
    assert len(set(keys)) == 3


def test_the_base_is_the_file_of_the_other_commit(runner: Runner) -> None:
    """With its whole tree; a config that is new has none, and neither has a branch that was just made."""
    before = runner.git("rev-parse", "HEAD~1")
    done = runner.run("Find the config as it was", CONFIG="gateway.json", BASE_REF=before)
    assert done.returncode == 0, done.stderr
    base = Path(runner.said()["base"])
    assert json.loads(base.read_text())["mode"] == "good"
    assert json.loads((runner.repository / "gateway.json").read_text())["mode"] == "never"
    assert runner.run("Take the base away").returncode == 0
    assert not base.exists()
    done = runner.run("Find the config as it was", CONFIG="new.json", BASE_REF=before)
    assert (done.returncode, runner.said()["base"]) == (0, "")
    assert "::notice title=Failover gate::new.json is new" in done.stdout
    for ref in ("", "0" * 40):
        done = runner.run("Find the config as it was", CONFIG="gateway.json", BASE_REF=ref)
        assert (done.returncode, runner.said()["base"]) == (0, "")


def test_an_absolute_path_is_the_same_file(runner: Runner) -> None:
    """It has a base; one outside of the repository cannot have any, and is no new file."""
    before = runner.git("rev-parse", "HEAD~1")
    config = str(runner.repository / "gateway.json")
    done = runner.run("Find the config as it was", CONFIG=config, BASE_REF=before)
    assert (done.returncode, Path(runner.said()["base"]).name) == (0, "gateway.json"), done.stderr
    assert runner.run("Take the base away").returncode == 0
    for outside in (str(runner.folder / "gateway.json"), "../repo/gateway.json", "x/../../gateway.json", ".."):
        done = runner.run("Find the config as it was", CONFIG=outside, BASE_REF=before)
        assert (done.returncode, runner.output.read_text()) == (2, ""), outside
        assert "::error title=Failover gate::config must be a file of this repository" in done.stdout
    workspace = f"{runner.repository}/"
    done = runner.run("Find the config as it was", CONFIG=config, BASE_REF=before, GITHUB_WORKSPACE=workspace)
    assert (done.returncode, Path(runner.said()["base"]).name) == (0, "gateway.json"), done.stderr


@pytest.mark.parametrize(
    "ref", ["--upload-pack=touch pwned", "--upload-pack=true", "+HEAD", "HEAD:main", "##[stop-commands]x", "a\nb", "a]"]
)
def test_what_is_no_ref_never_comes_to_git(runner: Runner, ref: str) -> None:
    """`--upload-pack` would run a command, a refspec would move a branch, and an error of git would repeat the text."""
    done = runner.run("Find the config as it was", CONFIG="gateway.json", BASE_REF=ref)
    assert (done.returncode, done.stderr, runner.output.read_text()) == (2, "", "")
    assert "base-ref a commit or a branch" in done.stdout
    assert "##[" not in done.stdout
    assert not (runner.repository / "pwned").exists()


def test_a_ref_may_be_told_as_git_tells_it(runner: Runner) -> None:
    """A name, and a commit before it."""
    runner.git("branch", "release/1.0+c++")
    for ref in ("HEAD~1", "HEAD^", "release/1.0+c++"):
        done = runner.run("Find the config as it was", CONFIG="./gateway.json", BASE_REF=ref)
        assert (done.returncode, Path(runner.said()["base"]).name) == (0, "gateway.json"), done.stderr
        assert runner.run("Take the base away").returncode == 0


def test_a_name_with_a_line_end_is_no_annotation(runner: Runner) -> None:
    """GitHub reads each line of what a step prints."""
    config = "new.json\n::error::pwned"
    done = runner.run("Find the config as it was", CONFIG=config, BASE_REF=runner.git("rev-parse", "HEAD~1"))
    assert [line for line in done.stdout.splitlines() if line.startswith("::error")] == []
    assert "new.json%0A::error::pwned is new" in done.stdout
    assert runner.run("Take the base away").returncode == 0
    done = runner.run(
        "Find the config as it was", CONFIG="##[stop-commands]tok", BASE_REF=runner.git("rev-parse", "HEAD")
    )
    assert "::# #[stop-commands]tok is new" in done.stdout
    assert "##[" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("", []),
        ("a b.yaml", ["a", "b.yaml"]),
        ("a\nmy own.yaml\n", ["a", "my own.yaml"]),
        ("\n  a  \n\n  b\n", ["a", "b"]),
    ],
)
def test_every_scenario_is_taken(runner: Runner, given: str, taken: list[str]) -> None:
    """In one line, or one on each, and then with spaces in it."""
    tool = runner.folder / "temp" / "failover-drill" / "bin" / "drill"
    tool.write_text('#!/bin/sh\nfor word; do echo "<$word>"; done\n')
    words = dict.fromkeys(("CONFIG", "BASE", "GATEWAY", "SET", "BUDGET", "MODEL"), "x") | {"ALLOW_INCONCLUSIVE": ""}
    done = runner.run("Drill", SCENARIOS=given, **words)
    assert done.returncode == 0, done.stderr
    said = [line[1:-1] for line in done.stdout.splitlines()]
    assert said[said.index("--model") + 2 :] == taken


def test_a_scenario_is_never_an_option(runner: Runner) -> None:
    """An input for names must not name a program to run."""
    words = dict.fromkeys(("CONFIG", "BASE", "GATEWAY", "SET", "BUDGET", "MODEL"), "x") | {"ALLOW_INCONCLUSIVE": ""}
    done = runner.run("Drill", SCENARIOS="a\n--head-program=/bin/true", **words)
    assert (done.returncode, runner.said()) == (2, {"exit-code": "2"})
    assert "takes names and files, and no options" in done.stdout


@pytest.mark.gateway
def test_a_pull_request_that_removes_the_failover(runner: Runner) -> None:
    """From two commits to a red step, its summary, an annotation and the evidence; real runs of a scripted gateway."""
    base_ref = runner.git("rev-parse", "HEAD~1")
    assert runner.run("Find the config as it was", CONFIG="gateway.json", BASE_REF=base_ref).returncode == 0
    scenario = runner.repository / "dead.yaml"
    scenario.write_text((HERE / "calibration" / "overloaded.yaml").read_text())
    words = {
        "CONFIG": "gateway.json",
        "BASE": runner.said()["base"],
        "GATEWAY": str(HERE / "calibration" / "scripted.yaml"),
        "SCENARIOS": "dead.yaml",
        "SET": "fast",
        "BUDGET": "1m",
        "MODEL": "",
        "ALLOW_INCONCLUSIVE": "true",
    }
    done = runner.run("Drill", **words)
    assert done.returncode == 1, done.stdout + done.stderr
    assert runner.said() == {"exit-code": "1"}
    summary = runner.summary.read_text()
    assert summary.startswith("### Failover gate: WORSE\n")
    assert "callers are not answered well again within" in summary
    assert "::error file=gateway.json,title=Failover gate::" in done.stdout
    [line] = [number for number, row in enumerate(scenario.read_text().splitlines(), 1) if "status:" in row]
    assert f"::error file=dead.yaml,line={line},title=Failover%3A The primary answers 503::" in done.stdout
    kept = [path for path in (runner.folder / "temp" / "drill-results").iterdir() if path.is_dir()]
    assert len(kept) >= 4
    assert all((path / "result.json").is_file() for path in kept)
    assert all((path / MANIFEST_FILE).is_file() for path in kept)  # sealed, as every run is
    again = runner.run("Drill", **{**words, "CONFIG": "missing.json"})
    assert (again.returncode, runner.said()) == (2, {"exit-code": "2"})
