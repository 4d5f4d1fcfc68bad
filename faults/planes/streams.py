"""Breaks streamed answers where the faults say so: the place where a cut or a stall happens, to the byte."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from drills.providers.base import Provider
from faults.base import CutStream, StallStream
from faults.planes.attempt import Attempt
from faults.planes.board import Board
from faults.planes.listener import GatedWriter

_FLUSH_BEFORE_CUT_S = 0.03
"""A reset right behind data may reach the gateway before it has read the data, and may discard them."""
_CUT = "cut"


class Streams:
    """The streams that faults break, and those that faults hold."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._stalled: dict[str, set[GatedWriter]] = {}

    def faults_changed(self) -> None:
        """Let go of every stream that a fault held which is off now."""
        for fault in self._stalled.keys() - set(self._board.ids):
            for writer in self._stalled.pop(fault):
                writer.thaw(fault)

    def filter(self, attempt: Attempt, provider: Provider) -> Callable[[bytes], list[bytes]]:
        """A filter of a stream's chunks that lets some events through and then cuts the connection or silences it.

        It never returns an empty chunk: mitmproxy would write that as the end of a chunked body.
        """
        writer = attempt.connection.writer
        pending, events = b"", 0

        def forward(data: bytes) -> list[bytes]:
            nonlocal pending, events
            ends, rest = provider.count_events(data, pending)
            before, seen = len(pending), events
            pending, events = rest, events + len(ends)
            breaks = [(fault, how) for fault, how in attempt.breaks if fault in self._board.ids]
            # On a connection that is silent already, the break waits for its voice.
            if data and breaks and not writer.frozen and events >= breaks[0][1].after_events:
                left = breaks[0][1].after_events - seen
                keep = ends[left - 1] - before if left > 0 else 0
                attempt.breaks = ()
                self._break(attempt, breaks, at_once=keep == 0)
                return [part for part in (data[:keep], data[keep:]) if part]
            return [data] if data else []

        return forward

    def _break(self, attempt: Attempt, breaks: list[tuple[str, CutStream | StallStream]], *, at_once: bool) -> None:
        """Silence the connection, at once or after the next write; where it is cut, end it soon."""
        fault, how = breaks[0]
        writer = attempt.connection.writer
        if isinstance(how, StallStream):
            for stall in [fault for fault, how in breaks if isinstance(how, StallStream)]:
                attempt.touch(stall)
                self._stalled.setdefault(stall, set()).add(writer)
                writer.freeze(stall, after_next_write=not at_once)
            return
        attempt.touch(fault)
        attempt.spoiled = f"cut by {how.how} after {how.after_events} events"
        writer.freeze(_CUT, after_next_write=not at_once)
        end = writer.reset if how.how == "rst" else writer.transport.close
        asyncio.get_running_loop().call_later(_FLUSH_BEFORE_CUT_S, end)
