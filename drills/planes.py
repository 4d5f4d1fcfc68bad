"""The runner's side of the planes: start one, talk to it, keep its lease alive."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

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
from drills.legs import Leg
from faults.planes.control import HEARTBEAT_S, Apply, Clear, Heartbeat, PlaneEvent, PlaneLeg, PlaneReady, PlaneSpec

_READY_WITHIN_S = 30.0
_ANSWER_WITHIN_S = 2.0


class MitmPlane:
    """A running mitm plane. `emit` receives every event that it reports."""

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

    @classmethod
    async def start(
        cls,
        legs: Sequence[Leg],
        upstream: Mapping[str, int],
        seed: int,
        clock: Clock,
        emit: Callable[[AnyEvent], None],
        probes: str = "",
    ) -> MitmPlane:
        """Start a plane in front of the legs' loopback ports. Raises `ChildLostError` when it does not come up.

        probes: how the ids of the probes begin that prove the faults.
        """
        spec = PlaneSpec(
            origin_s=clock.origin_s,
            seed=seed,
            probes=probes,
            legs=tuple(
                PlaneLeg(
                    name=leg.name,
                    provider=leg.provider,
                    upstream_scheme="http",
                    upstream_host="127.0.0.1",
                    upstream_port=upstream[leg.name],
                )
                for leg in legs
            ),
        )
        child = await Child.start("mitm plane", "faults.planes.mitm", spec)
        try:
            line = await child.first_line(_READY_WITHIN_S)
        except BaseException:
            await child.end()
            raise
        return cls(child, msgspec.json.decode(line, type=PlaneReady), clock, emit)

    async def apply(self, fault: FaultPlan) -> None:
        """Ask for a fault and wait until it is effective."""
        self._emit(FaultRequested(fault=fault.id, at_s=self._clock.now_s()))
        command = Apply(fault=fault.id, kind=fault.kind, settings=fault.settings, legs=fault.legs, shape=fault.shape)
        await self._ask("effective", fault.id, command)

    async def clear(self, fault_id: str) -> None:
        """Ask for the end of a fault and wait until it is cleared."""
        self._emit(FaultClearRequested(fault=fault_id, at_s=self._clock.now_s()))
        await self._ask("cleared", fault_id, Clear(fault=fault_id))

    async def end(self) -> None:
        """End the plane; its faults end with it."""
        self._beating.cancel()
        await self._child.end()

    async def _ask(self, answer: str, fault_id: str, command: Apply | Clear) -> None:
        done = self._answers[answer, fault_id] = asyncio.Event()
        self._child.send(command)
        try:
            async with asyncio.timeout(_ANSWER_WITHIN_S):
                await done.wait()
        except TimeoutError:
            what = f"fault {fault_id}: the plane did not say within {_ANSWER_WITHIN_S:g} s that it is {answer}"
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
        self._emit(PlaneTrouble(at_s=self._clock.now_s(), what=f"the plane ended: {last_words}"))
        self.lost.set()
