"""Did the gateway return to the leg that served before, as quickly as expected?"""

from __future__ import annotations

from drills.checks.base import Check
from drills.measure import Measured
from drills.result import CheckPart, Failback, Verdict

_NAME = "failback"
_NEVER = "Shorten the cooldown, lengthen the last phase, or say in the scenario that no failback is expected."
_LATE = "A leg stays out of rotation for its whole cooldown, however soon it is healthy again. Shorten the cooldown."


def _judge(measured: Measured) -> CheckPart | None:
    limit_s = measured.ledger.header.limits.failback_within_s
    expected = [found for found in measured.failbacks if found.expected]
    if limit_s is None or not measured.ledger.header.faults:
        return None
    verdicts = [_one(found, limit_s, died=measured.ledger.died_s is not None) for found in expected]
    if not verdicts:
        verdicts = [(Verdict.UNKNOWN, "no fault was effective on a leg that should serve again", "")]
    worst = next(
        v for v in (Verdict.UNKNOWN, Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.PASS) if v in {x[0] for x in verdicts}
    )
    return CheckPart(
        name=_NAME,
        verdict=worst,
        expected=f"the leg that served before answers again within {limit_s:g} s of the end of the fault",
        observed="; ".join(said for _, said, _ in verdicts),
        advice=" ".join(dict.fromkeys(advice for _, _, advice in verdicts if advice)),
    )


def _one(found: Failback, limit_s: float, *, died: bool) -> tuple[Verdict, str, str]:
    way = f"{found.fault}: back to {found.to}"
    if found.failback_s is None or found.resolution_s is None:
        if died:
            return Verdict.FAIL, f"{way}: the application had ended with an error", ""
        reason = found.reasons.get("failback_s", "it never came")
        if found.cleared_s is not None and found.window_s <= limit_s:
            longer = "The healthy phase after the fault is shorter than the limit. Lengthen it."
            return Verdict.INCONCLUSIVE, f"{way}: {reason}", longer
        return Verdict.FAIL, f"{way}: {reason}", _NEVER
    said = f"{way} in {found.failback_s:.2f} s (resolution {found.resolution_s:.2f} s)"
    if found.failback_s <= limit_s:
        return Verdict.PASS, said, ""
    if found.failback_s - found.resolution_s > limit_s:
        return Verdict.FAIL, said, _LATE
    return Verdict.INCONCLUSIVE, said, "The limit lies inside the resolution. Raise load.rate."


CHECK = Check(_NAME, 110, _judge)
