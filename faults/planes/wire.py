"""Carries out the commands of the Toxiproxy plane on the lines of its legs, and holds the lease.

What a line is made of is not known here: `faults.planes.toxi` has the server and the client of Toxiproxy.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from typing import NamedTuple, Protocol

import msgspec

from drills.events import FaultCleared, FaultEffective, FaultSwitched, PlaneTrouble
from faults.base import Toxic, kinds
from faults.planes.control import LEASE_S, Apply, Clear, Command, PlaneEvent
from faults.planes.flaps import Flaps
from faults.shapes import Shape


class Line(Protocol):
    """One leg's line, and the faults that are on it. Both raise `OSError` when it cannot be done."""

    port: int

    def put_on(self, fault: str, toxic: Toxic) -> int:
        """Put a fault on; how many connections were cut by that."""

    def take_off(self, fault: str) -> None:
        """Take a fault off, also one that was put on by half, or that is off."""


_LOOK_EVERY_S = 1.0

Look = Callable[[], Mapping[str, Mapping[str, str]]]
"""By leg, the faults that are not on its line as they were put there, each with what is wrong. Raises `OSError`."""


class _On(NamedTuple):
    """A fault that is on: the legs that it hits, and what their lines get."""

    legs: tuple[str, ...]
    toxic: Toxic


class Plane:
    """Carries commands out, one after the other."""

    def __init__(
        self, origin_s: float, lines: Mapping[str, Line], emit: Callable[[PlaneEvent], None], look: Look
    ) -> None:
        self._origin_s = origin_s
        self._look = look
        self._looked_s = time.monotonic()
        self._told: set[str] = set()
        self._emit = emit
        self._heard_s = time.monotonic()
        self._on: dict[str, _On] = {}
        self._flaps = Flaps()
        self._lines = lines

    @property
    def ports(self) -> dict[str, int]:
        """Where the gateway reaches each leg."""
        return {leg: line.port for leg, line in self._lines.items()}

    def hear(self, line: bytes) -> None:
        """Carry out one line of the control channel."""
        self.heard()
        command: Command | bytes = line
        try:
            command = msgspec.json.decode(line, type=Command)
            if isinstance(command, Apply):
                self._apply(command)
            elif isinstance(command, Clear):
                self._clear(command.fault, "")
        except (OSError, ValueError) as error:
            self.trouble(f"{command!r}: {error}")

    def heard(self) -> None:
        """Something came from the runner: it lives, whatever is still to be carried out before that is read."""
        self._heard_s = time.monotonic()

    def watch(self) -> None:
        """Once a second, see whether what is on is still there: others can change a server that they share."""
        if self._on and time.monotonic() - self._looked_s > _LOOK_EVERY_S:
            # What cannot be read now is not known to be wrong; it is read again at the end of the fault.
            with contextlib.suppress(OSError):
                self._read_back(self._on)
            self._looked_s = time.monotonic()

    def _read_back(self, faults: Iterable[str]) -> None:
        """Report the faults that are not there any more as they were put, each once. Raises `OSError`."""
        found = [(fault, leg, wrong) for leg, wrongs in self._look().items() for fault, wrong in wrongs.items()]
        for fault in faults:
            if fault not in self._told and (lost := [f"{leg}: {wrong}" for of, leg, wrong in found if of == fault]):
                self._told.add(fault)
                self.trouble(f"fault {fault} was undone by somebody else while it was on; {', '.join(lost)}")

    def check_lease(self) -> None:
        """Drop every fault when the runner has fallen silent."""
        if self._on and time.monotonic() - self._heard_s > LEASE_S:
            self.drop_all("the runner fell silent")

    def _apply(self, command: Apply) -> None:
        began_s = self._now_s()
        if strangers := sorted(set(command.legs) - self._lines.keys()):
            raise ValueError(f"no leg {', '.join(strangers)}")
        if command.fault in self._on:
            raise ValueError(f"fault {command.fault} is on already")
        self._on[command.fault] = _On(command.legs, _toxic(command))
        try:
            cut = self._meet(command.fault)
        except OSError:
            self._clear(command.fault, "it could not be put on")
            raise
        at_s = self._now_s()
        self._emit(FaultEffective(fault=command.fault, legs=command.legs, began_s=began_s, at_s=at_s, cut=cut))
        if command.shape is not None and command.shape.square is not None:
            self._flaps.begin(command.fault, command.shape.square, at_s)

    def _meet(self, fault: str) -> int:
        on = self._on[fault]
        return sum(self._lines[leg].put_on(fault, on.toxic) for leg in on.legs)

    def wait_s(self) -> float | None:
        """Seconds until a flapping fault is to be switched; None when nothing flaps."""
        return self._flaps.wait_s(self._now_s())

    def flap(self) -> None:
        """Switch the flapping faults whose time has come."""
        for fault, on in self._flaps.due(self._now_s()):
            try:
                self._switch(fault, on)
            except OSError as error:
                self.trouble(f"switching {fault} {'on' if on else 'off'}: {error}")
                self._drop(fault, "it could not be switched")

    def _switch(self, fault: str, on: bool) -> None:
        """One edge of a flapping fault, carried out as its beginning and its end."""
        began_s, cut = self._now_s(), 0
        if on:
            cut = self._meet(fault)
        else:
            self._leave(fault)
        self._emit(FaultSwitched(fault=fault, on=on, began_s=began_s, at_s=self._now_s(), cut=cut))

    def _leave(self, fault: str) -> None:
        """Take a fault off all of its lines, also when it does not come off one of them."""
        try:
            self._read_back((fault,))
        except OSError as error:
            self.trouble(f"fault {fault} could not be read back at its end: {error}")
        wrong: list[OSError] = []
        for leg in self._on[fault].legs:
            try:
                self._lines[leg].take_off(fault)
            except OSError as error:
                wrong.append(error)
        if wrong:
            raise wrong[0]

    def _clear(self, fault: str, why: str) -> None:
        began_s = self._now_s()
        if fault not in self._on:
            raise ValueError(f"fault {fault} is not on")
        self._flaps.end(fault)
        try:
            self._leave(fault)
        finally:
            del self._on[fault]
        self._emit(FaultCleared(fault=fault, began_s=began_s, at_s=self._now_s(), why=why))

    def drop_all(self, why: str) -> None:
        """End every fault that is on."""
        for fault in tuple(self._on):
            self._drop(fault, why)

    def _drop(self, fault: str, why: str) -> None:
        try:
            self._clear(fault, why)
        except OSError as error:
            self.trouble(f"clearing {fault}: {error}")

    def close(self) -> None:
        """Drop every fault. The lines are closed by whoever opened them."""
        self.drop_all("the plane ends")

    def trouble(self, what: str) -> None:
        """Report what went wrong."""
        self._emit(PlaneTrouble(at_s=self._now_s(), what=what[:500]))

    def _now_s(self) -> float:
        return time.monotonic() - self._origin_s


def _toxic(command: Apply) -> Toxic:
    cls = kinds().get(command.kind)
    if cls is None or cls.plane != "toxi":
        raise ValueError(f"no fault {command.kind!r} of this plane")
    if unknown := sorted(command.settings.keys() - {setting.name for setting in fields(cls)}):
        raise ValueError(f"{command.kind} has no setting {', '.join(unknown)}")
    if command.shape is not None and command.shape != Shape(square=command.shape.square):
        raise ValueError(f"{command.kind} is a fault of the wire: it has no shape but a square")
    toxic = msgspec.convert(command.settings, cls).toxic()
    if toxic is None:
        raise ValueError(f"{command.kind} does not say what to do")
    return toxic
