"""Did the load generator keep its promises?"""

from __future__ import annotations

import math

from drills.checks.base import Check
from drills.ledger import Ledger
from drills.measure import Measured
from drills.result import CheckPart, Verdict

_NAME = "load generator"
_NOT_STARTED_SHARE = 0.01
_LAG_AT_MOST_MS = 50.0


def _judge(measured: Measured) -> CheckPart | None:
    requests, load = measured.requests, measured.load
    if requests.due == 0 or measured.ledger.header.inferred:
        return None  # the application makes the load, and promises nothing
    limits = measured.ledger.header.limits
    checked = [limit for limit in (limits.switchover_within_s, limits.failback_within_s) if limit is not None]
    lag_at_most_ms = min([_LAG_AT_MOST_MS, *(limit * 1000 / 10 for limit in checked)])
    problems = []
    if requests.not_started > _NOT_STARTED_SHARE * requests.due:
        problems.append(f"{requests.not_started} of {requests.due} requests could not be started")
    if load.send_lag_p99_ms is None or load.send_lag_p99_ms > lag_at_most_ms:
        problems.append(f"p99 of the send lag is above {lag_at_most_ms:g} ms")
    planned = _planned(measured.ledger)
    missing = planned - requests.due
    if missing > _NOT_STARTED_SHARE * planned:
        problems.append(f"{missing} of {planned} planned requests never became due")
    lag = "unmeasured" if load.send_lag_p99_ms is None else f"{load.send_lag_p99_ms:.1f} ms"
    return CheckPart(
        name=_NAME,
        verdict=Verdict.INVALID if problems else Verdict.PASS,
        expected=f"at most 1 % of requests not started, send lag p99 at most {lag_at_most_ms:g} ms",
        observed=f"{requests.not_started} of {requests.due} not started, send lag p99 {lag}",
        evidence=tuple(problems),
        advice="The machine is too busy for this load: lower load.rate, or run where nothing else runs."
        if problems
        else "",
    )


def _planned(ledger: Ledger) -> int:
    """How many arrivals should have been due: fewer than planned when phases ended early by their conditions."""
    head = ledger.header
    if ledger.timeline_s is None or ledger.timeline_ended_s is None:
        return head.arrivals
    early_s = ledger.timeline_s + head.phases[-1].end_s - ledger.timeline_ended_s
    return head.arrivals - math.ceil(early_s * head.rate_per_s) if early_s > 0 else head.arrivals


CHECK = Check(_NAME, 40, _judge)
