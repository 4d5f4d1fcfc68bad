"""The attempt ledger: every request of a caller joined to every attempt that it caused on the legs. Pure.

The join is by the unguessable id in the request's text, never by time or by the model's name. What does not join is
kept and named, so that the ledger adds up or says where it does not.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace

from drills.events import (
    AnyEvent,
    ArrivalDone,
    ArrivalNotStarted,
    ArrivalSent,
    AttemptDone,
    AttemptReceived,
    AttemptResult,
    ConnectHung,
    FaultCleared,
    FaultClearRequested,
    FaultEffective,
    FaultPlan,
    FaultProof,
    FaultRequested,
    GatewayLine,
    HandshakeMet,
    HostTried,
    PhaseStarted,
    PlaneTrouble,
    Probe,
    RunEnded,
    RunStarted,
    TimelineEnded,
    TimelineStarted,
)
from drills.outcomes import Outcome, outcome_of
from drills.providers.base import Surface


@dataclass(frozen=True)
class Attempt:
    """One request of the gateway on one leg. Times on the run's clock; `done` is None when its end was never seen."""

    seen: AttemptReceived
    done: AttemptDone | None
    on_the_wire: tuple[str, ...] = ()
    """Faults of the Toxiproxy plane that were at its leg while it was under way; it sees no requests."""

    @property
    def leg(self) -> str:
        """The leg that it went to."""
        return self.seen.leg

    @property
    def received_s(self) -> float:
        """When its headers were at the plane."""
        return self.seen.received_s

    @property
    def faults(self) -> tuple[str, ...]:
        """Ids of the faults that touched it."""
        return (*self.on_the_wire, *(self.done.faults if self.done else ()))

    @property
    def result(self) -> str:
        """How it ended."""
        return self.done.result.value if self.done else "unfinished"


@dataclass(frozen=True)
class Request:
    """One arrival: what the caller asked, got, and which attempts that took.

    served_by: the one leg that wrote the whole answer; None unless the outcome is ok.
    slow: an ok answer that came too late (filled in by `Ledger`, which knows the limit).
    """

    seq: int
    id: str
    stream: bool
    due_s: float
    sent_s: float | None
    done: ArrivalDone | None
    outcome: Outcome
    attempts: tuple[Attempt, ...]
    slow: bool = False

    @property
    def served_by(self) -> str | None:
        """The leg that answered, for an ok answer."""
        return self.done.legs[0] if self.done is not None and self.outcome is Outcome.OK else None

    @property
    def done_s(self) -> float | None:
        """When it ended."""
        return self.done.done_s if self.done else None

    @property
    def latency_s(self) -> float | None:
        """From due to done."""
        return self.done.done_s - self.due_s if self.done else None

    @property
    def token_latency_s(self) -> float | None:
        """From due to the first token."""
        if self.done is None or self.done.first_token_s is None:
            return None
        return self.done.first_token_s - self.due_s

    @property
    def ok(self) -> bool:
        """A complete answer from one leg."""
        return self.outcome is Outcome.OK

    @property
    def good(self) -> bool:
        """Ok and not slow."""
        return self.ok and not self.slow


@dataclass(frozen=True)
class FaultRecord:
    """What became of one fault of the plan. Times are None where it never came so far.

    hung_connects, handshakes: of the gateway, not of the drill's own probes, which are in `proofs`.
    """

    plan: FaultPlan
    requested_s: float | None
    effective: FaultEffective | None
    clear_requested_s: float | None
    cleared: FaultCleared | None
    hung_connects: tuple[ConnectHung, ...]
    proofs: tuple[FaultProof, ...] = ()
    handshakes: tuple[HandshakeMet, ...] = ()

    @property
    def effective_s(self) -> float | None:
        """From when every connection met it."""
        return self.effective.at_s if self.effective else None

    @property
    def cleared_s(self) -> float | None:
        """From when no connection met it."""
        return self.cleared.at_s if self.cleared else None


@dataclass(frozen=True)
class Ledger:
    """Everything that a history says, joined. `requests` are in the order in which they were due."""

    header: RunStarted
    timeline_s: float | None
    requests: tuple[Request, ...]
    faults: tuple[FaultRecord, ...]
    probes: tuple[Probe, ...]
    probe_attempts: tuple[Attempt, ...]
    side_attempts: tuple[Attempt, ...]
    own_checks: tuple[Attempt, ...]
    unexplained: tuple[Attempt, ...]
    troubles: tuple[PlaneTrouble, ...]
    gateway: tuple[GatewayLine, ...]
    phases_seen: tuple[PhaseStarted, ...]
    timeline_ended_s: float | None
    ended: RunEnded | None
    slow_limit_s: float | None
    slow_token_limit_s: float | None
    hosts_tried: tuple[HostTried, ...] = ()

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """Every attempt that a caller's request caused, by request."""
        return tuple(attempt for request in self.requests for attempt in request.attempts)

    def attempts_by_leg(self) -> dict[str, int]:
        """Callers' attempts on every leg, legs without any included."""
        counts = Counter(attempt.leg for attempt in self.attempts)
        return {leg.name: counts[leg.name] for leg in self.header.legs}


@dataclass
class _Raw:
    sent: dict[int, ArrivalSent] = field(default_factory=dict)
    done: dict[int, ArrivalDone] = field(default_factory=dict)
    not_started: dict[int, ArrivalNotStarted] = field(default_factory=dict)
    received: dict[int, AttemptReceived] = field(default_factory=dict)
    finished: dict[int, AttemptDone] = field(default_factory=dict)
    hung: list[ConnectHung] = field(default_factory=list)
    handshakes: list[HandshakeMet] = field(default_factory=list)
    requested: dict[str, float] = field(default_factory=dict)
    effective: dict[str, FaultEffective] = field(default_factory=dict)
    clear_requested: dict[str, float] = field(default_factory=dict)
    cleared: dict[str, FaultCleared] = field(default_factory=dict)
    probes: list[Probe] = field(default_factory=list)
    proofs: list[FaultProof] = field(default_factory=list)
    troubles: list[PlaneTrouble] = field(default_factory=list)
    gateway: list[GatewayLine] = field(default_factory=list)
    hosts_tried: list[HostTried] = field(default_factory=list)
    phases: list[PhaseStarted] = field(default_factory=list)
    timeline_s: float | None = None
    timeline_ended_s: float | None = None
    ended: RunEnded | None = None


def _sort(events: Iterable[AnyEvent]) -> _Raw:  # noqa: C901, PLR0912  one flat table of event kinds
    raw = _Raw()
    for event in events:
        match event:
            case ArrivalSent():
                raw.sent[event.seq] = event
            case ArrivalDone():
                raw.done[event.seq] = event
            case ArrivalNotStarted():
                raw.not_started[event.seq] = event
            case AttemptReceived():
                raw.received[event.attempt] = event
            case AttemptDone():
                raw.finished[event.attempt] = event
            case ConnectHung():
                raw.hung.append(event)
            case HandshakeMet():
                raw.handshakes.append(event)
            case FaultRequested():
                raw.requested[event.fault] = event.at_s
            case FaultEffective():
                raw.effective[event.fault] = event
            case FaultClearRequested():
                raw.clear_requested[event.fault] = event.at_s
            case FaultCleared():
                raw.cleared[event.fault] = event
            case Probe():
                raw.probes.append(event)
            case FaultProof():
                raw.proofs.append(event)
            case PlaneTrouble():
                raw.troubles.append(event)
            case HostTried():
                raw.hosts_tried.append(event)
            case GatewayLine():
                raw.gateway.append(event)
            case PhaseStarted():
                raw.phases.append(event)
            case TimelineStarted():
                raw.timeline_s = event.at_s
            case TimelineEnded():
                raw.timeline_ended_s = event.at_s
            case RunEnded():
                raw.ended = event
            case RunStarted():
                pass
    return raw


def build(header: RunStarted, events: Sequence[AnyEvent]) -> Ledger:
    """Join a history."""
    raw = _sort(events)
    by_id: dict[str, list[Attempt]] = defaultdict(list)
    for number, seen in sorted(raw.received.items()):
        done = raw.finished.get(number)
        by_id[seen.id].append(Attempt(seen, done, tuple(_on_the_wire(header, raw, seen, done))))
    requests = _requests(raw, by_id)
    mine = {request.id for request in requests if request.id}
    probes = {probe.id for probe in raw.probes} | {proof.id for proof in raw.proofs if proof.id}
    rest = [attempt for id_, attempts in by_id.items() if id_ not in mine | probes for attempt in attempts]
    on_models = [attempt for attempt in rest if attempt.seen.surface == Surface.MODEL]
    limit_s, token_limit_s = _slow_limits(header, requests, raw)
    return Ledger(
        header=header,
        timeline_s=raw.timeline_s,
        requests=tuple(_flagged(requests, limit_s, token_limit_s)),
        faults=tuple(_faults(header, raw)),
        probes=tuple(raw.probes),
        probe_attempts=tuple(attempt for id_ in probes for attempt in by_id.get(id_, ())),
        side_attempts=tuple(attempt for attempt in rest if attempt.seen.surface != Surface.MODEL),
        own_checks=tuple(attempt for attempt in on_models if header.own_checks and not attempt.seen.id),
        unexplained=tuple(attempt for attempt in on_models if not header.own_checks or attempt.seen.id),
        troubles=tuple(raw.troubles),
        gateway=tuple(raw.gateway),
        hosts_tried=tuple(raw.hosts_tried),
        phases_seen=tuple(raw.phases),
        timeline_ended_s=raw.timeline_ended_s,
        ended=raw.ended,
        slow_limit_s=limit_s,
        slow_token_limit_s=token_limit_s,
    )


def _requests(raw: _Raw, by_id: dict[str, list[Attempt]]) -> list[Request]:
    found = [
        Request(
            seq=sent.seq,
            id=sent.id,
            stream=sent.stream,
            due_s=sent.due_s,
            sent_s=sent.sent_s,
            done=raw.done.get(sent.seq),
            outcome=outcome_of(raw.done.get(sent.seq)),
            attempts=tuple(sorted(by_id.get(sent.id, ()), key=lambda attempt: attempt.received_s)),
        )
        for sent in raw.sent.values()
    ]
    found += [
        Request(
            seq=missed.seq,
            id="",
            stream=False,
            due_s=missed.due_s,
            sent_s=None,
            done=None,
            outcome=Outcome.NOT_STARTED,
            attempts=(),
        )
        for missed in raw.not_started.values()
    ]
    return sorted(found, key=lambda request: (request.due_s, request.seq))


def _slow_limits(header: RunStarted, requests: Sequence[Request], raw: _Raw) -> tuple[float | None, float | None]:
    """The scenario's limit for both, or a second above the slowest of the healthy start (whole answer, first token)."""
    if header.slow_s is not None:
        return header.slow_s, header.slow_s
    first_fault_s = min((effective.began_s for effective in raw.effective.values()), default=float("inf"))
    steady = [r for r in requests if r.ok and r.done_s is not None and r.done_s < first_fault_s]
    whole = [r.latency_s for r in steady if r.latency_s is not None]
    tokens = [r.token_latency_s for r in steady if r.stream and r.token_latency_s is not None]
    return (max(whole) + 1 if whole else None, max(tokens) + 1 if tokens else None)


def _flagged(requests: Iterable[Request], limit_s: float | None, token_limit_s: float | None) -> Iterable[Request]:
    for request in requests:
        late = limit_s is not None and request.latency_s is not None and request.latency_s > limit_s
        token_s = request.token_latency_s if request.stream else None
        late_token = token_limit_s is not None and token_s is not None and token_s > token_limit_s
        slow = request.ok and (late or late_token)
        yield replace(request, slow=True) if slow else request


def _on_the_wire(header: RunStarted, raw: _Raw, seen: AttemptReceived, done: AttemptDone | None) -> Iterable[str]:
    """Faults at the leg during an attempt; one that was put on while it was answered whole may have missed it."""
    for fault in header.faults:
        effective, cleared = raw.effective.get(fault.id), raw.cleared.get(fault.id)
        if fault.plane != "toxi" or seen.leg not in fault.legs or effective is None:
            continue
        whole = done is not None and done.result is AttemptResult.ANSWERED
        ends_s = float("inf") if done is None else done.done_s
        begins_s = effective.at_s if whole else effective.began_s
        if ends_s >= begins_s and (cleared is None or seen.received_s < cleared.began_s):
            yield fault.id


def _faults(header: RunStarted, raw: _Raw) -> Iterable[FaultRecord]:
    for plan in header.faults:
        of_plan = (proof for proof in raw.proofs if proof.fault == plan.id)
        yield FaultRecord(
            plan=plan,
            requested_s=raw.requested.get(plan.id),
            effective=raw.effective.get(plan.id),
            clear_requested_s=raw.clear_requested.get(plan.id),
            cleared=raw.cleared.get(plan.id),
            hung_connects=tuple(hung for hung in raw.hung if plan.id in hung.faults and not _is_probe(hung, raw)),
            handshakes=tuple(met for met in raw.handshakes if plan.id in met.faults and not _is_probe(met, raw)),
            proofs=tuple(sorted(of_plan, key=lambda proof: proof.sent_s)),
        )


_SEEN_LATE_S = 0.5
"""A hanging connect is seen by looking now and then: it may be reported after it was given up."""


def _is_probe(seen: ConnectHung | HandshakeMet, raw: _Raw) -> bool:
    at_s = seen.seen_s if isinstance(seen, ConnectHung) else seen.at_s
    return seen.port != 0 and any(
        (proof.leg, proof.port) == (seen.leg, seen.port) and proof.sent_s <= at_s <= proof.done_s + _SEEN_LATE_S
        for proof in raw.proofs
    )


def may_have_answered(request: Request, attempt: Attempt, at_connections: Collection[str] = ()) -> bool:
    """Whether the caller's answer may come from this attempt: the leg began to answer before it, and did not fail.

    A gateway may hang up as soon as it has read the end mark, so an abandoned attempt can have been whole. So can a
    stream that a fault broke behind its last word, or in an event that the gateway passes over; and an answer whose
    connection was reset when all of it had gone out (`at_connections`: ids of the faults that do so).
    """
    if attempt.done is None:
        return True
    # What the caller had before the leg began to answer, the leg did not say.
    had_s = None if request.done is None else (request.done.first_token_s or request.done.done_s)
    if had_s is not None and attempt.done.answered_s is not None and attempt.done.answered_s > had_s:
        return False
    if attempt.done.result is AttemptResult.FAULTED:
        breaks = attempt.seen.stream or not set(at_connections).isdisjoint(attempt.done.faults)
        return breaks and attempt.done.status is not None and attempt.done.status < 400
    return attempt.done.answered_s is not None and attempt.done.result in {
        AttemptResult.ANSWERED,
        AttemptResult.ABANDONED,
    }
