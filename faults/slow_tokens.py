"""slow_tokens: a stream that drips."""

from __future__ import annotations

import random
from dataclasses import dataclass

from drills.units import Seconds
from faults.base import Decision, Fault, Pace, Proceed, RequestSeen
from faults.proof import LATE_BY_S, AnswerSize, Came, Extent, Point, ProbeOutcome, Unprovable, too_short


@dataclass(frozen=True)
class SlowTokens(Fault):
    """A streamed answer drips: each event comes a time later than it should after the one before.

    No timeout between chunks ever fires, and the answer takes many times as long. What a model on overloaded
    accelerators does. Only a deadline for the whole answer, or a floor for tokens per second, notices. Requests that
    do not stream are left alone.

    by: what is added before each event of the stream.
    """

    kind = "slow_tokens"
    colour = "#92c5de"
    acts = Point.REST
    probe_streams = True

    by: Seconds

    def decide(self, request: RequestSeen, rng: random.Random) -> Decision:
        """Every streamed request drips."""
        return Pace(each_s=self.by) if request.stream else Proceed()

    def proves(self, outcome: ProbeOutcome) -> bool:
        """The stream is late by that much for each of its events; or not all of it came yet, and of none of it is it
        overdue.
        """
        if outcome.came is Came.WHOLE:
            return outcome.late and outcome.took_s >= 0.9 * self.by * outcome.events
        dripping = outcome.came is Came.SILENT and outcome.late and self.by * outcome.events <= outcome.took_s
        return dripping and outcome.too_soon_for(self.by * (outcome.events + 1))

    def costs_s(self, answer: Extent) -> float:
        """Each event adds its time."""
        return self.by * answer.events

    def unprovable(self, answer: AnswerSize) -> Unprovable | None:
        """A stream must be clearly late at its end."""
        return too_short("by", self.by, LATE_BY_S / answer.events)
