"""What being down costs, what failing over saves, and what the drills did to the legs. Pure.

The guide's maths: revenue per hour times the hours that an availability leaves out, against the price of the gateway.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence

from drills.quarter.availability import MONTH_H
from drills.quarter.plan import LegPlan, QuarterPlan, Tokens
from drills.quarter.result import Chain, Effort, Saving
from drills.quarter.run import RunOfQuarter
from drills.result import Result


def savings(chains: Iterable[Chain], plan: QuarterPlan) -> tuple[Saving, ...]:
    """One for each gateway whose first leg has an SLA; none without a revenue."""
    if plan.money is None or plan.money.revenue_per_hour is None:
        return ()
    per_h, price = plan.money.revenue_per_hour, plan.money.gateway_per_month
    found = []
    for chain in chains:
        together = chain.with_gateway if chain.with_gateway is not None else chain.by_cloud
        if chain.alone is None or together is None:
            continue
        alone_lost, together_lost = (per_h * MONTH_H * (1 - share) for share in (chain.alone, together))
        saved = alone_lost - together_lost
        found.append(
            Saving(
                gateway=chain.gateway,
                alone=alone_lost,
                together=together_lost,
                saved=saved,
                price=price,
                ratio=saved / price if price else None,
            )
        )
    return tuple(found)


def efforts(runs: Iterable[RunOfQuarter], plan: QuarterPlan) -> tuple[Effort, ...]:
    """One for each gateway: amplification of the drills that count, cost of all that have a result."""
    by_gateway: dict[str, list[RunOfQuarter]] = defaultdict(list)
    for run in runs:
        if run.result is not None:
            by_gateway[run.gateway].append(run)
    return tuple(_effort(gateway, by_gateway[gateway], plan) for gateway in sorted(by_gateway))


def _effort(gateway: str, runs: Sequence[RunOfQuarter], plan: QuarterPlan) -> Effort:
    results = [run.result for run in runs if run.result is not None]
    counted = [(run.name, run.result) for run in runs if run.result is not None and run.counts]
    rates = [(result.attempts.per_request, name) for name, result in counted]
    worst, worst_run = max(rates, default=(None, ""))
    phases = [
        phase.attempts_per_request
        for _, result in counted
        for phase in result.phases
        if phase.attempts_per_request is not None
    ]
    legs = sorted({leg for result in results for leg, count in result.attempts.by_leg.items() if count})
    prices = {leg: _per_attempt(plan.leg(gateway, leg), plan.tokens_per_request) for leg in legs}
    known = {leg: price for leg, price in prices.items() if price is not None}
    whole = bool(known) and len(known) == len(prices)
    return Effort(
        gateway=gateway,
        drills=len(counted),
        requests=sum(result.requests.due for result in results),
        attempts=sum(result.attempts.total for result in results),
        per_request=statistics.median(rate for rate, _ in rates) if rates else None,
        worst=worst,
        worst_run=worst_run,
        worst_phase=max(phases, default=None),
        cost=sum(_cost(result, known) for result in results) if whole else None,
        cost_of_extra=sum(_extra(result, known) for result in results) if whole else None,
        without_price=tuple(leg for leg in legs if leg not in known),
    )


def _per_attempt(part: LegPlan | None, tokens: Tokens | None) -> float | None:
    """The price of one attempt whose prompt and whole answer are billed."""
    if part is None or tokens is None or part.input_per_million is None or part.output_per_million is None:
        return None
    return (tokens.input * part.input_per_million + tokens.output * part.output_per_million) / 1e6


def _cost(result: Result, prices: dict[str, float]) -> float:
    return sum(count * prices[leg] for leg, count in result.attempts.by_leg.items() if count)


def _extra(result: Result, prices: dict[str, float]) -> float:
    """The cost of attempts whose answer no caller got: all on a leg but those that it answered for a caller."""
    served: dict[str, int] = defaultdict(int)
    for phase in result.phases:
        for leg, count in phase.served_by.items():
            served[leg] += count
    return sum(max(0, count - served[leg]) * prices[leg] for leg, count in result.attempts.by_leg.items() if count)
