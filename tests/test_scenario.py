"""Scenarios: what a file means, where it is found, and which legs its faults hit."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

import drills.faultentry
from drills.binding import fields_of, shape_of
from drills.gateways import front
from drills.legs import Leg
from drills.problems import Place, UsageProblem
from drills.scenario import AtMost, Load, Lost, ProviderTiming, Scenario, Within
from drills.scenariofile import parse
from drills.shelf import find, identity, load, shipped
from drills.targets import resolve
from drills.yamlsource import (
    MAX_BYTES,
    read_text,
)
from faults.base import Fault, kinds

FULL = """\
name: Loss of a whole cloud
objective: Callers keep getting answers.
gateway: portkey
seed: 7
load: {rate: 600/min, streaming: 25%, deadline: 20s, words: 30, slow: 5s}
providers: {first_token: 80ms, tokens_per_s: 1e3}
timeline:
  - {phase: steady, for: 10s}
  - phase: outage
    for: 30s
    faults:
      - blackhole: {cloud_of: primary}
      - status: {role: secondary, code: 503, retry_after: 5s}
  - {phase: recovery, for: 20s}
expect:
  switchover: {within: 6s}
  failback: {within: 20s}
  lost: {at_most: 0}
  attempts: {per_request_at_most: 3}
  slow: {at_most: 5}
  detour: {at_most: 1500ms}
"""

SHORT = """\
name: Short
objective: As short as it can be.
load: {rate: 5/s}
timeline:
%s
expect:
  lost: {at_most: 0}
"""

STEADY = "  - {phase: steady, for: 5s}\n"
PRIMARY = Leg(name="one", role="primary", provider="bedrock", vendor="anthropic", model="m", cloud="aws", region="east")
SECONDARY = Leg(
    name="two", role="secondary", provider="bedrock", vendor="anthropic", model="m", cloud="aws", region="west"
)
TERTIARY = Leg(name="three", role="tertiary", provider="openai", vendor="openai", model="m", cloud="openai")
STRAY = Leg(name="stray", role=None, provider="gemini", vendor="google", model="m", cloud="gcp", region="east")
LEGS = (PRIMARY, SECONDARY, TERTIARY, STRAY)
FRONT = front.load("https://gateway.example.com", None).discover(None, None).legs


def timeline(phases: str, expect: str = "") -> Scenario:
    """A scenario with these phases after a steady one."""
    return parse((SHORT % (STEADY + phases.rstrip("\n"))) + expect, "a.yaml")


def messages(text: str, file: str = "a.yaml") -> list[str]:
    """The messages about a text."""
    with pytest.raises(UsageProblem) as caught:
        parse(text, file)
    return [str(problem) for problem in caught.value.problems]


class TestMeaning:
    """What a file says is what the model holds."""

    def test_every_key(self) -> None:
        """Each key of a full file lands in its field, in the unit of the field's name."""
        scenario = parse(FULL, "a.yaml")
        assert (scenario.name, scenario.gateway, scenario.seed) == ("Loss of a whole cloud", "portkey", 7)
        # 600 a minute are 10 a second
        assert scenario.load == Load(rate_per_s=10, streaming=0.25, deadline_s=20, words=30, slow_s=5)
        # 1e3 is a thousand
        assert scenario.providers == ProviderTiming(first_token_s=0.08, tokens_per_s=1000)
        assert [(phase.name, phase.duration_s) for phase in scenario.timeline] == [
            ("steady", 10),
            ("outage", 30),
            ("recovery", 20),
        ]
        # 10 + 30 + 20
        assert scenario.duration_s == 60
        expect = scenario.expect
        assert (expect.switchover, expect.failback) == (Within(within_s=6), Within(within_s=20))
        assert (expect.lost, expect.slow) == (Lost(at_most=0), AtMost(at_most=5))
        assert expect.attempts is not None
        assert expect.attempts.per_request_at_most == 3
        assert expect.detour is not None
        assert expect.detour.at_most_s == 1.5

    def test_defaults(self) -> None:
        """What is left out has its documented default; an expectation left out is none."""
        scenario = timeline("")
        assert (scenario.gateway, scenario.seed) == ("litellm", None)
        assert scenario.load == Load(rate_per_s=5, streaming=0.5, deadline_s=30, words=12, slow_s=None)
        assert scenario.providers == ProviderTiming(first_token_s=0.05, tokens_per_s=200)
        assert scenario.expect.switchover is None
        assert scenario.faults == ()

    def test_faults(self) -> None:
        """A fault entry is a selector and the fault's own settings, with its place and an id from phase and kind."""
        first, second = parse(FULL, "a.yaml").faults
        assert (first.id, first.kind, str(first.selector)) == ("outage-blackhole", "blackhole", "cloud_of: primary")
        assert first.place == Place("a.yaml", 12, 9)
        assert (second.id, second.fault) == ("outage-status", kinds()["status"](code=503, retry_after=5.0))  # type: ignore[call-arg]

    def test_the_text_is_kept(self) -> None:
        """Text and hash are those of the file, byte for byte, even with Windows line ends and a byte order mark."""
        text = "\ufeff" + FULL.replace("\n", "\r\n")
        scenario = parse(text, "a.yaml")
        assert scenario.text == text
        assert scenario.sha256 == hashlib.sha256(text.encode()).hexdigest()
        assert scenario.faults[0].place == Place("a.yaml", 12, 9)

    @pytest.mark.parametrize("word", ["on", "yes", "No", "12:30", "2024-01-01", "1_000", "True"])
    def test_words_mean_what_they_look_like(self, word: str) -> None:
        """The scalars of YAML 1.1 that are no longer booleans, times or dates are text."""
        assert parse(FULL.replace("Loss of a whole cloud", word), "a.yaml").name == word

    def test_aliases(self) -> None:
        """A value may be named once and used again."""
        text = FULL.replace("switchover: {within: 6s}", "switchover: &limit {within: 6s}")
        scenario = parse(text.replace("failback: {within: 20s}", "failback: *limit"), "a.yaml")
        assert scenario.expect.failback == scenario.expect.switchover == Within(within_s=6)


class TestWindows:
    """When each fault is on."""

    def test_a_fault_lasts_for_its_phase(self) -> None:
        """Offsets count from the start of the timeline."""
        windows = parse(FULL, "a.yaml").fault_windows()
        # steady lasts 10 s, the outage 30 s
        assert [(window.use.id, window.start_s, window.end_s) for window in windows] == [
            ("outage-blackhole", 10, 40),
            ("outage-status", 10, 40),
        ]

    def test_the_same_fault_in_the_next_phase_goes_on(self) -> None:
        """One id, one window over both phases; another selector is another fault."""
        scenario = timeline(
            "  - {phase: a, for: 2s, faults: [refuse: {role: primary}]}\n"
            "  - {phase: b, for: 3s, faults: [refuse: {role: secondary}, refuse: {role: primary}]}\n"
            "  - {phase: c, for: 4s, faults: [refuse: {role: secondary}]}\n"
        )
        assert [(window.use.id, window.start_s, window.end_s) for window in scenario.fault_windows()] == [
            ("a-refuse", 5, 10),
            ("b-refuse", 7, 14),
        ]
        assert scenario.timeline[2].faults[0] is scenario.timeline[3].faults[0]

    def test_a_fault_that_comes_back_is_another_one(self) -> None:
        """A phase without the fault ends it: afterwards it has a new id and a window of its own."""
        scenario = timeline(
            "  - {phase: a, for: 2s, faults: [refuse: {role: primary}]}\n"
            "  - {phase: b, for: 2s}\n"
            "  - {phase: c, for: 2s, faults: [refuse: {role: primary}]}\n"
        )
        assert [(window.use.id, window.start_s, window.end_s) for window in scenario.fault_windows()] == [
            ("a-refuse", 5, 7),
            ("c-refuse", 9, 11),
        ]

    def test_ids_are_unique(self) -> None:
        """Two faults of one kind in one phase, and a phase whose name looks like an id, get numbers."""
        scenario = timeline(
            "  - {phase: a, for: 2s, faults: [refuse: {role: primary}, refuse: {role: secondary}]}\n"
            "  - {phase: a-2, for: 2s, faults: [refuse: {role: tertiary}, hang: {role: primary}]}\n"
        )
        assert [use.id for use in scenario.faults] == ["a-refuse", "a-refuse-2", "a-2-refuse", "a-2-hang"]


SETTINGS = {
    "bandwidth": "rate: 2kB/s",
    "identity_slow": "by: 2s",
    "slow": "by: 2s",
    "slow_first_token": "by: 2s",
    "slow_tokens": "by: 50ms",
    "status": "code: 429",
    "wire_bandwidth": "kilobytes_per_s: 5",
    "wire_latency": "latency: 1s",
    "wire_limit_data": "bytes: 100",
    "wire_slow_close": "delay: 1s",
    "wire_timeout": "timeout: 1s",
}
"""The settings that a fault kind needs; the others need none."""


class TestCatalogue:
    """Faults come from the catalogue alone."""

    @pytest.mark.parametrize("kind", [kind for kind, cls in kinds().items() if cls.plane == "process"])
    def test_faults_on_the_gateway_have_no_selector(self, kind: str) -> None:
        """They hit no leg, and may be the only fault of a drill that expects a switchover."""
        scenario = timeline(f"  - {{phase: outage, for: 5s, faults: [{kind}: {{}}]}}\n")
        assert scenario.faults[0].kind == kind
        assert resolve(scenario, LEGS)[0][1] == ()

    @pytest.mark.parametrize("kind", [kind for kind, cls in kinds().items() if cls.plane != "process"])
    def test_every_kind_can_be_written(self, kind: str) -> None:
        """Each fault is parsed with a selector and its required settings."""
        extra = f", {SETTINGS[kind]}" if kind in SETTINGS else ""
        use = timeline(f"  - {{phase: outage, for: 5s, faults: [{kind}: {{role: primary{extra}}}]}}\n").faults[0]
        assert use.kind == kind
        assert isinstance(use.fault, kinds()[kind])

    @pytest.mark.parametrize("kind", kinds())
    def test_every_setting_can_be_read(self, kind: str) -> None:
        """No fault has a setting whose type the binder does not know."""
        assert all(shape_of(field.shape.type) for field in fields_of(kinds()[kind]))

    def test_a_setting_cannot_shadow_a_selector_key(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A fault with a setting called `region` would be ambiguous; registering it fails."""

        @dataclass(frozen=True)
        class Odd:
            region: str

        monkeypatch.setattr(drills.faultentry, "kinds", lambda: {"odd": Odd})
        drills.faultentry.catalogue.cache_clear()
        try:
            with pytest.raises(TypeError, match="fault 'odd': a setting cannot be called region"):
                drills.faultentry.catalogue()
        finally:
            drills.faultentry.catalogue.cache_clear()


class TestResolve:
    """Which legs the faults hit."""

    def test_legs_by_domain(self) -> None:
        """`cloud_of: primary` hits both legs in the primary's cloud, `role` one."""
        targets = resolve(parse(FULL, "a.yaml"), LEGS)
        assert [(use.id, [leg.name for leg in hit]) for use, hit in targets] == [
            ("outage-blackhole", ["one", "two"]),
            ("outage-status", ["two"]),
        ]

    @pytest.mark.parametrize(
        ("fault", "message"),
        [
            (
                "refuse: {vendor: antropic}",
                (
                    "fault 'refuse' on vendor: antropic matches no leg: 'vendor' cannot be 'antropic' with these legs; "
                    "did you mean 'anthropic'? allowed: anthropic, google, openai"
                ),
            ),
            (
                "refuse: {role: quaternary}",
                (
                    "fault 'refuse' on role: quaternary matches no leg: 'role' cannot be 'quaternary' with these legs; "
                    "did you mean 'tertiary'? allowed: primary, secondary, tertiary"
                ),
            ),
            (
                "refuse: {cloud: aws, region: north}",
                (
                    "fault 'refuse' on cloud: aws, region: north matches no leg: 'region' cannot be 'north' with these "
                    "legs; allowed: east, west"
                ),
            ),
            (
                "refuse: {provider: openai, cloud_of: primary}",
                (
                    "fault 'refuse' on provider: openai, cloud_of: primary matches no leg: no leg has all of these "
                    "together; the legs are: one (provider: bedrock, cloud: aws); two (provider: bedrock, cloud: aws); "
                    "three (provider: openai, cloud: openai); stray (provider: gemini, cloud: gcp)"
                ),
            ),
            (
                "refuse: {leg: stray}",
                (
                    "fault 'refuse' on leg: stray hits only legs that no fallback leads to: stray; "
                    "legs with a role: one, two, three"
                ),
            ),
        ],
    )
    def test_a_selector_that_misses(self, fault: str, message: str) -> None:
        """The message names the fault, the selector, and what these legs allow."""
        scenario = timeline(f"  - {{phase: outage, for: 5s, faults: [{fault}]}}\n")
        with pytest.raises(UsageProblem) as caught:
            resolve(scenario, LEGS)
        assert str(caught.value).split(": ", 1) == ["a.yaml:6:39", message]

    def test_no_roles_at_all(self) -> None:
        """Without any leg on a chain there is nothing to choose from, and the message says so."""
        with pytest.raises(UsageProblem, match="no leg has one"):
            resolve(parse(FULL, "a.yaml"), [STRAY])

    def test_nothing_left_to_take_over(self) -> None:
        """Every leg with a role is hit, by two faults together: no switchover can be expected."""
        phases = "  - {phase: outage, for: 9s, faults: [refuse: {cloud: aws}, hang: {role: tertiary}]}\n"
        assert len(resolve(timeline(phases), LEGS)) == 2
        with pytest.raises(UsageProblem) as caught:
            resolve(timeline(phases, "  switchover: {within: 3s}\n"), LEGS)
        assert str(caught.value) == (
            "a.yaml:6:61: phase 'outage' takes away every leg that has a role (one, two, three), so nothing can take "
            "over; spare one, or expect no switchover"
        )

    def test_all_misses_at_once(self) -> None:
        """Two faults that miss are two messages."""
        scenario = timeline("  - {phase: outage, for: 5s, faults: [refuse: {leg: x}, hang: {cloud: y}]}\n")
        with pytest.raises(UsageProblem) as caught:
            resolve(scenario, LEGS)
        assert [problem.place for problem in caught.value.problems] == [Place("a.yaml", 6, 39), Place("a.yaml", 6, 57)]


class TestFinding:
    """Path, file name, bare name; here, in ./scenarios, shipped."""

    @pytest.fixture(autouse=True)
    def _elsewhere(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)

    @pytest.mark.parametrize("name", [*shipped(), *shipped("fast")])
    def test_every_shipped_scenario_parses(self, name: str) -> None:
        """By bare name and by file name; short, with a fault, and judged by something."""
        scenario = load(name)
        assert load(f"{name}.yaml") == scenario
        assert scenario.file == f"scenarios/{name}.yaml"
        assert scenario.duration_s <= 75
        assert scenario.faults
        if name == "gateway-lost":  # the loss of the gateway itself: there is nothing to switch over to
            assert scenario.expect.failback is not None
        else:
            assert scenario.expect.switchover is not None

    @pytest.mark.parametrize("name", [*shipped(), *shipped("fast")])
    def test_every_shipped_scenario_fits_three_regions(self, name: str) -> None:
        """Addressed by role and domain only, it drills a chain over two regions of one cloud and a second cloud."""
        legs = FRONT if name == "gateway-lost" else LEGS  # which is for a gateway that nobody can look behind
        assert all(hit or use.fault.plane == "process" for use, hit in resolve(load(name), legs))

    def test_shipped(self) -> None:
        """The scenarios that the documentation names are there, and no others."""
        readme = (Path(__file__).parent.parent / "README.md").read_text()
        named = re.findall(r"^\| `([a-z-]+)` \|", readme.split("## Scenarios")[1].split("```")[0], re.MULTILINE)
        assert sorted(named) == shipped()

    def test_a_file_here_comes_first(self, tmp_path: Path) -> None:
        """A path beats ./scenarios, and that beats the shipped one of the same name."""
        (tmp_path / "scenarios").mkdir()
        (tmp_path / "scenarios" / "cloud-outage.yaml").write_text(FULL)
        assert find("cloud-outage").file == "scenarios/cloud-outage.yaml"
        assert load("cloud-outage").gateway == "portkey"
        (tmp_path / "cloud-outage.yaml").write_text(FULL.replace("portkey", "bifrost"))
        assert find("cloud-outage.yaml").file == "cloud-outage.yaml"
        assert load("cloud-outage").gateway == "bifrost"
        assert load(str(tmp_path / "scenarios" / "cloud-outage.yaml")).gateway == "portkey"

    def test_a_directory_of_the_same_name_is_in_nobodys_way(self, tmp_path: Path) -> None:
        """The results of an earlier run may be called like the scenario."""
        (tmp_path / "cloud-outage").mkdir()
        assert load("cloud-outage").name == "Loss of a whole cloud"

    @pytest.mark.parametrize("name", ["", "cloud-outge", "no/such/file.yaml", "a\0b", "x" * 5000, "../x", "litellm"])
    def test_unknown(self, name: str) -> None:
        """An unknown scenario gives the shipped names, whatever was asked for."""
        with pytest.raises(UsageProblem, match=f"allowed: {', '.join(shipped())}$"):
            load(name)

    def test_closest_match(self) -> None:
        """A typo in the name is recognised, with a suffix too."""
        with pytest.raises(UsageProblem, match="did you mean 'primary-down'"):
            find("primry-down.yaml")

    def test_what_cannot_be_read(self, tmp_path: Path) -> None:
        """A directory, a missing file, a huge file and a broken link are sentences, not tracebacks."""
        with pytest.raises(UsageProblem, match="this is a directory"):
            load(str(tmp_path))
        with pytest.raises(UsageProblem, match="this is a directory"):
            read_text(tmp_path, "here")
        with pytest.raises(UsageProblem, match=r"gone\.yaml: there is no such file"):
            read_text(tmp_path / "gone.yaml", "gone.yaml")
        (tmp_path / "huge.yaml").write_bytes(b"#" * (MAX_BYTES + 1))
        with pytest.raises(UsageProblem, match="larger than 1000 kB"):
            load("huge.yaml")
        (tmp_path / "loop.yaml").symlink_to("loop.yaml")
        with pytest.raises(UsageProblem, match=r"loop\.yaml"):
            load("loop.yaml")

    def test_a_directory_called_scenarios_is_not_the_package(self, tmp_path: Path) -> None:
        """Even where Python looks for packages in the current directory first."""
        (tmp_path / "scenarios").mkdir()
        code = "from drills import shelf; print(*shelf.shipped())"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.split() == shipped()

    def test_lazy(self) -> None:
        """Reading a scenario loads none of the heavy libraries."""
        heavy = "{'mitmproxy', 'pandas', 'aiohttp', 'httpx', 'rich'}"
        load_it = "from drills import shelf, targets; shelf.load('cloud-outage')"
        code = f"import sys; {load_it}; print({heavy} & set(sys.modules))"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout == "set()\n"


def test_the_catalogue_holds_faults() -> None:
    """Every kind is a fault."""
    assert all(issubclass(cls, Fault) for cls in kinds().values())


def test_a_scenario_is_known_by_its_name_on_the_shelf(tmp_path: Path) -> None:
    """A short set has names of its own, a copy is what it is a copy of, and no other stands for one of the shelf."""
    assert [load(name).identity for name in ("cloud-outage", "fast/cloud-outage")] == [
        "cloud-outage",
        "fast/cloud-outage",
    ]
    text = load("fast/cloud-outage").text
    assert identity(str(tmp_path / "cloud-outage.yaml"), text) == "fast/cloud-outage"
    assert identity("mine.yaml", text) == "fast/cloud-outage"
    assert identity("fast/cloud-outage.yaml", f"{text}\n# mine") == "own/cloud-outage"
    assert identity("dir/mine.yaml", f"{text}\n# mine") == "mine"
    own = tmp_path / "cloud-outage.yaml"
    own.write_text(f"{text}\n# mine")
    assert load(str(own)).identity == "own/cloud-outage"
