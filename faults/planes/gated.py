"""The two ends of an accepted connection: a reader that knows when the caller has gone, and a writer that can lag, fall
silent and break off. What a fault does to the bytes of an answer, it does here.
"""

from __future__ import annotations

import asyncio
import functools
import socket
import struct
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

_CLOCK_TICK_S = 0.001
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


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
        self.written = 0
        """How many bytes were given to it, whether or not they have gone."""

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
        self.written += len(data)
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
