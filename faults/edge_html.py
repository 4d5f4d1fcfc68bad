"""edge_html: the error page of the proxy in front of the provider."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal

from faults.base import Decision, Fault, RequestSeen, Send
from faults.proof import Came, Point, ProbeOutcome

_TITLES = {502: "Bad gateway", 520: "Web server is returning an unknown error", 530: "Origin DNS error"}
_PAGE = (
    '<!DOCTYPE html>\n<html lang="en-US">\n<head><title>{title} | Error {code}</title></head>\n<body>\n'
    "<h1>{title} <span>Error code {code}</span></h1>\n<p>The web server reported an error. Please try again in a few "
    "minutes.</p>\n<hr><center>cloudflare</center>\n</body>\n</html>\n"
)


@dataclass(frozen=True)
class EdgeHtml(Fault):
    """The edge proxy answers instead of the API, with an HTML page where a gateway expects the vendor's JSON.

    A gateway that parses the body before it looks at the status crashes, or takes the failure for a bad request. In
    the OpenAI outage of 2024-12-04 the edge answered every API request with a 530 page for four minutes.

    code: 502 (bad gateway), 520 (the origin answered nonsense) or 530 (the origin's name does not resolve).
    """

    kind = "edge_html"
    colour = "#b35806"
    acts = Point.INSTEAD
    ends = Point.INSTEAD
    proof_waits = False

    code: Literal[502, 520, 530] = 502

    def decide(self, request: RequestSeen, rng: random.Random) -> Decision:
        """Every request gets the page."""
        return Send(self.code, "text/html; charset=UTF-8", self._page(), server="cloudflare")

    def _page(self) -> bytes:
        return _PAGE.format(title=_TITLES[self.code], code=self.code).encode()

    def proves(self, outcome: ProbeOutcome) -> bool:
        """The page comes back, with its status."""
        return (outcome.came, outcome.status, outcome.body) == (Came.STATUS, self.code, self._page())
