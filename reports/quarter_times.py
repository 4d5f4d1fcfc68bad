"""Recovery, failback and trend in the quarterly report. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TypeVar

from drills.quarter.numbers import Time
from drills.quarter.result import QuarterResult, Recovery, Return, Standing, TrendPoint
from reports import quarter_plots as plots
from reports.plots import Size
from reports.quarter_blocks import Block, Plot, Text, grid, left, middle, percent, took
from reports.svg import Style
from reports.tables import Loud

_Drawn = TypeVar("_Drawn")
_BARS = "Bar: the longest. Arrow: a trial was not over when its fault ended. Circles: each trial. Line: the objective."
_MARKS = "A mark for each trial, shortest first; a line at the median. A triangle: not over when the fault ended."


def _plots(
    words: tuple[str, str],
    parts: Sequence[_Drawn],
    at_once: int,
    draw: Callable[[Sequence[_Drawn], Size, int], str],
    legend: tuple[tuple[Style, str], ...] = (),
) -> Iterator[Plot]:
    """As many drawings as the legs need, each with its title and what it says."""
    title, about = words
    pages = [parts[first : first + at_once] for first in range(0, len(parts), at_once)]
    for number, shown in enumerate(pages):
        of = f" ({number + 1} of {len(pages)})" if len(pages) > 1 else ""
        yield Plot(f"{title}{of}", about, partial(_drawn, draw, shown, number), legend)


def _drawn(draw: Callable[[Sequence[_Drawn], Size, int], str], shown: Sequence[_Drawn], place: int, size: Size) -> str:
    return draw(shown, size, place)


def recovery(result: QuarterResult) -> Iterator[Block]:
    """Each leg against its objective."""
    if not result.recoveries:
        yield Text("No drill that counts took away a leg while it served, so no recovery was measured.")
        return
    yield Text(
        "From the loss of the leg that served to the moment from which callers were answered well for the rest of "
        "the fault: the upper end of what was measured, with the resolution beside it. > means that callers were "
        "not answered well again while the fault was on."
    )
    yield from _plots(
        ("Longest recovery of each leg against its objective", _BARS),
        result.recoveries,
        plots.AT_ONCE["recoveries"],
        plots.recoveries,
        plots.recovery_legend(),
    )
    yield grid(
        ("gateway", "leg", "median", "longest", "objective", "worst margin", "resolution", "within"),
        [_recovery(part) for part in result.recoveries],
    )
    bounds = [part for part in result.recoveries if part.fail_at_most is not None]
    if bounds:
        yield grid(
            ("gateway", "leg", "trials with an objective", "not within it", "so the chance of that is at most"),
            [
                (
                    part.gateway,
                    part.leg,
                    str(part.judged),
                    str(part.judged - part.within),
                    percent(part.fail_at_most, 1),
                )
                for part in bounds
            ],
            "What so few trials can promise, at 95 %",
        )
    if any(not part.judged for part in result.recoveries):
        yield Text("Where there is no objective, the scenario sets none and the plan gives no `rto`.", faint=True)
    yield grid(
        ("drill", "gateway", "leg", "lost with it", "recovered", "resolution", "objective", "stands"),
        [
            (
                trial.run,
                trial.gateway,
                trial.leg,
                f"{trial.domain} ({trial.kind})",
                took(trial.recovery),
                "-" if trial.resolution_s is None else f"{trial.resolution_s:.2f} s",
                _objective(trial.rto_s, trial.rto_from),
                Loud(trial.standing.value) if trial.standing is Standing.BEYOND else trial.standing.value,
            )
            for part in result.recoveries
            for trial in part.trials
        ],
        "Every trial",
        "long",
    )


def _recovery(part: Recovery) -> tuple[str, ...]:
    within = f"{part.within} of {part.judged}" + (f", {part.unclear} unclear" if part.unclear else "")
    return (
        part.gateway,
        part.leg,
        middle(part.summary),
        took(part.summary.worst),
        _objective(part.rto_s, part.rto_from) + (" (smallest of several)" if part.rto_mixed else ""),
        left(part.margin),
        "-" if part.resolution_s is None else f"{part.resolution_s:.2f} s",
        Loud(within) if part.beyond else within,
    )


def _objective(limit_s: float | None, source: str) -> str:
    return "none" if limit_s is None else f"{limit_s:g} s ({source})"


def failback(result: QuarterResult) -> Iterator[Block]:
    """How the legs came back."""
    if not result.returns:
        yield Text("No drill that counts saw a leg come back, or expected one to.")
        return
    yield Text(
        "From the end of the fault to the first good answer of the leg that serves first. > means that it did not "
        "come back while the drill went on. Excess outage is client outage after the fault, when every leg was well."
    )
    yield grid(
        ("gateway", "leg", "median", "longest", "limit (scenario)", "surely beyond", "excess outage", "flaps per hour"),
        [_return(part) for part in result.returns],
    )


def _return(part: Return) -> tuple[str, ...]:
    beyond = f"{part.beyond} of {part.summary.trials}"
    return (
        part.gateway,
        part.leg,
        middle(part.summary),
        took(part.summary.worst),
        "none" if part.limit_s is None else f"{part.limit_s:g} s",
        Loud(beyond) if part.beyond else beyond,
        f"{part.excess_outage_s:.2f} s at most",
        f"{part.flaps:.0f} at most",
    )


def trend(result: QuarterResult) -> Iterator[Block]:
    """Four quarters."""
    if not result.trend:
        yield Text("No trial in four quarters, so there is no trend.")
        return
    yield from _plots(
        ("Recovery of each leg over four quarters", _MARKS),
        plots.panels_of(result.trend),
        plots.AT_ONCE["trend"],
        plots.trend,
    )
    yield grid(
        ("gateway", "leg", "quarter", "trials", "median", "longest", "drills of the gateway"),
        [_point(point) for point in result.trend],
        look="long",
    )
    yield Text(
        "A trend compares what was drilled then with what was drilled now: other scenarios, versions, configs or "
        "machines move it too. Few trials on different days cannot tell 10 % apart; for that, drill both versions "
        "in turn on one machine.",
        faint=True,
    )


def _point(point: TrendPoint) -> tuple[str, ...]:
    drills = f"{point.passed} passed, {point.failed} failed" if point.passed + point.failed else "none that counts"
    longest: Time | None = point.summary.worst
    return (
        point.gateway,
        point.leg,
        point.quarter,
        str(point.summary.trials),
        took(point.summary.median),
        took(longest),
        drills,
    )
