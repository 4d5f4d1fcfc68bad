"""rewrite: the gateway runs a private copy of its config in which every base URL is a plane's loopback port."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from drills import hostname
from drills.address import Address, Reach
from drills.gateways.base import Discovery, Entrance, RunsAlready
from drills.problems import Problem
from drills.routes import Route
from drills.routing.base import Apart, Certificates, Outside, Planned, Scene, Simulated, Way, unanswerable, unencrypted


class Rewrite:
    """Needs nothing of the gateway, and changes its config. Plain HTTP."""

    name = Route.REWRITE

    def problems(self, planned: Planned) -> Iterator[Problem]:
        """Nothing is encrypted here, and no name is looked up, so faults of these have nothing to break; what the
        adapter cannot put into a copy; and ports that do not exist, which the planes' would hide.
        """
        yield from planned.found.not_rewritten
        for leg in planned.found.legs:
            place = planned.found.places.get(leg.name)
            yield from (Problem(what, place) for what in hostname.without_port(leg.name, leg.hosts))
        yield from unencrypted(planned)
        yield from unanswerable(planned)

    def lacks(self) -> str:
        """Nothing."""
        return ""

    def notes(self, found: Discovery) -> tuple[str, ...]:
        """What the private copy leaves out."""
        return found.left_out

    def begin(self, scene: Scene) -> Way:
        """The way of one run."""
        return _Rewriting(scene)


class _Rewriting(Outside, Apart, Simulated):
    """The gateway's own base URLs lead to the planes."""

    def __init__(self, scene: Scene) -> None:
        self.lost = asyncio.Event()  # never set: nothing stands between the gateway and the planes
        self._scene = scene

    def certificates(self) -> Certificates:
        """None: the copy's base URLs are http://."""
        return {}

    def reach(self, ports: Mapping[str, int]) -> Reach:
        """Plain HTTP to each port."""
        return Reach(addresses={name: Address(port) for name, port in ports.items()})

    def open(self, ports: Mapping[str, int]) -> AbstractAsyncContextManager[Entrance]:
        """The private copy."""
        return self._open({name: Address(port).url for name, port in ports.items()})

    @asynccontextmanager
    async def _open(self, urls: Mapping[str, str]) -> AsyncIterator[Entrance]:
        scene, gateway = self._scene, self._scene.gateway
        if isinstance(gateway, RunsAlready):
            raise TypeError(f"{gateway.name} runs already")
        yield gateway.launch(scene.found, urls, scene.port, scene.private)


ROUTE = Rewrite()
