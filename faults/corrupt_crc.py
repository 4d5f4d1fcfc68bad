"""corrupt_crc: a frame of a Bedrock stream whose checksum is wrong."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Annotated

import msgspec

from faults.base import Decision, Fault, Proceed, RequestSeen, SpoilEvent
from faults.proof import AnswerSize, Came, Point, ProbeOutcome, Unprovable, too_far

_FRAMED = {"converse-stream", "invoke-with-response-stream"}
"""The operations, all of them Bedrock's, whose streams have checksums."""


@dataclass(frozen=True)
class CorruptCrc(Fault):
    """One frame of a Bedrock stream fails its checksum, and the stream goes on: bytes were damaged on their way.

    A reader that does not check passes damaged words on; botocore raises `ChecksumMismatch` in the middle of an answer
    that the caller has begun to read. Only Bedrock's event streams have checksums: on any other leg, and for requests
    that do not stream, the fault does nothing, and a drill in which it does nothing is invalid.

    after: how many frames of the stream get through first; the next one is damaged.
    """

    kind = "corrupt_crc"
    colour = "#35978f"
    acts = Point.EVENT
    ends = Point.EVENT
    probe_streams = True

    after: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 4

    def decide(self, request: RequestSeen, rng: random.Random) -> Decision:
        """Every stream in frames gets one bad checksum."""
        return SpoilEvent(self.after, "crc") if request.operation in _FRAMED else Proceed()

    def proves(self, outcome: ProbeOutcome) -> bool:
        """The stream goes on behind the event, and cannot be read."""
        return outcome.came is Came.WRONG and outcome.shape is None and outcome.events > self.after

    def unprovable(self, answer: AnswerSize) -> Unprovable | None:
        """A stream must go as far."""
        return too_far(self.after, answer)
