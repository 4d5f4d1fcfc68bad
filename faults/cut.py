"""cut: a stream that breaks off."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec

from drills.providers.base import ErrorKind
from faults.base import CutStream, Decision, Fault, Proceed, RequestSeen
from faults.proof import AnswerSize, Came, Point, ProbeOutcome, Unprovable, too_far

_TOLD_IN = 3
"""An error in a stream, or its early end, takes at most so many events."""


@dataclass(frozen=True)
class Cut(Fault):
    """A streamed answer begins well and breaks off: the caller has half an answer, and nobody can take it back.

    A `clean` cut is the worst: every official SDK takes it for a whole answer. An `error` comes after a status of 200
    and is how vendors say in the middle of a stream that they are overloaded. Requests that do not stream are left
    alone.

    after: how many events of the stream get through first.
    how: `rst` sends a TCP reset, which may discard what the gateway has not read yet; `fin` closes politely in the
    middle of the body; `clean` ends the body as HTTP demands, but without the dialect's own end; `error` sends an
    error event in the vendor's own form and then ends as `clean`.
    error: which failure the event of `how: error` tells; overloaded when it is left out.
    """

    kind = "cut"
    colour = "#dfc27d"
    acts = Point.EVENT
    ends = Point.EVENT
    probe_streams = True

    after: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 4
    how: Literal["rst", "fin", "clean", "error"] = "rst"
    error: ErrorKind | None = None

    def __post_init__(self) -> None:
        """Raise `ValueError` for a failure that no event would tell."""
        if self.error is not None and self.how != "error":
            raise ValueError("'error' is what an error event tells; write 'how: error' with it")

    def decide(self, request: RequestSeen, rng: random.Random) -> Decision:
        """Every streamed request is cut."""
        return self._cut() if request.stream else Proceed()

    def _cut(self) -> CutStream:
        if self.error is None:
            return CutStream(self.after, self.how)
        return CutStream(self.after, self.how, self.error)

    def proves(self, outcome: ProbeOutcome) -> bool:
        """The answer begins and breaks off where it should; a reset may discard the last of it."""
        if self.how == "clean":
            return outcome.came is Came.WRONG and outcome.events == self.after
        if self.how == "error":
            return outcome.came is Came.WRONG and self.after < outcome.events <= self.after + _TOLD_IN
        where = outcome.events == self.after or (self.how == "rst" and outcome.events < self.after)
        return outcome.came is Came.BROKEN and where

    def unprovable(self, answer: AnswerSize) -> Unprovable | None:
        """A stream must go as far."""
        return too_far(self.after, answer)
