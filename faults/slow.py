"""slow: right answers, late."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import Literal

from drills.units import Seconds
from faults.base import Decision, Delay, Fault, RequestSeen
from faults.proof import AnswerSize, Came, Extent, Point, ProbeOutcome, Unprovable, too_short

_ALPHA = 3.0
"""Exponent of the Pareto distribution: the smallest whole one whose variance is finite."""
_MEAN = _ALPHA / (_ALPHA - 1)
_DEVIATION = math.sqrt(_ALPHA / (_ALPHA - 2)) / (_ALPHA - 1)


@dataclass(frozen=True)
class Slow(Fault):
    """Every request is held back for a time and then answered correctly.

    No error ever reaches the gateway. A gateway that only counts errors keeps using the leg. With a `spread` some
    requests pass quickly, so that an average hides the rest: `pareto` has the long tail of a service in overload.

    by: how long each request is held back before it reaches the leg; with a spread, the mean.
    spread: how much that varies: at most so much in either direction for `uniform`, the standard deviation for
    `normal` and `pareto` (as `tc netem` has it). Nothing is held back for less than no time.
    shape: how it varies.
    """

    kind = "slow"
    colour = "#fddbc7"
    acts = Point.WAIT

    by: Seconds
    spread: Seconds = 0.0
    shape: Literal["constant", "uniform", "normal", "pareto"] = "constant"

    def __post_init__(self) -> None:
        """Raise `ValueError` for a shape without a spread, or a spread without a shape."""
        if (self.spread > 0) == (self.shape == "constant"):
            raise ValueError("'spread' and 'shape' go together: give a spread above 0 with uniform, normal or pareto")

    def decide(self, request: RequestSeen, rng: random.Random) -> Decision:
        """Every request waits; a probe for just the mean, so that it can tell."""
        return Delay(self.by if request.probe else max(0.0, self.by + self.spread * self._deviation(rng)))

    def _deviation(self, rng: random.Random) -> float:
        if self.shape == "uniform":
            return rng.uniform(-1.0, 1.0)
        if self.shape == "normal":
            return rng.gauss(0.0, 1.0)
        if self.shape == "pareto":
            return (rng.paretovariate(_ALPHA) - _MEAN) / _DEVIATION
        return 0.0

    def proves(self, outcome: ProbeOutcome) -> bool:
        """The right answer comes, and not before its time; or nothing came yet, and it is not time yet."""
        if outcome.came is Came.WHOLE:
            return outcome.late_by(self.by)
        return outcome.unanswered and outcome.too_soon_for(self.by)

    def costs_s(self, answer: Extent) -> float:
        """The wait of a probe."""
        return self.by

    def unprovable(self, answer: AnswerSize) -> Unprovable | None:
        """The delay must be told from noise."""
        return too_short("by", self.by)
