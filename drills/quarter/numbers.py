"""The statistics of a quarter: few trials, some of them censored. Exact, no resampling, no normal distribution. Pure.

A censored value is a time that was not seen to end: all that is known is that it was longer. It is never averaged.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import msgspec

CONFIDENCE = 0.95


class Time(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """A time in seconds. longer: it was longer than that, nobody saw how much."""

    value_s: float
    longer: bool = False


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """Trials in a few numbers. low, high: bounds of the median at 95 % or more, from order statistics; None below six
    trials. confidence: what they really have, 0..1. worst: the longest.
    """

    trials: int
    median: Time | None
    low: Time | None
    high: Time | None
    confidence: float | None
    worst: Time | None


def summary(times: Sequence[Time]) -> Summary:
    """Median with an exact interval, and the longest. The unit is the trial."""
    count = len(times)
    if not times:
        return Summary(trials=0, median=None, low=None, high=None, confidence=None, worst=None)
    rank = interval_rank(count)
    return Summary(
        trials=count,
        median=_median(times),
        low=_ranked(times, rank) if rank else None,
        high=_ranked(times, count + 1 - rank) if rank else None,
        confidence=1 - 2 * binomial_cdf(rank - 1, count, 0.5) if rank else None,
        worst=_ranked(times, count),
    )


def interval_rank(count: int) -> int:
    """The rank k for which the k-th smallest to the k-th largest of so many trials hold the median at 95 % or more.

    0 when there is none: below six trials. The chance that it lies outside is twice that of fewer than k heads in
    `count` throws.
    """
    ranks = range(1, count // 2 + 1)
    return max((k for k in ranks if 1 - 2 * binomial_cdf(k - 1, count, 0.5) >= CONFIDENCE), default=0)


def binomial_cdf(most: int, count: int, chance: float) -> float:
    """The chance of at most so many hits in `count` trials of this chance each."""
    return math.fsum(
        math.comb(count, k) * math.pow(chance, k) * math.pow(1 - chance, count - k) for k in range(most + 1)
    )


def most_failures(count: int, failed: int) -> float:
    """The failure probability that so many trials still allow, at 95 %: the exact (Clopper-Pearson) upper bound.

    For none failed it is 1 - 0.05^(1/n). Raises `ValueError` for no trials.
    """
    if count < 1:
        raise ValueError("no trials")
    if failed >= count:
        return 1.0
    if failed == 0:
        return 1 - math.pow(1 - CONFIDENCE, 1 / count)
    return _root(lambda chance: binomial_cdf(failed, count, chance) - (1 - CONFIDENCE))


def _root(falling: Callable[[float], float]) -> float:
    """Where a falling function of 0..1 crosses zero."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if falling(middle) > 0 else (low, middle)
    return (low + high) / 2


def _ranked(times: Sequence[Time], rank: int) -> Time:
    """The k-th smallest, as far as it is known.

    A censored time may be anything above its value. So the k-th smallest is at least that of the values as they stand,
    and exactly known when no censored time could change it.
    """
    least = sorted(one.value_s for one in times)[rank - 1]
    most = sorted(math.inf if one.longer else one.value_s for one in times)[rank - 1]
    return Time(value_s=least, longer=most > least)


def _median(times: Sequence[Time]) -> Time:
    count = len(times)
    if count % 2:
        return _ranked(times, count // 2 + 1)
    below, above = _ranked(times, count // 2), _ranked(times, count // 2 + 1)
    if below.longer or above.longer:
        return Time(value_s=below.value_s, longer=True)
    return Time(value_s=(below.value_s + above.value_s) / 2)
