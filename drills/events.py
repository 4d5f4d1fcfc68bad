"""The history's vocabulary: every event of a run, as data.

Times are seconds on the run's clock (CLOCK_MONOTONIC minus the run's origin), stamped by the process in which the
event happened. Wall time stands once, in `RunStarted`. Nothing is rounded or aggregated here.
"""

from __future__ import annotations

import enum

import msgspec

from drills.legs import Leg
from drills.marks import Shape
from drills.people import People
from drills.routes import Route
from faults import shapes
from faults.base import Connections, Lookups
from faults.handshake import Handshake

SCHEMA = "failover-drill/history/1"


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="event"):
    """Base of every event."""


class UntilAnswered(msgspec.Struct, frozen=True, kw_only=True):
    """A condition that ends a phase: these legs have answered so many requests since the phase began."""

    legs: tuple[str, ...]
    requests: int


class Basis(enum.StrEnum):
    """On what a scenario of a real outage rests, phase by phase, so that nobody takes a guess for a published fact."""

    PUBLISHED = "published"
    """What broke, and how, was published by whom it happened to, or was measured."""
    ASSUMED = "assumed"
    """Some of it is the author's assumption: a share, a length, a shape."""
    REMEMBERED = "remembered"
    """Told from memory, without a source at hand."""


class PhasePlan(msgspec.Struct, frozen=True, kw_only=True):
    """A phase of the timeline, with the faults that are on in it. With `until`, `end_s` is the latest end.

    basis: on what it rests; None where the scenario does not say.
    """

    name: str
    start_s: float
    end_s: float
    faults: tuple[str, ...]
    until: UntilAnswered | None = None
    basis: Basis | None = None


class FaultPlan(msgspec.Struct, frozen=True, kw_only=True):
    """A fault of the timeline: which legs it hits, which of their requests, and from when to when it is asked for.

    of_identity: it is one of the legs' identity services, and leaves the models alone. sees_requests: it decides about
    each request; false for the state of a port, a line or a process.
    """

    id: str
    kind: str
    legs: tuple[str, ...]
    start_s: float
    end_s: float
    selector: str
    settings: dict[str, str | int | float | bool | None]
    connections: Connections
    lookups: Lookups = Lookups.ANSWERED
    shape: shapes.Shape | None = None
    plane: str = "mitm"
    of_identity: bool = False
    sees_requests: bool = True
    handshake: Handshake | None = None

    @property
    def connection_level(self) -> bool:
        """Whether connections, or the lookups before them, do not come about, so that attempts may leave no trace at
        the plane.
        """
        open_ = self.connections is Connections.OPEN and self.handshake is None
        return not open_ or self.lookups is not Lookups.ANSWERED

    @property
    def square(self) -> shapes.Square | None:
        """How its plane switches it as a whole; None for a fault that chooses requests, or is on throughout."""
        return None if self.sees_requests or self.shape is None else self.shape.square

    @property
    def before_the_model(self) -> bool:
        """Whether a try of the gateway may fail before it asks the model: for want of a connection, or of a token."""
        return self.connection_level or self.of_identity


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """The scenario's expectations as plain numbers; None where nothing is expected."""

    switchover_within_s: float | None = None
    failback_within_s: float | None = None
    lost_at_most: int | None = None
    broken_streams_at_most: int = 0
    slow_at_most: int | None = None
    attempts_per_request_at_most: float | None = None
    detour_at_most_s: float | None = None


class RunStarted(Event, frozen=True, kw_only=True, tag="run_started"):
    """The first line of a history: all that is needed to judge the rest of it again.

    proofs: whether every fault is proved by probes; histories of earlier versions have none.
    inferred: whether an application makes its own calls, so that the ledger has to infer its requests from them.
    upstreams: by leg, the base URL on which a gateway that runs already has to call it; empty for all others.
    health: the URL that was polled beside an application's calls; empty when there is none.
    people, change: who answers for the run, and its ticket, by its scenario and its flags.
    scenario_id: by what runs of the scenario are known (`drills.shelf.identity`); empty in earlier versions.
    """

    schema: str
    tool_version: str
    started_at: str
    origin_s: float
    seed: int
    scenario_name: str
    scenario_file: str
    scenario_sha256: str
    scenario_id: str = ""
    objective: str
    gateway: str
    gateway_version: str
    config_file: str
    config_sha256: str
    entry_model: str
    own_checks: bool = False
    route: Route = Route.REWRITE
    notes: tuple[str, ...]
    legs: tuple[Leg, ...]
    phases: tuple[PhasePlan, ...]
    faults: tuple[FaultPlan, ...]
    limits: Limits
    rate_per_s: float
    arrivals: int
    deadline_s: float
    slow_s: float | None
    proofs: bool = False
    inferred: bool = False
    upstreams: dict[str, str] = {}
    health: str = ""
    people: People = People()
    change: str | None = None
    environment: dict[str, str]


class Via(enum.StrEnum):
    """Which way a probe went."""

    DIRECT = "direct"
    """Straight to the leg, past the plane."""
    PLANE = "plane"
    """Through the plane to the leg, past the gateway."""
    GATEWAY = "gateway"
    """Through the gateway, as callers go."""


class Probe(Event, frozen=True, kw_only=True, tag="probe"):
    """A request of the tool's own, not part of the load. `error` is empty when the answer was whole.

    identity: it asked the leg's identity service for a token, and not the model.
    """

    id: str
    leg: str | None
    via: Via
    stream: bool
    sent_s: float
    first_token_s: float | None
    done_s: float
    error: str
    identity: bool = False


class TimelineStarted(Event, frozen=True, kw_only=True, tag="timeline_started"):
    """The offsets of the plan count from `at_s`."""

    at_s: float


class PhaseStarted(Event, frozen=True, kw_only=True, tag="phase_started"):
    """The runner reached a phase."""

    phase: str
    at_s: float


class TimelineEnded(Event, frozen=True, kw_only=True, tag="timeline_ended"):
    """The last phase ended: no arrival is due any more. Earlier than planned where a phase ended by its condition."""

    at_s: float


class ArrivalSent(Event, frozen=True, kw_only=True, tag="arrival_sent"):
    """A request of the load was handed to the HTTP client."""

    seq: int
    id: str
    stream: bool
    due_s: float
    sent_s: float


class Ending(enum.StrEnum):
    """How the caller's request ended, before anybody judged the text."""

    COMPLETE = "complete"
    """A success status and a body that ended as HTTP and the dialect demand."""
    UNTERMINATED = "unterminated"
    """A success status and a body that ended politely, but without the dialect's end marks."""
    MALFORMED = "malformed"
    """A success status and a body that is not of the dialect."""
    STATUS = "status"
    """An HTTP error status."""
    IN_BAND = "in_band"
    """A success status and then an error inside the body."""
    REFUSED = "refused"
    """No connection: the request was never written."""
    BROKEN = "broken"
    """The connection died after some of the answer had come."""
    VANISHED = "vanished"
    """The connection died after the request was written and before anything came back."""
    DEADLINE = "deadline"
    """The caller's deadline passed."""
    CANCELLED = "cancelled"
    """The drill was stopped while the request was under way."""
    GIVEN_UP = "given_up"
    """Of an inferred request: no attempt brought a whole answer, and the application made no further one."""


class ArrivalDone(Event, frozen=True, kw_only=True, tag="arrival_done"):
    """A request of the load ended. `shape`, `legs` and `words` say what its text was, judged against its mark.

    claimed: the leg that served by the gateway's own headers, for a cross-check; never the truth. Their own words
    where they name no leg.
    detail: a short piece of what came back, cleaned of control characters and secrets.
    """

    seq: int
    first_byte_s: float | None
    first_token_s: float | None
    done_s: float
    ending: Ending
    status: int | None
    shape: Shape | None
    legs: tuple[str, ...]
    words: int
    claimed: str = ""
    detail: str = ""


class ArrivalNotStarted(Event, frozen=True, kw_only=True, tag="arrival_not_started"):
    """The load could not send a request that was due."""

    seq: int
    due_s: float
    why: str


class AttemptReceived(Event, frozen=True, kw_only=True, tag="attempt_received"):
    """A request of the gateway reached a leg's plane. `id` is the mark's id, empty when it carried none.

    Of a request without a mark, in a run whose requests are inferred: `text_key` is a hash of its last user message,
    keyed with a secret of the run (equal texts, equal keys; the text itself is nowhere), empty when it has none;
    `retry` is which retry it is, when the SDK that sent it says so in its headers (0: the first try); `port` is the
    caller's local port.
    """

    attempt: int
    leg: str
    id: str
    surface: str
    operation: str
    model: str
    stream: bool
    received_s: float
    text_key: str = ""
    retry: int | None = None
    port: int = 0


class AttemptResult(enum.StrEnum):
    """How an attempt ended, as the plane saw it."""

    ANSWERED = "answered"
    """The leg's whole answer was passed on."""
    FAULTED = "faulted"
    """A fault answered, cut or reset it."""
    ABANDONED = "abandoned"
    """The gateway went away before the answer was whole."""
    LEG_FAILED = "leg_failed"
    """The leg itself failed without a fault."""


class AttemptDone(Event, frozen=True, kw_only=True, tag="attempt_done"):
    """An attempt ended. `faults` are the ids of every fault that touched it.

    connection: the number of the connection that it came on. sent: how many bytes that connection got from the leg's
    side for it. closes: whether the leg's side ended the connection with it. All None in histories from before they
    were told.
    """

    attempt: int
    answered_s: float | None
    done_s: float
    status: int | None
    result: AttemptResult
    faults: tuple[str, ...]
    detail: str = ""
    connection: int | None = None
    sent: int | None = None
    closes: bool | None = None


class ConnectHung(Event, frozen=True, kw_only=True, tag="connect_hung"):
    """A TCP connect to a blackholed leg, seen waiting. It carries no id: no byte of a request was ever sent.

    port: the caller's local port. beside: other legs whose host it is as well.
    """

    leg: str
    seen_s: float
    faults: tuple[str, ...]
    port: int = 0
    beside: tuple[str, ...] = ()


class ConnectGone(Event, frozen=True, kw_only=True, tag="connect_gone"):
    """A hung connect hangs no more: its caller gave it up, or it got through when the leg accepted connects again.

    It was seen waiting for the last time at `last_seen_s`, and not any more at `at_s`.
    """

    leg: str
    port: int
    last_seen_s: float
    at_s: float


class LookupFailed(Event, frozen=True, kw_only=True, tag="lookup_failed"):
    """The name of a leg's host was looked up, and a fault decided what came of it. It carries no id: no byte of a
    request was ever sent. legs: all whose host it is. port: the caller's local port.
    """

    host: str
    legs: tuple[str, ...]
    seen_s: float
    faults: tuple[str, ...]
    port: int = 0


class HandshakeMet(Event, frozen=True, kw_only=True, tag="handshake_met"):
    """A TLS handshake began on a leg while faults were at its handshakes. It carries no id: no request was sent yet.

    port: the caller's local port. beside: other legs whose host it is as well.
    """

    leg: str
    seen_s: float
    faults: tuple[str, ...]
    port: int
    beside: tuple[str, ...] = ()


class FaultRequested(Event, frozen=True, kw_only=True, tag="fault_requested"):
    """The runner asked a plane for a fault."""

    fault: str
    at_s: float


class FaultEffective(Event, frozen=True, kw_only=True, tag="fault_effective"):
    """From `at_s` on, every connection of the legs meets the fault. The transition began at `began_s`.

    cut: connections that were reset; held: connections that went silent.
    """

    fault: str
    legs: tuple[str, ...]
    began_s: float
    at_s: float
    cut: int = 0
    held: int = 0


class FaultSwitched(Event, frozen=True, kw_only=True, tag="fault_switched"):
    """A flapping fault that is switched as a whole went off, or on again, between its beginning and its end.

    From `at_s` on, every connection of the legs meets it (`on`), or none does; of a fault on the gateway, the keeper
    did it. The transition began at `began_s`. cut, held: as in `FaultEffective`.
    """

    fault: str
    on: bool
    began_s: float
    at_s: float
    cut: int = 0
    held: int = 0


class FaultClearRequested(Event, frozen=True, kw_only=True, tag="fault_clear_requested"):
    """The runner asked a plane to end a fault."""

    fault: str
    at_s: float


class FaultCleared(Event, frozen=True, kw_only=True, tag="fault_cleared"):
    """From `at_s` on, no connection of the legs meets the fault. `why` is empty when the runner asked for it."""

    fault: str
    began_s: float
    at_s: float
    why: str = ""


class When(enum.StrEnum):
    """On which side of a fault a leg was probed."""

    BEFORE = "before"
    DURING = "during"
    AFTER = "after"


THE_GATEWAY = "the gateway"
"""Where a leg's name stands, for faults that hit the gateway itself and no leg."""


class FaultProof(Event, frozen=True, kw_only=True, tag="fault_proof"):
    """A probe of a faulted leg, sent past the gateway: what shows that a fault was not there, was there, is gone.

    Of a fault on the gateway itself, whose `leg` is `THE_GATEWAY`: before, a probe through the gateway; during and
    after, what the kernel said of its process, read by its keeper. These have no id and no port.

    A probe that did not prove it may have been repeated; one probe may speak for several faults that have ended. id,
    port: the mark of the probe and the local port of its connection. beside: other faults that were on at the leg.
    behind: those of them that, by what the probe met, ended the exchange before this one could show itself; None in
    histories from before that was told, where any of `beside` may have.
    """

    fault: str
    leg: str
    when: When
    id: str
    port: int
    stream: bool
    sent_s: float
    done_s: float
    proved: bool
    saw: str
    beside: tuple[str, ...] = ()
    behind: tuple[str, ...] | None = None


class PlaneTrouble(Event, frozen=True, kw_only=True, tag="plane_trouble"):
    """A plane could not do what it was asked, or met something unexpected. Makes the drill invalid."""

    at_s: float
    what: str


class HowTried(enum.StrEnum):
    """How the drill learned that a host was tried."""

    LOOKED_UP = "looked up"
    """A name server was asked for its name, and said that there is none."""
    ASKED_FOR = "asked for"
    """A proxy was asked for a way to it, and refused."""
    TCP = "tcp"
    """A TCP connection to its address was begun, and refused; at port 53, where the drill's name server listens for all
    addresses, it was accepted by that one.
    """
    UDP = "udp"
    """A datagram was sent to its address, and reached nobody; at port 53 likewise."""


HOSTS_TRIED_AT_MOST = 100
"""So many different tries are written down for each way of learning of them."""


class HostTried(Event, frozen=True, kw_only=True, tag="host_tried"):
    """The gateway tried to reach what belongs to no leg, and could not. Written once for each host, port and way.

    host: its name or address as the gateway gave it, cleaned and cut to 255 characters; `MORE_HOSTS` when
    `HOSTS_TRIED_AT_MOST` others were written down before. In a private network `localhost` with a port is a port of
    the machine itself, at any loopback address, where nobody ever answered; it is written down at the end of the run.
    port: 0 when only the name is known. at_s: when the first try was seen.
    """

    at_s: float
    host: str
    how: HowTried
    port: int = 0


MORE_HOSTS = ""
"""Stands in for all hosts that are too many to be written down."""


class GatewayLine(Event, frozen=True, kw_only=True, tag="gateway"):
    """Something happened to the gateway's process: `starting`, `ready`, `stopped`, or `died` while in use."""

    at_s: float
    what: str
    detail: str = ""


class ProgramEnded(Event, frozen=True, kw_only=True, tag="program_ended"):
    """The application under test ended: by itself, or (`asked`) when the drill told it to by SIGTERM.

    code: its exit code; 128 and the signal's number when a signal ended it. said: the last lines of its output.
    """

    at_s: float
    code: int
    asked: bool
    said: tuple[str, ...] = ()


class HealthPoll(Event, frozen=True, kw_only=True, tag="health_poll"):
    """A GET of the application's health URL. `error` is empty when it was answered with 200."""

    sent_s: float
    done_s: float
    error: str = ""


class RunEnded(Event, frozen=True, kw_only=True, tag="run_ended"):
    """The last line of a history. `interrupted` is empty, or says what stopped the run."""

    at_s: float
    interrupted: str = ""


AnyEvent = (
    RunStarted
    | Probe
    | TimelineStarted
    | PhaseStarted
    | TimelineEnded
    | ArrivalSent
    | ArrivalDone
    | ArrivalNotStarted
    | AttemptReceived
    | AttemptDone
    | ConnectHung
    | ConnectGone
    | LookupFailed
    | HandshakeMet
    | FaultRequested
    | FaultEffective
    | FaultSwitched
    | FaultClearRequested
    | FaultCleared
    | FaultProof
    | PlaneTrouble
    | HostTried
    | GatewayLine
    | ProgramEnded
    | HealthPoll
    | RunEnded
)
