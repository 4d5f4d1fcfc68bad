"""TLS at the legs' listeners: the same legs, the same faults, the bytes encrypted; and plain HTTP on the same port."""

from __future__ import annotations

import contextlib
import socket
import ssl
import statistics
import sys
import time
from collections.abc import Iterator

import httpx
import pytest
from plane_harness import SETTLE_S, Bench, Caller, PlaneProcess, bench, host_of, mark, measured, undisturbed, until

from drills.authority import Authority
from drills.events import AttemptResult
from drills.marks import Shape, read_answer

pytestmark = [pytest.mark.clock, pytest.mark.skipif(sys.platform != "linux", reason="blackhole needs Linux")]

DIALECTS = {name: name for name in ("anthropic", "openai", "gemini", "bedrock", "vertex")}
QUIET_S = 0.25
"""What has not come by then does not come: a handshake takes milliseconds."""


@pytest.fixture(scope="module")
def rig() -> Iterator[Bench]:
    """A plane that speaks TLS in front of simulated legs that are named after their dialects."""
    with bench(DIALECTS, authority=Authority()) as found:
        yield found
        assert found.plane.troubles == []


@pytest.fixture
def plane(rig: Bench) -> Iterator[PlaneProcess]:
    """The plane, with no fault on before the test and none after it."""
    with undisturbed(rig) as found:
        yield found


class ByHand:
    """A TLS client that takes one step at a time."""

    def __init__(self, rig: Bench, leg: str) -> None:
        self._came, self._goes = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = rig.trust().wrap_bio(self._came, self._goes, server_hostname=host_of(leg))
        self.sock = socket.create_connection(("127.0.0.1", rig.plane.ports[leg]), SETTLE_S)

    def step(self) -> None:
        """Go as far as it goes without hearing from the other side, and send what is to be said."""
        with contextlib.suppress(ssl.SSLWantReadError):
            self.tls.do_handshake()
        if self._goes.pending:
            self.sock.sendall(self._goes.read())

    def say(self, data: bytes) -> None:
        """Send something when the handshake is done."""
        self.tls.write(data)
        self.sock.sendall(self._goes.read())

    def hears(self, within_s: float) -> bool:
        """Whether anything came; what came is kept for the next step."""
        self.sock.settimeout(within_s)
        try:
            data = self.sock.recv(65536)
        except TimeoutError:
            return False
        self._came.write(data)
        return data != b""


@pytest.mark.parametrize("leg", DIALECTS)
@pytest.mark.usefixtures("plane")
def test_each_dialect_passes_whole_through_tls(rig: Bench, leg: str) -> None:
    """Whole and streamed answers, several on one connection, each attempt reported once, none touched by anything."""
    with rig.caller(leg, tls=True) as caller:
        for stream in (False, True, False):
            asked = mark()
            reading = caller.reading(asked, stream=stream)
            assert (reading.shape, reading.legs) == (Shape.WHOLE, (leg,))
            _, done = rig.plane.attempt(asked.id)
            assert (done.status, done.result, done.faults) == (200, AttemptResult.ANSWERED, ())


@pytest.mark.usefixtures("plane")
def test_plain_http_is_served_on_the_same_port(rig: Bench) -> None:
    """The first byte decides, for each connection."""
    with rig.caller("openai") as plain, rig.caller("openai", tls=True) as caller:
        for one in (plain, caller, plain, caller):
            assert one.reading(mark(), stream=True).shape is Shape.WHOLE


@pytest.mark.usefixtures("plane")
def test_http_1_is_agreed_on_with_who_would_rather_speak_http_2(rig: Bench) -> None:
    """The plane's laws are about connections with one request at a time."""
    trust = rig.trust()
    trust.set_alpn_protocols(["h2", "http/1.1"])
    sock = socket.create_connection(("127.0.0.1", rig.plane.ports["openai"]))
    with sock, trust.wrap_socket(sock, server_hostname=host_of("openai")) as tls:
        assert tls.selected_alpn_protocol() == "http/1.1"
        assert tls.version() == "TLSv1.3"


@pytest.mark.usefixtures("plane")
def test_who_does_not_know_the_run_is_not_deceived(rig: Bench) -> None:
    """A client with the usual authorities refuses the certificate, and the plane takes no harm."""
    usual = ssl.create_default_context()
    sock = socket.create_connection(("127.0.0.1", rig.plane.ports["openai"]))
    with sock, pytest.raises(ssl.SSLCertVerificationError, match="unable to get local issuer"):
        usual.wrap_socket(sock, server_hostname=host_of("openai"))
    with rig.caller("openai", tls=True) as caller:
        assert caller.reading(mark()).shape is Shape.WHOLE


@pytest.mark.usefixtures("plane")
def test_what_is_no_handshake_ends_the_connection(rig: Bench) -> None:
    """A handshake record with nonsense in it is answered with an alert and the end."""
    with socket.create_connection(("127.0.0.1", rig.plane.ports["openai"]), SETTLE_S) as sock:
        sock.sendall(b"\x16\x03\x01\x00\x05hello")
        said = sock.recv(100)
        assert said[:1] == b"\x15"  # alert
        assert sock.recv(100) == b""


@pytest.mark.usefixtures("plane")
def test_the_first_token_is_not_delayed(rig: Bench) -> None:
    """On a connection that is open, TLS adds less than a millisecond or two to plain HTTP: the median is printed."""

    def first_token_s(caller: Caller) -> float:
        began_s = time.monotonic()
        found = caller.begin(mark(4), stream=True)
        assert found.ended.wait(SETTLE_S)
        return found.parts[0][0] - began_s

    with rig.caller("openai") as plain, rig.caller("openai", tls=True) as caller:
        pairs = [(first_token_s(plain), first_token_s(caller)) for _ in range(22)][2:]
    added = [(tls - plain) * 1000 for plain, tls in pairs]
    measured(f"first token: TLS adds {statistics.median(added):.2f} ms to plain HTTP (median of {len(pairs)} pairs)")
    assert statistics.quantiles(added, n=4)[0] < 5


# faults


def test_a_pooled_tls_connection_is_refused_like_a_new_one(rig: Bench, plane: PlaneProcess) -> None:
    """Reset while idle; the next connect is refused; afterwards all is well."""
    with rig.caller("anthropic", tls=True) as caller:
        assert caller.reading(mark()).shape is Shape.WHOLE
        with plane.fault("refuse", "anthropic") as fault:
            assert plane.effective(fault).cut == 1
            with pytest.raises(httpx.ConnectError):
                caller.ask(mark())
        assert caller.reading(mark()).shape is Shape.WHOLE


def test_a_stream_in_tls_falls_silent_and_goes_on(rig: Bench, plane: PlaneProcess) -> None:
    """Blackholed in the middle of a stream: no byte while the fault is on, and then the rest, whole."""
    asked = mark(200)
    with rig.caller("openai", tls=True) as caller:
        streamed = caller.begin(asked, stream=True)
        until(lambda: len(streamed.parts) > 3)
        with plane.fault("blackhole", "openai") as fault:
            time.sleep(0.05)
            seen = len(streamed.parts)
            assert not streamed.ended.wait(QUIET_S)
            assert len(streamed.parts) == seen
        assert streamed.ended.wait(SETTLE_S)
        assert read_answer(caller.dialect.read(stream=True, body=streamed.body), asked).shape is Shape.WHOLE
        _, done = plane.attempt(asked.id)
        assert (done.result, done.faults) == (AttemptResult.ANSWERED, (fault,))


@pytest.mark.parametrize("flight", [1, 2])
def test_a_handshake_under_way_falls_silent_and_goes_on(rig: Bench, plane: PlaneProcess, flight: int) -> None:
    """Before the first and before the second thing that the client says: nothing is answered while the fault is on."""
    client = ByHand(rig, "gemini")
    if flight == 2:
        client.step()
        assert client.hears(SETTLE_S)
    with plane.fault("blackhole", "gemini"):
        client.step()
        assert not client.hears(QUIET_S)
    assert client.hears(SETTLE_S)  # the server's part, or its session tickets
    client.step()
    assert client.tls.version() == "TLSv1.3"
    client.sock.close()


def test_a_handshake_under_way_is_reset_by_refuse(rig: Bench, plane: PlaneProcess) -> None:
    """Neither party has finished: the connection is cut like any other."""
    client = ByHand(rig, "gemini")
    client.step()
    assert client.hears(SETTLE_S)
    with plane.fault("refuse", "gemini") as fault:
        assert plane.effective(fault).cut == 1
        with pytest.raises(ConnectionResetError):
            client.hears(SETTLE_S)


CUTS = [
    # how, what httpx makes of it: an end inside the body, an end that HTTP allows, an error event. That the first of
    # them was a reset it cannot know: Python's ssl module calls that an unexpected end.
    ("rst", httpx.RemoteProtocolError),
    ("fin", httpx.RemoteProtocolError),
    ("clean", None),
    ("error", None),
]


@pytest.mark.parametrize(("how", "raised"), CUTS)
def test_streams_are_cut_in_tls_as_they_are_without(
    rig: Bench, plane: PlaneProcess, how: str, raised: type[Exception] | None
) -> None:
    """After exactly five events of the dialect, encrypted ones included; the end mark never comes."""
    with rig.caller("anthropic", tls=True) as caller, plane.fault("cut", "anthropic", after=5, how=how):
        streamed = caller.begin(mark(40), stream=True)
        assert streamed.ended.wait(SETTLE_S)
        assert type(streamed.error) is (raised or type(None))
        events = caller.events_in(streamed.body)
        assert events == 5 + (how == "error") if how != "rst" else events <= 5
        assert b"message_stop" not in streamed.body


def test_a_request_in_tls_is_reset_without_an_answer(rig: Bench, plane: PlaneProcess) -> None:
    """The caller's socket sees a TCP reset, no polite end."""
    client = ByHand(rig, "vertex")
    client.step()
    assert client.hears(SETTLE_S)
    client.step()
    with rig.caller("vertex", tls=True) as caller, plane.fault("reset", "vertex"):
        request = caller.request(mark(), stream=False)
        client.say(
            b"POST %s HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % (request.url.raw_path, len(request.content))
            + request.content
        )
        with pytest.raises(ConnectionResetError):
            all(iter(lambda: client.hears(SETTLE_S), False))  # session tickets come first


def test_an_answer_in_tls_comes_late_and_slowly(rig: Bench, plane: PlaneProcess) -> None:
    """Whole, after its time: what paces plain answers paces these."""
    with rig.caller("openai", tls=True) as caller, plane.fault("slow_tokens", "openai", by=0.05):
        began_s, asked = time.monotonic(), mark(8)
        assert caller.reading(asked, stream=True).shape is Shape.WHOLE
        assert time.monotonic() - began_s > 8 * 0.05
    with rig.caller("openai", tls=True) as caller, plane.fault("status", "openai", code=503):
        assert caller.ask(mark()).status_code == 503


def test_connections_leave_nothing_behind(rig: Bench, plane: PlaneProcess) -> None:
    """Served, and broken off in the handshake: no descriptor of any of them stays open."""
    with rig.caller("openai", tls=True) as caller:
        assert caller.reading(mark()).shape is Shape.WHOLE
    before = plane.descriptors
    for _ in range(10):
        with rig.caller("openai", tls=True) as caller:
            assert caller.reading(mark()).shape is Shape.WHOLE
        client = ByHand(rig, "openai")
        client.step()
        client.sock.close()
    until(lambda: plane.descriptors <= before)
