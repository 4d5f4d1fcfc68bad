"""What the plots of a run show, as numbers: bins over time, fault windows, and the moments that matter. Pure.

Points are never drawn one by one: a report of a hundred thousand requests has as many bins as one of a hundred. A
request counts in the bin in which it was due; an attempt in the bin in which it reached its leg. All times are
seconds on the run's clock.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from drills.events import AttemptResult
from drills.faultrecord import FaultRecord
from drills.ledger import Ledger
from drills.measure import percentile
from drills.outcomes import Outcome
from drills.request import Request
from drills.result import Result
from drills.switchover import last_s
from drills.verdict import Judged
from faults.base import kinds
from reports.scale import bin_width_s
from reports.words import on_gateway, phase_name

_SPELLS_SHOWN = 200
_UNKNOWN_COLOUR = "#777777"
_FEWEST = 5
"""Requests that are due in a bin, at least: with fewer, a steady rate would look like a comb."""


@dataclass(frozen=True)
class Axis:
    """Bins of the same width: the first begins at `begin_s`, the last may reach beyond `end_s`."""

    begin_s: float
    end_s: float
    width_s: float
    bins: int

    def index(self, at_s: float) -> int | None:
        """The bin of a time; None outside."""
        number = math.floor((at_s - self.begin_s) / self.width_s)
        return number if 0 <= number < self.bins else None

    def begins(self, number: int) -> float:
        """When a bin begins."""
        return self.begin_s + number * self.width_s


@dataclass(frozen=True)
class Series:
    """Counts in every bin of what has one name: a leg that answered, or an outcome that no caller wanted.

    good: whether it is answers of a leg. slow: whether these came too late.
    """

    name: str
    good: bool
    slow: bool
    counts: tuple[int, ...]

    @property
    def total(self) -> int:
        """Over all bins."""
        return sum(self.counts)


@dataclass(frozen=True)
class Spread:
    """How times were spread in one bin, in seconds. low10_s, high90_s: None with fewer than ten values."""

    n: int
    least_s: float
    low10_s: float | None
    median_s: float
    high90_s: float | None
    most_s: float


@dataclass(frozen=True)
class Window:
    """A fault from its beginning to its end. legs: empty for a fault on the gateway itself.

    spells: when it was on, each from its beginning to its end; more than one where it flapped.
    """

    fault: str
    kind: str
    colour: str
    legs: tuple[str, ...]
    begin_s: float
    end_s: float
    spells: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Stretch:
    """A phase of the timeline, with what it is called."""

    name: str
    begin_s: float
    end_s: float


@dataclass(frozen=True)
class Moment:
    """A moment that the plots mark with a letter. about: one sentence, which says when."""

    letter: str
    at_s: float
    about: str


@dataclass(frozen=True)
class LegAttempts:
    """Attempts on one leg in every bin: answered whole, the others, and connects that hung and carried no request."""

    leg: str
    answered: tuple[int, ...]
    other: tuple[int, ...]
    hung: tuple[int, ...]

    @property
    def totals(self) -> tuple[int, ...]:
        """In every bin, all of them."""
        return tuple(map(sum, zip(self.answered, self.other, self.hung, strict=True)))


@dataclass(frozen=True)
class Picture:
    """All that the plots show. Of `latency`, `bad` and `tokens` a bin without any is None.

    loaded_s: for how long requests were due in each bin; less than its width where the timeline ended in it.
    bad: the longest that a caller waited in vain. tokens: of streams alone.
    """

    axis: Axis
    loaded_s: tuple[float, ...]
    phases: tuple[Stretch, ...]
    windows: tuple[Window, ...]
    moments: tuple[Moment, ...]
    answers: tuple[Series, ...]
    latency: tuple[Spread | None, ...]
    bad: tuple[float | None, ...]
    tokens: tuple[Spread | None, ...]
    attempts: tuple[LegAttempts, ...]
    slow_limit_s: float | None
    slow_token_limit_s: float | None


def picture(run: Judged, bins: int) -> Picture | None:
    """The picture in at most so many bins; None when the timeline never began."""
    ledger = run.ledger
    axis = _axis(ledger, bins)
    if axis is None:
        return None
    answered = [request for request in ledger.requests if request.ok]
    lost = [request for request in ledger.requests if not request.ok]
    return Picture(
        axis=axis,
        loaded_s=tuple(_loaded_s(ledger, axis)),
        phases=tuple(Stretch(phase_name(phase), phase.start_s, phase.end_s) for phase in run.result.phases),
        windows=tuple(_windows(ledger, axis)),
        moments=moments(run.result),
        answers=tuple(_answers(ledger, axis)),
        latency=_spreads(axis, answered, lambda request: request.latency_s),
        bad=_longest(axis, lost),
        tokens=_spreads(axis, [r for r in answered if r.stream], lambda request: request.token_latency_s),
        attempts=tuple(_attempts(ledger, axis)),
        slow_limit_s=ledger.slow_limit_s,
        slow_token_limit_s=ledger.slow_token_limit_s,
    )


def _axis(ledger: Ledger, bins: int) -> Axis | None:
    if ledger.timeline_s is None or not ledger.requests:
        return None
    last_due_s = max(request.due_s for request in ledger.requests)
    last_attempt_s = max((attempt.received_s for attempt in ledger.attempts), default=0.0)
    end_s = max(last_due_s, last_attempt_s, ledger.timeline_ended_s or 0.0)
    begin_s = min(ledger.timeline_s, ledger.requests[0].due_s)
    width_s = bin_width_s(end_s - begin_s, bins, _FEWEST / ledger.header.rate_per_s)
    return Axis(begin_s, end_s, width_s, math.floor((end_s - begin_s) / width_s) + 1)


def _loaded_s(ledger: Ledger, axis: Axis) -> Iterable[float]:
    after_last_s = ledger.requests[-1].due_s + 1 / ledger.header.rate_per_s
    ended_s = after_last_s if ledger.timeline_ended_s is None else ledger.timeline_ended_s
    for number in range(axis.bins):
        # A bin of which next to nothing is left would make a rate out of a single request.
        yield max(axis.width_s / 4, min(axis.width_s, ended_s - axis.begins(number)))


def _windows(ledger: Ledger, axis: Axis) -> Iterable[Window]:
    for fault in ledger.faults:
        if fault.effective_s is None:
            continue
        end_s = fault.cleared_s if fault.cleared_s is not None else max(axis.end_s, last_s(ledger))
        kind = kinds().get(fault.plan.kind)
        yield Window(
            fault=fault.plan.id,
            kind=fault.plan.kind,
            colour=kind.colour if kind is not None else _UNKNOWN_COLOUR,
            legs=fault.plan.legs,
            begin_s=fault.effective_s,
            end_s=end_s,
            spells=_spells(fault, end_s),
        )


def _spells(fault: FaultRecord, end_s: float) -> tuple[tuple[float, float], ...]:
    """When a fault was on. Of one that flapped more often than a plot can show it is told as if it had not."""
    spells = tuple((on.on_s, min(on.off_s, end_s)) for on in fault.on_windows)
    return spells if len(spells) <= _SPELLS_SHOWN else ((spells[0][0], end_s),)


def moments(result: Result) -> tuple[Moment, ...]:
    """First failure, first good answer of another leg, recovery and failback of every fault, in their order."""
    found = []
    several = len(result.switchovers) > 1
    number = {one.fault: str(index) if several else "" for index, one in enumerate(result.switchovers, start=1)}
    for one in result.switchovers:
        mark, after = number[one.fault], f"after {one.fault} struck"
        if one.first_failure_s is not None:
            ago_s = one.first_failure_s - one.onset_s
            found.append(
                Moment(f"F{mark}", one.first_failure_s, f"first failure or slow answer, {ago_s:.2f} s {after}")
            )
        if one.first_success_s is not None and one.switchover_s is not None:
            name = "" if on_gateway(result, one.fault) else "switchover: "
            about = f"{name}first good answer of {one.to or 'another leg'}, {one.switchover_s:.2f} s {after}"
            found.append(Moment(f"S{mark}", one.first_success_s, about))
        if one.recovery_s is not None:
            about = f"recovered: from here on callers are answered well, {one.recovery_s:.2f} s {after}"
            found.append(Moment(f"R{mark}", one.onset_s + one.recovery_s, about))
    for back in result.failbacks:
        if back.expected and back.first_success_s is not None and back.failback_s is not None:
            about = f"failback: {back.to or 'the first leg'} answers again, {back.failback_s:.2f} s after the end of "
            found.append(Moment(f"B{number.get(back.fault, '')}", back.first_success_s, f"{about}{back.fault}"))
    return tuple(sorted(found, key=lambda moment: moment.at_s))


def _answers(ledger: Ledger, axis: Axis) -> Iterable[Series]:
    """Legs first, in the order of the chain, then what callers got instead of an answer, worst last."""
    counts: dict[tuple[str, bool, bool], Counter[int]] = defaultdict(Counter)
    for request in ledger.requests:
        number = axis.index(request.due_s)
        if number is not None:
            counts[request.served_by or request.outcome.value, request.ok, request.slow][number] += 1
    legs = [leg.name for leg in ledger.header.legs]
    legs += sorted({name for name, good, _ in counts if good} - set(legs))
    order = [(name, True, slow) for name in legs for slow in (False, True)]
    order += [(outcome.value, False, False) for outcome in Outcome if outcome is not Outcome.OK]
    for key in order:
        seen = counts.get(key)
        if seen is not None:
            yield Series(*key, counts=tuple(seen[number] for number in range(axis.bins)))


def _spreads(
    axis: Axis, requests: Sequence[Request], time_of: Callable[[Request], float | None]
) -> tuple[Spread | None, ...]:
    values: list[list[float]] = [[] for _ in range(axis.bins)]
    for request in requests:
        number, took_s = axis.index(request.due_s), time_of(request)
        if number is not None and took_s is not None:
            values[number].append(took_s)
    return tuple(_spread(one) if one else None for one in values)


def _spread(values: list[float]) -> Spread:
    ordered = sorted(values)
    most = percentile(ordered, 0.9)
    low = ordered[max(0, math.ceil(0.1 * len(ordered)) - 1)]
    return Spread(
        n=len(ordered),
        least_s=ordered[0],
        low10_s=low if most is not None else None,
        median_s=statistics.median_low(ordered),
        high90_s=most,
        most_s=ordered[-1],
    )


def _longest(axis: Axis, lost: Iterable[Request]) -> tuple[float | None, ...]:
    found: list[float | None] = [None] * axis.bins
    for request in lost:
        number, took_s = axis.index(request.due_s), request.latency_s
        if number is not None and took_s is not None:
            found[number] = max(took_s, found[number] or 0.0)
    return tuple(found)


def _attempts(ledger: Ledger, axis: Axis) -> Iterable[LegAttempts]:
    counts: dict[tuple[str, str], Counter[int]] = defaultdict(Counter)
    for attempt in ledger.attempts:
        number = axis.index(attempt.received_s)
        if number is not None:
            counts[attempt.leg, "answered" if attempt.result == AttemptResult.ANSWERED else "other"][number] += 1
    for hung in {hung for fault in ledger.faults for hung in fault.hung_connects}:
        number = axis.index(hung.seen_s)
        if number is not None:
            counts[hung.leg, "hung"][number] += 1
    for met in {met for fault in ledger.faults for met in fault.handshakes}:
        number = axis.index(met.seen_s)
        if number is not None:
            counts[met.leg, "other"][number] += 1
    for leg in ledger.header.legs:
        answered, other, hung_ = (
            tuple(counts[leg.name, what][number] for number in range(axis.bins))
            for what in ("answered", "other", "hung")
        )
        yield LegAttempts(leg=leg.name, answered=answered, other=other, hung=hung_)
