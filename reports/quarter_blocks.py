"""What the quarterly report is made of: sections of paragraphs, lists, tables, figures and fields to fill in. Pure.

Each format prints the same sections, so no two can say different things. All is plain text, nothing escaped yet.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from typing import ClassVar

from drills.quarter.numbers import Summary, Time
from reports.plots import Size
from reports.svg import Style
from reports.tables import Loud, Table


@dataclass(frozen=True)
class Text:
    """A paragraph. loud: one that a reader must not miss. faint: a remark."""

    kind: ClassVar[str] = "text"
    text: str
    loud: bool = False
    faint: bool = False


@dataclass(frozen=True)
class Points:
    """A list of sentences, with a line above it if there is one."""

    kind: ClassVar[str] = "points"
    items: tuple[str, ...]
    lead: str = ""


@dataclass(frozen=True)
class Grid:
    """A table with its caption.

    look: how a narrow screen shows it: `wrap` as a card for each row, `long` as a few lines for each, `small` as it is.
    """

    kind: ClassVar[str] = "grid"
    table: Table
    caption: str = ""
    look: str = "wrap"


@dataclass(frozen=True)
class Plot:
    """A drawing, in any width. legend: each style with its words. Formats without drawings leave it out: the numbers
    stand in a table as well.
    """

    kind: ClassVar[str] = "plot"
    title: str
    about: str
    draw: Callable[[Size], str]
    legend: tuple[tuple[Style, str], ...] = ()


@dataclass(frozen=True)
class Fields:
    """Lines that people fill in by hand: what, and what is known of it."""

    kind: ClassVar[str] = "fields"
    rows: tuple[tuple[str, str], ...]


Block = Text | Points | Grid | Plot | Fields


@dataclass(frozen=True)
class Section:
    """A section. ident: stable, for links."""

    ident: str
    title: str
    blocks: tuple[Block, ...]


def grid(header: tuple[str, ...], rows: list[tuple[str, ...]], caption: str = "", look: str = "wrap") -> Grid:
    """A table out of its rows."""
    return Grid(Table(header, tuple(rows)), caption, look)


def took(time: Time | None) -> str:
    """A time; `> 25.00 s` for one that nobody saw the end of, `-` for none. What it is longer than is rounded down."""
    if time is None:
        return "-"
    return f"> {_rounded(time.value_s, 2, ROUND_FLOOR)} s" if time.longer else f"{time.value_s:.2f} s"


def left(margin: Time | None) -> str:
    """A margin, with its sign; `at most` when the recovery took longer than was seen, and then rounded up."""
    if margin is None:
        return "-"
    said = f"{margin.value_s:+.2f} s"
    if margin.longer:
        said = f"at most {_rounded(margin.value_s, 2, ROUND_CEILING):+} s"
    return Loud(said) if margin.value_s < 0 else said


def _rounded(value: float, digits: int, how: str) -> Decimal:
    """A number with so many digits. Of its own digits twelve count: the rest is how a computer keeps fractions."""
    return Decimal(f"{value:.12f}").quantize(Decimal(1).scaleb(-digits), how)


def middle(found: Summary) -> str:
    """A median with its interval, or why it has none."""
    if found.median is None:
        return "-"
    if found.low is None or found.high is None or found.confidence is None:
        return f"{took(found.median)} (n = {found.trials}: no interval below 6)"
    bounds = f"{took(found.low)} to {took(found.high)}"
    return f"{took(found.median)} ({bounds} at {found.confidence * 100:.1f} %, n = {found.trials})"


def percent(share: float | None, digits: int = 2, *, longer: bool = False) -> str:
    """A share in percent; `-` for none. longer: it is more than that, and so rounded down.

    A share that is not the whole is never shown as 100 %, and one beyond it neither.
    """
    if share is None:
        return "-"
    how = ROUND_HALF_EVEN
    if longer or round(share * 100, digits) == 100:
        how = ROUND_FLOOR if longer or share < 1 else ROUND_CEILING
    return f"{'> ' if longer else ''}{_rounded(share * 100, digits, how)} %"


def nines(share: float | None) -> str:
    """An availability in percent, with as many digits as it needs, rounded down: what is shown is kept."""
    if share is None:
        return "-"
    text = f"{_rounded(share * 100, 6, ROUND_FLOOR)}".rstrip("0").rstrip(".")
    return f"{text} %"


def span(hours: float) -> str:
    """Hours, minutes or seconds, whatever can be read."""
    if hours >= 1:
        return f"{hours:.2f} h"
    return f"{hours * 60:.1f} min" if hours * 60 >= 1 else f"{hours * 3600:.1f} s"


def counted(count: int, one: str, many: str = "") -> str:
    """`1 drill`, `2 drills`."""
    return f"{count} {one if count == 1 else many or f'{one}s'}"
