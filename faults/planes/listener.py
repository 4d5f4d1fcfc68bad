"""A leg's listening socket and its connections: the place where connection faults are carried out.

Laws:
- The port belongs to the plane from start to end, also while it refuses: one socket stays bound to it throughout.
- A change of state is one synchronous step: when `become` returns, every connection of the leg, new or open, is in
  the new state. That is what makes the stamp around it true.
- What a leg does in TLS handshakes is a state of its own beside that of its connections. When `shake` returns, every
  connection that is open was reset, so that each has to shake hands as the state says.
- Refused means ECONNREFUSED from the kernel, because nothing listens. Blackholed means that the accept queue is full,
  so that the kernel drops each SYN (listen(2), backlog; Linux drops a SYN when the accept queue is full).
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import select
import socket
import struct
import sys
from collections.abc import Awaitable, Callable

from faults.base import Connections
from faults.handshake import USUAL_HANDSHAKE, Handshake
from faults.planes.connects import Endpoint
from faults.planes.gated import GatedWriter, WatchedReader
from faults.planes.tls import Contexts, Door

BACKLOG = 512
_FILLERS_AT_MOST = 16
_FILLER_WAIT_S = 0.05
_QUEUE_IN_TCP_INFO = 24
"""Offset of tcpi_unacked in struct tcp_info: of a listening socket, the length of its accept queue; then its limit."""


Serve = Callable[[WatchedReader, GatedWriter], Awaitable[None]]
_CONNECTIONS = "connections"
_SILENT = Handshake(answered=False)


class LegListener:
    """One leg's port. `serve` is called for each accepted connection from which a request can come.

    certificates: with any, connections that begin with a TLS handshake are served as well as plain ones. greeted: told
    the other side's port when a handshake begins. at: on loopback, or on an address of a private network (port 0: any
    that is free).
    """

    def __init__(
        self,
        serve: Serve,
        loop: asyncio.AbstractEventLoop,
        certificates: Contexts | None = None,
        greeted: Callable[[int], None] = lambda _port: None,
        at: Endpoint = ("127.0.0.1", 0),
    ) -> None:
        self._serve = serve
        self._loop = loop
        self._certificates = certificates
        self._greeted = greeted
        self._state = Connections.OPEN
        self._handshake = USUAL_HANDSHAKE
        self._doors: set[Door] = set()
        self._owner = _bound(at)
        self.endpoint: Endpoint = self._owner.getsockname()
        self._sock = _bound(self.endpoint)
        self._fillers: list[socket.socket] = []
        self._writers: set[GatedWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._listen()

    @property
    def port(self) -> int:
        """Its port."""
        return self.endpoint[1]

    @property
    def state(self) -> Connections:
        """What connections meet now."""
        return self._state

    @property
    def filler_ports(self) -> frozenset[int]:
        """The local ports of the plane's own connects that keep the accept queue full."""
        return frozenset(filler.getsockname()[1] for filler in self._fillers)

    def become(self, state: Connections) -> int:
        """Put every connection, new and open, into a state. Returns how many open connections were reset or held."""
        if state is self._state:
            return 0
        self._leave()
        self._state = state
        if state is Connections.REFUSED:
            return self._refuse()
        if state is Connections.BLACKHOLED:
            return self._blackhole()
        for writer in list(self._writers):
            writer.thaw(_CONNECTIONS)
        self._let_in()
        return 0

    def shake(self, handshake: Handshake, *, reset: bool) -> int:
        """Do this in TLS handshakes from now on. `reset`: reset every open connection. Returns how many were.

        Raises `ValueError` when the leg speaks no TLS and this is not what it would do anyway.
        """
        if handshake != USUAL_HANDSHAKE and not self._certificates:
            raise ValueError("the leg speaks plain HTTP: there are no handshakes")
        self._handshake = handshake
        writers = list(self._writers) if reset else []
        for writer in writers:
            writer.reset()
        self._let_in()
        return len(writers)

    def _let_in(self) -> None:
        for door in list(self._doors):
            door.look_again()

    def _greet(self) -> Handshake:
        return self._handshake if self._state is Connections.OPEN else _SILENT

    async def close(self) -> None:
        """Give the port up and end every connection."""
        self._stop_accepting()
        self._drop_fillers()
        self._sock.close()
        self._owner.close()
        for writer in list(self._writers):
            writer.reset()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _leave(self) -> None:
        """Back to a listening, accepting socket, from whatever state."""
        if self._state is Connections.REFUSED:
            self._listen()
        elif self._state is Connections.BLACKHOLED:
            mine = self.filler_ports
            self._drop_fillers()
            self._sock.listen(BACKLOG)
            self._accept_waiting(mine)
            self._loop.add_reader(self._sock, self._accept_waiting)

    def _refuse(self) -> int:
        self._accept_waiting()
        self._stop_accepting()
        self._sock.close()
        self._sock = _bound(self.endpoint)
        writers = list(self._writers)
        for writer in writers:
            writer.reset()
        return len(writers)

    def _blackhole(self) -> int:
        self._accept_waiting()
        self._stop_accepting()
        self._sock.listen(0)
        self._fill()
        writers = list(self._writers)
        for writer in writers:
            writer.freeze(_CONNECTIONS)
        return len(writers)

    def _fill(self) -> None:
        for _ in range(_FILLERS_AT_MOST):
            if self._full():
                return
            filler = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            filler.setblocking(False)
            filler.connect_ex(self.endpoint)
            self._fillers.append(filler)
            _, connected, _ = select.select([], [filler], [], _FILLER_WAIT_S)
            if not connected and sys.platform != "linux":
                return
        raise OSError(f"port {self.port}: the accept queue does not fill up; this system cannot drop a connect")

    def _full(self) -> bool:
        """Whether the kernel says that the accept queue is over its limit. Elsewhere than on Linux: never."""
        if sys.platform != "linux":
            return False
        info = self._sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _QUEUE_IN_TCP_INFO + 8)
        waiting, limit = struct.unpack_from("=II", info, _QUEUE_IN_TCP_INFO)
        return bool(waiting > limit)

    def _drop_fillers(self) -> None:
        for filler in self._fillers:
            filler.close()
        self._fillers.clear()

    def _listen(self) -> None:
        self._sock.listen(BACKLOG)
        self._loop.add_reader(self._sock, self._accept_waiting)

    def _stop_accepting(self) -> None:
        self._loop.remove_reader(self._sock)

    def _accept_waiting(self, ignore: frozenset[int] = frozenset()) -> None:
        while True:
            try:
                sock, peer = self._sock.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            if peer[1] in ignore:
                sock.close()
                continue
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._keep(self._loop.create_task(self._connected(sock, peer[1])))

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connected(self, sock: socket.socket, peer: int) -> None:
        reader = WatchedReader(self._loop)
        stream = asyncio.StreamReaderProtocol(reader, loop=self._loop)
        door = None
        if self._certificates:
            door = Door(stream, self._certificates, self._greet, functools.partial(self._greeted, peer))
        transport, _ = await self._loop.connect_accepted_socket(lambda: door or stream, sock)
        writer = GatedWriter(door or transport, stream, reader, self._loop)
        # The state may have changed between accept and here: an accepted connection meets it as an open one would.
        if self._state is Connections.REFUSED:
            writer.reset()
            return
        if self._state is Connections.BLACKHOLED:
            writer.freeze(_CONNECTIONS)
        self._writers.add(writer)
        try:
            if door is None or await self._opens(door):
                await self._serve(reader, writer)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()  # a frozen connection is still ours, to be thawed or reset
        finally:
            self._writers.discard(writer)

    async def _opens(self, door: Door) -> bool:
        """Wait until a request can come through a door. False when the connection ended before that."""
        self._doors.add(door)
        try:
            await door.opened.wait()
        finally:
            self._doors.discard(door)
        return not door.lost


def _bound(to: Endpoint) -> socket.socket:
    """A non-blocking socket bound to an address and a port (0: any free one), not listening."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setblocking(False)
    sock.bind(to)
    return sock
