"""Did the application under test live through the drill? Its exit code is its own word on that.

0, or the end by the drill's SIGTERM, is well. An error is a broken expectation; one before any fault, or an end without
an error before the timeline's, says nothing about the failover.
"""

from __future__ import annotations

import math
import signal

from drills.checks.base import Check
from drills.events import ProgramEnded
from drills.measure import Measured
from drills.result import CheckPart, Verdict

_NAME = "the application"
_EXPECTED = "it makes calls until the end of the timeline, and ends with exit code 0 or by the drill's SIGTERM"
_STOPPED = {0, 128 + signal.SIGTERM, 128 + signal.SIGKILL}
"""The exit codes of a program that the drill ended: by SIGTERM, or by SIGKILL when it took no notice."""


def _judge(measured: Measured) -> CheckPart | None:
    if not measured.ledger.header.inferred:
        return None
    program = measured.ledger.program
    if program is None:
        return _part(Verdict.INVALID, "how it ended was not seen")
    return _told_to_end(program) if program.asked else _ended_by_itself(measured, program)


def _told_to_end(program: ProgramEnded) -> CheckPart:
    if program.code not in _STOPPED:
        return _part(Verdict.FAIL, f"told to end, it ended with exit code {program.code}", program)
    how = "exit code 0" if program.code == 0 else signal.Signals(program.code - 128).name
    return _part(Verdict.PASS, f"it ran until the drill ended it ({how})")


def _ended_by_itself(measured: Measured, program: ProgramEnded) -> CheckPart:
    what = f"it ended by itself with exit code {program.code} {_when(measured, program.at_s)}"
    if program.code == 0:
        advice = "Let it make calls until it is told to end, by SIGTERM."
        return _part(Verdict.INVALID, f"{what}, before the timeline was over: calls are missing", program, advice)
    onsets = [fault.effective_s for fault in measured.faults if fault.effective_s is not None]
    if program.at_s < min(onsets, default=math.inf):
        advice = "Make it work without any fault first; gateway.log has its whole output."
        return _part(Verdict.INVALID, f"{what}, before any fault", program, advice)
    advice = "The failure of one provider ended the whole application: catch what its SDK raises, and ask the next one."
    return _part(Verdict.FAIL, what, program, advice)


def _when(measured: Measured, at_s: float) -> str:
    """The time on the timeline, and the phase."""
    start_s = measured.ledger.timeline_s
    if start_s is None or at_s < start_s:
        return "before the timeline began"
    phase = next((phase.name for phase in reversed(measured.phases) if phase.start_s <= at_s), "")
    return f"{at_s - start_s:.1f} s after the timeline began, in phase {phase}"


def _part(verdict: Verdict, observed: str, program: ProgramEnded | None = None, advice: str = "") -> CheckPart:
    said = () if program is None else tuple(f"it said: {line}" for line in program.said)
    return CheckPart(name=_NAME, verdict=verdict, expected=_EXPECTED, observed=observed, evidence=said, advice=advice)


CHECK = Check(_NAME, 105, _judge)
