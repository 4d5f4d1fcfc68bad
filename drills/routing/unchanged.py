"""What the routes have in common on which the gateway keeps its config and calls its legs by their real names."""

from __future__ import annotations

import asyncio
import ipaddress
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

from drills.address import Address, Reach
from drills.authority import Authority
from drills.gateways.base import Discovery, TakesUnchanged
from drills.legs import Leg
from drills.problems import Problem
from drills.routes import Route
from drills.routing.base import Certificates, Planned, Scene


class Host(NamedTuple):
    """A host that a gateway calls for a leg."""

    name: str
    port: int
    tls: bool

    @property
    def authority(self) -> str:
        """Name and port."""
        return f"{self.name}:{self.port}"

    @property
    def here(self) -> bool:
        """Whether it is this machine: gateways call it past every proxy."""
        if self.name == "localhost" or self.name.endswith(".localhost"):
            return True
        try:
            return ipaddress.ip_address(self.name.strip("[]")).is_loopback
        except ValueError:
            return False


def hosts_of(leg: Leg) -> tuple[Host, ...]:
    """Every host of a leg, the model's first. All are called in TLS but an endpoint that is an http:// address."""
    endpoint = urlsplit(leg.endpoint)
    found = []
    for text in leg.hosts:
        name, colon, port = text.rpartition(":")
        if not (colon and port.isdigit()):
            name, port = text, "443"
        plain = endpoint.scheme == "http" and name == endpoint.hostname
        found.append(Host(name.lower().rstrip("."), int(port), not plain))
    return tuple(found)


def problems(planned: Planned) -> Iterator[Problem]:
    """What keeps any such route from being used with this gateway, config and scenario."""
    gateway, found = planned.gateway, planned.found
    if not isinstance(gateway, TakesUnchanged):
        yield Problem(f"{gateway.name} cannot be drilled with its config unchanged; use --route {Route.REWRITE}")
        return
    for leg in found.legs:
        if not leg.hosts:
            what = f"leg {leg.name}: the host that the gateway calls for it is not known from the config"
            yield Problem(f"{what}; write its base URL there, or use --route {Route.REWRITE}")
    for authority, legs in shared(found.legs).items():
        names = ", ".join(leg.name for leg in legs)
        what = f"the legs {names} share the host {authority}, so that their traffic cannot be told apart there"
        yield Problem(f"{what}; use --route {Route.REWRITE}")
    yield from _shared_services(planned)
    for use, hit in planned.targets:
        plain = [leg.name for leg in hit if leg.hosts and not hosts_of(leg)[0].tls]
        if plain and use.fault.handshake() is not None:
            what = f"fault {use.kind!r} needs TLS, and {', '.join(plain)} speaks plain HTTP"
            yield Problem(f"{what}; select other legs", use.place)


def _shared_services(planned: Planned) -> Iterator[Problem]:
    """Tokens that come from one host come from one place here, too: a fault of it hits all legs that ask there."""
    for use, hit in planned.targets:
        services = {host.authority for leg in hit for host in hosts_of(leg)[1:]} if use.fault.of_identity else set()
        spared = [
            leg
            for leg in planned.found.legs
            if leg not in hit and services.intersection(host.authority for host in hosts_of(leg)[1:])
        ]
        if spared:
            names, from_ = ", ".join(leg.name for leg in spared), ", ".join(sorted(services))
            what = f"fault {use.kind!r} on {use.selector} spares {names}, whose tokens come from the same {from_}"
            yield Problem(f"{what}; select all of these legs, or use --route {Route.REWRITE}", use.place)


def shared(legs: Sequence[Leg]) -> dict[str, list[Leg]]:
    """The models' hosts that belong to several legs."""
    found: dict[str, list[Leg]] = defaultdict(list)
    for leg in legs:
        if leg.hosts:
            found[hosts_of(leg)[0].authority].append(leg)
    return {host: owners for host, owners in found.items() if len(owners) > 1}


class Unchanged:
    """The part of such a way that does not depend on how the traffic is led: who vouches, and for which names."""

    def __init__(self, scene: Scene) -> None:
        self.lost = asyncio.Event()
        self.scene = scene
        self.authority = Authority()

    def certificates(self) -> Certificates:
        """For each leg, for the names of its hosts that are called in TLS."""
        named = {leg.name: [host.name for host in hosts_of(leg) if host.tls] for leg in self._legs}
        return {leg: self.authority.issue(names) for leg, names in named.items() if names}

    def reach(self, ports: Mapping[str, int]) -> Reach:
        """In the name of the model's host, in TLS where the gateway uses it."""
        found = {}
        for leg in self._legs:
            host = hosts_of(leg)[0]
            found[leg.name] = Address(ports[leg.name], host.name if host.tls else "")
        return Reach(addresses=found, authority=self.authority.pem)

    def led(self, ports: Mapping[str, int]) -> dict[str, int]:
        """Which loopback port each host leads to, by `host:port`."""
        found: dict[str, int] = {}
        for leg in self._legs:
            for host in hosts_of(leg):
                found.setdefault(host.authority, ports[leg.name])
        return found

    @property
    def _legs(self) -> tuple[Leg, ...]:
        return self.scene.found.legs


def notes(found: Discovery) -> tuple[str, ...]:
    """What stays in a config that is left alone, although a drill has nothing that would answer it."""
    return found.kept
