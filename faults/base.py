"""What a fault is: a frozen spec, what it does to connections, and a pure decision for each request.

Laws: a fault has no clock, no I/O and no state. `decide` sees one request and a random generator of the fault's own
and returns a value; the plane carries it out and undoes it. Undoing is the plane's return to `Proceed` and `OPEN`,
so a fault that was never cleared cannot exist outside a plane that still holds it.

Adding a fault is one file in this package with one class derived from `Fault`, and its test.
"""

from __future__ import annotations

import enum
import importlib
import pkgutil
import random
from dataclasses import dataclass
from functools import cache
from typing import ClassVar

import msgspec


class Connections(enum.StrEnum):
    """What becomes of the TCP connections of a leg, new and open ones alike."""

    OPEN = "open"
    REFUSED = "refused"
    """New connects get ECONNREFUSED, open connections get a reset."""
    BLACKHOLED = "blackholed"
    """New connects hang, open connections stay up and carry no byte in either direction."""


class RequestSeen(msgspec.Struct, frozen=True, kw_only=True):
    """What a fault may look at: the request as the leg's dialect understands it. `index` counts the leg's requests
    since the fault became effective, from 0.
    """

    leg: str
    surface: str
    operation: str
    model: str
    stream: bool
    index: int


class Proceed(msgspec.Struct, frozen=True, tag="proceed"):
    """Leave the request alone."""


class Delay(msgspec.Struct, frozen=True, tag="delay"):
    """Hold the request back for `seconds` before it goes on to the leg."""

    seconds: float


class Hang(msgspec.Struct, frozen=True, tag="hang"):
    """Accept the request and send nothing until the fault is cleared."""


class Reset(msgspec.Struct, frozen=True, tag="reset"):
    """Answer the request with a TCP reset."""


class Answer(msgspec.Struct, frozen=True, tag="answer"):
    """Answer in the leg's place: the vendor's own body and headers for a status code."""

    status: int
    retry_after_s: float | None = None


class CutStream(msgspec.Struct, frozen=True, tag="cut"):
    """Let `after_events` events of a streamed answer through, then end the connection: `rst` or `fin` (a FIN inside
    the chunked body, without its terminator).
    """

    after_events: int
    how: str


class StallStream(msgspec.Struct, frozen=True, tag="stall"):
    """Let `after_events` events of a streamed answer through, then send nothing until the fault is cleared."""

    after_events: int


class Toxic(msgspec.Struct, frozen=True, kw_only=True):
    """What a `toxi` fault asks of Toxiproxy. `attributes` are in Toxiproxy's own names and units.

    type: Toxiproxy's name of the toxic, or `DOWN` for a proxy that is disabled.
    stream: `downstream` is what the leg sends to the gateway, `upstream` what the gateway sends to the leg.
    cuts: whether the connections that are open when the fault begins must be closed, because the toxic would not act
    on them as it acts on new ones.
    """

    type: str
    stream: str = "downstream"
    attributes: dict[str, int] = msgspec.field(default_factory=dict)
    cuts: bool = False


DOWN = "down"


class Deed(enum.StrEnum):
    """What can be done to the gateway's process group."""

    KILL = "kill"
    """SIGKILL."""
    STOP = "stop"
    """SIGTERM, and SIGKILL when that does not help."""
    START = "start"
    """The same command again, in the same environment."""
    PAUSE = "pause"
    """SIGSTOP."""
    RESUME = "resume"
    """SIGCONT."""


class Deeds(msgspec.Struct, frozen=True, kw_only=True):
    """What a `process` fault does to the gateway when it begins, and what undoes it when it ends."""

    begin: tuple[Deed, ...]
    end: tuple[Deed, ...]


Decision = Proceed | Delay | Hang | Reset | Answer | CutStream | StallStream


@dataclass(frozen=True)
class Fault:
    """Base of every fault. Subclasses are frozen dataclasses; their fields are the settings in YAML."""

    kind: ClassVar[str]
    """The name in YAML."""
    colour: ClassVar[str]
    """Colour of the fault's window on plots, as `#rrggbb`."""

    def connections(self) -> Connections:
        """What the fault does to every connection of the leg while it is on."""
        return Connections.OPEN

    def decide(self, request: RequestSeen, rng: random.Random) -> Decision:
        """What to do with one request while the fault is on."""
        return Proceed()

    plane: ClassVar[str] = "mitm"
    """Which plane carries it out: `mitm` (HTTP), `toxi` (the bytes on the wire) or `process` (the gateway itself)."""

    def toxic(self) -> Toxic | None:
        """What a fault of the plane `toxi` asks of Toxiproxy."""
        return None

    def deeds(self) -> Deeds | None:
        """What a fault of the plane `process` does to the gateway."""
        return None


@cache
def kinds() -> dict[str, type[Fault]]:
    """Every fault of the catalogue by its kind, in alphabetical order."""
    package = importlib.import_module("faults")
    for module in pkgutil.iter_modules(package.__path__):
        if not module.ispkg:
            importlib.import_module(f"faults.{module.name}")
    found = {cls.kind: cls for cls in Fault.__subclasses__()}
    return dict(sorted(found.items()))
