"""wire_limit_data: connections that end in mid-answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import msgspec

from faults.base import Fault, Passage, Toxic
from faults.proof import AnswerSize, Came, Point, ProbeOutcome, Unprovable


@dataclass(frozen=True)
class WireLimitData(Fault):
    """Each connection closes politely after so many bytes from the leg. Carried out by Toxiproxy.

    What is cut off looks like a normal end of the connection: only the length or the end mark of the answer tells.
    Connections that are open when the fault begins count from then on.

    bytes: how much each connection may still carry.
    """

    kind = "wire_limit_data"
    colour = "#cc4c02"
    acts = Point.REST
    ends = Point.BYTES
    plane = "toxi"
    probe_streams = True

    bytes: Annotated[int, msgspec.Meta(ge=1, le=1_000_000_000)]

    def toxic(self) -> Toxic:
        """Limit downstream."""
        return Toxic(type="limit_data", attributes={"bytes": self.bytes})

    def meets(self, passage: Passage) -> bool:
        """Its connection has carried more."""
        return passage.carried > self.bytes

    def proves(self, outcome: ProbeOutcome) -> bool:
        """The connection ends before the answer does, and not after more than it may carry."""
        return outcome.came in {Came.RESET, Came.BROKEN} and len(outcome.body) <= self.bytes

    def unprovable(self, answer: AnswerSize) -> Unprovable | None:
        """An answer must be longer."""
        if self.bytes < answer.stream_bytes:
            return None
        return Unprovable("bytes", f"the shortest streamed answer has {answer.stream_bytes} bytes, so it must be less")
