"""What availabilities come to: downtime, legs in parallel, the gateway in series, and error budgets. Pure.

Legs that fail independently are down together for the product of their downtimes: A = 1 - (1 - A1)(1 - A2)...; what
all requests must pass multiplies: A = A1 * A2 (any textbook of reliability, such as Trivedi, "Probability and
Statistics with Reliability, Queuing, and Computer Science Applications", chapter 1). Legs of one cloud are no
independent legs: taken together they are worth the best of them.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence

from drills.legs import Leg
from drills.quarter.dates import parse
from drills.quarter.numbers import Time
from drills.quarter.plan import QuarterPlan
from drills.quarter.result import Budget, Chain, Downtime, Trial
from drills.quarter.run import RunOfQuarter

MONTH_H, YEAR_H = 720.0, 8760.0
"""30 days and 365 days."""
GUIDE = (
    ("Claude's API over 90 days, as the guide has it", 0.9897),
    ("Anthropic's Priority tier, as the guide has it", 0.995),
    ("Anthropic's Enterprise plan, as the guide has it", 0.9999),
)


def downtimes(plan: QuarterPlan) -> tuple[Downtime, ...]:
    """The table of the guide, with the plan's own target and SLAs."""
    own = [("your target", plan.target), ("the gateway itself", plan.gateway_availability)]
    own += [(f"{part.leg}{f' of {part.gateway}' if part.gateway else ''}", part.sla) for part in plan.legs]
    rows = [*GUIDE, *((label, share) for label, share in own if share is not None)]
    days = parse(plan.quarter).days
    return tuple(
        Downtime(
            label=label,
            availability=share,
            month_h=(1 - share) * MONTH_H,
            quarter_h=(1 - share) * days * 24,
            year_h=(1 - share) * YEAR_H,
        )
        for label, share in rows
    )


def chains(runs: Iterable[RunOfQuarter], plan: QuarterPlan) -> tuple[Chain, ...]:
    """One for each gateway, with the legs of its latest run. runs: oldest first."""
    latest: dict[str, Sequence[Leg]] = {}
    for run in runs:
        if run.result is not None and run.counts:
            latest[run.gateway] = [leg for leg in run.result.legs if leg.role is not None]
    return tuple(_chain(gateway, latest[gateway], plan) for gateway in sorted(latest) if latest[gateway])


def _chain(gateway: str, legs: Sequence[Leg], plan: QuarterPlan) -> Chain:
    planned = {leg.name: part.sla for leg in legs if (part := plan.leg(gateway, leg.name)) is not None}
    slas = {name: sla for name, sla in planned.items() if sla is not None}
    clouds: dict[str, list[float]] = defaultdict(list)
    for leg in legs:
        if leg.name in slas:
            clouds[leg.cloud].append(slas[leg.name])
    by_cloud = parallel([max(of_cloud) for of_cloud in clouds.values()])
    beside = plan.gateway_availability
    return Chain(
        gateway=gateway,
        first=legs[0].name,
        legs=tuple(leg.name for leg in legs),
        clouds=len({leg.cloud for leg in legs}),
        alone=slas.get(legs[0].name),
        independent=parallel(list(slas.values())),
        by_cloud=by_cloud,
        with_gateway=by_cloud * beside if by_cloud is not None and beside is not None else None,
        without_sla=tuple(leg.name for leg in legs if leg.name not in slas),
    )


def parallel(shares: Sequence[float]) -> float | None:
    """The availability of what is down only when all of them are, when they fail independently; None for none."""
    return 1 - math.prod(1 - share for share in shares) if shares else None


def budgets(found: Iterable[Trial], plan: QuarterPlan) -> tuple[Budget, ...]:
    """For each leg the longest client outage that a loss of it cost, as a share of the quarter's error budget."""
    by_leg: dict[tuple[str, str], list[Time]] = defaultdict(list)
    for one in found:
        by_leg[one.gateway, one.leg].append(Time(value_s=one.outage_s, longer=one.outage_longer))
    return tuple(_budget(gateway, leg, by_leg[gateway, leg], plan) for gateway, leg in sorted(by_leg))


def _budget(gateway: str, leg: str, outages: Sequence[Time], plan: QuarterPlan) -> Budget:
    longest = max(outages)
    worst = Time(value_s=longest.value_s, longer=any(one.longer for one in outages))
    share = None
    if plan.target is not None:
        share = worst.value_s / (parse(plan.quarter).days * 86_400 * (1 - plan.target))
    many = plan.outages_per_quarter
    return Budget(
        gateway=gateway,
        leg=leg,
        outage=worst,
        share=share,
        all_share=share * many if share is not None and many is not None else None,
    )
