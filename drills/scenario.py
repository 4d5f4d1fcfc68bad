"""What a scenario file says: objective, load, timeline of faults, expectations. Frozen and pure, except `load`.

A scenario never names a gateway's own models: faults address legs by role or fault domain (`drills.targets` looks
them up), so the same file drills any gateway.
"""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, ClassVar, NamedTuple

from msgspec import Meta

from drills.answersize import smallest, too_brief
from drills.binding import Key, bind, fields_of
from drills.events import Basis
from drills.faultentry import WrittenFault
from drills.legs import ROLES, Selector, is_role
from drills.people import NOBODY, Line, People, WrittenPeople
from drills.problems import Place, Problem, UsageProblem, choices
from drills.units import PerSecond, Seconds, Share
from drills.yamlsource import Node, place_of, read_text, shown, tree
from faults.base import Fault
from faults.shapes import Shape

MAX_DURATION_S = 7200.0

PhaseName = Annotated[
    str, Meta(pattern=r"\A[a-z0-9][a-z0-9-]*\Z", max_length=40, description="lower-case letters, digits and dashes")
]


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


# --- what is written -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class WrittenPhase:
    """A phase of the timeline; its faults last for the whole phase.

    phase: its name.
    duration_s: how long it lasts.
    until: what ends it sooner; the probes that prove its faults always come first.
    faults: what is broken in it. The same fault in the next phase goes on without a gap.
    basis: what it rests on in a scenario of a real outage; the reports say so where it is not published.
    """

    noun: ClassVar[str] = "a phase"

    phase: PhaseName
    duration_s: Annotated[Seconds, Key("for"), Meta(ge=1, le=MAX_DURATION_S)]
    until: Until | None = None
    faults: tuple[WrittenFault, ...] = ()
    basis: Basis | None = None
    place: Place


@dataclass(frozen=True, kw_only=True)
class WrittenScenario:
    """A failover drill: traffic, a timeline of faults, and what must hold.

    name: what breaks, in a few words.
    objective: what callers are promised.
    gateway: which adapter starts the gateway under test.
    seed: repeats a drill exactly: same arrivals, same random decisions.
    people: who answers for the drill; reports say it.
    change: the ticket under which it is run.
    timeline: phases, one after the other; the first one is healthy.
    """

    noun: ClassVar[str] = "the scenario"

    name: Line
    objective: Annotated[str, Meta(max_length=2000)]
    gateway: str = "litellm"
    seed: Annotated[int | None, Meta(ge=0, le=2**32 - 1)] = None
    people: WrittenPeople = NOBODY
    change: Line | None = None
    load: Load
    providers: ProviderTiming = ProviderTiming()
    timeline: Annotated[tuple[WrittenPhase, ...], Meta(min_length=1)]
    expect: Expectations


# --- parse -----------------------------------------------------------------------------------------------------------


def parse(text: str, file: str) -> Scenario:
    """The scenario of a YAML text. `file` is its name in messages. Raises `UsageProblem` with every problem."""
    problems: list[Problem] = []
    root = tree(text, file, problems)
    raw = None if root is None else bind(root, WrittenScenario, problems)
    scenario = None
    if raw is not None and root is not None:
        timeline = tuple(_phases(raw.timeline, problems))
        problems.extend(_timeline_problems(raw, root))
        scenario = Scenario(
            name=raw.name,
            objective=raw.objective,
            gateway=raw.gateway,
            seed=raw.seed,
            people=raw.people,
            change=raw.change,
            load=raw.load,
            providers=raw.providers,
            timeline=timeline,
            expect=raw.expect,
            text=text,
            file=file,
            sha256=hashlib.sha256(text.encode()).hexdigest(),
        )
        problems.extend(_limit_problems(scenario, root))
        problems.extend(_proof_problems(raw, scenario, root))
    if problems or scenario is None:
        raise UsageProblem(sorted(dict.fromkeys(problems), key=lambda problem: problem.place or Place(file)))
    return scenario


def _phases(phases: Sequence[WrittenPhase], problems: list[Problem]) -> Iterator[Phase]:
    """The phases with their fault uses; a fault that goes on from the phase before keeps its id."""
    ids: set[str] = set()
    before: tuple[FaultUse, ...] = ()
    for phase in phases:
        uses: list[FaultUse] = []
        for entry in phase.faults:
            use = next((use for use in before if _same(use, entry)), None)
            if any(_same(other, entry) for other in uses):
                problems.append(Problem(f"the same {entry.kind!r} is written twice in this phase", entry.place))
            elif use is None:
                stem = f"{phase.phase}-{entry.kind}"
                names = itertools.chain([stem], (f"{stem}-{count}" for count in itertools.count(2)))
                name = next(name for name in names if name not in ids)
                ids.add(name)
                use = FaultUse(
                    id=name,
                    kind=entry.kind,
                    fault=entry.fault,
                    selector=entry.selector,
                    place=entry.place,
                    shape=entry.shape,
                )
                uses.append(use)
            else:
                uses.append(use)
        before = tuple(uses)
        yield Phase(
            name=phase.phase,
            duration_s=phase.duration_s,
            until=phase.until,
            basis=phase.basis,
            faults=before,
            place=phase.place,
        )


def _same(use: FaultUse | WrittenFault, entry: WrittenFault) -> bool:
    return (use.kind, use.selector, use.fault, use.shape) == (entry.kind, entry.selector, entry.fault, entry.shape)


def _timeline_problems(raw: WrittenScenario, root: Node) -> Iterator[Problem]:
    first_places: dict[str, Place] = {}
    for index, phase in enumerate(raw.timeline):
        place = place_of(root, "timeline", index, "phase")
        if phase.phase in first_places:
            yield Problem(f"phase {phase.phase!r} is written twice; first at {first_places[phase.phase]}", place)
        first_places.setdefault(phase.phase, place)
        if phase.until is not None and not is_role(role := phase.until.answered.role):
            what = f"'role' takes a role, and {shown(role)} is none; {choices(role[:60], ROLES)}, level-6, ..."
            yield Problem(what, place_of(root, "timeline", index, "until", "answered", "role"))
    total_s = sum(phase.duration_s for phase in raw.timeline)
    if total_s > MAX_DURATION_S:
        what = f"the timeline lasts {total_s:g}s; at most {MAX_DURATION_S:g}s (2h) is allowed"
        yield Problem(what, place_of(root, "timeline"))
    if raw.timeline[0].faults:
        what = "the first phase must be without faults: a drill needs traffic before the fault"
        yield Problem(what, place_of(root, "timeline", 0, "faults"))
    last = len(raw.timeline) - 1
    if last > 0 and raw.timeline[last].faults and raw.expect.failback is not None:
        what = "the last phase must be without faults when a failback is expected: a leg comes back after the fault"
        yield Problem(what, place_of(root, "timeline", last, "faults"))


def _limit_problems(scenario: Scenario, root: Node) -> Iterator[Problem]:
    """Limits that the timeline is too short to break: such a drill could not fail."""
    windows = scenario.fault_windows()
    if not windows:
        return
    longest_s = max(window.end_s - window.start_s for window in windows)
    after_s = scenario.duration_s - max(window.end_s for window in windows)
    switchover, failback = scenario.expect.switchover, scenario.expect.failback
    if switchover is not None and switchover.within_s > longest_s:
        what = (
            f"a switchover within {switchover.within_s:g}s cannot be judged: no fault lasts longer than {longest_s:g}s"
        )
        yield Problem(what, place_of(root, "expect", "switchover", "within"))
    if failback is not None and failback.within_s > after_s > 0:
        end = f"the drill ends {after_s:g}s after the last fault"
        what = f"a failback within {failback.within_s:g}s cannot be judged: {end}"
        yield Problem(what, place_of(root, "expect", "failback", "within"))


def _proof_problems(raw: WrittenScenario, scenario: Scenario, root: Node) -> Iterator[Problem]:
    """Faults that the drill's own probes could not prove: such a drill would always be invalid."""
    answer = smallest(raw.load.words, raw.providers.first_token_s, raw.providers.tokens_per_s)
    lasts_s = {window.use.id: window.end_s - window.start_s for window in scenario.fault_windows()}
    for index, phase in enumerate(raw.timeline):
        for number, entry in enumerate(phase.faults):
            place = ("timeline", index, "faults", number, entry.kind)
            if (found := entry.fault.unprovable(answer)) is not None:
                what = f"{entry.kind!r} could not be proved with this {found.setting!r}: {found.needed}"
                yield Problem(what, place_of(root, *place, found.setting))
            use = next(use for use in scenario.timeline[index].faults if _same(use, entry))
            if why := too_brief(use.fault, use.shape, lasts_s[use.id], answer):
                yield Problem(f"{entry.kind!r} could not be proved {why}", place_of(root, *place))


# --- find ------------------------------------------------------------------------------------------------------------


class Found(NamedTuple):
    """A scenario file: its name for messages, and where to read it."""

    file: str
    source: Traversable


FAST = "fast"
"""The set of short scenarios for a gate, and the folder in which they are."""


def shipped(folder: str = "") -> list[str]:
    """The names of the scenarios that come with the tool, in alphabetical order; those of a folder begin with it."""
    shelf = _shelf() / folder if folder else _shelf()
    names = [f"{folder}/{entry.name}" if folder else entry.name for entry in shelf.iterdir()]
    return sorted(name.removesuffix(".yaml") for name in names if name.endswith(".yaml"))


def _shelf() -> Traversable:
    """The package `scenarios`. With `python -m`, a directory of that name where the tool runs would come first."""
    found = files("scenarios")
    return found if (found / "__init__.py").is_file() else Path(__file__).parents[1] / "scenarios"


def find(name: str) -> Found:
    """The file of a scenario that is given as a path, a file name (`cloud-outage.yaml`) or a bare name.

    Looks relative to the current directory, then in `./scenarios/`, then among the shipped ones. Raises
    `UsageProblem` with the closest match and the shipped names.
    """
    for stem in (Path(name), Path("scenarios") / name):
        for path in (stem, Path(f"{stem}.yaml"), Path(f"{stem}.yml")):
            if name and _holds_a_file(path):
                return Found(str(path), path)
    bare = name.removesuffix(".yaml")
    if bare in shipped() or bare in shipped(FAST):
        return Found(f"scenarios/{bare}.yaml", _shelf() / f"{bare}.yaml")
    if name and os.path.isdir(name):  # noqa: PTH112 - never raises, whatever the name
        raise UsageProblem(Problem("this is a directory; name one file", Place(name)))
    tail = choices(Path(bare).name[:60], shipped())
    raise UsageProblem(f"unknown scenario {shown(name)}: no such file, and none of this name is shipped; {tail}")


def _holds_a_file(path: Path) -> bool:
    try:
        return path.exists() and not path.is_dir()
    except PermissionError:
        return True  # reading it says why it cannot be read
    except (OSError, ValueError):
        return False  # no file can have this name


def load(name_or_path: str) -> Scenario:
    """The scenario of a file that `find` finds. Raises `UsageProblem` with every problem in it."""
    found = find(name_or_path)
    return parse(read_text(found.source, found.file), found.file)
