"""What a scenario says: objective, load, timeline of faults, expectations. Frozen and pure.

A scenario never names a gateway's own models: faults address legs by role or fault domain (`drills.targets` looks
them up), so the same file drills any gateway.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, NamedTuple

from msgspec import Meta

from drills.binding import Key, fields_of
from drills.events import Basis
from drills.legs import Selector
from drills.people import People
from drills.problems import Place
from drills.units import PerSecond, Seconds, Share
from faults.base import Fault
from faults.shapes import Shape


@dataclass(frozen=True, kw_only=True)
class Load:
    """The traffic of the callers: arrivals at a steady rate, whether or not earlier ones were answered.

    rate_per_s: arrivals per second; the resolution of every measured time is about one arrival interval.
    streaming: share of the requests that ask for a streamed answer.
    deadline_s: how long a caller waits before it gives up.
    words: length of the simulated providers' answers.
    slow_s: an answer that takes longer is slow; by default a second more than the slowest of the steady phase.
    """

    rate_per_s: Annotated[PerSecond, Key("rate"), Meta(gt=0, le=200)]
    streaming: Share = 0.5
    deadline_s: Annotated[Seconds, Key("deadline"), Meta(gt=0, le=600)] = 30.0
    words: Annotated[int, Meta(ge=1, le=2000)] = 12
    slow_s: Annotated[Seconds | None, Key("slow"), Meta(gt=0, le=600)] = None


@dataclass(frozen=True, kw_only=True)
class ProviderTiming:
    """How fast the simulated providers are while they are healthy.

    first_token_s: time from the request to the first token.
    tokens_per_s: speed of the rest of the answer.
    token_lifetime_s: how long a token of an identity service is good, in whole seconds. Google's are good for 3599 s,
        and its clients ask for the next one up to 225 s before that.
    """

    first_token_s: Annotated[Seconds, Key("first_token"), Meta(le=60)] = 0.05
    tokens_per_s: Annotated[float, Meta(gt=0, le=100_000)] = 200.0
    token_lifetime_s: Annotated[Seconds, Key("token_lifetime"), Meta(ge=1, le=86_400)] = 3599.0

    def __post_init__(self) -> None:
        if self.token_lifetime_s != int(self.token_lifetime_s):
            raise ValueError(f"'token_lifetime' is told in whole seconds on the wire, not {self.token_lifetime_s:g}s")


USUAL_TIMING = ProviderTiming()


@dataclass(frozen=True, kw_only=True)
class FaultUse:
    """One fault of the timeline. It lasts for the whole of each phase that holds it.

    shape: which requests it hits; None for all of them.
    id: `<phase>-<kind>`, unique in the scenario, after the phase in which it begins.
    place: where its entry was first written.
    """

    id: str
    kind: str
    fault: Fault
    selector: Selector
    place: Place
    shape: Shape | None = None


@dataclass(frozen=True, kw_only=True)
class Answered:
    """So many whole answers since the phase began.

    role: of the legs that gave them.
    requests: how many.
    """

    role: str
    requests: Annotated[int, Meta(ge=1, le=1_000_000)]


@dataclass(frozen=True, kw_only=True)
class Until:
    """What ends a phase before its time.

    answered: legs of a role have answered so many requests.
    """

    answered: Answered


@dataclass(frozen=True, kw_only=True)
class Phase:
    """A stretch of the timeline. A fault that goes on from the phase before is the same `FaultUse` in both.

    duration_s: how long it lasts; with `until`, at the latest.
    basis: on what it rests, where the scenario says so.
    """

    name: str
    duration_s: float
    until: Until | None = None
    basis: Basis | None = None
    faults: tuple[FaultUse, ...]
    place: Place


class FaultWindow(NamedTuple):
    """When a fault is asked for, in seconds from the start of the timeline."""

    use: FaultUse
    start_s: float
    end_s: float


@dataclass(frozen=True, kw_only=True)
class Within:
    """A limit on a time.

    within_s: the longest time that is still good.
    """

    within_s: Annotated[Seconds, Key("within"), Meta(gt=0)]


@dataclass(frozen=True, kw_only=True)
class AtMost:
    """A limit on a number of requests.

    at_most: the largest number that is still good.
    """

    at_most: Annotated[int, Meta(ge=0)]


@dataclass(frozen=True, kw_only=True)
class Lost:
    """A limit on requests whose caller did not get a complete answer: failed, unknown or corrupt.

    at_most: the largest number that is still good.
    broken_streams: how many streams may break besides, that callers had begun to receive when a fault struck and that
        ended in an error they could see. What was sent cannot be taken back, so no gateway can move such a stream.
    """

    at_most: Annotated[int, Meta(ge=0)]
    broken_streams: Annotated[int, Meta(ge=0)] = 0


@dataclass(frozen=True, kw_only=True)
class AtMostTime:
    """A limit on a median time.

    at_most_s: the longest time that is still good.
    """

    at_most_s: Annotated[Seconds, Key("at_most"), Meta(gt=0)]


@dataclass(frozen=True, kw_only=True)
class PerRequest:
    """A limit on attempts.

    per_request_at_most: the largest mean number of attempts per request of a caller that is still good.
    """

    per_request_at_most: Annotated[float, Meta(ge=1, le=1000)]


@dataclass(frozen=True, kw_only=True)
class Expectations:
    """What must hold for the drill to pass; None where nothing is expected.

    switchover: from the start of a fault to the moment from which callers are answered well.
    failback: from the end of a fault to the first good answer of the leg that served before.
    lost: requests whose caller did not get a good answer.
    attempts: attempts on the legs for each request of a caller.
    slow: good answers that came too late.
    detour: what the median rescued caller paid for the try on the faulted leg.
    """

    switchover: Within | None = None
    failback: Within | None = None
    lost: Lost | None = None
    attempts: PerRequest | None = None
    slow: AtMost | None = None
    detour: AtMostTime | None = None

    def __post_init__(self) -> None:
        names = [field.key for field in fields_of(type(self))]
        if all(getattr(self, name) is None for name in names):
            raise ValueError(f"at least one expectation is needed; allowed: {', '.join(sorted(names))}")


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A whole scenario file.

    seed: None when the file leaves it open.
    text: the file verbatim; sha256: of its bytes, in hexadecimal; file: its name in messages.
    identity: by what its runs are known, as `drills.shelf.identity` says; empty when it was not loaded from a file.
    """

    name: str
    objective: str
    gateway: str
    seed: int | None
    people: People
    change: str | None
    load: Load
    providers: ProviderTiming
    timeline: tuple[Phase, ...]
    expect: Expectations
    text: str
    file: str
    sha256: str
    identity: str = ""

    @property
    def duration_s(self) -> float:
        """Length of the whole timeline."""
        return sum(phase.duration_s for phase in self.timeline)

    @property
    def faults(self) -> tuple[FaultUse, ...]:
        """Every fault once, in the order in which they begin."""
        return tuple(window.use for window in self.fault_windows())

    def fault_windows(self) -> tuple[FaultWindow, ...]:
        """Every fault with its start and end, in the order in which they begin."""
        windows: dict[str, FaultWindow] = {}
        start_s = 0.0
        for phase in self.timeline:
            end_s = start_s + phase.duration_s
            for use in phase.faults:
                first_s = windows[use.id].start_s if use.id in windows else start_s
                windows[use.id] = FaultWindow(use, first_s, end_s)
            start_s = end_s
        return tuple(windows.values())
