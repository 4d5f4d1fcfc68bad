"""The runner's side of the planes: start one, talk to it, keep its lease alive."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Protocol, Self

import msgspec

from drills.children import Child
from drills.clock import Clock
from drills.events import (
    AnyEvent,
    FaultCleared,
    FaultClearRequested,
    FaultEffective,
    FaultPlan,
    FaultRequested,
    PlaneTrouble,
)
from drills.ground import OUTSIDE, Ground, Stand
from drills.legs import Leg, Sharing
from drills.problems import Problem, UsageProblem
from faults.handshake import Certificate
from faults.planes.control import (
    HEARTBEAT_S,
    Apply,
    Clear,
    Heartbeat,
    Pem,
    PlaneEvent,
    PlaneLeg,
    PlaneReady,
    SharedHost,
    ToxiSpec,
)

_READY_WITHIN_S = 30.0
_ANSWER_WITHIN_S = 2.0
_LINE_WITHIN_S = 3.0


class FaultPlane(Protocol):
    """What the runner needs of a plane. `lost` is set when it can carry nothing out any more."""

    lost: asyncio.Event

    async def apply(self, fault: FaultPlan) -> None:
        """Put a fault on; returns when it is effective."""

    async def clear(self, fault_id: str) -> None:
        """Take a fault off; returns when it is cleared."""

    async def settled(self) -> None:
        """Wait until what was hit by the faults that are off is as it was before them, where that takes its time."""


class ChildPlane:
    """A running plane in a process of its own. `emit` receives every event that it reports."""

    what = "plane"
    module = ""

    def __init__(self, child: Child, ready: PlaneReady, clock: Clock, emit: Callable[[AnyEvent], None]) -> None:
        self.ports = ready.ports
        self.version = ready.version
        self.lost = asyncio.Event()
        self._child = child
        self._clock = clock
        self._emit = emit
        self._answers: dict[tuple[str, str], asyncio.Event] = {}
        self._decoder = msgspec.json.Decoder(PlaneEvent)
        child.listen(self._hear, self._mourn)
        self._beating = asyncio.create_task(self._beat())

    @property
    def answer_within_s(self) -> float:
        """How long it may take to carry a command out."""
        return _ANSWER_WITHIN_S

    @classmethod
    async def begin(
        cls, spec: msgspec.Struct, clock: Clock, emit: Callable[[AnyEvent], None], ground: Ground = OUTSIDE
    ) -> Self:
        """Start the process. Raises `ChildLostError` when it does not come up, and `UsageProblem` when it says what a
        person must do first.
        """
        child = await Child.start(cls.what, cls.module, spec, inside=ground.namespaces)
        try:
            line = await child.first_line(_READY_WITHIN_S)
            ready = msgspec.json.decode(line, type=PlaneReady)
        except BaseException:
            await child.end()
            raise
        if ready.refused:
            await child.end()
            raise UsageProblem([Problem(why) for why in ready.refused])
        return cls(child, ready, clock, emit)

    async def apply(self, fault: FaultPlan) -> None:
        """Ask for a fault and wait until it is effective."""
        self._emit(FaultRequested(fault=fault.id, at_s=self._clock.now_s()))
        command = Apply(fault=fault.id, kind=fault.kind, settings=fault.settings, legs=fault.legs, shape=fault.shape)
        await self._ask("effective", fault.id, command)

    async def clear(self, fault_id: str) -> None:
        """Ask for the end of a fault and wait until it is cleared."""
        self._emit(FaultClearRequested(fault=fault_id, at_s=self._clock.now_s()))
        await self._ask("cleared", fault_id, Clear(fault=fault_id))

    async def settled(self) -> None:
        """Nothing to wait for: a leg is as it was before when its last fault is cleared."""

    async def end(self) -> None:
        """End the plane; its faults end with it."""
        self._beating.cancel()
        await self._child.end()

    async def _ask(self, answer: str, fault_id: str, command: Apply | Clear) -> None:
        done = self._answers[answer, fault_id] = asyncio.Event()
        self._child.send(command)
        try:
            async with asyncio.timeout(self.answer_within_s):
                await done.wait()
        except TimeoutError:
            what = (
                f"fault {fault_id}: the {self.what} did not say within {self.answer_within_s:g} s that it is {answer}"
            )
            self._emit(PlaneTrouble(at_s=self._clock.now_s(), what=what))

    async def _beat(self) -> None:
        while True:
            self._child.send(Heartbeat())
            await asyncio.sleep(HEARTBEAT_S)

    def _hear(self, line: bytes) -> None:
        event = self._decoder.decode(line)
        if isinstance(event, PlaneReady):
            raise TypeError("a plane is ready only once")
        self._emit(event)
        if isinstance(event, FaultEffective):
            self._answered("effective", event.fault)
        elif isinstance(event, FaultCleared):
            self._answered("cleared", event.fault)

    def _answered(self, answer: str, fault_id: str) -> None:
        if waiting := self._answers.get((answer, fault_id)):
            waiting.set()

    def _mourn(self, last_words: str) -> None:
        self._emit(PlaneTrouble(at_s=self._clock.now_s(), what=f"the {self.what} ended: {last_words}"))
        self.lost.set()


class MitmPlane(ChildPlane):
    """The plane for everything that HTTP and connects are about."""

    what = "mitm plane"
    module = "faults.planes.mitm"


def plane_legs(
    legs: Sequence[Leg],
    upstream: Mapping[str, int],
    certificates: Mapping[str, dict[Certificate, Pem]],
    stands: Mapping[str, Stand] = MappingProxyType({}),
    behind: Collection[str] = (),
) -> tuple[PlaneLeg, ...]:
    """The legs as the plane sees them. upstream: each provider's loopback port. certificates: of legs with TLS. stands:
    of legs that have a place of their own; behind: legs whose place is another plane's.
    """
    return tuple(
        PlaneLeg(
            name=leg.name,
            provider=leg.provider,
            upstream_scheme="http",
            upstream_host="127.0.0.1",
            upstream_port=upstream[leg.name],
            certificates=certificates.get(leg.name, {}),
            model=leg.model,
            listen=None if leg.name in behind or leg.name not in stands else stands[leg.name].endpoint,
            names=dict.fromkeys(stands[leg.name].names, stands[leg.name].endpoint[0]) if leg.name in stands else {},
        )
        for leg in legs
    )


def shared_hosts(
    shared: Mapping[str, Sharing], certificates: Mapping[str, dict[Certificate, Pem]], stands: Mapping[str, Stand]
) -> tuple[SharedHost, ...]:
    """The hosts that several legs share, as the plane sees them. All by `host:port`."""
    return tuple(
        SharedHost(
            name=name,
            legs=sharing.legs,
            deciding=sharing.deciding,
            certificates=certificates.get(name, {}),
            listen=stands[name].endpoint if name in stands else None,
            names=dict.fromkeys(stands[name].names, stands[name].endpoint[0]) if name in stands else {},
        )
        for name, sharing in shared.items()
    )


class ToxiPlane(ChildPlane):
    """The plane for the bytes on the wire: Toxiproxy in front of another plane's ports."""

    what = "toxiproxy plane"
    module = "faults.planes.toxi"

    @property
    def answer_within_s(self) -> float:
        """It grows with the lines: each whose caller does not read takes a few calls of up to a second."""
        return _ANSWER_WITHIN_S + _LINE_WITHIN_S * len(self.ports)

    @classmethod
    async def start(
        cls,
        server: str,
        upstream: Mapping[str, int],
        clock: Clock,
        emit: Callable[[AnyEvent], None],
        stands: Mapping[str, Stand] = MappingProxyType({}),
        ground: Ground = OUTSIDE,
    ) -> ToxiPlane:
        """Start a plane with a Toxiproxy server, given as its URL or as the program to start. stands: of legs that have
        a place of their own in a private network.
        """
        there = server.startswith("http:")
        spec = ToxiSpec(
            origin_s=clock.origin_s,
            upstream=dict(upstream),
            listen={leg: stands[leg].endpoint for leg in upstream if leg in stands},
            command="" if there else server,
            url=server if there else "",
        )
        return await cls.begin(spec, clock, emit, ground)
