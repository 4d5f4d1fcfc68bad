"""Measures a switchover: from the onset of a fault to callers being answered well again. Pure.

Definitions and formulas: docs/metrics.md. Every number is a bracket or carries its resolution; what did not happen
is null with a reason.
"""

from __future__ import annotations

import bisect
import math
import statistics
from collections import Counter
from collections.abc import Collection, Iterator, Sequence

from drills.events import FaultEffective
from drills.faultrecord import FaultRecord
from drills.ledger import Ledger
from drills.outage import Asked, client_outage, ended
from drills.outcomes import Outcome
from drills.request import Request
from drills.result import Switchover

_SERVED_BEFORE = 20
"""How many of the last good answers before the onset say who served."""
_SERVING_SHARE = 0.25
"""A leg that gave this share of them was serving."""
_PROBE_EVERY_S = 5.0
_PROBE_SHARE = 0.05
"""A probe of a faulted leg: at most one attempt per 5 s or per 5 % of arrivals."""
_AVOIDED_AFTER = 10
"""Arrivals that must follow the last attempt on a faulted leg before it counts as avoided."""


def measure(ledger: Ledger, fault: FaultRecord) -> Switchover | None:
    """The switchover of one fault, or None when the fault never became effective.

    A fault on the gateway itself holds no leg: every answer is then one of a leg that is well.
    """
    onset_s = fault.effective_s
    if onset_s is None:
        return None
    end_s = window_end_s(ledger, fault)
    faulted = frozenset(fault.plan.legs)
    sick = faulted or _sick(ledger, onset_s)
    own = _without_the_next(ledger, fault, end_s)
    window = [r for r in own if onset_s <= r.due_s < end_s and r.outcome is not Outcome.NOT_STARTED]
    before = served_before(ledger, onset_s, faulted)
    reasons: dict[str, str] = {}
    failures = [
        r
        for r in window
        if not r.good and r.done_s is not None and (fault.plan.before_the_model or not faulted or _tried(r, faulted))
    ]
    rescued = [r for r in window if r.ok and r.served_by not in faulted and r.done_s is not None]
    first_failure_s = min((r.done_s for r in failures if r.done_s is not None), default=None)
    first_success_s = min((r.done_s for r in rescued if r.done_s is not None), default=None)
    if first_failure_s is None:
        reasons["first_failure_s"] = "no request failed or was slow while the fault was on"
    if first_success_s is None:
        nobody = "no other leg" if faulted else "nobody"
        reasons["switchover_s"] = f"{nobody} answered within {end_s - onset_s:.1f} s"
    lower_s, upper_s = _switch_bracket(ledger, window, onset_s)
    if upper_s is None:
        reasons["recovery_s"] = f"callers were not answered well again within {end_s - onset_s:.1f} s"
    tokens = ledger.tokens_asked(faulted) if fault.plan.of_identity else ()
    others_s = [*_traces_s(ledger, fault, sick), *(token.received_s for token in tokens)]
    avoidance_s = _avoidance_s(sick, window, others_s, onset_s, end_s, reasons)
    detours = _detours(ledger, fault, window, sick, onset_s)
    if not detours:
        reasons["detour_p50_s"] = "no request went to a faulted leg first and to a healthy one after"
    met = [a for a in (*ledger.attempts, *tokens) if fault.plan.id in a.faults]
    touched = [a.received_s for a in met if a.received_s >= onset_s]
    touched += fault.traces_s
    to = Counter(r.served_by for r in rescued).most_common(1)
    asked = with_its_end(ledger, own, onset_s, end_s)
    return Switchover(
        fault=fault.plan.id,
        from_=before,
        to=to[0][0] if to else None,
        onset_s=onset_s,
        window_s=end_s - onset_s,
        first_failure_s=first_failure_s,
        first_success_s=first_success_s,
        switchover_s=None if first_success_s is None else first_success_s - onset_s,
        recovery_s=None if upper_s is None else upper_s - onset_s,
        resolution_s=None if upper_s is None else upper_s - lower_s,
        client_outage_s=client_outage(asked, onset_s, end_s, 1 / ledger.header.rate_per_s),
        avoidance_s=avoidance_s,
        detour_p50_s=statistics.median(detours) if detours else None,
        detour_max_s=max(detours) if detours else None,
        exposure_s=min(touched) - onset_s if touched else None,
        arrivals=len(window),
        bad=sum(1 for r in window if not r.ok),
        slow=sum(1 for r in window if r.slow),
        corrupt=sum(1 for r in window if r.outcome is Outcome.CORRUPT),
        reasons=reasons,
        evidence=tuple(r.seq for r in window if not r.good)[:50],
    )


def with_its_end(ledger: Ledger, requests: Sequence[Request], start_s: float, end_s: float) -> list[Asked]:
    """These requests, and what an application that ended with an error comes to in [start, end)."""
    return sorted([*requests, *ended(ledger.died_s, start_s, end_s)], key=lambda one: one.due_s)


def window_end_s(ledger: Ledger, fault: FaultRecord) -> float:
    """Until when a fault's switchover is judged: its end, or the onset of the next fault that adds to it."""
    ends = [fault.cleared_s if fault.cleared_s is not None else last_s(ledger)]
    return min([*ends, *(effective.began_s for effective in _later(ledger, fault))])


def _later(ledger: Ledger, fault: FaultRecord) -> Iterator[FaultEffective]:
    """The faults that were put on after this one."""
    onset_s = fault.effective_s or 0.0
    for other in ledger.faults:
        if other.effective is None or other.plan.start_s <= fault.plan.start_s:
            continue
        if other.effective.began_s > onset_s:
            yield other.effective


def _without_the_next(ledger: Ledger, fault: FaultRecord, end_s: float) -> list[Request]:
    """All requests but those that were under way on another leg when the next fault struck that one, and that came to
    grief by it: what was going to become of them under this fault alone, nobody knows. Who was still stuck on a leg of
    this fault has no such excuse.
    """
    later = {effective.fault for effective in _later(ledger, fault)}
    return [
        r
        for r in ledger.requests
        if r.good
        or r.due_s >= end_s
        or (r.done_s is not None and r.done_s <= end_s)
        or not any(later.intersection(a.faults) for a in r.attempts if a.leg not in fault.plan.legs)
    ]


def last_s(ledger: Ledger) -> float:
    """When the history ends, on the run's clock."""
    if ledger.ended is not None:
        return ledger.ended.at_s
    return max((r.done_s or r.due_s for r in ledger.requests), default=0.0)


def served_before(ledger: Ledger, at_s: float, of: Collection[str] = ()) -> str | None:
    """The leg that gave most of the last good answers before a time.

    of: legs that are asked about; the busiest of them counts if it gave a quarter of the answers, so that it is seen
    also where several legs share the load.

    Answers to requests from before the last beginning or end of a fault count only where there are no others: at a
    low rate they would name the leg that served before that fault.
    """
    changes = [edge_s for f in ledger.faults for edge_s in (f.effective_s, f.cleared_s) if edge_s is not None]
    since_s = max((edge_s for edge_s in changes if edge_s < at_s), default=0.0)
    before = [r for r in ledger.requests if r.ok and r.done_s is not None and r.done_s <= at_s]
    recent = [r for r in before if r.due_s >= since_s] or before
    counts = Counter(r.served_by for r in recent[-_SERVED_BEFORE:]).most_common()
    share = _SERVING_SHARE * sum(count for _, count in counts)
    asked = [leg for leg, count in counts if leg in of and count >= share]
    return next((leg for leg in (*asked, *(leg for leg, _ in counts))), None)


def _sick(ledger: Ledger, at_s: float) -> frozenset[str]:
    """The legs on which faults are at a time."""
    return frozenset(
        leg
        for fault in ledger.faults
        if fault.effective_s is not None and fault.effective_s <= at_s < (fault.cleared_s or math.inf)
        for leg in fault.plan.legs
    )


def _traces_s(ledger: Ledger, fault: FaultRecord, sick: frozenset[str]) -> Collection[float]:
    """When tries at sick legs came to no attempt: connects that hung, lookups that failed, handshakes that met a fault.
    Because of this one, or of any if it is on the gateway itself.
    """
    if fault.plan.legs:
        return fault.traces_s
    hung = {seen.seen_s for other in ledger.faults for seen in other.hung_connects if seen.leg in sick}
    hung |= {seen.seen_s for other in ledger.faults for seen in other.handshakes if seen.leg in sick}
    return hung | {seen.seen_s for other in ledger.faults for seen in other.failed_lookups if sick & {*seen.legs}}


def _tried(request: Request, legs: frozenset[str]) -> bool:
    return any(attempt.leg in legs for attempt in request.attempts)


def _switch_bracket(ledger: Ledger, window: Sequence[Request], onset_s: float) -> tuple[float, float | None]:
    """(lower, upper] around the instant from which callers are answered well, given that it stays so; on the clock.

    lower: `sent_s` of the last request that was not good; the onset when there is none. upper: `done_s` of the first
    good one due after it, None when there is none. An answer of a faulted leg after the end of its fault is no proof
    of a recovery: that request was due just before the end, and the end rescued it. That is so for every fault: two
    that end together rescue each other's callers.
    """
    last = max((index for index, r in enumerate(window) if not r.good), default=None)
    if last is None:
        lower_s, after = onset_s, window
    else:
        lower_s, after = window[last].sent_s or window[last].due_s, window[last + 1 :]
    for request in after:
        if request.good and request.done_s is not None and not _rescued_by_an_end(ledger, request, request.done_s):
            return lower_s, request.done_s
    return lower_s, None


def _rescued_by_an_end(ledger: Ledger, request: Request, done_s: float) -> bool:
    return any(
        request.served_by in fault.plan.legs and request.due_s < fault.cleared_s < done_s
        for fault in ledger.faults
        if fault.effective_s is not None and fault.cleared_s is not None
    )


def _avoidance_s(
    sick: frozenset[str],
    window: Sequence[Request],
    others_s: Sequence[float],
    onset_s: float,
    end_s: float,
    reasons: dict[str, str],
) -> float | None:
    """Since onset, when the gateway stopped sending work to the sick legs, probes aside; None with a reason.

    sick: the fault's legs; of a fault on the gateway itself, those that other faults are on. others_s: when it sent
    what is no attempt: connects that hung, and requests for tokens where these are what the fault meets.
    """
    times = [*others_s, *(a.received_s for r in window for a in r.attempts if a.leg in sick)]
    times = sorted(time_s for time_s in times if onset_s <= time_s < end_s)
    if not sick:
        reasons["avoidance_s"] = "a fault on the gateway itself holds no leg, and no other fault was on"
        return None
    if not times:
        reasons["avoidance_s"] = "no attempt on the faulted legs was seen; a refused connect leaves no trace"
        return None
    dues = sorted(request.due_s for request in window)
    for index, time_s in enumerate(times):
        after = len(dues) - bisect.bisect_right(dues, time_s)
        allowed = max((end_s - time_s) / _PROBE_EVERY_S, _PROBE_SHARE * after)
        if len(times) - index - 1 <= allowed and after >= _AVOIDED_AFTER:
            return time_s - onset_s
    reasons["avoidance_s"] = "the gateway kept sending work to the faulted legs until the end"
    return None


def _detours(
    ledger: Ledger, fault: FaultRecord, window: Sequence[Request], faulted: frozenset[str], onset_s: float
) -> list[float]:
    """For each rescued request, what the try on a faulted leg cost it.

    First attempt on a healthy leg minus first attempt on a faulted one. Where a connection fault kept the first
    attempt from being seen, the extra time to the healthy leg counts instead: its `received_s` minus the request's
    `sent_s`, less the median of the same before the onset; below 50 ms nothing was paid.
    """
    usual_s = usual_way_s(ledger, onset_s)
    found = []
    for request in window:
        healthy = next((a for a in request.attempts if a.leg not in faulted), None)
        if healthy is None:
            continue
        tried = next((a for a in request.attempts if a.leg in faulted), None)
        if tried is not None and tried.received_s < healthy.received_s:
            found.append(healthy.received_s - tried.received_s)
        elif fault.plan.before_the_model and request.sent_s is not None:
            extra_s = healthy.received_s - request.sent_s - usual_s
            if extra_s > _DETOUR_AT_LEAST_S:
                found.append(extra_s)
    return found


def usual_way_s(ledger: Ledger, onset_s: float) -> float:
    """How long requests due before the onset took from their caller to a leg, the median; 0 when there were none."""
    ways = [
        r.attempts[0].received_s - r.sent_s for r in ledger.requests if r.due_s < onset_s and r.attempts and r.sent_s
    ]
    return statistics.median(ways) if ways else 0.0


_DETOUR_AT_LEAST_S = 0.05
