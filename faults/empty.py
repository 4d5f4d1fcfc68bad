"""empty: a success without a body."""

from __future__ import annotations

import random
from dataclasses import dataclass

from faults.base import Decision, Fault, RequestSeen, Send
from faults.proof import Came, Point, ProbeOutcome


@dataclass(frozen=True)
class Empty(Fault):
    """The status is 200, the type is `application/json`, and there is no body at all.

    Error rates stay at zero while every caller gets nothing. What a proxy does that lost its backend after it had
    sent the head, and a service whose handler returned early.
    """

    kind = "empty"
    colour = "#fee0b6"
    acts = Point.INSTEAD
    ends = Point.INSTEAD
    proof_waits = False

    def decide(self, request: RequestSeen, rng: random.Random) -> Decision:
        """Every request gets nothing."""
        return Send(200, "application/json", b"")

    def proves(self, outcome: ProbeOutcome) -> bool:
        """A success comes back with nothing in it."""
        return outcome.came is Came.WRONG and outcome.body == b""
