"""identity_slow: late tokens, while the models are healthy."""

from __future__ import annotations

import random
from dataclasses import dataclass

from drills.units import Seconds
from faults.base import Decision, Delay, Fault, Proceed, RequestSeen


@dataclass(frozen=True)
class IdentitySlow(Fault):
    """The leg's token endpoint answers late while its models are healthy.

    The time goes by before the request is sent, so timeouts of the model call do not count it; a gateway that fetches
    its token under a lock makes all callers of the leg wait. Requests for models are left alone; a leg whose dialect
    has no token endpoint (any but `vertex`) is not touched at all.

    by: how long each request for a token is held back.
    """

    kind = "identity_slow"
    colour = "#9970ab"

    by: Seconds

    def decide(self, request: RequestSeen, rng: random.Random) -> Decision:
        """Every request for a token waits."""
        return Delay(self.by) if request.surface == "identity" else Proceed()
