"""Did every fault meet at least one request? A fault that touched nothing proves nothing."""

from __future__ import annotations

from drills.checks.base import Check
from drills.measure import Measured
from drills.result import CheckPart, FaultPart, Verdict

_NAME = "faults reached requests"


def _judge(measured: Measured) -> CheckPart:
    expected = "at least one fault, and each fault meets at least one request"
    if not measured.faults:
        return CheckPart(
            name=_NAME,
            verdict=Verdict.INVALID,
            expected=expected,
            observed="no fault was injected: nothing was tested",
            advice="Run a scenario with faults. A null drill is for testing the tool, not the gateway.",
        )
    missed = [
        fault
        for fault in measured.faults
        if fault.effective_s is None or (fault.touched_requests == 0 and not _stuck_before(measured, fault))
    ]
    observed = "; ".join(
        f"{fault.id}: "
        + (f"{fault.touched_requests} requests" if fault.effective_s is not None else "never became effective")
        + (", the gateway was stuck on an earlier fault" if _stuck_before(measured, fault) else "")
        for fault in measured.faults
    )
    if not missed:
        return CheckPart(name=_NAME, verdict=Verdict.PASS, expected=expected, observed=observed)
    return CheckPart(
        name=_NAME,
        verdict=Verdict.INVALID,
        expected=expected,
        observed=observed,
        evidence=tuple(f"fault {fault.id} on {', '.join(fault.legs) or 'the gateway'}" for fault in missed),
        advice="The gateway sent nothing to these legs while the fault was on. Select legs that carry traffic then.",
    )


def _stuck_before(measured: Measured, fault: FaultPart) -> bool:
    """Whether the gateway never came to the fault's legs because an earlier fault, still on, held it.

    No other leg answered while that one was on: the failed switchover is then what the drill has shown.
    """
    if not fault.legs:
        return False  # a fault on the gateway itself needs no way through the gateway
    onset_s = fault.effective_s or 0.0
    never = {found.fault for found in measured.switchovers if found.first_success_s is None}
    return any(
        other.id in never
        and other.touched_requests > 0
        and other.effective_s is not None
        and other.effective_s < onset_s
        and (other.cleared_s is None or other.cleared_s > onset_s)
        for other in measured.faults
    )


CHECK = Check(_NAME, 10, _judge)
