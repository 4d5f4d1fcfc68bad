"""A quarter out of its runs, its plan and its register. Pure: the same input gives the same bytes."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Collection, Iterable, Iterator, Sequence

import msgspec

from drills import __version__
from drills.chain import CHANGED
from drills.kept import UNFINISHED, UNREADABLE
from drills.moments import moment
from drills.people import People
from drills.quarter.availability import budgets, chains, downtimes
from drills.quarter.configs import Spell, spell_of
from drills.quarter.coverage import coverage
from drills.quarter.dates import QUARTERS, Quarter, parse, quarter_of
from drills.quarter.findings import findings
from drills.quarter.lasts import Drilled, Lasts, lasts
from drills.quarter.money import efforts, savings
from drills.quarter.plan import QuarterPlan
from drills.quarter.recovery import recoveries, returns, trend
from drills.quarter.register import Register
from drills.quarter.result import (
    GATEWAY_LEG,
    QUARTER_SCHEMA,
    Cell,
    FindingPart,
    FindingState,
    GatewayRow,
    Headline,
    QuarterResult,
    QuarterVerdict,
    RunRow,
    ScenarioRow,
    Standing,
    State,
    Trial,
)
from drills.quarter.run import RunOfQuarter
from drills.quarter.sealed import MISSING, Evidence, Pruned, Seal, SealState
from drills.quarter.trials import margin, trials, worst_of
from drills.result import Verdict

_NOTHING = Evidence()


def assemble(
    runs: Sequence[RunOfQuarter], plan: QuarterPlan, register: Register, evidence: Evidence = _NOTHING
) -> QuarterResult:
    """The whole result. Runs of other quarters than the last four, and those after `plan.until`, count nowhere.

    evidence: what was known of the runs' seals; of runs that the report does not speak of it is left out.
    """
    runs = [_believed(run, evidence.seal(run.name)) for run in runs]
    quarter = parse(plan.quarter)
    quarters = [quarter.after(number) for number in range(1 - QUARTERS, 1)]
    known = sorted((run for run in runs if run.quarter in quarters and _began_before(run, plan)), key=_by_time)
    inside = [run for run in known if run.quarter == quarter]
    every_trial = list(trials(known, plan))
    names = {run.name for run in inside}
    own_trials = [trial for trial in every_trial if trial.run in names]
    cells = coverage(known, plan)
    found = findings(known, plan, register)
    taken_together = chains(known, plan)
    return QuarterResult(
        schema=QUARTER_SCHEMA,
        tool_version=__version__,
        quarter=str(quarter),
        first_day=quarter.first.isoformat(),
        last_day=quarter.last.isoformat(),
        until=plan.until,
        plan=plan,
        register=register,
        headline=_headline(_Quarter(quarter, known, inside, evidence.pruned), own_trials, cells, found),
        gateways=tuple(_gateways(inside)),
        scenarios=tuple(_scenarios(inside)),
        coverage=cells,
        recoveries=recoveries(own_trials),
        returns=returns(inside),
        trend=trend(every_trial, known, quarters),
        downtimes=downtimes(plan),
        chains=taken_together,
        budgets=budgets(own_trials, plan),
        savings=savings(taken_together, plan),
        efforts=efforts(inside, plan),
        findings=found,
        runs=tuple(map(_row, inside)),
        undated=tuple(_row(run) for run in sorted(runs, key=lambda run: run.name) if run.quarter is None),
        earlier=tuple(_row(run) for run in known if run.quarter != quarter),
        unmatched=tuple(_unmatched(known, plan)),
        evidence=_of_known(evidence, known, runs),
    )


def _believed(run: RunOfQuarter, seal: Seal | None) -> RunOfQuarter:
    """A run that is not what was sealed is there, and counts for nothing: nobody can say what it was."""
    if seal is None or seal.state is not SealState.CHANGED or run.instead:
        return run
    what = f"{CHANGED}; `drill verify` says what"
    return dataclasses.replace(run, result=None, problem=what, instead="changed")


def _of_known(evidence: Evidence, known: Iterable[RunOfQuarter], runs: Iterable[RunOfQuarter]) -> Evidence:
    """Runs that began after the report's last moment are not part of it, nor are their seals."""
    names = {run.name for run in known} | {run.name for run in runs if run.quarter is None}
    return msgspec.structs.replace(evidence, seals=tuple(one for one in evidence.seals if one.run in names))


def _by_time(run: RunOfQuarter) -> tuple[str, str]:
    return run.started.isoformat() if run.started else "", run.name


def _began_before(run: RunOfQuarter, plan: QuarterPlan) -> bool:
    return run.started is not None and run.started.isoformat() < plan.until


@dataclasses.dataclass(frozen=True)
class _Quarter:
    """known: runs of all four quarters. inside: those of the one. pruned: of all four, and of days that nobody
    knows.
    """

    quarter: Quarter
    known: Sequence[RunOfQuarter]
    inside: Sequence[RunOfQuarter]
    pruned: Sequence[Pruned]

    @property
    def gone(self) -> list[Pruned]:
        """The runs of the quarter that were pruned."""
        return [
            one for one in self.pruned if (day := moment(one.started_at)) and quarter_of(day.date()) == self.quarter
        ]

    @property
    def unplaced(self) -> int:
        """How many of them failed of which nobody knows any more what was drilled, so that none can outlast them."""
        return sum(one.failed and not one.scenario for one in self.gone)

    @property
    def untold(self) -> tuple[str, ...]:
        """Runs of the quarter of which nobody can say what they came to. No later drill puts right what it was not."""
        changed = [f"{run.name}: {CHANGED}" for run in self.inside if run.instead == "changed"]
        return (*changed, *(f"{one.run}: {_fate(one)}" for one in self.gone if one.unknown))

    def lasts(self, beyond: Collection[str]) -> Lasts:
        """The last drills. beyond: names of runs with a recovery beyond its objective.

        A pruned run that passed stands for nothing, since nobody can look at it; one that failed still does.
        """
        kept = [
            Drilled(
                *(run.scenario, run.gateway, run.config, spell_of(run).began, run.name),
                model=run.entry_model,
                bad=run.name in beyond or (run.result is not None and run.result.verdict is Verdict.FAIL),
            )
            for run in self.inside
            if run.counts
        ]
        gone = [
            Drilled(
                *(one.scenario, one.gateway, one.config_sha256, began.isoformat(), one.run),
                model=one.entry_model,
                bad=True,
                pruned=True,
            )
            for one in self.gone
            if one.failed and one.scenario and (began := moment(one.started_at))
        ]
        spells = [spell_of(run) for run in self.known if run.counts]
        spells += [Spell(one.gateway, one.config, one.began) for one in gone]
        return lasts([*kept, *gone], spells)


def _fate(one: Pruned) -> str:
    return "missing, and it was not this tool that removed it" if one.verdict == MISSING else f"{CHANGED}, and pruned"


def _headline(told: _Quarter, own: Sequence[Trial], cells: Sequence[Cell], found: Sequence[FindingPart]) -> Headline:
    inside = told.inside
    counted = [run for run in inside if run.counts]
    passed = sum(run.result is not None and run.result.verdict is Verdict.PASS for run in counted)
    last = told.lasts({trial.run for trial in own if trial.standing is Standing.BEYOND})
    states = [cell.state for cell in cells]
    missing = states.count(State.OVERDUE) + states.count(State.NEVER) + told.unplaced
    bad = bool(last.bad or told.untold)
    verdict = QuarterVerdict.NOT_MET if bad else QuarterVerdict.MET
    if not bad and (missing or not counted):
        verdict = QuarterVerdict.INCOMPLETE
    worst = worst_of(own)
    kinds = [part.state for part in found]
    to_do = {FindingState.NEW, FindingState.OPEN, FindingState.OVERDUE, FindingState.REOPENED, FindingState.EXPIRED}
    return Headline(
        verdict=verdict,
        runs=len(inside),
        counted=len(counted),
        passed=passed,
        failed=len(counted) - passed,
        not_counted=len(inside) - len(counted),
        gateways=len({run.gateway for run in counted}),
        pairs=last.count,
        failed_pairs=last.bad,
        failed_replaced=last.replaced,
        untold=told.untold,
        pruned=sum(one.verdict != MISSING for one in told.gone),
        pruned_failed=sum(one.failed for one in told.gone),
        pruned_unknown=sum(one.verdict == CHANGED for one in told.gone),
        pruned_unplaced=told.unplaced,
        cells=len(cells),
        overdue=states.count(State.OVERDUE),
        never=states.count(State.NEVER),
        trials=len(own),
        beyond=sum(trial.standing is Standing.BEYOND for trial in own),
        worst=worst,
        worst_margin=margin(worst) if worst is not None else None,
        findings_open=sum(kind in to_do for kind in kinds),
        findings_overdue=kinds.count(FindingState.OVERDUE),
        findings_reopened=kinds.count(FindingState.REOPENED),
    )


def _gateways(inside: Iterable[RunOfQuarter]) -> Iterator[GatewayRow]:
    by_name: dict[str, list[RunOfQuarter]] = {}
    for run in inside:
        if run.gateway:
            by_name.setdefault(run.gateway, []).append(run)
    for name in sorted(by_name):
        runs = by_name[name]
        results = [run.result for run in runs if run.result is not None]
        verdicts = [run.result.verdict for run in runs if run.result is not None and run.counts]
        legs = {
            f"{leg.name} ({leg.role}; {leg.provider}, {leg.model}; {', '.join(filter(None, (leg.cloud, leg.region)))})"
            for result in results
            for leg in result.legs
            if leg.role is not None
        }
        yield GatewayRow(
            gateway=name,
            versions=tuple(sorted({result.gateway.version for result in results if result.gateway.version})),
            configs=tuple(
                sorted({f"{one.gateway.config_file} {one.gateway.config_sha256[:12]}".strip() for one in results})
            ),
            routes=tuple(sorted({result.gateway.route.value for result in results})),
            legs=tuple(sorted(legs)),
            drills=len(verdicts),
            passed=verdicts.count(Verdict.PASS),
            failed=verdicts.count(Verdict.FAIL),
            not_counted=len(runs) - len(verdicts),
        )


def _scenarios(inside: Iterable[RunOfQuarter]) -> Iterator[ScenarioRow]:
    by_name: dict[str, list[RunOfQuarter]] = {}
    for run in inside:
        by_name.setdefault(run.scenario, []).append(run)
    for name in sorted(by_name):
        runs = by_name[name]
        objectives = [run.result.scenario.objective for run in runs if run.result is not None]
        yield ScenarioRow(
            scenario=name,
            objective=objectives[-1] if objectives else "",
            gateways=tuple(sorted({run.gateway for run in runs})),
            runs=len(runs),
            counted=sum(run.counts for run in runs),
        )


def _row(run: RunOfQuarter) -> RunRow:
    result, head = run.result, run.head
    why = run.problem
    if result is not None and not run.counts:
        why = "; ".join(result.reasons) or "it gives no reason"
    return RunRow(
        name=run.name,
        started_at=run.started_at,
        scenario=run.scenario,
        scenario_sha256=result.scenario.sha256 if result else head.scenario_sha256 if head else "",
        gateway=run.gateway,
        version=result.gateway.version if result else head.gateway_version if head else "",
        config_file=result.gateway.config_file if result else head.config_file if head else "",
        config_sha256=result.gateway.config_sha256 if result else head.config_sha256 if head else "",
        seed=result.seed if result else head.seed if head else None,
        tool_version=result.tool_version if result else head.tool_version if head else "",
        verdict=run.instead or (result.verdict.value if result else UNFINISHED if head else UNREADABLE),
        counts=run.counts,
        why_not=why,
        history_sha256=run.history_sha256,
        people=result.people if result else head.people if head else People(),
        change=result.change if result else head.change if head else None,
    )


def _unmatched(runs: Sequence[RunOfQuarter], plan: QuarterPlan) -> Iterator[str]:
    """What the plan says about legs that no run knows: a typing error, most often."""
    known = {(run.gateway, leg.name) for run in runs if run.result for leg in run.result.legs}
    known |= {(gateway, GATEWAY_LEG) for gateway, _ in known}
    for part in plan.legs:
        if any(part.leg == name and part.gateway in {None, gateway} for gateway, name in known):
            continue
        names = sorted({name for _, name in known})
        near = difflib.get_close_matches(part.leg, names, n=1)
        of = f" of {part.gateway}" if part.gateway else ""
        hint = f"; did you mean {near[0]}?" if near else ""
        yield f"the plan speaks of the leg {part.leg}{of}, which no run of the last four quarters knows{hint}"
