"""wire_slicer: the answer comes in crumbs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import msgspec

from drills.units import Seconds
from faults.base import Fault, Passage, Toxic
from faults.proof import LATE_BY_S, SMALL_PIECES, AnswerSize, Came, Extent, Point, ProbeOutcome, Unprovable

_TELLING = 128
"""Pieces up to this size are told from the usual ones: measured, 1 to 123 bytes for each segment against 386 and more,
in every dialect. The kernel joins some of those that come at once.
"""


@dataclass(frozen=True)
class WireSlicer(Fault):
    """What the leg sends is cut into small pieces with a pause after each. Carried out by Toxiproxy.

    Finds readers that take a piece of a stream for a whole event. Open connections meet it with their next byte.

    average_size: size of a piece in bytes; pieces are halved until none is larger.
    delay: the pause after each piece.
    """

    kind = "wire_slicer"
    colour = "#fe9929"
    acts = Point.REST
    plane = "toxi"

    average_size: Annotated[int, msgspec.Meta(ge=1, le=65_536)] = 64
    delay: Annotated[Seconds, msgspec.Meta(le=10)] = 0.0

    def toxic(self) -> Toxic:
        """Slice downstream; the delay is in microseconds."""
        return Toxic(
            type="slicer",
            attributes={"average_size": self.average_size, "size_variation": 0, "delay": round(self.delay * 1e6)},
        )

    def meets(self, passage: Passage) -> bool:
        """It got more than one piece."""
        return passage.sent > self.average_size

    def proves(self, outcome: ProbeOutcome) -> bool:
        """The right answer comes in pieces that are small, as the kernel counted them, or late for their
        pauses, perhaps not all yet.
        """
        if outcome.came is Came.WHOLE and self._small(outcome):
            return True
        return self.delay > 0 and outcome.late and outcome.came in {Came.WHOLE, Came.SILENT}

    def costs_s(self, answer: Extent) -> float:
        """A pause for each piece; what is halved until it is small enough may be in twice as many."""
        return self.delay * 2 * math.ceil(answer.size / self.average_size)

    def unprovable(self, answer: AnswerSize) -> Unprovable | None:
        """The pieces must be small, or the pauses between them long enough together."""
        pauses_s = round(self.delay * (math.ceil(answer.whole_bytes / self.average_size) - 1), 6)
        if self.average_size <= _TELLING or pauses_s >= LATE_BY_S:
            return None
        needed = (
            f"pieces of up to {_TELLING} bytes are needed, or pauses of {LATE_BY_S:g}s in all, in an answer of "
            f"{answer.whole_bytes} bytes"
        )
        return Unprovable("average_size", needed)

    def restored(self, outcome: ProbeOutcome) -> bool:
        """The usual answer comes, and not in small pieces."""
        return super().restored(outcome) and not self._small(outcome)

    def _small(self, outcome: ProbeOutcome) -> bool:
        return outcome.piece_size is not None and outcome.piece_size < SMALL_PIECES
