"""Faults on the wire, and which attempts met them. Pure.

Their plane sees bytes and no requests: that an attempt met a fault follows from the times at which the fault was on,
and from what went over the attempt's connection.
"""

from __future__ import annotations

import bisect
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property

import msgspec

from drills.events import AttemptDone, AttemptReceived, AttemptResult, FaultPlan
from drills.faultrecord import OnWindow
from faults.base import Fault, Passage, kinds


class OnTheWire:
    """The wire faults of a drill, each with the times at which it was on; and the attempts, by number."""

    def __init__(
        self,
        faults: Iterable[tuple[FaultPlan, Sequence[OnWindow]]],
        received: Mapping[int, AttemptReceived],
        finished: Mapping[int, AttemptDone],
    ) -> None:
        self._wires = [_Wire(plan, windows) for plan, windows in faults]
        self._carried = _Carried(received if self._wires else {}, finished if self._wires else {})

    def met_by(self, seen: AttemptReceived, done: AttemptDone | None) -> Iterator[str]:
        """Faults at the leg during an attempt that it met; one that was put on while it was answered whole may have
        missed it. Of an attempt whose end was not told, and of those of histories that do not tell what went over the
        line, it is assumed that they met it.
        """
        whole = done is not None and done.result is AttemptResult.ANSWERED
        ends_s = math.inf if done is None else done.done_s
        for wire in self._wires:
            if seen.leg not in wire.plan.legs:
                continue
            next_one = bisect.bisect_right(wire.windows, seen.received_s, key=lambda window: window.ends_s)
            if next_one == len(wire.windows):
                continue
            first = wire.windows[next_one]
            if ends_s < (first.on_s if whole else first.began_s):
                continue
            if done is None or done.sent is None or self._met(wire.fault, first, done):
                yield wire.plan.id

    def _met(self, fault: Fault, on: OnWindow, done: AttemptDone) -> bool:
        closed = bool(done.closes) and on.on_s <= done.done_s < on.ends_s
        passage = Passage(sent=done.sent or 0, carried=self._carried.since(on.on_s, done), closed=closed)
        return fault.meets(passage)


class _Wire:
    """A fault of the wire, and when it was on."""

    def __init__(self, plan: FaultPlan, windows: Sequence[OnWindow]) -> None:
        self.plan = plan
        self.windows = windows

    @cached_property
    def fault(self) -> Fault:
        """What it is."""
        return msgspec.convert(self.plan.settings, kinds()[self.plan.kind])


class _Carried:
    """What each connection got from the leg's side, attempt by attempt."""

    def __init__(self, received: Mapping[int, AttemptReceived], finished: Mapping[int, AttemptDone]) -> None:
        self._by_connection: dict[int, list[tuple[float, float, int]]] = defaultdict(list)
        for number, done in finished.items():
            if done.connection is not None and done.sent is not None and number in received:
                got = (received[number].received_s, done.done_s, done.sent)
                self._by_connection[done.connection].append(got)

    def since(self, on_s: float, done: AttemptDone) -> int:
        """Bytes of the attempts on a connection that began after a time, up to the end of this one."""
        got = self._by_connection.get(done.connection or 0, ())
        return sum(sent for received_s, done_s, sent in got if received_s >= on_s and done_s <= done.done_s)
