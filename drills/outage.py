"""How long somebody was without good answers: bounds and best estimate. Pure. Definition: docs/metrics.md."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from drills.result import Outage


class Asked(Protocol):
    """What an outage is computed from: something that was asked, and answered well or not."""

    @property
    def due_s(self) -> float:
        """When it was due."""

    @property
    def sent_s(self) -> float | None:
        """When it was sent; None when it could not be."""

    @property
    def done_s(self) -> float | None:
        """When it ended; None when that was not seen."""

    @property
    def ok(self) -> bool:
        """Whether it was answered well."""


@dataclass(frozen=True)
class Answered:
    """The plainest `Asked`."""

    due_s: float
    sent_s: float | None
    done_s: float | None
    ok: bool


def ended(died_s: float | None, start_s: float, end_s: float) -> list[Asked]:
    """What an application that ended with an error at `died_s` (None: it did not) comes to in [start, end): whoever
    asks it gets nothing, from first to last.
    """
    if died_s is None or died_s >= end_s:
        return []
    edges = (max(died_s, start_s), end_s - _JUST_BEFORE_S)
    return [Answered(due_s=at_s, sent_s=at_s, done_s=at_s, ok=False) for at_s in edges]


_JUST_BEFORE_S = 1e-6


def client_outage(requests: Sequence[Asked], start_s: float, end_s: float, interval_s: float) -> Outage:
    """Time without good answers for callers, over every stretch of bad arrivals due in [start, end).

    A stretch: point = due of its first good arrival after - due of its first bad; lower = sent of the last bad - done
    of the first bad, at least 0; upper = done of the first good after - sent of the last good before. Stretches are
    added. None at all is 0, with the widest gap between two sends, at least one arrival interval, as the upper bound.

    A stretch that was due before `start_s` and was then under way was not good for its callers from `start_s` on, and
    nothing tells for how long: it adds to the upper bound alone.
    """
    sent = [r for r in requests if r.sent_s is not None]
    lower_s = point_s = upper_s = 0.0
    index, found = 0, False
    while index < len(sent):
        if sent[index].ok or not _in_window(sent[index], start_s, end_s):
            index += 1
            continue
        first = index
        while index < len(sent) and not sent[index].ok:
            index += 1
        due = next((one for one in range(first, index) if sent[one].due_s >= start_s), None)
        low_s, middle_s, high_s = _stretch(sent, first if due is None else due, index, end_s)
        upper_s += high_s
        if due is not None:
            found = True
            lower_s, point_s = lower_s + low_s, point_s + middle_s
    unseen_s = 0.0 if found else max(interval_s, _gap(sent, start_s, end_s))
    return Outage(lower=lower_s, point=point_s, upper=max(upper_s, unseen_s))


def _in_window(request: Asked, start_s: float, end_s: float) -> bool:
    """Whether it was due in [start, end), or before it and under way when it began."""
    under_way = request.done_s is None or request.done_s >= start_s
    return request.due_s < end_s and (request.due_s >= start_s or under_way)


def _gap(sent: Sequence[Asked], start_s: float, end_s: float) -> float:
    """The widest gap between two sends, of which the later was due in [start, end), or between the last one and the
    end: an outage that fits goes unseen.
    """
    pairs = itertools.pairwise(sent)
    gaps = [(b.sent_s or 0.0) - (a.sent_s or 0.0) for a, b in pairs if start_s <= b.due_s < end_s]
    before = [r.sent_s for r in sent if r.due_s < end_s and r.sent_s is not None]
    return max([*gaps, *(end_s - sent_s for sent_s in before[-1:])], default=0.0)


def _stretch(sent: Sequence[Asked], first: int, after: int, end_s: float) -> tuple[float, float, float]:
    """Lower, point and upper of one stretch of bad arrivals `sent[first:after]`."""
    bad_first, bad_last = sent[first], sent[after - 1]
    good_after = sent[after] if after < len(sent) else None
    good_before = next((r for r in reversed(sent[:first]) if r.ok), None)
    started_s = bad_first.done_s if bad_first.done_s is not None else bad_first.due_s
    lower_s = max(0.0, (bad_last.sent_s or bad_last.due_s) - started_s)
    due_after_s = good_after.due_s if good_after is not None else max(end_s, bad_last.done_s or bad_last.due_s)
    done_after_s = good_after.done_s if good_after is not None else None
    sent_before_s = good_before.sent_s if good_before is not None else None
    upper_s = (done_after_s or due_after_s) - (sent_before_s if sent_before_s is not None else bad_first.due_s)
    return lower_s, due_after_s - bad_first.due_s, upper_s
