"""What a quarter comes to: literal runs in, literal numbers out."""

from __future__ import annotations

import dataclasses
from datetime import UTC, date, datetime

import msgspec
import pytest
from quarters import SCENARIOS, UNTIL, one, plan

from drills.moments import moment
from drills.quarter import assemble
from drills.quarter import plan as plans
from drills.quarter.availability import parallel
from drills.quarter.dates import Every, Quarter, due_after, parse, until
from drills.quarter.numbers import Time, binomial_cdf, interval_rank, most_failures, summary
from drills.quarter.plan import AcceptedRisk, Cadence, CadenceFor, LegPlan, Money, Tokens
from drills.quarter.register import Register
from drills.quarter.result import Headline, QuarterVerdict, Standing, State, decode, encode
from drills.quarter.run import RunOfQuarter, domain_of
from drills.quarter.trials import standing
from drills.result import FaultPart
from faults.base import Lookups

NONE = Register()
INVALID = "ppppp[sss]ppppp"
"""The fault met nobody."""
NEVER = "ppp[xxxxxxxxxxxxxxxxxxxx]ppp"
"""Callers were not answered well again while the fault was on, for 2 s."""


def at(value_s: float, *, longer: bool = False) -> Time:
    """A time; `longer` for one that nobody saw the end of."""
    return Time(value_s=value_s, longer=longer)


def changed(run: RunOfQuarter, **also: object) -> RunOfQuarter:
    """The run with another result."""
    assert run.result is not None
    return dataclasses.replace(run, result=msgspec.structs.replace(run.result, **also))


# --- the calendar


def test_a_quarter_is_three_months_of_the_calendar() -> None:
    """Its days, its neighbours, and what is none."""
    last = parse("2026q4")
    assert (str(last), last.first, last.last, last.days) == ("2026Q4", date(2026, 10, 1), date(2026, 12, 31), 92)
    assert [str(last.after(number)) for number in (-3, -4, 1)] == ["2026Q1", "2025Q4", "2027Q1"]
    assert (Quarter(2028, 1).days, Quarter(2026, 1).days) == (91, 90)
    for wrong in ("2026", "Q4", "2026Q5", "26Q4", "2026Q44", "0001Q1"):
        with pytest.raises(ValueError, match="write the year and the quarter: 2026Q4"):
            parse(wrong)


def test_a_quarter_that_is_not_over_is_judged_up_to_now() -> None:
    """One that is over, up to its end."""
    now = datetime(2026, 11, 22, tzinfo=UTC)
    assert until(Quarter(2026, 4), now) == now
    assert until(Quarter(2026, 3), now) == datetime(2026, 10, 1, tzinfo=UTC)
    assert moment("2026-01-01T02:00:00+02:00") == moment("2026-01-01") == datetime(2026, 1, 1, tzinfo=UTC)
    assert moment("yesterday") is None


DUE = [
    # drilled on, how often, due by the end of
    ("2026-10-31", Every.MONTH, "2026-11-30"),
    ("2026-12-01", Every.MONTH, "2027-01-31"),
    ("2026-09-30", Every.QUARTER, "2026-12-31"),
    ("2026-10-01", Every.QUARTER, "2027-03-31"),
    ("2026-06-30", Every.HALF_YEAR, "2026-12-31"),
    ("2026-06-30", Every.YEAR, "2027-12-31"),
]


@pytest.mark.parametrize(("drilled", "every", "due"), DUE)
def test_due_in_the_next_part_of_the_calendar(drilled: str, every: Every, due: str) -> None:
    """Once a quarter means once in each quarter, wherever in it."""
    assert due_after(date.fromisoformat(drilled), every) == date.fromisoformat(due)
    assert due_after(date.fromisoformat(drilled), Every.ONCE) is None


# --- statistics

RANKS = [(1, 0), (5, 0), (6, 1), (8, 1), (9, 2), (10, 2), (15, 4), (20, 6), (30, 10)]
"""Trials, and which smallest to which largest of them hold the median at 95 %: the tables of order statistics."""


@pytest.mark.parametrize(("count", "rank"), RANKS)
def test_the_interval_of_a_median(count: int, rank: int) -> None:
    """Exact, from six trials on, and no wider than it must be."""
    assert interval_rank(count) == rank
    if rank:
        assert 1 - 2 * binomial_cdf(rank - 1, count, 0.5) >= 0.95
        assert 1 - 2 * binomial_cdf(rank, count, 0.5) < 0.95


def test_what_a_few_trials_can_promise() -> None:
    """Five say only below 45 %, 59 below 5 %; failures make it worse, up to certainty."""
    assert [round(most_failures(n, 0), 3) for n in (5, 10, 20, 30)] == [0.451, 0.259, 0.139, 0.095]
    assert most_failures(59, 0) < 0.05 < most_failures(58, 0)
    for count, failed in ((6, 1), (20, 3), (9, 8)):
        assert binomial_cdf(failed, count, most_failures(count, failed)) == pytest.approx(0.05)
    assert most_failures(3, 3) == 1.0
    with pytest.raises(ValueError, match="no trials"):
        most_failures(0, 0)


MEDIANS = [
    # times (a string is a censored one), median, longest
    ([1.0], (1.0, False), (1.0, False)),
    ([3.0, 1.0, 2.0], (2.0, False), (3.0, False)),
    ([1.0, 2.0, 4.0, 9.0], (3.0, False), (9.0, False)),
    ([1.0, 2.0, "250"], (2.0, False), (250.0, True)),  # one of three: the middle is known
    ([1.0, "250", "250"], (250.0, True), (250.0, True)),
    ([1.0, 2.0, "250", "250"], (2.0, True), (250.0, True)),  # the middle lies between 2 s and nobody knows what
    (["2", 5.0, 6.0], (5.0, True), (6.0, True)),  # longer than 2 s may be longer than 6 s
]


@pytest.mark.parametrize(("written", "median", "worst"), MEDIANS)
def test_a_censored_time_is_never_averaged(
    written: list[float | str], median: tuple[float, bool], worst: tuple[float, bool]
) -> None:
    """What is told holds whatever the censored times really were."""
    times = [at(float(one), longer=isinstance(one, str)) for one in written]
    found = summary(times)
    assert found.median == at(median[0], longer=median[1])
    assert found.worst == at(worst[0], longer=worst[1])
    assert (found.low, found.high, found.confidence) == (None, None, None)


def test_six_trials_have_an_interval() -> None:
    """Shortest to longest, at 96.9 %; a censored one opens its upper end only."""
    found = summary([at(0.1 * number) for number in range(1, 6)] + [at(2.0, longer=True)])
    assert (found.low, found.high) == (at(0.1), at(2.0, longer=True))
    assert found.confidence == pytest.approx(0.96875)
    assert summary([]).worst is None


# --- trials

STANDS = [
    # recovered, resolution, objective, so
    (at(1.0), 0.1, 1.0, Standing.WITHIN),
    (at(1.05), 0.1, 1.0, Standing.UNCLEAR),  # the bracket holds the objective
    (at(1.2), 0.1, 1.0, Standing.BEYOND),
    (at(25.0, longer=True), None, 6.0, Standing.BEYOND),
    (at(3.0, longer=True), None, 6.0, Standing.UNCLEAR),  # the fault was too short to say
    (at(1.0), 0.1, None, Standing.NO_OBJECTIVE),
]


@pytest.mark.parametrize(("took", "resolution_s", "limit_s", "so"), STANDS)
def test_how_a_recovery_stands_to_its_objective(
    took: Time, resolution_s: float | None, limit_s: float | None, so: Standing
) -> None:
    """The upper end must be within; beyond is what surely was."""
    assert standing(took, resolution_s, limit_s) is so


def test_a_trial_is_a_loss_of_the_leg_that_served() -> None:
    """`ppp[xxsss]spp`: the primary is lost at 1.25 s, the standby's first answer comes 310 ms later."""
    found = assemble([one(1)], plan(), NONE)
    (leg,) = found.recoveries
    (trial,) = leg.trials
    assert (trial.leg, trial.domain, trial.kind, trial.scenario) == ("primary", "leg", "status", "primary-down")
    assert (trial.recovery, trial.resolution_s) == (at(pytest.approx(0.31)), pytest.approx(0.16))
    assert (trial.rto_s, trial.rto_from, trial.standing) == (1.5, "scenario", Standing.WITHIN)
    assert leg.margin == at(pytest.approx(1.19))
    assert (leg.judged, leg.within, leg.fail_at_most) == (1, 1, pytest.approx(0.95))
    # A fault on a leg that did not serve: there is nothing to switch. It counts as drilled all the same.
    run = one(1)
    assert run.result is not None
    served = msgspec.structs.replace(run.result.switchovers[0], from_="third")
    aside = changed(run, switchovers=(served,))
    found = assemble([aside], plan(), NONE)
    assert (found.headline.counted, found.headline.trials, found.recoveries) == (1, 0, ())
    assert [(cell.leg, cell.state) for cell in found.coverage] == [
        ("primary", State.CURRENT),
        ("standby", State.NEVER),
        ("third", State.NEVER),
    ]


def test_the_plan_sets_objectives_before_the_scenario() -> None:
    """For one leg of one gateway, for a leg, for all, in this order."""
    every = LegPlan(leg="primary", rto_s=0.3)
    own = LegPlan(leg="primary", gateway="litellm", rto_s=0.4)
    for legs, rto_s, expected in (((every, own), 9.0, 0.4), ((every,), 9.0, 0.3), ((), 9.0, 9.0), ((), None, 1.5)):
        (leg,) = assemble([one(1)], plan(legs=legs, rto_s=rto_s), NONE).recoveries
        assert (leg.rto_s, leg.rto_from) == (expected, "scenario" if expected == 1.5 else "plan")


FAULT = FaultPart(
    id="f", kind="k", legs=("a",), selector="", requested_s=1, effective_s=1, transition_s=0, cleared_s=2,
    touched_requests=1, cut_connections=0, held_connections=0, hung_connects=0,
)  # fmt: skip
DOMAINS = [
    # selector, what the plan of the fault says, what was lost together
    ("role: primary", {}, "leg"),
    ("cloud_of: primary", {}, "cloud"),
    ("role: primary, region: eu", {}, "region"),
    ("vendor: anthropic", {}, "vendor"),
    ("every leg", {}, "leg"),
    ("cloud: aws", {"of_identity": True}, "identity"),
    ("role: primary", {"lookups": Lookups.NXDOMAIN}, "names"),
    ("role: primary", {"plane": "toxi"}, "line"),
]


@pytest.mark.parametrize(("selector", "planned", "domain"), DOMAINS)
def test_what_was_lost_together(selector: str, planned: dict[str, object], domain: str) -> None:
    """By what the fault is, else by how its legs were chosen; a fault on no leg is on the gateway."""
    run = one(1)
    assert run.head is not None
    known = msgspec.structs.replace(run.head.faults[0], **planned)
    fault = msgspec.structs.replace(FAULT, selector=selector)
    assert domain_of(fault, known) == domain
    assert domain_of(msgspec.structs.replace(fault, legs=()), known) == "gateway"


# --- coverage and the verdict


def covered(runs: list[RunOfQuarter], **also: object) -> dict[tuple[str, str, str], tuple[str, str, int, int]]:
    """Cells by leg, domain and scenario: state, last day, drills that count and that do not."""
    return {
        (cell.leg, cell.domain, cell.scenario): (cell.state.value, cell.last_day, cell.drills, cell.not_counted)
        for cell in assemble(runs, plan(**also), NONE).coverage
    }


def test_coverage_says_what_is_overdue_and_what_never_was_drilled() -> None:
    """A drill of the quarter before is overdue at the end of this one; one that proved nothing changes nothing."""
    scenario, selector = SCENARIOS[1]
    cloud = one(1, day="2025-08-02", scenario=scenario, selector=selector)
    runs = [one(2, day="2025-10-01"), cloud, one(3, INVALID, day="2025-12-30")]
    cells = covered(runs)
    assert cells["primary", "leg", "primary-down"] == ("current", "2025-10-01", 1, 1)
    assert cells["primary", "cloud", "cloud-outage"] == ("overdue", "2025-08-02", 0, 0)
    assert cells["standby", "", ""] == ("never drilled", "", 0, 0)
    # In the middle of the quarter it is not overdue yet: there is time until its end.
    assert covered(runs, until="2025-12-31T00:00:00+00:00")["primary", "cloud", "cloud-outage"][0] == "current"


def with_config(number: int, config: str, day: str, story: str = "ppp[xxsss]spp") -> RunOfQuarter:
    """A run of LiteLLM with another config."""
    run = one(number, story, day=day)
    assert run.result is not None
    gateway = msgspec.structs.replace(run.result.gateway, config_sha256=config * 64)
    return dataclasses.replace(run, result=msgspec.structs.replace(run.result, gateway=gateway))


def by_config(*runs: RunOfQuarter) -> dict[tuple[str, str], tuple[str, str]]:
    """Cells by the first digit of the config and by the leg: state and last day."""
    cells = assemble(runs, plan(), NONE).coverage
    return {(cell.config[:1], cell.leg): (cell.state.value, cell.last_day) for cell in cells}


def test_configs_of_one_gateway_are_told_apart() -> None:
    """Two that are drilled side by side need both their drills; one that was replaced needs none any more."""
    assert ("", "primary") in by_config(with_config(1, "a", "2025-08-01"), with_config(2, "a", "2025-10-01"))
    old, new = with_config(1, "a", "2025-08-01"), with_config(2, "b", "2025-10-01")
    replaced = by_config(old, new)
    assert replaced["a", "primary"] == ("replaced", "2025-08-01")
    assert replaced["b", "primary"] == ("current", "2025-10-01")
    assert ("a", "standby") not in replaced
    assert replaced["b", "standby"] == ("never drilled", "")
    beside = by_config(with_config(3, "b", "2025-07-15"), old, new)
    assert beside["a", "primary"] == ("overdue", "2025-08-01")
    assert beside["a", "standby"] == beside["b", "standby"] == ("never drilled", "")
    # What was drilled before the config was replaced, and never since, stays due.
    scenario, selector = SCENARIOS[1]
    cloud = one(4, day="2025-09-01", scenario=scenario, selector=selector)
    states = [
        cell.state.value for cell in assemble([cloud, new], plan(), NONE).coverage if cell.scenario == "cloud-outage"
    ]
    assert states == ["overdue"]
    # An attempt with a config that proved nothing makes no config of its own.
    assert {config for config, _ in by_config(new, with_config(5, "c", "2025-11-01", INVALID))} == {""}


def test_the_plan_says_how_often_and_what() -> None:
    """Once a month for a scenario, once for another, and one that nobody ever ran."""
    each = (
        CadenceFor(scenario="primary-down", every=Every.MONTH),
        CadenceFor(scenario="cross-region-cascade", gateway="portkey", every=Every.YEAR),
    )
    cells = covered([one(1, day="2025-10-15")], cadence=Cadence(each=each))
    assert cells["primary", "leg", "primary-down"][0] == "overdue"
    assert cells["", "", "cross-region-cascade"][0] == "never drilled"
    once = Cadence(default=Every.ONCE)
    assert covered([one(1, day="2025-02-15")], cadence=once)["primary", "leg", "primary-down"][0] == "current"


def test_the_verdict_of_a_quarter() -> None:
    """A failure that a later drill put right is no failure of the quarter; it stays in the numbers."""

    def verdict(*runs: RunOfQuarter, **also: object) -> tuple[str, tuple[str, ...]]:
        head = assemble(runs, plan(**also), NONE).headline
        return head.verdict.value, head.failed_pairs

    assert verdict(one(1, NEVER)) == ("not met", ("primary-down on litellm",))
    assert verdict(one(1, NEVER), one(2)) == (QuarterVerdict.INCOMPLETE.value, ())  # legs that were never drilled
    assert verdict(one(1), rto_s=0.05) == (
        "not met",
        ("primary-down on litellm",),
    )  # the run passed, the plan is stricter
    assert verdict(one(1, INVALID)) == verdict() == ("incomplete", ())
    cascade = one(1, "ppppp[xxssss{zzttt}ssss]ssppppp")
    assert cascade.result is not None
    assert verdict(changed(cascade, legs=cascade.result.legs[:2])) == ("met", ())  # both legs, each while it served


def test_a_pass_of_another_config_hides_no_failure() -> None:
    """Two configs that are in use in turn count each for itself; one that was replaced is told, and counts no more."""

    def headline(*runs: RunOfQuarter) -> Headline:
        return assemble(runs, plan(), NONE).headline

    fails = with_config(2, "a", "2025-11-02", NEVER)
    between = headline(with_config(1, "b", "2025-11-01"), fails, with_config(3, "b", "2025-11-03"))
    assert (between.verdict, between.pairs) == (QuarterVerdict.NOT_MET, 2)
    assert between.failed_pairs == ("primary-down on litellm, config aaaaaaaa",)
    mended = headline(with_config(1, "b", "2025-11-01"), fails, with_config(3, "a", "2025-11-03"))
    assert mended.failed_pairs == mended.failed_replaced == ()
    replaced = headline(fails, with_config(3, "b", "2025-11-03"))
    assert (replaced.failed_pairs, replaced.pairs) == ((), 1)
    assert replaced.failed_replaced == ("primary-down on litellm, config aaaaaaaa",)
    # It was in use in the quarter before, so the other one did not take its place.
    back = headline(with_config(0, "b", "2025-09-01"), fails, with_config(3, "b", "2025-11-03"))
    assert back.failed_pairs == ("primary-down on litellm, config aaaaaaaa",)
    # The other one was never drilled in this scenario.
    scenario, selector = SCENARIOS[1]
    cloud = one(4, day="2025-11-03", scenario=scenario, selector=selector)
    assert headline(fails, cloud).failed_pairs == ("primary-down on litellm, config aaaaaaaa",)


def test_only_the_last_four_quarters_count_and_nothing_later() -> None:
    """Older and later runs are not there; a run without a date is listed apart."""
    lost = RunOfQuarter("nobody-knows", "when?", "", None, None, "history.jsonl: no")
    runs = [one(1, day="2024-12-31"), one(2, day="2025-01-01"), one(3), one(4, day="2026-01-01"), lost]
    found = assemble(runs, plan(), NONE)
    assert [row.name for row in found.runs] == [runs[2].name]
    assert [row.name for row in found.earlier] == [runs[1].name]
    assert [(row.name, row.verdict) for row in found.undated] == [("nobody-knows", "unreadable")]
    assert [(point.quarter, point.summary.trials) for point in found.trend] == [
        ("2025Q1", 1),
        ("2025Q2", 0),
        ("2025Q3", 0),
        ("2025Q4", 1),
    ]


# --- availability and money


def test_the_table_of_the_guide() -> None:
    """98.97 % is about 7.5 hours a month, 99.5 % 3.6 hours; the guide's 52 minutes at 99.99 % are those of a year."""
    rows = assemble([], plan(), NONE).downtimes
    assert [round(row.month_h, 2) for row in rows] == [7.42, 3.6, 0.07]
    assert round(rows[2].year_h * 60) == 53
    assert rows[0].quarter_h == pytest.approx(92 * 24 * 0.0103)


def test_legs_in_parallel_and_the_gateway_in_series() -> None:
    """Two legs of 99 % and 98 % are down together for 0.02 %; what is not given is left out, and named."""
    assert parallel([0.99, 0.98]) == pytest.approx(0.9998)
    assert parallel([]) is None
    legs = (LegPlan(leg="primary", sla=0.99), LegPlan(leg="standby", sla=0.98))
    (chain,) = assemble([one(1)], plan(legs=legs, gateway_availability=0.999), NONE).chains
    assert (chain.alone, chain.without_sla, chain.clouds) == (0.99, ("third",), 3)
    assert (chain.independent, chain.by_cloud) == (pytest.approx(0.9998), pytest.approx(0.9998))
    assert chain.with_gateway == pytest.approx(0.9998 * 0.999)
    run = one(1)
    assert run.result is not None
    shared = tuple(msgspec.structs.replace(leg, cloud="aws") for leg in run.result.legs)
    (chain,) = assemble([changed(run, legs=shared)], plan(legs=legs), NONE).chains
    assert (chain.independent, chain.by_cloud) == (pytest.approx(0.9998), 0.99)


def test_the_maths_of_the_guide() -> None:
    """10,000 a day at 98.97 %: 7.416 h a month x 416.67; against a gateway at 100 a month."""
    legs = (LegPlan(leg="primary", sla=0.9897), LegPlan(leg="standby", sla=0.995))
    money = Money(currency="GBP", revenue_per_hour=10_000 / 24, gateway_per_month=100.0)
    (saving,) = assemble([one(1)], plan(legs=legs, money=money), NONE).savings
    assert saving.alone == pytest.approx(3090)
    assert saving.together == pytest.approx(3090 * 0.005)
    assert (saving.saved, saving.ratio) == (pytest.approx(3090 * 0.995), pytest.approx(30.75, abs=0.01))
    assert assemble([one(1)], plan(legs=legs), NONE).savings == ()
    assert assemble([one(1)], plan(money=money), NONE).savings == ()


def test_what_one_loss_takes_of_the_budget() -> None:
    """The upper bound of the client outage, of 92 days x 0.1 %; not added up unless the plan says how many."""
    run = one(1)
    assert run.result is not None
    outage_s = run.result.switchovers[0].client_outage_s.upper
    (budget,) = assemble([run], plan(target=0.999), NONE).budgets
    assert budget.share == pytest.approx(outage_s / (92 * 86_400 * 0.001))
    assert budget.all_share is None
    (budget,) = assemble([run, one(2, NEVER)], plan(target=0.999, outages_per_quarter=3.0), NONE).budgets
    assert budget.outage.longer
    assert budget.all_share == pytest.approx(3 * (budget.share or 0))
    (budget,) = assemble([run], plan(), NONE).budgets
    assert budget.share is None


def test_slow_answers_are_no_outage() -> None:
    """Callers who were slow until the fault ended have not recovered. With failures among them the outage may have been
    longer; without, there was none.
    """
    run = one(1, "ppp[xSSSSSSSSSSSSSSSSSSSS]ppp")
    assert run.result is not None
    (found,) = run.result.switchovers
    assert (found.recovery_s, found.bad, found.slow) == (None, 1, 20)
    for bad, longer in ((1, True), (0, False)):
        slow = changed(run, switchovers=(msgspec.structs.replace(found, bad=bad),))
        result = assemble([slow], plan(), NONE)
        assert result.recoveries[0].trials[0].recovery.longer
        assert [budget.outage.longer for budget in result.budgets] == [longer]


def test_what_the_drills_would_cost() -> None:
    """`ppp[xxsss]spp`: 7 attempts on the primary, of which 5 answered, and 4 on the standby."""
    prices = {"input_per_million": 3.0, "output_per_million": 15.0}
    legs = (LegPlan(leg="primary", **prices), LegPlan(leg="standby", **prices))
    also = {"legs": legs, "tokens_per_request": Tokens(input=1000, output=200), "money": Money(currency="EUR")}
    (effort,) = assemble([one(1)], plan(**also), NONE).efforts
    assert (effort.requests, effort.attempts, effort.per_request, effort.worst) == (11, 11, 1.0, 1.0)
    assert effort.cost == pytest.approx(11 * 0.006)
    assert effort.cost_of_extra == pytest.approx(2 * 0.006)
    (effort,) = assemble([one(1)], plan(**{**also, "legs": legs[:1]}), NONE).efforts
    assert (effort.cost, effort.without_price) == (None, ("standby",))


# --- the contract


def test_whoever_has_the_runs_computes_the_same_bytes() -> None:
    """From the JSON alone: it holds the plan and the register. The order of the runs plays no part."""
    risk = AcceptedRisk(risk="one network", accepted_by="Ada", until="2026-06-30")
    runs = [one(number, story) for number, story in enumerate(("ppp[xxsss]spp", NEVER, INVALID))]
    written = encode(assemble(runs, plan(accepted_risks=(risk,), target=0.999), NONE))
    stored = decode(written)
    assert encode(assemble(runs[::-1], stored.plan, stored.register)) == written
    assert encode(assemble(runs[:-1], stored.plan, stored.register)) != written
    assert stored.until == UNTIL
    assert isinstance(stored.plan, plans.QuarterPlan)
