"""garbage_json: a success whose JSON is broken."""

from __future__ import annotations

import random
from dataclasses import dataclass

from faults.base import Decision, Fault, RequestSeen, Send
from faults.proof import Came, Point, ProbeOutcome

_BODY = b'{"id": "drill-garbage", "model": "unknown", "content": [{"type": "text", "te'


@dataclass(frozen=True)
class GarbageJson(Fault):
    """The status is 200, the type is `application/json`, and the body breaks off inside the JSON.

    The length of the body is right, so HTTP has nothing to complain about: only a parser does. What a service does
    whose worker dies while a proxy in front of it collects the answer. A gateway must not pass its parser's exception
    on as an error of its own.
    """

    kind = "garbage_json"
    colour = "#fdb863"
    acts = Point.INSTEAD
    ends = Point.INSTEAD
    proof_waits = False

    def decide(self, request: RequestSeen, rng: random.Random) -> Decision:
        """Every request gets the broken body."""
        return Send(200, "application/json", _BODY)

    def proves(self, outcome: ProbeOutcome) -> bool:
        """The broken body comes back, and calls itself a success."""
        return outcome.came is Came.WRONG and outcome.body == _BODY
