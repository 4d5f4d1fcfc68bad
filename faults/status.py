"""status: an HTTP status or a failure by name, with the vendor's own body."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Annotated

import msgspec

from drills.providers.base import ErrorKind
from drills.units import Seconds
from faults.base import Answer, Decision, Fail, Fault, RequestSeen
from faults.proof import Came, Point, ProbeOutcome


@dataclass(frozen=True)
class Status(Fault):
    """The leg answers every request with a failure, in the vendor's own words and headers.

    The same trouble has another status at each vendor: `overloaded` is 529 at Anthropic, 503 at OpenAI and 429 at
    Azure; `quota_exhausted` is a 429 that no retry helps, and at Bedrock a 400. A gateway that fails over on 5xx only
    stays on a leg whose credit is gone. Exactly one of `code` and `error` is given.

    code: the status, 400 to 599.
    error: the failure by name; the vendor decides status, body and headers. A filtered content is a 200 at some.
    retry_after: sent in the vendor's own header or field, where the vendor has one.
    """

    kind = "status"
    colour = "#f4a582"
    acts = Point.INSTEAD
    ends = Point.INSTEAD
    proof_waits = False

    code: Annotated[int, msgspec.Meta(ge=400, le=599)] | None = None
    error: ErrorKind | None = None
    retry_after: Seconds | None = None

    def __post_init__(self) -> None:
        """Raise `ValueError` unless exactly one of code and error is given."""
        if (self.code is None) == (self.error is None):
            raise ValueError("give either 'code' (a number, such as 503) or 'error' (a name, such as overloaded)")

    def decide(self, request: RequestSeen, rng: random.Random) -> Decision:
        """Every request fails."""
        if self.error is not None:
            return Fail(self.error, self.retry_after)
        return Answer(self.code or 0, self.retry_after)

    def proves(self, outcome: ProbeOutcome) -> bool:
        """The status comes back; for a failure by name, some failure, or an answer that says why it is none."""
        if self.code is None:
            refused = self.error is ErrorKind.CONTENT_FILTERED and outcome.came is Came.WRONG and outcome.body != b""
            return outcome.came is Came.STATUS or refused
        return outcome.came is Came.STATUS and outcome.status == self.code
