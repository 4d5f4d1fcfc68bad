"""Which attempts met a fault on the wire: by what went over their connections, as values and on the real plane."""

from __future__ import annotations

import msgspec
import pytest
from calibration.story import history
from plane_harness import bench, mark

from drills.events import AttemptDone
from drills.verdict import judge
from faults.base import Fault, Passage, kinds
from faults.wire_bandwidth import WireBandwidth
from faults.wire_down import WireDown
from faults.wire_latency import WireLatency
from faults.wire_limit_data import WireLimitData
from faults.wire_reset import WireReset
from faults.wire_slicer import WireSlicer
from faults.wire_slow_close import WireSlowClose
from faults.wire_timeout import WireTimeout

SOME = Passage(sent=500, carried=500, closed=False)
NOTHING = Passage(sent=0, carried=0, closed=False)
MEETS: list[tuple[Fault, Passage, bool]] = [
    *((fault, SOME, True) for fault in (WireLatency(latency=1), WireReset(), WireBandwidth(kilobytes_per_s=1))),
    *((fault, NOTHING, False) for fault in (WireLatency(latency=1), WireReset(), WireBandwidth(kilobytes_per_s=1))),
    # What kept answers away, or connections, need not see any.
    (WireTimeout(timeout=1), NOTHING, True),
    (WireDown(), NOTHING, True),
    # The end of a connection, and nothing else.
    (WireSlowClose(delay=1), SOME, False),
    (WireSlowClose(delay=1), msgspec.structs.replace(SOME, closed=True), True),
    # More than one piece; more than the connection may carry, in one answer or in several.
    (WireSlicer(average_size=500), SOME, False),
    (WireSlicer(average_size=499), SOME, True),
    (WireLimitData(bytes=500), SOME, False),
    (WireLimitData(bytes=600), msgspec.structs.replace(SOME, carried=1000), True),
]


def test_every_fault_of_the_wire_is_here() -> None:
    """What an attempt must show is decided for each."""
    assert {fault.kind for fault, _, _ in MEETS} == {kind for kind, cls in kinds().items() if cls.plane == "toxi"}


@pytest.mark.parametrize(("fault", "passage", "met"), MEETS, ids=str)
def test_what_an_attempt_must_show(fault: Fault, passage: Passage, met: bool) -> None:
    """What went over the line tells."""
    assert fault.meets(passage) is met


def touched(fault: Fault, *, connections: int = 1, **done: int | bool) -> int:
    """Requests of a story that met the fault: ten are answered while it is on, by connections in turn, and one spans
    its end.
    """
    head, *rest = history("ppp[pppppppppp]ppp")
    settings = msgspec.to_builtins(fault)
    plans = tuple(msgspec.structs.replace(p, plane="toxi", kind=fault.kind, settings=settings) for p in head.faults)
    events = [
        msgspec.structs.replace(event, connection=event.attempt % connections + 1, **done)
        if isinstance(event, AttemptDone)
        else event
        for event in rest
    ]
    return judge((msgspec.structs.replace(head, faults=plans), *events), "story").faults[0].touched_requests


def test_whom_a_fault_of_the_wire_touched() -> None:
    """A close that is late meets connections that close, a limit those that carried more; others are not touched."""
    slow_close, limit = WireSlowClose(delay=600), WireLimitData(bytes=1200)
    assert touched(slow_close, sent=500, closes=False) == 0
    assert touched(slow_close, sent=500, closes=True) == 10
    assert touched(slow_close) == 11  # a history that does not tell; one request ends when the fault has ended
    # 500 bytes each: the third request on a connection goes over the limit.
    assert touched(limit, sent=500, closes=False) == 8
    assert touched(limit, sent=500, closes=False, connections=100) == 0
    assert touched(limit, sent=1300, closes=False, connections=100) == 10
    assert touched(WireLatency(latency=1), sent=0, closes=False) == 0
    assert touched(WireDown(), sent=0, closes=False) == 11


def test_the_plane_tells_what_went_over_a_connection() -> None:
    """Its number, what it got for each attempt, and whether the leg's side ends it; also of an answer by a fault."""
    with bench({"a": "openai"}) as rig, rig.caller("a") as caller, rig.caller("a") as other:
        found, sizes = [], []
        for who, headers in ((caller, {}), (caller, {}), (other, {"connection": "close"})):
            asked = mark()
            with who.receiving(asked, stream=True, headers=headers) as response:
                sizes.append(len(response.read()))
            found.append(rig.plane.attempt(asked.id)[1])
        with rig.plane.fault("status", "a", code=503):
            asked = mark()
            sizes.append(len(caller.ask(asked).content))
            found.append(rig.plane.attempt(asked.id)[1])
    assert [done.closes for done in found] == [False, False, True, False]
    numbers = [done.connection for done in found]
    assert numbers[0] == numbers[1] == numbers[3] != numbers[2]
    assert all(0 <= (done.sent or 0) - size < 2000 for done, size in zip(found, sizes, strict=True))
