"""reset: the connection dies under the request."""

from __future__ import annotations

import random
from dataclasses import dataclass

from faults.base import Decision, Fault, RequestSeen, Reset
from faults.proof import Came, Point, ProbeOutcome


@dataclass(frozen=True)
class Resetting(Fault):
    """The leg accepts the connection and answers every request with a TCP reset.

    The request was written, so the caller cannot know whether the provider worked on it and billed it.
    """

    kind = "reset"
    colour = "#8c510a"
    acts = Point.REQUEST
    ends = Point.REQUEST
    proof_waits = False

    def decide(self, request: RequestSeen, rng: random.Random) -> Decision:
        """Every request is reset."""
        return Reset()

    def proves(self, outcome: ProbeOutcome) -> bool:
        """The connection is accepted, and dies under the request."""
        return outcome.came is Came.RESET
