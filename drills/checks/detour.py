"""Did rescued callers pay more than expected for the try on the faulted leg?"""

from __future__ import annotations

from drills.checks.base import Check
from drills.measure import Measured
from drills.result import CheckPart, Verdict

_NAME = "detour"


def _judge(measured: Measured) -> CheckPart | None:
    at_most_s = measured.ledger.header.limits.detour_at_most_s
    if at_most_s is None or not measured.switchovers:
        return None
    detours = [(found.fault, found.detour_p50_s) for found in measured.switchovers if found.detour_p50_s is not None]
    failed = any(detour_s > at_most_s for _, detour_s in detours)
    return CheckPart(
        name=_NAME,
        verdict=Verdict.FAIL if failed else Verdict.PASS,
        expected=f"the median rescued caller pays at most {at_most_s:g} s",
        observed="; ".join(f"{fault}: {detour_s:.2f} s" for fault, detour_s in detours) or "nobody paid for a detour",
        advice="Lower the timeout on the leg that is tried first." if failed else "",
    )


CHECK = Check(_NAME, 150, _judge)
