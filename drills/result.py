"""The result of a drill: the contract of `result.json`. Data only; seconds are floats on the run's clock.

Fields are added, never renamed or removed, within one `schema`. Null means "never", with a reason beside it.
"""

from __future__ import annotations

import enum
import json
import re
from pathlib import PurePath

import msgspec

from drills.decoding import Decoder
from drills.events import Basis, HowTried, PhasePlan
from drills.legs import Leg
from drills.people import People
from drills.routes import Route
from drills.unseen import IGNORED

RESULT_SCHEMA = "failover-drill/result/1"


class Verdict(enum.StrEnum):
    """What a drill, or one of its checks, came to."""

    PASS = "pass"  # noqa: S105  a verdict, not a password
    FAIL = "fail"
    INVALID = "invalid"
    INCONCLUSIVE = "inconclusive"
    INTERRUPTED = "interrupted"
    UNKNOWN = "unknown"
    """Of a check only: it crashed. The drill is then invalid."""


EXIT_CODES = {
    Verdict.PASS: 0,
    Verdict.FAIL: 1,
    Verdict.INVALID: 3,
    Verdict.INCONCLUSIVE: 3,
    Verdict.INTERRUPTED: 130,
}


class _Part(msgspec.Struct, frozen=True, kw_only=True):
    """Base of every part of a result."""


class ScenarioPart(_Part, frozen=True, kw_only=True):
    """Which scenario was run. sha256: of the file's bytes. id: by what its runs are known: its name on the shelf, or
    what stands for a file of one's own; empty in runs of earlier versions.
    """

    name: str
    file: str
    sha256: str
    objective: str
    id: str = ""


def scenario_id(said: str, file: str, name: str) -> str:
    """By what the runs of a scenario are known. said: by the run itself; runs of earlier versions, which say nothing,
    are known by their file without its folder and ending.
    """
    return said or PurePath(file.replace("\\", "/")).stem or name or "unnamed"


class GatewayPart(_Part, frozen=True, kw_only=True):
    """What was under test. config_sha256: of the user's config, byte for byte. route: how its
    traffic came to the planes.
    """

    name: str
    version: str
    config_file: str
    config_sha256: str
    entry_model: str
    route: Route = Route.REWRITE


class ProofPart(_Part, frozen=True, kw_only=True):
    """What probes of one leg, past the gateway, say about one fault on it.

    before, during, after: whether the leg was well, the fault was on, the leg was well again. during_saw, after_saw:
    what the telling probe met, empty when there was none. hidden_by: other faults that were on at the leg during every
    probe that did not prove this one; one of them was proved. proved_s: since the fault became effective. restored_s:
    since the last fault on the leg was cleared.

    Of a fault on the gateway itself, `leg` is "the gateway", and during and after are what the kernel said of its
    process; restored_s is then how long undoing the fault took.
    """

    leg: str
    before: bool
    during: bool
    during_saw: str
    hidden_by: tuple[str, ...]
    proved_s: float | None
    after: bool
    after_saw: str
    restored_s: float | None


class FaultPart(_Part, frozen=True, kw_only=True):
    """What became of a fault. touched_requests: attempts, hung connects and handshakes that met it; for a fault that
    refuses connections, where the kernel answers and no plane sees the connect, the arrivals that it turned away; for
    one of an identity service, the arrivals that had to do without a token or waited for it; for one of names, which
    meets lookups (`failed_lookups`) and no requests, the arrivals that it turned away, if any lookup failed.
    touched_tokens: the gateway's requests for tokens that met it. switched: how often a fault that flaps as a whole
    went off or on again.
    shape: which requests it hits; empty for all. proof: by leg.
    """

    id: str
    kind: str
    legs: tuple[str, ...]
    selector: str
    requested_s: float | None
    effective_s: float | None
    transition_s: float | None
    cleared_s: float | None
    touched_requests: int
    cut_connections: int
    held_connections: int
    hung_connects: int
    failed_lookups: int = 0
    handshakes: int = 0
    shape: str = ""
    proof: tuple[ProofPart, ...] = ()
    touched_tokens: int = 0
    switched: int = 0


class Outage(_Part, frozen=True, kw_only=True):
    """How long callers were without good answers: bounds and best estimate, in seconds."""

    lower: float
    point: float
    upper: float


class Switchover(_Part, frozen=True, kw_only=True):
    """How the callers fared from the onset of one fault to its end, or to the next fault.

    onset_s, first_failure_s, first_success_s: on the run's clock. switchover_s, recovery_s, avoidance_s: since onset.
    recovery_s: upper end of the bracket that holds the instant from which callers were answered well;
    resolution_s: the bracket's width. reason: why something is null, one sentence each.
    """

    fault: str
    from_: str | None = msgspec.field(name="from")
    to: str | None
    onset_s: float
    window_s: float
    first_failure_s: float | None
    first_success_s: float | None
    switchover_s: float | None
    recovery_s: float | None
    resolution_s: float | None
    client_outage_s: Outage
    avoidance_s: float | None
    detour_p50_s: float | None
    detour_max_s: float | None
    exposure_s: float | None
    arrivals: int
    bad: int
    slow: int
    corrupt: int
    reasons: dict[str, str]
    evidence: tuple[int, ...]


class Failback(_Part, frozen=True, kw_only=True):
    """How the callers fared after a fault was cleared.

    cleared_s, first_success_s: on the run's clock. failback_s: since cleared, with resolution_s. excess_outage_s:
    client outage while every leg was healthy again. flaps: changes of the answering leg beyond the one away and the
    one back, per hour. expected: false when the leg that serves first in the chain was never away.
    """

    fault: str
    to: str | None
    expected: bool
    cleared_s: float | None
    window_s: float
    first_success_s: float | None
    failback_s: float | None
    resolution_s: float | None
    excess_outage_s: float
    flaps: float
    bad: int
    slow: int
    reasons: dict[str, str]


class Requests(_Part, frozen=True, kw_only=True):
    """Every arrival in exactly one outcome. `slow` counts among `ok`; `broken_streams` among `failed`: streams that
    callers had begun to receive when a fault struck, and that ended in an error they could see.
    """

    due: int
    ok: int
    failed: int
    unknown: int
    corrupt: int
    not_started: int
    slow: int
    broken_streams: int

    @property
    def lost(self) -> int:
        """Arrivals whose caller did not get a good answer from the gateway."""
        return self.failed + self.unknown + self.corrupt


class Attempts(_Part, frozen=True, kw_only=True):
    """Attempts that callers' requests caused. unexplained: on a model's surface with no request behind them.

    own_checks: requests of the gateway's own, without any id, of a gateway whose config makes it check its legs.
    """

    total: int
    per_request: float
    by_leg: dict[str, int]
    by_result: dict[str, int]
    unexplained: int
    own_checks: int
    probes: int
    side_traffic: int


class InferredPart(_Part, frozen=True, kw_only=True):
    """Of a drill whose requests are inferred from an application's own calls: what is not among them, and what is.

    warm_up: attempts from before the timeline. cut: requests that the end of the drill cut off; they count nowhere.
    repeated: requests whose text the application repeats, which are told apart to its disadvantage.
    """

    warm_up: int
    cut: int
    repeated: int


class HealthPart(_Part, frozen=True, kw_only=True):
    """The polls of an application's health URL while the timeline ran. outage_s: how long it was not healthy, as
    client outage is. errors: what the first failed polls met.
    """

    url: str
    polls: int
    failed: int
    outage_s: Outage
    errors: tuple[str, ...]


class Path(_Part, frozen=True, kw_only=True):
    """A way that requests took through the legs, with how many took it: one row of the attempt ledger."""

    outcome: str
    attempts: tuple[str, ...]
    requests: int


class LoadPart(_Part, frozen=True, kw_only=True):
    """The load generator, as it observed itself."""

    rate_per_s: float
    achieved_per_s: float | None
    send_lag_p50_ms: float | None
    send_lag_p99_ms: float | None
    send_lag_max_ms: float | None


class PlanePart(_Part, frozen=True, kw_only=True):
    """What the plane itself costs: median over `samples` pairs of
    requests, one through it and one straight to the leg.
    """

    added_latency_p50_ms: float | None
    added_first_token_p50_ms: float | None
    samples: int


class PhasePart(_Part, frozen=True, kw_only=True):
    """One phase: its arrivals by outcome, who answered, and attempts per request. basis: see `drills.events.Basis`."""

    name: str
    start_s: float
    end_s: float
    faults: tuple[str, ...]
    due: int
    ok: int
    bad: int
    slow: int
    served_by: dict[str, int]
    attempts_per_request: float | None
    basis: Basis | None = None


class HostPart(_Part, frozen=True, kw_only=True):
    """A host that belongs to no leg, which the gateway tried and could not reach: see `drills.events.HostTried`.

    first_s: when the first try was seen, on the run's clock.
    """

    host: str
    port: int
    how: HowTried
    first_s: float


class CheckPart(_Part, frozen=True, kw_only=True):
    """One check: what was expected, what was observed, the requests that prove it, and what to do about it."""

    name: str
    verdict: Verdict
    expected: str
    observed: str
    evidence: tuple[str, ...] = ()
    advice: str = ""


class Result(_Part, frozen=True, kw_only=True):
    """The whole result. history_sha256: of the history file from which all of it was computed; empty when it was
    computed from no file, or by a version that did not say it. people, change: who answers for the run, and its ticket.
    """

    schema: str
    tool_version: str
    scenario: ScenarioPart
    gateway: GatewayPart
    seed: int
    started_at: str
    duration_s: float
    verdict: Verdict
    exit_code: int
    reasons: tuple[str, ...]
    notes: tuple[str, ...]
    legs: tuple[Leg, ...]
    phases: tuple[PhasePart, ...]
    faults: tuple[FaultPart, ...]
    switchovers: tuple[Switchover, ...]
    failbacks: tuple[Failback, ...]
    requests: Requests
    attempts: Attempts
    paths: tuple[Path, ...]
    load: LoadPart
    plane: PlanePart
    slow_limit_s: float | None
    slow_token_limit_s: float | None
    checks: tuple[CheckPart, ...]
    environment: dict[str, str]
    plan: tuple[PhasePlan, ...]
    hosts_tried: tuple[HostPart, ...] = ()
    inferred: InferredPart | None = None
    health: HealthPart | None = None
    history_sha256: str = ""
    people: People = People()
    change: str | None = None


_UNSEEN = re.compile(f"[\\x7f-\\x9f\\u2028\\u2029\\ufff9-\\ufffb\\ufffe\\uffff{IGNORED}]")
"""What JSON may hold as it is, and what would command a terminal or turn the direction of a text."""


def encode(result: Result) -> bytes:
    """`result.json`, with a line end."""
    return readable(result)


def readable(data: msgspec.Struct) -> bytes:
    """JSON in lines, with a line end. Every character that nobody sees is written as an escape."""
    text = (msgspec.json.format(msgspec.json.encode(data), indent=2) + b"\n").decode()
    return _UNSEEN.sub(lambda found: json.dumps(found.group())[1:-1], text).encode()


def decode(data: bytes) -> Result:
    """A result out of its file. Raises `msgspec.DecodeError`."""
    return _DECODER.decode(data)


_DECODER: Decoder[Result] = Decoder(Result)
