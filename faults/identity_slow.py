"""identity_slow: late tokens, while the models are healthy."""

from __future__ import annotations

import random
from dataclasses import dataclass

from drills.units import Seconds
from faults.base import Decision, Delay, Fault, Proceed, RequestSeen
from faults.proof import AnswerSize, Came, Extent, Point, ProbeOutcome, Unprovable, too_short


@dataclass(frozen=True)
class IdentitySlow(Fault):
    """The leg's token endpoint answers late while its models are healthy.

    The time goes by before the request is sent, so timeouts of the model call do not count it; a gateway that fetches
    its token under a lock makes all callers of the leg wait. Requests for models are left alone. Which legs have a
    token endpoint, and how long a token lasts: see `identity_down`.

    by: how long each request for a token is held back.
    """

    kind = "identity_slow"
    colour = "#9970ab"
    acts = Point.WAIT
    of_identity = True
    proof_waits = False

    by: Seconds

    def decide(self, request: RequestSeen, rng: random.Random) -> Decision:
        """Every request for a token waits."""
        return Delay(self.by) if request.surface == "identity" else Proceed()

    def proves(self, outcome: ProbeOutcome) -> bool:
        """The token comes, and not before its time; or nothing came yet, and it is not time yet."""
        if outcome.came is Came.WHOLE:
            return outcome.late_by(self.by)
        return outcome.unanswered and outcome.too_soon_for(self.by)

    def costs_s(self, answer: Extent) -> float:
        """The wait of a request for a token."""
        return self.by

    def unprovable(self, answer: AnswerSize) -> Unprovable | None:
        """The delay must be told from noise."""
        return too_short("by", self.by)
