"""status: an HTTP status with the vendor's own body."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Annotated

import msgspec

from drills.units import Seconds
from faults.base import Answer, Decision, Fault, RequestSeen
from faults.proof import Came, ProbeOutcome


@dataclass(frozen=True)
class Status(Fault):
    """The leg answers every request with an HTTP status, in the vendor's own words and headers.

    code: the status, 400 to 599.
    retry_after: sent in the vendor's own header or field, where the vendor has one.
    """

    kind = "status"
    colour = "#f4a582"

    code: Annotated[int, msgspec.Meta(ge=400, le=599)]
    retry_after: Seconds | None = None

    def decide(self, request: RequestSeen, rng: random.Random) -> Decision:
        """Every request gets the status."""
        return Answer(self.code, self.retry_after)

    def proves(self, outcome: ProbeOutcome) -> bool:
        """The status comes back."""
        return outcome.came is Came.STATUS and outcome.status == self.code
