"""What every plane does with a command: put faults on and off, stamp when they became effective, hold the lease.

Putting a fault on is one synchronous step over the board, the listeners and the requests under way. asyncio sends a
reset when the step has returned, so the second stamp is taken right after that: the two stamps bound the transition.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import msgspec

from drills.events import ConnectGone, ConnectHung, FaultCleared, FaultEffective, PlaneTrouble
from faults.base import Connections
from faults.planes.board import Board
from faults.planes.connects import hanging
from faults.planes.control import LEASE_S, Apply, Clear, Command, PlaneEvent, PlaneLeg, PlaneSpec
from faults.planes.listener import LegListener, Serve
from faults.planes.tls import contexts

_CONNECT_WATCH_S = 0.1


class Requests(Protocol):
    """The requests under way on the legs, as the part of a plane that speaks HTTP knows them."""

    def now_s(self) -> float:
        """Seconds on the run's clock."""

    def faults_changed(self) -> None:
        """Wake what waits for the end of a fault."""

    def touch_open(self, leg: str, fault: str, *, reset: bool) -> None:
        """Note a connection fault on every attempt that is under way on a leg: reset, or else silent."""


@dataclass(frozen=True)
class _Waiting:
    """A connect that hangs: to which leg, because of which faults, and when it was last seen."""

    leg: str
    faults: tuple[str, ...]
    seen_s: float


class Plane:
    """Carries commands out: the one place where a fault becomes effective and where it ends."""

    def __init__(self, spec: PlaneSpec, board: Board, requests: Requests, emit: Callable[[PlaneEvent], None]) -> None:
        self._spec = spec
        self._emit = emit
        self._board = board
        self._requests = requests
        self._listeners: dict[str, LegListener] = {}
        self._heard_s = time.monotonic()
        self._hung: dict[tuple[int, int], _Waiting] = {}

    def open(self, serve: Callable[[PlaneLeg], Serve]) -> dict[str, int]:
        """Open every leg's listener; the ports by leg."""
        loop = asyncio.get_running_loop()
        for leg in self._spec.legs:
            port = leg.listen[1] if leg.listen else 0
            self._listeners[leg.name] = LegListener(serve(leg), loop, port, contexts(leg.certificates))
        return {name: listener.port for name, listener in self._listeners.items()}

    async def close(self) -> None:
        """Drop every fault and give the ports up."""
        self.drop_all("the plane ends")
        await asyncio.gather(*(listener.close() for listener in self._listeners.values()))

    def hear(self, line: bytes) -> None:
        """Carry out one line of the control channel, in one synchronous step."""
        self._heard_s = time.monotonic()
        command: Command | bytes = line
        try:
            command = msgspec.json.decode(line, type=Command)
            if isinstance(command, Apply):
                self._apply(command)
            elif isinstance(command, Clear):
                self._clear(command.fault, "")
        except (OSError, ValueError) as error:
            self._trouble(f"{command!r}: {error}")

    def _apply(self, command: Apply) -> None:
        began_s = self._requests.now_s()
        if strangers := sorted(set(command.legs) - self._listeners.keys()):
            raise ValueError(f"no leg {', '.join(strangers)}")
        self._board.put_on(command.fault, command.kind, command.settings, command.legs, command.shape, began_s)
        cut, held = 0, 0
        try:
            for leg in command.legs:
                state = self._board.connections(leg)
                if state is not Connections.OPEN and command.fault in self._board.on_connections(leg):
                    refused = state is Connections.REFUSED
                    self._requests.touch_open(leg, command.fault, reset=refused)
                    changed = self._listeners[leg].become(state)
                    cut, held = (cut + changed, held) if refused else (cut, held + changed)
        except OSError:
            self._clear(command.fault, "it could not be put on")
            raise
        self._requests.faults_changed()
        self._after_resets(
            lambda at_s: FaultEffective(
                fault=command.fault, legs=command.legs, began_s=began_s, at_s=at_s, cut=cut, held=held
            )
        )

    def _clear(self, fault: str, why: str) -> None:
        began_s = self._requests.now_s()
        legs = self._board.take_off(fault)
        try:
            for leg in legs:
                self._listeners[leg].become(self._board.connections(leg))
        finally:
            self._requests.faults_changed()
        self._after_resets(lambda at_s: FaultCleared(fault=fault, began_s=began_s, at_s=at_s, why=why))

    def _after_resets(self, event: Callable[[float], PlaneEvent]) -> None:
        asyncio.get_running_loop().call_soon(lambda: self._emit(event(self._requests.now_s())))

    def drop_all(self, why: str) -> None:
        """End every fault that is on."""
        for fault in self._board.ids:
            try:
                self._clear(fault, why)
            except OSError as error:
                self._trouble(f"clearing {fault}: {error}")

    def _trouble(self, what: str) -> None:
        self._emit(PlaneTrouble(at_s=self._requests.now_s(), what=what[:500]))

    async def watch_lease(self) -> None:
        """Drop every fault when the runner has fallen silent."""
        while True:
            await asyncio.sleep(LEASE_S / 10)
            if self._board.ids and time.monotonic() - self._heard_s > LEASE_S:
                self.drop_all("the runner fell silent")

    async def watch_connects(self) -> None:
        """Report each connect that hangs on a blackholed leg, once, and when it does not any more."""
        while True:
            await asyncio.sleep(_CONNECT_WATCH_S)
            silent = {
                listener.port: (leg, listener.filler_ports, self._board.on_connections(leg))
                for leg, listener in self._listeners.items()
                if listener.state is Connections.BLACKHOLED
            }
            ports = frozenset(silent) | {port for port, _ in self._hung}
            # The kernel takes 10 ms and more to print its table on a busy host: every leg would stand still.
            found = await asyncio.to_thread(hanging, ports) if ports else set()
            self._compare(found, silent)

    def _compare(
        self, found: set[tuple[int, int]], silent: dict[int, tuple[str, frozenset[int], tuple[str, ...]]]
    ) -> None:
        """Compare the connects that hang now with those that did. One that goes on when its leg is well again hangs
        until the kernel sends its next SYN.
        """
        now_s = self._requests.now_s()
        waiting: dict[tuple[int, int], _Waiting] = {}
        for port, local in sorted(found):
            before = self._hung.get((port, local))
            leg, ours, faults = silent.get(port, (before.leg if before else "", frozenset(), ()))
            if local in ours or not (before or faults):
                continue
            if faults and (before is None or before.faults != faults):
                self._emit(ConnectHung(leg=leg, seen_s=now_s, faults=faults, port=local))
            waiting[port, local] = _Waiting(leg, faults or (before.faults if before else ()), now_s)
        for (port, local), was in self._hung.items():
            if (port, local) not in waiting:
                self._emit(ConnectGone(leg=was.leg, port=local, last_seen_s=was.seen_s, at_s=now_s))
        self._hung = waiting
