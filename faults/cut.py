"""cut: a stream that breaks off."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec

from faults.base import CutStream, Decision, Fault, Proceed, RequestSeen
from faults.proof import Came, ProbeOutcome


@dataclass(frozen=True)
class Cut(Fault):
    """A streamed answer begins well and its connection breaks off. Requests that do not stream are left alone.

    after: how many events of the stream get through first.
    how: `rst` sends a TCP reset, which may discard what the gateway has not read yet; `fin` closes politely in the
    middle of the body.
    """

    kind = "cut"
    colour = "#dfc27d"
    probe_streams = True

    after: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 4
    how: Literal["rst", "fin"] = "rst"

    def decide(self, request: RequestSeen, rng: random.Random) -> Decision:
        """Every streamed request is cut."""
        return CutStream(self.after, self.how) if request.stream else Proceed()

    def proves(self, outcome: ProbeOutcome) -> bool:
        """The answer begins and breaks off where it should; a reset may discard the last of it."""
        where = outcome.events == self.after or (self.how == "rst" and outcome.events < self.after)
        return outcome.came is Came.BROKEN and where
