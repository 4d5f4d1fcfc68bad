"""Where the legs listen, and in whose name. Pure."""

from __future__ import annotations

import msgspec

from drills.ground import OUTSIDE, Ground


class Address(msgspec.Struct, frozen=True):
    """A port, on loopback if on no address of a private network. host: the name for which it speaks TLS; empty when it
    speaks plain HTTP.
    """

    port: int
    host: str = ""
    address: str = "127.0.0.1"

    @property
    def url(self) -> str:
        """Its base URL: scheme, address and port."""
        return f"{'https' if self.host else 'http'}://{self.address}:{self.port}"


class Reach(msgspec.Struct, frozen=True, kw_only=True):
    """How the drill's own requests reach the legs as the gateway's do, past the gateway.

    identity: where each leg's identity service is, if that is another place than the leg's model.

    authority: who vouches for the legs that speak TLS, as PEM; empty when none does. names: the host name of each leg
    whose name the gateway looks up at the drill's own name server. ground: where all that is.
    """

    addresses: dict[str, Address]
    identity: dict[str, Address] = {}
    authority: str = ""
    names: dict[str, str] = {}
    ground: Ground = OUTSIDE
