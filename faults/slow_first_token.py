"""slow_first_token: a stream that begins late."""

from __future__ import annotations

import random
from dataclasses import dataclass

from drills.units import Seconds
from faults.base import Decision, Fault, Pace, Proceed, RequestSeen
from faults.proof import LATE_BY_S, AnswerSize, Came, Extent, Point, ProbeOutcome, Unprovable, too_short


@dataclass(frozen=True)
class SlowFirstToken(Fault):
    """The head of a streamed answer comes at once, with a status of 200, and the first token late.

    A timeout for the answer's head has been met by then, and many gateways hold a leg for chosen once its head is
    there. What a model with a full queue behind a ready front does. The rest follows in its own time, as much later.
    Requests that do not stream are left alone.

    by: how much later each event of the stream comes.
    """

    kind = "slow_first_token"
    colour = "#d1e5f0"
    acts = Point.FIRST
    probe_streams = True

    by: Seconds

    def decide(self, request: RequestSeen, rng: random.Random) -> Decision:
        """Every streamed request begins late."""
        return Pace(first_s=self.by) if request.stream else Proceed()

    def proves(self, outcome: ProbeOutcome) -> bool:
        """The stream is late by so much; or it began as late and then broke off or fell silent; or nothing came yet,
        and it is not time yet.
        """
        if outcome.came is Came.WHOLE:
            return outcome.late and outcome.late_by(self.by)
        if outcome.first_byte_s is None:
            return outcome.unanswered and outcome.too_soon_for(self.by)
        begun = outcome.came in {Came.SILENT, Came.BROKEN} and outcome.events > 0
        return begun and outcome.first_byte_s >= outcome.beside_s + self.by

    def costs_s(self, answer: Extent) -> float:
        """Every event is so much later."""
        return self.by if answer.events else 0.0

    def unprovable(self, answer: AnswerSize) -> Unprovable | None:
        """A stream must be clearly late."""
        return too_short("by", self.by, LATE_BY_S)
