"""Where the legs listen, and in whose name. Pure."""

from __future__ import annotations

import msgspec

from drills.ground import OUTSIDE, Ground
from drills.providers.base import ProbeRequest


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


class Dress(msgspec.Struct, frozen=True, kw_only=True):
    """How a leg is asked that no simulated provider answers: at another path, and with headers of its own. Its answers
    carry no signature: any text is one.
    """

    path: str
    headers: tuple[tuple[str, str], ...]

    def on(self, request: ProbeRequest) -> ProbeRequest:
        """A probe as this leg takes it."""
        own = {"authorization", *(name.lower() for name, _ in self.headers)}
        kept = tuple((name, value) for name, value in request.headers if name.lower() not in own)
        return msgspec.structs.replace(request, path=self.path, headers=(*kept, *self.headers))


class Reach(msgspec.Struct, frozen=True, kw_only=True):
    """How the drill's own requests reach the legs as the gateway's do, past the gateway.

    identity: where each leg's identity service is, if that is another place than the leg's model.

    authority: who vouches for the legs that speak TLS, as PEM; empty when none does. names: the host name of each leg
    whose name the gateway looks up at the drill's own name server. ground: where all that is. dress: of legs that no
    simulated provider answers.
    """

    addresses: dict[str, Address]
    identity: dict[str, Address] = {}
    authority: str = ""
    names: dict[str, str] = {}
    ground: Ground = OUTSIDE
    dress: dict[str, Dress] = {}
