"""Was the switchover as quick as expected, for every fault?"""

from __future__ import annotations

from drills.checks.base import Check, cite
from drills.measure import Measured
from drills.result import CheckPart, Switchover, Verdict

_NAME = "switchover"
_NEVER = "Is there a fallback that shares nothing with the faulted leg, and does this kind of failure trigger it?"
_SLOW_DETECTION = (
    "The gateway learned of the fault too late. Set a timeout for each request well below the limit (and one for the "
    "first token of streams), and take a failing leg out of rotation (cooldown) so that not every caller pays for it."
)
_ALONE = (
    "While a gateway is gone nobody answers in its place. Run several behind a load balancer and restart one after the "
    "other, or shorten its start; what it must learn anew about sick legs comes on top."
)
_LONG_ENOUGH = 0.9
"""A fault that is planned as long as the limit lasts a little less: putting it on takes longer than taking it off."""
_TOO_SHORT = "This fault, or the time to the next one, is shorter than the limit. Lengthen its phase."


def _judge(measured: Measured) -> CheckPart | None:
    limit_s = measured.ledger.header.limits.switchover_within_s
    if limit_s is None or not measured.ledger.header.faults:
        return None
    # A fault that met no request is judged by another check; nothing was switched because of it.
    met = {fault.id for fault in measured.faults if fault.touched_requests > 0}
    judged = [found for found in measured.switchovers if found.fault in met]
    alone = {fault.id for fault in measured.faults if not fault.legs}
    verdicts = [_one(found, limit_s, found.fault in alone) for found in judged]
    if not verdicts:
        return None
    worst = next(
        v for v in (Verdict.UNKNOWN, Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.PASS) if v in {x[0] for x in verdicts}
    )
    blamed = {
        seq
        for found, (verdict, _, _) in zip(judged, verdicts, strict=True)
        if verdict is not Verdict.PASS
        for seq in found.evidence
    }
    return CheckPart(
        name=_NAME,
        verdict=worst,
        expected=f"{'another leg answers, and ' if len(alone) < len(measured.faults) else ''}callers are answered well "
        f"again, within {limit_s:g} s of each fault",
        observed="; ".join(said for _, said, _ in verdicts),
        evidence=cite([r for r in measured.ledger.requests if r.seq in blamed]),
        advice=" ".join(dict.fromkeys(advice for _, _, advice in verdicts if advice)),
    )


def _one(found: Switchover, limit_s: float, on_gateway: bool) -> tuple[Verdict, str, str]:
    """The verdict on one fault, what was observed, and what to do about it."""
    way = f"{found.fault}: {found.from_ or 'nobody'} -> {found.to or 'nobody'}"
    never, slow, other = _NEVER, _SLOW_DETECTION, "no other leg"
    if on_gateway:
        way, never, slow, other = f"{found.fault}: the gateway itself", _ALONE, _ALONE, "nobody"
    judged = Verdict.FAIL if found.window_s >= _LONG_ENOUGH * limit_s else Verdict.INCONCLUSIVE
    if found.first_success_s is None:
        advice = never if judged is Verdict.FAIL else _TOO_SHORT
        return judged, f"{way}, {other} answered within {found.window_s:.1f} s", advice
    if found.recovery_s is None or found.resolution_s is None:
        why = f"{found.bad} requests failed and {found.slow} were slow, up to the end"
        advice = slow if judged is Verdict.FAIL else _TOO_SHORT
        return judged, f"{way}, not recovered within {found.window_s:.1f} s: {why}", advice
    said = f"{way}, recovered in {found.recovery_s:.2f} s (resolution {found.resolution_s:.2f} s)"
    if found.recovery_s <= limit_s:
        return Verdict.PASS, said, ""
    if found.recovery_s - found.resolution_s > limit_s:
        return Verdict.FAIL, said, slow
    finer = "The limit lies inside the bracket. Raise load.rate (or let the application call more often)."
    return Verdict.INCONCLUSIVE, said, finer


CHECK = Check(_NAME, 100, _judge)
