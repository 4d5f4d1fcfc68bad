"""What a route is: how the traffic of a gateway comes to the planes.

A route is one module of this package, with a `RouteKind` that says what it cannot do and begins a `Way` for each run.
The run knows no route: it asks the way for certificates before the planes start, for addresses and for the gateway's
launch when their ports are known, and leaves the way's context when the gateway has ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from drills.address import Reach
from drills.clock import Clock
from drills.events import AnyEvent
from drills.gateways.base import Discovery, Entrance, Gateway, RunsAlready
from drills.ground import OUTSIDE, Ground, Stand
from drills.legs import Sharing
from drills.problems import Problem
from drills.routes import Route
from drills.targets import Targets
from faults.base import Lookups
from faults.handshake import Certificate
from faults.planes.control import Pem

Certificates = Mapping[str, dict[Certificate, Pem]]
"""By leg or shared host, what it may show in TLS handshakes; what is not in it speaks plain HTTP."""


@dataclass(frozen=True)
class Planned:
    """What a route is asked about before anything is started."""

    gateway: Gateway | RunsAlready
    found: Discovery
    targets: Targets


@dataclass(frozen=True)
class Scene:
    """What a run gives the way of its traffic.

    port: the loopback port on which the gateway shall listen. private: the run's private folder; the gateway's keeper
    makes it before the gateway starts, writes `Launch.files` into it and deletes it, also when the run was killed.
    """

    gateway: Gateway | RunsAlready
    found: Discovery
    port: int
    private: Path
    clock: Clock
    emit: Callable[[AnyEvent], None]


class Way(Protocol):
    """One route in one run. `lost` is set when it leads nowhere any more: the drill then ends."""

    lost: asyncio.Event

    def ground(self) -> AbstractAsyncContextManager[Ground]:
        """Where every process of the run lives. The first to be entered and the last to be left."""

    def behind(self) -> AbstractAsyncContextManager[Mapping[str, int]]:
        """The legs that no simulated provider answers, with the loopback port that leads to who does. Entered before
        the planes start. Raises `UsageProblem` when nobody is there.
        """

    def stands(self) -> Mapping[str, Stand]:
        """Where each leg and each shared host stands in a private network; empty where any loopback port will do. Asked
        before the planes start.
        """

    def shared(self) -> Mapping[str, Sharing]:
        """The hosts, by `host:port`, that several legs share: each has a place of its own in the planes. Asked before
        they start.
        """

    def certificates(self) -> Certificates:
        """What legs and shared hosts may show in TLS handshakes. Asked before the planes start."""

    def reach(self, ports: Mapping[str, int]) -> Reach:
        """How the drill's own probes reach each leg, at its port or that of its host, as the gateway's requests do."""

    def open(self, ports: Mapping[str, int]) -> AbstractAsyncContextManager[Entrance]:
        """Lead to each leg's loopback port whatever the gateway sends to the leg: in the context, all that its `Launch`
        needs is there. Left when the gateway has ended. Only the entrance, of a gateway that runs already.
        """


class Simulated:
    """The part of a way whose legs are all answered by simulated providers."""

    def behind(self) -> AbstractAsyncContextManager[Mapping[str, int]]:
        """None."""
        return nullcontext({})


class Outside:
    """The part of a way whose run has no network of its own."""

    def ground(self) -> AbstractAsyncContextManager[Ground]:
        """The machine as it is."""
        return nullcontext(OUTSIDE)

    def stands(self) -> Mapping[str, Stand]:
        """Nowhere in particular."""
        return {}


def unencrypted(planned: Planned) -> Iterator[Problem]:
    """Faults of TLS, on a route on which nothing is encrypted."""
    for use, _ in planned.targets:
        if use.fault.handshake() is not None:
            what = f"fault {use.kind!r} needs TLS between the gateway and its legs"
            yield Problem(f"{what}; use --route {Route.FORWARD} or --route {Route.SEALED}", use.place)


class Apart:
    """The part of a way on which every leg has a place to itself."""

    def shared(self) -> Mapping[str, Sharing]:
        """None."""
        return {}


def unanswerable(planned: Planned) -> Iterator[Problem]:
    """Faults of names, on a route on which the drill is not the gateway's name server."""
    for use, _ in planned.targets:
        if use.fault.lookups() is not Lookups.ANSWERED:
            what = f"fault {use.kind!r} needs the drill to be the gateway's name server"
            yield Problem(f"{what}; use --route {Route.SEALED}", use.place)


class RouteKind(Protocol):
    """One route."""

    name: Route

    def problems(self, planned: Planned) -> Iterator[Problem]:
        """Why this gateway, config or scenario cannot be drilled on this route; each with its place, if it has one."""

    def lacks(self) -> str:
        """What this machine lacks for it, in one sentence; empty when nothing. Changes nothing."""

    def notes(self, found: Discovery) -> tuple[str, ...]:
        """What a person should know about this config on this route."""

    def begin(self, scene: Scene) -> Way:
        """The way of one run. Starts nothing."""
