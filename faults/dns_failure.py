"""dns_failure: the names of the leg's hosts cannot be resolved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from faults.base import Fault, Lookups
from faults.proof import Came, Point, ProbeOutcome

_HARDEST_FIRST = ("silent", "servfail", "nxdomain")


@dataclass(frozen=True)
class DnsFailure(Fault):
    """The names of the leg's hosts are not resolved any more; connections that are open go on as if nothing were wrong.

    What the loss of a cloud's name servers looks like, or of a record in them. Who keeps its connections notices only
    when it needs a new one: on its own this fault may meet no request, and the drill is then invalid. A `refuse` of a
    second before it empties the pools. A gateway that remembers addresses notices late, too; the drill's name server
    says that they are good for 5 s. With `silent`, the C library gives up after 10 s. Only in a private network
    (`--route sealed`), where the drill is the name server.

    how: what the name server says: that there is no such name, that it failed, or nothing at all.
    """

    kind = "dns_failure"
    colour = "#bf5b17"
    acts = Point.NAME
    ends = Point.NAME
    proof_waits = False

    how: Literal["nxdomain", "servfail", "silent"] = "nxdomain"

    def lookups(self) -> Lookups:
        """Every lookup of one of the leg's names meets it."""
        return Lookups(self.how)

    def hides(self, other: Fault, outcome: ProbeOutcome, *, first: bool) -> bool:
        """Of two, the harder wins, whichever was first."""
        harder = isinstance(other, DnsFailure) and _HARDEST_FIRST.index(self.how) < _HARDEST_FIRST.index(other.how)
        return super().hides(other, outcome, first=harder)

    def proves(self, outcome: ProbeOutcome) -> bool:
        """A lookup of the model's host came to just this."""
        return outcome.came is Came.UNRESOLVED and outcome.detail == self.how
