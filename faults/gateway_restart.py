"""gateway_restart: the gateway is restarted."""

from __future__ import annotations

from dataclasses import dataclass

from faults.base import Deed, Deeds, Fault


@dataclass(frozen=True)
class GatewayRestart(Fault):
    """The gateway is asked to stop (SIGTERM; killed after 10 s) and started again when the phase begins.

    What a deployment looks like. Callers are refused until it is ready; what it knew about sick legs, such as their
    cooldown, may be forgotten. Nothing happens when the fault ends.
    """

    kind = "gateway_restart"
    colour = "#7fbc41"
    plane = "process"

    def deeds(self) -> Deeds:
        """What is done to the gateway."""
        return Deeds(begin=(Deed.STOP, Deed.START), end=())
