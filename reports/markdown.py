"""`report.md`: the run for people who read it in a repository or a ticket. Pure.

Everything from outside is escaped: nothing that a gateway says can become a heading, a link or a tag.
"""

from __future__ import annotations

from collections.abc import Iterable

from drills.redaction import NEVER_STORED
from drills.result import Result, Verdict
from reports import tables
from reports.base import Format, of_result
from reports.escape import markdown
from reports.tables import Loud, Table
from reports.words import HOSTS_TRIED, HOSTS_TRIED_MEANS, SEALED, hung_connects, ledger_means, ledger_sums, sentence


def render(result: Result) -> bytes:
    """The whole report."""
    parts = [
        _head(result),
        _switchovers(result),
        _findings(result),
        _section("Phases", tables.phases(result)),
        markdown(tables.assumptions(result), 1000),
        _ledger(result),
        _section("Legs", tables.legs(result)),
        _section("Faults", tables.faults(result)),
        table(tables.proofs(result)),
        _hosts_tried(result),
        _instrument(result),
        _evidence(result),
    ]
    return ("\n\n".join(part for part in parts if part) + "\n").encode()


FORMAT = Format(
    name="md", file="report.md", about="Markdown, for a repository or a ticket", render=of_result(render), kept=True
)


def table(one: Table) -> str:
    """A table in Markdown, everything in it escaped; empty for one without rows."""
    if not one:
        return ""
    lines = [f"| {' | '.join(markdown(cell) for cell in one.header)} |", f"|{'---|' * len(one.header)}"]
    lines += [f"| {' | '.join(_cell(cell) for cell in row)} |" for row in one.rows]
    return "\n".join([*lines, *(["", markdown(one.left_out)] if one.left_out else [])])


def _cell(text: str) -> str:
    shown = markdown(text, 1000)
    return f"**{shown}**" if isinstance(text, Loud) else shown


def _section(title: str, one: Table) -> str:
    return f"## {title}\n\n{table(one)}" if one else ""


def _list(title: str, lines: Iterable[str]) -> list[str]:
    points = [f"- {markdown(line)}" for line in lines]
    return ["", title, "", *points] if points else []


def _head(result: Result) -> str:
    lines = [
        f"# {markdown(result.scenario.name)}: {result.verdict.upper()}",
        "",
        f"{markdown(sentence(result), 1000)}.",
        "",
        f"Objective: {markdown(result.scenario.objective, 2000)}",
        "",
        table(tables.identity(result)),
    ]
    if result.verdict is not Verdict.PASS:
        lines += _list("Why:", result.reasons)
    return "\n".join([*lines, *_list("Notes:", result.notes)])


def _switchovers(result: Result) -> str:
    if not result.switchovers:
        return ""
    parts = [
        _section("Switchover", tables.switchovers(result)),
        _section("Failback", tables.failbacks(result)),
        "\n".join(_list("Where a value is missing:", tables.missing_values(result))).strip(),
    ]
    return "\n\n".join(part for part in parts if part)


def _findings(result: Result) -> str:
    lines = [_section("Checks", tables.checks(result))]
    for part in result.checks:
        if part.verdict is Verdict.PASS:
            continue
        lines += ["", f"### {markdown(part.name)}: {part.verdict}", ""]
        if part.advice:
            lines += [f"What to do: {markdown(part.advice, 2000)}", ""]
        lines += [f"- {markdown(cited)}" for cited in part.evidence]
    return "\n".join(lines)


def _ledger(result: Result) -> str:
    return "\n\n".join(
        [
            "## Attempt ledger",
            ledger_means(result),
            table(tables.paths(result)),
            table(tables.attempts(result)),
            ledger_sums(result),
            markdown(hung_connects(result), 1000),
        ]
    )


def _hosts_tried(result: Result) -> str:
    tried = tables.hosts_tried(result)
    return f"## {HOSTS_TRIED}\n\n{HOSTS_TRIED_MEANS}\n\n{table(tried)}" if tried else ""


def _evidence(result: Result) -> str:
    kept = "\n".join(_list("What this run keeps, and what it does not:", NEVER_STORED)).strip()
    return f"{_section('Evidence', tables.evidence(result))}\n\n{SEALED}\n\n{kept}"


def _instrument(result: Result) -> str:
    whole = Table(("what", "observed"), (*tables.instrument(result).rows, *tables.environment(result).rows))
    return _section("The instrument", whole)
