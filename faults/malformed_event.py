"""malformed_event: one event of a stream that no parser reads."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Annotated

import msgspec

from faults.base import Decision, Fault, Proceed, RequestSeen, SpoilEvent
from faults.proof import AnswerSize, Came, Point, ProbeOutcome, Unprovable, too_far


@dataclass(frozen=True)
class MalformedEvent(Fault):
    """One event of a stream has broken JSON in it, and the stream goes on as if nothing were wrong.

    The framing is right: a server-sent event with half its JSON, or a Bedrock frame with good checksums and half its
    payload. A gateway that skips what it cannot parse loses words without a trace; one that does not catch its
    parser's exception drops the caller. What a proxy does that cuts long lines. Requests that do not stream are left
    alone.

    after: how many events of the stream get through first; the next one is broken.
    """

    kind = "malformed_event"
    colour = "#80cdc1"
    acts = Point.EVENT
    ends = Point.EVENT
    probe_streams = True

    after: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 4

    def decide(self, request: RequestSeen, rng: random.Random) -> Decision:
        """Every streamed request gets one broken event."""
        return SpoilEvent(self.after, "malformed") if request.stream else Proceed()

    def proves(self, outcome: ProbeOutcome) -> bool:
        """The stream goes on behind the event, and cannot be read."""
        return outcome.came is Came.WRONG and outcome.shape is None and outcome.events > self.after

    def unprovable(self, answer: AnswerSize) -> Unprovable | None:
        """A stream must go as far."""
        return too_far(self.after, answer)
