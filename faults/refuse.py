"""refuse: the port is closed."""

from __future__ import annotations

from dataclasses import dataclass

from faults.base import Connections, Fault
from faults.proof import Point


@dataclass(frozen=True)
class Refuse(Fault):
    """Nothing listens any more: new connects get ECONNREFUSED, open connections are reset.

    What a crashed or stopped endpoint looks like. The kindest outage: the gateway learns of it at once.
    """

    kind = "refuse"
    colour = "#b2182b"
    acts = Point.REFUSED
    ends = Point.REFUSED
    proof_waits = False

    def connections(self) -> Connections:
        """Every connection, new and pooled, meets the closed port."""
        return Connections.REFUSED
