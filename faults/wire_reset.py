"""wire_reset: the connection dies when the answer begins."""

from __future__ import annotations

from dataclasses import dataclass

from faults.base import Fault, Passage, Toxic
from faults.proof import Came, Point, ProbeOutcome


@dataclass(frozen=True)
class WireReset(Fault):
    """Every connection is reset (TCP RST) when the first byte of an answer comes. Carried out by Toxiproxy.

    The provider has worked and billed. Toxiproxy can reset only connections that are made after the fault began:
    those that are open are closed politely (FIN) at its beginning, and for the few milliseconds that this takes, new
    connects are refused.
    """

    kind = "wire_reset"
    colour = "#ae017e"
    acts = Point.BYTES
    ends = Point.BYTES
    plane = "toxi"

    def toxic(self) -> Toxic:
        """Reset downstream, at once."""
        return Toxic(type="reset_peer", attributes={"timeout": 0}, cuts=True)

    def meets(self, passage: Passage) -> bool:
        """Some of an answer came."""
        return passage.sent > 0

    def proves(self, outcome: ProbeOutcome) -> bool:
        """The connection dies before any of the answer is there."""
        return outcome.came is Came.RESET
