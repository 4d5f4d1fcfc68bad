"""A leg's listening socket and its connections: the place where connection faults are carried out.

Laws:
- The port belongs to the plane from start to end, also while it refuses: one socket stays bound to it throughout.
- A change of state is one synchronous step: when `become` returns, every connection of the leg, new or open, is in
  the new state. That is what makes the stamp around it true.
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
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from faults.base import Connections
from faults.planes.connects import Endpoint

BACKLOG = 512
_FILLERS_AT_MOST = 16
_FILLER_WAIT_S = 0.05
_CLOCK_TICK_S = 0.001
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_QUEUE_IN_TCP_INFO = 24
"""Offset of tcpi_unacked in struct tcp_info: of a listening socket, the length of its accept queue; then its limit."""


class WatchedReader(asyncio.StreamReader):
    """A stream reader that also says when the other side has gone, whether or not somebody is reading."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop=loop)
        self.gone = asyncio.Event()

    def feed_eof(self) -> None:
        """The other side closed."""
        self.gone.set()
        super().feed_eof()

    def set_exception(self, exc: Exception) -> None:
        """The connection broke."""
        self.gone.set()
        super().set_exception(exc)


class GatedWriter(asyncio.StreamWriter):
    """A stream writer that can lag and fall silent: what is written goes first through a line in which it may wait for
    its time, then through a gate that is shut while it is frozen. What waits is sent, in order, when the line is
    hurried and the gate thaws, and so is the end of the connection.
    """

    def __init__(
        self,
        transport: asyncio.WriteTransport,
        protocol: asyncio.BaseProtocol,
        reader: WatchedReader,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        super().__init__(transport, protocol, reader, loop)
        self._peer = reader
        self._clock = loop
        self._frozen_by: set[str] = set()
        self._line: deque[tuple[float, Callable[[], None]]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._lags: deque[float] = deque()
        self._after: list[tuple[int, Callable[[], None]]] = []
        self._held: list[bytes] = []
        self._held_eof = False
        self._held_close = False

    @property
    def frozen(self) -> bool:
        """Whether it is silent now."""
        return bool(self._frozen_by)

    @property
    def lag_s(self) -> float:
        """How long the line is: seconds until what was written last has its time, 0 when nothing waits."""
        return max(0.001, self._line[-1][0] - self._clock.time()) if self._line else 0.0

    def write(self, data: bytes | bytearray | memoryview[int]) -> None:
        """Send, or keep for later while it lags or is frozen."""
        lag_s = self._lags.popleft() if self._lags else 0.0
        self._in_line(lag_s, functools.partial(self._send, bytes(data)))
        self._after = [(writes - 1, act) for writes, act in self._after]
        for act in [act for writes, act in self._after if writes == 0]:
            self._in_line(0.0, act)
        self._after = [(writes, act) for writes, act in self._after if writes > 0]

    def write_eof(self) -> None:
        """Half-close, or do so later while it lags or is frozen."""
        self._in_line(0.0, self._send_eof)

    def close(self) -> None:
        """Close, or do so later while it lags or is frozen: a silent connection sends no FIN. Nobody hears one who has
        left.
        """
        if self._peer.gone.is_set():
            self._drop_line()
            super().close()
        else:
            self._in_line(0.0, self._send_close)

    async def drain(self) -> None:
        """Wait for the socket, but never for a thaw or the line: the other side of the proxy goes on."""
        if not (self.frozen or self._line):
            await super().drain()

    def lag(self, lags_s: Iterable[float]) -> None:
        """Hold the next writes back, each by its own seconds; none overtakes another."""
        self._lags.extend(lags_s)

    def hurry(self) -> None:
        """Send what waits in the line at once."""
        self._lags.clear()
        line, self._line = self._line, deque()
        self._drop_line()
        for _, act in line:
            act()

    def after_writes(self, writes: int, act: Callable[[], None]) -> None:
        """Call `act` when so many more writes (0: all that were written before) have passed the line."""
        if writes == 0:
            self._in_line(0.0, act)
        else:
            self._after.append((writes, act))

    def freeze(self, by: str) -> None:
        """Send nothing from now on. `by` names the reason; silence lasts as long as any reason does."""
        self._frozen_by.add(by)

    def thaw(self, by: str) -> None:
        """Take one reason for silence away. When none is left, send what was held, and go on."""
        self._frozen_by.discard(by)
        if self._frozen_by:
            return
        held, self._held = self._held, []
        if self.transport.is_closing():
            return
        for data in held:
            super().write(data)
        if self._held_eof:
            self._held_eof = False
            super().write_eof()
        if self._held_close:
            super().close()

    def finish(self, last: bytes) -> None:
        """Send these last bytes past the gate, and end the connection politely."""
        if not self.transport.is_closing():
            super().write(last)
            super().close()

    def _in_line(self, lag_s: float, act: Callable[[], None]) -> None:
        if not self._line and lag_s <= 0:
            act()
            return
        due_s = self._clock.time() + lag_s
        self._line.append((max(due_s, self._line[-1][0]) if self._line else due_s, act))
        if self._timer is None:
            self._timer = self._clock.call_at(self._line[0][0], self._pass_due)

    def _pass_due(self) -> None:
        self._timer = None
        while self._line and self._line[0][0] <= self._clock.time() + _CLOCK_TICK_S:
            self._line.popleft()[1]()
        if self._line and self._timer is None:
            self._timer = self._clock.call_at(self._line[0][0], self._pass_due)

    def _drop_line(self) -> None:
        self._line.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _send(self, data: bytes) -> None:
        if self.frozen:
            self._held.append(data)
        elif not self.transport.is_closing():
            super().write(data)

    def _send_eof(self) -> None:
        if self.frozen:
            self._held_eof = True
        elif not self.transport.is_closing():
            super().write_eof()

    def _send_close(self) -> None:
        if self.frozen and not self._peer.gone.is_set():
            self._held_close = True
        else:
            super().close()

    def reset(self) -> None:
        """End the connection with a TCP reset."""
        self._drop_line()
        sock: Any = self.get_extra_info("socket")
        if sock is not None and not self.transport.is_closing():
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.transport.abort()


Serve = Callable[[WatchedReader, GatedWriter], Awaitable[None]]
_CONNECTIONS = "connections"


class LegListener:
    """One leg's port, on loopback or on an address of a private network (0: any free port). `serve` is called for each
    accepted connection.
    """

    def __init__(self, serve: Serve, loop: asyncio.AbstractEventLoop, at: Endpoint = ("127.0.0.1", 0)) -> None:
        self._serve = serve
        self._loop = loop
        self._state = Connections.OPEN
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
        return 0

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
            reader = WatchedReader(self._loop)
            protocol = asyncio.StreamReaderProtocol(reader, loop=self._loop)
            self._keep(self._loop.create_task(self._connected(sock, reader, protocol)))

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connected(
        self, sock: socket.socket, reader: WatchedReader, protocol: asyncio.StreamReaderProtocol
    ) -> None:
        transport, _ = await self._loop.connect_accepted_socket(lambda: protocol, sock)
        writer = GatedWriter(transport, protocol, reader, self._loop)
        # The state may have changed between accept and here: an accepted connection meets it as an open one would.
        if self._state is Connections.REFUSED:
            writer.reset()
            return
        if self._state is Connections.BLACKHOLED:
            writer.freeze(_CONNECTIONS)
        self._writers.add(writer)
        try:
            await self._serve(reader, writer)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()  # a frozen connection is still ours, to be thawed or reset
        finally:
            self._writers.discard(writer)


def _bound(to: Endpoint) -> socket.socket:
    """A non-blocking socket bound to an address and a port (0: any free one), not listening."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setblocking(False)
    sock.bind(to)
    return sock
