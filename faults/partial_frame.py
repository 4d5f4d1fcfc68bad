"""partial_frame: a Bedrock stream that ends inside a frame."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Annotated

import msgspec

from faults.base import Decision, Fault, Proceed, RequestSeen, SpoilEvent
from faults.proof import AnswerSize, Came, Point, ProbeOutcome, Unprovable, too_far

_FRAMED = {"converse-stream", "invoke-with-response-stream"}
"""The operations, all of them Bedrock's, that stream in frames."""


@dataclass(frozen=True)
class PartialFrame(Fault):
    """A Bedrock stream ends in the middle of a frame, and HTTP says that this was all.

    botocore drops the half frame without a word and hands over a short answer as if it were whole. What a proxy does
    that loses its backend and closes the body properly. On any leg but Bedrock's, and for requests that do not
    stream, the fault does nothing, and a drill in which it does nothing is invalid; `cut` with `how: clean` is its
    like there.

    after: how many frames of the stream get through first; of the next one the first half does.
    """

    kind = "partial_frame"
    colour = "#01665e"
    acts = Point.EVENT
    ends = Point.EVENT
    probe_streams = True

    after: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 4

    def decide(self, request: RequestSeen, rng: random.Random) -> Decision:
        """Every stream in frames ends inside one."""
        return SpoilEvent(self.after, "half") if request.operation in _FRAMED else Proceed()

    def proves(self, outcome: ProbeOutcome) -> bool:
        """The stream ends as if that were all, after as many whole frames."""
        return outcome.came is Came.WRONG and outcome.status == 200 and outcome.events == self.after

    def unprovable(self, answer: AnswerSize) -> Unprovable | None:
        """A stream must go as far."""
        return too_far(self.after, answer)
