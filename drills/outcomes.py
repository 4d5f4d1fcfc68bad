"""One outcome per arrival: what the caller got. A table and two functions; no clock, no I/O.

Definitions: docs/metrics.md. `unknown` is never folded into `failed`, and `corrupt` (success that is not) never into
`ok`.
"""

from __future__ import annotations

import enum

from drills.events import ArrivalDone, Ending
from drills.marks import Shape


class Outcome(enum.StrEnum):
    """What the caller got."""

    OK = "ok"
    FAILED = "failed"
    UNKNOWN = "unknown"
    CORRUPT = "corrupt"
    NOT_STARTED = "not_started"


_BY_ENDING = {
    Ending.UNTERMINATED: Outcome.CORRUPT,
    Ending.MALFORMED: Outcome.CORRUPT,
    Ending.STATUS: Outcome.FAILED,
    Ending.IN_BAND: Outcome.FAILED,
    Ending.REFUSED: Outcome.FAILED,
    Ending.BROKEN: Outcome.FAILED,
    Ending.VANISHED: Outcome.UNKNOWN,
    Ending.DEADLINE: Outcome.UNKNOWN,
    Ending.CANCELLED: Outcome.UNKNOWN,
    Ending.GIVEN_UP: Outcome.FAILED,
}


def outcome_of(done: ArrivalDone | None) -> Outcome:
    """The outcome of an arrival that was sent; `done` is None when its end was never seen."""
    if done is None:
        return Outcome.UNKNOWN
    if done.ending is Ending.COMPLETE:
        whole = done.shape is Shape.WHOLE and len(done.legs) == 1
        return Outcome.OK if whole else Outcome.CORRUPT
    return _BY_ENDING[done.ending]
