"""wire_timeout: answers vanish, and then the connection ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import msgspec

from drills.units import Seconds
from faults.base import Fault, Toxic
from faults.proof import Came, Point, ProbeOutcome


@dataclass(frozen=True)
class WireTimeout(Fault):
    """Requests reach the leg, its answers vanish, and connections are closed after a while. Carried out by Toxiproxy.

    The provider works and bills; the gateway waits. Open connections meet it at once. What vanished cannot come back,
    so the end of the fault closes every connection that met it.

    timeout: how long a connection stays silent before it is closed.
    """

    kind = "wire_timeout"
    colour = "#993404"
    acts = Point.LINE
    ends = Point.HELD
    plane = "toxi"

    timeout: Annotated[Seconds, msgspec.Meta(ge=0.001, le=600)]

    def toxic(self) -> Toxic:
        """Drop downstream, and close after the timeout in milliseconds."""
        return Toxic(type="timeout", attributes={"timeout": round(self.timeout * 1000)})

    def proves(self, outcome: ProbeOutcome) -> bool:
        """Nothing comes back, and the connection ends when its time is over, or not yet."""
        if outcome.came is Came.RESET:
            return outcome.took_s >= 0.9 * self.timeout
        return outcome.unanswered and outcome.too_soon_for(self.timeout)
