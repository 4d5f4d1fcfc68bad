"""A scenario file: what may be written in it, and what comes of it. Every problem has its place. Pure."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

from msgspec import Meta

from drills.answersize import smallest, too_brief
from drills.binding import Key, bind
from drills.events import Basis
from drills.faultentry import WrittenFault
from drills.legs import ROLES, is_role
from drills.people import NOBODY, Line, WrittenPeople
from drills.problems import Place, Problem, UsageProblem, choices
from drills.scenario import USUAL_TIMING, Expectations, FaultUse, Load, Phase, ProviderTiming, Scenario, Until
from drills.units import Seconds
from drills.yamlsource import Node, place_of, shown, tree

MAX_DURATION_S = 7200.0

PhaseName = Annotated[
    str, Meta(pattern=r"\A[a-z0-9][a-z0-9-]*\Z", max_length=40, description="lower-case letters, digits and dashes")
]


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
    providers: ProviderTiming = USUAL_TIMING
    timeline: Annotated[tuple[WrittenPhase, ...], Meta(min_length=1)]
    expect: Expectations


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
