"""The relay in front of a real plane: what a client that is told to use a proxy sees of each state of a leg."""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import msgspec
import pytest
from plane_harness import MODEL, SETTLE_S, Bench, Lines, Upstream, bench, host_of, mark, until

from drills import providers
from drills.authority import Authority
from drills.events import HOSTS_TRIED_AT_MOST, MORE_HOSTS, AttemptResult, ConnectHung, HostTried, HowTried
from drills.marks import Mark, Shape, read_answer
from faults.planes.control import RelayReady, RelaySpec
from faults.planes.relay import Request

pytestmark = [pytest.mark.clock, pytest.mark.skipif(sys.platform != "linux", reason="blackhole needs Linux")]

DIALECTS = {name: name for name in ("anthropic", "openai", "bedrock")}
QUIET_S = 0.3


class RelayProcess(Lines):
    """A running relay, and the hosts of no leg that it told of."""

    def __init__(self, hosts: dict[str, int]) -> None:
        super().__init__("faults.planes.relay", RelaySpec(origin_s=0.0, hosts=hosts))
        self.port = msgspec.json.decode(self.first, type=RelayReady).port
        self.others: list[HostTried] = []
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.others.append(msgspec.json.decode(line, type=HostTried))

    def says(self, head: bytes, timeout_s: float = SETTLE_S) -> socket.socket:
        """A connection to it that has begun with these bytes."""
        sock = socket.create_connection(("127.0.0.1", self.port), timeout_s)
        sock.sendall(head)
        return sock


@contextmanager
def relaying(hosts: dict[str, int]) -> Iterator[RelayProcess]:
    """A relay that is gone after the block."""
    relay = RelayProcess(hosts)
    try:
        yield relay
    finally:
        relay.close()


@pytest.fixture(scope="module")
def rig() -> Iterator[Bench]:
    """A plane that speaks TLS in front of simulated legs."""
    with bench(DIALECTS, authority=Authority()) as found:
        yield found
        assert found.plane.troubles == []


@pytest.fixture(scope="module")
def relay(rig: Bench) -> Iterator[RelayProcess]:
    """A relay that knows each leg by its host."""
    with relaying({f"{host_of(leg)}:{at}": port for leg, port in rig.plane.ports.items() for at in (443, 80)}) as found:
        yield found


@contextmanager
def client(rig: Bench, relay: RelayProcess, timeout_s: float = SETTLE_S) -> Iterator[httpx.Client]:
    """A client that trusts the run and uses the relay."""
    proxy = f"http://127.0.0.1:{relay.port}"
    with httpx.Client(proxy=proxy, verify=rig.trust(), timeout=timeout_s, trust_env=False) as found:
        yield found


def ask(
    found: httpx.Client, leg: str, asked: Mark, *, stream: bool = False, scheme: str = "https"
) -> tuple[int, bytes]:
    """One request to a leg by its host name: status and whole body."""
    probe = providers.get(DIALECTS[leg]).probe(MODEL, asked.prompt(), stream)
    url = f"{scheme}://{host_of(leg)}{probe.path}"
    response = found.request(probe.method, url, headers=dict(probe.headers), content=probe.body)
    return response.status_code, response.content


def whole(found: httpx.Client, leg: str, *, stream: bool = False, scheme: str = "https") -> Mark:
    """One request that is answered whole, by the leg itself; its mark."""
    asked = mark()
    status, body = ask(found, leg, asked, stream=stream, scheme=scheme)
    assert status == 200, body
    reading = read_answer(providers.get(DIALECTS[leg]).read(stream, body), asked)
    assert (reading.shape, reading.legs) == (Shape.WHOLE, (leg,))
    return asked


# without a fault


def test_each_host_leads_to_its_leg(rig: Bench, relay: RelayProcess) -> None:
    """By CONNECT, whole and streamed, in any case of the name; the plane sees one attempt for each."""
    with client(rig, relay) as found:
        for leg in DIALECTS:
            for stream in (False, True, False):
                asked = whole(found, leg, stream=stream)
                assert rig.plane.attempt(asked.id)[1].result is AttemptResult.ANSWERED
    assert Request.of(b"CONNECT API.OpenAI.com.:443 HTTP/1.1\r\n\r\n", b"") == Request(True, "api.openai.com:443", b"")


def test_plain_http_goes_to_its_leg_too(rig: Bench, relay: RelayProcess) -> None:
    """Two hosts in turn: a client may send both through one connection, and each request finds its own leg."""
    with client(rig, relay) as found:
        for leg in ("openai", "anthropic", "openai"):
            whole(found, leg, stream=True, scheme="http")
    with relay.says(b"") as sock:
        for leg in ("openai", "anthropic"):
            sock.sendall(f"GET http://{host_of(leg)}/v1/models HTTP/1.1\r\nhost: {host_of(leg)}\r\n\r\n".encode())
        said = b""
        while data := sock.recv(65536):
            said += data
        assert said.count(b"HTTP/1.1 200") == 1  # the second one has to come again, on a connection of its own


def test_what_is_passed_on_is_what_came_but_for_the_proxys_part() -> None:
    """The path alone, the fields of the proxy's own connection gone, the body behind it untouched."""
    head = (
        b"POST http://Gateway.internal/v1/chat?a=b HTTP/1.1\r\nHost: gateway.internal\r\nProxy-Connection: keep-alive"
        b"\r\nProxy-Authorization: Basic c2VjcmV0\r\nConnection: keep-alive\r\nX-Connection: kept\r\n\r\n"
    )
    assert Request.of(head, b"body\r\n\r\n") == Request(
        False,
        "gateway.internal:80",
        b"POST /v1/chat?a=b HTTP/1.1\r\nHost: gateway.internal\r\nX-Connection: kept\r\nconnection: close\r\n\r\n"
        b"body\r\n\r\n",
    )
    assert Request.of(b"GET http://a HTTP/1.1\r\n\r\n", b"") == Request(
        False, "a:80", b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n"
    )
    assert Request.of(b"GET /path HTTP/1.1\r\n\r\n", b"") is None
    assert Request.of(b"nonsense\r\n\r\n", b"") is None
    odd = Request.of("CONNECT leg.example:\u00b2 HTTP/1.1\r\n\r\n".encode("latin-1"), b"")
    assert odd == Request(True, "leg.example:\u00b2:443", b"")


# with a fault


def test_a_refused_host_is_a_502(rig: Bench, relay: RelayProcess) -> None:
    """As of a real proxy; a tunnel that was open is reset; afterwards all is well."""
    with client(rig, relay) as found:
        whole(found, "openai")
        with rig.plane.fault("refuse", "openai") as fault:
            assert rig.plane.effective(fault).cut == 1
            with client(rig, relay) as fresh, pytest.raises(httpx.ProxyError, match="502"):
                ask(fresh, "openai", mark())
            # The open tunnel: whether its reset has come back through the relay yet is a matter of milliseconds.
            with pytest.raises((httpx.ProxyError, httpx.RemoteProtocolError, httpx.ReadError)):
                ask(found, "openai", mark())
            whole(found, "anthropic")
        whole(found, "openai")


def test_a_host_that_hangs_is_silence(rig: Bench, relay: RelayProcess) -> None:
    """CONNECT is not answered, the hung connect is seen, and it is given up when the client gives up."""
    hung_before = len(rig.plane.all(ConnectHung))
    with client(rig, relay, 0.5) as found, rig.plane.fault("blackhole", "openai") as fault:
        with pytest.raises(httpx.TimeoutException):
            ask(found, "openai", mark())
        until(lambda: len(rig.plane.all(ConnectHung)) > hung_before)
        assert rig.plane.all(ConnectHung)[-1].faults == (fault,)
    with client(rig, relay) as found:
        whole(found, "openai")


def test_who_waits_for_a_hanging_host_is_served_when_it_is_back(rig: Bench, relay: RelayProcess) -> None:
    """The kernel sends the connect again after a second: the tunnel comes about, and not before."""
    with client(rig, relay) as found:
        with rig.plane.fault("blackhole", "bedrock"):
            began_s = time.monotonic()
            waiting = threading.Thread(target=whole, args=(found, "bedrock"))
            waiting.start()
            time.sleep(QUIET_S)
            assert waiting.is_alive()
        waiting.join(SETTLE_S)
        assert not waiting.is_alive()
        assert time.monotonic() - began_s > QUIET_S


def test_an_open_tunnel_falls_silent(rig: Bench, relay: RelayProcess) -> None:
    """A pooled connection carries nothing while the fault is on, and the answer afterwards."""
    with client(rig, relay) as found:
        whole(found, "anthropic")
        with rig.plane.fault("blackhole", "anthropic"):
            waiting = threading.Thread(target=whole, args=(found, "anthropic"))
            waiting.start()
            waiting.join(QUIET_S)
            assert waiting.is_alive()
        waiting.join(SETTLE_S)
        assert not waiting.is_alive()


@pytest.mark.parametrize("how", ["rst", "fin", "clean"])
def test_streams_break_through_the_relay_as_they_do_without(rig: Bench, relay: RelayProcess, how: str) -> None:
    """Five events, and the end that the fault says."""
    with client(rig, relay) as found, rig.plane.fault("cut", "openai", after=5, how=how):
        if how == "clean":
            status, body = ask(found, "openai", mark(40), stream=True)
            assert (status, b"[DONE]" in body) == (200, False)
        else:
            with pytest.raises(httpx.RemoteProtocolError):
                ask(found, "openai", mark(40), stream=True)


# at the level of sockets


def piped(relay: RelayProcess, authority: str) -> socket.socket:
    """A tunnel that is open."""
    sock = relay.says(f"CONNECT {authority} HTTP/1.1\r\n\r\n".encode())
    assert sock.recv(100) == b"HTTP/1.1 200 Connection established\r\n\r\n"
    return sock


@pytest.fixture
def tunnel() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends of a tunnel: the client's, and the leg's."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with relaying({"leg.example:443": port}) as found:
            sock = piped(found, "leg.example:443")
            leg, _ = listener.accept()
            leg.settimeout(SETTLE_S)
            with sock, leg:
                yield sock, leg


def test_bytes_pass_both_ways_in_any_amount(tunnel: tuple[socket.socket, socket.socket]) -> None:
    """Ten megabytes against a reader that starts late: nothing is lost, nothing is reordered."""
    ours, theirs = tunnel
    sent = bytes(range(256)) * 40_000
    for one, other in ((ours, theirs), (theirs, ours)):
        sending = threading.Thread(target=one.sendall, args=(sent,))
        sending.start()
        time.sleep(0.1)
        came = b""
        while len(came) < len(sent):
            came += other.recv(1 << 20)
        assert came == sent
        sending.join()


@pytest.mark.parametrize("by_leg", [True, False])
def test_a_reset_passes_as_a_reset(tunnel: tuple[socket.socket, socket.socket], by_leg: bool) -> None:
    """On whichever side it happens."""
    dies, sees = reversed(tunnel) if by_leg else tunnel
    dies.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    dies.close()
    with pytest.raises(ConnectionResetError):
        sees.recv(1)


def test_an_end_passes_as_an_end_and_the_other_way_stays_open(tunnel: tuple[socket.socket, socket.socket]) -> None:
    """A half-closed leg still hears, and is closed when both have ended."""
    ours, theirs = tunnel
    theirs.shutdown(socket.SHUT_WR)
    assert ours.recv(1) == b""
    ours.sendall(b"still there")
    assert theirs.recv(100) == b"still there"
    ours.shutdown(socket.SHUT_WR)
    assert theirs.recv(1) == b""


def test_who_speaks_to_a_leg_that_has_closed_is_reset(tunnel: tuple[socket.socket, socket.socket]) -> None:
    """As the kernel does without a relay; else the client would write on to nobody."""
    ours, theirs = tunnel
    theirs.close()
    assert ours.recv(1) == b""
    ours.sendall(b"too late")
    time.sleep(0.2)
    with pytest.raises(BrokenPipeError):
        ours.sendall(b"much too late")


# other hosts


def test_a_host_of_no_leg_is_forbidden_and_told_once(relay: RelayProcess) -> None:
    """403 to CONNECT and to plain HTTP; other ports are other hosts; one report each, however often it is tried."""
    before = len(relay.others)
    for head in (
        *[b"CONNECT api.telemetry.example:443 HTTP/1.1\r\n\r\n"] * 3,
        b"CONNECT anthropic.drill.example:8443 HTTP/1.1\r\n\r\n",
        b"GET http://169.254.169.254/latest/meta-data HTTP/1.1\r\nhost: x\r\n\r\n",
    ):
        with relay.says(head) as sock:
            assert sock.recv(1000).startswith(b"HTTP/1.1 403 Forbidden\r\n")
    until(lambda: len(relay.others) == before + 3)
    assert [(other.host, other.port, other.how) for other in relay.others[before:]] == [
        ("api.telemetry.example", 443, HowTried.ASKED_FOR),
        ("anthropic.drill.example", 8443, HowTried.ASKED_FOR),
        ("169.254.169.254", 80, HowTried.ASKED_FOR),
    ]


def test_what_is_no_request_to_a_proxy_is_a_400(relay: RelayProcess) -> None:
    """Nonsense, a path without a host, and a head without an end."""
    for head in (b"\x16\x03\x01\r\n\r\n", b"CONNECT\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"CONNECT " + b"a" * 70_000):
        with relay.says(head) as sock:
            assert sock.recv(1000).startswith(b"HTTP/1.1 400 Bad Request\r\n")


def test_hostile_names_are_told_in_plain_letters_and_not_without_end() -> None:
    """Escapes, line ends and alphabets of all kinds come out as printable ASCII; past the limit they are not named."""
    with relaying({}) as found:
        with found.says("CONNECT \x1b[2J\u202egpj.example\r:443 HTTP/1.1\r\n\r\n".encode()) as sock:
            assert sock.recv(100).startswith(b"HTTP/1.1 403")
        until(lambda: found.others)
        assert found.others[0].host.isascii()
        assert found.others[0].host.isprintable()
        assert len(found.others[0].host) <= 255
        for number in range(HOSTS_TRIED_AT_MOST + 20):
            with found.says(f"CONNECT host-{number}.example:443 HTTP/1.1\r\n\r\n".encode()) as sock:
                assert sock.recv(100).startswith(b"HTTP/1.1 403")
        until(lambda: len(found.others) == HOSTS_TRIED_AT_MOST + 1)
        assert found.others[-1].host == MORE_HOSTS


def test_a_leg_of_the_tests_own_sees_what_the_client_sent() -> None:
    """Plain HTTP with a body that comes in two parts, the first before the leg was reached."""
    upstream = Upstream(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", keep=False)
    with relaying({"plain.example:8080": upstream.port}) as found:
        head = b"POST http://plain.example:8080/v1 HTTP/1.1\r\nhost: plain.example:8080\r\ncontent-length: 6\r\n\r\n"
        with found.says(head + b"abc") as sock:
            sock.sendall(b"def")
            assert sock.recv(1000).endswith(b"{}")
    upstream.close()
    assert upstream.requests[0].startswith(b"POST /v1 HTTP/1.1\r\n")
    assert upstream.requests[0].endswith(b"abcdef")
