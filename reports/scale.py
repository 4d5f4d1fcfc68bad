"""Round numbers for axes, and where a value lies on one. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

_WIDTHS_S = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600)


def bin_width_s(length_s: float, at_most: int, at_least_s: float = 0.0) -> float:
    """The smallest round width, `at_least_s`, that cuts a length into at most so many bins."""
    for width_s in _WIDTHS_S:
        if length_s <= width_s * at_most and width_s >= at_least_s:
            return width_s
    return math.ceil(max(length_s / at_most, at_least_s) / 3600) * 3600.0


def step(length: float, about: int) -> float:
    """A round step (1, 2 or 5 times a power of ten) that cuts a length into about so many parts."""
    if length <= 0:
        return 1.0
    raw = length / about
    power = 10.0 ** math.floor(math.log10(raw))
    return next(factor * power for factor in (1, 2, 5, 10) if raw <= factor * power * (1 + 1e-9))


@dataclass(frozen=True)
class Scale:
    """Maps values from `low` to `high` onto a line from `start` to `end`; by their logarithms when `log`."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def at(self, value: float) -> float:
        """Where a value lies; outside values lie at the nearer end."""
        inside = min(max(value, self.low), self.high)
        if self.log:
            share = math.log(inside / self.low) / math.log(self.high / self.low)
        else:
            share = (inside - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self, about: int = 4) -> tuple[float, ...]:
        """Round values on the scale."""
        if self.log:
            powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            factors = (1, 2, 5) if len(powers) <= about else (1,)
            found = [factor * 10.0**power for power in powers for factor in factors]
        else:
            by = step(self.high - self.low, about)
            first = math.ceil(self.low / by - 1e-9)
            found = [number * by for number in range(first, math.floor(self.high / by + 1e-9) + 1)]
        return tuple(value for value in found if self.low * (1 - 1e-9) <= value <= self.high * (1 + 1e-9))


def linear(high: float, start: float, end: float) -> Scale:
    """From nothing to a round value that is at least `high`."""
    by = step(high, 4) if high > 0 else 1.0
    return Scale(0.0, max(by, math.ceil(high / by - 1e-9) * by), start, end)


_LOG_FROM = 20
_SHORTEST_S = 0.001


def times(low_s: float, high_s: float, start: float, end: float) -> Scale:
    """For times: linear while the longest is at most twenty times the shortest, by logarithms beyond."""
    low_s = max(low_s, _SHORTEST_S)
    if high_s <= _LOG_FROM * low_s:
        return linear(high_s, start, end)
    below = 10.0 ** math.floor(math.log10(low_s))
    above = 10.0 ** math.ceil(math.log10(high_s) - 1e-9)
    low = max(factor * below for factor in (1, 2, 5) if factor * below <= low_s * (1 + 1e-9))
    high = min(factor * above / 10 for factor in (1, 2, 5, 10) if factor * above / 10 >= high_s * (1 - 1e-9))
    return Scale(low, high, start, end, log=True)


def short_time(value_s: float) -> str:
    """A time on an axis: `50 ms`, `2 s`, `5 min`."""
    if value_s == 0:
        return "0"
    if value_s < 1:
        return f"{value_s * 1000:g} ms"
    return f"{value_s:g} s" if value_s < 600 else f"{value_s / 60:g} min"
