"""Where the legs listen on loopback, and in whose name. Pure."""

from __future__ import annotations

import msgspec


class Address(msgspec.Struct, frozen=True):
    """A loopback port. host: the name for which it speaks TLS; empty when it speaks plain HTTP."""

    port: int
    host: str = ""

    @property
    def url(self) -> str:
        """Its base URL: scheme, loopback address and port."""
        return f"{'https' if self.host else 'http'}://127.0.0.1:{self.port}"


class Reach(msgspec.Struct, frozen=True, kw_only=True):
    """How the drill's own requests reach the legs as the gateway's do, past the gateway.

    authority: who vouches for the legs that speak TLS, as PEM; empty when none does.
    """

    addresses: dict[str, Address]
    authority: str = ""
