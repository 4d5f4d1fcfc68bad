"""What a probe of one fault says when others are on at the same leg. Pure.

What the others add to an answer's time is taken off, so that no delay is proved by another's. A fault that does not
show itself may be hidden by one that ended the exchange before it could: which, is told in docs/faults.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from faults.base import Fault
from faults.proof import Came, Extent, ProbeOutcome

_TIMED = {Came.STATUS, Came.WRONG, Came.RESET, Came.BROKEN}
"""What another fault made of an answer, and what tells all the same how long that took."""


class Beside(NamedTuple):
    """Another fault that is on at the leg. first: whether it was put on before the one that is probed."""

    id: str
    fault: Fault
    first: bool


class Judged(NamedTuple):
    """Whether a probe proves its fault; if not, the ids of the other faults that may have hidden it."""

    proved: bool
    behind: tuple[str, ...] = ()


def added_s(others: Sequence[Beside], answer: Extent) -> float:
    """What other faults add at most to the time of such an answer."""
    return sum(other.fault.costs_s(answer) for other in others)


def judge(fault: Fault, others: Sequence[Beside], outcome: ProbeOutcome, answer: Extent) -> Judged:
    """What a probe says about its fault. outcome: with what is usual when no fault is on; answer: then, too."""
    beside_s = added_s(others, answer)
    met = msgspec.structs.replace(outcome, usual_s=outcome.usual_s + beside_s, beside_s=beside_s)
    if fault.proves(met):
        return Judged(True)
    behind = tuple(other.id for other in others if other.fault.hides(fault, met, first=other.first))
    if behind or fault.costs_s(answer) <= 0 or met.came not in _TIMED:
        return Judged(False, behind)
    # Something else ended the exchange, and later than it would have without this delay.
    doers = [other.fault for other in others if other.fault.ends is not None and other.fault.proves(met)]
    for doer in doers:
        usual_s = beside_s + (outcome.usual_s if doer.proof_waits else 0.0)
        if fault.proves(msgspec.structs.replace(met, came=Came.WHOLE, usual_s=usual_s)):
            return Judged(True)
    return Judged(False)
