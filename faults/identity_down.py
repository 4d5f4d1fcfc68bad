"""identity_down: no tokens, while the models are healthy."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal

from faults.base import Answer, Decision, Fault, Proceed, RequestSeen
from faults.proof import Came, Point, ProbeOutcome

_STATUS = {"unavailable": 503, "invalid_grant": 400, "invalid_client": 401}


@dataclass(frozen=True)
class IdentityDown(Fault):
    """The leg's token endpoint fails while its models are healthy: nothing happens until the cached token runs out.

    Then every request of the gateway fails before it is sent, on every leg that shares the identity service, and no
    model endpoint has seen an error. Google's outage of 2020-12-14 was of this kind. Requests for models are left
    alone. A leg whose dialect has no token endpoint (any but `vertex`) is spared, with a note; a selector that hits
    no other is an error. A token lasts as long as `providers: {token_lifetime: ...}` says, by default an hour as
    Google's do: make it shorter than the phase, or the gateway needs no other and the drill is invalid.

    how: `unavailable` answers 503; `invalid_grant` (400) and `invalid_client` (401) refuse the credentials as OAuth
    does, which no retry helps.
    """

    kind = "identity_down"
    colour = "#762a83"
    acts = Point.INSTEAD
    ends = Point.INSTEAD
    of_identity = True
    proof_waits = False

    how: Literal["unavailable", "invalid_grant", "invalid_client"] = "unavailable"

    def decide(self, request: RequestSeen, rng: random.Random) -> Decision:
        """Every request for a token fails."""
        return Answer(_STATUS[self.how]) if request.surface == "identity" else Proceed()

    def proves(self, outcome: ProbeOutcome) -> bool:
        """The probe's request for a token is refused as it should be."""
        return outcome.came is Came.STATUS and outcome.status == _STATUS[self.how]
