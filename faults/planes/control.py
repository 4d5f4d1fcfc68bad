"""The private control channel between the runner and a plane: one JSON object a line over the child's own pipes.

The first line is the `PlaneSpec`; then commands go in, and `PlaneReady` and events of the history come out. The end
of the input means that the runner is gone: the plane drops every fault and ends.
"""

from __future__ import annotations

import msgspec

from drills.events import (
    AttemptDone,
    AttemptReceived,
    ConnectGone,
    ConnectHung,
    FaultCleared,
    FaultEffective,
    FaultSwitched,
    HandshakeMet,
    HostTried,
    LookupFailed,
    PlaneTrouble,
)
from faults.handshake import Certificate
from faults.shapes import Shape

LEASE_S = 3.0
"""A plane drops every fault when it has heard no heartbeat for this long."""

HEARTBEAT_S = 0.5


class Pem(msgspec.Struct, frozen=True, kw_only=True):
    """A certificate and its private key, as PEM."""

    certificate: str
    key: str

    def __repr__(self) -> str:
        return "Pem(...)"  # a key is in no message, whoever prints it


class PlaneLeg(msgspec.Struct, frozen=True, kw_only=True):
    """A leg as a plane sees it: its dialect, and where its provider listens.

    listen: the address and port at which the plane stands for it; None for any loopback port.
    names: the host names that lead there, in lower case, with the address of each; with any, the plane is the
    network's name server.
    certificates: what it may show in TLS handshakes; empty when it speaks plain HTTP only.
    model: by what name requests ask for it, where it shares a host with other legs.
    """

    name: str
    provider: str
    upstream_scheme: str
    upstream_host: str
    upstream_port: int
    listen: tuple[str, int] | None = None
    names: dict[str, str] = {}
    certificates: dict[Certificate, Pem] = {}
    model: str = ""


class SharedHost(msgspec.Struct, frozen=True, kw_only=True):
    """A host that several legs share: see `faults.planes.places`. listen, certificates, names: as of a leg.

    name: `host:port`; no leg is called so. legs: the first one has the requests that name no model.
    """

    name: str
    legs: tuple[str, ...]
    deciding: tuple[str, ...]
    listen: tuple[str, int] | None = None
    names: dict[str, str] = {}
    certificates: dict[Certificate, Pem] = {}


class PlaneSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What a plane is started with. `origin_s` is the run's origin on CLOCK_MONOTONIC.

    probes: how the ids of the probes begin that prove the faults; empty when there are none.
    salt: a secret of the run, with which the texts of requests without a mark are hashed; empty: say nothing of them.
    """

    origin_s: float
    seed: int
    probes: str = ""
    salt: str = ""
    legs: tuple[PlaneLeg, ...]
    shared: tuple[SharedHost, ...] = ()


class ToxiSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What the Toxiproxy plane is started with. Exactly one of `command` and `url` is given.

    upstream: by leg, the loopback port of the plane behind.
    listen: by leg, the address and port at which it stands; any loopback port for the others.
    command: the Toxiproxy server to start.
    url: a Toxiproxy server that somebody else runs.
    """

    origin_s: float
    upstream: dict[str, int]
    listen: dict[str, tuple[str, int]] = {}
    command: str = ""
    url: str = ""


class RelaySpec(msgspec.Struct, frozen=True, kw_only=True):
    """What the relay is started with. hosts: the loopback port behind each, by `host:port` in lower case."""

    origin_s: float
    hosts: dict[str, int]


class RelayReady(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="relay_ready"):
    """The relay's own loopback port. Sent once, when it listens."""

    port: int


class Apply(msgspec.Struct, frozen=True, kw_only=True, tag="apply"):
    """Put a fault on legs. `settings` are the fields of the fault's class; `shape` says which requests it hits, or how
    the plane switches it on and off.
    """

    fault: str
    kind: str
    settings: dict[str, str | int | float | bool | None]
    legs: tuple[str, ...]
    shape: Shape | None = None


class Clear(msgspec.Struct, frozen=True, kw_only=True, tag="clear"):
    """Take a fault off."""

    fault: str


class Heartbeat(msgspec.Struct, frozen=True, tag="heartbeat"):
    """The runner lives."""


Command = Apply | Clear | Heartbeat


class PlaneReady(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="plane_ready"):
    """The port of every leg and of every shared host, by name. Sent once, when all of them listen. refused: why none
    does and none will, where somebody must first do something about it; one sentence each.
    """

    ports: dict[str, int]
    version: str
    refused: tuple[str, ...] = ()


PlaneEvent = (
    PlaneReady
    | AttemptReceived
    | AttemptDone
    | ConnectHung
    | ConnectGone
    | LookupFailed
    | HandshakeMet
    | HostTried
    | FaultEffective
    | FaultSwitched
    | FaultCleared
    | PlaneTrouble
)
