"""`requests.parquet`: one row a request, with types. Pure."""

from __future__ import annotations

import io

from drills.verdict import Judged
from reports import frame
from reports.base import Format, missing
from reports.escape import plain


def render(run: Judged) -> bytes:
    """The table. Raises `UsageProblem` when pandas, or pyarrow below it, is missing."""
    table = frame.requests(run, "parquet", plain)
    written = io.BytesIO()
    try:
        table.to_parquet(written, engine="pyarrow", index=False)
    except ImportError as error:
        raise missing("parquet", "pyarrow", "tables") from error
    return written.getvalue()


FORMAT = Format(
    name="parquet", file="requests.parquet", about="the same with types (needs the extra `tables`)", render=render
)
