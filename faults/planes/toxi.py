"""The Toxiproxy plane: faults on the bytes of a leg's line, in front of the mitm plane. A process of its own.

 gateway -> Toxiproxy, one proxy per leg -> mitm plane -> leg

Laws:
- A fault is effective when Toxiproxy has it on every line of its legs, which this plane reads back before it says so.
- The port of a line belongs to the plane from start to end, also while the line is down: a socket stays bound to it.
- Restoring is certain: a toxic that does not come off in time costs the line its connections, never its health.
- A server that this plane started dies with it. On a server that somebody else runs, it touches its own proxies and
  nothing else; `/reset` is never called.

A lease ends like the mitm plane's: when the runner falls silent the lines carry bytes as before within five seconds.
When the runner is gone there is nothing to restore: the gateway is ended by its keeper, the lines close with the
plane, and whoever still has their address is refused.

The client library holds the server's address in a class, so there is one server for each process.
Facts about toxics are from Toxiproxy's own source (link.go, proxy.go, toxics/*.go, version 2.12.0).
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import msgspec
from toxiproxy import Proxy, Toxiproxy
from toxiproxy.api import APIConsumer

from drills.lifeline import die_with_parent
from faults.base import DOWN, Toxic
from faults.planes.connects import PRINTED, Endpoint, printed
from faults.planes.control import LEASE_S, PlaneEvent, PlaneReady, ToxiSpec
from faults.planes.readback import ProxySeen, astray
from faults.planes.wire import Plane

PREFIX = "failover-drill-"
"""The names of our proxies on a server begin so."""
MARK = f"{PREFIX}in_use"
"""A proxy that carries nothing: a server makes a name only once, so of two drills only one has it. No leg's name has an
underscore.
"""

_CALL_WITHIN_S = 1.0
_SERVER_WITHIN_S = 10.0
_POLL_S = 0.02
_ESTABLISHED = "01"
_TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))

T = TypeVar("T")


class ServerError(OSError):
    """Toxiproxy did not do what it was asked."""


class RefusedError(ServerError):
    """A server that somebody else runs cannot be used now. `why`: a sentence for each reason."""

    def __init__(self, why: list[str]) -> None:
        super().__init__("; ".join(why))
        self.why = why


def _seen() -> dict[str, ProxySeen]:
    """Every proxy of the server with its toxics, in one call, which the client library has no method for."""
    return _within(lambda: msgspec.json.decode(APIConsumer.get("/proxies").content, type=dict[str, ProxySeen]))


def _within(call: Callable[[], T], seconds: float = _CALL_WITHIN_S) -> T:
    """The result of a call to the server, which the client library would wait for without end. Raises `ServerError`."""
    found: list[T] = []
    wrong: list[Exception] = []

    def work() -> None:
        try:
            found.append(call())
        except Exception as error:  # noqa: BLE001  the library lets through whatever JSON and HTTP raise
            wrong.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(seconds)
    if wrong:
        raise ServerError(f"{type(wrong[0]).__name__}: {wrong[0]}"[:300])
    if not found:
        raise ServerError(f"Toxiproxy did not answer within {seconds:g} s")
    return found[0]


class ToxicLine:
    """One leg's proxy, and the faults that are on it."""

    def __init__(self, server: Toxiproxy, leg: str, upstream_port: int, at: Endpoint) -> None:
        self._server = server
        self._name = PREFIX + leg
        self._upstream = f"127.0.0.1:{upstream_port}"
        self._held = socket.socket()
        self._held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._held.bind(at)
        self._endpoint: Endpoint = self._held.getsockname()
        self.port: int = self._endpoint[1]
        self._on: dict[str, Toxic] = {}
        self._proxy: Proxy = self._create()

    def _create(self) -> Proxy:
        listen = f"{self._endpoint[0]}:{self.port}"
        return _within(lambda: self._server.create(upstream=self._upstream, name=self._name, listen=listen))

    def put_on(self, fault: str, toxic: Toxic) -> int:
        """Put a fault on; how many connections were cut by that."""
        open_now = self._connections()
        self._on[fault] = toxic
        try:
            self._add(fault, toxic)
        except ServerError:
            # A connection whose reader does not read holds the lock that adding a toxic needs.
            self._renew()
            return open_now
        return open_now if toxic.cuts or toxic.type == DOWN else 0

    def _add(self, fault: str, toxic: Toxic) -> None:
        if toxic.type == DOWN:
            self._enable(False)
            return
        with self._shut() if toxic.cuts else contextlib.nullcontext():
            _within(
                lambda: self._proxy.add_toxic(
                    name=fault, type=toxic.type, stream=toxic.stream, attributes=toxic.attributes, toxicity=1.0
                )
            )
            if _within(lambda: self._proxy.get_toxic(fault)) is None:
                raise ServerError(f"Toxiproxy has no toxic {fault} after it was added")

    def take_off(self, fault: str) -> None:
        """Take a fault off, also one that was put on by half."""
        toxic = self._on.pop(fault, None)
        if toxic is None:
            return
        if toxic.type == DOWN:
            self._enable(not self._down)
            return
        try:
            with self._shut() if toxic.cuts else contextlib.nullcontext():
                if _within(lambda: self._proxy.get_toxic(fault)) is not None:
                    _within(lambda: self._proxy.destroy_toxic(fault))
        except ServerError:
            # The same lock is needed to take a toxic off.
            self._renew()

    def astray(self, seen: Mapping[str, ProxySeen]) -> dict[str, str]:
        """The faults that are not there as they were put on, each with what is wrong."""
        return astray(self._on, seen.get(self._name))

    @property
    def _down(self) -> bool:
        return any(toxic.type == DOWN for toxic in self._on.values())

    @contextlib.contextmanager
    def _shut(self) -> Iterator[None]:
        """Disabled for a moment: every open connection is closed, which is the only way, and none is opened meanwhile.
        A toxic that comes or goes while the line is open would let answers begin that the cut then breaks.
        """
        if self._down:
            yield
            return
        self._enable(False)
        try:
            yield
        finally:
            self._enable(True)

    def _enable(self, wanted: bool) -> None:
        _within(self._proxy.enable if wanted else self._proxy.disable)
        now = _within(lambda: self._server.get_proxy(self._name))
        if now is None or now.enabled is not wanted:
            raise ServerError(f"Toxiproxy did not {'enable' if wanted else 'disable'} {self._name}")

    def _renew(self) -> None:
        """A new proxy in the place of the old one, with what is still to be on it."""
        _within(self._proxy.destroy)
        self._proxy = self._create()
        for fault, toxic in self._on.items():
            self._add(fault, toxic)

    def close(self) -> None:
        """Delete the proxy, with all that is on it, and give the port up."""
        with contextlib.suppress(ServerError):
            _within(self._proxy.destroy)
        self._held.close()

    def _connections(self) -> int:
        """Established connections to the line, where the kernel tells."""
        here = printed(self._endpoint)
        lines = [line.split() for table in _TABLES if table.exists() for line in table.read_text().splitlines()[1:]]
        return sum(1 for line in lines if line[1][-PRINTED:] == here and line[3] == _ESTABLISHED)


# --- the server ------------------------------------------------------------------------------------------------------


def _reach(host: str, port: int) -> tuple[Toxiproxy, str]:
    """The server at an address, and its version. Raises `ServerError` when there is none."""
    server = Toxiproxy()
    server.update_api_consumer(host, port)
    version: Any = _within(server.version)
    if version is None:
        raise ServerError(f"nothing listens at {host}:{port}")
    try:
        return server, str(msgspec.json.decode(version)["version"])
    except (msgspec.DecodeError, KeyError, TypeError):
        pass  # servers before 2.5 answer in plain text
    text = version.decode(errors="replace").strip()
    if len(text) > 40 or "<" in text:
        raise ServerError(f"what answers at {host}:{port} is no Toxiproxy")
    return server, text


def address(url: str) -> tuple[str, int]:
    """Host and port of a server's URL. Raises `ValueError` unless it is on this machine's loopback."""
    parts = urlsplit(url)
    host, port = parts.hostname, parts.port or 8474
    if parts.scheme != "http" or host not in {"127.0.0.1", "localhost"}:
        raise ValueError(f"{url} is no http URL of a Toxiproxy on 127.0.0.1, which the drill's own ports need")
    return host, port


def objections(server: Toxiproxy, ours: str = "") -> list[str]:
    """Why a server that somebody else runs cannot be used now. ours: a proxy that is this drill's."""
    found = []
    for name, proxy in sorted(_within(server.proxies).items()):
        if name == ours:
            continue
        if name.startswith(PREFIX):
            found.append(f"proxy {name} is there already: another drill runs, or one was killed; delete it then")
            continue
        if not proxy.enabled:
            found.append(f"proxy {name} is disabled: somebody else's experiment is under way")
        if toxics := sorted(_within(proxy.toxics)):
            found.append(f"proxy {name} has toxics that are not ours: {', '.join(toxics)}")
    return found


@contextlib.contextmanager
def _claimed(server: Toxiproxy) -> Iterator[None]:
    """A server that somebody else runs, for this drill alone among drills. Raises `RefusedError`."""
    try:
        mark = _within(lambda: server.create(upstream="127.0.0.1:9", name=MARK, enabled=False))
    except ServerError:
        if found := objections(server):
            raise RefusedError(found) from None
        raise
    try:
        if found := objections(server, MARK):
            raise RefusedError(found)
        yield
    finally:
        with contextlib.suppress(ServerError):
            _within(mark.destroy)


@contextlib.contextmanager
def _server(spec: ToxiSpec) -> Iterator[tuple[Toxiproxy, str, subprocess.Popen[bytes] | None]]:
    if spec.url:
        server, version = _reach(*address(spec.url))
        with _claimed(server):
            yield server, version, None
        return
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    process = subprocess.Popen(  # noqa: S603  the runner found this program
        [spec.command, "-host", "127.0.0.1", "-port", str(port)],
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr.fileno(),
        env={**os.environ, "LOG_LEVEL": "error"},
        preexec_fn=partial(die_with_parent, parent=os.getpid()),  # noqa: PLW1509  no thread is running yet
    )
    try:
        until_s = time.monotonic() + _SERVER_WITHIN_S
        while True:
            if process.poll() is not None:
                raise ServerError(f"{spec.command} ended at its start with code {process.returncode}")
            try:
                server, version = _reach("127.0.0.1", port)
                break
            except ServerError:
                if time.monotonic() > until_s:
                    raise
            time.sleep(_POLL_S)
        yield server, version, process
    finally:
        process.kill()
        process.wait()


def _inspect(url: str) -> int:
    """For people who run a Toxiproxy of their own: its version, or why it cannot be used, a line each."""
    try:
        server, version = _reach(*address(url))
        found = objections(server)
    except (OSError, ValueError) as error:
        found = [str(error)]
    print("\n".join(found) if found else version)  # noqa: T201  the answer
    return 1 if found else 0


def _emit(event: PlaneEvent) -> None:
    with contextlib.suppress(BrokenPipeError):
        os.write(1, msgspec.json.encode(event) + b"\n")


def _serve(plane: Plane, rest: bytes, server: subprocess.Popen[bytes] | None, commands: int = 0) -> None:
    """Carry commands out until the input ends, or the server does. commands: the descriptor that they come from."""
    while True:
        *lines, rest = rest.split(b"\n")
        for line in lines:
            plane.hear(line)
        plane.flap()
        plane.watch()
        wait_s = plane.wait_s()
        if select.select([commands], [], [], LEASE_S / 10 if wait_s is None else min(wait_s, LEASE_S / 10))[0]:
            data = os.read(commands, 65536)
            if not data:
                return
            plane.heard()  # carrying a command out may have taken longer than the lease, with heartbeats behind it
            rest += data
        plane.check_lease()
        if server is not None and server.poll() is not None:
            raise ServerError(f"the Toxiproxy server ended with code {server.returncode}")


def main() -> None:
    """The plane's process; `inspect URL` only looks at a server."""
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "*"  # the client library would ask a proxy for 127.0.0.1
    if sys.argv[1:2] == ["inspect"]:
        sys.exit(_inspect(sys.argv[2]))
    for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(sig, signal.SIG_IGN)  # the runner decides; its end is the end of the input
    first = b""
    while b"\n" not in first:
        data = os.read(0, 65536)
        if not data:
            return
        first += data
    line, _, rest = first.partition(b"\n")
    spec = msgspec.json.decode(line, type=ToxiSpec)
    try:
        with _server(spec) as (server, version, process), contextlib.ExitStack() as lines:
            opened: dict[str, ToxicLine] = {}
            for leg, port in spec.upstream.items():
                line_of = ToxicLine(server, leg, port, spec.listen.get(leg, ("127.0.0.1", 0)))
                opened[leg] = lines.enter_context(contextlib.closing(line_of))

            def look() -> dict[str, dict[str, str]]:
                seen = _seen()
                return {leg: line.astray(seen) for leg, line in opened.items()}

            with contextlib.closing(Plane(spec.origin_s, opened, _emit, look)) as plane:
                _emit(PlaneReady(ports=plane.ports, version=version))
                _serve(plane, rest, process)
    except RefusedError as refused:
        why = tuple(f"the Toxiproxy at {spec.url}: {why}" for why in refused.why)
        _emit(PlaneReady(ports={}, version="", refused=why))
    except (OSError, ValueError) as error:
        print(f"toxiproxy plane: {error}", file=sys.stderr)  # noqa: T201  its last words
        sys.exit(1)


if __name__ == "__main__":
    main()
