"""Streams that end early or carry what no reader understands, on real sockets and to the byte."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import httpx
import pytest
from plane_harness import SETTLE_S, Bench, Streamed, Upstream, bench, mark, until

from drills import providers
from drills.events import AttemptResult
from drills.marks import Mark, Shape, read_answer
from drills.providers import eventstream, sse
from drills.providers.base import ErrorKind

pytestmark = pytest.mark.clock

DIALECTS = {name: name for name in providers.names()}
WORDS = 40


@pytest.fixture(scope="module")
def rig() -> Iterator[Bench]:
    """One plane and one simulator: legs are named after their dialects."""
    with bench(DIALECTS) as found:
        yield found
        assert found.plane.troubles == []


def body_of(rig: Bench, leg: str, asked: Mark) -> bytes:
    """What the leg itself streams for a mark: the same bytes each time, but for the ids that the leg gives."""
    with rig.caller(leg, direct=True) as caller:
        return caller.ask(asked, stream=True).content


def broken(rig: Bench, leg: str, kind: str, **settings: str | int) -> tuple[Mark, Streamed, str]:
    """A stream that a fault broke, and what the plane says that it did."""
    asked = mark(WORDS)
    with rig.caller(leg) as caller:
        with rig.plane.fault(kind, leg, **settings) as fault:
            streamed = caller.begin(asked, stream=True)
            assert streamed.ended.wait(SETTLE_S)
            done = rig.plane.attempt(asked.id)[1]
            assert (done.status, done.result, done.faults) == (200, AttemptResult.FAULTED, (fault,))
        assert caller.reading(mark(), stream=True).shape is Shape.WHOLE
    assert streamed.status == 200
    return asked, streamed, done.detail


def events(leg: str, body: bytes) -> list[bytes]:
    """The whole events of a body, which must hold nothing else."""
    ends, rest = providers.get(leg).count_events(body, b"")
    assert rest == b""
    return [body[start:end] for start, end in zip((0, *ends), ends, strict=False)]


@pytest.mark.parametrize("after", [1, 5])
@pytest.mark.parametrize("leg", DIALECTS)
def test_a_clean_cut_ends_as_http_demands(rig: Bench, leg: str, after: int) -> None:
    """Exactly so many events, no error of the transport at all, and no answer that the dialect calls whole."""
    began_s = time.monotonic()
    _, streamed, detail = broken(rig, leg, "cut", after=after, how="clean")
    assert streamed.error is None
    assert len(events(leg, streamed.body)) == after
    assert detail == f"cut by clean after {after} events"
    assert time.monotonic() - began_s < 3
    with pytest.raises(ValueError, match=r"."):
        providers.get(leg).read(stream=True, body=streamed.body)


def test_a_clean_cut_comes_at_its_event_and_not_at_the_legs_end(rig: Bench) -> None:
    """The leg goes on for five seconds; the caller has its end at once."""
    asked = mark(1000)
    with rig.caller("openai") as caller, rig.plane.fault("cut", "openai", after=3, how="clean"):
        streamed = caller.begin(asked, stream=True)
        assert streamed.ended.wait(1.0)
        assert streamed.error is None
        assert len(events("openai", streamed.body)) == 3


ERROR_EVENTS = [
    # leg, what the error event holds
    (
        "anthropic",
        b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}\n\n',
    ),
    ("openai", b'"code":"server_is_overloaded"'),
    ("azure", b'"code":"429"'),
    ("gemini", b'"status":"UNAVAILABLE"'),
    ("vertex", b'"type":"overloaded_error"'),
    ("bedrock", b"serviceUnavailableException"),
]


@pytest.mark.parametrize("row", ERROR_EVENTS, ids=lambda row: row[0])
def test_an_error_in_the_stream_is_the_vendors(rig: Bench, row: tuple[str, bytes]) -> None:
    """So many events, one more that tells the failure, and a polite end."""
    leg, holds = row
    _, streamed, _ = broken(rig, leg, "cut", after=5, how="error")
    assert streamed.error is None
    found = events(leg, streamed.body)
    assert len(found) == 6
    assert holds in found[-1]
    with pytest.raises(ValueError, match=r"."):
        providers.get(leg).read(stream=True, body=streamed.body)


def test_another_failure_in_the_stream(rig: Bench) -> None:
    """The scenario names the failure."""
    _, streamed, _ = broken(rig, "bedrock", "cut", after=2, how="error", error="rate_limited")
    told = eventstream.decode(events("bedrock", streamed.body)[-1])[0]
    assert told.header(":message-type") == "exception"
    assert told.header(":exception-type") == "throttlingException"
    assert json.loads(told.payload)["message"].startswith("Too many tokens")


@pytest.mark.parametrize("leg", DIALECTS)
def test_one_malformed_event(rig: Bench, leg: str) -> None:
    """The sixth event is framed well and is no JSON; every other is the leg's own, to the byte."""
    asked, streamed, detail = broken(rig, leg, "malformed_event", after=5)
    assert streamed.error is None
    assert detail == "malformed event after 5 events"
    found, own = events(leg, streamed.body), events(leg, body_of(rig, leg, asked))
    assert len(found) == len(own)
    payload = eventstream.decode(found[5])[0].payload if leg == "bedrock" else sse.parse(found[5])[0].data
    with pytest.raises(ValueError, match=r"."):
        json.loads(payload)
    for event in (*found[:5], *found[6:]):
        payload = eventstream.decode(event)[0].payload if leg == "bedrock" else sse.parse(event)[0].data
        assert payload == "[DONE]" or json.loads(payload)


def test_one_bad_checksum(rig: Bench) -> None:
    """The sixth frame differs from the leg's own in one bit, and the stream goes on to its end."""
    asked, streamed, detail = broken(rig, "bedrock", "corrupt_crc", after=5)
    assert streamed.error is None
    assert detail == "crc event after 5 events"
    own = body_of(rig, "bedrock", asked)
    differ = [at for at, (found, sent) in enumerate(zip(streamed.body, own, strict=True)) if found != sent]
    assert differ == [len(b"".join(events("bedrock", own)[:6])) - 1]
    with pytest.raises(ValueError, match="checksum mismatch in a frame"):
        eventstream.decode(streamed.body)


def test_half_a_frame(rig: Bench) -> None:
    """Five frames and half of the sixth, to the byte; then the end that HTTP demands."""
    asked, streamed, detail = broken(rig, "bedrock", "partial_frame", after=5)
    assert streamed.error is None
    assert detail == "cut by half after 5 events"
    own = events("bedrock", body_of(rig, "bedrock", asked))
    assert streamed.body == b"".join(own[:5]) + own[5][: len(own[5]) // 2]


@pytest.mark.parametrize("kind", ["corrupt_crc", "partial_frame"])
@pytest.mark.parametrize("leg", sorted(DIALECTS.keys() - {"bedrock"}))
def test_faults_of_frames_leave_other_dialects_alone(rig: Bench, kind: str, leg: str) -> None:
    """Nothing happens, and nothing is said to have happened."""
    asked = mark()
    with rig.caller(leg) as caller, rig.plane.fault(kind, leg):
        assert caller.reading(asked, stream=True).shape is Shape.WHOLE
        assert rig.plane.attempt(asked.id)[1].faults == ()


@pytest.mark.parametrize("kind", ["malformed_event", "corrupt_crc", "partial_frame"])
def test_whole_answers_are_not_spoiled(rig: Bench, kind: str) -> None:
    """A request that does not stream passes, and the fault did not touch it."""
    asked = mark()
    with rig.caller("bedrock") as caller, rig.plane.fault(kind, "bedrock"):
        assert caller.reading(asked).shape is Shape.WHOLE
        assert rig.plane.attempt(asked.id)[1].faults == ()


@pytest.mark.parametrize(
    ("kind", "settings"), [("cut", {"how": "clean"}), ("cut", {"how": "error"}), ("malformed_event", {})]
)
def test_a_stream_is_not_spoiled_after_the_fault_is_cleared(rig: Bench, kind: str, settings: dict[str, str]) -> None:
    """The fault ends before its event comes: the stream passes whole, and the fault did not touch it."""
    asked = mark(120)
    with rig.caller("openai") as caller:
        with rig.plane.fault(kind, "openai", after=80, **settings):
            streamed = caller.begin(asked, stream=True)
            until(lambda: len(streamed.parts) >= 3)
        assert streamed.ended.wait(SETTLE_S)
        assert read_answer(caller.dialect.read(stream=True, body=streamed.body), asked).shape is Shape.WHOLE
        done = rig.plane.attempt(asked.id)[1]
        assert (done.result, done.faults) == (AttemptResult.ANSWERED, ())


def test_an_event_that_comes_after_the_fault_is_not_spoiled() -> None:
    """The request came while the fault was on, its answer when it was off: the answer is whole."""
    asked = mark(20)
    with bench({"openai": "openai"}, first_token_s=0.3) as found, found.caller("openai") as caller:
        fault = found.plane.apply("malformed_event", ["openai"], after=1)
        streamed = caller.begin(asked, stream=True)
        found.plane.received(asked.id)
        found.plane.clear(fault)
        assert streamed.ended.wait(SETTLE_S)
        assert read_answer(caller.dialect.read(stream=True, body=streamed.body), asked).shape is Shape.WHOLE
        assert found.plane.attempt(asked.id)[1].faults == ()


def test_an_array_that_ends_before_its_event_is_whole(rig: Bench) -> None:
    """The stream has just as many events as shall pass: what ends the array behind them is not lost."""
    url = f"http://127.0.0.1:{rig.plane.ports['gemini']}/v1/models/m:streamGenerateContent"
    body = {"contents": [{"parts": [{"text": mark(5).prompt()}]}]}
    whole = httpx.post(url, json=body, trust_env=False).json()
    with rig.plane.fault("malformed_event", "gemini", after=len(whole)):
        assert len(httpx.post(url, json=body, trust_env=False).json()) == len(whole)


BURST = [b'data: {"n":%d}\n\n' % number for number in range(8)]


@pytest.mark.parametrize("pieces", ["one", "each", "bytes"])
@pytest.mark.parametrize("framing", ["chunked", "length"])
def test_however_the_bytes_arrive_the_event_is_found(pieces: str, framing: str) -> None:
    """A leg that sends its stream in one piece, event by event, or byte by byte; in chunks or with a length."""
    body = b"".join(BURST)
    parts = {"one": [body], "each": BURST, "bytes": [body[at : at + 1] for at in range(len(body))]}[pieces]
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
    if framing == "chunked":
        chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
        upstream = Upstream(head + b"transfer-encoding: chunked\r\n\r\n" + chunks)
    else:
        upstream = Upstream(head + b"content-length: %d\r\n\r\n" % len(body) + body)
    with bench({}, {"burst": upstream.port}) as found, found.caller("burst") as caller:
        for after in (1, 3, 5):
            with found.plane.fault("cut", "burst", after=after, how="clean"):
                assert caller.ask(mark(), stream=True).content == b"".join(BURST[:after])
            with found.plane.fault("malformed_event", "burst", after=after):
                spoiled = caller.ask(mark(), stream=True)
                half = providers.get("openai").malformed(BURST[after])
                assert len(half) < len(BURST[after])
                assert spoiled.content == b"".join((*BURST[:after], half, *BURST[after + 1 :]))
            assert caller.ask(mark(), stream=True).content == body
        assert found.plane.troubles == []
    upstream.close()


ROUTES = [
    # dialect, path, body
    ("openai", "/v1/responses", {"model": "m", "input": "hi", "stream": True}),
    ("gemini", "/v1/models/m:streamGenerateContent", {"contents": [{"parts": [{"text": "hi"}]}]}),
    ("vertex", "/v1/projects/p/locations/l/publishers/google/models/m:streamGenerateContent", {"contents": []}),
    ("bedrock", "/model/m/invoke-with-response-stream", {"messages": []}),
]


@pytest.mark.parametrize("kind", [ErrorKind.OVERLOADED, ErrorKind.CONTENT_FILTERED])
@pytest.mark.parametrize("row", ROUTES, ids=lambda row: row[1])
def test_other_apis_of_a_vendor_fail_in_their_own_way(
    rig: Bench, row: tuple[str, str, dict[str, object]], kind: ErrorKind
) -> None:
    """Responses, JSON arrays and Claude on Bedrock: a whole body of the dialect that is no answer."""
    leg, path, body = row
    url = f"http://127.0.0.1:{rig.plane.ports[leg]}{path}"
    with rig.plane.fault("cut", leg, after=2, how="error", error=kind.value):
        response = httpx.post(url, json=body, trust_env=False)
    assert response.status_code == 200
    ends, rest = providers.get(leg).count_events(response.content, b"")
    assert len(ends) >= 3
    assert rest in {b"", b"\n]"}
    with pytest.raises(ValueError, match=r"."):
        providers.get(leg).read(stream=True, body=response.content)
