"""fixed: a gateway that runs already calls the planes, because whoever runs it has set its upstreams to them.

The planes take the ports that its legs file says; nothing of the gateway is started, stopped or changed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from drills.address import Address, Reach
from drills.gateways.base import Discovery, Entrance, RunsAlready
from drills.ground import Stand
from drills.problems import Problem
from drills.routes import Route
from drills.routing.base import Apart, Certificates, Outside, Planned, Scene, Simulated, Way, unanswerable, unencrypted


class Fixed:
    """Needs a gateway's URL."""

    name = Route.FIXED

    def problems(self, planned: Planned) -> Iterator[Problem]:
        """That there is such a gateway; and faults of TLS and of names, of which there are none here."""
        if not isinstance(planned.gateway, RunsAlready):
            yield Problem(f"--route {self.name} is for a gateway that runs already: --gateway http://host:port")
        yield from unencrypted(planned)
        yield from unanswerable(planned)

    def lacks(self) -> str:
        """Nothing."""
        return ""

    def notes(self, found: Discovery) -> tuple[str, ...]:
        """The adapter says it all."""
        return ()

    def begin(self, scene: Scene) -> Way:
        """The way of one run."""
        return _Fixed(scene)


class _Fixed(Outside, Apart, Simulated):
    """The ports are there, and the gateway is."""

    def __init__(self, scene: Scene) -> None:
        self.lost = asyncio.Event()  # never set: nothing stands between the gateway and the planes
        self._scene = scene

    def stands(self) -> Mapping[str, Stand]:
        """Where the gateway calls its legs."""
        return {leg: Stand(("127.0.0.1", port)) for leg, port in self._scene.found.ports.items()}

    def certificates(self) -> Certificates:
        """None: the planes' base URLs are http://."""
        return {}

    def reach(self, ports: Mapping[str, int]) -> Reach:
        """Plain HTTP to each port."""
        return Reach(addresses={name: Address(port) for name, port in ports.items()})

    def open(self, ports: Mapping[str, int]) -> AbstractAsyncContextManager[Entrance]:
        """Where the gateway is."""
        return self._open()

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[Entrance]:
        gateway = self._scene.gateway
        if not isinstance(gateway, RunsAlready):
            raise TypeError(f"{gateway.name} does not run already")
        yield gateway.entrance()


ROUTE = Fixed()
