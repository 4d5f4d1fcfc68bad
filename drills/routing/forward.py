"""forward: the gateway runs with its own config, and is told by its environment to use a proxy of the run's.

The proxy (`faults/planes/relay.py`) leads each leg's host to the leg's plane and every other host nowhere. The legs
speak TLS with certificates by the run's authority, which the environment tells the gateway to trust, and no other. What
does not heed the environment goes past it all: `sealed` is the route for that.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import msgspec

from drills.children import Child
from drills.events import HostTried, PlaneTrouble
from drills.gateways.base import Discovery, Entrance, TakesUnchanged
from drills.problems import Problem
from drills.routes import Route
from drills.routing import unchanged
from drills.routing.base import Outside, Planned, Scene, Way, unanswerable
from drills.routing.surroundings import proxied, together, trust
from faults.planes.control import RelayReady, RelaySpec

_READY_WITHIN_S = 20.0


class Forward:
    """Needs a gateway that heeds proxy variables."""

    name = Route.FORWARD

    def problems(self, planned: Planned) -> Iterator[Problem]:
        """What any route with an unchanged config needs, and that nothing of the config leads past the proxy."""
        yield from unchanged.problems(planned)
        yield from planned.found.past_proxies
        for leg in unchanged.sound(planned.found.legs):
            for host in unchanged.hosts_of(leg):
                if host.here:
                    what = f"leg {leg.name}: {host.authority} is on this machine, which no gateway asks a proxy for"
                    instead = f"use --route {Route.REWRITE} or --route {Route.SEALED}"
                    yield Problem(f"{what}; {instead}", planned.found.places.get(leg.name))
        yield from unanswerable(planned)

    def lacks(self) -> str:
        """Nothing."""
        return ""

    def notes(self, found: Discovery) -> tuple[str, ...]:
        """What stays in the config, and what the route cannot promise."""
        leak = "what ignores HTTPS_PROXY and the like goes past the drill on this route; --route sealed holds it"
        return (*unchanged.notes(found), leak)

    def begin(self, scene: Scene) -> Way:
        """The way of one run."""
        return _Forwarding(scene)


class _Forwarding(Outside, unchanged.Unchanged):
    """A relay, and the variables that lead to it."""

    def open(self, ports: Mapping[str, int]) -> AbstractAsyncContextManager[Entrance]:
        """Start the relay; the gateway's launch."""
        return self._open(ports)

    @asynccontextmanager
    async def _open(self, ports: Mapping[str, int]) -> AsyncIterator[Entrance]:
        scene, gateway = self.scene, self.scene.gateway
        if not isinstance(gateway, TakesUnchanged):
            raise TypeError(f"{gateway.name} does not take its config unchanged")
        spec = RelaySpec(origin_s=scene.clock.origin_s, hosts=self.led(ports))
        relay = await Child.start("relay", "faults.planes.relay", spec)
        try:
            ready = msgspec.json.decode(await relay.first_line(_READY_WITHIN_S), type=RelayReady)
            relay.listen(self._hear, self._mourn)
            around = together(proxied(ready.port, scene.private), trust(self.authority, scene.private))
            launch = gateway.launch_unchanged(scene.found, around.env, scene.port, scene.private)
            yield msgspec.structs.replace(launch, blobs=launch.blobs | around.files)
        finally:
            await relay.end()

    def _hear(self, line: bytes) -> None:
        self.scene.emit(msgspec.json.decode(line, type=HostTried))

    def _mourn(self, last_words: str) -> None:
        self.scene.emit(PlaneTrouble(at_s=self.scene.clock.now_s(), what=f"the relay ended: {last_words}"))
        self.lost.set()


ROUTE = Forward()
