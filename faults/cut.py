"""cut: a stream that breaks off."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec

from drills.providers.base import ErrorKind
from faults.base import CutStream, Decision, Fault, Proceed, RequestSeen


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
    error: which failure the error event tells; only `error` uses it.
    """

    kind = "cut"
    colour = "#dfc27d"

    after: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 4
    how: Literal["rst", "fin", "clean", "error"] = "rst"
    error: ErrorKind = ErrorKind.OVERLOADED

    def decide(self, request: RequestSeen, rng: random.Random) -> Decision:
        """Every streamed request is cut."""
        return CutStream(self.after, self.how, self.error) if request.stream else Proceed()
