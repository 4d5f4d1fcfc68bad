"""Which leg was drilled in which fault domain and scenario, when last, and what is overdue. Pure.

Only drills that said something about the gateway count; those that did not are counted beside them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple

import msgspec

from drills.moments import moment
from drills.quarter.configs import Configs, spell_of
from drills.quarter.dates import Every, due_after
from drills.quarter.plan import CadenceFor, QuarterPlan
from drills.quarter.result import GATEWAY_LEG, Cell, State
from drills.quarter.run import DOMAINS, RunOfQuarter, domain_of

_DONE = {State.CURRENT, State.REPLACED}


class _Key(NamedTuple):
    gateway: str
    config: str
    leg: str
    domain: str
    scenario: str


def coverage(runs: Sequence[RunOfQuarter], plan: QuarterPlan) -> tuple[Cell, ...]:
    """Every cell: what was ever drilled, each leg that never was, and what the plan asks for. runs: oldest first."""
    configs = Configs(spell_of(run) for run in runs if run.counts)
    hit: dict[_Key, list[RunOfQuarter]] = defaultdict(list)
    for run in runs:
        for key in _hit(run, configs.of(run.gateway, run.config)):
            hit[key].append(run)
    cells = _replaced([_cell(key, found, plan) for key, found in hit.items()], configs)
    drilled = {
        (cell.gateway, config, cell.leg)
        for cell in cells
        if cell.last_day
        for config in (cell.config, *configs.after(cell.gateway, cell.config))
    }
    cells += [
        _cell(_Key(*of, "", ""), [], plan)
        for of in _legs(runs, configs)
        if of not in drilled and not configs.after(of[0], of[1])
    ]
    cells += [_cell(key, [], plan) for key in _asked_for(plan, cells)]
    order = {domain: number for number, domain in enumerate(("", *DOMAINS))}
    return tuple(
        sorted(cells, key=lambda cell: (cell.gateway, cell.config, cell.leg, order[cell.domain], cell.scenario))
    )


def _replaced(cells: Sequence[Cell], configs: Configs) -> list[Cell]:
    """A config that was replaced needs no drill any more in what was drilled with one that came after it."""
    done = {(cell.gateway, cell.config, cell.leg, cell.domain, cell.scenario) for cell in cells if cell.last_day}
    return [
        msgspec.structs.replace(cell, state=State.REPLACED)
        if cell.state not in _DONE
        and any(
            (cell.gateway, later, cell.leg, cell.domain, cell.scenario) in done
            for later in configs.after(cell.gateway, cell.config)
        )
        else cell
        for cell in cells
    ]


def _hit(run: RunOfQuarter, config: str) -> Iterator[_Key]:
    """What a run drilled, or tried to: each leg of each fault that became effective, once."""
    seen: dict[_Key, None] = {}
    for fault in run.result.faults if run.result else ():
        if fault.effective_s is not None:
            domain = domain_of(fault, run.plan_of(fault))
            for leg in fault.legs or (GATEWAY_LEG,):
                seen[_Key(run.gateway, config, leg, domain, run.scenario)] = None
    yield from seen


def _legs(runs: Iterable[RunOfQuarter], configs: Configs) -> Iterator[tuple[str, str, str]]:
    """The legs of each gateway's chain, as its runs knew them."""
    seen = {
        (run.gateway, configs.of(run.gateway, run.config), leg.name): None
        for run in runs
        if run.result
        for leg in run.result.legs
        if leg.role is not None
    }
    yield from seen


def _asked_for(plan: QuarterPlan, cells: Sequence[Cell]) -> Iterator[_Key]:
    """What the plan asks for and nobody ever tried."""
    for asked in plan.cadence.each:
        if not any(_fits(asked, cell.gateway, cell.leg, cell.scenario) for cell in cells):
            yield _Key(asked.gateway or "", "", asked.leg or "", "", asked.scenario)


def _fits(asked: CadenceFor, gateway: str, leg: str, scenario: str) -> bool:
    return asked.scenario == scenario and asked.gateway in {None, gateway} and asked.leg in {None, leg}


def _every(key: _Key, plan: QuarterPlan) -> Every:
    """How often: the entry of the plan that says most about the cell, else its default."""
    fitting = [one for one in plan.cadence.each if _fits(one, key.gateway, key.leg, key.scenario)]
    if not fitting and not key.domain:  # an entry of the plan that nobody ever tried
        fitting = [one for one in plan.cadence.each if (one.gateway or "", one.leg or "", one.scenario) == _place(key)]
    best = max(fitting, key=lambda one: (one.leg is not None, one.gateway is not None), default=None)
    return plan.cadence.default if best is None else best.every


def _place(key: _Key) -> tuple[str, str, str]:
    return key.gateway, key.leg, key.scenario


def _cell(key: _Key, runs: Sequence[RunOfQuarter], plan: QuarterPlan) -> Cell:
    every = _every(key, plan)
    counted = [run for run in runs if run.counts]
    last = counted[-1] if counted else None
    due = due_after(date.fromisoformat(last.day), every) if last is not None else None
    inside = [run for run in runs if str(run.quarter) == plan.quarter]
    return Cell(
        gateway=key.gateway,
        config=key.config,
        leg=key.leg,
        domain=key.domain,
        scenario=key.scenario,
        every=every,
        drills=sum(run.counts for run in inside),
        not_counted=sum(not run.counts for run in inside),
        last_day=last.day if last else "",
        last_run=last.name if last else "",
        verdict=last.result.verdict.value if last and last.result else "",
        due_day=due.isoformat() if due else "",
        state=_state(last, due, plan),
    )


def _state(last: RunOfQuarter | None, due: date | None, plan: QuarterPlan) -> State:
    if last is None:
        return State.NEVER
    until = moment(plan.until)
    if due is None or until is None:
        return State.CURRENT
    ends = datetime.combine(due + timedelta(days=1), time(), UTC)
    return State.OVERDUE if ends <= until else State.CURRENT
