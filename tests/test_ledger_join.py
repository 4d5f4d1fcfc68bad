"""Which attempts a caller's answer may come from."""

from __future__ import annotations

import pytest

from drills.events import ArrivalDone, AttemptDone, AttemptReceived, AttemptResult, Ending
from drills.marks import Shape
from drills.outcomes import Outcome
from drills.request import Attempt, Request, may_have_answered

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
    assert may_have_answered(_request(3.0), Attempt(seen, done)) is may


@pytest.mark.parametrize(("at_connections", "may"), [({"f"}, True), ({"g"}, False), (set(), False)])
def test_an_answer_may_be_out_before_its_connection_is_reset(at_connections: set[str], may: bool) -> None:
    """All of a whole answer had gone out when the port was closed: the caller has it."""
    seen = AttemptReceived(
        attempt=1, leg="a", id="x", surface="model", operation="messages", model="m", stream=False, received_s=1.0
    )
    done = AttemptDone(attempt=1, answered_s=1.5, done_s=2.0, status=200, result=AttemptResult.FAULTED, faults=("f",))
    assert may_have_answered(_request(3.0), Attempt(seen, done), at_connections) is may


@pytest.mark.parametrize(("had_s", "may"), [(1.4, False), (1.6, True)])
def test_an_answer_from_before_the_leg_answered_is_not_of_the_leg(had_s: float, may: bool) -> None:
    """The leg began to answer at 1.5: what the caller had at 1.4 was made up, or came from a cache."""
    seen = AttemptReceived(
        attempt=1, leg="a", id="x", surface="model", operation="messages", model="m", stream=False, received_s=1.0
    )
    done = AttemptDone(attempt=1, answered_s=1.5, done_s=2.0, status=200, result=AttemptResult.ANSWERED, faults=())
    assert may_have_answered(_request(had_s), Attempt(seen, done)) is may


def _request(had_s: float) -> Request:
    """A request whose caller had the first token at a time."""
    done = ArrivalDone(
        seq=0,
        first_byte_s=had_s,
        first_token_s=had_s,
        done_s=had_s + 1,
        ending=Ending.COMPLETE,
        status=200,
        shape=Shape.WHOLE,
        legs=("a",),
        words=12,
    )
    return Request(seq=0, id="x", stream=True, due_s=0.9, sent_s=0.9, done=done, outcome=Outcome.OK, attempts=())
