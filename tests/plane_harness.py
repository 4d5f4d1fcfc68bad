"""A real plane in front of real simulated providers, driven over its control channel as the runner drives it."""

from __future__ import annotations

import secrets
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Self, TypeVar

import httpx
import msgspec

from drills import providers
from drills.authority import Authority
from drills.events import AttemptDone, AttemptReceived, FaultCleared, FaultEffective, PlaneTrouble
from drills.marks import Mark, Reading, read_answer
from drills.providers.base import Provider
from drills.simulator import SimulatedLeg, SimulatorReady, SimulatorSpec
from faults.planes.control import Apply, Clear, Heartbeat, PlaneEvent, PlaneLeg, PlaneReady, PlaneSpec, SharedHost

MODEL = "claude-sonnet-5"
MEASURED = "measured: "
SETTLE_S = 5.0
"""How long to wait for what is expected at once; generous, because the machine may be busy."""

_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Nothing here speaks TLS; a client that is given this need not read the authorities' certificates."""

E = TypeVar("E")


class Lines:
    """A module of ours in a process of its own, its first line sent and its first answer read."""

    def __init__(self, module: str, first: msgspec.Struct, inside: tuple[int, ...] = ()) -> None:
        """`inside`: the namespaces of a private network in which it runs."""
        entrance = ["drills.inside", ",".join(map(str, inside))] if inside else []
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", *entrance, module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=inside,
        )
        self._sending = threading.Lock()
        self.send(first)
        assert self.process.stdout is not None
        self.first = self.process.stdout.readline()

    def send(self, message: msgspec.Struct) -> None:
        """Send one line."""
        self.send_raw(msgspec.json.encode(message))

    def send_raw(self, line: bytes) -> None:
        """Send one line, whatever it is."""
        with self._sending:
            assert self.process.stdin is not None
            self.process.stdin.write(line + b"\n")
            self.process.stdin.flush()

    def close(self) -> float:
        """Close its input and wait for it to go; the seconds that this took."""
        began_s = time.monotonic()
        assert self.process.stdin is not None
        self.process.stdin.close()
        assert self.process.wait(timeout=SETTLE_S) == 0
        assert self.process.stdout is not None
        self.process.stdout.close()
        return time.monotonic() - began_s


class PlaneProcess(Lines):
    """A running plane: everything that it reported, and commands that wait for their answer."""

    def __init__(
        self,
        upstream: dict[str, tuple[str, int]],
        *,
        authority: Authority | None = None,
        inside: tuple[int, ...] = (),
        shared: dict[str, tuple[str, ...]] | None = None,
        stands_at: dict[str, tuple[str, tuple[str, int]]] | None = None,
        salt: str = "",
    ) -> None:
        """`upstream` gives each leg's dialect and port. With an authority, every leg speaks TLS as well. `shared` gives
        the legs of each shared host, which are asked for by their own names as models. `stands_at` gives each leg's
        host name, address and port in a private network; `salt` is for texts without a mark.
        """
        there = stands_at or {}
        hosts = {name: there[name][0] if name in there else host_of(name) for name in upstream}
        legs = tuple(
            PlaneLeg(
                name=name,
                provider=dialect,
                upstream_scheme="http",
                upstream_host="127.0.0.1",
                upstream_port=port,
                certificates=authority.issue([hosts[name]]) if authority else {},
                listen=there[name][1] if name in there else None,
                names={hosts[name]: there[name][1][0]} if name in there else {},
                model=name,
            )
            for name, (dialect, port) in upstream.items()
        )
        hosts_shared = tuple(
            SharedHost(
                name=name,
                legs=owners,
                deciding=owners,
                certificates=authority.issue([host_of(name), "127.0.0.1"]) if authority else {},
            )
            for name, owners in (shared or {}).items()
        )
        spec = PlaneSpec(origin_s=0.0, seed=7, salt=salt, legs=legs, shared=hosts_shared)
        super().__init__("faults.planes.mitm", spec, inside)
        self.ports = msgspec.json.decode(self.first, type=PlaneReady).ports
        self.events: list[PlaneEvent] = []
        self.beating = threading.Event()
        self.beating.set()
        self._heard = threading.Condition()
        self._faults = 0
        threading.Thread(target=self._listen, daemon=True).start()
        threading.Thread(target=self._beat, daemon=True).start()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    @property
    def descriptors(self) -> int:
        """How many file descriptors it has open."""
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    def apply(self, kind: str, legs: Sequence[str], **settings: str | float | bool) -> str:
        """Put a fault on and wait until it is effective; its id. The stamps must lie between question and answer."""
        self._faults += 1
        fault = f"{kind}-{self._faults}"
        asked_s = time.monotonic()
        self.send(Apply(fault=fault, kind=kind, settings={**settings}, legs=tuple(legs)))
        effective = self.effective(fault)
        assert asked_s <= effective.began_s <= effective.at_s <= time.monotonic()
        return fault

    def clear(self, fault: str) -> FaultCleared:
        """Take a fault off and wait until it is cleared. The stamps must lie between question and answer."""
        asked_s = time.monotonic()
        self.send(Clear(fault=fault))
        cleared = self.cleared(fault)
        assert asked_s <= cleared.began_s <= cleared.at_s <= time.monotonic()
        assert cleared.why == ""
        return cleared

    def effective(self, fault: str) -> FaultEffective:
        """When a fault became effective."""
        return self.wait_for(FaultEffective, lambda event: event.fault == fault)

    def cleared(self, fault: str, timeout_s: float = SETTLE_S) -> FaultCleared:
        """When a fault was cleared."""
        return self.wait_for(FaultCleared, lambda event: event.fault == fault, timeout_s)

    @contextmanager
    def fault(self, kind: str, *legs: str, **settings: str | float | bool) -> Iterator[str]:
        """A fault that is on in the block."""
        fault = self.apply(kind, legs, **settings)
        try:
            yield fault
        finally:
            self.clear(fault)

    def all(self, kind: type[E], wanted: Callable[[E], bool] = lambda _: True) -> list[E]:
        """Every event of a kind so far."""
        return [event for event in list(self.events) if isinstance(event, kind) and wanted(event)]

    def wait_for(self, kind: type[E], wanted: Callable[[E], bool], timeout_s: float = SETTLE_S) -> E:
        """The first event of a kind that is wanted, now or soon."""
        with self._heard:
            found = self._heard.wait_for(lambda: self.all(kind, wanted), timeout_s)
        assert found, f"no such {kind.__name__}; there are {self.all(kind)}"
        return found[0]

    def attempt(self, id_: str, timeout_s: float = SETTLE_S) -> tuple[AttemptReceived, AttemptDone]:
        """The one attempt that carried a mark's id, and how it ended."""
        received = self.received(id_)
        done = self.wait_for(AttemptDone, lambda event: event.attempt == received.attempt, timeout_s)
        assert len(self.all(AttemptReceived, lambda event: event.id == id_)) == 1
        return received, done

    def received(self, id_: str) -> AttemptReceived:
        """The attempt that carried a mark's id."""
        return self.wait_for(AttemptReceived, lambda event: event.id == id_)

    @property
    def troubles(self) -> list[str]:
        """Everything that went wrong."""
        return [event.what for event in self.all(PlaneTrouble)]

    def _listen(self) -> None:
        assert self.process.stdout is not None
        decoder: msgspec.json.Decoder[PlaneEvent] = msgspec.json.Decoder(PlaneEvent)
        for line in self.process.stdout:
            with self._heard:
                self.events.append(decoder.decode(line))
                self._heard.notify_all()

    def _beat(self) -> None:
        while self.process.poll() is None:
            time.sleep(0.2)
            if self.beating.is_set():
                try:
                    self.send(Heartbeat())
                except (OSError, ValueError):
                    return


@dataclass
class Bench:
    """A plane, its simulator, and the legs between them."""

    plane: PlaneProcess
    dialects: dict[str, str]
    direct: dict[str, int]
    authority: Authority | None = None

    def caller(self, leg: str, *, direct: bool = False, timeout_s: float = SETTLE_S, tls: bool = False) -> Caller:
        """Someone who calls a leg, through the plane or straight; with TLS, one who trusts the bench's authority."""
        port = (self.direct if direct else self.plane.ports)[leg]
        return Caller(providers.get(self.dialects[leg]), port, timeout_s, self.trust() if tls else None, host_of(leg))

    def trust(self) -> ssl.SSLContext:
        """What trusts the bench's authority and nothing else."""
        assert self.authority is not None
        return ssl.create_default_context(cadata=self.authority.pem)


def host_of(leg: str) -> str:
    """The host name of a leg that speaks TLS."""
    return f"{leg}.drill.example"


@contextmanager
def bench(
    dialects: dict[str, str],
    others: dict[str, int] | None = None,
    first_token_s: float = 0.02,
    token_lifetime_s: int = 3599,
    authority: Authority | None = None,
    shared: dict[str, tuple[str, ...]] | None = None,
) -> Iterator[Bench]:
    """Simulated legs by name and dialect behind a plane, and other openai legs that listen on ports of the test's."""
    legs = tuple(SimulatedLeg(name, dialect) for name, dialect in dialects.items())
    spec = SimulatorSpec(legs, first_token_s=first_token_s, tokens_per_s=200, token_lifetime_s=token_lifetime_s)
    simulator = Lines("drills.simulator", spec)
    direct = msgspec.json.decode(simulator.first, type=SimulatorReady).ports | (others or {})
    dialects = dialects | dict.fromkeys(others or {}, "openai")
    upstream = {name: (dialects[name], port) for name, port in direct.items()}
    plane = PlaneProcess(upstream, authority=authority, shared=shared)
    try:
        yield Bench(plane, dialects, direct, authority)
    finally:
        plane.close()
        simulator.close()


@contextmanager
def undisturbed(rig: Bench) -> Iterator[PlaneProcess]:
    """The plane of a test, which leaves no fault on it and gives it no trouble."""
    before = len(rig.plane.troubles)
    yield rig.plane
    on = {event.fault for event in rig.plane.all(FaultEffective)}
    assert on == {event.fault for event in rig.plane.all(FaultCleared)}
    assert rig.plane.troubles[before:] == []


@dataclass
class Streamed:
    """What came of a streamed answer, while it comes."""

    status: int = 0
    parts: list[tuple[float, bytes]] = field(default_factory=list)
    error: Exception | None = None
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def body(self) -> bytes:
        """Everything so far."""
        return b"".join(data for _, data in self.parts)


class Caller:
    """A client of one leg with a connection pool of its own."""

    def __init__(
        self, dialect: Provider, port: int, timeout_s: float, trust: ssl.SSLContext | None = None, host: str = ""
    ) -> None:
        self.dialect = dialect
        self.port = port
        url, kept = f"{'https' if trust else 'http'}://127.0.0.1:{port}", httpx.Limits(keepalive_expiry=60)
        self._named = {"sni_hostname": host} if trust else {}
        verify = trust or _NO_TLS
        self._client = httpx.Client(base_url=url, timeout=timeout_s, limits=kept, verify=verify, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def request(self, mark: Mark, *, stream: bool, headers: dict[str, str] | None = None) -> httpx.Request:
        """The dialect's request for a mark."""
        probe = self.dialect.probe(MODEL, mark.prompt(), stream)
        return self._client.build_request(
            probe.method,
            probe.path,
            headers=dict(probe.headers) | (headers or {}),
            content=probe.body,
            extensions=self._named,
        )

    def ask(self, mark: Mark, *, stream: bool = False) -> httpx.Response:
        """One request and its whole answer."""
        return self._client.send(self.request(mark, stream=stream))

    def reading(self, mark: Mark, *, stream: bool = False) -> Reading:
        """One request, its answer judged."""
        response = self.ask(mark, stream=stream)
        assert response.status_code == 200, response.text
        return read_answer(self.dialect.read(stream, response.content), mark)

    @contextmanager
    def receiving(self, mark: Mark, *, stream: bool, headers: dict[str, str] | None = None) -> Iterator[httpx.Response]:
        """One request; its answer is read in the block."""
        response = self._client.send(self.request(mark, stream=stream, headers=headers), stream=True)
        try:
            yield response
        finally:
            response.close()

    def begin(self, mark: Mark, *, stream: bool, headers: dict[str, str] | None = None) -> Streamed:
        """Begin a request in the background."""
        found = Streamed()

        def run() -> None:
            try:
                with self.receiving(mark, stream=stream, headers=headers) as response:
                    found.status = response.status_code
                    for data in response.iter_raw():
                        found.parts.append((time.monotonic(), data))
            except Exception as error:  # noqa: BLE001  the test judges it
                found.error = error
            found.ended.set()

        threading.Thread(target=run, daemon=True).start()
        return found

    def events_in(self, body: bytes) -> int:
        """How many whole events a streamed body holds; it must hold nothing else."""
        ends, rest = self.dialect.count_events(body, b"")
        assert rest == b""
        return len(ends)


def mark(words: int = 12) -> Mark:
    """A mark that no other request carries."""
    return Mark(secrets.token_hex(8), words)


def measured(text: str) -> None:
    """Print a measured number; it stands at the end of pytest's output (`conftest.py`)."""
    print(f"\n{MEASURED}{text}")  # noqa: T201


def until(condition: Callable[[], Any], timeout_s: float = SETTLE_S) -> None:
    """Wait for what is expected at once."""
    end_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end_s, "it did not come true in time"
        time.sleep(0.005)


class Upstream:
    """A leg of the test's own: counts the connections and requests that reach it, and answers each with `answer`.

    Without `keep`, the connection ends after one answer.
    """

    def __init__(self, answer: bytes, *, keep: bool = True) -> None:
        self.requests: list[bytes] = []
        self._answer = answer
        self._keep = keep
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Give the port up."""
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        with sock, sock.makefile("rb") as lines, suppress(ConnectionError):
            while head := list(_head(lines)):
                lengths = [line.split(b":")[1] for line in head if line.lower().startswith(b"content-length:")]
                self.requests.append(b"".join(head) + lines.read(int(lengths[0]) if lengths else 0))
                sock.sendall(self._answer)
                if not self._keep:
                    return


def _head(lines: BinaryIO) -> Iterator[bytes]:
    while (line := lines.readline()).strip():
        yield line
