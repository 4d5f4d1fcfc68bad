"""gateway_kill: the gateway crashes."""

from __future__ import annotations

from dataclasses import dataclass

from faults.base import Deed, Deeds, Fault


@dataclass(frozen=True)
class GatewayKill(Fault):
    """The gateway is killed with all its processes (SIGKILL), and the drill starts it again when the fault ends.

    What a crash or a lost node looks like: callers are refused until somebody starts a gateway again. Its start-up time
    is not part of the fault; it shows as excess outage after it.
    """

    kind = "gateway_kill"
    colour = "#bf812d"
    plane = "process"

    def deeds(self) -> Deeds:
        """What is done to the gateway."""
        return Deeds(begin=(Deed.KILL,), end=(Deed.START,))
