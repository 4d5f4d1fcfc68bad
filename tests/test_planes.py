"""The mitm plane with real sockets: what a caller sees of each fault, and what the plane reports of it."""

from __future__ import annotations

import asyncio
import errno
import json
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path

import httpx
import pytest
from plane_harness import (
    MODEL,
    SETTLE_S,
    Bench,
    Caller,
    PlaneProcess,
    Streamed,
    Upstream,
    bench,
    mark,
    measured,
    undisturbed,
    until,
)

from drills import providers
from drills.clock import Clock
from drills.events import (
    AnyEvent,
    AttemptDone,
    AttemptReceived,
    AttemptResult,
    ConnectHung,
    FaultCleared,
    FaultEffective,
    FaultPlan,
    PlaneTrouble,
)
from drills.legs import Leg
from drills.marks import Shape, read_answer
from drills.planes import MitmPlane, plane_legs
from drills.simulator import SimulatedLeg as Simulated
from drills.simulator import Simulator, SimulatorSpec
from faults.base import Connections
from faults.planes.control import LEASE_S, PlaneSpec

DIALECTS = {name: name for name in providers.names()}
STREAMS = ["openai", "anthropic", "gemini", "bedrock"]
"""A leg of each way to frame a stream, and each way to end it."""
LONG = 120
"""Words of an answer that takes 0.6 s."""
OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"

pytestmark = [
    pytest.mark.clock,
    pytest.mark.skipif(sys.platform != "linux", reason="blackhole and its trace need Linux"),
]


@pytest.fixture(scope="module")
def counted() -> Iterator[Upstream]:
    """A leg that counts what reaches it."""
    upstream = Upstream(OK)
    yield upstream
    upstream.close()


@pytest.fixture(scope="module")
def rig(counted: Upstream) -> Iterator[Bench]:
    """One plane and one simulator for every test of this file: legs are named after their dialects."""
    half = Upstream(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 90\r\n\r\n{", keep=False)
    with bench({**DIALECTS, "other": "openai"}, {"counted": counted.port, "broken": half.port}) as found:
        yield found
        assert found.plane.troubles == []
    half.close()


@pytest.fixture
def plane(rig: Bench) -> Iterator[PlaneProcess]:
    """The plane, with no fault on before the test and none after it."""
    with undisturbed(rig) as found:
        yield found


def works_at_once(rig: Bench, leg: str) -> None:
    """A new caller is answered whole and soon, on the port that the leg always had."""
    with rig.caller(leg) as caller:
        began_s, asked = time.monotonic(), mark()
        assert caller.reading(asked, stream=True).shape is Shape.WHOLE
        assert time.monotonic() - began_s < 0.9  # a dropped SYN would be sent again after 1 s
        assert rig.plane.attempt(asked.id)[1].faults == ()


def cause_of(error: BaseException) -> list[int | None]:
    """Every errno in the chain of an exception."""
    found, at = [], error.__cause__ or error.__context__
    while at is not None:
        found.append(at.errno if isinstance(at, OSError) else None)
        at = at.__cause__ or at.__context__
    return found


# without a fault


@pytest.mark.parametrize("leg", DIALECTS)
def test_without_a_fault_the_plane_is_not_there(rig: Bench, plane: PlaneProcess, leg: str) -> None:
    """Each dialect's answer passes whole, whole and streamed, on one connection; each attempt is reported once."""
    with rig.caller(leg) as caller:
        for stream in (False, True):
            asked, began_s = mark(), time.monotonic()
            reading = caller.reading(asked, stream=stream)
            assert (reading.shape, reading.legs) == (Shape.WHOLE, (leg,))
            received, done = plane.attempt(asked.id)
            assert (received.leg, received.stream, received.surface) == (leg, stream, "model")
            assert (done.status, done.result, done.faults) == (200, AttemptResult.ANSWERED, ())
            assert done.answered_s is not None
            assert began_s <= received.received_s <= done.answered_s <= done.done_s <= time.monotonic()


@pytest.mark.usefixtures("plane")
def test_the_first_token_is_not_delayed(rig: Bench) -> None:
    """Time to first token through the plane is within 5 ms of direct: the median of the differences of pairs that are
    asked in turn, in the best of up to four batches, because a busy machine can only add to it.
    """

    def first_token_s(caller: Caller) -> float:
        began_s = time.monotonic()
        found = caller.begin(mark(4), stream=True)
        assert found.ended.wait(SETTLE_S)
        return found.parts[0][0] - began_s

    def added_ms(pairs: list[tuple[float, float]]) -> float:
        return statistics.median(through_s - direct_s for direct_s, through_s in pairs) * 1000

    with rig.caller("openai", direct=True) as direct, rig.caller("openai") as through:
        for _ in range(2):  # the first requests pay for the connections
            first_token_s(direct), first_token_s(through)
        batches: list[list[tuple[float, float]]] = []
        while len(batches) < 4 and not (len(batches) >= 2 and min(map(added_ms, batches)) < 5):
            batches.append([(first_token_s(direct), first_token_s(through)) for _ in range(15)])
    best = min(batches, key=added_ms)
    straight = statistics.median(pair[0] for pair in best) * 1000
    all_of_them = ", ".join(f"{added_ms(batch):.2f}" for batch in batches)
    measured(
        f"first token: direct {straight:.2f} ms, the plane adds {added_ms(best):.2f} ms "
        f"(medians of {len(batches)} batches of 15 pairs: {all_of_them})"
    )
    assert -5 < added_ms(best) < 5


@pytest.mark.usefixtures("plane")
def test_every_chunk_is_forwarded_on_arrival(rig: Bench) -> None:
    """The gaps between chunks at the caller are the simulator's token interval of 5 ms."""
    with rig.caller("anthropic", direct=True) as direct, rig.caller("anthropic") as through:
        found = {}
        for name, caller in (("direct", direct), ("through", through)):
            streamed = caller.begin(mark(100), stream=True)
            assert streamed.ended.wait(SETTLE_S)
            found[name] = [(after - before) * 1000 for (before, _), (after, _) in pairwise(streamed.parts)]
    for name, gaps in found.items():
        p5, p95 = statistics.quantiles(gaps, n=20)[0], statistics.quantiles(gaps, n=20)[-1]
        median = statistics.median(gaps)
        measured(f"gaps {name}: {len(gaps)} of median {median:.2f} ms, p5 {p5:.2f}, p95 {p95:.2f}, max {max(gaps):.2f}")
    assert len(found["through"]) > 90
    # A busy machine bunches chunks now and then; a plane that buffers sends them all at once: a mean near 0.
    assert statistics.fmean(found["through"]) == pytest.approx(statistics.fmean(found["direct"]), abs=2)
    assert statistics.quantiles(found["through"], n=20)[-1] < 50


# connections


def test_refuse_closes_the_port(rig: Bench, plane: PlaneProcess) -> None:
    """New connects get ECONNREFUSED, a pooled connection is reset; both work again at once, on the same port."""
    with rig.caller("openai") as pooled, rig.caller("openai") as fresh:
        assert pooled.reading(mark()).shape is Shape.WHOLE
        with plane.fault("refuse", "openai") as fault:
            with pytest.raises(httpx.ConnectError) as refused:
                fresh.ask(mark())
            assert errno.ECONNREFUSED in cause_of(refused.value)
            # The pool finds its connection dead, and its new connect refused.
            with pytest.raises(httpx.ConnectError) as again:
                pooled.ask(mark())
            assert errno.ECONNREFUSED in cause_of(again.value)
        effective = plane.effective(fault)
        assert (effective.cut, effective.held) == (1, 0)
        assert pooled.reading(mark()).shape is Shape.WHOLE
    works_at_once(rig, "openai")


def test_refuse_resets_an_open_connection(plane: PlaneProcess) -> None:
    """An idle connection that was open before the fault gets a TCP reset, not a FIN."""
    with socket.create_connection(("127.0.0.1", plane.ports["openai"]), timeout=SETTLE_S) as idle:
        idle.sendall(b"GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n")
        assert idle.recv(65536).startswith(b"HTTP/1.1 200")
        with plane.fault("refuse", "openai"), pytest.raises(ConnectionResetError):
            b"".join(iter(lambda: idle.recv(65536), b""))


@pytest.mark.parametrize("stream", [False, True])
def test_refuse_resets_an_answer_under_way(rig: Bench, plane: PlaneProcess, stream: bool) -> None:
    """The caller sees its connection break, and the attempt is the fault's."""
    asked = mark(LONG)
    with rig.caller("anthropic") as caller:
        streamed = caller.begin(asked, stream=stream)
        plane.received(asked.id)
        if stream:
            until(lambda: len(streamed.parts) > 3)
        with plane.fault("refuse", "anthropic") as fault:
            assert streamed.ended.wait(SETTLE_S)
            assert isinstance(streamed.error, httpx.ReadError)
            assert errno.ECONNRESET in cause_of(streamed.error)
            _, done = plane.attempt(asked.id)
            assert (done.result, done.faults) == (AttemptResult.FAULTED, (fault,))
            assert done.detail == "connection reset by the fault"
    works_at_once(rig, "anthropic")


def test_refuse_ends_a_request_that_another_fault_holds(rig: Bench, plane: PlaneProcess) -> None:
    """A hanging request is reset when the leg begins to refuse, and both faults touched it."""
    asked = mark()
    with rig.caller("openai") as caller, plane.fault("hang", "openai") as hang:
        streamed = caller.begin(asked, stream=False)
        plane.received(asked.id)
        with plane.fault("refuse", "openai") as refuse:
            assert streamed.ended.wait(SETTLE_S)
            assert isinstance(streamed.error, httpx.ReadError)
        _, done = plane.attempt(asked.id)
        assert (done.result, done.faults) == (AttemptResult.FAULTED, (hang, refuse))


def test_blackhole_swallows_connects(rig: Bench, plane: PlaneProcess) -> None:
    """A new connect hangs until the caller's own timeout, and is reported once as hanging."""
    with rig.caller("openai", timeout_s=0.4) as caller:
        with plane.fault("blackhole", "openai") as fault:
            began_s = time.monotonic()
            with pytest.raises(httpx.ConnectTimeout):
                caller.ask(mark())
            assert time.monotonic() - began_s >= 0.4
        hung = plane.all(ConnectHung, lambda event: event.faults == (fault,))
        assert [event.leg for event in hung] == ["openai"]
        assert began_s <= hung[0].seen_s <= time.monotonic()
    works_at_once(rig, "openai")


def test_a_hanging_connect_gets_through_when_the_blackhole_clears(rig: Bench, plane: PlaneProcess) -> None:
    """The kernel sends the SYN again after 1 s: a caller without a connect timeout is answered late and whole."""
    asked = mark()
    with rig.caller("openai") as caller:
        with plane.fault("blackhole", "openai") as fault:
            streamed = caller.begin(asked, stream=True)
            plane.wait_for(ConnectHung, lambda event: event.faults == (fault,))
            assert not streamed.ended.wait(0.2)
        assert streamed.ended.wait(SETTLE_S)
        assert read_answer(caller.dialect.read(stream=True, body=streamed.body), asked).shape is Shape.WHOLE
        assert plane.attempt(asked.id)[1].faults == ()


def test_blackhole_silences_a_pooled_connection(rig: Bench, plane: PlaneProcess) -> None:
    """A request on a connection from before gets nothing, not even an end; nothing of it reaches the leg."""
    asked = mark()
    with rig.caller("openai", timeout_s=0.4) as caller:
        assert caller.reading(mark()).shape is Shape.WHOLE
        with plane.fault("blackhole", "openai") as fault:
            with pytest.raises(httpx.ReadTimeout):
                caller.ask(asked)
            _, done = plane.attempt(asked.id)
            assert (done.status, done.answered_s, done.faults) == (None, None, (fault,))
            assert done.result is AttemptResult.FAULTED
        effective = plane.effective(fault)
        assert (effective.cut, effective.held) == (0, 1)
    works_at_once(rig, "openai")


def test_a_request_into_the_blackhole_is_answered_when_it_clears(rig: Bench, plane: PlaneProcess) -> None:
    """A caller that waits long enough gets the whole answer: packets are sent again until they get through."""
    asked = mark()
    with rig.caller("openai") as caller:
        assert caller.reading(mark()).shape is Shape.WHOLE
        with plane.fault("blackhole", "openai") as fault:
            streamed = caller.begin(asked, stream=False)
            plane.received(asked.id)
            assert not streamed.ended.wait(0.3)
        assert streamed.ended.wait(SETTLE_S)
        assert read_answer(caller.dialect.read(stream=False, body=streamed.body), asked).shape is Shape.WHOLE
        _, done = plane.attempt(asked.id)
        assert (done.result, done.faults) == (AttemptResult.ANSWERED, (fault,))


@pytest.mark.parametrize("keep_alive", [True, False])
def test_a_stream_under_way_goes_silent_and_the_rest_follows(rig: Bench, plane: PlaneProcess, keep_alive: bool) -> None:
    """Not a byte and no end in the blackhole, though the leg ends its answer in it; the rest when it clears.

    Also on a connection that ends with the answer. The answer was passed on whole, and the plane says so.
    """
    asked = mark(60)
    headers = {} if keep_alive else {"connection": "close"}
    with rig.caller("anthropic") as caller:
        streamed = caller.begin(asked, stream=True, headers=headers)
        until(lambda: len(streamed.parts) > 3)
        with plane.fault("blackhole", "anthropic") as fault:
            time.sleep(0.1)  # what was sent before the fault is read
            seen = len(streamed.parts)
            assert not streamed.ended.wait(0.6)  # the leg was done after 0.3 s
            assert len(streamed.parts) == seen
            received = plane.received(asked.id)
            assert plane.all(AttemptDone, lambda event: event.attempt == received.attempt) == []
        assert streamed.ended.wait(SETTLE_S)
        assert streamed.error is None
        assert read_answer(caller.dialect.read(stream=True, body=streamed.body), asked).shape is Shape.WHOLE
        _, done = plane.attempt(asked.id)
        assert (done.result, done.faults) == (AttemptResult.ANSWERED, (fault,))


def test_a_caller_that_leaves_the_blackhole_is_seen(rig: Bench, plane: PlaneProcess) -> None:
    """An answer that waits at the plane when its caller leaves was not passed on: the fault did it."""
    asked = mark(400)  # two seconds of stream: it must not be over when the fault comes
    with rig.caller("anthropic", timeout_s=0.4) as caller:
        streamed = caller.begin(asked, stream=True)
        until(lambda: len(streamed.parts) > 3)
        with plane.fault("blackhole", "anthropic") as fault:
            assert streamed.ended.wait(SETTLE_S)
            assert isinstance(streamed.error, httpx.ReadTimeout)
            _, done = plane.attempt(asked.id)
            assert (done.result, done.faults) == (AttemptResult.FAULTED, (fault,))


def test_connection_faults_change_places(rig: Bench, plane: PlaneProcess) -> None:
    """Blackholed, then refused on top, then blackholed again, then open: the port does what the hardest one says."""
    with rig.caller("openai", timeout_s=0.3) as caller:
        with plane.fault("blackhole", "openai"):
            with pytest.raises(httpx.ConnectTimeout):
                caller.ask(mark())
            with plane.fault("refuse", "openai"), pytest.raises(httpx.ConnectError):
                caller.ask(mark())
            with pytest.raises(httpx.ConnectTimeout):
                caller.ask(mark())
        with plane.fault("refuse", "openai"):
            with plane.fault("blackhole", "openai"), pytest.raises(httpx.ConnectError):
                caller.ask(mark())
            with pytest.raises(httpx.ConnectError):
                caller.ask(mark())
    works_at_once(rig, "openai")


# requests


@pytest.mark.parametrize("stream", [False, True])
def test_hang_accepts_and_never_answers(rig: Bench, plane: PlaneProcess, counted: Upstream, stream: bool) -> None:
    """The caller's read timeout passes. It is seen to leave during the fault; its request never reaches the leg."""
    asked = mark()
    with plane.fault("hang", "counted") as fault:
        with rig.caller("counted", timeout_s=0.3) as caller, pytest.raises(httpx.ReadTimeout):
            caller.ask(asked, stream=stream)
        left_s = time.monotonic()
        _, done = plane.attempt(asked.id)
        assert (done.result, done.status, done.faults) == (AttemptResult.ABANDONED, None, (fault,))
        assert done.done_s - left_s < 1
    after = mark()
    with rig.caller("counted") as caller:
        assert caller.ask(after).json() == {}
    assert [after.id in request.decode() for request in counted.requests[-1:]] == [True]
    assert not any(asked.id in request.decode() for request in counted.requests)


@pytest.mark.parametrize("stream", [False, True])
def test_hang_passes_the_request_on_when_it_clears(rig: Bench, plane: PlaneProcess, stream: bool) -> None:
    """A caller that waits is answered whole."""
    asked = mark()
    with rig.caller("gemini") as caller:
        with plane.fault("hang", "gemini") as fault:
            streamed = caller.begin(asked, stream=stream)
            plane.received(asked.id)
            assert not streamed.ended.wait(0.3)
        assert streamed.ended.wait(SETTLE_S)
        assert read_answer(caller.dialect.read(stream, streamed.body), asked).shape is Shape.WHOLE
        _, done = plane.attempt(asked.id)
        assert (done.result, done.faults) == (AttemptResult.ANSWERED, (fault,))
    works_at_once(rig, "gemini")


STATUSES = [
    # leg, status, what the body holds, what the headers hold (None: whatever value)
    ("anthropic", 529, b'"type":"overloaded_error"', {"retry-after": "7", "request-id": None}),
    ("anthropic", 503, b'"type":"error"', {"retry-after": "7", "request-id": None}),
    ("openai", 429, b'"code":"rate_limit_exceeded"', {"retry-after": "7", "retry-after-ms": "7000"}),
    ("azure", 429, b'"code":"429"', {"retry-after": "7", "apim-request-id": None}),
    ("gemini", 503, b'"retryDelay":"7s"', {"server": "scaffolding on HTTPServer2"}),
    ("vertex", 429, b'"status":"RESOURCE_EXHAUSTED"', {"server": "scaffolding on HTTPServer2"}),
    ("bedrock", 429, b'"message"', {"x-amzn-errortype": None, "x-amzn-requestid": None}),
]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("row", STATUSES, ids=lambda row: f"{row[0]}-{row[1]}")
def test_status_speaks_as_the_vendor_does(
    rig: Bench, plane: PlaneProcess, row: tuple[str, int, bytes, dict[str, str | None]], stream: bool
) -> None:
    """The vendor's body and headers, retry-after where it has one; the connection lives, and works afterwards."""
    leg, code, body, headers = row
    asked = mark()
    with rig.caller(leg) as caller:
        with plane.fault("status", leg, code=code, retry_after=7.0) as fault:
            response = caller.ask(asked, stream=stream)
            assert response.status_code == code
            assert body in response.content
            json.loads(response.content)
            assert response.headers["content-type"].startswith("application/json")
            assert all(response.headers[name] == (value or response.headers[name]) for name, value in headers.items())
            _, done = plane.attempt(asked.id)
            assert (done.status, done.result, done.faults) == (code, AttemptResult.FAULTED, (fault,))
        assert caller.reading(mark(), stream=stream).shape is Shape.WHOLE


@pytest.mark.parametrize("stream", [False, True])
def test_slow_answers_right_and_late(rig: Bench, plane: PlaneProcess, stream: bool) -> None:
    """The whole answer after 0.4 s more, and at once again when the fault is cleared."""
    asked = mark()
    with rig.caller("vertex") as caller, plane.fault("slow", "vertex", by=0.4) as fault:
        began_s = time.monotonic()
        assert caller.reading(asked, stream=stream).shape is Shape.WHOLE
        assert time.monotonic() - began_s >= 0.4
        received, done = plane.attempt(asked.id)
        assert (done.result, done.faults) == (AttemptResult.ANSWERED, (fault,))
        assert done.answered_s is not None
        assert done.answered_s - received.received_s >= 0.4
    works_at_once(rig, "vertex")


def test_slow_lets_go_when_it_is_cleared(rig: Bench, plane: PlaneProcess, counted: Upstream) -> None:
    """A request that is held for a minute goes on when the fault ends; one whose caller leaves is never passed on."""
    asked, gone = mark(), mark()
    with rig.caller("counted") as caller, rig.caller("counted", timeout_s=0.2) as hasty:
        with plane.fault("slow", "counted", by=60.0) as fault:
            streamed = caller.begin(asked, stream=False)
            with pytest.raises(httpx.ReadTimeout):
                hasty.ask(gone)
            _, left = plane.attempt(gone.id)
            assert (left.result, left.faults) == (AttemptResult.ABANDONED, (fault,))
            assert not streamed.ended.is_set()
        assert streamed.ended.wait(SETTLE_S)
        assert streamed.status == 200
    assert plane.attempt(asked.id)[1].result is AttemptResult.ANSWERED
    assert not any(gone.id in request.decode() for request in counted.requests)


@pytest.mark.parametrize("stream", [False, True])
def test_reset_answers_with_a_reset(rig: Bench, plane: PlaneProcess, counted: Upstream, stream: bool) -> None:
    """The request is written and its connection reset; nothing of it reaches the leg."""
    asked = mark()
    with rig.caller("counted") as caller:
        with plane.fault("reset", "counted") as fault:
            with pytest.raises(httpx.ReadError) as broken:
                caller.ask(asked, stream=stream)
            assert errno.ECONNRESET in cause_of(broken.value)
            _, done = plane.attempt(asked.id)
            assert (done.status, done.result, done.faults) == (None, AttemptResult.FAULTED, (fault,))
        assert caller.ask(mark()).status_code == 200
    assert not any(asked.id in request.decode() for request in counted.requests)


# streams


def cut_short(rig: Bench, plane: PlaneProcess, leg: str, how: str, after: int) -> tuple[Caller, Streamed]:
    """A stream that was cut; what is reported of it holds."""
    asked = mark(40)
    caller = rig.caller(leg)
    with plane.fault("cut", leg, after=after, how=how) as fault:
        streamed = caller.begin(asked, stream=True)
        assert streamed.ended.wait(SETTLE_S)
        _, done = plane.attempt(asked.id)
    assert streamed.status == 200
    assert (done.status, done.result, done.faults) == (200, AttemptResult.FAULTED, (fault,))
    assert done.detail == f"cut by {how} after {after} events"
    return caller, streamed


@pytest.mark.parametrize("after", [1, 5])
@pytest.mark.parametrize("leg", STREAMS)
def test_cut_by_reset(rig: Bench, plane: PlaneProcess, leg: str, after: int) -> None:
    """Exactly so many events, then a TCP reset."""
    caller, streamed = cut_short(rig, plane, leg, "rst", after)
    with caller:
        assert isinstance(streamed.error, httpx.ReadError)
        assert errno.ECONNRESET in cause_of(streamed.error)
        assert caller.events_in(streamed.body) == after
    works_at_once(rig, leg)


@pytest.mark.parametrize("after", [1, 5])
@pytest.mark.parametrize("leg", STREAMS)
def test_cut_by_end(rig: Bench, plane: PlaneProcess, leg: str, after: int) -> None:
    """Exactly so many events, then a FIN without the end of the chunked body."""
    caller, streamed = cut_short(rig, plane, leg, "fin", after)
    with caller:
        assert isinstance(streamed.error, httpx.RemoteProtocolError)
        assert "incomplete chunked read" in str(streamed.error)
        assert caller.events_in(streamed.body) == after
    works_at_once(rig, leg)


@pytest.mark.parametrize("kind", ["cut", "stall"])
def test_whole_answers_are_not_cut(rig: Bench, plane: PlaneProcess, kind: str) -> None:
    """A request that does not stream passes, and the fault did not touch it."""
    asked = mark()
    with rig.caller("openai") as caller, plane.fault(kind, "openai"):
        assert caller.reading(asked).shape is Shape.WHOLE
        assert plane.attempt(asked.id)[1].faults == ()


@pytest.mark.parametrize(
    ("leg", "after", "keep_alive"),
    [*((leg, after, True) for leg in STREAMS for after in (1, 5)), ("openai", 5, False)],
)
def test_stall(rig: Bench, plane: PlaneProcess, leg: str, after: int, keep_alive: bool) -> None:
    """Exactly so many events, then silence though the leg ends its answer; the rest when the fault clears, whole.

    Also on a connection that ends with the answer.
    """
    asked = mark(20)
    headers = {} if keep_alive else {"connection": "close"}
    with rig.caller(leg) as caller:
        with plane.fault("stall", leg, after=after) as fault:
            streamed = caller.begin(asked, stream=True, headers=headers)
            assert not streamed.ended.wait(0.4)  # the leg was done after 0.13 s
            assert caller.events_in(streamed.body) == after
        assert streamed.ended.wait(SETTLE_S)
        assert streamed.error is None
        assert read_answer(caller.dialect.read(stream=True, body=streamed.body), asked).shape is Shape.WHOLE
        _, done = plane.attempt(asked.id)
        assert (done.status, done.result, done.faults) == (200, AttemptResult.ANSWERED, (fault,))
    works_at_once(rig, leg)


def test_a_stall_that_clears_in_the_middle_of_the_answer(rig: Bench, plane: PlaneProcess) -> None:
    """The rest that came meanwhile follows at once, and then the stream goes on in its own time."""
    asked = mark(LONG)
    with rig.caller("openai") as caller:
        with plane.fault("stall", "openai", after=3):
            streamed = caller.begin(asked, stream=True)
            until(lambda: len(streamed.parts) >= 3)
            time.sleep(0.2)
            assert caller.events_in(streamed.body) == 3
        cleared_s = time.monotonic()
        assert streamed.ended.wait(SETTLE_S)
        assert read_answer(caller.dialect.read(stream=True, body=streamed.body), asked).shape is Shape.WHOLE
        assert sum(at_s > cleared_s + 0.05 for at_s, _ in streamed.parts) > 10


@pytest.mark.parametrize("kind", ["cut", "stall"])
def test_a_stream_is_not_broken_after_the_fault_is_cleared(rig: Bench, plane: PlaneProcess, kind: str) -> None:
    """The fault ends before its event comes: the stream passes whole, and the fault did not touch it."""
    asked = mark(LONG)
    with rig.caller("openai") as caller:
        with plane.fault(kind, "openai", after=80):
            streamed = caller.begin(asked, stream=True)
            until(lambda: len(streamed.parts) >= 3)
        assert len(streamed.parts) < 80
        assert streamed.ended.wait(SETTLE_S)
        assert read_answer(caller.dialect.read(stream=True, body=streamed.body), asked).shape is Shape.WHOLE
        _, done = plane.attempt(asked.id)
        assert (done.result, done.faults) == (AttemptResult.ANSWERED, ())


def test_a_stream_cut_in_the_blackhole_is_silent_first(rig: Bench, plane: PlaneProcess) -> None:
    """The break waits while packets vanish: no reset gets out of a blackhole. The cut comes when it clears."""
    asked = mark(LONG)
    with rig.caller("openai") as caller, plane.fault("cut", "openai", after=20) as cut:
        streamed = caller.begin(asked, stream=True)
        until(lambda: len(streamed.parts) >= 3)
        with plane.fault("blackhole", "openai") as blackhole:
            assert not streamed.ended.wait(0.3)
        assert streamed.ended.wait(SETTLE_S)
        assert isinstance(streamed.error, httpx.ReadError)
        _, done = plane.attempt(asked.id)
        assert (done.result, done.faults) == (AttemptResult.FAULTED, (blackhole, cut))


@pytest.mark.parametrize("kind", ["cut", "stall"])
def test_events_that_arrive_together_are_told_apart(kind: str) -> None:
    """A leg that sends its whole stream in one piece, many chunks in one segment, is still broken at the event."""
    events = [b"data: %d\n\n" % number for number in range(8)]
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(data), data) for data in (*events[:3], b"".join(events[3:])))
    upstream = Upstream(
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        + chunks
        + b"0\r\n\r\n"
    )
    with bench({}, {"burst": upstream.port}) as found, found.caller("burst") as caller:
        for after in (1, 2, 3, 4, 5):
            with found.plane.fault(kind, "burst", after=after):
                streamed = caller.begin(mark(), stream=True)
                assert streamed.ended.wait(0.3) == (kind == "cut")
                assert streamed.body == b"".join(events[:after])
            assert streamed.ended.wait(SETTLE_S)
            assert streamed.body == b"".join(events[: after if kind == "cut" else 8])
            assert (streamed.error is None) == (kind == "stall")
        assert found.plane.troubles == []
    upstream.close()


# several faults, several legs


def test_clearing_one_fault_keeps_the_other(rig: Bench, plane: PlaneProcess) -> None:
    """Slow and status at once: a late 503; then a prompt 503; then an answer."""
    with rig.caller("openai") as caller:
        status = plane.apply("status", ["openai"], code=503)
        slow = plane.apply("slow", ["openai"], by=0.4)
        asked, began_s = mark(), time.monotonic()
        assert caller.ask(asked).status_code == 503
        assert time.monotonic() - began_s >= 0.4
        assert set(plane.attempt(asked.id)[1].faults) == {slow, status}
        plane.clear(slow)
        asked, began_s = mark(), time.monotonic()
        assert caller.ask(asked).status_code == 503
        assert time.monotonic() - began_s < 0.4
        assert plane.attempt(asked.id)[1].faults == (status,)
        plane.clear(status)
        assert caller.ask(mark()).status_code == 200


HELD = [
    # The hang ends while the leg is still slow: the request goes on at once.
    ({"kind": "hang"}, {"kind": "slow", "by": 0.05}, 200),
    # The hang ends while the status is still on: the request gets the status.
    ({"kind": "hang"}, {"kind": "status", "code": 503}, 503),
    # The blackhole ends while the status is still on: so does a request on a pooled connection.
    ({"kind": "blackhole"}, {"kind": "status", "code": 503}, 503),
    # A minute's delay ends while the leg resets: the request is reset.
    ({"kind": "slow", "by": 60.0}, {"kind": "reset"}, 0),
]


@pytest.mark.parametrize(("first", "second", "status"), HELD)
def test_a_held_request_meets_the_faults_that_are_left(
    rig: Bench, plane: PlaneProcess, first: dict[str, object], second: dict[str, object], status: int
) -> None:
    """What becomes of a request that the first fault held, when that one is cleared and the second is not."""
    asked = mark()
    with rig.caller("openai") as caller:
        assert caller.ask(mark()).status_code == 200
        holding = plane.apply(str(first["kind"]), ["openai"], **{k: v for k, v in first.items() if k != "kind"})  # type: ignore[arg-type]
        left = plane.apply(str(second["kind"]), ["openai"], **{k: v for k, v in second.items() if k != "kind"})  # type: ignore[arg-type]
        streamed = caller.begin(asked, stream=False)
        plane.received(asked.id)
        assert not streamed.ended.wait(0.2)
        plane.clear(holding)
        assert streamed.ended.wait(SETTLE_S)
        assert streamed.status == status
        assert set(plane.attempt(asked.id)[1].faults) == {holding, left}
        plane.clear(left)


def test_a_fault_that_ends_during_a_delay_is_not_carried_out(rig: Bench, plane: PlaneProcess) -> None:
    """The status is cleared while the request is still held: it is answered by the leg."""
    asked = mark()
    with rig.caller("openai") as caller, plane.fault("slow", "openai", by=0.5) as slow:
        with plane.fault("status", "openai", code=503):
            streamed = caller.begin(asked, stream=False)
            plane.received(asked.id)
        assert streamed.ended.wait(SETTLE_S)
        assert streamed.status == 200
        assert plane.attempt(asked.id)[1].faults == (slow,)


def test_two_stalls_hold_a_stream_until_both_are_cleared(rig: Bench, plane: PlaneProcess) -> None:
    """And a third fault that is on, a delay, does not hold it."""
    asked = mark()
    with rig.caller("openai") as caller, plane.fault("slow", "openai", by=0.01):
        one = plane.apply("stall", ["openai"], after=2)
        two = plane.apply("stall", ["openai"], after=3)
        streamed = caller.begin(asked, stream=True)
        until(lambda: len(streamed.parts) >= 2)
        plane.clear(one)
        assert not streamed.ended.wait(0.3)
        assert caller.events_in(streamed.body) == 2
        plane.clear(two)
        assert streamed.ended.wait(SETTLE_S)
        assert read_answer(caller.dialect.read(stream=True, body=streamed.body), asked).shape is Shape.WHOLE


@pytest.mark.parametrize("kind", ["refuse", "blackhole", "hang", "reset"])
def test_a_fault_leaves_the_other_legs_alone(rig: Bench, plane: PlaneProcess, kind: str) -> None:
    """A leg of the same dialect answers before, during and after, also a stream that runs right through."""
    asked = mark(60)
    with rig.caller("other") as caller:
        streamed = caller.begin(asked, stream=True)
        until(lambda: len(streamed.parts) > 3)
        with plane.fault(kind, "openai", "azure"):
            works_at_once(rig, "other")
        assert streamed.ended.wait(SETTLE_S)
        assert read_answer(caller.dialect.read(stream=True, body=streamed.body), asked).shape is Shape.WHOLE
        gaps_s = [after - before for (before, _), (after, _) in pairwise(streamed.parts)]
        measured(f"longest gap on the other leg while {kind} was put on and off: {max(gaps_s) * 1000:.1f} ms")
        assert plane.attempt(asked.id)[1].faults == ()


def test_faults_of_a_leg_hit_all_its_legs(rig: Bench, plane: PlaneProcess) -> None:
    """One fault on two legs: both are refused."""
    with plane.fault("refuse", "openai", "azure"):
        for leg in ("openai", "azure"):
            with rig.caller(leg) as caller, pytest.raises(httpx.ConnectError):
                caller.ask(mark())


# what callers and legs may do


def test_a_caller_that_leaves_in_the_middle_of_a_stream(rig: Bench, plane: PlaneProcess) -> None:
    """Without a fault it is reported as abandoned, at once."""
    asked = mark(2000)
    with rig.caller("openai", timeout_s=SETTLE_S) as caller:
        request = caller.request(asked, stream=True)
        body = request.content
        with socket.create_connection(("127.0.0.1", caller.port)) as sock:
            head = f"POST {request.url.path} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n"
            sock.sendall(head.encode() + body)
            assert sock.recv(100)
    left_s = time.monotonic()
    _, done = plane.attempt(asked.id)
    assert (done.result, done.faults, done.status) == (AttemptResult.ABANDONED, (), 200)
    assert done.done_s - left_s < 1


def test_a_leg_that_fails_by_itself_is_not_a_fault(rig: Bench, plane: PlaneProcess) -> None:
    """A leg that breaks off its answer: the caller sees it break, and the leg is blamed."""
    asked = mark()
    with rig.caller("broken") as caller, pytest.raises(httpx.RemoteProtocolError):
        caller.ask(asked)
    _, done = plane.attempt(asked.id)
    assert (done.result, done.faults, done.status) == (AttemptResult.LEG_FAILED, (), 200)


def test_a_caller_that_leaves_in_the_middle_of_its_request(plane: PlaneProcess) -> None:
    """Half a body and a FIN: an attempt without an id, abandoned."""
    with socket.create_connection(("127.0.0.1", plane.ports["openai"])) as sock:
        sock.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 90\r\n\r\n{")
        before = len(plane.all(AttemptDone))
        time.sleep(0.1)
    until(lambda: len(plane.all(AttemptDone)) > before)
    done = plane.all(AttemptDone)[-1]
    received = plane.wait_for(AttemptReceived, lambda event: event.attempt == done.attempt)
    assert (received.id, done.result, done.status) == ("", AttemptResult.ABANDONED, None)


def raw(port: int, sent: bytes, ends: int) -> bytes:
    """What comes back for some bytes, up to so many ends of a head, or to the end of the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=SETTLE_S) as sock:
        sock.sendall(sent)
        found = b""
        while found.count(b"\r\n\r\n") < ends and (data := sock.recv(65536)):
            found += data
        return found


GARBAGE = [
    b"\x00\x01\x02\x03\r\n\r\n",
    b"HELO there\r\n\r\n",
    b"GET\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"\r\n\r\n\r\n\r\n",
]


def test_garbage_is_turned_away(rig: Bench, plane: PlaneProcess) -> None:
    """What is not HTTP gets a 400 or an end, and the plane lives on without trouble."""
    for sent in GARBAGE:
        with socket.create_connection(("127.0.0.1", plane.ports["openai"]), timeout=SETTLE_S) as sock:
            sock.sendall(sent)
            sock.shutdown(socket.SHUT_WR)
            assert sock.recv(65536).startswith((b"", b"HTTP/1.1 400"))
    works_at_once(rig, "openai")


def test_pipelined_requests_are_answered_in_order(plane: PlaneProcess, counted: Upstream) -> None:
    """Two requests in one segment get two answers."""
    get = b"GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n"
    before = len(counted.requests)
    answers = raw(plane.ports["counted"], get + get, 2)
    assert answers.count(b"HTTP/1.1 200 OK") == 2
    assert len(counted.requests) == before + 2


def test_a_caller_that_asks_to_continue(rig: Bench, plane: PlaneProcess) -> None:
    """`Expect: 100-continue` is answered, then the request."""
    asked = mark()
    with rig.caller("openai") as caller:
        request = caller.request(asked, stream=False)
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {len(request.content)}\r\n"
    with socket.create_connection(("127.0.0.1", plane.ports["openai"]), timeout=SETTLE_S) as sock:
        sock.sendall(head.encode() + b"expect: 100-continue\r\n\r\n")
        assert sock.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(request.content)
        assert sock.recv(65536).startswith(b"HTTP/1.1 200 OK")
    assert plane.attempt(asked.id)[1].result is AttemptResult.ANSWERED


def test_big_requests_pass(plane: PlaneProcess) -> None:
    """A request of 1 MB before the mark is read and answered."""
    asked = mark()
    probe = providers.get("openai").probe(MODEL, "x" * 1_000_000 + asked.prompt(), stream=True)
    url = f"http://127.0.0.1:{plane.ports['openai']}{probe.path}"
    response = httpx.post(url, content=probe.body, headers=dict(probe.headers), trust_env=False)
    assert read_answer(providers.get("openai").read(stream=True, body=response.content), asked).shape is Shape.WHOLE
    assert plane.attempt(asked.id)[1].result is AttemptResult.ANSWERED


# the plane itself


WRONG = [
    # command, what the trouble says
    (b'{"type":"apply","fault":"x","kind":"smite","settings":{},"legs":["openai"]}', "no fault 'smite'"),
    (b'{"type":"apply","fault":"x","kind":"slow","settings":{"by":"soon"},"legs":["openai"]}', "Expected `float`"),
    (b'{"type":"apply","fault":"x","kind":"refuse","settings":{},"legs":["openai","nowhere"]}', "no leg nowhere"),
    (b'{"type":"clear","fault":"never"}', "fault never is not on"),
    (b'{"type":"dance"}', "Invalid value 'dance'"),
    (b"not json", "malformed"),
]


def _has_troubles(plane: PlaneProcess, number: int) -> bool:
    return len(plane.troubles) >= number


def test_commands_that_make_no_sense_are_trouble() -> None:
    """Each is reported, changes nothing, and the plane goes on."""
    with bench({"openai": "openai"}) as found:
        for number, (line, message) in enumerate(WRONG):
            found.plane.send_raw(line)
            until(partial(_has_troubles, found.plane, number + 1))
            assert message in found.plane.troubles[-1]
        works_at_once(found, "openai")
        assert found.plane.all(FaultEffective) == []
        with found.plane.fault("refuse", "openai"):
            pass
        assert len(found.plane.troubles) == len(WRONG)


def test_the_plane_drops_its_faults_when_the_runner_falls_silent() -> None:
    """Three seconds without a heartbeat end every fault, with a reason; the legs answer again."""
    with bench({"openai": "openai", "gemini": "gemini"}) as found:
        faults = [found.plane.apply("refuse", ["openai"]), found.plane.apply("hang", ["gemini"])]
        time.sleep(LEASE_S + 0.5)
        assert found.plane.all(FaultCleared) == []
        found.plane.beating.clear()
        silent_s = time.monotonic()
        for fault in faults:
            cleared = found.plane.cleared(fault, 10)
            assert cleared.why == "the runner fell silent"
            assert LEASE_S - 0.5 < cleared.at_s - silent_s < LEASE_S + 2
        works_at_once(found, "openai")
        works_at_once(found, "gemini")


def test_the_plane_ends_with_its_input() -> None:
    """Within a second, also with requests in hand and connections in a blackhole; and it gives its ports up."""
    with bench({"openai": "openai", "gemini": "gemini"}):
        pass
    took_s = ended_with_work_in_hand()
    if took_s >= 1.5:  # once more, when few others want the machine
        took_s = ended_with_work_in_hand()
    assert took_s < 1.5


def ended_with_work_in_hand() -> float:
    """How long a plane took to end that held requests, all else as it should be."""
    with bench({"openai": "openai", "gemini": "gemini"}) as found:
        with found.caller("openai") as pooled, found.caller("gemini") as held:
            assert pooled.reading(mark()).shape is Shape.WHOLE
            found.plane.apply("blackhole", ["openai"])
            found.plane.apply("hang", ["gemini"])
            one, two = pooled.begin(mark(), stream=True), held.begin(mark(), stream=True)
            until(lambda: len(found.plane.all(AttemptReceived)) == 3)
            took_s = found.plane.close()
            measured(f"the plane ended {took_s:.2f} s after its input")
            assert one.ended.wait(SETTLE_S)
            assert two.ended.wait(SETTLE_S)
            cleared = found.plane.all(FaultCleared)
            assert [event.why for event in cleared] == ["the plane ends"] * 2
        for port in found.plane.ports.values():
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port))
    return took_s


PARENT = """
import asyncio, sys
from drills.clock import Clock
from drills.children import Child
from drills.events import FaultPlan
from drills.legs import Leg
from drills.planes import MitmPlane, plane_legs
from drills.simulator import SimulatedLeg, SimulatorReady, SimulatorSpec
from faults.base import Connections
from faults.planes.control import PlaneSpec
import msgspec

async def main():
    simulator = await Child.start("simulator", "drills.simulator", SimulatorSpec((SimulatedLeg("a", "openai"),)))
    ready = msgspec.json.decode(await simulator.first_line(20), type=SimulatorReady)
    leg = Leg(name="a", role="primary", provider="openai", vendor="openai", model="m", cloud="openai")
    clock = Clock()
    spec = PlaneSpec(origin_s=clock.origin_s, seed=1, legs=plane_legs((leg,), ready.ports, {}))
    plane = await MitmPlane.begin(spec, clock, lambda event: None)
    await plane.apply(FaultPlan(id="f", kind="blackhole", legs=("a",), start_s=0, end_s=1, selector="", settings={},
                                connections=Connections.BLACKHOLED))
    print(simulator.pid, plane._child.pid, ready.ports["a"], plane.ports["a"], flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


def test_nothing_outlives_a_runner_that_is_killed() -> None:
    """SIGKILL of the runner with a blackhole on: no plane, no simulator and no listener 5 s later."""
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        simulator, plane, *ports = map(int, parent.stdout.readline().split())
        assert all(running(pid) for pid in (simulator, plane))
        parent.send_signal(signal.SIGKILL)
        killed_s = time.monotonic()
        until(lambda: not any(running(pid) for pid in (simulator, plane)))
        measured(f"plane and simulator were gone {time.monotonic() - killed_s:.2f} s after the runner")
        # A process whose first thread has ended may have others that still hold its sockets.
        until(lambda: all(refused(port) for port in ports))
        assert time.monotonic() - killed_s < 5


def refused(port: int) -> bool:
    """Whether nobody listens on a port."""
    with socket.socket() as sock:
        sock.settimeout(1)
        return sock.connect_ex(("127.0.0.1", port)) == errno.ECONNREFUSED


def running(pid: int) -> bool:
    """Whether a process runs: it exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def test_the_runners_side(capfd: pytest.CaptureFixture[str]) -> None:
    """`MitmPlane` starts a plane, puts a fault on and off, says what went wrong, and ends it without a word."""

    async def drill() -> list[AnyEvent]:
        events: list[AnyEvent] = []
        simulator = Simulator(SimulatorSpec((Simulated("a", "anthropic"),)))
        ports = (await simulator.start()).ports
        leg = Leg(name="a", role="primary", provider="anthropic", vendor="anthropic", model="m", cloud="anthropic")
        clock = Clock()
        spec = PlaneSpec(origin_s=clock.origin_s, seed=1, legs=plane_legs((leg,), ports, {}))
        plane = await MitmPlane.begin(spec, clock, events.append)
        plan = FaultPlan(
            id="f",
            kind="reset",
            legs=("a",),
            start_s=0,
            end_s=1,
            selector="",
            settings={},
            connections=Connections.OPEN,
        )
        asked = mark()
        probe = providers.get("anthropic").probe("m", asked.prompt(), stream=False)
        url = f"http://127.0.0.1:{plane.ports['a']}{probe.path}"
        async with httpx.AsyncClient(trust_env=False) as client:
            await plane.apply(plan)
            with pytest.raises(httpx.ReadError):
                await client.post(url, content=probe.body, headers=list(probe.headers))
            await plane.clear("f")
            assert (await client.post(url, content=probe.body, headers=list(probe.headers))).status_code == 200
        await plane.end()
        assert not plane.lost.is_set()
        await simulator.stop()
        return events

    events = asyncio.run(drill())
    kinds = [type(event).__name__ for event in events]
    assert [kind for kind in kinds if kind.startswith("Fault")] == [
        *("FaultRequested", "FaultEffective"),
        *("FaultClearRequested", "FaultCleared"),
    ]
    results = [event.result for event in events if isinstance(event, AttemptDone)]
    assert results == [AttemptResult.FAULTED, AttemptResult.ANSWERED]
    assert not any(isinstance(event, PlaneTrouble) for event in events)
    assert capfd.readouterr().err == ""


def exchange(callers: list[socket.socket]) -> None:
    """Each connection asks, and then each gets its answer."""
    for caller in callers:
        caller.sendall(b"GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n")
    for caller in callers:
        found = b""
        while not found.endswith(b"{}"):
            data = caller.recv(65536)
            assert data
            found += data


def test_many_connections_through_many_blackholes() -> None:
    """200 open connections, 50 cycles: none is lost, and the plane keeps no descriptor."""
    upstream = Upstream(OK)
    with bench({}, {"a": upstream.port}) as found:
        before = found.plane.descriptors
        callers = [
            socket.create_connection(("127.0.0.1", found.plane.ports["a"]), timeout=SETTLE_S) for _ in range(200)
        ]
        exchange(callers)
        took_s = []
        for _ in range(50):
            began_s = time.monotonic()
            fault = found.plane.apply("blackhole", ["a"])
            took_s.append(time.monotonic() - began_s)
            effective = found.plane.effective(fault)
            assert effective.held == 200
            found.plane.clear(fault)
        spans = [event.at_s - event.began_s for event in found.plane.all(FaultEffective)]
        most, median = max(spans) * 1000, statistics.median(spans) * 1000
        measured(f"blackhole on 200 connections: effective within {most:.1f} ms, median {median:.2f} ms")
        exchange(callers)
        for caller in callers:
            caller.close()
        until(lambda: found.plane.descriptors <= before)
        assert found.plane.troubles == []
    upstream.close()


def test_callers_that_leave_the_blackhole_leave_nothing_behind() -> None:
    """Connections that end in a blackhole, pooled or hanging, cost no descriptor once it is cleared."""
    with bench({"a": "openai"}) as found:
        before = found.plane.descriptors
        for _ in range(5):
            with found.caller("a") as caller, socket.socket() as hanging:
                assert caller.reading(mark()).shape is Shape.WHOLE
                with found.plane.fault("blackhole", "a"):
                    streamed = caller.begin(mark(), stream=True)
                    hanging.setblocking(False)
                    hanging.connect_ex(("127.0.0.1", caller.port))
                    until(lambda: len(found.plane.all(AttemptReceived)) % 2 == 0)
                    caller.__exit__()
                    hanging.close()
                streamed.ended.wait(SETTLE_S)
        until(lambda: found.plane.descriptors <= before)
        assert found.plane.troubles == []


def test_the_port_stays_the_same_through_refusals() -> None:
    """50 cycles: refused in each, answered after each, and nobody else can have the port in between."""
    upstream = Upstream(OK)
    with bench({}, {"a": upstream.port}) as found:
        port = found.plane.ports["a"]
        for _ in range(50):
            with found.plane.fault("refuse", "a"):
                with pytest.raises(ConnectionRefusedError):
                    socket.create_connection(("127.0.0.1", port))
                with socket.socket() as thief, pytest.raises(OSError, match="in use"):
                    thief.bind(("127.0.0.1", port))
            assert raw(port, b"GET /v1/models HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", 9).endswith(b"{}")
        assert found.plane.troubles == []
    upstream.close()
