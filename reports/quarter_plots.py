"""The plots of the quarterly report: recovery against objectives, and the trend. Pure: results in, SVG out."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from drills.quarter.numbers import Time
from drills.quarter.result import GATEWAY_LEG, Recovery, Standing, TrendPoint, Trial
from reports.escape import plain
from reports.plots import NARROW, Size
from reports.scale import Scale, linear, short_time, times
from reports.svg import FAINT, FONT, INK, OTHER, PAGE, Drawing, Style, hint, number

_LETTER = 0.66 * FONT
"""About the width of a bold letter."""
_GRID = {"class": "grid", "stroke": "#dddddd", "stroke-width": "1"}
_ROW, _BAR, _LABEL = 58.0, 14.0, 18.0
_WITHIN = Style("c0", "#0072b2", "")
_UNCLEAR = Style("c1", "#e69f00", "diagonal")
_FREE = Style("c4", "#56b4e9", "horizontal")


def recovery_legend() -> tuple[tuple[Style, str], ...]:
    """What the bars' styles mean."""
    return (
        (_WITHIN, "no trial beyond its objective"),
        (OTHER, "a trial was beyond it"),
        (_UNCLEAR, "a trial was too coarse or too short to say"),
        (_FREE, "no objective"),
    )


def _style(part: Recovery) -> Style:
    if not part.judged:
        return _FREE
    return OTHER if part.beyond else _UNCLEAR if part.unclear else _WITHIN


AT_ONCE = {"recoveries": 14, "trend": 7}
"""How many legs a drawing shows: one that is higher than a page cannot be printed."""


def recoveries(parts: Sequence[Recovery], size: Size, place: int = 0) -> str:
    """A bar for each leg, with its trials and its objective. place: of the drawing on the page, for its ids."""
    height = 8 + _ROW * len(parts)
    said = "; ".join(f"{part.gateway} {part.leg}: {_longest(part)}" for part in parts)
    title = "Longest recovery of each leg against its objective"
    drawing = Drawing(f"recoveries-{place}-{size.name}", size.width, height + 40, title, said)
    drawing.root.set("class", size.name)
    # Room at the right end for an arrow and a mark.
    scale = linear(max(_values(parts)), 12, size.width - 26)
    _time_axis(drawing, scale, height, "seconds since the leg was lost", 4 if size is NARROW else 8)
    for row, part in enumerate(parts):
        _bar(drawing, scale, part, 8 + row * _ROW, _longest(part, short=size is NARROW))
    return drawing.written()


def _values(parts: Sequence[Recovery]) -> list[float]:
    found = [trial.recovery.value_s for part in parts for trial in part.trials]
    return [0.1, *found, *(part.rto_s for part in parts if part.rto_s is not None)]


def _longest(part: Recovery, *, short: bool = False) -> str:
    worst = part.summary.worst
    said = "nothing" if worst is None else f"{'> ' if worst.longer else ''}{worst.value_s:.2f} s"
    return said if part.rto_s is None or short else f"{said}, objective {part.rto_s:g} s"


def _bar(drawing: Drawing, scale: Scale, part: Recovery, top: float, said: str) -> None:
    room = int((scale.end - scale.start) / _LETTER)
    drawing.text(
        scale.start, top + 13, plain(f"{part.gateway}, {part.leg}", max(12, room - len(said) - 3)), weight="bold"
    )
    drawing.text(scale.end + 14, top + 13, said, anchor="end")
    y = top + _LABEL + 6
    worst = part.summary.worst
    if worst is not None:
        end = scale.at(worst.value_s)
        bar = drawing.rect(scale.start, y, max(2.0, end - scale.start), _BAR, drawing.fill(_style(part)))
        hint(bar, f"{part.gateway}, {part.leg}: {said}, {part.summary.trials} trials")
        if worst.longer:
            arrow = f"M{number(end + 2)},{number(y)}l9,{number(_BAR / 2)}l-9,{number(_BAR / 2)}z"
            drawing.path(arrow, {"class": "ink", "fill": INK})
    for trial in part.trials:
        _circle(drawing, scale, trial, y + _BAR / 2)
    if part.rto_s is not None:
        x = scale.at(part.rto_s)
        mark = {"class": "moment", "stroke": INK, "stroke-width": "3"}
        drawing.line((x, y - 5, x, y + _BAR + 5), mark)


def _circle(drawing: Drawing, scale: Scale, trial: Trial, y: float) -> None:
    x, r = scale.at(trial.recovery.value_s), 3.5
    d = f"M{number(x - r)},{number(y)}a3.5,3.5 0 1,0 7,0a3.5,3.5 0 1,0 -7,0z"
    loud = trial.standing is Standing.BEYOND
    paint = {"class": "page dot", "fill": PAGE, "stroke": INK, "stroke-width": "2" if loud else "1.2"}
    more = "> " if trial.recovery.longer else ""
    hint(drawing.path(d, paint), f"{trial.run}: {more}{trial.recovery.value_s:.2f} s, {trial.standing.value}")


def _time_axis(drawing: Drawing, scale: Scale, y: float, label: str, about: int) -> None:
    for value in scale.ticks(about):
        x = scale.at(value)
        drawing.line((x, 4, x, y), _GRID)
        drawing.text(x, y + 16, f"{value:g}", anchor="middle")
    drawing.line((scale.start, y, scale.end, y), {"class": "axis", "stroke": FAINT})
    drawing.text((scale.start + scale.end) / 2, y + 33, label, anchor="middle")


# --- trend -----------------------------------------------------------------------------------------------------------


_PANEL, _HEAD, _LEFT = 96.0, 24.0, 58.0


def panels_of(points: Sequence[TrendPoint]) -> list[list[TrendPoint]]:
    """The quarters of each leg."""
    return [list(found) for _, found in groupby(points, key=lambda one: (one.gateway, one.leg))]


def trend(panels: Sequence[Sequence[TrendPoint]], size: Size, place: int = 0) -> str:
    """A panel for each leg, all to one scale, with a column for each quarter. place: as above."""
    points = [point for panel in panels for point in panel]
    height = (_PANEL + _HEAD) * len(panels) + 4
    about = "; ".join(f"{one.quarter} {one.gateway} {one.leg}: {_point(one)}" for one in points)
    title = "Recovery of each leg over four quarters"
    drawing = Drawing(f"trend-{place}-{size.name}", size.width, height, title, about)
    drawing.root.set("class", size.name)
    seen = [time.value_s for panel in panels for point in panel for time in point.times]
    low, high = min(seen, default=0.1), max(seen, default=1.0)
    for row, panel in enumerate(panels):
        top = row * (_PANEL + _HEAD)
        scale = times(low, high, top + _HEAD + _PANEL - 26, top + _HEAD + 8)
        _panel(drawing, scale, panel, size)
    return drawing.written()


def _point(point: TrendPoint) -> str:
    median = point.summary.median
    return "no trial" if median is None else f"median {'> ' if median.longer else ''}{median.value_s:.2f} s"


def _panel(drawing: Drawing, scale: Scale, panel: Sequence[TrendPoint], size: Size) -> None:
    first = panel[0]
    name = first.leg if first.leg != GATEWAY_LEG else "the gateway itself"
    drawing.text(
        _LEFT, scale.end - 12, plain(f"{first.gateway}, {name}", int((size.width - _LEFT) / _LETTER)), weight="bold"
    )
    right = size.width - 8
    for value in scale.ticks(3):
        y = scale.at(value)
        drawing.line((_LEFT, y, right, y), _GRID)
        drawing.text(_LEFT - 6, y + FONT * 0.35, short_time(value), anchor="end")
    width = (right - _LEFT) / len(panel)
    for column, point in enumerate(panel):
        x = _LEFT + width * column
        drawing.text(x + width / 2, scale.start + 18, point.quarter, anchor="middle")
        if column:
            drawing.line(
                (x, scale.end - 4, x, scale.start), {"class": "edge", "stroke": FAINT, "stroke-dasharray": "2 3"}
            )
        _column(drawing, scale, point, x, width)


def _column(drawing: Drawing, scale: Scale, point: TrendPoint, x: float, width: float) -> None:
    inner = width * 0.7
    step = inner / max(1, len(point.times))
    for index, time in enumerate(point.times):
        _mark(drawing, x + width * 0.15 + step * (index + 0.5), scale.at(time.value_s), time)
    median = point.summary.median
    if median is None:
        drawing.text(
            x + width / 2, (scale.start + scale.end) / 2 + 4, "none", anchor="middle", kind="faint-ink", fill=FAINT
        )
        return
    y = scale.at(median.value_s)
    shape = drawing.path(
        f"M{number(x + width * 0.1)},{number(y)}H{number(x + width * 0.9)}",
        {"class": "median", "stroke": INK, "stroke-width": "2.2"},
    )
    hint(shape, f"{point.quarter}: {_point(point)} of {point.summary.trials} trials")


def _mark(drawing: Drawing, x: float, y: float, time: Time) -> None:
    said = f"{'> ' if time.longer else ''}{time.value_s:.2f} s"
    if time.longer:
        d = f"M{number(x)},{number(y - 6)}l5,9h-10z"
        hint(drawing.path(d, {"class": "bad dot", "fill": OTHER.colour, "stroke": INK, "stroke-width": "1"}), said)
        return
    d = f"M{number(x - 3.5)},{number(y)}a3.5,3.5 0 1,0 7,0a3.5,3.5 0 1,0 -7,0z"
    hint(drawing.path(d, {"class": "c0 dot", "fill": _WITHIN.colour, "stroke": PAGE, "stroke-width": "0.8"}), said)
