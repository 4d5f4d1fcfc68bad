"""`quarter.yaml`: what a quarterly report needs and no run knows: people, targets, money, accepted risks. Pure.

Everything is optional. What is not given is left out of the report, which then says what would be needed; nothing is
made up.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from drills.binding import Key, bind
from drills.people import Line, People, WrittenPeople
from drills.problems import Place, Problem, UsageProblem
from drills.quarter.dates import Every
from drills.units import Seconds, Share
from drills.yamlsource import tree

Day = Annotated[str, Meta(pattern=r"\A\d{4}-\d\d-\d\d\Z", description="a day like 2026-12-31")]
Availability = Annotated[Share, Meta(gt=0, lt=1)]
Objective = Annotated[Seconds, Meta(gt=0)]
Price = Annotated[float, Meta(ge=0, le=1e12)]


class _Written(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every part of a plan."""


def real_day(day: str | None, key: str) -> None:
    """Raises `ValueError` when a day is not in the calendar."""
    if day is None:
        return
    try:
        date.fromisoformat(day)
    except ValueError:
        raise ValueError(f"{key!r}: there is no day {day}") from None


class CadenceFor(_Written, frozen=True, kw_only=True):
    """How often one scenario must be drilled. gateway, leg: None for any. scenario: as `drill list` names it, or
    its file without `.yaml`.
    """

    noun: ClassVar[str] = "a cadence"

    scenario: Line
    every: Every
    gateway: Line | None = None
    leg: Line | None = None


class Cadence(_Written, frozen=True, kw_only=True):
    """How often each leg must be drilled in each scenario that it was ever drilled in, and what must be drilled."""

    default: Every = Every.QUARTER
    each: tuple[CadenceFor, ...] = ()


class LegPlan(_Written, frozen=True, kw_only=True):
    """What was promised for one leg. gateway: None for the leg of that name of every gateway. sla: uptime, 0..1.

    input_per_million, output_per_million: price of a million tokens, in the plan's currency.
    """

    noun: ClassVar[str] = "a leg"

    leg: Line
    gateway: Line | None = None
    rto_s: Annotated[Objective | None, Key("rto")] = None
    sla: Availability | None = None
    input_per_million: Price | None = None
    output_per_million: Price | None = None


class Tokens(_Written, frozen=True, kw_only=True):
    """How large a request is at a real provider, in tokens."""

    input: Annotated[int, Meta(ge=0, le=100_000_000)]
    output: Annotated[int, Meta(ge=0, le=100_000_000)]


class Money(_Written, frozen=True, kw_only=True):
    """revenue_per_hour: what callers are worth while they are answered. gateway_per_month: its price."""

    currency: Annotated[str, Meta(pattern=r"\A[A-Za-z€£$¥]{1,8}\Z", description="a currency like EUR")]
    revenue_per_hour: Price | None = None
    gateway_per_month: Price | None = None


class AcceptedRisk(_Written, frozen=True, kw_only=True):
    """A risk that somebody took on. until: the last day of it."""

    noun: ClassVar[str] = "an accepted risk"

    risk: Annotated[str, Meta(max_length=2000)]
    accepted_by: Line
    until: Day

    def __post_init__(self) -> None:
        real_day(self.until, "until")


class QuarterPlan(_Written, frozen=True, kw_only=True):
    """The whole plan, with the quarter that is reported on.

    quarter: `2026Q4`; until: the moment up to which it is judged, ISO 8601 in UTC. Neither is written in the file.
    file, sha256: of the file; empty without one.
    target: availability that callers were promised, 0..1. gateway_availability: of the gateway itself.
    outages_per_quarter: how many losses of the serving leg are assumed.
    """

    quarter: str
    until: str
    file: str = ""
    sha256: str = ""
    system: Line | None = None
    people: People = People()
    change: Line | None = None
    reason: str | None = None
    rto_s: float | None = None
    target: float | None = None
    gateway_availability: float | None = None
    outages_per_quarter: float | None = None
    cadence: Cadence = Cadence()
    legs: tuple[LegPlan, ...] = ()
    tokens_per_request: Tokens | None = None
    money: Money | None = None
    accepted_risks: tuple[AcceptedRisk, ...] = ()

    def leg(self, gateway: str, name: str) -> LegPlan | None:
        """What is planned for a leg; an entry that names the gateway comes before one that does not."""
        found = [part for part in self.legs if part.leg == name and part.gateway in {None, gateway}]
        return max(found, key=lambda part: part.gateway is not None, default=None)


class _Plan(_Written, frozen=True, kw_only=True):
    """The keys of the file."""

    noun: ClassVar[str] = "the plan of a quarter"

    system: Line | None = None
    people: WrittenPeople = WrittenPeople()
    change: Line | None = None
    reason: Annotated[str, Meta(max_length=4000)] | None = None
    rto_s: Annotated[Objective | None, Key("rto")] = None
    target: Availability | None = None
    gateway_availability: Annotated[Share, Meta(gt=0, le=1)] | None = None
    outages_per_quarter: Annotated[float, Meta(ge=0, le=100_000)] | None = None
    cadence: Cadence = Cadence()
    legs: tuple[LegPlan, ...] = ()
    tokens_per_request: Tokens | None = None
    money: Money | None = None
    accepted_risks: tuple[AcceptedRisk, ...] = ()

    def __post_init__(self) -> None:
        named = [(part.gateway, part.leg) for part in self.legs]
        twice = next((pair for pair in named if named.count(pair) > 1), None)
        if twice is not None:
            raise ValueError(f"the leg {twice[1]!r} is written twice{f' for {twice[0]!r}' if twice[0] else ''}")
        prices = any(part.input_per_million is not None or part.output_per_million is not None for part in self.legs)
        if prices and self.money is None:
            raise ValueError("prices of legs need a currency: add `money: {currency: EUR}`")


def parse(text: str, file: str, sha256: str, bare: QuarterPlan) -> QuarterPlan:
    """The plan of a YAML text, for the quarter of `bare`. Raises `UsageProblem` with every problem."""
    problems: list[Problem] = []
    root = tree(text, file, problems)
    found = None if root is None else bind(root, _Plan, problems)
    if problems or found is None:
        raise UsageProblem(sorted(dict.fromkeys(problems), key=lambda problem: problem.place or Place(file)))
    return QuarterPlan(
        quarter=bare.quarter, until=bare.until, file=file, sha256=sha256, **msgspec.structs.asdict(found)
    )
