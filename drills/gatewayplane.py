"""The process plane: faults on the gateway itself. The gateway's keeper is its parent, so the keeper carries them out.

Orders go to the keeper's input; its reports come over a pipe of their own, because its output is the gateway's log.
A fault that flaps is switched from here, an order for each edge; what an order did is a lease of the keeper's.
That a fault is over is proved by the gateway itself: it must be ready again, as it was when the drill began.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import msgspec

from drills.children import Child
from drills.clock import Clock
from drills.events import (
    THE_GATEWAY,
    AnyEvent,
    FaultCleared,
    FaultClearRequested,
    FaultEffective,
    FaultPlan,
    FaultProof,
    FaultRequested,
    FaultSwitched,
    PlaneTrouble,
    When,
)
from drills.ground import OUTSIDE, Ground
from drills.keeper import STOP_WITHIN_S, Beat, Did, Do, Keep
from faults.base import Deed, Deeds, kinds
from faults.planes.control import HEARTBEAT_S
from faults.planes.flaps import Flaps
from faults.shapes import Square

_ANSWER_WITHIN_S = STOP_WITHIN_S + 3.0
READY_POLL_S = 0.1


@dataclass(frozen=True)
class Readiness:
    """How a gateway says that it is ready (`ask`), and how long its start may take."""

    ask: Callable[[], Awaitable[bool]]
    within_s: float


@dataclass
class _On:
    """A fault that was put on and not cleared.

    on: false while it is off for now, because it flaps. undone: what the keeper said of undoing it last.
    """

    deeds: Deeds
    on: bool = True
    undone: tuple[Did, ...] = ()
    flapping: asyncio.Task[None] | None = None


class GatewayPlane:
    """The runner's side of a gateway's keeper."""

    def __init__(self, clock: Clock, emit: Callable[[AnyEvent], None]) -> None:
        self.lost = asyncio.Event()  # never set: a gateway that ends by itself is no loss of a plane
        self._clock = clock
        self._emit = emit
        self._child: Child | None = None
        self._on: dict[str, _On] = {}
        self._turn = asyncio.Lock()
        self._waiting: dict[int, asyncio.Future[Did]] = {}
        self._tasks: tuple[asyncio.Task[None], ...] = ()
        self._readiness: Readiness | None = None
        self._returning: set[asyncio.Task[None]] = set()

    async def start(self, name: str, keep: Keep, readiness: Readiness, ground: Ground = OUTSIDE) -> Child:
        """Start a gateway under a keeper that takes orders."""
        self._readiness = readiness
        reading, writing = os.pipe()
        try:
            keep = msgspec.structs.replace(keep, report_fd=writing)
            self._child = await Child.start(name, "drills.keeper", keep, pass_fds=(writing,), inside=ground.namespaces)
        except BaseException:
            os.close(reading)
            raise
        finally:
            os.close(writing)
        self._tasks = (asyncio.create_task(self._listen(reading)), asyncio.create_task(self._beat()))
        return self._child

    async def apply(self, fault: FaultPlan) -> None:
        """Do to the gateway what the fault says, and wait until it is done."""
        self._emit(FaultRequested(fault=fault.id, at_s=self._clock.now_s()))
        deeds = msgspec.convert(fault.settings, kinds()[fault.kind]).deeds()
        if deeds is None:
            raise ValueError(f"{fault.kind} does not say what to do")
        async with self._turn:
            on = self._on[fault.id] = _On(deeds)
            for number, deed in enumerate(deeds.begin):
                did = await self._do(fault.id, deed)
                if did is None:
                    return
                if number == 0:
                    began_s, at_s = self._since_origin(did)
                    self._emit(FaultEffective(fault=fault.id, legs=(), began_s=began_s, at_s=at_s))
                    self._prove(fault.id, When.DURING, did)
                elif not deeds.end:
                    self._returns(fault.id, did)
        if fault.square is not None:
            on.flapping = asyncio.create_task(self._flap(fault.id, fault.square))

    async def clear(self, fault_id: str) -> None:
        """Undo a fault, and wait until that is done."""
        self._emit(FaultClearRequested(fault=fault_id, at_s=self._clock.now_s()))
        async with self._turn:  # a switch that is under way comes to its end first
            began_s = self._clock.now_s()
            on = self._on.pop(fault_id, None)
            if on is None:
                return  # the keeper has undone it already, and the history says why
            if on.flapping is not None:
                on.flapping.cancel()
            # Off already, nothing is left to do: what was seen when it went off counts, from now on.
            now_s = began_s + self._clock.origin_s
            before = [msgspec.structs.replace(did, began_s=now_s, at_s=now_s) for did in on.undone]
            for did in [await self._do(fault_id, deed) for deed in on.deeds.end] if on.on else before:
                if did is None:
                    return
                self._returns(fault_id, did)
            self._emit(FaultCleared(fault=fault_id, began_s=began_s, at_s=self._clock.now_s()))

    async def settled(self) -> None:
        """Wait until the gateway is ready again after every fault that is off, or has had its time for that."""
        if self._returning:
            await asyncio.wait(self._returning)

    async def end(self) -> None:
        """Stop listening. The keeper undoes everything when its input ends."""
        flapping = [on.flapping for on in self._on.values() if on.flapping is not None]
        tasks = (*self._tasks, *flapping, *self._returning)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _flap(self, fault_id: str, square: Square) -> None:
        """Switch a fault off and on again, until it is cleared or the keeper fails."""
        flaps = Flaps()
        flaps.begin(fault_id, square, self._clock.now_s())
        while (wait_s := flaps.wait_s(self._clock.now_s())) is not None:
            await asyncio.sleep(wait_s)
            async with self._turn:
                on = self._on.get(fault_id)
                if on is None:
                    return
                for _, wanted in flaps.due(self._clock.now_s()):
                    if not await self._switch(fault_id, on, wanted):
                        return

    async def _switch(self, fault_id: str, on: _On, wanted: bool) -> bool:
        """One edge of a flapping fault, carried out as its beginning and its end; whether that could be done.

        A fault whose end needs no deed, as that of a restart, is off as soon as its time has come.
        """
        done = []
        for deed in on.deeds.begin if wanted else on.deeds.end:
            did = await self._do(fault_id, deed)
            if did is None:
                return False
            done.append(did)
        spans = [self._since_origin(did) for did in done] or [(self._clock.now_s(), self._clock.now_s())]
        began_s, at_s = spans[0][0], spans[0 if wanted else -1][1]
        on.on = wanted
        on.undone = on.undone if wanted else tuple(done)
        self._emit(FaultSwitched(fault=fault_id, on=wanted, began_s=began_s, at_s=at_s))
        return True

    async def _do(self, fault_id: str, deed: Deed) -> Did | None:
        """One order; None, and trouble, when it was not carried out."""
        if self._child is None:
            raise RuntimeError("a gateway is started before the first fault")
        number = len(self._waiting) + 1
        answer: asyncio.Future[Did] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        self._child.send(Do(number=number, deed=deed))
        try:
            did = await asyncio.wait_for(answer, _ANSWER_WITHIN_S)
            why = did.error
        except TimeoutError:
            why = f"its keeper did not say so within {_ANSWER_WITHIN_S:g} s"
        if why:
            what = f"fault {fault_id}: cannot {deed} the gateway: {why}"
            self._emit(PlaneTrouble(at_s=self._clock.now_s(), what=what))
            return None
        return did

    def _returns(self, fault_id: str, did: Did) -> None:
        """The gateway's process is there again; it counts as back when it is ready."""
        task = asyncio.create_task(self._until_ready(fault_id, did))
        self._returning.add(task)
        task.add_done_callback(self._returning.discard)

    async def _until_ready(self, fault_id: str, did: Did) -> None:
        if self._readiness is None:
            raise RuntimeError("a gateway is started before the first fault")
        ready = False
        try:
            async with asyncio.timeout(self._readiness.within_s):
                while True:
                    if await self._readiness.ask():
                        ready = True
                        break
                    await asyncio.sleep(READY_POLL_S)
        except TimeoutError:
            pass  # said in the proof
        finally:
            now_s = self._clock.now_s()
            took_s = now_s - self._since_origin(did)[1]
            then = f"was ready {took_s:.2f} s later" if ready else f"was not ready within {took_s:.1f} s"
            saw = f"{did.saw}, and the gateway {then}"
            back = msgspec.structs.replace(did, at_s=now_s + self._clock.origin_s, saw=saw)
            self._prove(fault_id, When.AFTER, back, proved=ready)

    def _prove(self, fault_id: str, when: When, did: Did, *, proved: bool = True) -> None:
        """What the kernel said of the process, which is no claim of the keeper's own, is the proof."""
        sent_s, done_s = self._since_origin(did)
        self._emit(
            FaultProof(
                fault=fault_id,
                leg=THE_GATEWAY,
                when=when,
                id="",
                port=0,
                stream=False,
                sent_s=sent_s,
                done_s=done_s,
                proved=proved and did.saw != "",
                saw=did.saw,
            )
        )

    def _since_origin(self, did: Did) -> tuple[float, float]:
        return did.began_s - self._clock.origin_s, did.at_s - self._clock.origin_s

    async def _listen(self, descriptor: int) -> None:
        reader = asyncio.StreamReader()
        pipe = os.fdopen(descriptor, "rb", buffering=0)
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
        try:
            while line := await reader.readline():
                self._hear(msgspec.json.decode(line, type=Did))
            for waiting in self._waiting.values():
                if not waiting.done():
                    waiting.set_result(Did(number=0, began_s=0, at_s=0, error="the gateway ended by itself"))
            for task in self._returning:
                task.cancel()
        finally:
            transport.close()

    def _hear(self, did: Did) -> None:
        if did.number in self._waiting:
            waiting = self._waiting[did.number]
            if not waiting.done():
                waiting.set_result(did)
            return
        began_s, at_s = self._since_origin(did)
        for fault in [fault for fault, on in self._on.items() if on.deeds.end]:
            del self._on[fault]
            self._emit(FaultCleared(fault=fault, began_s=began_s, at_s=at_s, why="the runner fell silent"))

    async def _beat(self) -> None:
        while self._child is not None:
            self._child.send(Beat())
            await asyncio.sleep(HEARTBEAT_S)
