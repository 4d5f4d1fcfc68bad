"""degraded_text: a perfect answer to another question."""

from __future__ import annotations

import random
from dataclasses import dataclass

from drills.marks import Shape
from faults.base import Decision, Fault, Proceed, RequestSeen, Swap
from faults.proof import Came, Point, ProbeOutcome


@dataclass(frozen=True)
class DegradedText(Fault):
    """The leg answers 200, complete and well-formed, with the words of another request.

    Nothing on the wire is wrong, so no gateway that watches statuses, shapes or times can notice: what it costs is
    told by the share of callers with wrong words. Like the chat titles of other users on 2023-03-20 at OpenAI, and the
    misrouted and garbled answers of August 2025 at Anthropic. It is done on the way to the leg: the id in the
    request's mark is swapped, so that the leg itself writes the wrong answer, with right lengths and checksums, in
    every dialect. A leg that checks a signature over the body, as real Bedrock does, refuses the request instead.
    Requests without a mark are left alone.
    """

    kind = "degraded_text"
    colour = "#c51b7d"
    acts = Point.REST
    of_marks = True

    def decide(self, request: RequestSeen, rng: random.Random) -> Decision:
        """Every request to a model is answered with another one's words."""
        return Swap(f"{rng.getrandbits(64):016x}") if request.surface == "model" else Proceed()

    def proves(self, outcome: ProbeOutcome) -> bool:
        """A well-formed answer comes, in the words of another request."""
        return outcome.came is Came.WRONG and outcome.shape is Shape.FOREIGN
