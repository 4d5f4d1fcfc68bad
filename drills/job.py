"""A job: all that a run needs, decided before anything is started."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from drills.gateways.base import Discovery, Gateway, MakesCalls, RunsAlready
from drills.people import NOBODY, People
from drills.plan import Plan
from drills.planeurls import plane_urls
from drills.routing.base import RouteKind
from drills.scenario import Scenario


@dataclass(frozen=True)
class Job:
    """All that a run needs, decided before anything is started."""

    scenario: Scenario
    found: Discovery
    plan: Plan
    gateway: Gateway | RunsAlready
    gateway_version: str
    route: RouteKind
    seed: int
    folder: Path
    port: int | None = None
    notes: tuple[str, ...] = ()
    """What a person should know before they read anything else."""
    people: People = NOBODY
    change: str | None = None
    toxiproxy: str = ""
    """The Toxiproxy server, as a program or as a URL, for scenarios that need one."""

    @property
    def application(self) -> MakesCalls | None:
        """The application that makes the calls, if one does: its requests are inferred."""
        return self.gateway if isinstance(self.gateway, MakesCalls) else None

    @property
    def upstreams(self) -> dict[str, str]:
        """By leg, what a gateway that runs already has to call."""
        return plane_urls(self.found.legs, self.found.ports)
