"""Which attempts a caller's answer may come from."""

from __future__ import annotations

import pytest

from drills.events import AttemptDone, AttemptReceived, AttemptResult
from drills.ledger import Attempt, may_have_answered

ROWS = [
    # A whole answer, and one whose gateway hung up early, behind the end mark perhaps.
    (AttemptResult.ANSWERED, 200, True, True),
    (AttemptResult.ABANDONED, 200, False, True),
    # A stream that a fault broke: behind its last word, or in an event that the gateway passes over.
    (AttemptResult.FAULTED, 200, True, True),
    # Whole answers by a fault, failures by a fault, and resets before any answer: nothing of the leg is in them.
    (AttemptResult.FAULTED, 200, False, False),
    (AttemptResult.FAULTED, 503, True, False),
    (AttemptResult.FAULTED, None, True, False),
    # The leg failed by itself.
    (AttemptResult.LEG_FAILED, 200, True, False),
]


@pytest.mark.parametrize(("result", "status", "stream", "may"), ROWS)
def test_who_may_have_answered(result: AttemptResult, status: int | None, stream: bool, may: bool) -> None:
    """By result, status and whether it was a stream."""
    seen = AttemptReceived(
        attempt=1, leg="a", id="x", surface="model", operation="messages", model="m", stream=stream, received_s=1.0
    )
    answered_s = None if status is None else 1.5
    done = AttemptDone(attempt=1, answered_s=answered_s, done_s=2.0, status=status, result=result, faults=())
    assert may_have_answered(Attempt(seen, done)) is may
