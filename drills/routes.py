"""How the gateway's traffic comes to the planes."""

from __future__ import annotations

import enum


class Route(enum.StrEnum):
    """One way of leading a gateway's traffic through the planes."""

    REWRITE = "rewrite"
    """A private copy of the gateway's config, its base URLs replaced by the planes' loopback ports. Plain HTTP."""
    FORWARD = "forward"
    """The config unchanged; a proxy and a certificate authority of the run in the gateway's environment."""
    SEALED = "sealed"
    """The config unchanged; a private network in which the providers' host names lead to the planes, and nothing else
    does. Linux.
    """
    FIXED = "fixed"
    """A gateway that runs already, its upstreams set to the planes, on ports that its legs file says. Plain HTTP."""
    FRONT = "front"
    """A gateway that runs already, and behind which nothing is seen: the planes stand between its callers and it."""
