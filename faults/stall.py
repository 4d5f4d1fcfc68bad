"""stall: a stream that stops in the middle."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Annotated

import msgspec

from faults.base import Decision, Fault, Proceed, RequestSeen, StallStream
from faults.proof import AnswerSize, Came, Point, ProbeOutcome, Unprovable, too_far


@dataclass(frozen=True)
class Stall(Fault):
    """A streamed answer begins well and then nothing more comes; the connection stays up.

    Only a timeout between chunks notices. The rest of the answer arrives when the fault clears. Requests that do
    not stream are left alone.

    after: how many events of the stream get through first.
    """

    kind = "stall"
    colour = "#f6e8c3"
    acts = Point.EVENT
    ends = Point.EVENT
    probe_streams = True

    after: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 4

    def decide(self, request: RequestSeen, rng: random.Random) -> Decision:
        """Every streamed request stalls."""
        return StallStream(self.after) if request.stream else Proceed()

    def proves(self, outcome: ProbeOutcome) -> bool:
        """The answer begins, and falls silent where it should."""
        return outcome.came is Came.SILENT and outcome.events == self.after and outcome.late

    def unprovable(self, answer: AnswerSize) -> Unprovable | None:
        """A stream must go as far."""
        return too_far(self.after, answer)
