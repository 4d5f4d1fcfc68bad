"""wire_bandwidth: a line that is too thin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import msgspec

from faults.base import Fault, Passage, Toxic
from faults.proof import AnswerSize, Extent, Point, ProbeOutcome, Unprovable, too_wide


@dataclass(frozen=True)
class WireBandwidth(Fault):
    """What the leg sends trickles through a thin line. Carried out by Toxiproxy.

    Small answers hardly notice. Open connections meet it with their next byte.

    kilobytes_per_s: how much gets through; a kilobyte is 1000 bytes.
    """

    kind = "wire_bandwidth"
    colour = "#fec44f"
    acts = Point.REST
    plane = "toxi"
    probe_streams = True

    kilobytes_per_s: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]

    def toxic(self) -> Toxic:
        """Limit the rate downstream, in KB/s."""
        return Toxic(type="bandwidth", attributes={"rate": self.kilobytes_per_s})

    def meets(self, passage: Passage) -> bool:
        """Some of an answer came."""
        return passage.sent > 0

    def proves(self, outcome: ProbeOutcome) -> bool:
        """The answer is late, and none of it came faster than the line is wide."""
        return outcome.only_late and outcome.took_s >= 0.9 * len(outcome.body) / (self.kilobytes_per_s * 1000)

    def costs_s(self, answer: Extent) -> float:
        """Its bytes at this rate."""
        return answer.size / (self.kilobytes_per_s * 1000)

    def unprovable(self, answer: AnswerSize) -> Unprovable | None:
        """A stream must take clearly longer than the leg needs for it."""
        return too_wide("kilobytes_per_s", self.kilobytes_per_s * 1000, answer)
