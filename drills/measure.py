"""All measurements of a drill, computed from its history and from nothing else. Pure.

Percentiles are by the nearest-rank method on raw values; none is given that the number of values cannot support.
"""

from __future__ import annotations

import bisect
import itertools
import math
import statistics
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from drills import failback, switchover
from drills.events import THE_GATEWAY, FaultProof, Via, When
from drills.faultrecord import FaultRecord, OnWindow
from drills.ledger import Ledger
from drills.outage import Answered, client_outage
from drills.outcomes import Outcome
from drills.request import Request
from drills.result import (
    Attempts,
    Failback,
    FaultPart,
    HealthPart,
    InferredPart,
    LoadPart,
    Path,
    PhasePart,
    PlanePart,
    ProofPart,
    Requests,
    Switchover,
)
from drills.touched import tokens_that_met, touched_requests

_P99_NEEDS = 100
_Found = TypeVar("_Found")


@dataclass(frozen=True)
class Measured:
    """What the checks judge: the joined ledger, and every number computed from it."""

    ledger: Ledger
    phases: tuple[PhasePart, ...]
    faults: tuple[FaultPart, ...]
    switchovers: tuple[Switchover, ...]
    failbacks: tuple[Failback, ...]
    requests: Requests
    attempts: Attempts
    paths: tuple[Path, ...]
    load: LoadPart
    plane: PlanePart
    inferred: InferredPart | None = None
    health: HealthPart | None = None


def measure(ledger: Ledger) -> Measured:
    """Every number that a drill reports."""
    return Measured(
        ledger=ledger,
        phases=tuple(_phases(ledger)),
        faults=tuple(_fault(ledger, fault) for fault in ledger.faults),
        switchovers=_each(switchover.measure, ledger),
        failbacks=_each(failback.measure, ledger),
        requests=_requests(ledger),
        attempts=_attempts(ledger),
        paths=tuple(_paths(ledger)),
        load=_load(ledger),
        plane=_plane(ledger),
        inferred=_inferred(ledger),
        health=_health(ledger),
    )


def _each(measure_one: Callable[[Ledger, FaultRecord], _Found | None], ledger: Ledger) -> tuple[_Found, ...]:
    """What was measured for every fault that became effective."""
    found = (measure_one(ledger, fault) for fault in ledger.faults)
    return tuple(one for one in found if one is not None)


def percentile(values: Sequence[float], share: float) -> float | None:
    """Nearest-rank percentile (share 0..1), or None when there are too few values: p99 needs 100."""
    if not values or len(values) < math.ceil(round(1 / (1 - share), 6)):
        return None
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def _requests(ledger: Ledger) -> Requests:
    requests = ledger.requests
    counts = Counter(request.outcome for request in requests)
    return Requests(
        due=len(requests),
        ok=counts[Outcome.OK],
        failed=counts[Outcome.FAILED],
        unknown=counts[Outcome.UNKNOWN],
        corrupt=counts[Outcome.CORRUPT],
        not_started=counts[Outcome.NOT_STARTED],
        slow=sum(1 for request in requests if request.slow),
        broken_streams=len(broken_streams(ledger)),
    )


def broken_streams(ledger: Ledger) -> tuple[Request, ...]:
    """Streams that were being received when a fault struck and ended in an error that the caller could see."""
    faults = [fault.on_windows for fault in ledger.faults]
    return tuple(request for request in ledger.requests if any(_broken_by(request, windows) for windows in faults))


def _broken_by(request: Request, windows: Sequence[OnWindow]) -> bool:
    done = request.done
    if done is None or not request.stream or request.outcome is not Outcome.FAILED or done.first_token_s is None:
        return False
    next_one = bisect.bisect_left(windows, done.first_token_s, key=lambda window: window.on_s)
    return next_one < len(windows) and windows[next_one].began_s <= done.done_s


def _attempts(ledger: Ledger) -> Attempts:
    attempts = ledger.attempts
    sent = sum(1 for request in ledger.requests if request.sent_s is not None)
    return Attempts(
        total=len(attempts),
        per_request=len(attempts) / sent if sent else 0.0,
        by_leg=ledger.attempts_by_leg(),
        by_result=dict(sorted(Counter(attempt.result for attempt in attempts).items())),
        unexplained=len(ledger.unexplained),
        own_checks=len(ledger.own_checks),
        probes=len(ledger.probe_attempts),
        side_traffic=len(ledger.side_attempts),
    )


def _paths(ledger: Ledger) -> list[Path]:
    """The ledger, grouped: requests that took the same way with the same outcome. The rows add up to all requests."""
    ways: Counter[tuple[str, tuple[str, ...]]] = Counter()
    for request in ledger.requests:
        steps = []
        for attempt in request.attempts:
            by = f" ({', '.join(attempt.faults)})" if attempt.faults else ""
            steps.append(f"{attempt.leg}: {attempt.result}{by}")
        outcome = "ok, slow" if request.slow else request.outcome.value
        ways[outcome, tuple(steps)] += 1
    return [Path(outcome=outcome, attempts=steps, requests=count) for (outcome, steps), count in ways.most_common()]


def _load(ledger: Ledger) -> LoadPart:
    """How the load kept its promises. An application that makes its own calls promises nothing: it has no lag."""
    sent = [r for r in ledger.requests if r.sent_s is not None]
    lags = [(r.sent_s - r.due_s) * 1000 for r in sent if r.sent_s is not None and not ledger.header.inferred]
    span_s = sent[-1].due_s - sent[0].due_s if len(sent) > 1 else 0.0
    return LoadPart(
        rate_per_s=ledger.header.rate_per_s,
        achieved_per_s=(len(sent) - 1) / span_s if span_s > 0 else None,
        send_lag_p50_ms=percentile(lags, 0.5),
        send_lag_p99_ms=percentile(lags, 0.99) if len(lags) >= _P99_NEEDS else max(lags, default=None),
        send_lag_max_ms=max(lags, default=None),
    )


def _inferred(ledger: Ledger) -> InferredPart | None:
    if not ledger.header.inferred:
        return None
    return InferredPart(warm_up=len(ledger.warm_up), cut=ledger.cut, repeated=ledger.repeated)


def _health(ledger: Ledger) -> HealthPart | None:
    """The polls of the timeline. A poll is a request like any other: due when it was sent, and answered well or not."""
    start_s = ledger.timeline_s
    if not ledger.header.health or start_s is None:
        return None
    end_s = switchover.last_s(ledger) if ledger.timeline_ended_s is None else ledger.timeline_ended_s
    polls = [poll for poll in ledger.health if start_s <= poll.sent_s < end_s]
    failed = [poll for poll in polls if poll.error]
    spans = [Answered(due_s=p.sent_s, sent_s=p.sent_s, done_s=p.done_s, ok=not p.error) for p in polls]
    return HealthPart(
        url=ledger.header.health,
        polls=len(polls),
        failed=len(failed),
        outage_s=client_outage(spans, start_s, end_s, HEALTH_EVERY_S),
        errors=tuple(dict.fromkeys(poll.error for poll in failed))[:5],
    )


HEALTH_EVERY_S = 0.2
"""How far apart the polls of a health URL are."""


def _plane(ledger: Ledger) -> PlanePart:
    """Median over pairs of healthy probes of one leg, one straight to it and the next through the plane.

    Only pairs from before the timeline count: nothing else was under way then.
    """
    start_s = ledger.timeline_s if ledger.timeline_s is not None else math.inf
    models = [p for p in ledger.probes if p.via is not Via.GATEWAY and not p.identity]
    probes = [p for p in models if not p.error and p.done_s <= start_s]
    whole, tokens = [], []
    for leg in dict.fromkeys(p.leg for p in probes):
        for stream in (False, True):
            mine = [p for p in probes if p.leg == leg and p.stream is stream]
            straight = [p for p in mine if p.via is Via.DIRECT]
            through = [p for p in mine if p.via is Via.PLANE]
            for one, other in zip(straight, through, strict=False):
                if not stream:
                    whole.append((other.done_s - other.sent_s) - (one.done_s - one.sent_s))
                elif one.first_token_s is not None and other.first_token_s is not None:
                    tokens.append((other.first_token_s - other.sent_s) - (one.first_token_s - one.sent_s))
    return PlanePart(
        added_latency_p50_ms=statistics.median(whole) * 1000 if whole else None,
        added_first_token_p50_ms=statistics.median(tokens) * 1000 if tokens else None,
        samples=len(whole),
    )


def _phases(ledger: Ledger) -> list[PhasePart]:
    start_s = ledger.timeline_s
    if start_s is None:
        return []
    found = []
    edges = _phase_edges(ledger, start_s)
    for phase, (begin_s, end_s) in zip(ledger.header.phases, itertools.pairwise(edges), strict=True):
        inside = [r for r in ledger.requests if begin_s <= r.due_s < end_s]
        sent = [r for r in inside if r.sent_s is not None]
        found.append(
            PhasePart(
                basis=phase.basis,
                name=phase.name,
                start_s=begin_s,
                end_s=end_s,
                faults=phase.faults,
                due=len(inside),
                ok=sum(1 for r in inside if r.ok),
                bad=sum(1 for r in inside if not r.ok),
                slow=sum(1 for r in inside if r.slow),
                served_by=dict(Counter(r.served_by for r in inside if r.served_by is not None).most_common()),
                attempts_per_request=sum(len(r.attempts) for r in sent) / len(sent) if sent else None,
            )
        )
    return found


def _phase_edges(ledger: Ledger, start_s: float) -> list[float]:
    """Where each phase began, and where the last one ended: as seen, or as planned where it was not seen."""
    seen = {phase.phase: phase.at_s for phase in ledger.phases_seen}
    later = [seen.get(phase.name, start_s + phase.start_s) for phase in ledger.header.phases[1:]]
    planned_s = start_s + ledger.header.phases[-1].end_s
    return [start_s, *later, planned_s if ledger.timeline_ended_s is None else ledger.timeline_ended_s]


def _fault(ledger: Ledger, fault: FaultRecord) -> FaultPart:
    effective = fault.effective
    return FaultPart(
        id=fault.plan.id,
        kind=fault.plan.kind,
        legs=fault.plan.legs,
        selector=fault.plan.selector,
        requested_s=fault.requested_s,
        effective_s=fault.effective_s,
        transition_s=effective.at_s - effective.began_s if effective else None,
        cleared_s=fault.cleared_s,
        touched_requests=touched_requests(ledger, fault),
        touched_tokens=len(tokens_that_met(ledger, fault)),
        switched=len(fault.switched),
        cut_connections=sum(edge.cut for edge in (effective, *fault.switched) if edge is not None),
        held_connections=sum(edge.held for edge in (effective, *fault.switched) if edge is not None),
        hung_connects=len(fault.hung_connects),
        failed_lookups=len(fault.failed_lookups),
        handshakes=len(fault.handshakes),
        shape=str(fault.plan.shape) if fault.plan.shape is not None else "",
        proof=tuple(_proof(ledger, fault, leg) for leg in _proven_at(fault)),
    )


def _proven_at(fault: FaultRecord) -> tuple[str, ...]:
    return (THE_GATEWAY,) if fault.plan.plane == "process" else fault.plan.legs


def _proof(ledger: Ledger, fault: FaultRecord, leg: str) -> ProofPart:
    during = [proof for proof in fault.proofs if proof.leg == leg and proof.when is When.DURING]
    after = [proof for proof in fault.proofs if proof.leg == leg and proof.when is When.AFTER]
    shown, well = _telling(during), _telling(after)
    proved = shown is not None and shown.proved
    restored = well is not None and well.proved
    return ProofPart(
        leg=leg,
        before=any(proof.proved for proof in fault.proofs if proof.leg == leg and proof.when is When.BEFORE),
        during=proved,
        during_saw=shown.saw if shown else "",
        hidden_by=() if proved else _hidden_by(ledger, leg, during),
        proved_s=shown.done_s - fault.effective_s if shown and proved and fault.effective_s is not None else None,
        after=restored,
        after_saw=well.saw if well else "",
        restored_s=well.done_s - _all_clear_s(ledger, leg, well.sent_s) if well and restored else None,
    )


def _telling(proofs: Sequence[FaultProof]) -> FaultProof | None:
    """The first that proves it, or the last that does not."""
    return next((proof for proof in proofs if proof.proved), proofs[-1] if proofs else None)


def _hidden_by(ledger: Ledger, leg: str, probes: Sequence[FaultProof]) -> tuple[str, ...]:
    """Other faults that ended each of these probes too soon for it, if a probe of one of them proved it there."""
    if not probes:
        return ()
    found = [probe.beside if probe.behind is None else probe.behind for probe in probes]
    beside = [other for other in found[0] if all(other in others for others in found)]
    proved = {
        proof.fault
        for f in ledger.faults
        for proof in f.proofs
        if proof.proved and proof.when is When.DURING and proof.leg == leg
    }
    return tuple(other for other in beside if other in proved)


def _all_clear_s(ledger: Ledger, leg: str, before_s: float) -> float:
    """When the last fault on a leg was cleared before a time; that time when there was none."""
    cleared = [fault.cleared_s for fault in ledger.faults if leg in fault.plan.legs and fault.cleared_s is not None]
    return max((cleared_s for cleared_s in cleared if cleared_s <= before_s), default=before_s)
