"""`quarter-2026Q4.md`: the quarter for people who read it in a repository or a ticket. Pure.

Everything from outside is escaped, as in a run's Markdown. Plots are left out: their numbers stand in the tables.
"""

from __future__ import annotations

from drills.quarter.result import QuarterResult
from reports.base import QuarterFormat
from reports.escape import markdown
from reports.markdown import table
from reports.quarter_blocks import Block, Fields, Grid, Plot, Points, Section, Text
from reports.quarter_document import sections
from reports.quarter_front import sentence

_LONGEST = 4000


def render(result: QuarterResult) -> bytes:
    """The whole report."""
    system = f": {result.plan.system}" if result.plan.system else ""
    head = (
        f"# {markdown(f'Failover drills, {result.quarter}{system}')}\n\n"
        f"**{markdown(result.headline.verdict.upper())}**\n\n{markdown(sentence(result))}."
    )
    return ("\n\n".join([head, *map(_section, sections(result))]) + "\n").encode()


QUARTER = QuarterFormat(name="md", ending="md", about="Markdown, for a repository or a ticket", render=render)


def _section(part: Section) -> str:
    blocks = [written for block in part.blocks if (written := _block(block))]
    return "\n\n".join([f"## {markdown(part.title)}", *blocks])


def _block(block: Block) -> str:
    match block:
        case Text():
            said = markdown(block.text, _LONGEST)
            return f"**{said}**" if block.loud else said
        case Points():
            lines = [f"- {markdown(item, _LONGEST)}" for item in block.items]
            return "\n".join([*([markdown(block.lead), ""] if block.lead else []), *lines])
        case Grid():
            caption = f"*{markdown(block.caption)}*\n\n" if block.caption else ""
            written = table(block.table)
            return f"{caption}{written}" if written else ""
        case Fields():
            return "\n".join(f"- {markdown(what)}: {markdown(value)}" for what, value in block.rows)
        case Plot():
            return ""
