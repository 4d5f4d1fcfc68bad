"""Recovery and failback of each leg, and their trend over four quarters. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from drills.quarter.dates import Quarter
from drills.quarter.numbers import Time, most_failures, summary
from drills.quarter.result import Recovery, Return, Standing, TrendPoint, Trial
from drills.quarter.run import RunOfQuarter
from drills.quarter.trials import margin, standing, worst_of
from drills.result import Failback, Verdict


def recoveries(found: Iterable[Trial]) -> tuple[Recovery, ...]:
    """One for each leg that was lost while it served, in alphabetical order."""
    by_leg: dict[tuple[str, str], list[Trial]] = defaultdict(list)
    for trial in found:
        by_leg[trial.gateway, trial.leg].append(trial)
    return tuple(_recovery(gateway, leg, by_leg[gateway, leg]) for gateway, leg in sorted(by_leg))


def _recovery(gateway: str, leg: str, found: Sequence[Trial]) -> Recovery:
    limits = [one.rto_s for one in found if one.rto_s is not None]
    worst = worst_of(found)
    count = {kind: sum(one.standing is kind for one in found) for kind in Standing}
    within, judged = count[Standing.WITHIN], len(limits)
    sources = sorted({one.rto_from for one in found if one.rto_s is not None})
    return Recovery(
        gateway=gateway,
        leg=leg,
        summary=summary([one.recovery for one in found]),
        trials=tuple(found),
        rto_s=min(limits, default=None),
        rto_from=" and ".join(sources),
        rto_mixed=len(set(limits)) > 1,
        margin=margin(worst) if worst is not None else None,
        resolution_s=max((one.resolution_s for one in found if one.resolution_s is not None), default=None),
        judged=judged,
        within=within,
        beyond=count[Standing.BEYOND],
        unclear=count[Standing.UNCLEAR],
        fail_at_most=most_failures(judged, judged - within) if judged else None,
    )


def returns(runs: Iterable[RunOfQuarter]) -> tuple[Return, ...]:
    """One for each leg that was expected back, in alphabetical order."""
    by_leg: dict[tuple[str, str], list[tuple[RunOfQuarter, Failback]]] = defaultdict(list)
    for run in runs:
        if run.result is None or not run.counts:
            continue
        for back in run.result.failbacks:
            if back.expected and back.to is not None and back.cleared_s is not None:
                by_leg[run.gateway, back.to].append((run, back))
    return tuple(_return(gateway, leg, by_leg[gateway, leg]) for gateway, leg in sorted(by_leg))


def _return(gateway: str, leg: str, found: Sequence[tuple[RunOfQuarter, Failback]]) -> Return:
    limits = [run.limits.failback_within_s for run, _ in found]
    stands = [standing(_took(back), back.resolution_s, run.limits.failback_within_s) for run, back in found]
    return Return(
        gateway=gateway,
        leg=leg,
        summary=summary([_took(back) for _, back in found]),
        limit_s=min((limit for limit in limits if limit is not None), default=None),
        beyond=stands.count(Standing.BEYOND),
        excess_outage_s=max(back.excess_outage_s for _, back in found),
        flaps=max(back.flaps for _, back in found),
    )


def _took(back: Failback) -> Time:
    if back.failback_s is None:
        return Time(value_s=back.window_s, longer=True)
    return Time(value_s=back.failback_s)


def trend(found: Sequence[Trial], runs: Sequence[RunOfQuarter], quarters: Sequence[Quarter]) -> tuple[TrendPoint, ...]:
    """Each leg in each of the quarters, those without a trial too, by gateway, leg and time."""
    quarter_of = {run.name: str(run.quarter) for run in runs}
    points = []
    for gateway, leg in sorted({(one.gateway, one.leg) for one in found}):
        for quarter in map(str, quarters):
            of_gateway = [one for one in runs if one.gateway == gateway and str(one.quarter) == quarter and one.counts]
            times = [
                one.recovery
                for one in found
                if (one.gateway, one.leg) == (gateway, leg) and quarter_of[one.run] == quarter
            ]
            verdicts = [one.result.verdict for one in of_gateway if one.result]
            points.append(
                TrendPoint(
                    quarter=quarter,
                    gateway=gateway,
                    leg=leg,
                    summary=summary(times),
                    times=tuple(sorted(times)),
                    passed=verdicts.count(Verdict.PASS),
                    failed=verdicts.count(Verdict.FAIL),
                )
            )
    return tuple(points)
