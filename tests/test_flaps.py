"""Faults that flap as a whole: when they are switched, and what is counted. No process, no socket."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from calibration.story import history
from test_scenario import timeline

from drills.events import (
    AttemptReceived,
    FaultCleared,
    FaultSwitched,
)
from drills.faultrecord import OnWindow
from drills.ledger import build
from drills.legs import Leg
from drills.plan import make
from drills.verdict import judge, judged
from faults.base import Connections, Toxic
from faults.planes.board import Board
from faults.planes.control import LEASE_S, Apply, Clear, PlaneEvent
from faults.planes.flaps import Flaps
from faults.planes.wire import Plane as WirePlane
from faults.shapes import Shape, Square
from reports import html
from reports.picture import picture

SECOND = Square(period_s=1.0)
"""Half a second on, half a second off."""
FLAPPING = Shape(square=SECOND)

# --- when ------------------------------------------------------------------------------------------------------------

TIMES: list[tuple[Square, float, bool, float]] = [
    # On for the first half of each second.
    (SECOND, 0.0, True, 0.5),
    (SECOND, 0.4, True, 0.1),
    (SECOND, 0.5, False, 0.5),
    (SECOND, 0.9, False, 0.1),
    (SECOND, 7.25, True, 0.25),
    # On for a quarter of four seconds.
    (Square(period_s=4.0, on=0.25), 0.75, True, 0.25),
    (Square(period_s=4.0, on=0.25), 1.0, False, 3.0),
]


@pytest.mark.parametrize(("square", "since_s", "on", "edge_s"), TIMES)
def test_on_and_off_in_turn(square: Square, since_s: float, on: bool, edge_s: float) -> None:
    """Whether it is on, and how long it stays so."""
    assert square.on_at(since_s) is on
    assert square.edge_after_s(since_s) == pytest.approx(edge_s)


ROOM: list[tuple[float, float, tuple[float, float]]] = [
    # On, and for long enough.
    (0.1, 0.25, (0.0, 0.4)),
    # On, but not for long enough: the next time.
    (0.4, 0.25, (0.6, 0.5)),
    # Off.
    (0.7, 0.25, (0.3, 0.5)),
]


@pytest.mark.parametrize(("since_s", "at_least_s", "room"), ROOM)
def test_room_for_a_probe(since_s: float, at_least_s: float, room: tuple[float, float]) -> None:
    """How long to wait until there is enough, and how much there is then."""
    assert SECOND.on_window_s(since_s, at_least_s) == pytest.approx(room)


def test_what_is_due() -> None:
    """A story of two faults, with a plane that comes late once."""
    flaps = Flaps()
    assert flaps.wait_s(0.0) is None
    flaps.begin("a", SECOND, 100.0)
    assert (flaps.due(100.2), flaps.wait_s(100.2)) == ([], pytest.approx(0.3))
    flaps.begin("b", Square(period_s=4.0), 100.25)
    assert flaps.wait_s(100.3) == pytest.approx(0.2)
    assert flaps.due(100.5) == [("a", False)]
    assert flaps.due(100.5) == []
    assert flaps.due(101.01) == [("a", True)]
    # A whole period went by: it is on, as it should be.
    assert flaps.due(102.2) == []
    # Nobody looked when it went on at 103 and off at 103.5.
    assert flaps.due(102.6) == [("a", False), ("b", False)]
    assert flaps.due(103.7) == []
    flaps.end("a")
    flaps.end("nobody")
    assert flaps.wait_s(104.0) == pytest.approx(0.25)
    assert flaps.due(104.25) == [("b", True)]


# --- the board -------------------------------------------------------------------------------------------------------


def test_connections_while_it_is_off() -> None:
    """Open, or what another fault makes of them; and the fault is still one that has to be cleared."""
    board = Board(1)
    board.put_on("r", "refuse", {}, ("a", "b"), FLAPPING)
    board.put_on("b", "blackhole", {}, ("b",))
    assert board.square("r") == SECOND
    assert board.square("b") is None
    assert board.switch("r", on=False) == ("a", "b")
    assert [board.connections(leg) for leg in "ab"] == [Connections.OPEN, Connections.BLACKHOLED]
    assert [board.on_connections(leg) for leg in "ab"] == [(), ("b",)]
    assert board.ids == ("r", "b")
    board.switch("r", on=True)
    assert [board.connections(leg) for leg in "ab"] == [Connections.REFUSED, Connections.REFUSED]
    assert board.take_off("r") == ("a", "b")


def test_a_fault_of_requests_is_not_switched() -> None:
    """Its square decides about each request."""
    board = Board(1)
    board.put_on("s", "status", {"code": 503}, ("a",), FLAPPING)
    assert board.square("s") is None


def test_which_faults_are_switched_as_a_whole() -> None:
    """A port, a line and the gateway; the plan says so."""
    legs = [Leg(name=n, role=r, provider="openai", vendor="v", model="m", cloud="c") for n, r in
            (("a", "primary"), ("b", "secondary"))]  # fmt: skip
    square = "square: {period: 2s}"
    entries = f"[refuse: {{role: primary, {square}}}, wire_reset: {{role: secondary, {square}}}, hang: {{role: "
    entries += f"primary, {square}}}, gateway_pause: {{{square}}}]"
    faults = make(timeline(f"  - {{phase: outage, for: 8s, faults: {entries}}}\n"), legs, 1, "n").faults
    assert {fault.kind: fault.square for fault in faults} == {
        "refuse": Square(period_s=2.0),
        "wire_reset": Square(period_s=2.0),
        "hang": None,
        "gateway_pause": Square(period_s=2.0),
    }
    assert {str(fault.shape) for fault in faults} == {"square: 2s, on 50%"}


# --- the plane of the wire, with lines that are lists ----------------------------------------------------------------


@dataclass
class Noted:
    """A line that writes down what it is asked for. broken: it cannot do it."""

    port: int = 1
    asked: list[str] = field(default_factory=list)
    on: set[str] = field(default_factory=set)
    broken: bool = False

    def put_on(self, fault: str, toxic: Toxic) -> int:
        """Put a fault on; it costs three connections."""
        self.asked.append(f"+{toxic.type}")
        if self.broken:
            raise OSError("no answer")
        self.on.add(fault)
        return 3

    def take_off(self, fault: str) -> None:
        """Take a fault off."""
        if fault in self.on:
            self.asked.append("-")
        self.on.discard(fault)


@dataclass
class Wire:
    """A plane of the wire on one noted line."""

    line: Noted = field(default_factory=Noted)
    events: list[PlaneEvent] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.plane = WirePlane(0.0, {"a": self.line}, self.events.append, dict)

    def tell(self, command: Apply | Clear) -> None:
        """One command."""
        self.plane.hear(msgspec.json.encode(command))

    def flap(self, times: int) -> None:
        """So many edges."""
        for _ in range(times):
            time.sleep((self.plane.wait_s() or 0.0) + 0.005)
            self.plane.flap()


QUICK = Shape(square=Square(period_s=0.1))
DOWN = Apply(fault="f", kind="wire_down", settings={}, legs=("a",), shape=QUICK)


def test_a_line_flaps() -> None:
    """Put on and taken off in turn, each with an event; its end comes once, whatever the state."""
    for edges, asked in ((2, ["+down", "-", "+down", "-"]), (3, ["+down", "-", "+down", "-"])):
        wire = Wire()
        wire.tell(DOWN)
        wire.flap(edges)
        wire.tell(Clear(fault="f"))
        assert wire.line.asked == asked
        assert wire.plane.wait_s() is None
        names = [type(event).__name__ for event in wire.events]
        assert names == ["FaultEffective", *["FaultSwitched"] * edges, "FaultCleared"]
        switched = [event for event in wire.events if isinstance(event, FaultSwitched)]
        assert [(event.on, event.cut) for event in switched] == [(False, 0), (True, 3), (False, 0)][:edges]
        stamps = [(event.began_s, event.at_s) for event in wire.events if not hasattr(event, "what")]  # type: ignore[union-attr]
        flat = list(itertools.chain(*stamps))
        assert flat == sorted(flat)


def test_a_line_that_cannot_be_switched_ends_its_fault() -> None:
    """With trouble, and with the reason; it does not flap on."""
    wire = Wire()
    wire.tell(DOWN)
    wire.flap(1)
    wire.line.broken = True
    wire.flap(1)
    trouble, cleared = wire.events[-2:]
    assert getattr(trouble, "what", "") == "switching f on: no answer"
    assert isinstance(cleared, FaultCleared)
    assert cleared.why == "it could not be switched"
    assert wire.plane.wait_s() is None


@pytest.mark.parametrize("edges", [1, 2])
def test_the_lease_of_a_line_that_flaps(edges: int) -> None:
    """A runner that fell silent: the fault is dropped, off or on, and does not come back."""
    wire = Wire()
    wire.tell(DOWN)
    wire.flap(edges)
    wire.plane._heard_s -= LEASE_S + 0.1
    wire.plane.check_lease()
    [cleared] = [event for event in wire.events if isinstance(event, FaultCleared)]
    assert cleared.why == "the runner fell silent"
    assert wire.line.on == set()
    time.sleep(0.11)
    wire.plane.flap()
    assert wire.line.on == set()


def test_the_wire_has_no_other_shape() -> None:
    """Whoever asks for it."""
    wire = Wire()
    wire.tell(msgspec.structs.replace(DOWN, shape=Shape(square=SECOND, share=0.5)))
    assert "no shape but a square" in getattr(wire.events[0], "what", "")
    assert wire.line.asked == []


# --- what is counted -------------------------------------------------------------------------------------------------


def edge(at_s: float, *, on: bool, fault: str = "f1", took_s: float = 0.0) -> FaultSwitched:
    """An edge of the fault of a story."""
    return FaultSwitched(fault=fault, on=on, began_s=at_s - took_s, at_s=at_s, cut=2 if on else 0)


def flapping(text: str, edges: Sequence[FaultSwitched], connections: Connections, plane: str = "mitm") -> list[Any]:
    """A story whose fault flaps."""
    head, *rest = history(text, also=edges, connections=connections)
    plans = tuple(
        msgspec.structs.replace(fault, shape=FLAPPING, plane=plane, legs=() if plane == "process" else fault.legs)
        for fault in head.faults
    )
    return [msgspec.structs.replace(head, faults=plans), *rest]


def test_when_it_was_on() -> None:
    """From its beginning and from each time that it went on, to the next edge; every transition with its width."""
    edges = [edge(1.45, on=False, took_s=0.01), edge(1.65, on=True, took_s=0.02)]
    head, *rest = flapping("ppp[rrpprr]spp", edges, Connections.REFUSED)
    [record] = build(head, rest).faults
    first, second = record.on_windows
    assert first == pytest.approx(OnWindow(1.25, 1.25, 1.44, 1.45))
    assert second == pytest.approx(OnWindow(1.63, 1.65, 1.85, 1.85))
    [record] = build(head, [event for event in rest if not isinstance(event, FaultCleared)]).faults
    assert record.on_windows[-1].off_s == float("inf")
    off = [*rest, edge(1.75, on=False)]
    assert build(head, off).faults[0].on_windows[-1][2:] == (1.75, 1.75)


COUNTED: list[tuple[str, list[FaultSwitched], int]] = [
    # Two are turned away, two go to the primary while it is off, two are turned away again.
    ("ppp[rrpprr]spp", [edge(1.45, on=False), edge(1.65, on=True)], 4),
    # The two that the standby answers while it is off did not meet it: nothing kept them from the primary.
    ("ppp[rrss]spp", [edge(1.45, on=False)], 2),
    # Without an edge all of them did.
    ("ppp[rrss]spp", [], 4),
]


@pytest.mark.parametrize(("story", "edges", "touched"), COUNTED)
def test_whom_a_flapping_port_touched(story: str, edges: list[FaultSwitched], touched: int) -> None:
    """Those that were due while it was really on; the edges and the connections that they cut are counted."""
    [part] = judge(flapping(story, edges, Connections.REFUSED), "story").faults
    assert part.touched_requests == touched
    assert part.switched == len(edges)
    assert part.cut_connections == 2 * sum(edge.on for edge in edges)
    assert part.shape == "square: 1s, on 50%"


def test_whom_a_flapping_gateway_touched() -> None:
    """Failures while it was on; the one at 1.5, while it was off, is not its doing."""
    edges = [edge(1.45, on=False), edge(1.65, on=True)]
    [part] = judge(flapping("ppp[rrrprr]spp", edges, Connections.OPEN, "process"), "story").faults
    assert part.touched_requests == 4


@pytest.mark.parametrize(("began_s", "touched"), [(1.425, 0), (1.435, 1)])
def test_a_gateway_goes_on_before_its_keeper_says_so(began_s: float, touched: int) -> None:
    """A request due at 1.3 waited for it: it was worked on while, and not before, the pause was being undone."""
    edges = [edge(1.45, on=False, took_s=0.02)]
    moved = [
        msgspec.structs.replace(event, received_s=began_s)
        if isinstance(event, AttemptReceived) and event.id == f"{3:016x}"
        else event
        for event in flapping("ppp[ppppp]spp", edges, Connections.OPEN, "process")
    ]
    assert judge(moved, "story").faults[0].touched_requests == touched


def test_whom_a_flapping_line_touched() -> None:
    """Attempts that were under way while it was on: each takes from 10 ms after it was due to 60 ms after."""
    edges = [edge(1.45, on=False), edge(1.65, on=True)]
    [steady] = judge(flapping("ppp[ppppp]spp", [], Connections.OPEN, "toxi"), "story").faults
    [part] = judge(flapping("ppp[ppppp]spp", edges, Connections.OPEN, "toxi"), "story").faults
    # Due from 1.2 to 1.7; with the edges all but the one at 1.5.
    assert (steady.touched_requests, part.touched_requests) == (6, 5)


def test_streams_that_an_edge_breaks_had_begun_when_a_fault_struck() -> None:
    """A stream of the primary that began at 1.72 breaks off as the fault goes on again: not the gateway's doing."""
    again = [edge(1.45, on=False), edge(1.74, on=True, took_s=0.005)]
    assert judge(flapping("ppp[rrppbr]spp", again, Connections.REFUSED), "story").requests.broken_streams == 1
    assert judge(flapping("ppp[rrppbr]spp", again[:1], Connections.REFUSED), "story").requests.broken_streams == 0


def test_plots_show_when_it_was_on() -> None:
    """One fault, and a strip for each time that it was on; too many to tell apart are one."""
    edges = [edge(1.45, on=False), edge(1.65, on=True)]
    run = judged(tuple(flapping("ppp[rrpprr]spp", edges, Connections.REFUSED)), "story")
    shown = picture(run, 90)
    assert shown is not None
    [window] = shown.windows
    assert [value for spell in window.spells for value in spell] == pytest.approx([1.25, 1.45, 1.65, 1.85])
    assert html.render(run).count(b"f1 (status) on primary: 1.65 s to 1.85 s") > 0
    many = [edge(1.25 + 0.002 * number, on=number % 2 == 0) for number in range(1, 281)]
    crowded = picture(judged(tuple(flapping("ppp[rrpprr]spp", many[:280], Connections.REFUSED)), "story"), 90)
    assert crowded is not None
    assert len(crowded.windows[0].spells) == 141
    more = [edge(1.25 + 0.001 * number, on=number % 2 == 0) for number in range(1, 501)]
    crowded = picture(judged(tuple(flapping("ppp[rrpprr]spp", more, Connections.REFUSED)), "story"), 90)
    assert crowded is not None
    assert crowded.windows[0].spells == (pytest.approx((1.25, 1.85)),)
