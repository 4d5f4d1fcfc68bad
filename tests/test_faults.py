"""The faults' decisions, the board that composes them, and the table of hanging connects. No process, no socket."""

from __future__ import annotations

import random
import statistics
from dataclasses import asdict, dataclass

import msgspec
import pytest
from declared import declared

from drills.providers.base import ErrorKind
from faults.bandwidth import Bandwidth
from faults.base import (
    DOWN,
    Answer,
    Connections,
    CutStream,
    Decision,
    Deed,
    Deeds,
    Delay,
    Fail,
    Fault,
    Hang,
    Lookups,
    Pace,
    Proceed,
    RequestSeen,
    Reset,
    Send,
    SpoilEvent,
    StallStream,
    Swap,
    Toxic,
    kinds,
)
from faults.blackhole import Blackhole
from faults.corrupt_crc import CorruptCrc
from faults.cut import Cut
from faults.degraded_text import DegradedText
from faults.dns_failure import DnsFailure
from faults.edge_html import EdgeHtml
from faults.empty import Empty
from faults.garbage_json import GarbageJson
from faults.gateway_kill import GatewayKill
from faults.gateway_pause import GatewayPause
from faults.gateway_restart import GatewayRestart
from faults.hang import Hanging
from faults.html_200 import Html200
from faults.identity_down import IdentityDown
from faults.identity_slow import IdentitySlow
from faults.malformed_event import MalformedEvent
from faults.partial_frame import PartialFrame
from faults.planes.board import Board, Step
from faults.planes.connects import Endpoint, parse
from faults.planes.control import Apply
from faults.refuse import Refuse
from faults.reset import Resetting
from faults.shapes import Shape
from faults.slow import Slow
from faults.slow_first_token import SlowFirstToken
from faults.slow_tokens import SlowTokens
from faults.stall import Stall
from faults.status import Status
from faults.wire_bandwidth import WireBandwidth
from faults.wire_down import WireDown
from faults.wire_latency import WireLatency
from faults.wire_limit_data import WireLimitData
from faults.wire_reset import WireReset
from faults.wire_slicer import WireSlicer
from faults.wire_slow_close import WireSlowClose
from faults.wire_timeout import WireTimeout

WHOLE = RequestSeen(leg="a", surface="model", operation="messages", model="m", stream=False, index=0)
STREAM = msgspec.structs.replace(WHOLE, stream=True)
FRAMES = msgspec.structs.replace(STREAM, operation="converse-stream")
TOKEN = msgspec.structs.replace(WHOLE, surface="identity", operation="token")
DREW = f"{random.Random(1).getrandbits(64):016x}"
OPEN, REFUSED, BLACKHOLED = Connections.OPEN, Connections.REFUSED, Connections.BLACKHOLED

WIRE: dict[Fault, Toxic] = {
    # Milliseconds.
    WireLatency(latency=0.3, jitter=0.0504): Toxic(type="latency", attributes={"latency": 300, "jitter": 50}),
    # KB/s.
    WireBandwidth(kilobytes_per_s=7): Toxic(type="bandwidth", attributes={"rate": 7}),
    # Bytes, and microseconds.
    WireSlicer(average_size=9, delay=0.002): Toxic(
        type="slicer", attributes={"average_size": 9, "size_variation": 0, "delay": 2000}
    ),
    # Milliseconds.
    WireSlowClose(delay=1.5): Toxic(type="slow_close", attributes={"delay": 1500}),
    # Bytes.
    WireLimitData(bytes=77): Toxic(type="limit_data", attributes={"bytes": 77}),
    # Milliseconds.
    WireTimeout(timeout=2): Toxic(type="timeout", attributes={"timeout": 2000}),
    # At once, and open connections are closed because Toxiproxy cannot reset them.
    WireReset(): Toxic(type="reset_peer", attributes={"timeout": 0}, cuts=True),
}
PROCESS: dict[Fault, Deeds] = {
    # It is started again when the fault ends.
    GatewayKill(): Deeds(begin=(Deed.KILL,), end=(Deed.START,)),
    # It goes on when the fault ends.
    GatewayPause(): Deeds(begin=(Deed.PAUSE,), end=(Deed.RESUME,)),
    # All happens at the beginning.
    GatewayRestart(): Deeds(begin=(Deed.STOP, Deed.START), end=()),
}


def test_what_toxiproxy_is_asked_for() -> None:
    """Each fault on the wire is one toxic, in Toxiproxy's units; a line that is down is none."""
    assert {fault: fault.toxic() for fault in WIRE} == WIRE
    assert WireDown().toxic() == Toxic(type=DOWN)
    assert {type(fault) for fault in (*WIRE, WireDown())} == {cls for cls in kinds().values() if cls.plane == "toxi"}
    with pytest.raises(ValueError, match="the jitter cannot be larger than the latency"):
        WireLatency(latency=0.1, jitter=0.2)


def test_what_is_done_to_the_gateway() -> None:
    """Each fault on the gateway is done and undone by its keeper."""
    assert {fault: fault.deeds() for fault in PROCESS} == PROCESS
    assert {type(fault) for fault in PROCESS} == {cls for cls in kinds().values() if cls.plane == "process"}


DECISIONS: list[tuple[Fault, Connections, Decision, Decision]] = [
    # Nothing listens: no request gets as far as a decision.
    (Refuse(), REFUSED, Proceed(), Proceed()),
    # Packets vanish: no request gets as far as a decision.
    (Blackhole(), BLACKHOLED, Proceed(), Proceed()),
    # Every request is accepted and never answered.
    (Hanging(), OPEN, Hang(), Hang()),
    # Every request gets the status, with no word on when to retry.
    (Status(code=503), OPEN, Answer(503), Answer(503)),
    # Every request gets the status and how long to wait.
    (Status(code=429, retry_after=7.5), OPEN, Answer(429, 7.5), Answer(429, 7.5)),
    # Every request waits a quarter of a second.
    (Slow(by=0.25), OPEN, Delay(0.25), Delay(0.25)),
    # Every request is answered with a TCP reset.
    (Resetting(), OPEN, Reset(), Reset()),
    # Streams are reset after four events; whole answers are left alone.
    (Cut(), OPEN, Proceed(), CutStream(4, "rst")),
    # Streams end politely after the first event.
    (Cut(after=1, how="fin"), OPEN, Proceed(), CutStream(1, "fin")),
    # Streams fall silent after four events; whole answers are left alone.
    (Stall(), OPEN, Proceed(), StallStream(4)),
    # Streams fall silent after nine events.
    (Stall(after=9), OPEN, Proceed(), StallStream(9)),
    # Every request fails as the vendor does when it is overloaded.
    (Status(error=ErrorKind.OVERLOADED), OPEN, Fail(ErrorKind.OVERLOADED), Fail(ErrorKind.OVERLOADED)),
    # The same, and how long to wait.
    (
        Status(error=ErrorKind.RATE_LIMITED, retry_after=7.5),
        OPEN,
        Fail(ErrorKind.RATE_LIMITED, 7.5),
        Fail(ErrorKind.RATE_LIMITED, 7.5),
    ),
    # Streams end cleanly after four events.
    (Cut(how="clean"), OPEN, Proceed(), CutStream(4, "clean")),
    # Streams end with the vendor's error after two events.
    (
        Cut(after=2, how="error", error=ErrorKind.SERVER_ERROR),
        OPEN,
        Proceed(),
        CutStream(2, "error", ErrorKind.SERVER_ERROR),
    ),
    # The fifth event of each stream is broken.
    (MalformedEvent(), OPEN, Proceed(), SpoilEvent(4, "malformed")),
    # Neither of these streams comes in frames: nothing happens (frames have rows of their own below).
    (CorruptCrc(), OPEN, Proceed(), Proceed()),
    (PartialFrame(), OPEN, Proceed(), Proceed()),
    # Streams begin two seconds late.
    (SlowFirstToken(by=2.0), OPEN, Proceed(), Pace(first_s=2.0)),
    # Each event of a stream takes 0.1 s more.
    (SlowTokens(by=0.1), OPEN, Proceed(), Pace(each_s=0.1)),
    # Every answer trickles.
    (Bandwidth(rate=2000.0), OPEN, Pace(bytes_per_s=2000.0), Pace(bytes_per_s=2000.0)),
    # Requests for models are left alone (tokens have rows of their own below).
    (IdentityDown(), OPEN, Proceed(), Proceed()),
    (IdentitySlow(by=3.0), OPEN, Proceed(), Proceed()),
    # Every request to a model is answered with the words of a request that nobody made.
    (DegradedText(), OPEN, Swap(DREW), Swap(DREW)),
    # What happens on the wire is no decision about a request.
    *((fault, OPEN, Proceed(), Proceed()) for fault in (*WIRE, *PROCESS)),
    # Connections are left alone: whoever has one keeps it.
    *((DnsFailure(how=how), OPEN, Proceed(), Proceed()) for how in ("nxdomain", "servfail", "silent")),
    # Nothing listens, with Toxiproxy as with the mitm plane.
    (WireDown(), REFUSED, Proceed(), Proceed()),
]


@pytest.mark.parametrize(("fault", "connections", "whole", "stream"), DECISIONS, ids=repr)
def test_what_each_fault_decides(fault: Fault, connections: Connections, whole: Decision, stream: Decision) -> None:
    """What becomes of the connections, of a request for a whole answer, and of one for a stream."""
    assert fault.connections() is connections
    assert fault.decide(WHOLE, random.Random(1)) == whole
    assert fault.decide(STREAM, random.Random(1)) == stream


ELSEWHERE: list[tuple[Fault, RequestSeen, Decision]] = [
    # The fifth frame of a Bedrock stream is damaged; or the stream ends inside it.
    (CorruptCrc(), FRAMES, SpoilEvent(4, "crc")),
    (
        CorruptCrc(after=1),
        msgspec.structs.replace(FRAMES, operation="invoke-with-response-stream"),
        SpoilEvent(1, "crc"),
    ),
    (PartialFrame(after=2), FRAMES, SpoilEvent(2, "half")),
    # A Bedrock request that does not stream has no frames.
    (CorruptCrc(), msgspec.structs.replace(WHOLE, operation="converse"), Proceed()),
    (PartialFrame(), msgspec.structs.replace(WHOLE, operation="invoke"), Proceed()),
    # Nobody gets a token: the service is down, or it does not like the credentials.
    (IdentityDown(), TOKEN, Answer(503)),
    (IdentityDown(how="invalid_grant"), TOKEN, Answer(400)),
    (IdentityDown(how="invalid_client"), TOKEN, Answer(401)),
    # Tokens come three seconds late.
    (IdentitySlow(by=3.0), TOKEN, Delay(3.0)),
    # A token is not the answer of a model.
    (DegradedText(), TOKEN, Proceed()),
]


@pytest.mark.parametrize(("fault", "request_seen", "decision"), ELSEWHERE, ids=repr)
def test_what_faults_of_a_part_decide(fault: Fault, request_seen: RequestSeen, decision: Decision) -> None:
    """Faults of frames and of identity services meet the requests that they are made for."""
    assert fault.decide(request_seen, random.Random(1)) == decision


# fault, status, type, what the body holds
LITERAL: list[tuple[Fault, int, str, bytes]] = [
    (EdgeHtml(), 502, "text/html", b"Bad gateway"),
    (EdgeHtml(code=520), 520, "text/html", b"Web server is returning an unknown error"),
    (EdgeHtml(code=530), 530, "text/html", b"Origin DNS error"),
    (Html200(), 200, "text/html", b"<form"),
    (GarbageJson(), 200, "application/json", b'{"id"'),
    (Empty(), 200, "application/json", b""),
]


@pytest.mark.parametrize(("fault", "status", "content_type", "holds"), LITERAL, ids=repr)
def test_what_no_vendor_would_say(fault: Fault, status: int, content_type: str, holds: bytes) -> None:
    """The same bytes for every request, and none of them is JSON."""
    decisions = [fault.decide(seen, random.Random(1)) for seen in (WHOLE, STREAM, TOKEN)]
    assert len(set(map(repr, decisions))) == 1
    assert isinstance(decisions[0], Send)
    assert decisions[0].status == status
    assert decisions[0].content_type.startswith(content_type)
    assert holds in decisions[0].body
    with pytest.raises(ValueError, match=r"."):
        msgspec.json.decode(decisions[0].body)


def delays(fault: Slow, times: int = 20_000) -> list[float]:
    """What a slow leg's requests wait, with the seed 1."""
    rng = random.Random(1)
    found = [fault.decide(WHOLE, rng) for _ in range(times)]
    return [decision.seconds for decision in found if isinstance(decision, Delay)]


SHAPES = [
    # shape, smallest and largest possible delay around 2 s with a spread of 0.4 s, and the standard deviation
    ("uniform", 1.6, 2.4, 0.4 / 3**0.5),
    ("normal", 0.0, 5.0, 0.4),
    # Pareto begins at (1 - 3/2) / 0.866 = -0.577 deviations, and has a long tail
    ("pareto", 2 - 0.4 * 0.5774, 1000.0, 0.4),
]


@pytest.mark.parametrize(("shape", "least", "most", "deviation"), SHAPES)
def test_slow_varies_around_its_mean(shape: str, least: float, most: float, deviation: float) -> None:
    """Mean and standard deviation of 20,000 delays, and that the seed decides them."""
    fault = msgspec.convert({"by": 2.0, "spread": 0.4, "shape": shape}, Slow)
    found = delays(fault)
    assert statistics.fmean(found) == pytest.approx(2.0, abs=0.02)
    assert statistics.stdev(found) == pytest.approx(deviation, rel=0.15)
    assert least - 1e-3 <= min(found) <= max(found) <= most
    assert found[:50] == delays(fault, 50)


@pytest.mark.parametrize("shape", ["uniform", "normal", "pareto"])
def test_slow_is_never_negative(shape: str) -> None:
    """A spread larger than the mean holds some requests back for no time, and none for less."""
    found = delays(msgspec.convert({"by": 0.1, "spread": 1.0, "shape": shape}, Slow), 1000)
    assert min(found) == 0.0
    assert max(found) > 0.5


@pytest.mark.parametrize("fault", [row[0] for row in (*DECISIONS, *ELSEWHERE, *LITERAL)], ids=repr)
def test_settings_survive_the_way_to_the_plane(fault: Fault) -> None:
    """What the runner sends as JSON is the same fault on the other side."""
    sent = Apply(fault="x", kind=fault.kind, settings=asdict(fault), legs=("a",))
    arrived = msgspec.json.decode(msgspec.json.encode(sent), type=Apply)
    assert msgspec.convert(arrived.settings, type(fault)) == fault


LOOKUPS: list[tuple[tuple[Fault, ...], Lookups, int]] = [
    # What the name server says, and how many of the faults are at the names.
    ((DnsFailure(),), Lookups.NXDOMAIN, 1),
    ((DnsFailure(how="servfail"),), Lookups.SERVFAIL, 1),
    ((DnsFailure(how="silent"),), Lookups.SILENT, 1),
    # A closed port has a name all the same.
    ((Refuse(), Status(code=503)), Lookups.ANSWERED, 0),
    # Of several the hardest wins, whatever came first.
    ((DnsFailure(), DnsFailure(how="silent"), DnsFailure(how="servfail")), Lookups.SILENT, 3),
    ((DnsFailure(how="servfail"), Refuse(), DnsFailure()), Lookups.SERVFAIL, 2),
]


@pytest.mark.parametrize(("faults", "state", "count"), LOOKUPS, ids=repr)
def test_what_becomes_of_lookups(faults: tuple[Fault, ...], state: Lookups, count: int) -> None:
    """On every host of a leg of the faults, also when it is another leg's as well; on no other host."""
    board = Board(7)
    for number, fault in enumerate(faults):
        board.put_on(f"f{number}", fault.kind, asdict(fault), ("a",))
    met, ids = board.lookups(("b", "a"))
    assert (met, len(ids)) == (state, count)
    assert board.lookups(("b",)) == (Lookups.ANSWERED, ())
    for number in range(len(faults)):
        board.take_off(f"f{number}")
    assert board.lookups(("a",)) == (Lookups.ANSWERED, ())


def test_names_have_no_shape_but_a_square() -> None:
    """A lookup is for many requests, so no share of them can be chosen; it can flap, though."""
    with pytest.raises(ValueError, match="dns_failure is a fault of connections or names: it has no shape but a sq"):
        Board(7).put_on("f", "dns_failure", {}, ("a",), Shape(share=0.5))


def test_every_fault_has_a_row() -> None:
    """No fault of the catalogue is without a line in the tables above or a test of its own (`declared.py`); those of
    handshakes have a table of their own (`test_tls_faults.py`). And each has a colour of its own.
    """
    tables = [row[0] for row in (*DECISIONS, *LITERAL)] + list(declared("DECIDES", Fault))
    elsewhere = {cls for cls in kinds().values() if "handshake" in vars(cls)}
    assert {type(fault) for fault in tables} | elsewhere == set(kinds().values())
    assert list(kinds()) == sorted(kinds())
    assert all(cls.kind == kind for kind, cls in kinds().items())
    assert len({cls.colour for cls in kinds().values()}) == len(kinds())


BAD_SETTINGS: list[tuple[str, dict[str, str | int | float | bool | None], str]] = [
    # A kind that does not exist.
    ("smite", {}, "no fault 'smite'; there are bandwidth, blackhole"),
    # A setting that the fault needs.
    ("slow", {}, "missing required field `by`"),
    # A setting that the fault does not have.
    ("refuse", {"by": 1.0}, "refuse has no setting by"),
    # A value out of range.
    ("status", {"code": 200}, "`int` >= 400"),
    # A value that is none of the allowed words.
    ("cut", {"how": "politely"}, "Invalid enum value 'politely'"),
    # Two ways to say which failure, and none.
    ("status", {"code": 503, "error": "overloaded"}, "give either 'code'"),
    ("status", {}, "give either 'code'"),
    ("status", {"error": "tired"}, "Invalid enum value 'tired'"),
    # A failure that is not told.
    ("cut", {"error": "overloaded"}, "write 'how: error' with it"),
    # A page that no edge has.
    ("edge_html", {"code": 404}, "Invalid enum value 404"),
    # A spread that has no shape, and a shape that has no spread.
    ("slow", {"by": 1.0, "spread": 1.0}, "'spread' and 'shape' go together"),
    ("slow", {"by": 1.0, "shape": "normal"}, "'spread' and 'shape' go together"),
    # Nothing at all is not a bandwidth.
    ("bandwidth", {"rate": 0.0}, "`float` > 0"),
    # A value of the wrong type.
    ("stall", {"after": "soon"}, "Expected `int`, got `str`"),
]


@pytest.mark.parametrize(("kind", "settings", "message"), BAD_SETTINGS)
def test_what_makes_no_sense_is_not_put_on(
    kind: str, settings: dict[str, str | int | float | bool | None], message: str
) -> None:
    """The error says what is wrong, and nothing is on afterwards."""
    board = Board(1)
    with pytest.raises(ValueError, match=message):
        board.put_on("f", kind, settings, ("a",))
    assert board.ids == ()


def test_a_fault_is_put_on_once_and_taken_off_once() -> None:
    """A second time is an error either way, and changes nothing."""
    board = Board(1)
    board.put_on("f", "refuse", {}, ("b", "a"))
    with pytest.raises(ValueError, match="fault f is on already"):
        board.put_on("f", "slow", {"by": 1.0}, ("a",))
    assert board.connections("b") is REFUSED
    assert board.take_off("f") == ("a", "b")
    with pytest.raises(ValueError, match="fault f is not on"):
        board.take_off("f")


@dataclass(frozen=True)
class On:
    """A fault to put on a leg `a`."""

    id: str
    kind: str
    settings: dict[str, str | int | float | bool | None]


COMPOSED: list[tuple[list[On], list[Step]]] = [
    # No fault, nothing to do.
    ([], []),
    # Delays add up: each is carried out, in order.
    ([On("x", "slow", {"by": 1.0}), On("y", "slow", {"by": 2.0})], [Step("x", Delay(1.0)), Step("y", Delay(2.0))]),
    # A delay comes first even when it was put on last: a slow leg's errors are slow too.
    ([On("x", "status", {"code": 503}), On("y", "slow", {"by": 2.0})], [Step("y", Delay(2.0)), Step("x", Answer(503))]),
    # The first other decision wins; the second stands by for when the first is cleared.
    ([On("x", "hang", {}), On("y", "reset", {})], [Step("x", Hang()), Step("y", Reset())]),
    # The same two the other way round.
    ([On("y", "reset", {}), On("x", "hang", {})], [Step("y", Reset()), Step("x", Hang())]),
    # What slows an answer down goes together with what breaks it, in whatever order.
    (
        [On("x", "reset", {}), On("y", "bandwidth", {"rate": 9.0})],
        [Step("x", Reset()), Step("y", Pace(bytes_per_s=9.0))],
    ),
    # A fault that leaves the request alone, here a cut of a request that does not stream, touches nothing.
    ([On("x", "cut", {}), On("y", "reset", {})], [Step("y", Reset())]),
]


@pytest.mark.parametrize(("faults", "steps"), COMPOSED)
def test_faults_on_one_leg_compose(faults: list[On], steps: list[Step]) -> None:
    """What the board makes of a request for a whole answer on leg `a`, and that leg `b` is left alone."""
    board = Board(1)
    for on in faults:
        board.put_on(on.id, on.kind, on.settings, ("a",))
    assert board.ids == tuple(on.id for on in faults)
    assert list(board.decide(WHOLE)) == steps
    assert board.decide(msgspec.structs.replace(WHOLE, leg="b")) == ()


CONNECTIONS: list[tuple[list[str], Connections]] = [
    # Faults of requests leave connections alone.
    (["hang", "reset"], OPEN),
    # Refused beats blackholed, in whatever order.
    (["blackhole", "refuse"], REFUSED),
    (["refuse", "blackhole"], REFUSED),
    # Blackholed beats open.
    (["hang", "blackhole"], BLACKHOLED),
]


@pytest.mark.parametrize(("on", "hardest"), CONNECTIONS)
def test_the_hardest_connection_state_wins(on: list[str], hardest: Connections) -> None:
    """What connections meet, which faults are to blame, and that other legs stay open."""
    board = Board(1)
    for kind in on:
        board.put_on(kind, kind, {}, ("a",))
    assert board.connections("a") is hardest
    assert board.on_connections("a") == tuple(kind for kind in on if kind in {"refuse", "blackhole"})
    assert board.connections("b") is OPEN


def test_clearing_the_hardest_leaves_the_next() -> None:
    """Refused, then blackholed, then open again."""
    board = Board(1)
    board.put_on("soft", "blackhole", {}, ("a",))
    board.put_on("hard", "refuse", {}, ("a", "b"))
    assert board.take_off("hard") == ("a", "b")
    assert (board.connections("a"), board.connections("b")) == (BLACKHOLED, OPEN)
    board.take_off("soft")
    assert board.connections("a") is OPEN


@pytest.fixture
def witness(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kind that answers with what it was shown: the index of the request and a draw of its generator."""

    @dataclass(frozen=True)
    class Witness(Status):
        kind = "witness"

        def decide(self, request: RequestSeen, rng: random.Random) -> Decision:
            return Answer(request.index, rng.random())

    found = {**kinds(), "witness": Witness}
    monkeypatch.setattr("faults.planes.board.kinds", lambda: found)


def shown(board: Board, leg: str, times: int) -> list[tuple[str, int, float | None]]:
    """Fault, index and draw that each of some requests on a leg met."""
    found = []
    for _ in range(times):
        for step in board.decide(msgspec.structs.replace(WHOLE, leg=leg, index=99)):
            assert isinstance(step.decision, Answer)
            found.append((step.fault, step.decision.status, step.decision.retry_after_s))
    return found


@pytest.mark.usefixtures("witness")
def test_the_index_counts_the_requests_of_a_leg_since_the_fault_was_put_on() -> None:
    """Each leg counts by itself from 0, and so does each fault: also requests that another fault's decision ends."""
    board = Board(1)
    board.put_on("x", "witness", {"code": 500}, ("a", "b"))
    assert [index for _, index, _ in shown(board, "a", 3)] == [0, 1, 2]
    assert [index for _, index, _ in shown(board, "b", 2)] == [0, 1]
    board.put_on("y", "witness", {"code": 500}, ("a",))
    assert [(fault, index) for fault, index, _ in shown(board, "a", 2)] == [("x", 3), ("y", 0), ("x", 4), ("y", 1)]
    board.take_off("x")
    board.put_on("x", "witness", {"code": 500}, ("a",))
    assert [(fault, index) for fault, index, _ in shown(board, "a", 1)] == [("y", 2), ("x", 0)]


@pytest.mark.usefixtures("witness")
def test_the_seed_decides_every_draw() -> None:
    """The same seed and fault id draw the same numbers; another seed or another id draws others."""

    def draws(seed: int, fault: str) -> list[float | None]:
        board = Board(seed)
        board.put_on(fault, "witness", {"code": 500}, ("a",))
        return [draw for _, _, draw in shown(board, "a", 5)]

    assert draws(7, "x") == draws(7, "x")
    assert len(set(draws(7, "x"))) == 5
    assert draws(7, "x") != draws(8, "x")
    assert draws(7, "x") != draws(7, "y")


TABLE = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 11 1 0 100 0 0 10 0
   1: 0100007F:C001 0100007F:1F90 02 00000001:00000000 01:00000064 00000001     0        0 12 2 0 200 0 0 1 7 -1
   2: 0100007F:C002 0100007F:1F90 01 00000000:00000000 00:00000000 00000000     0        0 13 1 0 20 4 30 10 -1
   3: 0100007F:C003 0100007F:1F91 02 00000001:00000000 01:00000064 00000001     0        0 14 2 0 200 0 0 1 7 -1
   4: 0200000A:C004 0100000A:1F90 02 00000001:00000000 01:00000064 00000001     0        0 15 2 0 200 0 0 1 7 -1
"""
TABLE_6 = """\
  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when
   0: 0000000000000000FFFF00000100007F:C005 0000000000000000FFFF00000100007F:1F90 02 00000001:00000000 01:00000064
"""

A, B, ELSEWHERE = ("127.0.0.1", 8080), ("127.0.0.1", 8081), ("10.0.0.1", 8080)
TABLES = [
    # The one connect to port 8080 that waits (state 02), from port 49153: not the listener (0A), not the established
    # one (01), not the one to port 8081, not the one to the same port of another host.
    (TABLE, {A}, {(A, 49153)}),
    # Two ports are watched, a connect waits for each.
    (TABLE, {A, B}, {(A, 49153), (B, 49155)}),
    # The same port of two hosts is told apart.
    (TABLE, {A, ELSEWHERE}, {(A, 49153), (ELSEWHERE, 49156)}),
    # Nobody waits for a port that nobody asked for.
    (TABLE, {("127.0.0.1", 9)}, set()),
    # An IPv4 address in a socket of IPv6.
    (TABLE_6, {A}, {(A, 49157)}),
    # The head alone, nothing, and a line that is cut short.
    (TABLE.splitlines()[0], {A}, set()),
    ("", {A}, set()),
    (TABLE[:200], {A}, set()),
]


@pytest.mark.parametrize(("table", "endpoints", "found"), TABLES)
def test_hanging_connects_are_read_from_the_kernels_table(
    table: str, endpoints: set[Endpoint], found: set[tuple[Endpoint, int]]
) -> None:
    """Destination and local port of each connect that waits."""
    assert parse(table, frozenset(endpoints), "little") == found


def test_a_processor_of_the_other_byte_order_prints_addresses_the_other_way_round() -> None:
    """127.0.0.1 is 7F000001 there; ports are the same."""
    table = TABLE.replace("0100007F", "7F000001")
    assert parse(table, frozenset({A}), "big") == {(A, 49153)}
    assert parse(table, frozenset({A}), "little") == set()
