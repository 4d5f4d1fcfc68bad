"""wire_down: the line is cut."""

from __future__ import annotations

from dataclasses import dataclass

from faults.base import DOWN, Connections, Fault, Toxic
from faults.proof import Point


@dataclass(frozen=True)
class WireDown(Fault):
    """Nothing listens on the leg's line any more, and open connections are closed. Carried out by Toxiproxy.

    Like `refuse`, but open connections end politely (FIN) and not with a reset, as when a load balancer is taken away.
    """

    kind = "wire_down"
    colour = "#7a0177"
    acts = Point.REFUSED
    ends = Point.REFUSED
    plane = "toxi"
    proof_waits = False

    def connections(self) -> Connections:
        """New connects are refused."""
        return Connections.REFUSED

    def toxic(self) -> Toxic:
        """Disable the proxy."""
        return Toxic(type=DOWN)
