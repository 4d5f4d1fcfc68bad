"""tls_handshake_hang: the connect is accepted, and the handshake is not answered."""

from __future__ import annotations

from dataclasses import dataclass

from faults.base import Fault
from faults.handshake import Handshake
from faults.proof import Point


@dataclass(frozen=True)
class TlsHandshakeHang(Fault):
    """Connects are accepted, and no TLS handshake is ever answered; open connections are reset.

    What a load balancer looks like that is up while what ends TLS behind it is stuck. A timeout for the TCP connect
    does not notice; clients differ in whether their connect timeout counts the handshake. Needs a route with TLS.
    """

    kind = "tls_handshake_hang"
    colour = "#2d004b"
    acts = Point.HANDSHAKE_HUNG
    ends = Point.HANDSHAKE_HUNG

    def handshake(self) -> Handshake:
        """Silence."""
        return Handshake(answered=False)
