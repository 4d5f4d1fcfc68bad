"""The requests of a run as a table of pandas: one row a request, for those who want to compute themselves. Pure.

The one file that knows pandas. Times are seconds on the run's clock; what never came is empty.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from drills.request import Request
from drills.verdict import Judged
from reports.base import missing

if TYPE_CHECKING:
    import pandas as pd


def requests(run: Judged, format_: str, clean: Callable[[str], str]) -> pd.DataFrame:
    """One row for each request, in the order in which they were due. clean: what makes a text harmless there.

    Raises `UsageProblem` when pandas is missing.
    """
    try:
        import pandas as pd  # noqa: PLC0415  an extra, and slow to import
    except ImportError as error:
        raise missing(format_, "pandas", "tables", str(error)) from error
    phases = [(phase.start_s, clean(phase.name)) for phase in run.result.phases]
    rows = [_row(request, phases, clean) for request in run.ledger.requests]
    frame = pd.DataFrame(rows, columns=list(_TYPES))
    return frame.astype(_TYPES)


_TYPES = {
    "request": "int64",
    "phase": "string",
    "stream": "boolean",
    "due_s": "Float64",
    "sent_s": "Float64",
    "first_byte_s": "Float64",
    "first_token_s": "Float64",
    "done_s": "Float64",
    "outcome": "string",
    "slow": "boolean",
    "served_by": "string",
    "ending": "string",
    "status": "Int64",
    "attempts": "int64",
    "tried": "string",
    "results": "string",
    "faults": "string",
    "detail": "string",
}


def _row(request: Request, phases: Sequence[tuple[float, str]], clean: Callable[[str], str]) -> tuple[object, ...]:
    done = request.done
    return (
        request.seq,
        next((name for start_s, name in reversed(phases) if start_s <= request.due_s), None),
        request.stream,
        request.due_s,
        request.sent_s,
        done.first_byte_s if done else None,
        done.first_token_s if done else None,
        request.done_s,
        request.outcome.value,
        request.slow,
        clean(request.served_by) if request.served_by else None,
        done.ending.value if done else None,
        done.status if done else None,
        len(request.attempts),
        clean(" ".join(attempt.leg for attempt in request.attempts)),
        clean(" ".join(attempt.result for attempt in request.attempts)),
        clean(" ".join(fault for attempt in request.attempts for fault in attempt.faults)),
        clean(done.detail) if done else None,
    )
