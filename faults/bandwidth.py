"""bandwidth: a thin line between leg and gateway."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Annotated

import msgspec

from drills.units import BytesPerSecond
from faults.base import Decision, Fault, Pace, RequestSeen
from faults.proof import AnswerSize, Extent, Point, ProbeOutcome, Unprovable, too_wide


@dataclass(frozen=True)
class Bandwidth(Fault):
    """The body of every answer trickles towards the gateway, a few bytes at a time.

    Bytes never stop coming, so a read timeout never fires; long answers suffer, short ones and health checks do not.
    What a saturated or badly shaped link does. Each connection has the rate to itself; heads are not held back.

    rate: bytes of the answer's body in a second.
    """

    kind = "bandwidth"
    colour = "#4393c3"
    acts = Point.REST
    probe_streams = True

    rate: Annotated[BytesPerSecond, msgspec.Meta(gt=0)]

    def decide(self, request: RequestSeen, rng: random.Random) -> Decision:
        """Every answer trickles."""
        return Pace(bytes_per_s=self.rate)

    def proves(self, outcome: ProbeOutcome) -> bool:
        """The answer is late, and none of it came faster than the line is wide."""
        return outcome.only_late and outcome.took_s >= 0.9 * len(outcome.body) / self.rate

    def costs_s(self, answer: Extent) -> float:
        """Its bytes at this rate."""
        return answer.size / self.rate

    def unprovable(self, answer: AnswerSize) -> Unprovable | None:
        """A stream must take clearly longer than the leg needs for it."""
        return too_wide("rate", self.rate, answer)
