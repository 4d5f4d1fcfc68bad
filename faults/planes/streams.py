"""Breaks and slows streamed answers where the faults say so: the place where it happens, to the byte.

A stream is never collected: each chunk goes on when it comes. Only an event that is to be spoiled waits for its own
end, and what a fault slows down waits in the connection's line.
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Callable, Sequence
from weakref import WeakSet

from drills.providers.base import Provider
from faults.base import Break, CutStream, Pace, SpoilEvent, StallStream
from faults.planes.attempt import Attempt
from faults.planes.board import Board
from faults.planes.gated import GatedWriter

_FLUSH_BEFORE_CUT_S = 0.03
"""A reset right behind data may reach the gateway before it has read the data, and may discard them."""
_SLICE_S = 0.05
"""How much of a second's bytes go together at a limited bandwidth."""
_CUT = "cut"
_POLITE = {"clean", "error", "half"}
Piece = bytes | Callable[[], None]
"""A part of an answer that goes on, or what to do when all the parts before it have gone."""


def ends_politely(how: Break) -> bool:
    """Whether a break ends the body as HTTP demands."""
    return not isinstance(how, StallStream) and how.how in _POLITE


def changes_length(how: Break) -> bool:
    """Whether a body with a break in it may come to its end with another length than the leg gave it."""
    return ends_politely(how) or (isinstance(how, SpoilEvent) and how.how == "malformed")


def _needs_boundary(how: Break) -> bool:
    """Whether a break makes sense between two events only."""
    return isinstance(how, SpoilEvent) or (isinstance(how, CutStream) and how.how == "error")


class Streams:
    """The streams that faults break, slow down or hold."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._stalled: dict[str, set[GatedWriter]] = {}
        self._paced: dict[str, WeakSet[GatedWriter]] = {}

    def faults_changed(self) -> None:
        """Let go of every stream that a fault held or slowed down which is off now."""
        for fault in self._paced.keys() - set(self._board.ids):
            for paced in self._paced.pop(fault):
                paced.hurry()
        for fault in self._stalled.keys() - set(self._board.ids):
            for writer in self._stalled.pop(fault):
                writer.thaw(fault)

    def filter(self, attempt: Attempt, provider: Provider) -> Callable[[bytes], list[bytes]]:
        """What mitmproxy asks about each chunk of an answer: it lets some events through, then does what the faults
        say, and says when each piece goes on.
        """
        writer = attempt.connection.writer
        breaking, pacing = _Breaking(self, attempt, provider), _Pacing(attempt, provider)

        def forward(data: bytes) -> list[bytes]:
            paces = [(fault, how) for fault, how in attempt.paces if fault in self._board.ids] if data else []
            for fault, _ in paces:
                attempt.touch(fault)
                self._paced.setdefault(fault, WeakSet()).add(writer)
            sent: list[bytes] = []
            for piece in breaking.forward(data) if data else breaking.rest():
                if not isinstance(piece, bytes):
                    writer.after_writes(len(sent), piece)
                elif piece:  # mitmproxy would write an empty chunk as the end of a chunked body
                    sent += pacing.forward(piece, [how for _, how in paces])
            return sent

        return forward

    def on(self, attempt: Attempt) -> list[tuple[str, Break]]:
        """The breaks of an attempt whose faults are on."""
        return [(fault, how) for fault, how in attempt.breaks if self.is_on(fault)]

    def is_on(self, fault: str) -> bool:
        """Whether a fault is on."""
        return fault in self._board.ids

    def stalls(self, attempt: Attempt, breaks: Sequence[tuple[str, Break]]) -> list[Piece]:
        """What silences a connection for as long as any of the stalls is on."""
        writer, found = attempt.connection.writer, []
        for fault in [fault for fault, how in breaks if isinstance(how, StallStream)]:
            attempt.touch(fault)
            self._stalled.setdefault(fault, set()).add(writer)
            found.append(functools.partial(self._freeze, writer, fault))
        return [*found]

    def _freeze(self, writer: GatedWriter, fault: str) -> None:
        if self.is_on(fault):
            writer.freeze(fault)


class _Breaking:
    """One stream that is to break: what has been seen of it, and what becomes of each chunk."""

    def __init__(self, streams: Streams, attempt: Attempt, provider: Provider) -> None:
        self._streams = streams
        self._attempt = attempt
        self._provider = provider
        self._pending = b""
        self._events = 0
        self._kept = b""
        self._spoiling: tuple[str, SpoilEvent] | None = None
        self._ended = False

    def forward(self, data: bytes) -> list[Piece]:
        """The pieces of a chunk that go on, and what is to be done between them."""
        if self._ended:
            return []
        if self._spoiling is not None:
            on = self._streams.is_on(self._spoiling[0])
            return self._spoil(data, *self._spoiling) if on else [*self.rest(), data]
        if not self._attempt.breaks:
            return [data]
        before, seen = len(self._pending), self._events
        ends, self._pending = self._provider.count_events(data, self._pending)
        self._events += len(ends)
        breaks = self._streams.on(self._attempt)
        # On a connection that is silent already, the break waits for its voice.
        if not breaks or self._attempt.connection.writer.frozen or self._events < breaks[0][1].after_events:
            return [data]
        left = breaks[0][1].after_events - seen
        if left <= 0 and before and _needs_boundary(breaks[0][1]):
            left = 1  # the break came late, in an event whose head is gone already: it happens behind that one
        if left > len(ends):
            return [data]
        keep = ends[left - 1] - before if left > 0 else 0
        self._attempt.breaks = ()
        return self._break(data[:keep], data[keep:], breaks)

    def rest(self) -> list[Piece]:
        """What was kept back to be spoiled and is not: the stream has come to its end, or the fault has."""
        kept, self._kept, self._spoiling = self._kept, b"", None
        return [kept]

    def _break(self, kept: bytes, rest: bytes, breaks: list[tuple[str, Break]]) -> list[Piece]:
        fault, how = breaks[0]
        if isinstance(how, StallStream):
            return [kept, *self._streams.stalls(self._attempt, breaks), rest]
        if isinstance(how, SpoilEvent):
            self._spoiling = (fault, how)
            return [kept, *self._spoil(rest, fault, how)]
        if how.how == "error":
            call, number = self._attempt.call, self._attempt.number
            told = self._provider.stream_error(how.error, call, f"req_drill{number:08d}", how.after_events)
            return [kept, told, self._end(fault, how)]
        return [kept, self._end(fault, how)]

    def _spoil(self, data: bytes, fault: str, how: SpoilEvent) -> list[Piece]:
        """Keep one event back until it is whole, then send it spoiled."""
        ends, _ = self._provider.count_events(data, self._kept)
        whole = self._kept + data
        if not ends:
            self._kept = whole
            return []
        event, rest = whole[: ends[0]], whole[ends[0] :]
        self._kept, self._spoiling = b"", None
        if how.how == "half":
            return [event[: len(event) // 2], self._end(fault, how)]
        self._attempt.touch(fault)
        self._attempt.altered = f"{how.how} event after {how.after_events} events"
        spoilt = self._provider.malformed(event) if how.how == "malformed" else event[:-1] + bytes([event[-1] ^ 1])
        return [spoilt, rest]

    def _end(self, fault: str, how: CutStream | SpoilEvent) -> Piece:
        """What ends a stream and its connection behind the last of its pieces."""
        attempt, writer = self._attempt, self._attempt.connection.writer
        attempt.touch(fault)
        attempt.spoiled = f"cut by {how.how} after {how.after_events} events"
        attempt.closes = not (isinstance(how, CutStream) and how.how == "rst")
        self._ended = True
        end: Callable[[], None]
        if ends_politely(how):
            end = functools.partial(writer.finish, attempt.terminator)
        else:
            end = writer.reset if how.how == "rst" else writer.transport.close

        def act() -> None:
            writer.freeze(_CUT)
            asyncio.get_running_loop().call_later(_FLUSH_BEFORE_CUT_S, end)

        return act


class _Pacing:
    """One answer that is slowed down: when each piece of it goes on."""

    def __init__(self, attempt: Attempt, provider: Provider) -> None:
        self._attempt = attempt
        self._provider = provider
        self._pending = b""
        self._events = 0
        self._free_s = 0.0

    def forward(self, piece: bytes, paces: Sequence[Pace]) -> list[bytes]:
        """The same bytes in parts of their own, the connection told how long to hold each back."""
        if not self._attempt.paces:
            return [piece]
        events = self._split(piece)
        if not paces:
            return [piece]
        first_s, each_s = sum(pace.first_s for pace in paces), sum(pace.each_s for pace in paces)
        rate = min((pace.bytes_per_s for pace in paces if pace.bytes_per_s is not None), default=None)
        now_s = time.monotonic()
        sent, lags_s = [], []
        for event, data in events:
            due_s = now_s + first_s + each_s * event
            for part in _sliced(data, rate):
                if rate is not None:
                    due_s = self._free_s = max(due_s, self._free_s) + len(part) / rate
                sent.append(part)
                lags_s.append(due_s - now_s)
        self._attempt.connection.writer.lag(lags_s)
        return sent

    def _split(self, piece: bytes) -> list[tuple[int, bytes]]:
        """Each event, or part of one, with its number in the stream, from 1."""
        if not self._attempt.call.stream:
            return [(0, piece)]
        before, found, at = len(self._pending), [], 0
        ends, self._pending = self._provider.count_events(piece, self._pending)
        for end in ends:
            self._events += 1
            found.append((self._events, piece[at : end - before]))
            at = end - before
        return [*found, (self._events + 1, piece[at:])] if at < len(piece) else found


def _sliced(piece: bytes, rate: float | None) -> list[bytes]:
    size = len(piece) if rate is None else max(1, int(rate * _SLICE_S))
    return [piece[at : at + size] for at in range(0, len(piece), size)]
