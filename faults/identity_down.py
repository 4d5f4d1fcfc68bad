"""identity_down: no tokens, while the models are healthy."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal

from faults.base import Answer, Decision, Fault, Proceed, RequestSeen

_STATUS = {"unavailable": 503, "invalid_grant": 400, "invalid_client": 401}


@dataclass(frozen=True)
class IdentityDown(Fault):
    """The leg's token endpoint fails while its models are healthy: nothing happens until the cached token runs out.

    Then every request of the gateway fails before it is sent, on every leg that shares the identity service, and no
    model endpoint has seen an error. Google's outage of 2020-12-14 was of this kind. Requests for models are left
    alone; a leg whose dialect has no token endpoint (any but `vertex`) is not touched at all.

    how: `unavailable` answers 503; `invalid_grant` (400) and `invalid_client` (401) refuse the credentials as OAuth
    does, which no retry helps.
    """

    kind = "identity_down"
    colour = "#762a83"

    how: Literal["unavailable", "invalid_grant", "invalid_client"] = "unavailable"

    def decide(self, request: RequestSeen, rng: random.Random) -> Decision:
        """Every request for a token fails."""
        return Answer(_STATUS[self.how]) if request.surface == "identity" else Proceed()
