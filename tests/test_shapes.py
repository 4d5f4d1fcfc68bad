"""Shapes in time: which requests a fault hits, with a clock that is a number."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec
import pytest
from plane_harness import Bench, bench, mark
from test_scenario import messages, timeline

import drills.faultentry
from drills.scenario import FaultUse
from faults.base import Answer, Delay, RequestSeen
from faults.planes.board import Board, Step
from faults.planes.control import Apply, Clear
from faults.shapes import SHAPE_KEYS, Burst, LoadCoupled, Shape, Square, draw

WHOLE = RequestSeen(leg="a", surface="model", operation="messages", model="m", stream=False, index=0)
PROBES = "0123456789"


def hits(shape: Shape, times: list[float], *, seed: int = 1, leg: str = "a") -> str:
    """Requests at these times on one leg, put on at 100 s: `x` for each that is hit, `.` for each that is not."""
    board = Board(seed, PROBES)
    board.put_on("f", "status", {"code": 503}, ("a", "b"), shape, 100.0)
    asked = (msgspec.structs.replace(WHOLE, leg=leg, key=f"{number:016x}") for number in range(len(times)))
    return "".join("x" if board.decide(seen, 100 + at_s) else "." for seen, at_s in zip(asked, times, strict=True))


def every(interval_s: float, count: int) -> list[float]:
    """Times of evenly spaced requests, the first at once."""
    return [number * interval_s for number in range(count)]


EXACT: list[tuple[Shape, float, str]] = [
    # No key, every request.
    (Shape(), 1.0, "xxxxxxxxxxxx"),
    # On for 3 of 6 seconds, on first.
    (Shape(square=Square(period_s=6.0)), 1.0, "xxx...xxx..."),
    # On for a quarter of 4 seconds.
    (Shape(square=Square(period_s=4.0, on=0.25)), 1.0, "x...x...x..."),
    # Of each five requests two in a row.
    (Shape(burst=Burst(every=5, of=2)), 1.0, "xx...xx...xx"),
    # The first five requests.
    (Shape(first=5), 1.0, "xxxxx......."),
    # Of each four requests two, and only of the first six.
    (Shape(first=6, burst=Burst(every=4, of=2)), 1.0, "xx..xx......"),
    # One request a second is offered, and more than one is needed.
    (Shape(load_coupled=LoadCoupled(from_per_s=1.0, full_per_s=2.0)), 1.0, "............"),
    # Four requests a second: the second sees two in the last second, from which on all are hit.
    (Shape(load_coupled=LoadCoupled(from_per_s=1.0, full_per_s=2.0)), 0.25, ".xxxxxxxxxxx"),
]


@pytest.mark.parametrize(("shape", "interval_s", "expected"), EXACT, ids=str)
def test_which_requests_are_hit(shape: Shape, interval_s: float, expected: str) -> None:
    """Twelve evenly spaced requests."""
    assert hits(shape, every(interval_s, 12)) == expected


def share(found: str) -> float:
    """How many are hit."""
    return found.count("x") / len(found)


def test_a_share_is_drawn_for_each_request() -> None:
    """Three of ten, within four standard deviations of 2000 draws, and not in a pattern."""
    found = hits(Shape(share=0.3), every(0.1, 2000))
    assert share(found) == pytest.approx(0.3, abs=0.04)
    assert {"xx", "x.", ".x", ".."} == {"".join(pair) for pair in itertools.pairwise(found)}


def test_a_ramp_grows_to_its_share() -> None:
    """Over 100 s to one half: a quarter in the middle fifth, and a half from then on."""
    found = hits(Shape(share=0.5, ramp_s=100.0), every(0.01, 20_000))
    assert found[0] == "."
    assert share(found[4000:6000]) == pytest.approx(0.25, abs=0.04)
    assert share(found[10_000:]) == pytest.approx(0.5, abs=0.03)


def test_sticky_hits_a_request_always_or_never() -> None:
    """A third of the ids; each id the same at every try, at any time; none without an id."""
    board = Board(1)
    board.put_on("f", "status", {"code": 503}, ("a",), Shape(sticky=0.33))

    def hit(key: str, at_s: float) -> bool:
        return bool(board.decide(msgspec.structs.replace(WHOLE, key=key), at_s))

    ids = [f"{number:016x}" for number in range(1000)]
    first = [hit(id_, 0.0) for id_ in ids]
    assert sum(first) == pytest.approx(330, abs=60)
    assert [hit(id_, 50.0) for id_ in reversed(ids)] == first[::-1]
    assert not hit("", 1.0)


def test_load_coupled_counts_the_last_second_of_the_leg() -> None:
    """Between 5 and 20 a second the share grows; a second of silence ends it, and another leg has a rate of its own."""
    shape = Shape(load_coupled=LoadCoupled(from_per_s=5.0, full_per_s=20.0))
    assert [shape.share_at(0.0, rate) for rate in (4.0, 5.0, 12.5, 20.0, 99.0)] == [0.0, 0.0, 0.5, 1.0, 1.0]
    assert share(hits(shape, every(1 / 4, 400))) == 0
    # Twelve or thirteen requests lie in the last second.
    assert share(hits(shape, every(0.08, 2000))) == pytest.approx(0.5, abs=0.05)
    assert share(hits(shape, every(1 / 25, 400))[20:]) == 1
    assert hits(shape, [*every(0.01, 30), 10.0])[-2:] == "x."
    board = Board(1)
    board.put_on("f", "status", {"code": 503}, ("a", "b"), shape)
    assert [board.decide(WHOLE, at_s) for at_s in every(0.01, 30)][-1]
    assert board.decide(msgspec.structs.replace(WHOLE, leg="b"), 0.3) == ()


SHAPES = [
    Shape(share=0.4),
    Shape(share=0.8, ramp_s=20.0),
    Shape(sticky=0.5),
    Shape(share=0.7, square=Square(period_s=7.0), burst=Burst(every=3, of=2)),
    Shape(load_coupled=LoadCoupled(from_per_s=5.0, full_per_s=20.0)),
]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_seed_decides(shape: Shape) -> None:
    """The same seed and requests give the same decisions; another seed, or another leg, gives others."""
    times = every(0.08, 400)
    assert hits(shape, times) == hits(shape, times)
    assert hits(shape, times) != hits(shape, times, seed=2)
    if shape.sticky is None:
        assert hits(shape, times) != hits(shape, times, leg="b")


@pytest.mark.parametrize("shape", [*SHAPES, Shape(first=2), Shape(burst=Burst(every=5, of=1))], ids=str)
def test_probes_are_always_hit_and_change_nothing(shape: Shape) -> None:
    """A probe between any two requests meets the fault, and the requests meet what they would meet without it."""
    board = Board(1, PROBES)
    board.put_on("f", "status", {"code": 503}, ("a", "b"), shape, 100.0)
    found = ""
    for number in range(200):
        at_s = 100 + number * 0.08
        found += "x" if board.decide(msgspec.structs.replace(WHOLE, key=f"{number:016x}"), at_s) else "."
        probe = msgspec.structs.replace(WHOLE, key=f"{PROBES}{number:06x}")
        assert board.decide(probe, at_s) == (Step("f", Answer(503)),)
    assert found == hits(shape, every(0.08, 200))


def test_shaped_faults_compose() -> None:
    """Each by its own shape, and each counts its own requests."""
    board = Board(1)
    board.put_on("x", "status", {"code": 503}, ("a",), Shape(burst=Burst(every=2, of=1)), 0.0)
    board.put_on("y", "slow", {"by": 1.0}, ("a",), Shape(first=1), 0.0)
    found = [tuple(step.decision for step in board.decide(WHOLE, 0.0)) for _ in range(3)]
    assert found == [(Delay(1.0), Answer(503)), (), (Answer(503),)]


def test_the_board_refuses_a_shape_on_connections() -> None:
    """Whoever asks for it."""
    with pytest.raises(ValueError, match="refuse is a fault of connections"):
        Board(1).put_on("f", "refuse", {}, ("a",), Shape(share=0.5))


def test_draws_are_even() -> None:
    """Ten thousand draws fill ten bins alike."""
    bins = [0] * 10
    for number in range(10_000):
        bins[int(draw(f"t:{number}") * 10)] += 1
    assert all(count == pytest.approx(1000, abs=150) for count in bins)


# --- as they are written ---------------------------------------------------------------------------------------------


def written(entry: str) -> FaultUse:
    """The one fault of a scenario."""
    return timeline(f"  - {{phase: outage, for: 5s, faults: [{entry}]}}\n").faults[0]


WRITTEN: list[tuple[str, Shape | None, str]] = [
    ("", None, ""),
    (", share: 30%", Shape(share=0.3), "share: 30%"),
    (", share: 30%, ramp: 10s", Shape(share=0.3, ramp_s=10.0), "share: 30%; ramp: 10s"),
    (", square: {period: 10s, on: 25%}", Shape(square=Square(period_s=10.0, on=0.25)), "square: 10s, on 25%"),
    (", burst: {every: 20, of: 3}", Shape(burst=Burst(every=20, of=3)), "burst: 3 of each 20"),
    (", sticky: 30%", Shape(sticky=0.3), "sticky: 30%"),
    (", first: 5", Shape(first=5), "first: 5"),
    (
        ", load_coupled: {from: 5/s, full: 20/s}",
        Shape(load_coupled=LoadCoupled(from_per_s=5.0, full_per_s=20.0)),
        "load_coupled: from 5/s, full at 20/s",
    ),
]


@pytest.mark.parametrize(("keys", "shape", "text"), WRITTEN)
def test_every_key_can_be_written(keys: str, shape: Shape | None, text: str) -> None:
    """Beside the selector and the settings, and back as people read it; over the control channel, too."""
    use = written(f"status: {{role: primary, code: 503{keys}}}")
    assert use.shape == shape
    assert str(shape or "") == text
    sent = Apply(fault="f", kind="status", settings={}, legs=("a",), shape=use.shape)
    assert msgspec.json.decode(msgspec.json.encode(sent), type=Apply | Clear) == sent


def test_every_key_is_tested() -> None:
    """The table above knows every key."""
    assert {key for key in SHAPE_KEYS if any(f" {key}:" in keys for keys, _, _ in WRITTEN)} == set(SHAPE_KEYS)


def test_another_shape_is_another_fault() -> None:
    """The same fault goes on into the next phase only in the same shape."""
    phases = "\n".join(
        f"  - {{phase: {name}, for: 5s, faults: [status: {{role: primary, code: 503, share: {share}}}]}}"
        for name, share in (("a", "30%"), ("b", "30%"), ("c", "60%"))
    )
    assert [use.id for use in timeline(phases).faults] == ["a-status", "c-status"]


@pytest.mark.parametrize("key", SHAPE_KEYS)
def test_a_setting_cannot_shadow_a_shape_key(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Registering such a fault fails."""
    odd = dataclass(frozen=True)(type("Odd", (), {"__annotations__": {key: str}}))
    monkeypatch.setattr(drills.faultentry, "kinds", lambda: {"odd": odd})
    drills.faultentry.catalogue.cache_clear()
    try:
        with pytest.raises(TypeError, match=f"a setting cannot be called {key}: it shapes faults in time"):
            drills.faultentry.catalogue()
    finally:
        drills.faultentry.catalogue.cache_clear()


# --- on the real plane -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def legs() -> Iterator[Bench]:
    """One leg behind a plane."""
    with bench({"a": "openai"}) as found:
        yield found


def test_the_plane_obeys_a_shape(legs: Bench) -> None:
    """Of each three requests one gets the status, and the others their answers."""
    shape = Shape(burst=Burst(every=3, of=1))
    legs.plane.send(Apply(fault="f", kind="status", settings={"code": 503}, legs=("a",), shape=shape))
    legs.plane.effective("f")
    with legs.caller("a") as caller:
        assert [caller.ask(mark()).status_code for _ in range(6)] == [503, 200, 200, 503, 200, 200]
    legs.plane.clear("f")
    assert legs.plane.troubles == []


def test_messages_are_located() -> None:
    """What a shape cannot be is said where it stands."""
    text = timeline("").text.replace(
        "expect:", "  - {phase: outage, for: 5s, faults: [refuse: {role: primary, share: 30%}]}\nexpect:"
    )
    [message] = messages(text)
    assert message.startswith(
        "a.yaml:7:63: 'share' chooses requests, and 'refuse' is one of connections: its one shape"
    )
