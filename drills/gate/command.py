"""`drill gate`: reads both sides, makes runs until all is decided or the budget is used up, and judges."""

from __future__ import annotations

import argparse
import os
import random
import secrets
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from drills import __version__, tested
from drills.gate import runs, sides, words
from drills.gate.agenda import Run, next_run
from drills.gate.result import (
    GATE_SCHEMA,
    ChangePart,
    FindingPart,
    GateResult,
    PlacePart,
    SidePart,
    TimesPart,
)
from drills.gate.runs import Setting, Subject
from drills.gate.sides import Comparable, Fitting
from drills.gate.touching import concerns
from drills.gate.trials import EXIT_CODES, Case, Judged, Outcome, Side, Trial, judge, trial_of
from drills.gateways import running
from drills.problems import EXIT_USAGE, Place, Problem, UsageProblem
from drills.scenario import Scenario
from drills.shelf import FAST, load, shipped
from drills.units import parse_seconds

AROUND_S = 14.0
"""What a run takes besides its timeline, before any has been timed: mostly the gateway's start."""
SETS = {"fast": FAST, "full": ""}
BUDGET = "10m"
PAIRS = 10

Say = Callable[[str], None]


def gate(args: argparse.Namespace, say: Say) -> GateResult:
    """Run the gate. Raises `UsageProblem` when the words of the command are wrong, `KeyboardInterrupt` when stopped."""
    asked = _Asked(args)
    asked.prepare(say)
    pair = sides.look(asked.base, asked.head, asked.setting, asked.scenarios)
    return _Gate(asked, pair, say).run()


class _Asked:
    """The command's words, checked."""

    def __init__(self, args: argparse.Namespace) -> None:
        problems: list[Problem] = []
        self.budget_s = _taken(lambda: parse_seconds(args.budget), "--budget", problems) or 0.0
        self.seed: int = args.seed if args.seed is not None else secrets.randbelow(2**32)
        self.pairs: int = args.pairs
        self.quick: bool = args.quick
        self.scenarios, self.names = _scenarios(args.scenarios or shipped(SETS[args.set]), problems)
        if running.is_url(args.gateway):
            problems.append(Problem("--gateway: a gate starts both sides itself, so it takes no URL"))
        if args.pairs < 1:
            problems.append(Problem("--pairs: at least 1"))
        for name, path in (("base", args.base), ("head", args.head)):
            if path is not None and not path.exists():
                problems.append(Problem(f"--{name} {path}: no such file"))
        if args.head is not None and args.head.is_dir():
            problems.append(Problem(f"--head {args.head}: a folder; only --base can be results"))
        if args.base is not None and args.base.is_file() and args.head is None:
            problems.append(Problem(f"--base {args.base} is a config: --head has to name the one to hold against it"))
        if args.base is not None and args.base.is_dir() and args.base.resolve() == args.out.resolve():
            what = "this gate's own runs go there (--out), and would be the base of the next; name another folder"
            problems.append(Problem(f"--base {args.base}: {what} with --out"))
        problems += _unwritable(args.out)
        if problems:
            raise UsageProblem(problems)
        adapter = tested.gateway_of(args.gateway)
        self.setting = Setting(args.gateway, adapter, args.model, args.route, args.out)
        self.head = Subject(args.head, args.head_program or "")
        self.stored: Path | None = args.base if args.base is not None and args.base.is_dir() else None
        config = args.base if self.stored is None else None
        given = config is not None or (args.base_program is not None and self.stored is None)
        self.base = Subject(config or args.head, args.base_program or "") if given else None
        self.trials = sides.stored(self.stored, self.scenarios, adapter.name) if self.stored is not None else {}

    def prepare(self, say: Say) -> None:
        """Make sure that the gateways are installed, and learn their versions."""
        if self.quick and not (self.head.program or (self.base is not None and self.base.program)):
            return
        adapter = self.setting.adapter
        with runs.program_of(adapter, self.head):
            self.head = replace(self.head, version=adapter.prepare(say))
        if self.base is not None:
            with runs.program_of(adapter, self.base):
                self.base = replace(self.base, version=adapter.prepare(say))


class _Gate:
    def __init__(self, asked: _Asked, pair: Comparable, say: Say) -> None:
        self._asked = asked
        self._pair = pair
        self._say = say
        self._began_s = time.monotonic()
        self._fitting = {one.scenario.file: one for one in pair.fitting}
        self._took_s: dict[str, list[float]] = {}
        self._notes = list(pair.notes)
        if asked.stored is not None:
            self._notes.append(sides.OTHER_MACHINE)
        self._problems: tuple[Problem, ...] = pair.problems

    def run(self) -> GateResult:
        """All runs, and the result."""
        for change in self._pair.changes:
            self._say(f"change: {change.what}")
        cases = tuple(
            sides.case_of(one, self._asked.trials.get(one.scenario.file) if self._asked.stored else None)
            for one in self._pair.fitting
        )
        if self._asked.quick and self._pair.same:
            self._notes = [note for note in self._notes if "the head was drilled" not in note]
            self._notes.append("the configs mean the same; --quick: no drill was run")
            return self._result(())
        while not self._problems:
            left_s = self._asked.budget_s - (time.monotonic() - self._began_s)
            cases, run = next_run(cases, left_s, self._costs_s(), self._asked.pairs)
            if run is None:
                break
            cases = self._one(cases, run)
        return self._result(tuple(judge(case) for case in cases))

    def _one(self, cases: tuple[Case, ...], run: Run) -> tuple[Case, ...]:
        """Make a run. What the gateway refuses at its start is a problem of that side's config."""
        case = cases[run.case]
        fitting = self._fitting[case.name]
        subject = self._asked.base if run.side is Side.BASE else self._asked.head
        if subject is None:
            raise AssertionError(run)
        subject = replace(subject, hopeless=fitting.hopeless and run.side is Side.HEAD)
        seed = random.Random(f"{self._asked.seed}:{case.name}:{run.pair}").randrange(2**32)
        began_s = time.monotonic()
        try:
            result, folder = runs.drill(self._asked.names[case.name], subject, self._asked.setting, seed, self._say)
        except UsageProblem as problem:
            if run.side is Side.HEAD:
                self._problems = problem.problems
                return cases
            told = "; ".join(str(one) for one in problem.problems)
            self._notes.append(f"the base does not start, so the head is judged alone: {told}")
            return tuple(replace(one, base=(), paired=False) for one in cases)
        trial = trial_of(result, str(folder))
        self._took_s.setdefault(case.name, []).append(time.monotonic() - began_s)
        self._say(f"run: {fitting.scenario.name}, {run.side} {run.pair + 1}: {_shown(trial)}")
        return (*cases[: run.case], case.with_trial(run.side, trial), *cases[run.case + 1 :])

    def _costs_s(self) -> dict[str, float]:
        """What a run of each scenario takes: as measured, or as planned, corrected by what was measured of others."""
        planned = {name: one.scenario.duration_s + AROUND_S for name, one in self._fitting.items()}
        ratios = [statistics.mean(took) / planned[name] for name, took in self._took_s.items()]
        factor = statistics.median(ratios) if ratios else 1.0
        return {
            name: statistics.mean(self._took_s[name]) if name in self._took_s else cost_s * factor
            for name, cost_s in planned.items()
        }

    def _result(self, judged: Sequence[Judged]) -> GateResult:
        asked, pair = self._asked, self._pair
        outcome: Outcome | None = Outcome.SAME
        said = "the configs mean the same"
        if self._problems:
            outcome, said = None, "the head cannot be drilled"
        elif judged:
            outcome, told = words.overall(judged)
            said = f"the configs mean the same; {told}" if pair.same else told
        if self._problems:
            judged = [one for one in judged if one.case.head]
        findings = tuple(_finding(one, self._fitting[one.case.name]) for one in judged)
        told_of = {part.scenario: part for part in findings}
        return GateResult(
            schema=GATE_SCHEMA,
            tool_version=__version__,
            outcome=outcome,
            exit_code=EXIT_USAGE if outcome is None else EXIT_CODES[outcome],
            said=said,
            base=self._base(),
            head=_side(asked.head, asked.setting, pair.head.config_sha256 if pair.head else ""),
            changes=tuple(self._change(number, judged, told_of) for number in range(len(pair.changes))),
            findings=findings,
            problems=tuple(problem.what for problem in self._problems),
            problem_places=tuple(_place(problem.place) for problem in self._problems),
            notes=tuple(self._notes),
            seed=asked.seed,
            budget_s=asked.budget_s,
            took_s=time.monotonic() - self._began_s,
            results=str(asked.setting.out),
        )

    def _base(self) -> SidePart | None:
        asked = self._asked
        if asked.stored is not None:
            name = asked.setting.adapter.name
            return SidePart(config=str(asked.stored), config_sha256="", gateway=name, version="", stored=True)
        if asked.base is None:
            return None
        return _side(asked.base, asked.setting, self._pair.base.config_sha256 if self._pair.base else "")

    def _change(self, number: int, judged: Sequence[Judged], told_of: dict[str, FindingPart]) -> ChangePart:
        changes = self._pair.changes
        change = changes[number]
        found = [
            (self._fitting[one.case.name].scenario, one)
            for one in judged
            if one.outcome not in {Outcome.SAME, Outcome.NOT_RUN}
            and concerns(change, self._fitting[one.case.name].scenario)
        ]
        others = sum(
            other is not change and any(concerns(other, scenario) for scenario, _ in found) for other in changes
        )
        effects = [(scenario.name, one, told_of[one.case.name].said) for scenario, one in found]
        said = words.change_said(change, effects, others)
        if judged and not effects and not self._problems:
            held = any(one.case.base for one in judged)
            said += ": no effect was measured" if held else ": there was no run of the base to hold it against"
        return ChangePart(
            aspect=change.aspect,
            what=change.what,
            said=said,
            place=_place(change.place),
            effects=tuple(scenario.file for scenario, _ in found),
        )


def _scenarios(names: Sequence[str], problems: list[Problem]) -> tuple[list[Scenario], dict[str, str]]:
    """The scenarios, and by file the name under which each is found again: a shipped one's file is no path."""
    found: dict[str, Scenario] = {}
    asked: dict[str, str] = {}
    for name in names:
        try:
            scenario = load(name)
        except UsageProblem as problem:
            problems += problem.problems
        else:
            found.setdefault(scenario.file, scenario)
            asked.setdefault(scenario.file, name)
    return list(found.values()), asked


def _unwritable(out: Path) -> list[Problem]:
    """Why the runs' folders cannot be made, before anything is started."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        return [Problem(f"--out {out}: cannot make a folder for the results: {error.strerror}")]
    return [] if os.access(out, os.W_OK | os.X_OK) else [Problem(f"--out {out}: this folder may not be written to")]


def _taken(parse: Callable[[], float], option: str, problems: list[Problem]) -> float | None:
    try:
        return parse()
    except ValueError as error:
        problems.append(Problem(f"{option}: {error}"))
        return None


def _finding(judged: Judged, fitting: Fitting) -> FindingPart:
    case, scenario = judged.case, fitting.scenario
    rto_s = scenario.expect.switchover.within_s if scenario.expect.switchover is not None else None
    return FindingPart(
        scenario=scenario.file,
        name=scenario.name,
        outcome=judged.outcome,
        why=judged.why,
        said=words.effect(judged, rto_s),
        base=words.ended(case, Side.BASE),
        head=words.ended(case, Side.HEAD),
        times=_times(judged),
        rto_s=rto_s,
        # A shipped scenario is no file of whoever reads this.
        place=_place(scenario.faults[0].place) if scenario.faults and Path(scenario.file).is_file() else None,
        runs_base=tuple(trial.folder for trial in case.base),
        runs_head=tuple(trial.folder for trial in case.head),
    )


def _times(judged: Judged) -> TimesPart | None:
    found = judged.times
    if found is None:
        return None
    return TimesPart(
        base_median_s=words.finite(found.median_base_s),
        head_median_s=words.finite(found.median_head_s),
        ratio=words.finite(found.ratio),
        low=words.finite(found.low),
        high=words.finite(found.high),
        p=min(1.0, 2 * min(found.p_slower, found.p_faster)),
        n_base=found.n_base,
        n_head=found.n_head,
        counted=judged.timed,
    )


def _side(subject: Subject, setting: Setting, sha256: str) -> SidePart:
    config = str(subject.config) if subject.config is not None else "the shipped sample"
    return SidePart(config=config, config_sha256=sha256, gateway=setting.adapter.name, version=subject.version)


def _place(place: Place | None) -> PlacePart | None:
    return None if place is None else PlacePart(file=place.file, line=place.line)


def _shown(trial: Trial) -> str:
    """One run in a few words."""
    if not trial.counts:
        return f"{trial.verdict}: {trial.said}"
    if trial.recovery_s is None:
        return trial.verdict
    took = f"{trial.recovery_s:.2f} s" if words.finite(trial.recovery_s) is not None else "never"
    return f"{trial.verdict}, recovered: {took}, {trial.lost} of {trial.due} lost"
