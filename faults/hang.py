"""hang: accepted and never answered."""

from __future__ import annotations

import random
from dataclasses import dataclass

from faults.base import Decision, Fault, Hang, RequestSeen
from faults.proof import Point, ProbeOutcome


@dataclass(frozen=True)
class Hanging(Fault):
    """The leg accepts connections and requests and never answers.

    What an overloaded or deadlocked service behind a healthy load balancer looks like: connect timeouts do not help,
    only read timeouts do. Requests still held when the fault clears are passed on to the leg then.
    """

    kind = "hang"
    colour = "#d6604d"
    acts = Point.REQUEST
    ends = Point.HELD

    def decide(self, request: RequestSeen, rng: random.Random) -> Decision:
        """Every request hangs."""
        return Hang()

    def proves(self, outcome: ProbeOutcome) -> bool:
        """The request is accepted, and nothing comes back."""
        return outcome.unanswered
