"""What a quarter came to: the contract of `quarter-2026Q4.json`. Data only.

It holds the plan and the register as they were, so whoever has the runs can compute it again and compare the bytes:
`encode(assemble(runs, stored.plan, stored.register, stored.evidence))`. Fields are added, never renamed or removed,
within one `schema`.
"""

from __future__ import annotations

import enum

import msgspec

from drills.decoding import Decoder
from drills.people import People
from drills.quarter.dates import Every
from drills.quarter.numbers import Summary, Time
from drills.quarter.plan import QuarterPlan
from drills.quarter.register import Entry, Register
from drills.quarter.sealed import Evidence
from drills.result import readable

QUARTER_SCHEMA = "failover-drill/quarter/1"
GATEWAY_LEG = "the gateway"
"""Stands where a leg stands when the gateway itself was taken away. No leg can be called so: it has a space."""


class _Part(msgspec.Struct, frozen=True, kw_only=True):
    """Base of every part."""


class Standing(enum.StrEnum):
    """How a measured time stands to its objective."""

    WITHIN = "within"
    BEYOND = "beyond"
    UNCLEAR = "unclear"
    """The objective lies inside the bracket, or the fault was shorter than the objective."""
    NO_OBJECTIVE = "no objective"


class State(enum.StrEnum):
    """How current a cell of the coverage matrix is."""

    CURRENT = "current"
    OVERDUE = "overdue"
    NEVER = "never drilled"
    REPLACED = "replaced"
    """Not due any more: its config was replaced, and the same was drilled with one that came after it."""


class FindingState(enum.StrEnum):
    """What a finding is at the end of the quarter."""

    NEW = "new"
    OPEN = "open"
    OVERDUE = "overdue"
    REOPENED = "reopened"
    FIXED_UNPROVED = "fixed, not drilled since"
    FIXED = "fixed, and a later drill held"
    ACCEPTED = "accepted"
    EXPIRED = "acceptance has run out"
    WONT_FIX = "will not be fixed"


class QuarterVerdict(enum.StrEnum):
    """What the quarter came to."""

    MET = "met"
    """Every last drill held, and nothing is overdue."""
    NOT_MET = "not met"
    """The last drill of a scenario on a gateway failed, or a recovery in it took longer than its objective."""
    INCOMPLETE = "incomplete"
    """Nothing that was drilled says no, but something was not drilled in time."""


class Trial(_Part, frozen=True, kw_only=True):
    """One loss of the leg that served: the unit of statistics.

    leg: that served before the fault and was lost by it, or `GATEWAY_LEG`. recovery: upper end of its bracket.
    resolution_s: None when callers were not answered well again. outage_s: client outage, upper bound; outage_longer:
    callers still failed then, so it may have been longer. rto_s: what it is compared with, of the plan or
    the scenario (rto_from).
    """

    run: str
    day: str
    gateway: str
    leg: str
    scenario: str
    fault: str
    kind: str
    domain: str
    recovery: Time
    resolution_s: float | None
    outage_s: float
    outage_longer: bool
    rto_s: float | None
    rto_from: str
    standing: Standing


class Recovery(_Part, frozen=True, kw_only=True):
    """All trials of one leg in the quarter. margin: objective minus the longest, of the worst trial; `longer` when it
    is at most that. rto_mixed: the trials had several objectives, and `rto_s` is the smallest. resolution_s: the
    coarsest. within: trials within their objective, of `judged` that had one. fail_at_most: the chance that a drill
    like these is not within its objective, at most, at 95 %.
    """

    gateway: str
    leg: str
    summary: Summary
    trials: tuple[Trial, ...]
    rto_s: float | None
    rto_from: str
    rto_mixed: bool
    margin: Time | None
    resolution_s: float | None
    judged: int
    within: int
    beyond: int
    unclear: int
    fail_at_most: float | None


class Return(_Part, frozen=True, kw_only=True):
    """How a leg came back in the quarter. limit_s: the smallest that a scenario set; beyond: trials surely beyond
    theirs. excess_outage_s, flaps: the largest.
    """

    gateway: str
    leg: str
    summary: Summary
    limit_s: float | None
    beyond: int
    excess_outage_s: float
    flaps: float


class Cell(_Part, frozen=True, kw_only=True):
    """One leg in one fault domain in one scenario.

    config: the beginning of its hash, `none` when there was none, and empty when all drills of the gateway that count
    had the same. drills: that counted, in the quarter. last_day, verdict: of the last one that counted, at any time.
    due_day: by when the next one is due. not_counted: runs of the quarter that did not count. An empty domain or
    scenario stands for any.
    """

    gateway: str
    leg: str
    domain: str
    scenario: str
    every: Every
    drills: int
    not_counted: int
    last_day: str
    last_run: str
    verdict: str
    due_day: str
    state: State
    config: str = ""


class TrendPoint(_Part, frozen=True, kw_only=True):
    """One leg in one quarter. passed, failed: drills of the gateway that counted."""

    quarter: str
    gateway: str
    leg: str
    summary: Summary
    times: tuple[Time, ...]
    passed: int
    failed: int


class Downtime(_Part, frozen=True, kw_only=True):
    """What an availability allows: hours in 30 days, in the quarter, in a year of 365 days."""

    label: str
    availability: float
    month_h: float
    quarter_h: float
    year_h: float


class Chain(_Part, frozen=True, kw_only=True):
    """The legs of one gateway taken together. alone: the first leg's own. independent: when legs fail independently.
    by_cloud: when legs of one cloud fail together. with_gateway: `by_cloud` in series with the gateway. without_sla:
    legs whose SLA the plan does not give, which count as nothing.
    """

    gateway: str
    first: str
    legs: tuple[str, ...]
    clouds: int
    alone: float | None
    independent: float | None
    by_cloud: float | None
    with_gateway: float | None
    without_sla: tuple[str, ...]


class Budget(_Part, frozen=True, kw_only=True):
    """What a measured loss of a leg costs of the quarter's error budget. outage: the longest that was measured.
    share: of the budget, for one such outage; all_share: for as many as the plan assumes. None without a target.
    """

    gateway: str
    leg: str
    outage: Time
    share: float | None
    all_share: float | None


class Saving(_Part, frozen=True, kw_only=True):
    """What failing over is worth, in 30 days, in the plan's currency. alone, together: revenue lost with the first leg
    alone and with all of them (by cloud, with the gateway where its availability is given). ratio: saved / price.
    """

    gateway: str
    alone: float
    together: float
    saved: float
    price: float | None
    ratio: float | None


class Effort(_Part, frozen=True, kw_only=True):
    """What the drills of one gateway did to its legs. per_request: median over drills; worst: of a whole drill;
    worst_phase: of one phase. cost: what these attempts would cost at the plan's prices, at most.
    """

    gateway: str
    drills: int
    requests: int
    attempts: int
    per_request: float | None
    worst: float | None
    worst_run: str
    worst_phase: float | None
    cost: float | None
    cost_of_extra: float | None
    without_price: tuple[str, ...]


class FindingPart(_Part, frozen=True, kw_only=True):
    """A finding, as the register and the quarter's drills know it. failed_runs, held_runs: of the quarter."""

    entry: Entry
    state: FindingState
    failed_runs: tuple[str, ...]
    held_runs: tuple[str, ...]
    last_failed_day: str
    advice: str = ""


class ScenarioRow(_Part, frozen=True, kw_only=True):
    """A scenario that was run in the quarter."""

    scenario: str
    objective: str
    gateways: tuple[str, ...]
    runs: int
    counted: int


class GatewayRow(_Part, frozen=True, kw_only=True):
    """A gateway that was drilled in the quarter. legs: `name (role; provider, model; cloud, region)`."""

    gateway: str
    versions: tuple[str, ...]
    configs: tuple[str, ...]
    routes: tuple[str, ...]
    legs: tuple[str, ...]
    drills: int
    passed: int
    failed: int
    not_counted: int


class RunRow(_Part, frozen=True, kw_only=True):
    """One run of the evidence. verdict: of the drill, `unfinished` or `unreadable`. problem: why it has no result.

    people, change: as its scenario and its flags said.
    """

    name: str
    started_at: str
    scenario: str
    scenario_sha256: str
    gateway: str
    version: str
    config_file: str
    config_sha256: str
    seed: int | None
    tool_version: str
    verdict: str
    counts: bool
    why_not: str
    history_sha256: str
    people: People = People()
    change: str | None = None


class Headline(_Part, frozen=True, kw_only=True):
    """The numbers that matter. worst: the trial with the smallest margin. pairs: of scenario and gateway, with each
    config of a gateway that was in use beside another by itself. failed_pairs: `scenario on gateway`, whose last drill
    failed or was beyond its objective. failed_replaced: the same of configs that another took the place of; not among
    the pairs. pruned: runs of the quarter that were removed; pruned_failed: of these, those that failed;
    pruned_unknown: that had been changed before; pruned_unplaced: failed, and the chain does not say at which
    scenario and gateway. untold: runs that were changed since they were sealed, or are missing, each with which of it.
    """

    verdict: QuarterVerdict
    runs: int
    counted: int
    passed: int
    failed: int
    not_counted: int
    gateways: int
    pairs: int
    failed_pairs: tuple[str, ...]
    cells: int
    overdue: int
    never: int
    trials: int
    beyond: int
    worst: Trial | None
    worst_margin: Time | None
    findings_open: int
    findings_overdue: int
    findings_reopened: int
    failed_replaced: tuple[str, ...] = ()
    pruned: int = 0
    pruned_failed: int = 0
    pruned_unknown: int = 0
    pruned_unplaced: int = 0
    untold: tuple[str, ...] = ()


class QuarterResult(_Part, frozen=True, kw_only=True):
    """The whole result. runs: of the quarter, oldest first. undated: runs whose date nobody can say; they count
    nowhere. earlier: runs of the three quarters before, which coverage and trend rest on. unmatched: what the plan says
    that fits no run.
    """

    schema: str
    tool_version: str
    quarter: str
    first_day: str
    last_day: str
    until: str
    plan: QuarterPlan
    register: Register
    headline: Headline
    gateways: tuple[GatewayRow, ...]
    scenarios: tuple[ScenarioRow, ...]
    coverage: tuple[Cell, ...]
    recoveries: tuple[Recovery, ...]
    returns: tuple[Return, ...]
    trend: tuple[TrendPoint, ...]
    downtimes: tuple[Downtime, ...]
    chains: tuple[Chain, ...]
    budgets: tuple[Budget, ...]
    savings: tuple[Saving, ...]
    efforts: tuple[Effort, ...]
    findings: tuple[FindingPart, ...]
    runs: tuple[RunRow, ...]
    undated: tuple[RunRow, ...]
    earlier: tuple[RunRow, ...]
    unmatched: tuple[str, ...]
    evidence: Evidence = Evidence()


def encode(result: QuarterResult) -> bytes:
    """`quarter-2026Q4.json`, with a line end."""
    return readable(result)


def decode(data: bytes) -> QuarterResult:
    """A quarter out of its file. Raises `msgspec.DecodeError`."""
    return _DECODER.decode(data)


_DECODER: Decoder[QuarterResult] = Decoder(QuarterResult)
