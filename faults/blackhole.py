"""blackhole: packets vanish."""

from __future__ import annotations

from dataclasses import dataclass

from faults.base import Connections, Fault
from faults.proof import Point


@dataclass(frozen=True)
class Blackhole(Fault):
    """Packets vanish: new connects hang, open connections stay up and carry nothing in either direction.

    What the loss of a region or of a network looks like. Nobody is told, so only the gateway's own timeouts can
    notice. A gateway without a connect timeout waits as long as its caller does.
    """

    kind = "blackhole"
    colour = "#67001f"
    acts = Point.CONNECT
    ends = Point.CONNECT

    def connections(self) -> Connections:
        """Every connection, new and pooled, goes silent."""
        return Connections.BLACKHOLED
