"""The pytest plugin in a user's own project: what a person sees of a pass, a failure, a proof of nothing, a mistake.

The project has a `faults` folder of its own, which must not be taken for the tool's. The gateway is the scripted one.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

CALIBRATION = Path(__file__).parent / "calibration"
SCENARIO = """\
name: {name}
objective: Callers get answers.
load: {{rate: 20/s, deadline: 3s}}
providers: {{first_token: 10ms, tokens_per_s: 1000}}
timeline:
  - {{phase: steady, for: 1s}}
  - {{phase: outage, for: 1s, faults: [{faults}]}}
  - {{phase: recovery, for: 1s}}
expect: {{lost: {{at_most: 0}}}}
"""
PRIMARY, STANDBY = "{status: {role: primary, code: 503}}", "{status: {role: secondary, code: 503}}"
FROM_PYTHON = """
def test_from_python(drill):
    scenario = {
        "name": "From Python",
        "objective": "Callers get answers.",
        "load": {"rate": "20/s"},
        "timeline": [
            {"phase": "steady", "for": "1s"},
            {"phase": "outage", "for": "1s", "faults": [{"status": {"role": "primary", "code": 503}}]},
            {"phase": "recovery", "for": "1s"},
        ],
        "expect": {"lost": {"at_most": 0}},
    }
    drilled = drill.run(scenario, gateway="scripted.yaml", config="settings.json")
    drilled.check()
    assert drilled.read()["requests"]["due"] == 60
"""


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A user's project with four scenarios, a test in Python, YAML that is no scenario, and a `faults` of its own."""
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    for name in ("scripted.yaml", "scripted.py"):
        shutil.copy(CALIBRATION / name, pytester.path)
    settings = {"mode": "good", "truth_file": str(pytester.path / "truth")}
    (pytester.path / "settings.json").write_text(json.dumps(settings))
    folder = pytester.mkdir("scenarios")
    for name, about, faults in (
        ("good", "Primary down", PRIMARY),
        ("bad", "Both down", f"{PRIMARY}, {STANDBY}"),
        ("idle", "Standby down", STANDBY),
        ("typo", "Typo", PRIMARY.replace("status", "stauts")),
    ):
        (folder / f"{name}.yaml").write_text(SCENARIO.format(name=about, faults=faults))
    (folder / "values.yaml").write_text("replicas: 3\n")
    (pytester.mkdir("faults") / "__init__.py").write_text("raise RuntimeError('this is the user\\'s own')\n")
    pytester.makeini("[pytest]\ndrill_targets =\n    scripted.yaml=settings.json\n")
    pytester.makepyfile(test_mine=FROM_PYTHON)
    return pytester


GOLDEN = """\
____________ ERROR at setup of idle.yaml: scripted.yaml=settings.json ____________
invalid: Standby down, scripted 1: faults reached requests: outage-status: 0 requests, none of its legs gave an answer \
just before
invalid: faults reached requests
  expected  at least one fault; each meets at least one request, on a leg that served just before
  observed  outage-status: 0 requests, none of its legs gave an answer just before
  evidence  fault outage-status on standby
  do        Callers were not served from these legs when the fault began. Select legs that carry traffic then; a fault on the next leg belongs into a later phase, when callers are there. No request reached standby in the whole drill: if callers should be served there, look at the order in which the gateway asks, and at the address that it has for it.
files: DIR/drill-results/idle-scripted-yaml-settings-json/TIME-idle-scripted
____________ ERROR at setup of typo.yaml: scripted.yaml=settings.json ____________
not started: DIR/scenarios/typo.yaml:7:40: unknown fault 'stauts'; did you mean 'status'? allowed: ...
____________ bad.yaml: scripted.yaml=settings.json ____________
fail: Both down, scripted 1: lost requests: N of 60 lost: N failed (0 of them streams that had begun when a fault \
struck), 0 unknown, 0 corrupt
fail: lost requests
  expected  at most 0 of the callers' requests lost
  observed  N of 60 lost: N failed (0 of them streams that had begun when a fault struck), 0 unknown, 0 corrupt
  evidence  request N: failed after T s (primary faulted -> standby faulted), {"error": {"message": \
"scripted failure", "type": "server_error"}}
  evidence  request N: failed after T s (primary faulted -> standby faulted), {"error": {"message": \
"scripted failure", "type": "server_error"}}
  evidence  request N: failed after T s (primary faulted -> standby faulted), {"error": {"message": \
"scripted failure", "type": "server_error"}}
  do        The gateway passed the failure on instead of trying the next leg. Does this kind of failure trigger its \
fallbacks, and is there one left?
files: DIR/drill-results/bad-scripted-yaml-settings-json/TIME-bad-scripted
"""  # noqa: E501  lines as people see them


def _steady(text: str, folder: Path) -> str:
    """The part with the findings, without what differs from run to run."""
    text = text[text.index(" ERRORS ") : text.index(" short test summary")]
    text = text.replace(str(folder), "DIR")
    for pattern, instead in (
        (r"^=+.*\n?", ""),
        (r"_{3,}", "____________"),
        (r"\d{8}T\d{6}Z", "TIME"),
        (r"request \d+: failed after [\d.]+ s", "request N: failed after T s"),
        (r"allowed: .*", "allowed: ..."),
        (r"\d+ of 60 lost: \d+ failed", "N of 60 lost: N failed"),
        (r"^- generated xml file.*\n", ""),
    ):
        text = re.sub(pattern, instead, text, flags=re.MULTILINE)
    return text.removeprefix(" ERRORS ").lstrip("=\n")


@pytest.mark.gateway
def test_what_a_person_sees(project: pytest.Pytester) -> None:
    """Findings and no traceback; a broken expectation is a failure, a drill that proved nothing an error."""
    ran = project.runpytest_subprocess("--junitxml=junit.xml", "-n", "2")
    ran.assert_outcomes(passed=2, failed=1, errors=2)
    said = re.sub(r"\[gw\d\] linux.*\n", "", ran.stdout.str() + "\n")
    found = _steady(said, project.path)
    blocks = sorted(re.split(r"(?m)^(?=____________ )", found))  # workers end in any order
    assert blocks == sorted(re.split(r"(?m)^(?=____________ )", GOLDEN))
    assert "Traceback" not in said
    assert "INTERNALERROR" not in said
    suite = ET.parse(project.path / "junit.xml").getroot()[0]  # noqa: S314  pytest's own
    assert {key: suite.get(key) for key in ("tests", "failures", "errors")} == {
        "tests": "5",
        "failures": "1",
        "errors": "2",
    }


def test_what_is_collected(project: pytest.Pytester) -> None:
    """Scenarios, once for each target, and nothing that only is YAML; a file that is named is always one."""
    ran = project.runpytest_subprocess("--collect-only", "-q", "scenarios", "--drill-target=litellm", "-k", "good")
    assert [line for line in ran.stdout.lines if "::" in line] == ["scenarios/good.yaml::litellm"]
    targets = ("--drill-target=scripted.yaml=settings.json", "--drill-target=litellm=prod.yaml")
    ran = project.runpytest_subprocess("--collect-only", "-q", "-m", "drill", *targets)
    assert [line for line in ran.stdout.lines if "::" in line] == [
        f"scenarios/{name}.yaml::{target}"
        for name in ("bad", "good", "idle", "typo")
        for target in ("scripted.yaml=settings.json", "litellm=prod.yaml")
    ]
    ran = project.runpytest_subprocess("--collect-only", "-q", "scenarios/values.yaml")
    assert "scenarios/values.yaml::scripted.yaml=settings.json" in ran.stdout.lines


@pytest.mark.gateway
def test_tests_of_the_same_name_keep_their_own_runs(project: pytest.Pytester) -> None:
    """Two workers whose tests, and configs, are called the same: two names, and to each the folder of its own run."""
    mine = FROM_PYTHON + "    print('kept in', drilled.folder)\n"
    project.makepyfile(**{"coll/test_a": mine, "coll/test_b": mine})
    for side in ("a", "b"):
        project.mkdir(side)
        shutil.copy(project.path / "settings.json", project.path / side / "c.json")
    targets = [f"--drill-target=scripted.yaml={side}/c.json" for side in ("a", "b")]
    words = ("-n", "2", "-v", "-rP", "-p", "no:cacheprovider", "--import-mode=importlib", "coll", "scenarios/good.yaml")
    ran = project.runpytest_subprocess(*words, *targets)
    ran.assert_outcomes(passed=4)
    assert len(set(re.findall(r"kept in (\S+)", ran.stdout.str()))) == 2
    named = set(re.findall(r"scenarios/good\.yaml::\S+", ran.stdout.str()))
    assert {f"scenarios/good.yaml::scripted.yaml={side}/c.json" for side in ("a", "b")} <= named


def test_a_target_without_a_gateway_is_refused(project: pytest.Pytester) -> None:
    """One sentence, exit code 4 as pytest has it for usage."""
    ran = project.runpytest_subprocess("--drill-target==x.yaml")
    assert ran.ret == pytest.ExitCode.USAGE_ERROR
    ran.stderr.fnmatch_lines(["*drill target '=x.yaml' names no gateway; write GATEWAY or GATEWAY=CONFIG*"])
