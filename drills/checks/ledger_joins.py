"""Does the attempt ledger add up: each request, each attempt, none unexplained?"""

from __future__ import annotations

from drills.checks.base import Check, cite
from drills.measure import Measured
from drills.request import may_have_answered
from drills.result import CheckPart, Verdict

_NAME = "attempt ledger"
_UNEXPLAINED_SHARE = 0.01


def _judge(measured: Measured) -> CheckPart | None:
    ledger = measured.ledger
    attempts = measured.attempts
    if not ledger.requests:
        return None
    everything = attempts.total + attempts.unexplained
    at_connections = {fault.plan.id for fault in ledger.faults if fault.plan.connection_level}
    orphans = [
        r
        for r in ledger.requests
        if r.ok and not any(a.leg == r.served_by and may_have_answered(r, a, at_connections) for a in r.attempts)
    ]
    problems = []
    if attempts.unexplained > _UNEXPLAINED_SHARE * max(1, everything):
        legs = sorted({attempt.leg for attempt in ledger.unexplained})
        problems.append(f"{attempts.unexplained} attempts on {', '.join(legs)} carry no request's id")
    if orphans:
        problems.append(f"{len(orphans)} answered requests have no answered attempt on the leg that signed the answer")
    advice = (
        "Something else uses these legs, or the gateway changes the last user message so that the id is lost. "
        "Caching must be off: a cached answer comes from no leg."
    )
    return CheckPart(
        name=_NAME,
        verdict=Verdict.INVALID if problems else Verdict.PASS,
        expected="every attempt belongs to a request (at most 1 % do not), every answer to an attempt",
        observed=f"{attempts.total} attempts for {measured.requests.due} requests, "
        f"{attempts.unexplained} unexplained, {len(orphans)} answers without an attempt",
        evidence=(*problems, *cite(orphans)),
        advice=advice if problems else "",
    )


CHECK = Check(_NAME, 60, _judge)
