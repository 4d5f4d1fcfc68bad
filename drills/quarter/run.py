"""One run as a quarterly report sees it. Pure; `drills.quarter.reading` makes them from folders."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from drills.events import FaultPlan, Limits, RunStarted
from drills.moments import moment
from drills.quarter.dates import Quarter, quarter_of
from drills.quarter.register import finding_id
from drills.result import CheckPart, FaultPart, Result, Verdict, scenario_id
from faults.base import Lookups

JUDGED = {Verdict.PASS, Verdict.FAIL}
"""Verdicts of drills that said something about the gateway; only these count as drilled."""


@dataclass(frozen=True)
class RunOfQuarter:
    """A run that is kept: the result that was judged then, and the first event of its history.

    name: of its folder. started_at: as its files say; empty when nothing says so. history_sha256: of the history's
    bytes, empty when it cannot be read. result: None with a `problem`, one sentence. head: None when it is unreadable.
    instead: the word that stands for the verdict of a run that counts for nothing, whatever it says of itself.
    """

    name: str
    started_at: str
    history_sha256: str
    result: Result | None
    head: RunStarted | None
    problem: str = ""
    instead: str = ""

    @property
    def started(self) -> datetime | None:
        """When it began, in UTC; None when nobody can say."""
        return moment(self.started_at)

    @property
    def day(self) -> str:
        """The day on which it began, `2026-12-31`; empty when nobody can say."""
        return self.started.date().isoformat() if self.started else ""

    @property
    def quarter(self) -> Quarter | None:
        """The quarter in which it began."""
        return quarter_of(self.started.date()) if self.started else None

    @property
    def scenario(self) -> str:
        """How the report calls its scenario: by what its runs are known."""
        if self.result is not None:
            part = self.result.scenario
            return scenario_id(part.id, part.file, part.name)
        if self.head is not None:
            return scenario_id(self.head.scenario_id, self.head.scenario_file, self.head.scenario_name)
        return scenario_id("", "", "")

    @property
    def gateway(self) -> str:
        """The gateway's name; empty when the run says none."""
        return self.result.gateway.name if self.result else self.head.gateway if self.head else ""

    @property
    def config(self) -> str:
        """The SHA-256 of the gateway's config; empty when there was none."""
        return self.result.gateway.config_sha256 if self.result else self.head.config_sha256 if self.head else ""

    @property
    def entry_model(self) -> str:
        """What callers asked for; empty when the run says nothing."""
        return self.result.gateway.entry_model if self.result else self.head.entry_model if self.head else ""

    @property
    def counts(self) -> bool:
        """Whether it counts as drilled: it said something about the gateway."""
        return self.result is not None and self.result.verdict in JUDGED

    @property
    def limits(self) -> Limits:
        """The scenario's own limits; none when the history says none."""
        return self.head.limits if self.head else Limits()

    def plan_of(self, fault: FaultPart) -> FaultPlan | None:
        """What was planned for a fault."""
        return next((plan for plan in self.head.faults if plan.id == fault.id), None) if self.head else None

    def finding(self, check: CheckPart) -> str:
        """The id of what a check of this run finds, or would find."""
        faults = self.result.faults if self.result else ()
        named = [f"{fault.id}: {', '.join(sorted(fault.legs))}" for fault in faults]
        return finding_id(self.scenario, self.gateway, named, check.name)


_BY_SELECTOR = (
    ("cloud", ("cloud", "cloud_of")),
    ("region", ("region", "region_of")),
    ("provider", ("provider",)),
    ("vendor", ("vendor",)),
)
DOMAINS = ("leg", "region", "cloud", "provider", "vendor", "line", "certificate", "names", "identity", "gateway")
"""The fault domains, from the narrowest: what was lost together."""


def domain_of(fault: FaultPart, plan: FaultPlan | None) -> str:
    """The fault domain that a fault took away: one of `DOMAINS`."""
    if not fault.legs:
        return "gateway"
    if plan is not None:
        if plan.of_identity:
            return "identity"
        if plan.lookups is not Lookups.ANSWERED:
            return "names"
        if plan.handshake is not None:
            return "certificate"
        if plan.plane == "toxi":
            return "line"
    keys = {part.partition(":")[0].strip() for part in fault.selector.split(",")}
    return next((name for name, any_of in _BY_SELECTOR if keys.intersection(any_of)), "leg")
