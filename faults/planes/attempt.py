"""One request of the gateway on one leg while it is under way, and the connection that it came on."""

from __future__ import annotations

from dataclasses import dataclass

from drills.providers.base import Call, Surface
from faults.base import Break, Pace
from faults.planes.gated import GatedWriter, WatchedReader
from faults.planes.places import Place


@dataclass(frozen=True)
class Connection:
    """An accepted connection."""

    place: Place
    reader: WatchedReader
    writer: GatedWriter
    number: int = 0


class Attempt:
    """One request on a leg while it is under way."""

    def __init__(self, number: int, connection: Connection, received_s: float) -> None:
        self.number = number
        self.connection = connection
        self.leg = connection.place.legs[0]  # until the request was read, where several legs share the place
        self.received_s = received_s
        self.answered_s: float | None = None
        self.status: int | None = None
        self.faults: tuple[str, ...] = ()
        self.call = Call(surface=Surface.OTHER, operation="unread")
        self.breaks: tuple[tuple[str, Break], ...] = ()
        """How its stream is to break, each with its fault, the first that is on then first."""
        self.paces: tuple[tuple[str, Pace], ...] = ()
        """How its answer is to be slowed down, each with its fault."""
        self.terminator = b""
        """What ends its body as HTTP demands, before the end of the connection."""
        self.before = connection.writer.written
        self.instead = 0
        """Bytes of an answer that a fault gives in the leg's place: they are written when the attempt has ended."""
        self.closes = False
        """Whether the leg's side ends the connection with it."""
        self.reported = False
        self.done = False
        self.spoiled = ""
        """What a fault did to it that cannot be undone; empty while its answer may still come whole."""
        self.altered = ""
        """What a fault changed in an answer that nevertheless comes to its end."""

    @property
    def sent(self) -> int:
        """How many bytes its connection got for it."""
        return self.connection.writer.written - self.before + self.instead

    def touch(self, fault: str) -> None:
        """Note a fault that did something to it."""
        self.faults = tuple(dict.fromkeys((*self.faults, fault)))
