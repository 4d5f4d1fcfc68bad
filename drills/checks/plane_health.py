"""Did the fault plane work, and is it fast enough not to be what was measured?"""

from __future__ import annotations

from drills.checks.base import Check
from drills.measure import Measured
from drills.result import CheckPart, Verdict

_NAME = "fault plane"
_ADDED_AT_MOST_MS = 20.0


def _judge(measured: Measured) -> CheckPart:
    added_ms = measured.plane.added_latency_p50_ms
    troubles = [trouble.what for trouble in measured.ledger.troubles]
    troubles += [
        f"{fault.plan.id} ended early: {fault.cleared.why}"
        for fault in measured.ledger.faults
        if fault.cleared is not None
        and fault.cleared.why
        and (fault.clear_requested_s is None or fault.cleared.at_s < fault.clear_requested_s)
    ]
    problems = [*troubles]
    if added_ms is None:
        problems.append("the plane's own latency was not measured")
    elif added_ms > _ADDED_AT_MOST_MS:
        problems.append(f"the plane adds {added_ms:.1f} ms to the median request")
    return CheckPart(
        name=_NAME,
        verdict=Verdict.INVALID if problems else Verdict.PASS,
        expected=f"no trouble, at most {_ADDED_AT_MOST_MS:g} ms added to the median request",
        observed="unmeasured" if added_ms is None else f"{added_ms:.1f} ms added, {len(troubles)} troubles",
        evidence=tuple(problems[:10]),
        advice="Run the drill again on a quieter machine; if it stays, this is a bug of the tool." if problems else "",
    )


CHECK = Check(_NAME, 50, _judge)
