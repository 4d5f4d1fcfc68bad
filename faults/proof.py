"""What came of a probe: a request of the drill's own, sent past the gateway through the plane straight to a leg.

A fault proves itself by what it does to such a probe while it is on, and by what it does no more afterwards. Pure: the
probe was sent elsewhere; here it is a value.
"""

from __future__ import annotations

import enum
import math
from typing import NamedTuple

import msgspec

from drills.marks import Shape
from faults.handshake import Certificate

CLEARLY_LATE_S = 0.2
"""So much later than usual is no noise of the machine."""
DELAY_AT_LEAST_S = 0.1
"""A delay whose length is known is proved by its half, and that must not be noise either."""
NOISE_S = 0.05
"""What is usual is not known more exactly than this, nor when a probe was given up."""
LATE_BY_S = CLEARLY_LATE_S + NOISE_S
"""What makes an answer late must make it so by more than what is noticed."""
NORMAL_S = 0.5
"""An answer that takes so much longer than usual is not the usual one."""
SMALL_PIECES = 200
"""A leg that is well sends an answer that is no stream in larger pieces, in bytes."""


class Came(enum.StrEnum):
    """How a probe ended."""

    WHOLE = "whole"
    """A complete, correct answer of the leg itself."""
    WRONG = "wrong"
    """A success status, and a body that is no correct answer of the leg."""
    STATUS = "status"
    """Another status than 200, with its whole body."""
    UNRESOLVED = "unresolved"
    """The name of the leg's host was not resolved; the detail is one of `faults.base.Lookups`."""
    REFUSED = "refused"
    """The connect was refused."""
    CONNECT_HUNG = "connect_hung"
    """The connect was neither accepted nor refused."""
    HANDSHAKE_HUNG = "handshake_hung"
    """The connect was accepted, and the TLS handshake did not come to an end."""
    HANDSHAKE_FAILED = "handshake_failed"
    """The TLS handshake ended without a connection."""
    RESET = "reset"
    """The connection died after the request went out and before an answer began."""
    BROKEN = "broken"
    """The connection died within the answer."""
    SILENT = "silent"
    """The connection stayed up, and nothing, or nothing more, came."""
    STOPPED = "stopped"
    """The drill gave the probe up."""


class Point(enum.IntEnum):
    """How far an exchange has come, in the order in which a probe gets there: where a fault shows itself, and where one
    ends the exchange. docs/faults.md tells the order.
    """

    NAME = 0
    """A lookup is answered."""
    REFUSED = 1
    """A connect is refused."""
    CONNECT = 2
    """A connect hangs."""
    HANDSHAKE_HUNG = 3
    HANDSHAKE = 4
    LINE = 5
    """The connection ends by itself, whatever is on it."""
    HELD = 6
    """A request is held, and not even how long it would have waited is seen."""
    WAIT = 7
    """A request waits."""
    REQUEST = 8
    """A request is received and not answered."""
    BYTES = 9
    """The first byte of any answer comes."""
    LATE_BYTES = 10
    """It comes late."""
    INSTEAD = 11
    """Another answer comes in the place of the leg's own."""
    FIRST = 12
    """The leg's own answer begins."""
    EVENT = 13
    """It goes on, event by event."""
    REST = 14
    """All of it comes."""
    CLOSE = 15
    """The connection ends after it."""


class Extent(NamedTuple):
    """What a probe's answer is when nothing is wrong: bytes of its body, events of its stream (0: it is none), and
    whether the probe waits for the end of its connection.
    """

    size: int
    events: int = 0
    to_end: bool = False


class AnswerSize(msgspec.Struct, frozen=True, kw_only=True):
    """The smallest answer of a leg that is well, over all dialects.

    whole_bytes, stream_bytes: of the body that a probe gets when it asks for no stream, and for one. events: of that
    stream. caller_events: of a caller's, which has no more. stream_s: from the first event of a probe's stream to its
    last. usual_s: what a probe's answer takes, streamed or not.
    """

    whole_bytes: int
    stream_bytes: int
    events: int
    caller_events: int
    stream_s: float
    usual_s: float


class Unprovable(NamedTuple):
    """A setting with which a fault could not be proved, and what would be needed, as the end of a sentence."""

    setting: str
    needed: str


def too_short(setting: str, delay_s: float, least_s: float = DELAY_AT_LEAST_S) -> Unprovable | None:
    """Of a delay that could not be told from noise."""
    return None if delay_s >= least_s else Unprovable(setting, f"at least {least_s:g}s is needed")


def too_wide(setting: str, bytes_per_s: float, answer: AnswerSize) -> Unprovable | None:
    """Of a bandwidth on which a stream would not be clearly later than its leg is."""
    most = answer.stream_bytes / (answer.stream_s + LATE_BY_S)
    stream = f"the shortest streamed answer has {answer.stream_bytes} bytes and takes {answer.stream_s:.3g}s"
    needed = f"{stream}, so it must be at most {math.floor(most) / 1000:g}kB/s; more 'words' allow for more"
    return None if bytes_per_s <= most else Unprovable(setting, needed)


def too_far(after: int, answer: AnswerSize) -> Unprovable | None:
    """Of a number of events after which too little of a caller's stream is left: of some dialects the last event is
    not missed.
    """
    most = answer.caller_events - 2
    needed = f"the shortest streamed answer has {answer.caller_events} events, so it must be at most {most}"
    return None if after <= most else Unprovable("after", needed)


class ProbeOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a probe met.

    took_s: from sending to its end, or until it was given up. usual_s: what the leg took for such a probe when it was
    healthy. first_byte_s: from sending to the first byte of the body; None when none came. events: whole events of a
    streamed answer. piece_size: bytes per segment in which a whole body came, on average; None where the kernel does
    not tell. certificate: of a handshake that failed, what the probe found the certificate to be. shape: of an
    answer that can be read and is wrong, what is wrong with it. detail: what went wrong, in the words of whoever
    noticed. beside_s: how much of `usual_s` is what other faults that are on at the leg add.
    """

    came: Came
    took_s: float
    usual_s: float = 0.0
    first_byte_s: float | None = None
    status: int | None = None
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    events: int = 0
    piece_size: float | None = None
    certificate: Certificate | None = None
    shape: Shape | None = None
    detail: str = ""
    beside_s: float = 0.0

    @property
    def late(self) -> bool:
        """Whether it took clearly longer than usual."""
        return self.took_s >= self.usual_s + CLEARLY_LATE_S

    @property
    def normal(self) -> bool:
        """Whether the leg answered as it does when nothing is wrong."""
        return self.came is Came.WHOLE and self.took_s < self.usual_s + NORMAL_S

    @property
    def gave_up(self) -> bool:
        """Whether it ended because the probe waited no longer."""
        return self.came in {Came.CONNECT_HUNG, Came.HANDSHAKE_HUNG, Came.SILENT}

    @property
    def unanswered(self) -> bool:
        """Whether the probe went out, and for clearly longer than an answer takes not a byte came back."""
        return self.came is Came.SILENT and self.first_byte_s is None and self.late

    @property
    def only_late(self) -> bool:
        """Whether nothing is wrong but the time: the right answer came clearly late, or was not all there in time."""
        return self.came in {Came.WHOLE, Came.SILENT} and self.late

    def late_by(self, delay_s: float) -> bool:
        """Whether it took so much longer than usual that a delay of at least so long must be the reason."""
        return self.took_s >= max(delay_s, self.usual_s + delay_s / 2)

    def too_soon_for(self, delay_s: float) -> bool:
        """Whether it was given up before an answer was due that comes so much later than usual."""
        return self.took_s <= self.usual_s + delay_s + NOISE_S

    def __str__(self) -> str:
        events = f" after {self.events} events" if self.events else ""
        what = {
            Came.WHOLE: "a whole answer",
            Came.WRONG: "a wrong answer",
            Came.STATUS: f"status {self.status}",
            Came.UNRESOLVED: f"the host's name was not resolved: {self.detail}",
            Came.REFUSED: "the connect was refused",
            Came.CONNECT_HUNG: "the connect hung",
            Came.HANDSHAKE_HUNG: "the TLS handshake hung",
            Came.HANDSHAKE_FAILED: "the TLS handshake failed",
            Came.RESET: "the connection died before an answer",
            Came.BROKEN: f"the answer broke off{events}",
            Came.SILENT: "nothing" if self.first_byte_s is None else f"the answer fell silent{events}",
            Came.STOPPED: "the probe was given up",
        }[self.came]
        detail = f" ({self.detail})" if self.came in {Came.WRONG, Came.HANDSHAKE_FAILED} else ""
        small = self.piece_size is not None and self.piece_size < SMALL_PIECES
        pieces = f", in pieces of {self.piece_size:.0f} bytes" if small else ""
        return f"{what}, {self.took_s:.2f} s{pieces}{detail}"
