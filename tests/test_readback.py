"""Faults on the wire that somebody else undoes, and a plane that is busy: told without a server."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from drills.events import FaultCleared, PlaneTrouble
from drills.planes import MitmPlane, ToxiPlane
from faults.base import DOWN, Toxic
from faults.planes import toxi, wire
from faults.planes.control import LEASE_S, Apply, Clear, Heartbeat
from faults.planes.readback import ProxySeen, ToxicSeen, astray
from faults.planes.wire import Plane

pytestmark = pytest.mark.clock

PUT = Toxic(type="latency", attributes={"latency": 300})
THERE = ToxicSeen(name="f1", type="latency", stream="downstream", toxicity=1, attributes={"latency": 300, "jitter": 0})
CHANGED = [
    msgspec.structs.replace(THERE, attributes={"latency": 1}),
    msgspec.structs.replace(THERE, toxicity=0.5),
    msgspec.structs.replace(THERE, type="slicer"),
    msgspec.structs.replace(THERE, stream="upstream"),
]
ON_UP = {"f1": PUT}
ON_DOWN = {"f1": PUT, "f2": Toxic(type=DOWN)}
ROWS: list[tuple[dict[str, Toxic], ProxySeen | None, dict[str, str]]] = [
    # As it was put, whatever else is there; while the line is to be down it cannot be up for others.
    (ON_UP, ProxySeen(enabled=True, toxics=(THERE,)), {}),
    (ON_UP, ProxySeen(enabled=True, toxics=(THERE, msgspec.structs.replace(THERE, name="theirs"))), {}),
    (ON_DOWN, ProxySeen(enabled=False, toxics=(THERE,)), {}),
    ({}, ProxySeen(enabled=False), {}),
    # What a reset of the whole server leaves.
    (ON_UP, ProxySeen(enabled=True), {"f1": "the toxic is gone"}),
    (ON_DOWN, ProxySeen(enabled=True), {"f1": "the toxic is gone", "f2": "the line is up"}),
    # Somebody takes the line down, changes the toxic, or deletes the proxy.
    (ON_UP, ProxySeen(enabled=False, toxics=(THERE,)), {"f1": "the line is down"}),
    *((ON_UP, ProxySeen(enabled=True, toxics=(other,)), {"f1": "the toxic was changed"}) for other in CHANGED),
    (ON_UP, None, {"f1": "the line's proxy is gone"}),
]


@pytest.mark.parametrize(("on", "seen", "wrong"), ROWS)
def test_what_is_not_as_it_was_put(on: dict[str, Toxic], seen: ProxySeen | None, wrong: dict[str, str]) -> None:
    """Gone, changed, or on a line that is up or down when it should not be."""
    assert astray(on, seen) == wrong


class Clock:
    """A clock that moves when it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s = 0.0
        monkeypatch.setattr(wire.time, "monotonic", lambda: self.now_s)


class Line:
    """A line that takes its time, or cannot take a fault off."""

    port = 1

    def __init__(self, clock: Clock, takes_s: float = 0.0, *, stuck: bool = False) -> None:
        self._clock, self._takes_s, self._stuck = clock, takes_s, stuck
        self.on: list[str] = []

    def put_on(self, fault: str, toxic: Toxic) -> int:
        """Late, but on."""
        self._clock.now_s += self._takes_s
        self.on.append(fault)
        return 0

    def take_off(self, fault: str) -> None:
        """Off, or not."""
        if self._stuck:
            raise OSError("stuck")
        self.on.remove(fault)


APPLY = Apply(fault="f1", kind="wire_latency", settings={"latency": 0.3}, legs=("a", "b"))


def hear(plane: Plane, command: msgspec.Struct) -> None:
    """One command."""
    plane.hear(msgspec.json.encode(command))


@pytest.mark.parametrize("polled", [True, False])
def test_a_toxic_that_vanishes_is_told_once(polled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within a second or so, or else at the fault's end: it makes the drill invalid."""
    clock, found = Clock(monkeypatch), list[Any]()
    wrong: dict[str, Mapping[str, str]] = {"a": {}, "b": {}}
    plane = Plane(0.0, {"a": Line(clock), "b": Line(clock)}, found.append, lambda: wrong)
    hear(plane, APPLY)
    clock.now_s = 1.5
    plane.watch()
    assert not any(isinstance(event, PlaneTrouble) for event in found)
    wrong["b"] = {"f1": "the toxic is gone", "f9": "the toxic is gone"}
    if polled:
        for clock.now_s in (3.0, 4.5):
            plane.watch()
    clock.now_s = 6.0
    hear(plane, Clear(fault="f1"))
    troubles = [event for event in found if isinstance(event, PlaneTrouble)]
    what = "fault f1 was undone by somebody else while it was on; b: the toxic is gone"
    assert [(trouble.at_s, trouble.what) for trouble in troubles] == [(3.0 if polled else 6.0, what)]
    assert any(isinstance(event, FaultCleared) for event in found)


def test_a_toxic_that_vanished_is_told_when_the_plane_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when nobody asked for the end of the fault."""
    clock, found = Clock(monkeypatch), list[Any]()
    plane = Plane(0.0, {"a": Line(clock), "b": Line(clock)}, found.append, lambda: {"a": {"f1": "the toxic is gone"}})
    hear(plane, APPLY)
    plane.close()
    assert [event.what for event in found if isinstance(event, PlaneTrouble)] == [
        "fault f1 was undone by somebody else while it was on; a: the toxic is gone"
    ]


def test_a_line_that_sticks_does_not_keep_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fault comes off every line off which it comes."""
    clock, found = Clock(monkeypatch), list[Any]()
    stuck, well = Line(clock, stuck=True), Line(clock)
    plane = Plane(0.0, {"a": stuck, "b": well}, found.append, dict)
    hear(plane, APPLY)
    hear(plane, Clear(fault="f1"))
    assert (stuck.on, well.on) == (["f1"], [])
    assert any("stuck" in event.what for event in found if isinstance(event, PlaneTrouble))


def test_a_busy_plane_is_no_silent_runner(monkeypatch: pytest.MonkeyPatch) -> None:
    """Carrying a command out took longer than the lease. The heartbeats that came meanwhile wait to be read."""
    clock, found = Clock(monkeypatch), list[Any]()
    plane = Plane(0.0, {"a": Line(clock, LEASE_S + 1), "b": Line(clock)}, found.append, dict)
    ours, theirs = os.pipe()
    os.write(theirs, msgspec.json.encode(APPLY) + b"\n")
    real, calls = os.read, []

    def read(fd: int, size: int) -> bytes:
        """Heartbeats arrive behind the command, and then the end."""
        calls.append(fd)
        data = real(fd, size)
        if len(calls) == 1:
            os.write(theirs, msgspec.json.encode(Heartbeat()) + b"\n")
        elif len(calls) == 2:
            os.close(theirs)
        return data

    monkeypatch.setattr(toxi.os, "read", read)
    toxi._serve(plane, b"", None, ours)
    os.close(ours)
    assert clock.now_s > LEASE_S
    assert len(calls) == 3
    assert not any(isinstance(event, FaultCleared) for event in found)
    # Heard last when that was read; silent from then on.
    clock.now_s += LEASE_S + 0.1
    plane.check_lease()
    assert [event.why for event in found if isinstance(event, FaultCleared)] == ["the runner fell silent"]


def test_a_plane_with_many_lines_has_more_time() -> None:
    """A caller that does not read costs each line seconds; one line has what it always had."""

    def within_s(cls: type, legs: int) -> float:
        plane = cls.__new__(cls)
        plane.ports = {str(leg): leg for leg in range(legs)}
        found: float = plane.answer_within_s
        return found

    assert within_s(ToxiPlane, 1) == 5.0
    assert within_s(ToxiPlane, 8) >= 8 * 3
    assert within_s(MitmPlane, 1) == within_s(MitmPlane, 8) == 2.0
