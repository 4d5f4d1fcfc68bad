"""Faults on the wire, with the real Toxiproxy server in front of the real mitm plane and a simulated provider.

The server is found or built once, as `drill setup toxiproxy` does it.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from drilling import drill, gone, listened_on, too_busy
from plane_harness import Bench, Caller, Lines, PlaneProcess, Upstream, bench, mark, measured, until
from test_proofs import SMALLEST, proofs
from test_proofs import plan as fault_plan

from drills import doctor, providers, toxiproxy_install
from drills.authority import Authority
from drills.clock import Clock
from drills.events import FaultCleared, FaultEffective, When
from drills.marks import Shape
from drills.planes import ToxiPlane
from drills.problems import UsageProblem
from drills.result import Verdict
from faults.base import Fault
from faults.planes.control import LEASE_S, PlaneReady, ToxiSpec
from faults.planes.toxi import MARK
from faults.wire_bandwidth import WireBandwidth
from faults.wire_down import WireDown
from faults.wire_latency import WireLatency
from faults.wire_limit_data import WireLimitData
from faults.wire_reset import WireReset
from faults.wire_slicer import WireSlicer
from faults.wire_slow_close import WireSlowClose
from faults.wire_timeout import WireTimeout

pytestmark = [pytest.mark.clock, pytest.mark.toxiproxy]
SCRIPTED = Path(__file__).parent / "calibration" / "scripted.yaml"
BODY = b"x" * 4000
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 4000\r\n\r\n" + BODY
LATE_S = 0.3
DIALECTS = dict(zip("abcdef", sorted(providers.names(), key=lambda name: name != "openai"), strict=True))
TRIES = 3
"""A run on a machine too busy to send on time is invalid by its own word, and is repeated."""


@pytest.fixture(scope="session")
def server() -> str:
    """The Toxiproxy server."""
    return toxiproxy_install.prepare(
        print, {k: v for k, v in os.environ.items() if k != "FAILOVER_DRILL_TOXIPROXY"}
    ).server


class Toxi(PlaneProcess):
    """A running Toxiproxy plane; it is spoken to as the mitm plane is."""

    def __init__(self, upstream: dict[str, int], *, command: str = "", url: str = "") -> None:
        Lines.__init__(self, "faults.planes.toxi", ToxiSpec(origin_s=0.0, upstream=upstream, command=command, url=url))
        self.ready = msgspec.json.decode(self.first, type=PlaneReady)
        self.ports = self.ready.ports
        self.events = []
        self.beating = threading.Event()
        self.beating.set()
        self._heard = threading.Condition()
        self._faults = 0
        threading.Thread(target=self._listen, daemon=True).start()
        threading.Thread(target=self._beat, daemon=True).start()


@contextmanager
def chained(server: str) -> Iterator[tuple[Bench, Toxi]]:
    """Toxiproxy, the mitm plane and a provider of each dialect, one behind the other. The legs speak TLS as well."""
    with bench(DIALECTS, authority=Authority()) as behind:
        plane = Toxi(behind.plane.ports, command=server)
        try:
            yield behind, plane
        finally:
            plane.close()


@pytest.fixture(scope="module")
def chain(server: str) -> Iterator[tuple[Bench, Toxi]]:
    """One chain for all tests that leave it as it was."""
    with chained(server) as found:
        yield found


@pytest.fixture
def line(server: str) -> Iterator[Toxi]:
    """Toxiproxy straight in front of an upstream with long answers."""
    upstream = Upstream(ANSWER)
    plane = Toxi({"a": upstream.port}, command=server)
    yield plane
    assert plane.troubles == []
    plane.close()
    upstream.close()


@contextmanager
def client(plane: Toxi, leg: str = "a") -> Iterator[httpx.Client]:
    """A client with a connection pool of its own, its pooled connection warm."""
    with httpx.Client(base_url=f"http://127.0.0.1:{plane.ports[leg]}", timeout=5, trust_env=False) as found:
        assert found.get("/").content == BODY
        yield found


def timed(http: httpx.Client) -> float:
    """How long a whole answer takes."""
    began_s = time.monotonic()
    assert http.get("/").content == BODY
    return time.monotonic() - began_s


def new(plane: Toxi) -> httpx.Client:
    """A client without a connection."""
    return httpx.Client(base_url=f"http://127.0.0.1:{plane.ports['a']}", timeout=5, trust_env=False)


# --- through the chain -----------------------------------------------------------------------------------------------


SLOWED = [
    # Each piece is late.
    ("wire_latency", {"latency": LATE_S}),
    # About 900 bytes of answer at 2 kB/s.
    ("wire_bandwidth", {"kilobytes_per_s": 2}),
    # About 900 bytes of answer in 64 pieces.
    ("wire_slicer", {"average_size": 16, "delay": 0.01}),
]


@pytest.mark.parametrize(("kind", "settings"), SLOWED, ids=[kind for kind, _ in SLOWED])
def test_slow_lines_through_the_chain(kind: str, settings: dict[str, float], chain: tuple[Bench, Toxi]) -> None:
    """The answer comes whole and late, on a pooled connection and on a new one; then it is quick again."""
    behind, plane = chain
    with Caller(providers.get("openai"), plane.ports["a"], 5) as pooled:
        assert pooled.reading(mark()).shape is Shape.WHOLE
        with plane.fault(kind, "a", **settings):
            for caller in (pooled, Caller(providers.get("openai"), plane.ports["a"], 5)):
                began_s = time.monotonic()
                assert caller.reading(mark()).shape is Shape.WHOLE
                assert time.monotonic() - began_s > 0.25
        began_s = time.monotonic()
        assert pooled.reading(mark(), stream=True).shape is Shape.WHOLE
        assert time.monotonic() - began_s < 0.25
    assert plane.troubles == behind.plane.troubles == []


CUT: list[tuple[str, dict[str, float], type[Exception]]] = [
    # 400 bytes and then the end.
    ("wire_limit_data", {"bytes": 400}, httpx.RemoteProtocolError),
    # Silence and then the end.
    ("wire_timeout", {"timeout": LATE_S}, httpx.RemoteProtocolError),
    # TCP RST.
    ("wire_reset", {}, httpx.ReadError),
    # The pooled connection has ended, and the next connect is refused.
    ("wire_down", {}, httpx.ConnectError),
]


@pytest.mark.parametrize(("kind", "settings", "error"), CUT, ids=[row[0] for row in CUT])
def test_broken_lines_through_the_chain(
    kind: str, settings: dict[str, float], error: type[Exception], chain: tuple[Bench, Toxi]
) -> None:
    """Every request on a pooled connection and on new ones fails as the fault says; then all is well at once."""
    behind, plane = chain
    with Caller(providers.get("openai"), plane.ports["a"], 5) as pooled:
        assert pooled.reading(mark()).shape is Shape.WHOLE
        with plane.fault(kind, "a", **settings):
            for caller in (pooled, pooled, Caller(providers.get("openai"), plane.ports["a"], 5)):
                with pytest.raises(error):
                    caller.ask(mark())
        assert pooled.reading(mark()).shape is Shape.WHOLE
    assert plane.troubles == behind.plane.troubles == []


@pytest.mark.parametrize(
    "fault",
    [
        WireLatency(latency=0.3),
        WireLatency(latency=9.0),
        WireBandwidth(kilobytes_per_s=5),
        WireSlicer(),
        WireSlicer(average_size=16, delay=0.01),
        WireSlowClose(delay=0.4),
        WireLimitData(bytes=400),
        WireLimitData(bytes=20),
        WireTimeout(timeout=0.3),
        WireTimeout(timeout=9.0),
        WireReset(),
        WireDown(),
        # What can just be proved (`test_answersize.py`).
        WireLatency(latency=0.1),
        WireBandwidth(kilobytes_per_s=8),
        WireSlicer(average_size=1),
        WireSlicer(average_size=128),
        WireSlicer(average_size=250, delay=0.25),
        WireSlowClose(delay=0.2),
        WireLimitData(bytes=SMALLEST.stream_bytes - 1),
        WireTimeout(timeout=0.001),
    ],
    ids=repr,
)
def test_each_fault_proves_itself_through_the_chain(fault: Fault, chain: tuple[Bench, Toxi]) -> None:
    """Well before, met while it is on, and well again soon after, each through both planes, whatever the dialect; off,
    it proves nothing.
    """
    behind, plane = chain
    front, legs = dataclasses.replace(behind, plane=plane), sorted(DIALECTS)
    assert fault.unprovable(SMALLEST) is None
    plan = fault_plan(fault, legs)
    unsure = set(legs)
    for _ in range(4):  # a busy machine is late now and then, and never at each of these
        unsure &= {p.leg for p in proofs(front, [("", plan)], clear=False) if p.when is When.DURING and p.proved}
        if not unsure:
            break
    assert unsure == set()
    name = plane.apply(fault.kind, legs, **dataclasses.asdict(fault))
    found = proofs(front, [(name, plan)])
    assert {(p.leg, p.when) for p in found if p.proved} == {(leg, when) for leg in legs for when in When}, found


def test_a_stream_under_way_is_cut_by_a_line_that_goes_down(chain: tuple[Bench, Toxi]) -> None:
    """The connection really ends, in the middle of an answer."""
    _, plane = chain
    with Caller(providers.get("openai"), plane.ports["a"], 5) as caller:
        streamed = caller.begin(mark(words=400), stream=True)
        until(lambda: streamed.body)
        with plane.fault("wire_down", "a") as fault:
            assert plane.effective(fault).cut == 1
            assert streamed.ended.wait(1)
        assert isinstance(streamed.error, httpx.RemoteProtocolError)


# --- to the byte -----------------------------------------------------------------------------------------------------


def test_latency_is_what_was_asked_for(line: Toxi) -> None:
    """Open connections meet it with their next byte, and its end frees what it holds."""
    with client(line) as http:
        with line.fault("wire_latency", "a", latency=LATE_S, jitter=0.0):
            took_s = [timed(http) for _ in range(3)]
            assert all(LATE_S <= one_s < LATE_S + 0.2 for one_s in took_s)
        fault = line.apply("wire_latency", ["a"], latency=5.0)
        threading.Timer(0.3, line.clear, [fault]).start()
        assert timed(http) < 2
    measured(f"300 ms of latency: {max(took_s) * 1000:.0f} ms at most")


def test_bandwidth_and_slices(line: Toxi) -> None:
    """4 kB at 10 kB/s take 0.4 s; in 64 pieces with 5 ms between them 0.3 s."""
    with client(line) as http:
        with line.fault("wire_bandwidth", "a", kilobytes_per_s=10):
            assert 0.3 < timed(http) < 0.8
        with line.fault("wire_slicer", "a", average_size=64, delay=0.005):
            assert 0.3 < timed(http) < 1.5


def test_limit_counts_from_the_beginning_of_the_fault(line: Toxi) -> None:
    """A pooled connection that has carried an answer may carry 5000 more bytes: one answer, and a part of the next."""
    with client(line) as http, line.fault("wire_limit_data", "a", bytes=5000):
        assert timed(http) < 1
        with pytest.raises(httpx.RemoteProtocolError, match="peer closed connection"):
            http.get("/")


def test_slow_close_delays_the_end(server: str) -> None:
    """An answer that ends with its connection ends late, also on a connection that was open before."""
    upstream = Upstream(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nwhole", keep=False)
    plane = Toxi({"a": upstream.port}, command=server)
    with socket.create_connection(("127.0.0.1", plane.ports["a"])) as opened:
        time.sleep(0.1)
        with plane.fault("wire_slow_close", "a", delay=LATE_S):
            for _ in range(2):
                began_s = time.monotonic()
                assert httpx.get(f"http://127.0.0.1:{plane.ports['a']}", trust_env=False).text == "whole"
                assert LATE_S <= time.monotonic() - began_s < LATE_S + 0.5
            opened.sendall(b"GET / HTTP/1.1\r\n\r\n")
            began_s = time.monotonic()
            while opened.recv(4096):
                pass
            assert LATE_S <= time.monotonic() - began_s < LATE_S + 0.5
    plane.close()
    upstream.close()


def test_silence_ends_after_its_time(line: Toxi) -> None:
    """The connection closes after the timeout, an idle one too; the end of the fault closes the rest at once."""
    with client(line) as http:
        with line.fault("wire_timeout", "a", timeout=LATE_S):
            began_s = time.monotonic()
            with pytest.raises(httpx.RemoteProtocolError):
                http.get("/")
            assert LATE_S <= time.monotonic() - began_s < LATE_S + 0.3
        fault = line.apply("wire_timeout", ["a"], timeout=60)
        threading.Timer(0.3, line.clear, [fault]).start()
        began_s = time.monotonic()
        with pytest.raises(httpx.RemoteProtocolError):
            http.get("/")
        assert time.monotonic() - began_s < 2
        assert timed(http) < 1


def test_a_reset_is_a_reset_for_every_connection(line: Toxi) -> None:
    """Twenty pooled connections end, and twenty new ones are reset; afterwards no connection is left that would be."""
    sockets = [socket.create_connection(("127.0.0.1", line.ports["a"]), timeout=5) for _ in range(20)]
    for sock in sockets:
        sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
        found = b""
        while len(found) < len(ANSWER):
            found += sock.recv(65536)
    fault = line.apply("wire_reset", ["a"])
    assert line.effective(fault).cut == 20
    for sock in sockets:
        assert sock.recv(1) == b""
        sock.close()
    idle = socket.create_connection(("127.0.0.1", line.ports["a"]), timeout=5)
    for _ in range(20):
        with new(line) as http, pytest.raises(httpx.ReadError, match="reset by peer"):
            http.get("/")
    line.clear(fault)
    with pytest.raises(ConnectionResetError):
        idle.recv(1)
    idle.close()
    with client(line) as http:
        assert timed(http) < 1


def test_faults_compose_and_the_port_stays(line: Toxi) -> None:
    """Two toxics add up, a line that is down stays down until the last such fault is off, and its port stays ours."""
    with client(line) as http:
        with line.fault("wire_latency", "a", latency=0.2), line.fault("wire_latency", "a", latency=0.15):
            assert timed(http) > 0.35
        with line.fault("wire_down", "a"):
            with line.fault("wire_down", "a"), line.fault("wire_reset", "a"), pytest.raises(httpx.ConnectError):
                http.get("/")
            with pytest.raises(httpx.ConnectError):
                http.get("/")
            with socket.socket() as thief, pytest.raises(OSError, match="in use"):
                thief.bind(("127.0.0.1", line.ports["a"]))
        assert timed(http) < 1
    spans = [(e.at_s - e.began_s) * 1000 for kind in (FaultEffective, FaultCleared) for e in line.all(kind)]
    measured(f"putting a fault on a line or off took {max(spans):.1f} ms at most")


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("wire_slicer", {"average_size": 60_000}),
        ("wire_bandwidth", {"kilobytes_per_s": 1_000_000}),
        ("wire_latency", {"latency": 0.01}),
        ("wire_limit_data", {"bytes": 900_000_000}),
    ],
)
def test_a_caller_that_does_not_read_cannot_hold_a_fault(kind: str, settings: dict[str, float], server: str) -> None:
    """A toxic that is stuck in its connection comes off all the same, at the cost of the line's connections."""
    upstream = Upstream(b"HTTP/1.1 200 OK\r\ncontent-length: 30000000\r\n\r\n" + b"x" * 30_000_000)
    plane = Toxi({"a": upstream.port}, command=server)
    fault = plane.apply(kind, ["a"], **settings)
    with socket.create_connection(("127.0.0.1", plane.ports["a"]), timeout=5) as stuck:
        stuck.sendall(b"GET / HTTP/1.1\r\n\r\n")
        time.sleep(0.5)
        if kind == "wire_slicer":
            plane.clear(plane.apply("wire_latency", ["a"], latency=0.01))
        cleared = plane.clear(fault)
        measured(f"{kind}: off after {cleared.at_s - cleared.began_s:.2f} s with a caller that does not read")
        assert cleared.at_s - cleared.began_s < 4
    with new(plane) as http:
        began_s = time.monotonic()
        assert len(http.get("/").content) == 30_000_000
        assert time.monotonic() - began_s < 4
    assert plane.troubles == []
    plane.close()
    upstream.close()


def test_tls_passes_untouched(server: str, tmp_path: Path) -> None:
    """The certificate that the client checks is the upstream's own, also while the line is slow."""
    key, cert = tmp_path / "key", tmp_path / "cert"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", cert),
        ],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    listener = context.wrap_socket(socket.create_server(("127.0.0.1", 0)), server_side=True)

    def serve() -> None:
        while True:
            try:
                with listener.accept()[0] as sock:
                    while sock.recv(65536):
                        sock.sendall(ANSWER)
            except OSError:
                if listener.fileno() < 0:
                    return

    threading.Thread(target=serve, daemon=True).start()
    plane = Toxi({"a": listener.getsockname()[1]}, command=server)
    trust = ssl.create_default_context(cafile=str(cert))
    with httpx.Client(verify=trust, timeout=5, trust_env=False) as http:
        url = f"https://localhost:{plane.ports['a']}/"
        assert http.get(url).content == BODY
        with plane.fault("wire_latency", "a", latency=LATE_S):
            began_s = time.monotonic()
            assert http.get(url).content == BODY
            assert time.monotonic() - began_s >= LATE_S
        with plane.fault("wire_reset", "a"), pytest.raises(httpx.ConnectError):
            http.get(url)
        assert http.get(url).content == BODY
    plane.close()
    listener.close()


# --- the plane itself ------------------------------------------------------------------------------------------------


WRONG = [
    # command, what the trouble says
    (b'{"type":"apply","fault":"x","kind":"slow","settings":{"by":1},"legs":["a"]}', "no fault 'slow' of this plane"),
    (b'{"type":"apply","fault":"x","kind":"wire_down","settings":{"by":1},"legs":["a"]}', "has no setting by"),
    (b'{"type":"apply","fault":"x","kind":"wire_down","settings":{},"legs":["b"]}', "no leg b"),
    (b'{"type":"clear","fault":"x"}', "fault x is not on"),
    (b"not json", "malformed"),
]


def test_commands_that_make_no_sense_are_trouble(server: str) -> None:
    """Each is reported, changes nothing, and the plane goes on."""
    upstream = Upstream(ANSWER)
    plane = Toxi({"a": upstream.port}, command=server)
    for line, message in WRONG:
        before = len(plane.troubles)
        plane.send_raw(line)
        until(lambda before=before: len(plane.troubles) > before)  # type: ignore[misc]
        assert message in plane.troubles[-1]
    with client(plane) as http:
        assert timed(http) < 1
    plane.close()
    upstream.close()


def test_the_lease(line: Toxi) -> None:
    """A runner that falls silent: within 5 seconds the leg answers as before, and the history would say why."""
    with client(line) as http:
        faults = [line.apply("wire_latency", ["a"], latency=9.0), line.apply("wire_down", ["a"])]
        line.beating.clear()
        silent_s = time.monotonic()
        for fault in faults:
            cleared = line.cleared(fault, 10)
            assert cleared.why == "the runner fell silent"
            assert LEASE_S - 0.5 < cleared.at_s - silent_s < 5
        assert timed(http) < 1


def children(pid: int) -> list[int]:
    """The processes that a process started."""
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.parametrize("how", ["input ends", "plane killed"])
def test_the_server_ends_with_the_plane(how: str, server: str) -> None:
    """Whatever ends the plane, neither its server nor a listener is left."""
    upstream = Upstream(ANSWER)
    plane = Toxi({"a": upstream.port}, command=server)
    [pid] = children(plane.pid)
    plane.apply("wire_down", ["a"])
    if how == "input ends":
        assert plane.close() < 2
    else:
        plane.process.send_signal(signal.SIGKILL)
    assert gone({pid, plane.pid}, 5) == set()
    assert not listened_on({plane.ports["a"]})
    plane.process.wait()
    upstream.close()


def test_a_server_that_dies_ends_the_plane(server: str) -> None:
    """With a word that says so."""
    spec = ToxiSpec(origin_s=0.0, upstream={"a": 9}, command=server)
    with subprocess.Popen(
        [sys.executable, "-P", "-m", "faults.planes.toxi"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as plane:
        assert plane.stdin is not None
        assert plane.stdout is not None
        assert plane.stderr is not None
        plane.stdin.write(msgspec.json.encode(spec).decode() + "\n")
        plane.stdin.flush()
        plane.stdout.readline()
        os.kill(children(plane.pid)[0], signal.SIGKILL)
        assert plane.wait(5) == 1
        assert "toxiproxy plane: the Toxiproxy server ended with code -9" in plane.stderr.read()


# --- a server that somebody else runs --------------------------------------------------------------------------------


@pytest.fixture
def foreign(server: str) -> Iterator[str]:
    """A Toxiproxy with a proxy of somebody else's."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    with subprocess.Popen([server, "-host", "127.0.0.1", "-port", str(port)], stdout=subprocess.DEVNULL) as process:
        url = f"http://127.0.0.1:{port}"
        until(lambda: _answers(url))
        post(f"{url}/proxies", name="theirs", listen="127.0.0.1:0", upstream="127.0.0.1:9")
        yield url
        process.kill()


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/version", trust_env=False).status_code == 200
    except httpx.ConnectError:
        return False


def post(url: str, **body: Any) -> None:  # noqa: ANN401  any JSON
    """Change something on a server."""
    assert httpx.post(url, json=body, trust_env=False).status_code < 300


def proxies(url: str) -> dict[str, Any]:
    """What is on a server."""
    found: dict[str, Any] = httpx.get(f"{url}/proxies", trust_env=False).json()
    return found


def test_a_foreign_server_is_used_and_left_as_it_was(foreign: str) -> None:
    """The drill's proxies come and go; the others and their state stay."""
    before = proxies(foreign)
    upstream = Upstream(ANSWER)
    plane = Toxi({"a": upstream.port}, url=foreign)
    with client(plane) as http:
        with plane.fault("wire_latency", "a", latency=LATE_S):
            assert sorted(proxies(foreign)) == ["failover-drill-a", "failover-drill-in_use", "theirs"]
            assert timed(http) >= LATE_S
        plane.apply("wire_down", ["a"])
    plane.close()
    assert proxies(foreign) == before
    upstream.close()


def test_of_two_drills_that_start_at_once_one_has_the_server(foreign: str) -> None:
    """Both found it free. The other says so as a problem of usage, and the first goes on; then it is free again."""
    before, upstream = proxies(foreign), Upstream(ANSWER)

    async def start(leg: str) -> ToxiPlane:
        return await ToxiPlane.start(foreign, {leg: upstream.port}, Clock(), lambda _: None)

    async def both() -> list[str]:
        planes = await asyncio.gather(start("b"), start("a"), return_exceptions=True)
        [there] = [plane for plane in planes if isinstance(plane, ToxiPlane)]
        [refused] = [str(plane) for plane in planes if isinstance(plane, UsageProblem)]
        assert sorted(proxies(foreign)) == [*(f"failover-drill-{leg}" for leg in there.ports), MARK, "theirs"]
        with pytest.raises(UsageProblem):
            await start("c")
        await there.end()
        return refused.splitlines()

    said = asyncio.run(both())
    assert (
        f"the Toxiproxy at {foreign}: proxy {MARK} is there already: another drill runs, or one was killed;" in said[-1]
    )
    assert proxies(foreign) == before
    upstream.close()


def test_a_reset_by_somebody_else_is_trouble(foreign: str) -> None:
    """`POST /reset` takes our toxics off and puts lines up; the plane says so within seconds, and goes on."""
    upstream = Upstream(ANSWER)
    plane = Toxi({"a": upstream.port}, url=foreign)
    for kind, settings, wrong in (("wire_latency", {"latency": LATE_S}, "the toxic is gone"), ("wire_down", {}, "up")):
        before = len(plane.troubles)
        fault = plane.apply(kind, ["a"], **settings)
        httpx.post(f"{foreign}/reset", trust_env=False)
        until(lambda before=before: len(plane.troubles) > before)
        assert plane.troubles[-1].startswith(f"fault {fault} was undone by somebody else while it was on; a: ")
        assert plane.troubles[-1].endswith(wrong)
        plane.clear(fault)
        assert len(plane.troubles) == before + 1
    with client(plane) as http:
        assert timed(http) < 1
    plane.close()
    upstream.close()


def test_foreign_experiments_refuse(foreign: str) -> None:
    """Toxics, disabled proxies and our own names: each is named, and nothing is touched."""

    def why() -> str:
        with pytest.raises(UsageProblem) as caught:
            toxiproxy_install.find({"FAILOVER_DRILL_TOXIPROXY": foreign})
        return str(caught.value)

    found = toxiproxy_install.find({"FAILOVER_DRILL_TOXIPROXY": foreign})
    assert found is not None
    assert found.server == foreign
    post(f"{foreign}/proxies/theirs/toxics", type="latency", name="mine", attributes={"latency": 1})
    assert "proxy theirs has toxics that are not ours: mine" in why()
    post(f"{foreign}/proxies/theirs", enabled=False)
    assert "proxy theirs is disabled" in why()
    post(f"{foreign}/proxies", name="failover-drill-a", listen="127.0.0.1:0", upstream="127.0.0.1:9")
    assert "proxy failover-drill-a is there already" in why()
    assert len(proxies(foreign)["theirs"]["toxics"]) == 1


@pytest.mark.parametrize(
    ("url", "message"),
    [
        # Nobody there.
        ("http://127.0.0.1:9", "nothing listens at 127.0.0.1:9"),
        # Not where the drill's ports are.
        ("http://toxiproxy.example:8474", "is no http URL of a Toxiproxy on 127.0.0.1"),
        # Not HTTP.
        ("127.0.0.1:8474", "is no http URL of a Toxiproxy on 127.0.0.1"),
    ],
)
def test_urls_that_cannot_be_used(url: str, message: str) -> None:
    """Each is refused with the variable's name and the reason."""
    with pytest.raises(
        UsageProblem, match=re.escape(f"FAILOVER_DRILL_TOXIPROXY={url} cannot be used: ") + ".*" + message
    ):
        toxiproxy_install.find({"FAILOVER_DRILL_TOXIPROXY": url})


# --- the whole tool --------------------------------------------------------------------------------------------------


SCENARIO = """
name: A line that resets
objective: A gateway that tries the standby within the request loses nothing.
load: {rate: 20/s, streaming: 0%, deadline: 3s}
providers: {first_token: 10ms, tokens_per_s: 1000}
timeline:
  - {phase: steady, for: 1s}
  - {phase: outage, for: 1s, faults: [FAULT]}
  - {phase: recovery, for: 1s}
expect:
  switchover: {within: 900ms}
  lost: {at_most: 0, broken_streams: 2}
"""


def prepared(folder: Path, fault: str) -> list[str | Path]:
    """The words of a run of the scripted gateway."""
    (folder / "wire.yaml").write_text(SCENARIO.replace("FAULT", fault))
    (folder / "settings.json").write_text(json.dumps({"mode": "good", "truth_file": str(folder / "truth")}))
    return ["run", "wire.yaml", "--gateway", SCRIPTED, "--config", "settings.json"]


ENV = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


@pytest.mark.parametrize("fault", ["wire_reset: {role: primary}", "wire_down: {role: primary}"])
def test_a_drill_with_a_fault_on_the_wire(fault: str, server: str, tmp_path: Path) -> None:
    """Real load through the chain: requests meet the fault, the standby answers, the leg serves again."""
    assert server
    for _ in range(TRIES):
        ran = drill(*prepared(tmp_path, fault), cwd=tmp_path, env=ENV)
        if not too_busy(ran.result):
            break
    assert ran.result.verdict is Verdict.PASS, (ran.result.reasons, ran.err)
    [found] = ran.result.faults
    assert found.touched_requests > 5
    assert found.transition_s is not None
    assert found.transition_s < 0.5
    assert ran.result.switchovers[0].to == "standby"
    assert ran.result.failbacks[0].failback_s is not None
    added_ms = ran.result.plane.added_latency_p50_ms or 0.0
    measured(f"{found.kind}: on within {found.transition_s * 1000:.1f} ms; both planes add {added_ms:.1f} ms")


def test_a_drill_without_toxiproxy_does_not_begin(tmp_path: Path) -> None:
    """Neither a server nor Go: what to install is said, and no folder is made."""
    if toxiproxy_install.go_of({"PATH": ""}) is not None:
        env = {**ENV, "FAILOVER_DRILL_TOXIPROXY": "http://127.0.0.1:9"}
        expected = (
            "wire_reset: Toxiproxy is needed: FAILOVER_DRILL_TOXIPROXY=http://127.0.0.1:9 cannot be used: "
            "nothing listens"
        )
    else:
        env = {**ENV, "PATH": "/nowhere", "FAILOVER_DRILL_CACHE": str(tmp_path / "cache")}
        expected = "wire_reset: Toxiproxy is needed: there is no toxiproxy-server on PATH and no Go to build one"
    ran = drill(*prepared(tmp_path, "wire_reset: {role: primary}"), cwd=tmp_path, env=env)
    assert ran.code == 2
    assert expected in ran.err
    assert ran.folder is None


def test_connect_faults_behind_toxiproxy_are_refused(tmp_path: Path) -> None:
    """They would look like something else to the gateway; the message says where and what instead."""
    words = prepared(tmp_path, "{wire_down: {role: primary}}, {refuse: {role: primary}}")
    ran = drill("plan", *words[1:], cwd=tmp_path)
    assert ran.code == 2
    assert "fault 'refuse' cannot be on primary, which 'wire_down' puts behind Toxiproxy" in ran.err


# --- finding it ------------------------------------------------------------------------------------------------------


def test_one_on_path_comes_first(tmp_path: Path) -> None:
    """Its version is what it says."""
    program = tmp_path / "toxiproxy-server"
    program.write_text("#!/bin/sh\necho toxiproxy-server version 2.9.9\n")
    program.chmod(0o755)
    found = toxiproxy_install.prepare(print, {"PATH": f"{tmp_path}:{os.environ['PATH']}"})
    assert found == toxiproxy_install.Found(str(program), "2.9.9", "on PATH")


def test_nothing_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says each way to have it."""
    monkeypatch.setattr(toxiproxy_install, "_GO_HOME", tmp_path / "go")
    with pytest.raises(UsageProblem, match=r"install Toxiproxy 2\.12\.0 .* or install Go .* FAILOVER_DRILL_TOXIPROXY"):
        toxiproxy_install.prepare(print, {"PATH": "", "FAILOVER_DRILL_CACHE": str(tmp_path)})


def test_a_build_that_fails_leaves_nothing(tmp_path: Path) -> None:
    """Its last words are passed on."""
    go = tmp_path / "go"
    go.write_text("#!/bin/sh\necho go: dial tcp: no route >&2\nexit 1\n")
    go.chmod(0o755)
    env = {"PATH": f"{tmp_path}:/bin:/usr/bin", "FAILOVER_DRILL_CACHE": str(tmp_path / "cache")}
    with pytest.raises(UsageProblem, match="go: dial tcp: no route; the first build needs the network"):
        toxiproxy_install.prepare(print, env)
    assert toxiproxy_install.find(env) is None
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["toxiproxy-2.12.0.lock"]


def test_the_doctor(server: str, tmp_path: Path) -> None:
    """Says what is there and where, and as JSON the same."""
    assert server
    ran = drill("doctor", "--json", cwd=tmp_path)
    found = msgspec.json.decode(ran.out, type=doctor.Findings)
    versions = {part.name: part.version for part in found.parts}
    gateways = ["litellm", "portkey", "tensorzero", "bifrost"]
    others = ["toxiproxy", "private network", "go", "node"]
    assert list(versions) == ["failover-drill", "python", "mitmproxy", *gateways, *others]
    assert versions["toxiproxy"]
    text = drill("doctor", cwd=tmp_path).out
    assert "toxiproxy" in text
    assert found.cache in text
    empty = drill("doctor", cwd=tmp_path, env={"PATH": "/nowhere", "FAILOVER_DRILL_CACHE": str(tmp_path / "no")})
    assert empty.code == 0
    assert "only needed for wire faults" in empty.out
    assert drill("setup", "toxiproxy", cwd=tmp_path).out.startswith("Toxiproxy ")
