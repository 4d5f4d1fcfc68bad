"""The trials of drills: each loss of the leg that served, with the objective that it is compared with. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from drills.quarter.numbers import Time
from drills.quarter.plan import QuarterPlan
from drills.quarter.result import GATEWAY_LEG, Standing, Trial
from drills.quarter.run import RunOfQuarter, domain_of
from drills.result import FaultPart, Switchover

_LONG_ENOUGH = 0.9
"""As in the check of a run: a fault that is planned as long as the objective lasts a little less."""


def trials(runs: Iterable[RunOfQuarter], plan: QuarterPlan) -> Iterator[Trial]:
    """Every trial of the runs that count, in their order.

    A fault on legs that were not serving is no trial: there was nothing to switch. It still counts as drilled.
    """
    for run in runs:
        if run.result is None or not run.counts:
            continue
        faults = {fault.id: fault for fault in run.result.faults}
        for found in run.result.switchovers:
            fault = faults.get(found.fault)
            if fault is not None and (not fault.legs or found.from_ in fault.legs):
                yield _trial(run, plan, fault, found)


def _trial(run: RunOfQuarter, plan: QuarterPlan, fault: FaultPart, found: Switchover) -> Trial:
    leg = found.from_ if fault.legs and found.from_ else GATEWAY_LEG
    rto_s, rto_from = objective(run, plan, leg)
    recovery = Time(value_s=found.window_s, longer=True)
    if found.recovery_s is not None:
        recovery = Time(value_s=found.recovery_s)
    return Trial(
        run=run.name,
        day=run.day,
        gateway=run.gateway,
        leg=leg,
        scenario=run.scenario,
        fault=found.fault,
        kind=fault.kind,
        domain=domain_of(fault, run.plan_of(fault)),
        recovery=recovery,
        resolution_s=found.resolution_s if found.recovery_s is not None else None,
        outage_s=found.client_outage_s.upper,
        outage_longer=found.recovery_s is None and found.bad > 0,
        rto_s=rto_s,
        rto_from=rto_from,
        standing=standing(recovery, found.resolution_s, rto_s),
    )


def objective(run: RunOfQuarter, plan: QuarterPlan, leg: str) -> tuple[float | None, str]:
    """The recovery time objective of a leg, and where it comes from: the plan before the scenario."""
    of_leg = plan.leg(run.gateway, leg)
    if of_leg is not None and of_leg.rto_s is not None:
        return of_leg.rto_s, "plan"
    if plan.rto_s is not None:
        return plan.rto_s, "plan"
    limit_s = run.limits.switchover_within_s
    return limit_s, "scenario" if limit_s is not None else ""


def standing(took: Time, resolution_s: float | None, limit_s: float | None) -> Standing:
    """How a time stands to its limit. The upper end of its bracket must be within; surely beyond is the lower end."""
    if limit_s is None:
        return Standing.NO_OBJECTIVE
    if took.longer:
        return Standing.BEYOND if took.value_s >= _LONG_ENOUGH * limit_s else Standing.UNCLEAR
    if took.value_s <= limit_s:
        return Standing.WITHIN
    return Standing.BEYOND if took.value_s - (resolution_s or 0.0) > limit_s else Standing.UNCLEAR


def margin(trial: Trial) -> Time | None:
    """Objective minus recovery; `longer` when it is at most that, since the recovery took longer than was seen."""
    if trial.rto_s is None:
        return None
    return Time(value_s=trial.rto_s - trial.recovery.value_s, longer=trial.recovery.longer)


def worst_of(found: Iterable[Trial]) -> Trial | None:
    """The trial with the smallest margin; a censored one is worse than any other of the same margin."""
    judged = [(one, left) for one in found if (left := margin(one)) is not None]
    return min(judged, key=lambda pair: (pair[1].value_s, not pair[1].longer), default=(None, None))[0]
