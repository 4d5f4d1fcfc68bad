"""slow_first_token: a stream that begins late."""

from __future__ import annotations

import random
from dataclasses import dataclass

from drills.units import Seconds
from faults.base import Decision, Fault, Pace, Proceed, RequestSeen
from faults.proof import LATE_BY_S, AnswerSize, Unprovable, too_short


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
    probe_streams = True

    by: Seconds

    def decide(self, request: RequestSeen, rng: random.Random) -> Decision:
        """Every streamed request begins late."""
        return Pace(first_s=self.by) if request.stream else Proceed()

    def unprovable(self, answer: AnswerSize) -> Unprovable | None:
        """A stream must be clearly late."""
        return too_short("by", self.by, LATE_BY_S)
