"""Did every fault meet at least one request? A fault that touched nothing proves nothing."""

from __future__ import annotations

from drills.checks.base import Check
from drills.measure import Measured
from drills.result import CheckPart, Verdict

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
    missed = [fault for fault in measured.faults if fault.effective_s is None or fault.touched_requests == 0]
    observed = "; ".join(
        f"{fault.id}: "
        + (f"{fault.touched_requests} requests" if fault.effective_s is not None else "never became effective")
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


CHECK = Check(_NAME, 10, _judge)
