"""Proves every fault: that it is on while it is on, and that its legs are well again afterwards.

Each proof is a probe straight to a faulted leg, past the gateway and through every plane that the gateway's own
requests go through (Toxiproxy's line, where the leg has one, and the mitm plane), in a task of its own: the load
waits for none of them. A probe's id begins with a secret of the run that the plane knows, so that the shapes of faults
always hit it and never count it. What a probe has to show, the fault itself decides. Faults on
the gateway itself hit no leg: their plane proves them (`drills/gatewayplane.py`).
"""

from __future__ import annotations

import asyncio
import secrets
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from drills import providers
from drills.address import Reach
from drills.answersize import PROBE_SHARE, extent, words_of_probe
from drills.chat import read_whole
from drills.client import FaultProber
from drills.clock import Clock
from drills.events import THE_GATEWAY, FaultPlan, FaultProof, Probe, Via, When
from drills.legs import Leg
from drills.marks import DEFAULT_WORDS, Mark, Shape, read_answer, read_unsigned
from drills.proving import Proof
from faults.base import Fault, Lookups, kinds
from faults.beside import Beside, added_s, judge
from faults.proof import Came, Extent, ProbeOutcome

QUIET_S = 1.2
"""What comes so much later than usual does not come, for a probe."""
_TRIES = 2
RESTORED_WITHIN_S = 3.0
_PAUSE_S = 0.05
_SECRET_BYTES = 5

Emit = Callable[[FaultProof], None]


def new_secret() -> str:
    """How the ids of a run's proof probes begin: no gateway can guess it."""
    return secrets.token_hex(_SECRET_BYTES)


@dataclass(frozen=True)
class Timing:
    """How long the providers' answers are, and how fast they come: a probe asks for as many words as callers do."""

    words: int
    tokens_per_s: float


class _Way(NamedTuple):
    """How a fault is probed: with a streamed answer or not; whether the end of the connection is waited for; whether it
    is the identity service that is asked and not the model; whether the name of the leg's host is looked up first; and
    whether the probe speaks plain HTTP where the gateway speaks TLS.

    The legs' ports serve both. A TLS handshake crosses the wire as well and meets what is wrong there before any
    request; what faults on the wire prove is about the bytes of an answer.
    """

    stream: bool
    to_end: bool
    identity: bool
    by_name: bool
    plain: bool


@dataclass(frozen=True)
class _Seen:
    """A probe that ended."""

    id: str
    leg: str
    stream: bool
    proof: Proof

    @property
    def outcome(self) -> ProbeOutcome:
        """What it met."""
        return self.proof.outcome

    @property
    def stopped(self) -> bool:
        """Whether it was given up."""
        return self.outcome.came is Came.STOPPED


class Prover:
    """Probes the legs of faults. Everything that it finds out is an event."""

    def __init__(
        self,
        legs: Sequence[Leg],
        reach: Reach,
        clock: Clock,
        emit: Emit,
        secret: str,
        timing: Timing,
    ) -> None:
        self._legs = {leg.name: leg for leg in legs}
        self._addresses = reach.addresses
        self._identity = reach.addresses | reach.identity
        self._names, self._dress = reach.names, reach.dress
        self._clock = clock
        self._emit = emit
        self._secret = secret
        self._words = words_of_probe(timing.words)
        self._longer_s = (self._words - DEFAULT_WORDS) / timing.tokens_per_s
        self._prober = FaultProber(clock, reach.authority, reach.ground)
        self._usual_s: dict[tuple[str, bool, bool], float] = {}
        self._on: dict[str, dict[str, FaultPlan]] = {leg.name: {} for leg in legs}
        self._owed: dict[str, dict[str, FaultPlan]] = {leg.name: {} for leg in legs}
        self._proving: dict[str, asyncio.Task[None]] = {}
        self._restoring: dict[str, asyncio.Task[None]] = {}

    async def aclose(self) -> None:
        """Give every probe up."""
        tasks = [*self._proving.values(), *self._restoring.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._prober.aclose()

    def healthy(self, faults: Sequence[FaultPlan], probes: Sequence[Probe]) -> None:
        """Take the healthy legs' answers from before the timeline for what is usual, and as the proofs before."""
        for leg in self._legs:
            for stream, identity in ((False, False), (True, False), (False, True)):
                took = [p.done_s - p.sent_s for p in _through(probes, leg, stream, identity) if not p.error]
                if took:
                    longer_s = 0.0 if identity else self._longer_s
                    self._usual_s[leg, stream, identity] = statistics.median(took) + longer_s
        for fault in faults:
            if fault.plane == "process":
                for last in [p for p in probes if p.via is Via.GATEWAY][-1:]:
                    self._before(fault.id, THE_GATEWAY, last)
            for leg in fault.legs:
                way = _way(fault)
                for last in _through(probes, leg, way.stream, way.identity)[-1:]:
                    self._before(fault.id, leg, last)

    def _before(self, fault: str, leg: str, probe: Probe) -> None:
        self._emit(
            FaultProof(
                fault=fault,
                leg=leg,
                when=When.BEFORE,
                id=probe.id,
                port=0,
                stream=probe.stream,
                sent_s=probe.sent_s,
                done_s=probe.done_s,
                proved=not probe.error,
                saw=probe.error or f"a whole answer, {probe.done_s - probe.sent_s:.2f} s",
            )
        )

    def began(self, fault: FaultPlan, left_s: float) -> None:
        """A fault became effective; it will be cleared in `left_s`, or sooner."""
        for leg in fault.legs:
            self._on[leg][fault.id] = fault
        self._proving[fault.id] = asyncio.create_task(self._prove(fault, self._clock.now_s() + left_s))

    async def settled(self) -> None:
        """Wait until no probe is under way."""
        if tasks := [task for task in (*self._proving.values(), *self._restoring.values()) if not task.done()]:
            await asyncio.wait(tasks)

    def begins(self, fault: FaultPlan) -> None:
        """A fault is about to be put on: legs that were to be proven well again will be so after it."""
        for leg in fault.legs:
            if (task := self._restoring.pop(leg, None)) is not None:
                task.cancel()

    def ends(self, fault: FaultPlan) -> None:
        """A fault is about to be cleared: what its probes see from now on says nothing about it."""
        if (task := self._proving.get(fault.id)) is not None:
            task.cancel()

    def ended(self, fault: FaultPlan) -> None:
        """A fault was cleared. A leg on which no other fault is left must be well now."""
        for leg in fault.legs:
            self._on[leg].pop(fault.id, None)
            self._owed[leg][fault.id] = fault
            if not self._on[leg]:
                self._restoring[leg] = asyncio.create_task(self._restore(leg))

    async def _prove(self, fault: FaultPlan, until_s: float) -> None:
        await asyncio.gather(*(self._prove_leg(fault, leg, until_s) for leg in fault.legs))

    async def _prove_leg(self, fault: FaultPlan, leg: str, until_s: float) -> None:
        spec, way, since_s = _fault(fault), _way(fault), self._clock.now_s()
        for _ in range(_TRIES):
            left_s = until_s - self._clock.now_s()
            if fault.square is not None:
                # Of a fault that flaps as a whole, a probe must come and go while it is on.
                wait_s, on_s = fault.square.on_window_s(self._clock.now_s() - since_s, fault.square.on_s / 2)
                if wait_s >= left_s:
                    return
                await asyncio.sleep(wait_s)
                left_s = min(left_s - wait_s, on_s)
            beside, answer = self._others(fault, leg), self._extent(leg, way)
            within_s = min(self._usually_s(leg, way) + added_s(beside, answer) + QUIET_S, PROBE_SHARE * left_s)
            seen = await self._probe(leg, way, within_s)
            beside = tuple(dict.fromkeys((*beside, *self._others(fault, leg))))
            judged = judge(spec, beside, seen.outcome, answer)
            self._report(fault.id, When.DURING, seen, judged.proved, tuple(other.id for other in beside), judged.behind)
            if judged.proved or seen.stopped:
                return

    def _others(self, fault: FaultPlan, leg: str) -> tuple[Beside, ...]:
        """The other faults that are on at a leg."""
        order = list(self._on[leg])
        mine = order.index(fault.id) if fault.id in order else len(order)
        others = [(place, other) for place, other in enumerate(order) if other != fault.id]
        return tuple(Beside(id_, _fault(self._on[leg][id_]), first=place < mine) for place, id_ in others)

    def _extent(self, leg: str, way: _Way) -> Extent:
        if way.identity:
            return Extent(0, to_end=way.to_end)
        return extent(self._legs[leg], self._words, stream=way.stream, to_end=way.to_end)

    async def _restore(self, leg: str) -> None:
        """Probe a leg until it answers as it did before every fault that has ended on it."""
        until_s = self._clock.now_s() + RESTORED_WITHIN_S
        for way in sorted({_way(fault) for fault in self._owed[leg].values()}):
            while owed := [fault for fault in self._owed[leg].values() if _way(fault) == way]:
                seen = await self._probe(leg, way, self._usually_s(leg, way) + QUIET_S)
                for fault in owed:
                    proved = _fault(fault).restored(seen.outcome)
                    self._report(fault.id, When.AFTER, seen, proved)
                    if proved:
                        del self._owed[leg][fault.id]
                if seen.stopped or self._clock.now_s() > until_s:
                    return
                await asyncio.sleep(_PAUSE_S)

    def _usually_s(self, leg: str, way: _Way) -> float:
        return self._usual_s.get((leg, way.stream, way.identity), 0.0)

    async def _probe(self, leg: str, way: _Way, within_s: float) -> _Seen:
        stream = way.stream
        provider = providers.get(self._legs[leg].provider)
        mark = Mark(self._secret + secrets.token_hex(8 - _SECRET_BYTES), self._words)
        request = provider.probe(self._legs[leg].model, mark.prompt(), stream)
        if way.identity:
            request = providers.identity(self._legs[leg].provider).identity_probe(mark.prompt())
        if leg in self._dress:
            request = self._dress[leg].on(request)
        name = self._names[leg] if way.by_name else ""
        to = (self._identity if way.identity else self._addresses)[leg]
        if way.plain:
            to = msgspec.structs.replace(to, host="")
        proof = await self._prober.send(to, request, within_s, to_end=way.to_end, name=name)
        outcome = msgspec.structs.replace(proof.outcome, usual_s=self._usually_s(leg, way))
        if stream and outcome.status == 200:
            ends, _ = provider.count_events(outcome.body, b"")
            outcome = msgspec.structs.replace(outcome, events=len(ends))
        if outcome.came is Came.WHOLE and (wrong := self._wrong(leg, mark, way, outcome)):
            shape, detail = wrong
            outcome = msgspec.structs.replace(outcome, came=Came.WRONG, shape=shape, detail=detail)
        return _Seen(mark.id, leg, stream, msgspec.structs.replace(proof, outcome=outcome))

    def _wrong(self, leg: str, mark: Mark, way: _Way, outcome: ProbeOutcome) -> tuple[Shape | None, str] | None:
        """What is wrong with an answer that ended well, with its shape where it can be read; None when nothing is."""
        try:
            if way.identity:
                providers.identity(self._legs[leg].provider).read_token(outcome.body)
                return None
            if leg in self._dress:
                reading = read_unsigned(read_whole(way.stream, outcome.body), leg)
            else:
                reading = read_answer(providers.get(self._legs[leg].provider).read(way.stream, outcome.body), mark)
        except ValueError as problem:
            return None, str(problem)[:200]
        if reading.shape is Shape.WHOLE and reading.legs == (leg,):
            return None
        return reading.shape, f"it is {reading.shape}, from {', '.join(reading.legs) or 'nobody'}"

    def _report(
        self,
        fault: str,
        when: When,
        seen: _Seen,
        proved: bool,
        beside: tuple[str, ...] = (),
        behind: tuple[str, ...] = (),
    ) -> None:
        self._emit(
            FaultProof(
                fault=fault,
                leg=seen.leg,
                when=when,
                id=seen.id,
                port=seen.proof.port,
                stream=seen.stream,
                sent_s=seen.proof.sent_s,
                done_s=seen.proof.done_s,
                proved=proved,
                saw=str(seen.outcome),
                beside=beside,
                behind=behind,
            )
        )


def _way(plan: FaultPlan) -> _Way:
    fault = _fault(plan)
    by_name, plain = fault.lookups() is not Lookups.ANSWERED, fault.plane == "toxi"
    return _Way(fault.probe_streams, fault.probe_closes, fault.of_identity, by_name, plain)


def _through(probes: Sequence[Probe], leg: str, stream: bool, identity: bool) -> list[Probe]:
    """The probes of one kind that went through the plane to a leg."""
    wanted = (leg, Via.PLANE, stream, identity)
    return [probe for probe in probes if (probe.leg, probe.via, probe.stream, probe.identity) == wanted]


def _fault(plan: FaultPlan) -> Fault:
    return msgspec.convert(plan.settings, kinds()[plan.kind])
