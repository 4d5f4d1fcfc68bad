"""`requests.csv`: one row a request, for a spreadsheet. Pure.

A text that a spreadsheet would compute as a formula gets an apostrophe before it.
"""

from __future__ import annotations

from drills.verdict import Judged
from reports import frame
from reports.base import Format
from reports.escape import cell


def render(run: Judged) -> bytes:
    """The table, UTF-8, with a header. Raises `UsageProblem` when pandas is missing."""
    text: str = frame.requests(run, "csv", cell).to_csv(index=False, lineterminator="\n")
    return text.encode()


FORMAT = Format(name="csv", file="requests.csv", about="one row a request (needs the extra `tables`)", render=render)
