"""wire_slicer: the answer comes in crumbs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import msgspec

from drills.units import Seconds
from faults.base import Fault, Toxic


@dataclass(frozen=True)
class WireSlicer(Fault):
    """What the leg sends is cut into small pieces with a pause after each. Carried out by Toxiproxy.

    Finds readers that take a piece of a stream for a whole event. Open connections meet it with their next byte.

    average_size: size of a piece in bytes; pieces are halved until none is larger.
    delay: the pause after each piece.
    """

    kind = "wire_slicer"
    colour = "#fe9929"
    plane = "toxi"

    average_size: Annotated[int, msgspec.Meta(ge=1, le=65_536)] = 64
    delay: Annotated[Seconds, msgspec.Meta(le=10)] = 0.0

    def toxic(self) -> Toxic:
        """Slice downstream; the delay is in microseconds."""
        return Toxic(
            type="slicer",
            attributes={"average_size": self.average_size, "size_variation": 0, "delay": round(self.delay * 1e6)},
        )
