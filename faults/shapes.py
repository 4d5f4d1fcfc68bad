"""Shapes in time: which requests a fault hits while it is on. Keys beside a fault's selector and settings.

Several together must all say yes; their shares multiply. Pure: whether a request is hit follows from the seed, the
fault, the leg, the request's number on the leg since the fault became effective, its id, and the times it is given. The
same seed and the same sequence of requests make the same decisions. A request that was hit stays hit: one that hangs
goes on hanging when the square wave falls.

A fault that sees no requests is the state of a port, a line or a process. It has one shape, the square: its plane
switches it off and on as a whole (`faults.planes.flaps`).
"""

from __future__ import annotations

import hashlib
from typing import Annotated

import msgspec
from msgspec import Meta

from drills.units import PerSecond, Seconds, Share
from faults.base import RequestSeen

_TimeKey = Annotated[Seconds, Meta(gt=0, le=7200)]


class Square(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """On and off in turn, on first.

    period_s: from one beginning to the next.
    on: the share of the period in which requests are hit.
    """

    period_s: _TimeKey = msgspec.field(name="period")
    on: Annotated[Share, Meta(gt=0, lt=1)] = 0.5

    @property
    def on_s(self) -> float:
        """How long it is on in each period."""
        return self.on * self.period_s

    def on_at(self, since_s: float) -> bool:
        """Whether it is on, so long after its beginning."""
        return since_s % self.period_s < self.on_s

    def edge_after_s(self, since_s: float) -> float:
        """Seconds from a time since its beginning to the next time at which it goes on or off."""
        into_s = since_s % self.period_s
        return (self.on_s if into_s < self.on_s else self.period_s) - into_s

    def on_window_s(self, since_s: float, at_least_s: float) -> tuple[float, float]:
        """How long to wait for a time at which it stays on for at least so long, and for how long it does then."""
        if self.on_at(since_s) and (left_s := self.edge_after_s(since_s)) >= at_least_s:
            return 0.0, left_s
        return self.period_s - since_s % self.period_s, self.on_s


class Flapping(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The one shape of a fault that sees no requests.

    square: on and off in turn, all of it.
    """

    square: Square | None = None


class Burst(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Some requests in a row, then none for a while.

    every: how many requests make a round.
    of: how many of them are hit, the first ones of the round.
    """

    every: Annotated[int, Meta(ge=2, le=1_000_000)]
    of: Annotated[int, Meta(ge=1, le=1_000_000)]

    def __post_init__(self) -> None:
        if self.of >= self.every:
            raise ValueError(f"'of' must be less than 'every' ({self.every}), not {self.of}")


class LoadCoupled(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The more requests the leg is offered, the larger the share that is hit, as where capacity runs out.

    from_per_s: up to this rate no request is hit.
    full_per_s: from this rate on every request is hit.
    """

    from_per_s: Annotated[PerSecond, Meta(ge=0)] = msgspec.field(name="from")
    full_per_s: Annotated[PerSecond, Meta(gt=0)] = msgspec.field(name="full")

    def __post_init__(self) -> None:
        if self.from_per_s >= self.full_per_s:
            raise ValueError(f"'from' must be less than 'full' ({self.full_per_s:g}/s), not {self.from_per_s:g}/s")


class Shape(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which requests a fault hits; all of them when nothing is given.

    share: this share of the requests, each by a draw of its own.
    ramp_s: the share grows from nothing to its full size over this time.
    square: on and off in turn.
    burst: some in a row, then none for a while.
    sticky: a fixed share by the request's id, so that every try of one request is hit, or none. Requests without an id
        are not hit.
    first: only so many requests of each leg, the first ones.
    load_coupled: the share grows with the rate that the leg is offered, counted over the last second.
    """

    share: Annotated[Share, Meta(gt=0)] | None = None
    ramp_s: _TimeKey | None = msgspec.field(default=None, name="ramp")
    square: Square | None = None
    burst: Burst | None = None
    sticky: Annotated[Share, Meta(gt=0)] | None = None
    first: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    load_coupled: LoadCoupled | None = None

    def hits(self, request: RequestSeen, salt: str) -> bool:
        """Whether a request is hit. `salt` names the seed and the fault."""
        return (
            (self.square is None or self.square.on_at(request.since_s))
            and (self.first is None or request.index < self.first)
            and (self.burst is None or request.index % self.burst.every < self.burst.of)
            and self._sticky(request.key, salt)
            and draw(f"{salt}:{request.leg}:{request.index}") < self.share_at(request.since_s, request.offered_per_s)
        )

    def share_at(self, since_s: float, offered_per_s: float) -> float:
        """The share of requests that is hit, from 0 to 1: what `share`, `ramp` and `load_coupled` come to."""
        share = 1.0 if self.share is None else self.share
        if self.ramp_s is not None:
            share *= min(1.0, max(0.0, since_s / self.ramp_s))
        if (load := self.load_coupled) is not None:
            share *= min(1.0, max(0.0, (offered_per_s - load.from_per_s) / (load.full_per_s - load.from_per_s)))
        return share

    def _sticky(self, key: str, salt: str) -> bool:
        return self.sticky is None or (key != "" and draw(f"{salt}:id:{key}") < self.sticky)

    def __str__(self) -> str:
        parts = [
            f"share: {_percent(self.share)}" if self.share is not None else "",
            f"ramp: {self.ramp_s:g}s" if self.ramp_s is not None else "",
            f"square: {self.square.period_s:g}s, on {_percent(self.square.on)}" if self.square else "",
            f"burst: {self.burst.of} of each {self.burst.every}" if self.burst else "",
            f"sticky: {_percent(self.sticky)}" if self.sticky is not None else "",
            f"first: {self.first}" if self.first is not None else "",
            f"load_coupled: from {self.load_coupled.from_per_s:g}/s, full at {self.load_coupled.full_per_s:g}/s"
            if self.load_coupled
            else "",
        ]
        return "; ".join(part for part in parts if part)


def _percent(share: float) -> str:
    return f"{share * 100:g}%"


def draw(what: str) -> float:
    """A number from 0 to below 1 that depends on nothing but the text."""
    return int.from_bytes(hashlib.blake2b(what.encode(), digest_size=8).digest()) / 2**64


SWITCH_AT_LEAST_S = 0.5
"""A plane that switches a fault as a whole leaves it on, and off, for no less: a probe has to fit into it."""

SHAPE_KEYS = tuple(field.encode_name for field in msgspec.structs.fields(Shape))
"""The names that no setting of a fault may have."""
