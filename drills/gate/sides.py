"""What is compared: both sides, what differs between them, and which scenarios fit. Reads files, starts nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from drills import routing
from drills.gate.runs import Setting, Subject
from drills.gate.touching import ordered
from drills.gate.trials import Case, Trial, trial_of
from drills.gateways.base import Discovery
from drills.gateways.changes import Aspect, Change, TellsChanges, chain_changes, into_the_same_cloud
from drills.kept import RESULT_FILE, is_run
from drills.problems import Place, Problem, UsageProblem
from drills.recomputing import judged_in
from drills.result import Result, decode
from drills.routes import Route
from drills.routing.base import Planned
from drills.scenario import Scenario
from drills.targets import resolve

OTHER_MACHINE = (
    "the base is stored: what ran on another machine or at another time gave 18 to 38 % false alarms, so only verdicts "
    "are compared, and times are only shown"
)


@dataclass(frozen=True)
class Fitting:
    """A scenario that is drilled. paired: on the base too. hopeless: on the head a phase takes every leg away."""

    scenario: Scenario
    paired: bool = True
    hopeless: bool = False


@dataclass(frozen=True)
class Comparable:
    """Both sides, read. base: None when there is none that can be drilled. same: whether both mean the same.

    problems: why the head cannot be drilled; then `fitting` is empty.
    """

    base: Discovery | None
    head: Discovery | None
    changes: tuple[Change, ...] = ()
    same: bool = False
    fitting: tuple[Fitting, ...] = ()
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = field(default=())


def look(base: Subject | None, head: Subject, setting: Setting, scenarios: Sequence[Scenario]) -> Comparable:
    """Read both sides. base: None when there is none, or only results of it. Raises `UsageProblem` when no scenario
    fits.
    """
    changes = _changes(base, head, setting)
    notes: list[str] = []
    found_base: Discovery | None = None
    if base is not None:
        try:
            found_base = setting.adapter.discover(base.config, setting.model)
        except UsageProblem as problem:
            notes.append(f"the base cannot be drilled, so the head is judged alone: {_one_line(problem)}")
    try:
        found_head = setting.adapter.discover(head.config, setting.model)
    except UsageProblem as problem:
        return Comparable(found_base, None, changes or (), problems=problem.problems, notes=tuple(notes))
    if found_base is not None:
        if changes is None:
            changes = tuple(_by_legs(found_base, found_head))
        changes = (*changes, *_versions(base, head))
    same = found_base is not None and not changes
    if same:
        notes.append("the configs mean the same: only the head was drilled, once in each scenario")
    in_order = ordered(scenarios, changes or ())
    fitting, problems = _fitting(in_order, None if same else found_base, found_head, setting, notes)
    if not fitting and not problems:
        raise UsageProblem([Problem("no scenario fits the head's config"), *(Problem(note) for note in notes)])
    return Comparable(
        base=found_base,
        head=found_head,
        changes=changes or (),
        same=same,
        fitting=() if problems else tuple(fitting),
        problems=tuple(problems),
        notes=tuple(notes),
    )


def _fitting(
    scenarios: Sequence[Scenario], base: Discovery | None, head: Discovery, setting: Setting, notes: list[str]
) -> tuple[list[Fitting], list[Problem]]:
    """The scenarios that are run, and what is wrong with a head that cannot be drilled with what its base can."""
    fitting: list[Fitting] = []
    problems: list[Problem] = []
    for scenario in scenarios:
        found = _fit(scenario, base, head, setting)
        if isinstance(found, Fitting):
            fitting.append(found)
        elif found.for_the_base:
            problems += found.problems
        else:
            told = "; ".join(str(one) for one in found.problems)
            notes.append(f"{scenario.file} does not fit this config and was left out: {told}")
    return fitting, problems


@dataclass(frozen=True)
class _Unfit:
    """A scenario that the head cannot be drilled with, and whether the base can."""

    problems: tuple[Problem, ...]
    for_the_base: bool


def _fit(scenario: Scenario, base: Discovery | None, head: Discovery, setting: Setting) -> Fitting | _Unfit:
    """How a scenario is run. One that only the head has no leg left for is run all the same, and shows just that."""
    fits_base = base is not None and _fits(scenario, base, setting) is None
    why = _fits(scenario, head, setting)
    if why is None:
        return Fitting(scenario, paired=fits_base)
    if fits_base and _fits(scenario, head, setting, hopeless=True) is None:
        return Fitting(scenario, hopeless=True)
    return _Unfit(why.problems, fits_base)


def stored(folder: Path, scenarios: Sequence[Scenario], gateway: str) -> dict[str, tuple[Trial, ...]]:
    """Trials out of the runs of a folder, by scenario file. Raises `UsageProblem` when it holds none of these, and for
    a result that cannot be read: a base that loses runs without a word would be another base.
    """
    inside = (path for path in folder.iterdir() if path.is_dir() and is_run(path))
    folders = [folder] if is_run(folder) else sorted(inside)
    found: dict[str, tuple[Trial, ...]] = {}
    by_sha = {scenario.sha256: scenario.file for scenario in scenarios}
    for path in folders:
        try:
            result = decode((path / RESULT_FILE).read_bytes())
        except FileNotFoundError:
            continue  # a run that was killed has none
        except (OSError, msgspec.MsgspecError) as error:
            raise UsageProblem(f"{path / RESULT_FILE}: cannot be read as a result: {error}") from error
        name = by_sha.get(result.scenario.sha256)
        if name is not None and result.gateway.name == gateway:
            found[name] = (*found.get(name, ()), trial_of(_believed(path, result), str(path)))
    if not found:
        names = ", ".join(sorted(by_sha.values()))
        raise UsageProblem(f"{folder}: holds no result of {gateway} in exactly these scenarios: {names}")
    return found


def _believed(folder: Path, said: Result) -> Result:
    """What a stored run's history comes to, which is what counts. Raises `UsageProblem` when its result says another
    verdict.
    """
    found = judged_in(folder).result
    if found.verdict is not said.verdict:
        what = f"it says {said.verdict}, and its history comes to {found.verdict}; `drill verify` says what was changed"
        raise UsageProblem(f"{folder / RESULT_FILE}: {what}")
    return found


def case_of(fitting: Fitting, trials: Sequence[Trial] | None) -> Case:
    """The case of a scenario, with the base's stored trials if there are any."""
    name = fitting.scenario.file
    if trials is not None:
        return Case(name, base=tuple(trials), paired=False, loose=True)
    return Case(name, paired=fitting.paired)


def _changes(base: Subject | None, head: Subject, setting: Setting) -> tuple[Change, ...] | None:
    """What the adapter can say; None when it cannot."""
    if base is None or base.config is None or head.config is None:
        return None
    if isinstance(setting.adapter, TellsChanges):
        # Also where both files are the same to the byte: what they include may differ.
        return setting.adapter.changes(base.config, head.config, setting.model)
    if base.config.is_file() and head.config.is_file() and base.config.read_bytes() == head.config.read_bytes():
        return ()
    return None


def _by_legs(base: Discovery, head: Discovery) -> Iterator[Change]:
    """What can be said without the adapter."""
    place = Place(head.config_file)
    if base.config_sha256 == head.config_sha256:
        return
    yield from chain_changes(base.legs, head.legs)
    for _, what in into_the_same_cloud(base.legs, head.legs):
        yield Change(Aspect.DOMAIN, what, place)
    yield Change(Aspect.OTHER, "the config is another file; this tool has no words for what differs in it", place)


def _versions(base: Subject | None, head: Subject) -> Iterator[Change]:
    if base is not None and (base.program, base.version) != (head.program, head.version):
        told = f"{head.version or 'another'}, before {base.version or 'another'}"
        yield Change(Aspect.OTHER, f"the gateway's version is now {told}")


def _fits(scenario: Scenario, found: Discovery, setting: Setting, *, hopeless: bool = False) -> UsageProblem | None:
    """Why a scenario cannot be run on these legs by this route; None when it can."""
    route = routing.get(setting.route or Route.REWRITE)
    try:
        targets = resolve(scenario, found.legs, hopeless=hopeless)
    except UsageProblem as problem:
        return problem
    problems = list(route.problems(Planned(setting.adapter, found, targets)))
    return UsageProblem(problems) if problems else None


def _one_line(problem: UsageProblem) -> str:
    return "; ".join(str(one) for one in problem.problems)
