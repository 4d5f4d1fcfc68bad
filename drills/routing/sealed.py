"""sealed: the gateway runs with its own config in a private network, in which its legs are all that there is.

Their real host names lead to the planes, by the network's own name server, on the ports that the gateway uses. What it
tries besides is refused and told. The whole run lives in that network: providers, planes, Toxiproxy and the gateway's
keeper; only the runner stays outside and calls in on sockets that were made there. Linux.
"""

from __future__ import annotations

import ipaddress
import itertools
import os
import socket
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import MappingProxyType

import msgspec

from drills import network
from drills.address import Address, Reach
from drills.gateways.base import Discovery, Entrance, TakesUnchanged
from drills.ground import OUTSIDE, Ground, Stand
from drills.legs import Leg
from drills.network import Endpoint, PrivateNetwork
from drills.problems import Place, Problem
from drills.routes import Route
from drills.routing import unchanged
from drills.routing.base import Planned, Scene, Way
from drills.routing.surroundings import trust
from drills.routing.unchanged import Host, hosts_of
from drills.toxiproxy_install import URL_VARIABLE
from faults.base import Lookups

_ADDRESSES = ipaddress.ip_network("198.18.0.0/16")
"""For benchmarks, and nowhere on the internet (RFC 2544). Not loopback: some gateways call no such address."""
_NAMES_OF_THIS_MACHINE = frozenset({"ip6-localhost"})
"""Besides its host name, those in the file of hosts that a private network has: `drills/porter.py` writes it."""
_DNS = 53
_BROADCAST = "127.255.255.255"
"""Of the loopback network: the kernel lets nobody connect to it."""


class Sealed:
    """Needs a gateway that takes its config unchanged, and Linux with user namespaces."""

    name = Route.SEALED

    def problems(self, planned: Planned) -> Iterator[Problem]:
        """What any route with an unchanged config needs, and that each leg has one place in the network."""
        yield from unchanged.problems(planned)
        legs, places = unchanged.sound(planned.found.legs), planned.found.places
        lost = list(_unreachable(legs, socket.gethostname().lower()))
        yield from (Problem(what, places.get(leg)) for leg, what in lost)
        named = {leg for leg, _ in lost}
        stands, problems = placed([leg for leg in legs if leg.name not in named], places)
        yield from problems
        for use, hit in planned.targets:
            nameless = [leg.name for leg in hit if leg.name in stands and not stands[leg.name].names]
            if nameless and use.fault.lookups() is not Lookups.ANSWERED:
                what = f"fault {use.kind!r}: {', '.join(nameless)} has an address and no name that could be looked up"
                yield Problem(f"{what}; select other legs", use.place)
            if use.fault.plane == "toxi" and URL_VARIABLE in os.environ:
                what = f"fault {use.kind!r}: the Toxiproxy at {URL_VARIABLE} is outside of the gateway's network"
                yield Problem(f"{what}; unset it, and the drill starts one inside", use.place)

    def lacks(self) -> str:
        """A private network, where none can be made."""
        why = network.forbidden()
        return f"--route {self.name} needs a private network, and here there can be none: {why}" if why else ""

    def notes(self, found: Discovery) -> tuple[str, ...]:
        """What stays in the config, and what the gateway will miss."""
        missing = "in its network the gateway finds its legs and nothing else, not even what runs on this machine"
        return (*unchanged.notes(found), missing)

    def begin(self, scene: Scene) -> Way:
        """The way of one run."""
        return _Sealing(scene)


class _Sealing(unchanged.Unchanged):
    """A private network in which the legs have their places."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._stands, _ = placed(scene.found.legs)
        self._network: PrivateNetwork | None = None

    def ground(self) -> AbstractAsyncContextManager[Ground]:
        """The private network. Raises `ChildLostError`."""
        return self._ground()

    @asynccontextmanager
    async def _ground(self) -> AsyncIterator[Ground]:
        exist = {Endpoint(*stand.endpoint): (stand.names or (stand.endpoint[0],))[0] for stand in self._stands.values()}
        exist[Endpoint("127.0.0.1", self.scene.port)] = (
            network.THIS_MACHINE
        )  # the gateway's own: the drill waits for it there
        self._network = private = await PrivateNetwork.start(exist, self.scene.clock, self.scene.emit)
        self.lost = private.lost
        try:
            yield private.ground
        finally:
            await private.end()

    def stands(self) -> Mapping[str, Stand]:
        """One address for each leg."""
        return self._stands

    def reach(self, ports: Mapping[str, int]) -> Reach:
        """Where the gateway finds them."""
        named = super().reach(ports)
        models: dict[str, Address] = {}
        identity: dict[str, Address] = {}
        names: dict[str, str] = {}
        for leg in self.scene.found.legs:
            model, *services = hosts_of(leg)
            stand = self._stands[self.place_of(leg, model)]
            models[leg.name] = Address(stand.endpoint[1], named.addresses[leg.name].host, stand.endpoint[0])
            names |= {leg.name: stand.names[0]} if stand.names else {}
            for host in services:
                stand = self._stands[self.place_of(leg, host)]
                identity[leg.name] = Address(stand.endpoint[1], named.identity[leg.name].host, stand.endpoint[0])
        ground = OUTSIDE if self._network is None else self._network.ground
        return Reach(addresses=models, identity=identity, authority=named.authority, names=names, ground=ground)

    def open(self, ports: Mapping[str, int]) -> AbstractAsyncContextManager[Entrance]:
        """The gateway's launch: it only has to trust the legs' certificates."""
        return self._open()

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[Entrance]:
        scene, gateway = self.scene, self.scene.gateway
        if not isinstance(gateway, TakesUnchanged):
            raise TypeError(f"{gateway.name} does not take its config unchanged")
        around = trust(self.authority, scene.private)
        launch = gateway.launch_unchanged(scene.found, around.env, scene.port, scene.private)
        yield msgspec.structs.replace(launch, blobs=launch.blobs | around.files)


def placed(
    legs: Sequence[Leg], places: Mapping[str, Place] = MappingProxyType({})
) -> tuple[dict[str, Stand], list[Problem]]:
    """Where each leg and each shared host stands in the network, and why one cannot. Pure: the same legs have the same
    places. places: by leg, where a problem of its hosts is said.

    A leg has one address and one port: those of the hosts that are its own. A host that several legs share has its own.
    A host that is an address keeps it, and no name gets it.
    """
    stands: dict[str, Stand] = {}
    problems: list[Problem] = []
    addresses: dict[str, str] = {}
    kept = {_literal(host) for leg in legs for host in hosts_of(leg)}
    free = (address for one in itertools.islice(_ADDRESSES.hosts(), 1 << 16) if (address := str(one)) not in kept)
    for place, own in _hosts_by_place(legs).items():
        where = places.get(place) or next((places.get(leg.name) for leg in legs if {*own} & {*hosts_of(leg)}), None)
        ports, literal = {host.port for host in own}, [host for host in own if _literal(host)]
        given = {addresses[host.name] for host in own if host.name in addresses} | {_literal(host) for host in literal}
        if len(ports) > 1 or len(given) > 1 or (literal and len(own) > 1):
            problems.append(Problem(_scattered(place, own), where))
        elif literal and not _is_ipv4(_literal(literal[0])):
            whose = "" if place == own[0].authority else f"leg {place}: "
            what = f"{whose}{own[0].authority} is no IPv4 address, and the drill's network has no others"
            problems.append(Problem(f"{what}; use --route {Route.REWRITE}", where))
        else:
            address = next(iter(given)) if given else next(free)
            names = () if literal else tuple(host.name for host in own)
            addresses |= dict.fromkeys((host.name for host in own), address)
            stands[place] = Stand((address, ports.pop()), names)
    return stands, problems


def _hosts_by_place(legs: Sequence[Leg]) -> dict[str, list[Host]]:
    """What hosts lead to each place: to a leg its own, to a shared host itself."""
    common = unchanged.shared(legs)
    found: dict[str, list[Host]] = {}
    for leg in legs:
        for host in dict.fromkeys(hosts_of(leg)):
            place = host.authority if host.authority in common else leg.name
            there = found.setdefault(place, [])
            there += [host] if host not in there else []
    return found


def _scattered(place: str, hosts: Iterable[Host]) -> str:
    there = ", ".join(host.authority for host in hosts)
    what = f"leg {place} is called at {there}; in a private network a leg has one address and one port"
    return f"{what}; use --route {Route.FORWARD}"


def _unreachable(legs: Iterable[Leg], itself: str) -> Iterator[tuple[str, str]]:
    """Legs with a host at which nobody can be put in a private network, each with why. itself: the machine's own name,
    in lower case.
    """
    for leg in legs:
        for host in hosts_of(leg):
            if why := _why_unreachable(host, itself):
                yield leg.name, f"leg {leg.name}: {host.authority} {why}, or use --route {Route.REWRITE}"


def _why_unreachable(host: Host, itself: str) -> str:
    if host.port == _DNS:
        return f"is called at port {_DNS}, which is the name server's in the drill's network; write another"
    if host.name.endswith(".localhost"):
        return "is this machine to some programs and a name to others; write localhost for this machine"
    if host.name == itself or host.name in _NAMES_OF_THIS_MACHINE:
        return "is this machine's own name; write localhost"
    return "is an address that no single host has; write another" if host.name == _BROADCAST else ""


def _literal(host: Host) -> str:
    """The address that a host is written as; empty for a name."""
    if host.name == "localhost":
        return "127.0.0.1"
    try:
        return str(ipaddress.ip_address(host.name.strip("[]")))
    except ValueError:
        return ""


def _is_ipv4(address: str) -> bool:
    return ipaddress.ip_address(address).version == 4


ROUTE = Sealed()
