"""What became of a fault of the plan: when it was on, and what was seen of it. Data. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from drills.events import (
    ConnectHung,
    FaultCleared,
    FaultEffective,
    FaultPlan,
    FaultProof,
    FaultSwitched,
    HandshakeMet,
    LookupFailed,
)


class OnWindow(NamedTuple):
    """A time in which a fault was on without a break; one that does not flap has one.

    It was being put on from `began_s`, on for everybody from `on_s` to `ends_s`, and off for everybody from `off_s`.
    The last two are infinite where it was never seen to end.
    """

    began_s: float
    on_s: float
    ends_s: float
    off_s: float


@dataclass(frozen=True)
class FaultRecord:
    """What became of one fault of the plan. Times are None where it never came so far.

    hung_connects, failed_lookups, handshakes: of the gateway, not of the drill's own probes, which are in `proofs`.
    """

    plan: FaultPlan
    requested_s: float | None
    effective: FaultEffective | None
    clear_requested_s: float | None
    cleared: FaultCleared | None
    hung_connects: tuple[ConnectHung, ...]
    proofs: tuple[FaultProof, ...] = ()
    switched: tuple[FaultSwitched, ...] = ()
    """Of a flapping fault that is switched as a whole: its edges in order."""
    failed_lookups: tuple[LookupFailed, ...] = ()
    handshakes: tuple[HandshakeMet, ...] = ()

    @cached_property
    def on_windows(self) -> tuple[OnWindow, ...]:
        """When it was on, in order."""
        return on_windows(self.effective, self.switched, self.cleared)

    @property
    def traces_s(self) -> tuple[float, ...]:
        """When tries were seen that came to no attempt: connects that hung, lookups that failed, handshakes."""
        hung, lookups, handshakes = self.hung_connects, self.failed_lookups, self.handshakes
        return (*(one.seen_s for one in hung), *(one.seen_s for one in lookups), *(one.seen_s for one in handshakes))

    @property
    def effective_s(self) -> float | None:
        """From when every connection met it. One on the gateway itself counts from when it was told: whom it turned
        away while it shut down, the fault turned away.
        """
        if self.effective is None:
            return None
        return self.effective.began_s if self.plan.plane == "process" else self.effective.at_s

    @property
    def cleared_s(self) -> float | None:
        """From when no connection met it."""
        return self.cleared.at_s if self.cleared else None


def on_windows(
    effective: FaultEffective | None, switched: Iterable[FaultSwitched], cleared: FaultCleared | None
) -> tuple[OnWindow, ...]:
    """When a fault was on: from its beginning and each time that it went on again, to the next edge."""
    if effective is None:
        return ()
    end = (math.inf, math.inf) if cleared is None else (cleared.began_s, cleared.at_s)
    edges = sorted(switched, key=lambda edge: edge.at_s)
    on: tuple[float, float] | None = (effective.began_s, effective.at_s)
    found = []
    for edge in edges:
        if edge.on:
            on = (edge.began_s, edge.at_s)
        elif on is not None:
            found.append(OnWindow(*on, edge.began_s, edge.at_s))
            on = None
    return (*found, OnWindow(*on, *end)) if on is not None else tuple(found)
