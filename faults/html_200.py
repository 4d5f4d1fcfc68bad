"""html_200: a web page that calls itself a success."""

from __future__ import annotations

import random
from dataclasses import dataclass

from faults.base import Decision, Fault, RequestSeen, Send
from faults.proof import Came, Point, ProbeOutcome

_PAGE = (
    b"<!DOCTYPE html>\n<html>\n<head><title>Sign in to continue</title></head>\n<body>\n<h1>Sign in to continue</h1>\n"
    b'<form action="/login" method="post"><button>Sign in</button></form>\n</body>\n</html>\n'
)


@dataclass(frozen=True)
class Html200(Fault):
    """The status is 200 and the body is a web page: nothing that looks at statuses sees a failure.

    What a captive portal, a login wall or a maintenance page in front of the API does. Two official SDKs hand the page
    to their caller as if it were the answer.
    """

    kind = "html_200"
    colour = "#e08214"
    acts = Point.INSTEAD
    ends = Point.INSTEAD
    proof_waits = False

    def decide(self, request: RequestSeen, rng: random.Random) -> Decision:
        """Every request gets the page."""
        return Send(200, "text/html; charset=utf-8", _PAGE)

    def proves(self, outcome: ProbeOutcome) -> bool:
        """The page comes back, and calls itself a success."""
        return outcome.came is Came.WRONG and outcome.body == _PAGE
