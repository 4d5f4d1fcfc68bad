"""The tool measured against gateways whose switchover is known: real runs, real fault plane, simulated providers.

The scripted gateway stamps the instants at which it switches and returns (CLOCK_MONOTONIC, one clock for the host).
Every bracket that a run reports must hold its instant: in every run, not on average. And a drill must be able to
fail: gateways that never switch, or that hide what went wrong, never pass.

Runs go several at a time, and take about five minutes on two cores: `pytest -m calibration`.
"""

from __future__ import annotations

import json
import math
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from drills.events import RunStarted
from drills.files import RESULT_FILE
from drills.history import HISTORY_FILE, header, read
from drills.ledger import build
from drills.result import Outage, Result, Verdict, decode

pytestmark = [pytest.mark.clock, pytest.mark.calibration]

HERE = Path(__file__).parent / "calibration"
RUNS = 20
AT_ONCE = 2
MORE_AT_ONCE = 3
"""Where the verdict counts and no instant is measured."""
TRIES = 3
"""A run on a machine too busy to send on time is invalid by its own word, and is repeated."""
BUSY = {"load generator", "fault plane"}


@dataclass(frozen=True)
class Case:
    """A scenario with a gateway's settings. Times in seconds."""

    scenario: str
    mode: str
    switch_s: float = 0.0
    return_s: float = 0.0


@dataclass(frozen=True)
class Run:
    """What the tool says, and the instants as the gateway stamped them, on the run's clock."""

    folder: Path
    code: int
    result: Result
    truth: dict[str, float]
    tries: int


def once(case: Case, number: int, folder: Path) -> Run:
    """One run. In every second one the primary answers 503 instead of refusing connects."""
    folder.mkdir(parents=True)
    settings = {
        "mode": case.mode,
        "truth_file": str(folder / "truth.jsonl"),
        "switch_s": case.switch_s,
        "return_s": case.return_s,
    }
    (folder / "settings.json").write_text(json.dumps(settings))
    text = (HERE / f"{case.scenario}.yaml").read_text()
    if number % 2:
        text = text.replace("refuse: {role: primary}", "status: {role: primary, code: 503}")
    (folder / "scenario.yaml").write_text(text)
    done = subprocess.run(
        [
            *(sys.executable, "-P", "-m", "drills.cli", "run", folder / "scenario.yaml", "--json"),
            *("--gateway", HERE / "scripted.yaml", "--config", folder / "settings.json"),
            *("--out", folder / "out", "--seed", str(number)),
        ],
        env=os.environ
        | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            # Five processes a run: they compile the tool once, wherever bytecode is not written by default.
            "PYTHONDONTWRITEBYTECODE": "",
            "PYTHONPYCACHEPREFIX": str(folder.parent.parent / "bytecode"),
        },
        capture_output=True,
        check=False,
        timeout=90,
    )
    assert done.returncode in {0, 1, 3}, done.stderr.decode()
    [out] = (path for path in (folder / "out").iterdir() if path.is_dir())
    result = decode(done.stdout)
    assert result == decode((out / RESULT_FILE).read_bytes())
    return Run(out, done.returncode, result, _truth(folder / "truth.jsonl", out / HISTORY_FILE), 1)


def _truth(file: Path, history: Path) -> dict[str, float]:
    head = msgspec.json.decode(history.read_bytes().split(b"\n")[0], type=RunStarted)
    lines = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    return {line["event"]: line["at_s"] - head.origin_s for line in lines}


def too_busy(run: Run) -> bool:
    """Whether the machine, and nothing else, made the run invalid."""
    invalid = {check.name for check in run.result.checks if check.verdict is Verdict.INVALID}
    # A probe may miss its time then, too; alone that is no excuse.
    return bool(invalid & BUSY) and invalid <= BUSY | {"fault proof"}


def repeated(case: Case, number: int, folder: Path) -> Run:
    """One run, repeated while the machine is too busy for it."""
    for attempt in range(1, TRIES + 1):
        run = once(case, number, folder / f"{number}-{attempt}")
        if not too_busy(run):
            break
    return Run(run.folder, run.code, run.result, run.truth, attempt)


def all_of(case: Case, folder: Path, runs: int = RUNS, at_once: int = AT_ONCE) -> list[Run]:
    """So many runs of a case."""
    with ThreadPoolExecutor(at_once) as pool:
        return list(pool.map(lambda number: repeated(case, number, folder), range(runs)))


# --- a known switchover ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Bracket:
    """An interval that the tool reports and the instant, or length, that it has to hold."""

    what: str
    lower_s: float
    truth_s: float
    upper_s: float

    @property
    def holds(self) -> bool:
        """Whether the truth is inside."""
        return self.lower_s <= self.truth_s <= self.upper_s


def brackets(run: Run) -> Iterator[Bracket]:
    """What a run of the mode `switch` claims, each claim beside the truth."""
    [switchover], [failback] = run.result.switchovers, run.result.failbacks
    assert switchover.recovery_s is not None, switchover.reasons
    assert switchover.resolution_s is not None
    truth_s = run.truth["switched"] - switchover.onset_s
    lower_s = switchover.recovery_s - switchover.resolution_s
    yield Bracket("switch instant", lower_s, truth_s, switchover.recovery_s)
    yield outage(switchover.client_outage_s, truth_s)
    assert failback.failback_s is not None, failback.reasons
    assert failback.resolution_s is not None
    assert failback.cleared_s is not None
    truth_s = run.truth["returned"] - failback.cleared_s
    yield Bracket("return", failback.failback_s - failback.resolution_s, truth_s, failback.failback_s)


def outage(found: Outage, truth_s: float) -> Bracket:
    """Callers had no good answer from the onset of the fault to the switch."""
    return Bracket("client outage", found.lower, truth_s, found.upper)


def table(name: str, runs: list[Run], found: list[Bracket]) -> str:
    """The calibration as a person reads it; milliseconds."""
    lines = [f"\n{name}: {len(runs)} runs, {sum(run.tries - 1 for run in runs)} repeated because the machine was busy"]
    for what in dict.fromkeys(bracket.what for bracket in found):
        group = [bracket for bracket in found if bracket.what == what]
        truths = [bracket.truth_s * 1000 for bracket in group]
        widths = [(bracket.upper_s - bracket.lower_s) * 1000 for bracket in group]
        held = sum(bracket.holds for bracket in group)
        lines.append(
            f"  {what:<15} truth {min(truths):7.1f} to {max(truths):7.1f} ms   bracket width p50 "
            f"{statistics.median(widths):5.1f}, max {max(widths):5.1f} ms   held it {held} of {len(group)} times"
        )
    return "\n".join(lines)


def each_arrival_has_one_outcome(run: Run) -> None:
    """Every planned arrival is in the history, and the outcomes add up to them."""
    events = read(run.folder / HISTORY_FILE)
    head = header(events, "history")
    requests = run.result.requests
    assert len({request.seq for request in build(head, events).requests}) == requests.due == head.arrivals
    counted = (requests.ok, requests.failed, requests.unknown, requests.corrupt, requests.not_started)
    assert sum(counted) == requests.due
    assert sum(path.requests for path in run.result.paths) == requests.due


SWITCHES = [
    pytest.param(Case("switchover-50ms", "switch", 0.05, 0.3), id="50ms"),
    pytest.param(Case("switchover-500ms", "switch", 0.5, 0.3), id="500ms"),
    pytest.param(Case("switchover-3s", "switch", 3.0, 1.0), id="3s"),
]


@pytest.mark.parametrize("case", SWITCHES)
def test_known_switchover(case: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The brackets of switch, outage and return hold the truth in every run, and the drill passes."""
    runs = all_of(case, tmp_path)
    found = [bracket for run in runs for bracket in brackets(run)]
    with capsys.disabled():
        print(table(case.scenario, runs, found))  # noqa: T201  the calibration itself
    assert [bracket for bracket in found if not bracket.holds] == []
    for run in runs:
        each_arrival_has_one_outcome(run)
        assert (run.result.verdict, run.code) == (Verdict.PASS, 0), run.result.reasons
        assert run.truth["switched"] - run.truth["failed"] == pytest.approx(case.switch_s, abs=0.1)
        # An arrival interval of 25 ms, an answer of about 25 ms, and what a busy machine adds.
        assert run.result.switchovers[0].resolution_s == pytest.approx(0.075, abs=0.075)


# --- a drill must be able to fail ------------------------------------------------------------------------------------


def verdicts(name: str, runs: list[Run], capsys: pytest.CaptureFixture[str]) -> None:
    """Print what the runs came to."""
    lost = [run.result.requests.lost for run in runs]
    corrupt = [run.result.requests.corrupt for run in runs]
    with capsys.disabled():
        print(  # noqa: T201  the calibration itself
            f"\n{name}: {len(runs)} runs, {', '.join(sorted({run.result.verdict.value for run in runs}))}; requests "
            f"lost {min(lost)} to {max(lost)}, corrupt {min(corrupt)} to {max(corrupt)}"
        )


def test_never_switches(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A gateway that passes failures on fails: no switchover, no recovery, and the outage is the fault's length."""
    runs = all_of(Case("refused", "never"), tmp_path, at_once=MORE_AT_ONCE)
    found = [outage(run.result.switchovers[0].client_outage_s, run.result.switchovers[0].window_s) for run in runs]
    verdicts("never switches", runs, capsys)
    with capsys.disabled():
        print(table("never switches", runs, found))  # noqa: T201  the calibration itself
    assert [bracket for bracket in found if not bracket.holds] == []
    for run in runs:
        each_arrival_has_one_outcome(run)
        assert (run.result.verdict, run.code) == (Verdict.FAIL, 1), run.result.reasons
        assert run.result.requests.lost >= math.floor(run.result.switchovers[0].window_s * 40) - 1
        [switchover] = run.result.switchovers
        assert (switchover.switchover_s, switchover.recovery_s, switchover.to) == (None, None, None)
        length = f"{switchover.window_s:.1f} s"
        assert switchover.reasons["switchover_s"] == f"no other leg answered within {length}"
        assert switchover.reasons["recovery_s"] == f"callers were not answered well again within {length}"
        [outage_phase] = [phase for phase in run.result.plan if phase.faults]
        assert switchover.window_s == pytest.approx(outage_phase.end_s - outage_phase.start_s, abs=0.2)


@pytest.mark.parametrize(("mode", "runs"), [("silent_cut", RUNS), ("blend", MORE_AT_ONCE)])
def test_hidden_failures(mode: str, runs: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A stream that breaks off is never a success, however cleanly the gateway ends it or goes on."""
    found = all_of(Case("cut-streams", mode), tmp_path, runs, MORE_AT_ONCE)
    verdicts(mode, found, capsys)
    for run in found:
        each_arrival_has_one_outcome(run)
        assert (run.result.verdict, run.code) == (Verdict.FAIL, 1), run.result.reasons
        assert run.result.requests.corrupt > 0
        assert run.result.switchovers[0].switchover_s is None


def test_tries_the_standby(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A gateway that tries the standby within the request loses nothing and passes; each caller pays a detour."""
    found = all_of(Case("overloaded", "good"), tmp_path, AT_ONCE)
    verdicts("tries the standby", found, capsys)
    for run in found:
        each_arrival_has_one_outcome(run)
        assert (run.result.verdict, run.code) == (Verdict.PASS, 0), run.result.reasons
        assert (run.result.requests.lost, run.result.requests.slow) == (0, 0)
        assert run.result.switchovers[0].detour_p50_s is not None
        assert run.result.switchovers[0].avoidance_s is None
