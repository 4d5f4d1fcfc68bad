"""What the routes have in common on which the gateway keeps its config and calls its legs by their real names."""

from __future__ import annotations

import asyncio
import ipaddress
import itertools
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from drills import hostname
from drills.address import Address, Reach
from drills.authority import Authority
from drills.gateways.base import Discovery, TakesUnchanged
from drills.legs import Leg, Sharing
from drills.problems import Problem
from drills.routes import Route
from drills.routing.base import Certificates, Planned, Scene, Simulated
from drills.scenario import FaultUse


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
    """Every host of a leg, the model's first. All are called in TLS but the model's, where the endpoint is http://.

    Raises `NoHostError` for what is none: `problems` says which legs have such.
    """
    plain = leg.endpoint.lower().startswith("http://")
    found = []
    for index, text in enumerate(leg.hosts):
        name, port = hostname.read(text)
        found.append(Host(name, 443 if port is None else port, not (plain and index == 0)))
    return tuple(found)


def sound(legs: Sequence[Leg]) -> tuple[Leg, ...]:
    """The legs whose hosts can be called; what the others have is no host."""
    return tuple(leg for leg in legs if not any(hostname.wrong(host) for host in leg.hosts))


def problems(planned: Planned) -> Iterator[Problem]:
    """What keeps any such route from being used with this gateway, config and scenario."""
    gateway, found = planned.gateway, planned.found
    if not isinstance(gateway, TakesUnchanged):
        yield Problem(f"{gateway.name} cannot be drilled with its config unchanged; use --route {Route.REWRITE}")
        return
    yield from found.not_unchanged
    legs = sound(found.legs)
    for leg in found.legs:
        place = found.places.get(leg.name)
        yield from (Problem(what, place) for what in hostname.wrong_of(leg.name, leg.hosts))
        if not leg.hosts:
            what = f"leg {leg.name}: the host that the gateway calls for it is not known from the config"
            yield Problem(f"{what}; write its base URL there, or use --route {Route.REWRITE}", place)
    yield from _inseparable(legs)
    for use, hit in planned.targets:
        plain = [leg.name for leg in sound(hit) if leg.hosts and not hosts_of(leg)[0].tls]
        if plain and use.fault.handshake() is not None:
            what = f"fault {use.kind!r} needs TLS, and {', '.join(plain)} speaks plain HTTP"
            yield Problem(f"{what}; select other legs", use.place)
        yield from _halves(use, hit, legs)


def _inseparable(legs: Sequence[Leg]) -> Iterator[Problem]:
    """Legs of the chain that share a host and a model: nothing in a request says which of them it is for."""
    for authority, sharing in shared(legs).items():
        there = [leg for leg in legs if leg.name in sharing.legs and leg.role is not None] if sharing.models else []
        for one, other in itertools.combinations(there, 2):
            if one.model == other.model:
                what = f"the legs {one.name} and {other.name} share the host {authority} and the model {one.model}, so"
                yield Problem(f"{what} that their traffic cannot be told apart there; use --route {Route.REWRITE}")


def _halves(use: FaultUse, hit: Sequence[Leg], legs: Sequence[Leg]) -> Iterator[Problem]:
    """Faults of a host that are asked for on some of the legs that share it."""
    names = {leg.name for leg in hit}
    for authority, sharing in shared(legs).items():
        if names.isdisjoint(sharing.legs):
            continue
        of_host = use.fault.of_identity if not sharing.models else not use.fault.sees_requests
        everybody = ", ".join(sharing.deciding)
        if use.fault.plane == "toxi" and sharing.models:
            what = f"fault {use.kind!r} is one of a line, and {authority} is one line for {everybody}"
            yield Problem(f"{what}; use --route {Route.REWRITE}", use.place)
        elif use.fault.plane == "mitm" and of_host and not names.issuperset(sharing.deciding):
            what = f"fault {use.kind!r} concerns the whole host {authority}, which {everybody} share"
            yield Problem(f"{what}; select all of them, or use --route {Route.REWRITE}", use.place)


def shared(legs: Sequence[Leg]) -> dict[str, Sharing]:
    """The hosts that belong to several legs, by `host:port`."""
    owners: dict[str, list[Leg]] = defaultdict(list)
    for leg in sorted(legs, key=lambda leg: leg.role is None):
        for authority in dict.fromkeys(host.authority for host in hosts_of(leg)):
            owners[authority].append(leg)
    return {
        authority: Sharing(
            legs=tuple(leg.name for leg in there),
            deciding=tuple(leg.name for leg in there if leg.role is not None) or tuple(leg.name for leg in there),
            models=any(hosts_of(leg)[0].authority == authority for leg in there),
        )
        for authority, there in owners.items()
        if len(there) > 1
    }


class Unchanged(Simulated):
    """The part of such a way that does not depend on how the traffic is led: who vouches, and for which names."""

    def __init__(self, scene: Scene) -> None:
        self.lost = asyncio.Event()
        self.scene = scene
        self.authority = Authority()
        self._shared = shared(scene.found.legs)

    def shared(self) -> Mapping[str, Sharing]:
        """The hosts that belong to several legs."""
        return self._shared

    def certificates(self) -> Certificates:
        """For the names of a leg's hosts that are called in TLS; a shared host has its own."""
        found = {}
        for leg in self._legs:
            if names := [host.name for host in hosts_of(leg) if host.tls]:
                found[leg.name] = self.authority.issue(names)
            for host in hosts_of(leg):
                if host.tls and host.authority in self._shared and host.authority not in found:
                    found[host.authority] = self.authority.issue([host.name])
        return found

    def reach(self, ports: Mapping[str, int]) -> Reach:
        """In the names of the hosts, in TLS where the gateway uses it, at the places where the gateway finds them."""
        models, identity = {}, {}
        for leg in self._legs:
            model, *services = hosts_of(leg)
            models[leg.name] = self._address(leg, model, ports)
            for host in services:
                identity[leg.name] = self._address(leg, host, ports)
        return Reach(addresses=models, identity=identity, authority=self.authority.pem)

    def place_of(self, leg: Leg, host: Host) -> str:
        """The place in the planes that is one of a leg's hosts: the host's own when it is shared, else the leg's."""
        return host.authority if host.authority in self._shared else leg.name

    def _address(self, leg: Leg, host: Host, ports: Mapping[str, int]) -> Address:
        return Address(ports[self.place_of(leg, host)], host.name if host.tls else "")

    def led(self, ports: Mapping[str, int]) -> dict[str, int]:
        """Which loopback port each host leads to, by `host:port`."""
        return {host.authority: ports[self.place_of(leg, host)] for leg in self._legs for host in hosts_of(leg)}

    @property
    def _legs(self) -> tuple[Leg, ...]:
        return self.scene.found.legs


def notes(found: Discovery) -> tuple[str, ...]:
    """What stays in a config that is left alone, although a drill has nothing that would answer it."""
    return found.kept
