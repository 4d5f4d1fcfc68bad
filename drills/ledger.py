"""The attempt ledger: every request of a caller joined to every attempt that it caused on the legs. Pure.

The join is by the unguessable id in the request's text, never by time or by the model's name. What does not join is
kept and named, so that the ledger adds up or says where it does not.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace

from drills import inferred
from drills.events import (
    AnyEvent,
    ArrivalDone,
    ArrivalNotStarted,
    ArrivalSent,
    AttemptDone,
    AttemptReceived,
    ConnectGone,
    ConnectHung,
    FaultCleared,
    FaultClearRequested,
    FaultEffective,
    FaultProof,
    FaultRequested,
    FaultSwitched,
    GatewayLine,
    HandshakeMet,
    HealthPoll,
    HostTried,
    LookupFailed,
    PhaseStarted,
    PlaneTrouble,
    Probe,
    ProgramEnded,
    RunEnded,
    RunStarted,
    TimelineEnded,
    TimelineStarted,
)
from drills.faultrecord import FaultRecord, OnWindow, on_windows
from drills.onthewire import OnTheWire
from drills.outcomes import Outcome, outcome_of
from drills.providers.base import Surface
from drills.request import Attempt, Request


@dataclass(frozen=True)
class Ledger:
    """Everything that a history says, joined. `requests` are in the order in which they were due.

    Of an application that makes its own calls, the requests are inferred from these: `warm_up`, `cut` and `repeated`
    as in `drills.inferred.Inferred`; `program` is how it ended, and `health` the polls of its health URL.
    """

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
    warm_up: tuple[Attempt, ...] = ()
    cut: int = 0
    repeated: int = 0
    program: ProgramEnded | None = None
    health: tuple[HealthPoll, ...] = ()

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """Every attempt that a caller's request caused, by request."""
        return tuple(attempt for request in self.requests for attempt in request.attempts)

    def tokens_asked(self, legs: Collection[str]) -> tuple[Attempt, ...]:
        """The gateway's requests for tokens on these legs, in order. They carry no id: no request owns a token."""
        found = (a for a in self.side_attempts if a.seen.surface == Surface.IDENTITY and a.leg in legs)
        return tuple(sorted(found, key=lambda attempt: attempt.received_s))

    @property
    def died_s(self) -> float | None:
        """When an application under test ended by itself with an error; None when it did not."""
        program = self.program
        return program.at_s if program is not None and program.code != 0 and not program.asked else None

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
    gone: list[ConnectGone] = field(default_factory=list)
    lookups: list[LookupFailed] = field(default_factory=list)
    handshakes: list[HandshakeMet] = field(default_factory=list)
    requested: dict[str, float] = field(default_factory=dict)
    effective: dict[str, FaultEffective] = field(default_factory=dict)
    switched: dict[str, list[FaultSwitched]] = field(default_factory=lambda: defaultdict(list))
    clear_requested: dict[str, float] = field(default_factory=dict)
    cleared: dict[str, FaultCleared] = field(default_factory=dict)
    probes: list[Probe] = field(default_factory=list)
    proofs: list[FaultProof] = field(default_factory=list)
    troubles: list[PlaneTrouble] = field(default_factory=list)
    gateway: list[GatewayLine] = field(default_factory=list)
    hosts_tried: list[HostTried] = field(default_factory=list)
    phases: list[PhaseStarted] = field(default_factory=list)
    health: list[HealthPoll] = field(default_factory=list)
    program: ProgramEnded | None = None
    timeline_s: float | None = None
    timeline_ended_s: float | None = None
    ended: RunEnded | None = None

    def on_windows(self, fault: str) -> tuple[OnWindow, ...]:
        """When a fault was on, in order."""
        return on_windows(self.effective.get(fault), self.switched[fault], self.cleared.get(fault))


def _sort(events: Iterable[AnyEvent]) -> _Raw:  # noqa: C901, PLR0912, PLR0915  one flat table of event kinds
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
            case ConnectGone():
                raw.gone.append(event)
            case LookupFailed():
                raw.lookups.append(event)
            case HandshakeMet():
                raw.handshakes.append(event)
            case FaultRequested():
                raw.requested[event.fault] = event.at_s
            case FaultEffective():
                raw.effective[event.fault] = event
            case FaultSwitched():
                raw.switched[event.fault].append(event)
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
            case ProgramEnded():
                raw.program = event
            case HealthPoll():
                raw.health.append(event)
            case RunStarted():
                pass
    return raw


def build(header: RunStarted, events: Sequence[AnyEvent]) -> Ledger:
    """Join a history."""
    raw = _sort(events)
    by_id: dict[str, list[Attempt]] = defaultdict(list)
    wired = ((plan, raw.on_windows(plan.id)) for plan in header.faults if plan.plane == "toxi")
    wire = OnTheWire(wired, raw.received, raw.finished)
    for number, seen in sorted(raw.received.items()):
        done = raw.finished.get(number)
        by_id[seen.id].append(Attempt(seen, done, tuple(wire.met_by(seen, done))))
    calls = [attempt for attempt in by_id.get("", ()) if header.inferred and inferred.is_call(attempt.seen)]
    own = _inferred(header, raw, calls)
    requests = [*own.requests] if header.inferred else _requests(raw, by_id)
    mine = {request.id for request in requests if request.id}
    probes = {probe.id for probe in raw.probes} | {proof.id for proof in raw.proofs if proof.id}
    known = mine | probes
    joined = [attempt for id_, attempts in by_id.items() if id_ not in known for attempt in attempts]
    numbers = {call.seen.attempt for call in calls}
    rest = [attempt for attempt in joined if attempt.seen.attempt not in numbers]
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
        warm_up=own.warm_up,
        cut=own.cut,
        repeated=own.repeated,
        program=raw.program,
        health=tuple(sorted(raw.health, key=lambda poll: poll.sent_s)),
    )


def _inferred(header: RunStarted, raw: _Raw, calls: Sequence[Attempt]) -> inferred.Inferred:
    """What an application's calls come to. Nothing, when there are none."""
    told_s = next((line.at_s for line in raw.gateway if line.what == "stopping"), None)
    span = inferred.Span(raw.timeline_s, raw.timeline_ended_s, told_s)
    hung = [hung for hung in raw.hung if not _is_probe(hung, raw)] if header.inferred else []
    order = inferred.order_of(header.legs)
    return inferred.requests(order, calls, inferred.hangs_of(hung, raw.gone), span, header.deadline_s)


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


def _faults(header: RunStarted, raw: _Raw) -> Iterable[FaultRecord]:
    for plan in header.faults:
        of_plan = (proof for proof in raw.proofs if proof.fault == plan.id)
        yield FaultRecord(
            plan=plan,
            requested_s=raw.requested.get(plan.id),
            effective=raw.effective.get(plan.id),
            clear_requested_s=raw.clear_requested.get(plan.id),
            cleared=raw.cleared.get(plan.id),
            hung_connects=tuple(one for one in raw.hung if plan.id in one.faults and not _is_probe(one, raw)),
            failed_lookups=tuple(one for one in raw.lookups if plan.id in one.faults and not _is_probe(one, raw)),
            handshakes=tuple(one for one in raw.handshakes if plan.id in one.faults and not _is_probe(one, raw)),
            proofs=tuple(sorted(of_plan, key=lambda proof: proof.sent_s)),
            switched=tuple(sorted(raw.switched[plan.id], key=lambda edge: edge.at_s)),
        )


_SEEN_LATE_S = 0.5
"""A hanging connect is seen by looking now and then: it may be reported after it was given up."""


def _is_probe(seen: ConnectHung | LookupFailed | HandshakeMet, raw: _Raw) -> bool:
    legs = seen.legs if isinstance(seen, LookupFailed) else (seen.leg, *seen.beside)
    return seen.port != 0 and any(
        proof.leg in legs and proof.port == seen.port and proof.sent_s <= seen.seen_s <= proof.done_s + _SEEN_LATE_S
        for proof in raw.proofs
    )
