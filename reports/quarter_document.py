"""The quarterly report as sections in their order. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from drills.quarter.result import QuarterResult
from reports import quarter_back as back
from reports import quarter_front as front
from reports import quarter_times as times
from reports import quarter_worth as worth
from reports.quarter_blocks import Block, Section

_Make = Callable[[QuarterResult], Iterator[Block]]

_SECTIONS: tuple[tuple[str, str, _Make], ...] = (
    ("summary", "Executive summary", front.summary),
    ("scope", "Scope, people and reasons", front.scope),
    ("coverage", "Coverage", front.coverage),
    ("recovery", "Recovery time", times.recovery),
    ("failback", "Failback", times.failback),
    ("trend", "Trend", times.trend),
    ("availability", "Availability and error budget", worth.availability),
    ("money", "Cost of downtime", worth.money),
    ("effort", "Retry amplification and drill cost", worth.effort),
    ("findings", "Findings", back.findings),
    ("risks", "Accepted risks", back.risks),
    ("methodology", "Methodology and limits", lambda _: back.methodology()),
    ("controls", "Control index", lambda _: back.controls(titles())),
    ("signoff", "Sign-off", back.signoff),
    ("evidence", "Evidence", back.evidence),
)


def titles() -> dict[str, str]:
    """The number and title of each section, by its ident."""
    return {ident: f"{number}. {title}" for number, (ident, title, _) in enumerate(_SECTIONS, start=1)}


def sections(result: QuarterResult) -> tuple[Section, ...]:
    """The whole report."""
    named = titles()
    return tuple(Section(ident, named[ident], tuple(make(result))) for ident, _, make in _SECTIONS)
