"""Quarters of the calendar, in UTC, and how often something is due. Pure: no clock; whoever needs today brings it."""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

QUARTERS = 4
"""A report speaks of its quarter and of the three before it."""
_QUARTER = re.compile(r"(\d{4})-?[Qq]([1-4])")


@dataclass(frozen=True, order=True)
class Quarter:
    """One quarter of a year, `2026Q4`."""

    year: int
    number: int

    def __str__(self) -> str:
        return f"{self.year}Q{self.number}"

    @property
    def first(self) -> date:
        """Its first day."""
        return date(self.year, 3 * self.number - 2, 1)

    @property
    def last(self) -> date:
        """Its last day."""
        return self.after(1).first - timedelta(days=1)

    @property
    def days(self) -> int:
        """How many days it has."""
        return (self.last - self.first).days + 1

    def after(self, count: int) -> Quarter:
        """The quarter so many later; earlier when negative."""
        index = self.year * 4 + self.number - 1 + count
        return Quarter(index // 4, index % 4 + 1)


def parse(text: str) -> Quarter:
    """A quarter as written: `2026Q4`. Raises `ValueError` that says what is allowed."""
    found = _QUARTER.fullmatch(text.strip())
    if found is None or not 1970 <= int(found[1]) <= 9000:
        raise ValueError(f"{text[:60]!r} is not a quarter; write the year and the quarter: 2026Q4")
    return Quarter(int(found[1]), int(found[2]))


def quarter_of(day: date) -> Quarter:
    """The quarter of a day."""
    return Quarter(day.year, (day.month + 2) // 3)


def until(quarter: Quarter, now: datetime) -> datetime:
    """The moment up to which a quarter is judged: its end, or now when it is not over."""
    return min(now, end_of(quarter))


def end_of(quarter: Quarter) -> datetime:
    """The first moment after a quarter."""
    return datetime.combine(quarter.after(1).first, datetime.min.time(), UTC)


class Every(enum.StrEnum):
    """How often something must be drilled: once in each such part of the calendar."""

    MONTH = "month"
    QUARTER = "quarter"
    HALF_YEAR = "half-year"
    YEAR = "year"
    ONCE = "once"


_MONTHS = {Every.MONTH: 1, Every.QUARTER: 3, Every.HALF_YEAR: 6, Every.YEAR: 12}


def due_after(day: date, every: Every) -> date | None:
    """The day by whose end it must be done again: the last one of the next month, quarter, ...; None for `once`."""
    if every is Every.ONCE:
        return None
    months = _MONTHS[every]
    index = (day.year * 12 + day.month - 1) // months * months + 2 * months
    return date(index // 12, index % 12 + 1, 1) - timedelta(days=1)
