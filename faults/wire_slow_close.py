"""wire_slow_close: connections that do not end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import msgspec

from drills.units import Seconds
from faults.base import Fault, Passage, Toxic
from faults.proof import DELAY_AT_LEAST_S, AnswerSize, Came, Extent, Point, ProbeOutcome, Unprovable, too_short


@dataclass(frozen=True)
class WireSlowClose(Fault):
    """The end of a connection that the leg closes arrives late. Carried out by Toxiproxy.

    It acts only when a connection ends, so pooled connections that stay open and answers with a stated length never
    notice. Open connections meet it too, when they close.

    delay: how late the end is.
    """

    kind = "wire_slow_close"
    colour = "#ec7014"
    acts = Point.CLOSE
    plane = "toxi"
    probe_closes = True

    delay: Annotated[Seconds, msgspec.Meta(ge=0.001, le=600)]

    def toxic(self) -> Toxic:
        """Delay the close downstream, in milliseconds."""
        return Toxic(type="slow_close", attributes={"delay": round(self.delay * 1000)})

    def meets(self, passage: Passage) -> bool:
        """Its connection ended meanwhile; pooled ones go on."""
        return passage.closed

    def proves(self, outcome: ProbeOutcome) -> bool:
        """The right answer comes, and the end of its connection not before its time, or not yet."""
        if outcome.came is Came.WHOLE:
            return outcome.late_by(self.delay)
        waiting = outcome.came is Came.SILENT and outcome.body != b"" and outcome.late
        return waiting and outcome.too_soon_for(self.delay)

    def costs_s(self, answer: Extent) -> float:
        """Who waits for the end waits for so long."""
        return self.delay if answer.to_end else 0.0

    def unprovable(self, answer: AnswerSize) -> Unprovable | None:
        """The delay must be told from noise."""
        return too_short("delay", self.delay, 2 * DELAY_AT_LEAST_S)  # how a connection ends is the noisiest of all
