"""The plots of a run: who answered, how long it took, and what reached each leg. Pure: a picture in, SVG out.

All plots of a run share the time axis, the shaded fault windows and the marked moments.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from reports.escape import plain
from reports.picture import LegAttempts, Moment, Picture, Series, Spread, Window
from reports.scale import Scale, linear, short_time, step, times
from reports.svg import FAINT, FONT, HUNG, INK, OTHER, PAGE, Drawing, Style, bad_style, hint, leg_style, number

_LEFT, _RIGHT, _BELOW = 54.0, 10.0, 40.0
_LANE, _BADGES, _ROW = 22.0, 22.0, 58.0
_LETTER = 0.56 * FONT
"""About the width of a letter."""
_GRID = {"class": "grid", "stroke": "#dddddd", "stroke-width": "1"}


class Size(NamedTuple):
    """How wide a plot is, and in how many bins it is drawn at most."""

    name: str
    width: float
    bins: int


WIDE = Size("wide", 880, 90)
NARROW = Size("narrow", 352, 36)


def _rows(spans: Sequence[tuple[float, float]]) -> list[int]:
    """For each span the first row in which it overlaps none before it."""
    ends: list[float] = []
    rows = []
    for begin, end in spans:
        row = next((number for number, last in enumerate(ends) if last <= begin), len(ends))
        if row == len(ends):
            ends.append(end)
        ends[row] = end
        rows.append(row)
    return rows


class _Frame:
    """A drawing with the time axis, the fault windows and the moments; `top` to `bottom` is free for the plot."""

    def __init__(  # noqa: PLR0913  a drawing is what it shows, how wide and how high
        self, picture: Picture, size: Size, ident: str, height: float, title: str, about: str, *, below: float = _BELOW
    ) -> None:
        axis = picture.axis
        self.picture = picture
        self.left, self.right = _LEFT, size.width - _RIGHT
        self.x = Scale(axis.begin_s, axis.begins(axis.bins), self.left, self.right)
        windows = [window for window in picture.windows if window.begin_s < self.x.high]
        lanes = _rows([self._span(window) for window in windows])
        badges = _rows([(x - 11, x + 12) for x in (self.x.at(moment.at_s) for moment in picture.moments)])
        above = 4 + _LANE * (max(lanes, default=-1) + 1) + _BADGES * (max(badges, default=-1) + 1)
        self.top, self.bottom = above, above + height
        self.drawing = Drawing(f"{ident}-{size.name}", size.width, self.bottom + below, title, about)
        self.drawing.root.set("class", size.name)
        for window, lane in zip(windows, lanes, strict=True):
            self._window(window, 4 + lane * _LANE)
        self._over: list[tuple[float, str]] = []
        self._badges = tuple(zip(picture.moments, badges, strict=True))
        self._time_axis()

    def _label(self, window: Window) -> tuple[float, str, str]:
        """Where the name of a fault stands: to the right of its beginning, or so that it still fits."""
        begin = self.x.at(window.begin_s)
        said = plain(window.fault, max(8, int((self.right - self.left) / _LETTER)))
        if begin + len(said) * _LETTER <= self.right:
            return begin, said, "start"
        return self.right, said, "end"

    def _span(self, window: Window) -> tuple[float, float]:
        x, said, anchor = self._label(window)
        text = (x, x + len(said) * _LETTER) if anchor == "start" else (x - len(said) * _LETTER, x)
        return min(text[0], self.x.at(window.begin_s)), max(text[1], self.x.at(window.end_s)) + 4

    def _window(self, window: Window, y: float) -> None:
        begin, width = self.x.at(window.begin_s), self._width(window.begin_s, window.end_s)
        paint = {"fill": window.colour}
        legs = ", ".join(window.legs) or "the gateway"
        for on_s, off_s in window.spells:
            at, wide = self.x.at(on_s), self._width(on_s, off_s)
            self.drawing.rect(
                at, y + _LANE, wide, self.bottom - y - _LANE, paint | {"class": "shade", "fill-opacity": "0.16"}
            )
            strip = self.drawing.rect(
                at, y + 15, wide, 6, paint | {"stroke": INK, "stroke-width": "0.7", "class": "strip"}
            )
            hint(strip, f"{window.fault} ({window.kind}) on {legs}: {on_s:.2f} s to {off_s:.2f} s")
        x, said, anchor = self._label(window)
        self.drawing.text(x, y + 11, said, anchor=anchor)
        for at in (begin, begin + width):
            edge = {"class": "edge", "stroke": FAINT, "stroke-dasharray": "2 3"}
            self.drawing.line((at, y + 21, at, self.bottom), edge)

    def _width(self, begin_s: float, end_s: float) -> float:
        return max(1.5, self.x.at(end_s) - self.x.at(begin_s))

    def _time_axis(self) -> None:
        by = step(self.x.high - self.x.low, 8 if self.right > NARROW.width else 5)
        first = -int(-self.x.low // by)
        for tick in range(first, int(self.x.high // by) + 1):
            x = self.x.at(tick * by)
            self.drawing.line((x, self.bottom, x, self.bottom + 4), {"class": "axis", "stroke": FAINT})
            self.drawing.text(x, self.bottom + 17, f"{tick * by:g}", anchor="middle")
        self.drawing.line((self.left, self.bottom, self.right, self.bottom), {"class": "axis", "stroke": FAINT})
        self.drawing.text((self.left + self.right) / 2, self.bottom + 34, "seconds on the run's clock", anchor="middle")

    def phases(self) -> None:
        """The names of the phases below the axis, where there is room for them."""
        y = self.bottom + _BELOW
        for phase in self.picture.phases:
            begin, end = self.x.at(phase.begin_s), self.x.at(phase.end_s)
            self.drawing.line((begin, y + 4, end - 2, y + 4), {"class": "axis", "stroke": FAINT, "stroke-width": "3"})
            room = int((end - begin) / _LETTER)
            if room >= 4:
                self.drawing.text((begin + end) / 2, y + 20, plain(phase.name, room), anchor="middle")

    def value_axis(self, scale: Scale, ticks: Sequence[tuple[float, str]]) -> None:
        """Lines and labels of the other axis."""
        for value, label in ticks:
            y = scale.at(value)
            self.drawing.line((self.left, y, self.right, y), _GRID)
            self.drawing.text(self.left - 6, y + FONT * 0.35, label, anchor="end")

    def moments(self) -> None:
        """Drawn last, above everything; the letters above all lines."""
        places = [(moment, self.x.at(moment.at_s), self.top - _BADGES * (row + 1) + 11) for moment, row in self._badges]
        for _, x, y in places:
            self.drawing.line((x, y, x, self.bottom), {"class": "moment", "stroke": INK, "stroke-width": "1.2"})
        for moment, x, y in places:
            self._badge(moment, x, y)

    def _badge(self, moment: Moment, x: float, y: float) -> None:
        badge = self.drawing.rect(x - 10, y - 9, 20, 18, {"class": "badge", "fill": INK, "rx": "5"})
        hint(badge, f"{moment.at_s:.2f} s: {moment.about}")
        self.drawing.text(x, y + 4.5, moment.letter, anchor="middle", kind="on-badge", fill=PAGE, weight="bold")

    def bin(self, index: int) -> tuple[float, float]:
        """Left edge and width of a bin."""
        axis = self.picture.axis
        begin = self.x.at(axis.begins(index))
        return begin, self.x.at(axis.begins(index + 1)) - begin

    def stack(self, counts: Sequence[int], below: list[int], scale: Scale, per: Sequence[float], style: Style) -> None:
        """Bars on top of those that are there already; `below` grows by them. per: by what a bin is divided."""
        steps = []
        for index, count in enumerate(counts):
            if count:
                x, width = self.bin(index)
                high, low = (
                    number(scale.at((below[index] + count) / per[index])),
                    number(scale.at(below[index] / per[index])),
                )
                steps.append(f"M{number(x)},{low}V{high}h{number(width - (1 if width > 4 else 0))}V{low}z")
                below[index] += count
        if steps:
            self.drawing.path("".join(steps), self.drawing.fill(style))

    def beside_badges(self, said: str) -> float:
        """Where a text at the top can begin, so that no badge of a moment stands in it; at the left if nowhere."""
        at = [self.x.at(moment.at_s) for moment, _ in self._badges]
        wide = len(said) * _LETTER
        for x in (self.left + 4, *(one + 14 for one in sorted(at))):
            if x + wide <= self.right and not any(x - 12 < one < x + wide + 12 for one in at):
                return x
        return self.left + 4

    def over(self, y: float, said: str) -> None:
        """A text at the left edge that stands over everything else, the lines of the moments too."""
        self._over.append((y, said))

    def written(self) -> str:
        """The whole plot."""
        self.moments()
        for y, said in self._over:
            self.drawing.text(self.left + 4, y, said, kind="ink halo")
        return self.drawing.written()


def style_of(series: Series, picture: Picture) -> Style:
    """The same style for a leg or an outcome in every plot."""
    if not series.good:
        return bad_style(series.name)
    legs = [one.leg for one in picture.attempts]
    return leg_style(legs.index(series.name) if series.name in legs else len(legs), series.slow)


def called(series: Series) -> str:
    """What a legend calls it."""
    return f"{series.name.replace('_', ' ')}{', slow' if series.slow else ''}"


def answers(picture: Picture, size: Size) -> str:
    """Requests over time by who answered, stacked; below them all the good ones, above them the bad ones."""
    totals = [sum(one.counts[number] for one in picture.answers) for number in range(picture.axis.bins)]
    said = ", ".join(f"{called(one)} {one.total}" for one in picture.answers)
    title = "Requests over time by who answered"
    frame = _Frame(picture, size, "answers", 190, title, f"In all: {said}.", below=_BELOW + 26)
    frame.phases()
    per_s = [total / loaded_s for total, loaded_s in zip(totals, picture.loaded_s, strict=True)]
    scale = linear(max(per_s), frame.bottom, frame.top)
    frame.value_axis(scale, [(value, f"{value:g}") for value in scale.ticks()])
    below = [0] * picture.axis.bins
    for one in picture.answers:
        frame.stack(one.counts, below, scale, picture.loaded_s, style_of(one, picture))
    for index, total in enumerate(totals):
        if total:
            x, width = frame.bin(index)
            column = frame.drawing.rect(x, frame.top, width, frame.bottom - frame.top, {"fill-opacity": "0"})
            who = ", ".join(f"{called(one)} {one.counts[index]}" for one in picture.answers if one.counts[index])
            hint(column, f"{_when(picture, index)}: {who}")
    return frame.written()


def _when(picture: Picture, index: int) -> str:
    axis = picture.axis
    return f"{axis.begins(index):.1f} s to {axis.begins(index + 1):.1f} s"


def waits(picture: Picture, size: Size) -> str:
    """How long callers waited for a whole answer, and in vain."""
    title = "Time to the whole answer"
    about = "For each bin the fastest, the middle and the slowest answer; a cross is the longest wait in vain."
    return _bands(picture, size, ("waits", title, about), picture.latency, picture.slow_limit_s, picture.bad)


def tokens(picture: Picture, size: Size) -> str:
    """How long callers of streams waited for the first token."""
    title = "Time to the first token of streams"
    about = "For each bin the fastest, the middle and the slowest first token."
    return _bands(picture, size, ("tokens", title, about), picture.tokens, picture.slow_token_limit_s, ())


def _bands(
    picture: Picture,
    size: Size,
    words: tuple[str, str, str],
    spreads: Sequence[Spread | None],
    limit_s: float | None,
    bad: Sequence[float | None],
) -> str:
    ident, title, about = words
    seen = [one for one in spreads if one is not None]
    vain = [took_s for took_s in bad if took_s is not None]
    frame = _Frame(picture, size, ident, 170, title, about)
    lows, highs = [one.least_s for one in seen] + vain, [one.most_s for one in seen] + vain
    # The limit is shown where it is near; a far one would flatten everything else.
    if limit_s is not None and highs and limit_s <= 3 * max(highs):
        highs.append(limit_s * 1.02)
    scale = times(min(lows, default=0.1), max(highs, default=1.0), frame.bottom, frame.top)
    frame.value_axis(scale, [(value, short_time(value)) for value in scale.ticks()])
    for index, one in enumerate(spreads):
        if one is not None:
            _spread(frame, scale, index, one)
    if limit_s is not None and scale.low <= limit_s <= scale.high:
        y = scale.at(limit_s)
        frame.drawing.line(
            (frame.left, y, frame.right, y), {"class": "limit", "stroke": OTHER.colour, "stroke-dasharray": "7 4"}
        )
        said = f"slow: above {short_time(limit_s)}"
        frame.drawing.text(frame.beside_badges(said), y - 4, said)
    for index, took_s in enumerate(bad):
        if took_s is not None:
            x, width = frame.bin(index)
            _cross(frame, x + width / 2, scale.at(took_s), f"{_when(picture, index)}: in vain for {took_s:.2f} s")
    return frame.written()


def _spread(frame: _Frame, scale: Scale, index: int, one: Spread) -> None:
    x, width = frame.bin(index)
    drawing = frame.drawing
    top, foot = scale.at(one.most_s), scale.at(one.least_s)
    whole = drawing.rect(
        x, top, width, max(1.0, foot - top), {"class": "c0", "fill": leg_style(0).colour, "fill-opacity": "0.22"}
    )
    said = f"{_when(frame.picture, index)}: {one.n} answers, {one.least_s:.3f} s to {one.most_s:.3f} s"
    hint(whole, f"{said}, median {one.median_s:.3f} s")
    if one.low10_s is not None and one.high90_s is not None:
        high, low = scale.at(one.high90_s), scale.at(one.low10_s)
        drawing.rect(
            x, high, width, max(1.0, low - high), {"class": "c0", "fill": leg_style(0).colour, "fill-opacity": "0.45"}
        )
    y = scale.at(one.median_s)
    drawing.line((x, y, x + width, y), {"class": "median", "stroke": INK, "stroke-width": "2.2"})


def _cross(frame: _Frame, x: float, y: float, said: str) -> None:
    d = f"M{number(x - 4)},{number(y - 4)}l8,8m0,-8l-8,8"
    hint(frame.drawing.path(d, {"class": "vain", "stroke": OTHER.colour, "stroke-width": "2.4"}), said)


def attempts(picture: Picture, size: Size) -> str:
    """Attempts that reached each leg, one row a leg, all rows to the same scale."""
    legs = picture.attempts
    said = "; ".join(
        f"{one.leg}: {sum(one.answered)} answered, {sum(one.other)} not, {sum(one.hung)} connects hung" for one in legs
    )
    frame = _Frame(picture, size, "attempts", _ROW * len(legs), "Attempts on each leg", f"{said}.")
    most = max((total for one in legs for total in one.totals), default=0)
    for row, one in enumerate(legs):
        _leg_row(frame, one, row, max(1, most))
    return frame.written()


def _leg_row(frame: _Frame, one: LegAttempts, row: int, most: int) -> None:
    foot = frame.top + _ROW * (row + 1)
    scale = Scale(0, most, foot, foot - _ROW + 22)
    drawing = frame.drawing
    drawing.line((frame.left, foot, frame.right, foot), _GRID)
    drawing.text(frame.left - 6, foot - 1, "0", anchor="end")
    drawing.text(frame.left - 6, scale.end + 8, f"{most / frame.picture.axis.width_s:g}", anchor="end")
    below = [0] * frame.picture.axis.bins
    for counts, style in ((one.answered, leg_style(row)), (one.other, OTHER), (one.hung, HUNG)):
        frame.stack(counts, below, scale, [1.0] * len(below), style)
    said = f": {sum(one.totals)}"
    room = int((frame.right - frame.left - 4) / _LETTER) - len(said)
    frame.over(foot - _ROW + 15, f"{plain(one.leg, max(12, room))}{said}")
