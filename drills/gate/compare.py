"""Is the head slower than the base? Statistics of two samples. Pure.

Law of this file: one value for each trial, in seconds, above 0. A trial in which callers were never answered well
again is `NEVER` (infinite): it ranks as the worst value there is, and no mean is taken of it.

The test is Mann and Whitney's (1947), exact: the sum of the head's ranks against all ways to deal the pooled ranks to
the two sides. Equal values share their mean rank, and the exact distribution is that of the shared ranks (Streitberg
and Röhmel 1986), so that ties, which times with a resolution have, need no approximation. Own code,
because `scipy` is exact quickly only without ties, and is large for forty lines; the tests hold this against it.
The size of the difference is Hodges and Lehmann's estimate (1963) on the logarithms: the median of all ratios of a
value of the head to one of the base; its interval holds the ratios that the test would not reject.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby

NEVER = math.inf
"""A trial without recovery."""

MIN_EFFECT = 1.10
"""A ratio that is nearer to 1 is no difference, however sure it is."""
SUSPECT_P = 0.10
"""First stage: below this both sides are repeated."""
SURE_P = 0.005
"""Second stage, both samples pooled: below this it is a difference. One-sided, as everything here: the usual .01 of a
test in both directions. At .01 one-sided the false alarms were 0.8 % at a spread of 20 %, on the limit; so 0.5 %."""
MIN_TRIALS = 4
"""Of each side. With four the smallest p is 1/70, and 1/12870 with the eight after a repetition; three have no interval
of 95 %."""
_LEVEL = 0.95


@dataclass(frozen=True)
class Comparison:
    """Head against base. n_base, n_head: trials. median_*_s: `NEVER` when most trials never recovered.

    ratio: how many times as long the head takes; above 1 is slower. low, high: its interval of 95 %, None below four
    trials. p_slower, p_faster: one-sided, exact. shift_s: difference of the medians; infinite when one of them is.
    """

    n_base: int
    n_head: int
    median_base_s: float
    median_head_s: float
    ratio: float
    low: float | None
    high: float | None
    p_slower: float
    p_faster: float

    @property
    def shift_s(self) -> float:
        """By how much the medians differ, in seconds; 0 when both are `NEVER`."""
        if self.median_head_s == self.median_base_s:
            return 0.0
        return self.median_head_s - self.median_base_s

    def slower(self, p: float, resolution_s: float) -> bool:
        """Whether the head is slower at a level, by more than the least effect and more than can be resolved."""
        return self.p_slower < p and self.ratio >= MIN_EFFECT and self.shift_s > resolution_s

    def faster(self, p: float, resolution_s: float) -> bool:
        """Whether the head is faster, by the same rule."""
        return self.p_faster < p and self.ratio <= 1 / MIN_EFFECT and -self.shift_s > resolution_s


def compare(base: Sequence[float], head: Sequence[float]) -> Comparison:
    """Compare two samples. Raises `ValueError` for an empty one and for values that are no times."""
    if not base or not head:
        raise ValueError("both sides need a trial")
    if any(math.isnan(value) or value <= 0 for value in (*base, *head)):
        raise ValueError("a time is above 0")
    ratios = sorted(_ratio(slow, fast) for slow in head for fast in base)
    low, high = _interval(ratios, len(base), len(head))
    return Comparison(
        n_base=len(base),
        n_head=len(head),
        median_base_s=_middle(base),
        median_head_s=_middle(head),
        ratio=_middle(ratios),
        low=low,
        high=high,
        p_slower=p_larger(head, base),
        p_faster=p_larger(base, head),
    )


def p_larger(these: Sequence[float], those: Sequence[float]) -> float:
    """How probable ranks of `these` as high as the ones observed are, if both samples came from one distribution."""
    pooled = sorted([*these, *those])
    # Twice the mean rank of each value: a whole number, with ties as well.
    ranks: dict[float, int] = {}
    below = 0
    for value, same in groupby(pooled):
        count = sum(1 for _ in same)
        ranks[value] = 2 * below + count + 1
        below += count
    observed = sum(ranks[value] for value in these)
    sums = _sums(tuple(ranks[value] for value in pooled), len(these))
    return sum(count for total, count in sums.items() if total >= observed) / sum(sums.values())


@cache
def _sums(ranks: tuple[int, ...], size: int) -> Counter[int]:
    """How many ways there are to choose `size` of the ranks, by their sum."""
    ways: list[Counter[int]] = [Counter({0: 1}), *(Counter() for _ in range(size))]
    for rank in ranks:
        for chosen in range(size, 0, -1):
            for total, count in ways[chosen - 1].items():
                ways[chosen][total + rank] += count
    return ways[size]


def _ratio(slow: float, fast: float) -> float:
    if math.isinf(slow) and math.isinf(fast):
        return 1.0
    return slow / fast


def _middle(values: Sequence[float]) -> float:
    """The median; the mean of the middle two only where both are finite."""
    low, high = statistics.median_low(values), statistics.median_high(values)
    return high if math.isinf(high) else (low + high) / 2


def _interval(ratios: Sequence[float], n_base: int, n_head: int) -> tuple[float | None, float | None]:
    """The ratios between which the test does not tell the samples apart, at `_LEVEL`."""
    size = n_base + n_head
    ranks = tuple(range(2, 2 * size + 1, 2))
    sums = _sums(ranks, n_head)
    total, tail, cut = sum(sums.values()), 0, 0
    for value in sorted(sums):
        tail += sums[value]
        if tail / total > (1 - _LEVEL) / 2:
            break
        cut += 1
    if cut == 0:
        return None, None
    return ratios[cut - 1], ratios[len(ratios) - cut]
