"""`summary.md`: the run in a few lines, for a pull request, a step summary or a chat. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from drills.result import Result, Verdict
from reports.base import Format, of_result
from reports.escape import markdown
from reports.words import recovery, returned, sentence

_FINDINGS = 5


def render(result: Result) -> bytes:
    """At most some thirty lines."""
    gateway = markdown(f"{result.gateway.name} {result.gateway.version}".strip(), 80)
    lines = [
        f"### {result.verdict.upper()}: {markdown(result.scenario.name, 120)} ({gateway})",
        "",
        f"{markdown(sentence(result), 600)}.",
        *_switchovers(result),
        *_findings(result),
    ]
    return ("\n".join(lines) + "\n").encode()


FORMAT = Format(
    name="summary", file="summary.md", about="a few lines, for a pull request or a chat", render=of_result(render)
)


def _switchovers(result: Result) -> Iterable[str]:
    if not result.switchovers:
        return
    backs = {back.fault: back for back in result.failbacks}
    yield ""
    yield "| fault | from → to | recovered | failback | lost, slow |"
    yield "|---|---|---|---|---|"
    for found in result.switchovers:
        back = backs.get(found.fault)
        cells = (
            found.fault,
            f"{found.from_ or 'nobody'} → {found.to or 'nobody'}",
            recovery(found),
            "-" if back is None else returned(back),
            f"{found.bad}, {found.slow} of {found.arrivals}",
        )
        yield f"| {' | '.join(markdown(cell, 120) for cell in cells)} |"


def _findings(result: Result) -> Iterable[str]:
    found = [part for part in result.checks if part.verdict is not Verdict.PASS]
    if result.verdict is Verdict.INTERRUPTED:
        yield ""
        yield from (f"- {markdown(reason, 300)}" for reason in result.reasons[:_FINDINGS])
    if found:
        yield ""
    for part in found[:_FINDINGS]:
        advice = f" {markdown(part.advice, 400)}" if part.advice else ""
        yield f"- **{part.verdict}, {markdown(part.name)}**: {markdown(part.observed, 300)}.{advice}"
    if len(found) > _FINDINGS:
        yield f"- and {len(found) - _FINDINGS} more"
