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

from drills.providers.base import ErrorKind
from faults.handshake import Handshake
from faults.proof import AnswerSize, Came, Extent, Point, ProbeOutcome, Unprovable


class Connections(enum.StrEnum):
    """What becomes of the TCP connections of a leg, new and open ones alike."""

    OPEN = "open"
    REFUSED = "refused"
    """New connects get ECONNREFUSED, open connections get a reset."""
    BLACKHOLED = "blackholed"
    """New connects hang, open connections stay up and carry no byte in either direction."""


class Lookups(enum.StrEnum):
    """What becomes of a lookup of a host name of a leg."""

    ANSWERED = "answered"
    NXDOMAIN = "nxdomain"
    """The name server says that there is no such name."""
    SERVFAIL = "servfail"
    """The name server says that it failed."""
    SILENT = "silent"
    """The name server says nothing."""


class RequestSeen(msgspec.Struct, frozen=True, kw_only=True):
    """What a fault may look at: the request as the leg's dialect understands it. `index` counts the leg's requests
    since the fault became effective, from 0; probes of the drill itself are not counted. key: the id in the request's
    text, empty when it has none. since_s: since the fault became effective. offered_per_s: requests that came to the
    leg in the last second, this one included. probe: one of the drill itself, which proves the fault.
    """

    leg: str
    surface: str
    operation: str
    model: str
    stream: bool
    index: int
    key: str = ""
    since_s: float = 0.0
    offered_per_s: float = 0.0
    probe: bool = False


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


class Fail(msgspec.Struct, frozen=True, tag="fail"):
    """Answer in the leg's place: the vendor's own failure of a kind, with the status that the vendor gives it."""

    error: ErrorKind
    retry_after_s: float | None = None


class Send(msgspec.Struct, frozen=True, tag="send"):
    """Answer in the leg's place with exactly these bytes: what no vendor's API would say."""

    status: int
    content_type: str
    body: bytes
    server: str = ""


class Swap(msgspec.Struct, frozen=True, tag="swap"):
    """Let the leg answer another request: in the request, its mark's id becomes `id` (16 hex digits)."""

    id: str


class CutStream(msgspec.Struct, frozen=True, tag="cut"):
    """Let `after_events` events of a streamed answer through, then end the connection: `rst`, `fin` (a FIN inside the
    chunked body, without its terminator), `clean` (the body ends as HTTP demands), or `error` (an error event of the
    dialect, then as `clean`).
    """

    after_events: int
    how: str
    error: ErrorKind = ErrorKind.OVERLOADED


class StallStream(msgspec.Struct, frozen=True, tag="stall"):
    """Let `after_events` events of a streamed answer through, then send nothing until the fault is cleared."""

    after_events: int


class SpoilEvent(msgspec.Struct, frozen=True, tag="spoil"):
    """Let `after_events` events of a streamed answer through and spoil the next: `malformed` (its payload is broken
    JSON in a whole event), `crc` (its last byte is wrong: in a frame, the checksum), or `half` (its first half, then
    the body ends as HTTP demands). After the first two the stream goes on.
    """

    after_events: int
    how: str


class Pace(msgspec.Struct, frozen=True, tag="pace"):
    """Forward an answer late. first_s: every event of a stream by so much. each_s: each event by so much more than the
    one before. bytes_per_s: the body at most so fast, on each connection by itself.
    """

    first_s: float = 0.0
    each_s: float = 0.0
    bytes_per_s: float | None = None


Break = CutStream | StallStream | SpoilEvent
"""What breaks a stream at one of its events: of several that are on, the first."""

Decision = Proceed | Delay | Hang | Reset | Answer | Fail | Send | Swap | Break | Pace
"""`Delay`, `Swap` and `Pace` go together with any other; of the rest, the first whose fault is on ends the matter."""


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
    """What can be done to the gateway, with every process that came from it."""

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


class Passage(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of an attempt that was under way on a line while a fault of the wire was on.

    sent: bytes that it got from the leg's side. carried: bytes that its connection got for requests that came while the
    fault was on, up to its end. closed: whether the leg's side ended the connection with it, while the fault was on.
    """

    sent: int
    carried: int
    closed: bool


@dataclass(frozen=True)
class Fault:
    """Base of every fault. Subclasses are frozen dataclasses; their fields are the settings in YAML."""

    kind: ClassVar[str]
    """The name in YAML."""
    colour: ClassVar[str]
    """Colour of the fault's window on plots, as `#rrggbb`."""
    probe_streams: ClassVar[bool] = False
    """Whether the probe that proves the fault asks for a streamed answer."""
    probe_closes: ClassVar[bool] = False
    """Whether the probe that proves the fault asks for the end of the connection after the answer, and waits for it."""
    proof_waits: ClassVar[bool] = True
    """Whether a probe has to wait for as long as an answer takes, and a little longer, to prove the fault. It need not
    where what it meets comes at once, or the token that it asks for would.
    """
    acts: ClassVar[Point] = Point.REST
    """How far a probe must come to meet it."""
    ends: ClassVar[Point | None] = None
    """Where what it does ends an exchange, so that nothing shows itself that acts later; None when it ends none."""
    of_identity: ClassVar[bool] = False
    """Whether it is one of the leg's identity service: it meets requests for tokens and no others, its shape counts no
    others, and the probe that proves it asks for a token. All other faults leave requests for tokens alone.
    """
    of_marks: ClassVar[bool] = False
    """Whether it can only meet requests with a mark, which the calls of an application of its own do not carry."""
    plane: ClassVar[str] = "mitm"
    """Which plane carries it out: `mitm` (HTTP), `toxi` (the bytes on the wire) or `process` (the gateway itself)."""

    @property
    def sees_requests(self) -> bool:
        """Whether it decides about each request. Other faults are states of a port, a name, a line or a process: all
        shapes but the square choose requests, and so are not for them.
        """
        open_ = self.connections() is Connections.OPEN and self.handshake() is None
        return self.plane == "mitm" and open_ and self.lookups() is Lookups.ANSWERED

    @property
    def decides(self) -> bool:
        """Whether it is one of those of which the first that is on decides what becomes of a request."""
        return self.sees_requests and self.ends is not None

    def connections(self) -> Connections:
        """What the fault does to every connection of the leg while it is on."""
        return Connections.OPEN

    def lookups(self) -> Lookups:
        """What the fault does to lookups of the leg's host names while it is on. Only a plane that is the gateway's
        name server can carry that out: see `Lookups`.
        """
        return Lookups.ANSWERED

    def handshake(self) -> Handshake | None:
        """What the fault makes of the TLS handshakes of the leg while it is on; None when it does not touch them. With
        one, every open connection is reset when the fault begins, so that each request needs a handshake.
        """
        return None

    def decide(self, request: RequestSeen, rng: random.Random) -> Decision:
        """What to do with one request while the fault is on."""
        return Proceed()

    def proves(self, outcome: ProbeOutcome) -> bool:
        """Whether what a probe met while the fault was on proves that the fault is on.

        By default what the state of the connections does to a connect, or what the leg does in a TLS handshake. A fault
        that does anything else says itself what: only one that delays may be proved by an answer that is merely late.
        """
        state = self.connections()
        if state is Connections.REFUSED:
            return outcome.came is Came.REFUSED
        if state is Connections.BLACKHOLED:
            return outcome.came is Came.CONNECT_HUNG and outcome.late
        handshake = self.handshake()
        if handshake is not None and not handshake.answered:
            return outcome.came is Came.HANDSHAKE_HUNG and outcome.late
        if handshake is not None:
            return outcome.came is Came.HANDSHAKE_FAILED and outcome.certificate is handshake.certificate
        return False

    def hides(self, other: Fault, outcome: ProbeOutcome, *, first: bool) -> bool:
        """Whether what a probe of another fault on the leg met is this one's doing, and kept the other from showing
        itself. Mere lateness hides nothing. first: whether this one was put on first.
        """
        if self.ends is None or not self.proves(outcome):
            return False
        if self.decides and other.decides:
            return first
        return self.ends < other.acts or (self.ends == other.acts and first)

    def costs_s(self, answer: Extent) -> float:
        """By how much at most it makes such an answer later; 0 of a fault that delays nothing."""
        return 0.0

    def restored(self, outcome: ProbeOutcome) -> bool:
        """Whether what a probe met after the fault was cleared proves that the leg is as it was before."""
        return outcome.normal

    def unprovable(self, answer: AnswerSize) -> Unprovable | None:
        """A setting with which the fault could not be proved on such an answer; None when there is none. A drill with
        one would always be invalid.
        """
        return None

    def toxic(self) -> Toxic | None:
        """What a fault of the plane `toxi` asks of Toxiproxy."""
        return None

    def meets(self, passage: Passage) -> bool:
        """Whether an attempt on its line has met a fault of the plane `toxi`, which sees no requests."""
        return True

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
