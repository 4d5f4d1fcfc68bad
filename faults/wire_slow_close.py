"""wire_slow_close: connections that do not end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import msgspec

from drills.units import Seconds
from faults.base import Fault, Toxic


@dataclass(frozen=True)
class WireSlowClose(Fault):
    """The end of a connection that the leg closes arrives late. Carried out by Toxiproxy.

    It acts only when a connection ends, so pooled connections that stay open and answers with a stated length never
    notice. Open connections meet it too, when they close.

    delay: how late the end is.
    """

    kind = "wire_slow_close"
    colour = "#ec7014"
    plane = "toxi"

    delay: Annotated[Seconds, msgspec.Meta(ge=0.001, le=600)]

    def toxic(self) -> Toxic:
        """Delay the close downstream, in milliseconds."""
        return Toxic(type="slow_close", attributes={"delay": round(self.delay * 1000)})
