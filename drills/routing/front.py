"""front: the planes stand between the callers and a gateway that runs already, wherever it is.

What is behind the gateway is not seen. To the drill it is one leg, which the real gateway answers; faults are between
it and its callers, or are the loss of the gateway itself as its callers see it.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from urllib.parse import urlsplit

import msgspec

from drills.address import Address, Dress, Reach
from drills.bridge import bridge
from drills.gateways.base import Discovery, Entrance
from drills.gateways.front import LEG, FrontGateway
from drills.problems import Problem, UsageProblem
from drills.routes import Route
from drills.routing.base import Apart, Certificates, Outside, Planned, Scene, Way
from faults.base import Lookups


class Front:
    """Needs a gateway's URL."""

    name = Route.FRONT

    def problems(self, planned: Planned) -> Iterator[Problem]:
        """Faults of TLS and of names: callers reach the planes at an address, in plain HTTP."""
        for use, _ in planned.targets:
            if use.fault.handshake() is not None or use.fault.lookups() is not Lookups.ANSWERED:
                what = f"fault {use.kind!r} is one of TLS or of names, of which there are none on --route {self.name}"
                yield Problem(f"{what}; use 'refuse', 'blackhole' or 'reset'", use.place)

    def lacks(self) -> str:
        """Nothing."""
        return ""

    def notes(self, found: Discovery) -> tuple[str, ...]:
        """The adapter says it all."""
        return ()

    def begin(self, scene: Scene) -> Way:
        """The way of one run."""
        return _Fronting(scene)


class _Fronting(Outside, Apart):
    """A bridge to the gateway, behind the planes."""

    def __init__(self, scene: Scene) -> None:
        self.lost = asyncio.Event()  # never set: a gateway that goes away is what callers shall see
        gateway = scene.gateway
        if not isinstance(gateway, FrontGateway):
            raise TypeError(f"{gateway.name} is not seen from its front")
        self._entrance = gateway.entrance()
        self._url = urlsplit(self._entrance.base_url)
        self._headers = (*self._entrance.request_headers, ("Host", self._url.netloc))

    def behind(self) -> AbstractAsyncContextManager[Mapping[str, int]]:
        """The gateway."""
        return self._behind()

    @asynccontextmanager
    async def _behind(self) -> AsyncIterator[Mapping[str, int]]:
        tls = ssl.create_default_context() if self._url.scheme == "https" else None
        port = self._url.port or (80 if tls is None else 443)
        async with AsyncExitStack() as stack:
            try:
                here = await stack.enter_async_context(bridge(self._url.hostname or "", port, tls))
            except (OSError, TimeoutError, UnicodeError) as error:  # a host that cannot be a name is nowhere
                why = str(error) or "no answer"
                raise UsageProblem(f"no gateway answers at {self._entrance.base_url}: {why}") from None
            yield {LEG: here}

    def certificates(self) -> Certificates:
        """None: callers speak plain HTTP to the planes."""
        return {}

    def reach(self, ports: Mapping[str, int]) -> Reach:
        """Plain HTTP to each port; to the gateway as its callers speak to it."""
        dress = Dress(path=self._url.path + self._entrance.chat_path, headers=self._headers)
        return Reach(addresses={name: Address(port) for name, port in ports.items()}, dress={LEG: dress})

    def open(self, ports: Mapping[str, int]) -> AbstractAsyncContextManager[Entrance]:
        """The gateway, behind the plane."""
        return self._open(ports[LEG])

    @asynccontextmanager
    async def _open(self, port: int) -> AsyncIterator[Entrance]:
        url = Address(port).url + self._url.path
        yield msgspec.structs.replace(self._entrance, base_url=url, request_headers=self._headers)


ROUTE = Front()
