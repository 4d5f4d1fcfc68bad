"""`quarter-2026Q4.pdf`: the quarter's page, printed on A4, as `reports/pdf.py` prints that of a run."""

from __future__ import annotations

from drills.quarter.result import QuarterResult
from reports import quarter_html
from reports.base import QuarterFormat
from reports.pdf import printed


def render(result: QuarterResult) -> bytes:
    """The PDF. Raises `UsageProblem` when WeasyPrint or the libraries that it needs are missing."""
    return printed(quarter_html.render(result))


QUARTER = QuarterFormat(
    name="pdf", ending="pdf", about="the HTML page, printed on A4 (needs the extra `pdf`)", render=render
)
