"""`quarter-2026Q4.html`: the quarter as one page that needs nothing else: no network, no script, no other file. Pure.

It is written as `reports/html.py` writes a run's page: everything is escaped, and the page forbids itself scripts and
requests.
"""

from __future__ import annotations

from collections.abc import Sequence

from drills.quarter.result import QuarterResult, QuarterVerdict
from reports import page, plots
from reports.base import QuarterFormat
from reports.figure import Entry, Figure
from reports.quarter_blocks import Plot, Section
from reports.quarter_document import sections
from reports.quarter_front import sentence
from reports.svg import swatch

_TONE = {QuarterVerdict.MET: "pass", QuarterVerdict.NOT_MET: "fail", QuarterVerdict.INCOMPLETE: "mixed"}


def render(result: QuarterResult) -> bytes:
    """The whole page."""
    parts = sections(result)
    return page.written(
        "quarter.html",
        result=result,
        sentence=sentence(result),
        tone=_TONE[result.headline.verdict],
        sections=parts,
        figures=_figures(parts),
    )


QUARTER = QuarterFormat(name="html", ending="html", about="one page for people, with plots", render=render)


def _figures(parts: Sequence[Section]) -> dict[str, Figure]:
    drawn = [block for part in parts for block in part.blocks if isinstance(block, Plot)]
    return {
        block.title: Figure(
            block.title,
            block.about,
            page.drawing(block.draw(plots.WIDE)),
            page.drawing(block.draw(plots.NARROW)),
            tuple(
                Entry(page.drawing(swatch(f"legend-{number}-{index}", style)), words)
                for index, (style, words) in enumerate(block.legend)
            ),
        )
        for number, block in enumerate(drawn)
    }
