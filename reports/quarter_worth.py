"""Availability, error budget, money and effort in the quarterly report. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from drills.quarter.result import Chain, QuarterResult
from reports.quarter_blocks import Block, Points, Text, counted, grid, nines, percent, span, took
from reports.tables import Loud


def availability(result: QuarterResult) -> Iterator[Block]:
    """What was promised, what it comes to, and what a measured loss of a leg takes of it."""
    plan = result.plan
    yield grid(
        ("availability", "of", "down in 30 days", "in the quarter", "in a year"),
        [
            (nines(row.availability), row.label, span(row.month_h), span(row.quarter_h), span(row.year_h))
            for row in result.downtimes
        ],
        "What an availability allows: (1 - A) x time",
    )
    yield Text(
        "The first three are those of the guide that asks for quarterly drills. It gives 7.5 hours, 3.6 hours and "
        "52 minutes a month for them; the last of these is what 99.99 % allows in a year, and 4.3 minutes in a month.",
        faint=True,
    )
    if any(chain.by_cloud is not None for chain in result.chains):
        yield grid(
            (
                "gateway",
                "first leg alone",
                "legs, if independent",
                "legs of a cloud as one",
                "with the gateway",
                "from",
            ),
            [_chain(chain) for chain in result.chains if chain.by_cloud is not None],
            "Legs taken together",
        )
        yield Points(
            (
                (
                    "Legs that fail independently: A = 1 - (1 - A1)(1 - A2)... Whatever all requests must pass: A = "
                    "A1 x A2 (the series and parallel formulas of any textbook of reliability)."
                ),
                (
                    "Legs of one cloud are no independent legs, so in the third column each cloud counts as its "
                    "best leg. Clouds share networks, identity services and vendors, too: the truth lies below."
                ),
                (
                    "SLAs are promises of a refund, not measurements, and all this holds only while failing over "
                    "works: that is what was drilled."
                ),
            )
        )
    yield from _missing_slas(result)
    yield from _budget(result)
    if plan.target is None:
        yield Text("No error budget: the plan gives no `target` (the availability that callers were promised).")


def _chain(chain: Chain) -> tuple[str, ...]:
    return (
        chain.gateway,
        nines(chain.alone),
        nines(chain.independent),
        nines(chain.by_cloud),
        nines(chain.with_gateway) if chain.with_gateway is not None else "`gateway_availability` is not given",
        (
            f"{counted(len(chain.legs) - len(chain.without_sla), 'leg')} of {len(chain.legs)} with an SLA, "
            f"in {counted(chain.clouds, 'cloud')}"
        ),
    )


def _missing_slas(result: QuarterResult) -> Iterator[Block]:
    without = [f"{leg} of {chain.gateway}" for chain in result.chains for leg in chain.without_sla]
    if without:
        yield Text(
            f"Without an SLA in the plan (`legs: - {{leg: ..., sla: 99.5%}}`), and so left out: {_list(without)}."
        )


def _list(names: list[str]) -> str:
    shown = names[:12]
    more = f" and {len(names) - len(shown)} more" if len(names) > len(shown) else ""
    return f"{', '.join(shown)}{more}"


def _budget(result: QuarterResult) -> Iterator[Block]:
    plan = result.plan
    if not result.budgets:
        return
    many = plan.outages_per_quarter
    header = ("gateway", "leg lost", "longest client outage", "of the budget, for one", "for all that are assumed")
    yield grid(
        header,
        [
            (
                part.gateway,
                part.leg,
                took(part.outage),
                _share(part.share, part.outage.longer),
                _share(part.all_share, part.outage.longer),
            )
            for part in result.budgets
        ],
        "Error budget: what the loss of a leg takes of it",
    )
    lines = ["Client outage is the upper bound of what was measured, in the worst drill of the quarter."]
    if plan.target is not None:
        lines.append(f"The budget of the quarter at {nines(plan.target)} is (1 - target) x its length.")
    if many is not None:
        lines.append(f"The plan assumes {counted_outages(many)} of a serving leg in a quarter.")
    else:
        lines.append(
            "How many losses to expect in a quarter is not given (`outages_per_quarter`), so nothing is added up."
        )
    yield Points(tuple(lines))


def counted_outages(many: float) -> str:
    """`1 loss`, `2.5 losses`."""
    return f"{many:g} {'loss' if many == 1 else 'losses'}"


def _share(share: float | None, longer: bool) -> str:
    if share is None:
        return "-"
    said = percent(share, longer=longer)
    return Loud(said) if share > 1 else said


def money(result: QuarterResult) -> Iterator[Block]:
    """The guide's maths."""
    given = result.plan.money
    if given is None or given.revenue_per_hour is None:
        yield Text(
            "Not computed. It needs `money: {currency: EUR, revenue_per_hour: ..., gateway_per_month: ...}` in the "
            "plan, and an SLA (`sla`) for the first leg of each gateway."
        )
        return
    if not result.savings:
        yield Text("Not computed: the plan gives no `sla` for the first leg of any gateway that was drilled.")
        return
    unit = given.currency
    yield grid(
        ("gateway", "lost with the first leg alone", "lost with all legs", "saved", "price", "saved / price"),
        [
            (
                one.gateway,
                f"{one.alone:,.2f} {unit}",
                f"{one.together:,.2f} {unit}",
                f"{one.saved:,.2f} {unit}",
                "`gateway_per_month` is not given" if one.price is None else f"{one.price:,.2f} {unit}",
                "-" if one.ratio is None else f"{one.ratio:.1f}",
            )
            for one in result.savings
        ],
        "In 30 days",
    )
    yield Text(
        f"Lost = revenue per hour ({given.revenue_per_hour:,.2f} {unit}) x 720 h x (1 - A), with the availabilities "
        "of the section before: legs of one cloud as one, with the gateway where its availability is given. It "
        "counts every hour alike, and no hour in which callers come back later and buy after all."
    )


def effort(result: QuarterResult) -> Iterator[Block]:
    """What the drills did to the legs."""
    if not result.efforts:
        yield Text("No run of the quarter has a result.")
        return
    yield grid(
        ("gateway", "requests", "attempts", "attempts per request, median drill", "worst drill", "worst phase"),
        [
            (
                part.gateway,
                str(part.requests),
                str(part.attempts),
                "-" if part.per_request is None else f"{part.per_request:.2f} ({counted(part.drills, 'drill')})",
                "-" if part.worst is None else f"{part.worst:.2f} ({part.worst_run})",
                "-" if part.worst_phase is None else f"{part.worst_phase:.2f}",
            )
            for part in result.efforts
        ],
        "Retry amplification",
    )
    yield Text(
        "Requests and attempts are those of all runs that have a result, the rest of drills that count. A connect "
        "that was refused or hung is no attempt: it reached no leg.",
        faint=True,
    )
    unit = result.plan.money.currency if result.plan.money is not None else ""
    priced = [part for part in result.efforts if part.cost is not None and part.cost_of_extra is not None]
    if priced:
        yield grid(
            ("gateway", "all attempts", "of these without an answer to a caller"),
            [(part.gateway, f"{part.cost:,.4f} {unit}", f"{part.cost_of_extra:,.4f} {unit}") for part in priced],
            "What these drills would cost at real providers, at most",
        )
        yield Text(
            "Attempts x (input tokens x price + output tokens x price), as if each were billed in full. The legs "
            "were simulated, so nothing was billed."
        )
    unpriced = [f"{leg} of {part.gateway}" for part in result.efforts for leg in part.without_price]
    if unpriced:
        yield Text(
            f"Without a price, and so without a cost of their gateway's drills: {_list(unpriced)}. It needs "
            "`tokens_per_request: {input: ..., output: ...}`, and of legs `input_per_million`, `output_per_million`."
        )
