"""error_200: a success whose body is an error."""

from __future__ import annotations

import random
from dataclasses import dataclass

from faults.base import Decision, Fault, RequestSeen, Send
from faults.proof import Came, Point, ProbeOutcome

_BODY = b'{"error": {"message": "Provider returned error", "code": 502, "type": "upstream_error"}}'


@dataclass(frozen=True)
class Error200(Fault):
    """The status is 200, the JSON is well-formed, and all that it says is that there was an error.

    What an aggregator or a proxy does that has sent its status before the model behind it failed. A gateway that looks
    at the status only takes it for an answer, hands it on, and never switches over.
    """

    kind = "error_200"
    colour = "#a6611a"
    acts = Point.INSTEAD
    ends = Point.INSTEAD
    proof_waits = False

    def decide(self, request: RequestSeen, rng: random.Random) -> Decision:
        """Every request gets the error, whole."""
        return Send(200, "application/json", _BODY)

    def proves(self, outcome: ProbeOutcome) -> bool:
        """A success comes with a body that is the error and nothing else."""
        return outcome.came is Came.WRONG and outcome.body == _BODY
