"""Where requests come in: a leg's own listener, or that of a host which several legs share. Pure.

A host that is shared is one port, so its connections belong to no leg. Each request is given to its leg by the model
that it names. What a fault does to connections and handshakes, it does to the host when it is on all of its deciding
legs; a request for a token, or for anything but a model, is the first leg's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from drills.providers.base import Call, Headers, Provider, Surface
from faults.handshake import Certificate
from faults.planes.control import Pem, PlaneLeg, PlaneSpec


@dataclass(frozen=True)
class Place:
    """One listener. name: the leg's, or `host:port`. deciding: the legs whose faults of connections are its own."""

    name: str
    legs: tuple[PlaneLeg, ...]
    deciding: tuple[str, ...]
    listen: tuple[str, int] | None
    certificates: Mapping[Certificate, Pem]


def places(spec: PlaneSpec) -> Iterator[Place]:
    """Every place of a plane, the legs' own first."""
    for leg in spec.legs:
        yield Place(leg.name, (leg,), (leg.name,), leg.listen, leg.certificates)
    by_name = {leg.name: leg for leg in spec.legs}
    for host in spec.shared:
        legs = tuple(by_name[leg] for leg in host.legs)
        yield Place(host.name, legs, host.deciding, host.listen, host.certificates)


@dataclass(frozen=True)
class Asked:
    """A request as it came in."""

    method: str
    target: str
    headers: Headers
    body: bytes


def told_apart(
    legs: Sequence[PlaneLeg], providers: Mapping[str, Provider], asked: Asked
) -> tuple[PlaneLeg, Call, bool]:
    """Whose request it is, what it says in the leg's dialect, and whether that is sure: where there are several legs,
    one has to have the model that the request names.
    """
    calls = []
    for leg in legs:
        call = providers[leg.name].recognise(asked.method, asked.target, asked.headers, asked.body)
        if len(legs) == 1 or (call.surface is Surface.MODEL and call.model == leg.model):
            return leg, call, True
        calls.append(call)
    return legs[0], calls[0], all(call.surface is not Surface.MODEL for call in calls)
