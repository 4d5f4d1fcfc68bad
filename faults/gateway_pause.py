"""gateway_pause: the gateway freezes."""

from __future__ import annotations

from dataclasses import dataclass

from faults.base import Deed, Deeds, Fault


@dataclass(frozen=True)
class GatewayPause(Fault):
    """The gateway stops with all its processes (SIGSTOP) and goes on when the fault ends (SIGCONT).

    What a node that swaps, or a virtual machine that moves, looks like: connects succeed, because the kernel accepts
    them, and nothing answers. Timers of the gateway that ran out in the meantime all fire at once when it goes on.
    """

    kind = "gateway_pause"
    colour = "#de77ae"
    plane = "process"

    def deeds(self) -> Deeds:
        """What is done to the gateway."""
        return Deeds(begin=(Deed.PAUSE,), end=(Deed.RESUME,))
