"""What every plane does with a command: put faults on and off, stamp when they became effective, hold the lease.

Putting a fault on is one synchronous step over the board, the listeners and the requests under way. asyncio sends a
reset when the step has returned, so the second stamp is taken right after that: the two stamps bound the transition.
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec

from drills.events import (
    ConnectGone,
    ConnectHung,
    FaultCleared,
    FaultEffective,
    FaultSwitched,
    HandshakeMet,
    PlaneTrouble,
)
from faults.base import Connections
from faults.planes.board import Board
from faults.planes.connects import Endpoint, hanging
from faults.planes.control import LEASE_S, Apply, Clear, Command, PlaneEvent, PlaneSpec
from faults.planes.flaps import Flaps
from faults.planes.listener import LegListener, Serve
from faults.planes.names import Meets, Names
from faults.planes.places import Place, places
from faults.planes.tls import contexts

_CONNECT_WATCH_S = 0.1


class Requests(Protocol):
    """The requests under way on the legs, as the part of a plane that speaks HTTP knows them."""

    def now_s(self) -> float:
        """Seconds on the run's clock."""

    def faults_changed(self) -> None:
        """Wake what waits for the end of a fault."""

    def touch_open(self, place: str, fault: str, *, reset: bool) -> None:
        """Note a connection fault on every attempt that is under way at a place: reset, or else silent."""


_Silent = Mapping[Endpoint, tuple[Place, frozenset[int], tuple[str, ...]]]
"""By endpoint: whose it is, the ports of the plane's own connects there, and the faults that silence it."""


@dataclass(frozen=True)
class _Waiting:
    """A connect that hangs: where, because of which faults, and when it was last seen."""

    place: Place
    faults: tuple[str, ...]
    seen_s: float


class Plane:
    """Carries commands out: the one place where a fault becomes effective and where it ends."""

    def __init__(self, spec: PlaneSpec, board: Board, requests: Requests, emit: Callable[[PlaneEvent], None]) -> None:
        self._spec = spec
        self._emit = emit
        self._board = board
        self._requests = requests
        self._places = tuple(places(spec))
        self._listeners: dict[str, LegListener] = {}
        self._heard_s = time.monotonic()
        self._hung: dict[tuple[Endpoint, int], _Waiting] = {}
        self._flaps = Flaps()
        self._next_edge: asyncio.TimerHandle | None = None
        self._names: Names | None = None

    def open(self, serve: Callable[[Place], Serve]) -> dict[str, int]:
        """Open every listener; the ports by place."""
        loop = asyncio.get_running_loop()
        for place in self._places:
            at = place.listen or ("127.0.0.1", 0)
            greeted = functools.partial(self._greeted, place)
            self._listeners[place.name] = LegListener(serve(place), loop, contexts(place.certificates), greeted, at=at)
        return {name: listener.port for name, listener in self._listeners.items()}

    async def open_names(self) -> None:
        """Be the name server of the private network in which this process is, if there is one. Raises `OSError`."""
        legs: dict[str, list[str]] = {}
        addresses: dict[str, str] = {}
        for leg in self._spec.legs:
            for name in leg.names:
                legs.setdefault(name, []).append(leg.name)
            addresses |= leg.names
        for host in self._spec.shared:
            for name in host.names:
                legs.setdefault(name, []).extend(host.legs)
            addresses |= host.names
        if not legs:
            return

        def meets(name: str) -> Meets:
            state, faults = self._board.lookups(legs[name])
            return Meets(state, faults, tuple(legs[name]))

        self._names = Names(addresses, meets, self._emit, self._requests.now_s)
        await self._names.open()

    async def close(self) -> None:
        """Drop every fault and give the ports up."""
        self.drop_all("the plane ends")
        if self._names is not None:
            self._names.close()
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
        if strangers := sorted(set(command.legs) - {leg.name for leg in self._spec.legs}):
            raise ValueError(f"no leg {', '.join(strangers)}")
        self._board.put_on(command.fault, command.kind, command.settings, command.legs, command.shape, began_s)
        try:
            cut, held = self._meet(command.fault, command.legs)
        except (OSError, ValueError):
            self._clear(command.fault, "it could not be put on")
            raise
        self._requests.faults_changed()
        self._after_resets(
            lambda at_s: FaultEffective(
                fault=command.fault, legs=command.legs, began_s=began_s, at_s=at_s, cut=cut, held=held
            )
        )
        if (square := self._board.square(command.fault)) is not None:
            self._flaps.begin(command.fault, square, self._requests.now_s())
            self._arm()

    def _meet(self, fault: str, legs: Sequence[str]) -> tuple[int, int]:
        """Let connections meet a fault of theirs or of handshakes; how many were cut, and held."""
        cut, held = 0, 0
        for place in self._of(legs):
            state = self._board.connections(*place.deciding)
            if state is not Connections.OPEN and fault in self._board.on_connections(*place.deciding):
                refused = state is Connections.REFUSED
                self._requests.touch_open(place.name, fault, reset=refused)
                changed = self._listeners[place.name].become(state)
                cut, held = (cut + changed, held) if refused else (cut, held + changed)
            if fault in self._board.on_handshakes(*place.deciding):
                self._requests.touch_open(place.name, fault, reset=True)
                cut += self._listeners[place.name].shake(self._board.handshake(*place.deciding), reset=True)
        return cut, held

    def _of(self, legs: Sequence[str]) -> list[Place]:
        """The places at which the legs' faults may be."""
        return [place for place in self._places if not set(legs).isdisjoint(place.deciding)]

    def _leave(self, legs: Sequence[str]) -> None:
        """Let connections be as the faults that are on now want them."""
        for place in self._of(legs):
            self._listeners[place.name].become(self._board.connections(*place.deciding))
            self._listeners[place.name].shake(self._board.handshake(*place.deciding), reset=False)

    def _arm(self) -> None:
        """Wait for the next time at which a flapping fault is to be switched."""
        if self._next_edge is not None:
            self._next_edge.cancel()
        wait_s = self._flaps.wait_s(self._requests.now_s())
        self._next_edge = None if wait_s is None else asyncio.get_running_loop().call_later(wait_s, self._flap)

    def _flap(self) -> None:
        for fault, on in self._flaps.due(self._requests.now_s()):
            try:
                self._switch(fault, on)
            except OSError as error:
                self._trouble(f"switching {fault} {'on' if on else 'off'}: {error}")
                self._drop(fault, "it could not be switched")
        self._arm()

    def _switch(self, fault: str, on: bool) -> None:
        """One edge of a flapping fault, in one synchronous step as its beginning and its end."""
        began_s = self._requests.now_s()
        legs = self._board.switch(fault, on=on)
        cut, held = 0, 0
        if on:
            cut, held = self._meet(fault, legs)
        else:
            self._leave(legs)
        self._requests.faults_changed()
        self._after_resets(
            lambda at_s: FaultSwitched(fault=fault, on=on, began_s=began_s, at_s=at_s, cut=cut, held=held)
        )

    def _clear(self, fault: str, why: str) -> None:
        began_s = self._requests.now_s()
        legs = self._board.take_off(fault)
        self._flaps.end(fault)
        try:
            self._leave(legs)
        finally:
            self._requests.faults_changed()
        self._after_resets(lambda at_s: FaultCleared(fault=fault, began_s=began_s, at_s=at_s, why=why))

    def _greeted(self, place: Place, port: int) -> None:
        """A TLS handshake begins at a place: report it when a fault meets it."""
        if faults := self._board.on_handshakes(*place.deciding):
            leg, *beside = place.deciding
            seen_s = self._requests.now_s()
            self._emit(HandshakeMet(leg=leg, beside=tuple(beside), seen_s=seen_s, faults=faults, port=port))

    def _after_resets(self, event: Callable[[float], PlaneEvent]) -> None:
        asyncio.get_running_loop().call_soon(lambda: self._emit(event(self._requests.now_s())))

    def drop_all(self, why: str) -> None:
        """End every fault that is on."""
        for fault in self._board.ids:
            self._drop(fault, why)

    def _drop(self, fault: str, why: str) -> None:
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
                listener.endpoint: (place, listener.filler_ports, self._board.on_connections(*place.deciding))
                for place in self._places
                if (listener := self._listeners[place.name]).state is Connections.BLACKHOLED
            }
            endpoints = frozenset(silent) | {endpoint for endpoint, _ in self._hung}
            looked_s = self._requests.now_s()
            # The kernel takes 10 ms and more to print its table on a busy host: every leg would stand still.
            found = await asyncio.to_thread(hanging, endpoints) if endpoints else set()
            self._compare(found, silent, looked_s)

    def _compare(self, found: set[tuple[Endpoint, int]], silent: _Silent, looked_s: float) -> None:
        """Compare the connects that hang now with those that did. One that goes on when its leg is well again hangs
        until the kernel sends its next SYN. Each was there at some time since `looked_s`: when the first look at it is
        over it has begun, and what it outlasts for certain is the beginning of the last one.
        """
        now_s = self._requests.now_s()
        waiting: dict[tuple[Endpoint, int], _Waiting] = {}
        for endpoint, local in sorted(found):
            before = self._hung.get((endpoint, local))
            place, ours, faults = silent.get(endpoint, (before.place if before else None, frozenset(), ()))
            if place is None or local in ours or not (before or faults):
                continue
            if faults and (before is None or before.faults != faults):
                leg, *beside = place.deciding
                self._emit(ConnectHung(leg=leg, beside=tuple(beside), seen_s=now_s, faults=faults, port=local))
            seen_s = max(before.seen_s, looked_s) if before else now_s
            waiting[endpoint, local] = _Waiting(place, faults or (before.faults if before else ()), seen_s)
        for (endpoint, local), was in self._hung.items():
            if (endpoint, local) not in waiting:
                leg = was.place.deciding[0]
                self._emit(ConnectGone(leg=leg, port=local, last_seen_s=was.seen_s, at_s=now_s))
        self._hung = waiting
