"""The vendors' own SDKs as an application under test uses them: without a word about drills."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from drilling import Ran, drill
from sdk_env import sdk_python
from test_simulator import running

from drills import providers
from drills.gateways.program import load
from drills.marks import Mark, answer_text
from drills.result import Verdict
from drills.simulator import SimulatedLeg, SimulatorSpec

__all__ = ["sdk_python"]

pytestmark = [pytest.mark.clock, pytest.mark.sdk, pytest.mark.timeout(700)]
SCRIPT = Path(__file__).parent / "sdk_scripts" / "from_environment.py"
EXAMPLES = Path(__file__).parent.parent / "docs" / "examples"
MARK = Mark("00ff00ff00ff00ff", 5)
SCENARIO = """\
name: A short loss of a whole cloud
objective: Callers keep getting answers when the cloud of the first choice is gone.
load: {rate: 10/s, deadline: 20s, slow: 4s}
timeline:
  - {phase: steady, for: 3s}
  - {phase: outage, for: 8s, faults: [blackhole: {cloud_of: primary}]}
  - {phase: recovery, for: 4s}
expect:
  switchover: {within: 5s}
  failback: {within: 4s}
  lost: {at_most: 0}
"""


def test_every_sdk_reads_the_variables(sdk_python: Path, tmp_path: Path) -> None:
    """A client of each provider, made without a base URL in an application's environment, calls its own leg."""
    names = providers.names()
    spec = SimulatorSpec(tuple(SimulatedLeg(name, name) for name in names), first_token_s=0, tokens_per_s=5000)
    with running(spec) as (_, ports):
        urls = {name: f"http://127.0.0.1:{ports[name]}" for name in names}
        program = load([sys.executable], ",".join(names), None)
        launch = program.launch(program.discover(None, None), urls, 0, tmp_path)
        for path, text in launch.files.items():
            Path(path).write_text(text)
        done = subprocess.run(
            [sdk_python, SCRIPT],
            env=launch.env,
            input=json.dumps(MARK.prompt()),
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout)
    assert answers == {name: answer_text(MARK, name.partition(" ")[0]) for name in answers}
    assert {name.partition(" ")[0] for name in answers} == set(names)


def drilled(example: str, python: Path, folder: Path) -> Ran:
    """A drill of an example of the documentation's."""
    (folder / "s.yaml").write_text(SCENARIO)
    return drill("run", "s.yaml", "--legs", "anthropic,openai", "--", python, EXAMPLES / example, cwd=folder)


@pytest.mark.gateway
def test_a_wrapper_of_fifteen_lines_passes(sdk_python: Path, tmp_path: Path) -> None:
    """The first choice is gone, its connects hang, and nobody is lost."""
    ran = drilled("failover.py", sdk_python, tmp_path)
    assert ran.code == 0, ran.out + ran.err
    [found] = ran.result.switchovers
    assert (found.from_, found.to, found.bad) == ("anthropic", "openai", 0)
    assert found.recovery_s is not None
    # The example waits 2 s for a provider, and makes one call at a time: the first may have begun before the onset.
    assert 1.9 < found.recovery_s < 5


@pytest.mark.gateway
def test_the_same_without_the_except_fails(sdk_python: Path, tmp_path: Path) -> None:
    """The SDK's exception ends it, and the report says when and with what words."""
    ran = drilled("no_failover.py", sdk_python, tmp_path)
    assert ran.code == 1, ran.out + ran.err
    found = next(part for part in ran.result.checks if part.name == "the application")
    assert found.verdict is Verdict.FAIL
    assert "exit code 1" in found.observed
    assert "in phase outage" in found.observed
    assert "APITimeoutError" in " ".join(found.evidence)
