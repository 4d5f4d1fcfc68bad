"""slow: right answers, late."""

from __future__ import annotations

import random
from dataclasses import dataclass

from drills.units import Seconds
from faults.base import Decision, Delay, Fault, RequestSeen
from faults.proof import Came, ProbeOutcome


@dataclass(frozen=True)
class Slow(Fault):
    """Every request is held back for a time and then answered correctly.

    No error ever reaches the gateway. A gateway that only counts errors keeps using the leg.

    by: how long each request is held back before it reaches the leg.
    """

    kind = "slow"
    colour = "#fddbc7"

    by: Seconds

    def decide(self, request: RequestSeen, rng: random.Random) -> Decision:
        """Every request waits."""
        return Delay(self.by)

    def proves(self, outcome: ProbeOutcome) -> bool:
        """The right answer comes, and not before its time; or nothing came yet, and it is not time yet."""
        if outcome.came is Came.WHOLE:
            return outcome.took_s >= self.by
        return outcome.unanswered and outcome.took_s <= self.by + outcome.usual_s
