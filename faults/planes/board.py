"""Which faults are on, and what they say about a request. Everything that decides lives here; no clock, no I/O.

How several faults on one leg go together is told in docs/faults.md. Of that, here:
- Of several connection faults the hardest wins: refused before blackholed before open. One that flaps counts while it
  is on. Of several faults of handshakes one that leaves them unanswered wins, else the first.
- Requests for tokens meet faults of the identity service, all others meet the rest.
- Every fault that a request meets decides about it, in the order in which the faults were put on. Delays are sorted to
  the front. Nothing is dropped: the mitm plane takes swaps before, and paces besides, and of the rest the first whose
  fault is still on when its turn comes, so that the next one wins when the winner is cleared first.

Probes that prove a fault are hit whatever its shape, and are counted nowhere: callers' requests meet the same decisions
with and without them.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, fields

import msgspec

from drills.providers.base import Surface
from faults.base import Connections, Decision, Delay, Fault, Lookups, Proceed, RequestSeen, kinds
from faults.handshake import USUAL_HANDSHAKE, Handshake
from faults.shapes import Shape, Square

_RATE_OVER_S = 1.0
_HARDEST_FIRST = (Connections.REFUSED, Connections.BLACKHOLED, Connections.OPEN)
_HARDEST_LOOKUPS_FIRST = (Lookups.SILENT, Lookups.SERVFAIL, Lookups.NXDOMAIN, Lookups.ANSWERED)


class Step(msgspec.Struct, frozen=True):
    """What one fault decided about a request."""

    fault: str
    decision: Decision


@dataclass
class _Active:
    id: str
    fault: Fault
    legs: frozenset[str]
    rng: random.Random
    shape: Shape | None
    since_s: float
    off: bool = False
    seen: dict[str, int] = field(default_factory=dict)


class Board:
    """The faults that are on."""

    def __init__(self, seed: int, probes: str = "") -> None:
        """`probes`: how the ids of the drill's own probes begin; empty when there are none."""
        self._seed = seed
        self._probes = probes
        self._offered: dict[tuple[str, bool], deque[float]] = {}
        self._active: dict[str, _Active] = {}

    @property
    def ids(self) -> tuple[str, ...]:
        """Every fault that is on, in the order in which they were put on."""
        return tuple(self._active)

    def put_on(
        self,
        fault_id: str,
        kind: str,
        settings: dict[str, str | int | float | bool | None],
        legs: tuple[str, ...],
        shape: Shape | None = None,
        now_s: float = 0.0,
    ) -> None:
        """Add a fault. Raises `ValueError` (`msgspec.ValidationError` is one) when it is on already, or when its kind
        or settings make no sense.
        """
        if fault_id in self._active:
            raise ValueError(f"fault {fault_id} is on already")
        cls = kinds().get(kind)
        if cls is None:
            raise ValueError(f"no fault {kind!r}; there are {', '.join(kinds())}")
        unknown = sorted(settings.keys() - {setting.name for setting in fields(cls)})
        if unknown:
            raise ValueError(f"{kind} has no setting {', '.join(unknown)}")
        fault = msgspec.convert(settings, cls)
        if shape is not None and not fault.sees_requests and shape != Shape(square=shape.square):
            raise ValueError(f"{kind} is a fault of connections or names: it has no shape but a square")
        rng = random.Random(f"{self._seed}:{fault_id}")
        self._active[fault_id] = _Active(fault_id, fault, frozenset(legs), rng, shape, now_s)

    def take_off(self, fault_id: str) -> tuple[str, ...]:
        """Remove a fault; the legs that it hit, sorted. Raises `ValueError` when it is not on."""
        if fault_id not in self._active:
            raise ValueError(f"fault {fault_id} is not on")
        return tuple(sorted(self._active.pop(fault_id).legs))

    def square(self, fault_id: str) -> Square | None:
        """How a fault is to be switched as a whole; None for one that chooses requests, or is on throughout."""
        active = self._active[fault_id]
        return None if active.fault.sees_requests or active.shape is None else active.shape.square

    def switch(self, fault_id: str, *, on: bool) -> tuple[str, ...]:
        """Let a fault of connections rest, or go on; the legs that it hits, sorted. It counts as on all the time."""
        self._active[fault_id].off = not on
        return tuple(sorted(self._active[fault_id].legs))

    def connections(self, *legs: str) -> Connections:
        """What connections meet now: of a leg, or of a host that belongs to several and has the faults that all of them
        have.
        """
        wanted = {active.fault.connections() for active in self._on(*legs) if not active.off}
        return next((state for state in _HARDEST_FIRST if state in wanted), Connections.OPEN)

    def on_connections(self, *legs: str) -> tuple[str, ...]:
        """Ids of the faults that are at these connections."""
        there = (active for active in self._on(*legs) if not active.off)
        return tuple(active.id for active in there if active.fault.connections() is not Connections.OPEN)

    def lookups(self, legs: Iterable[str]) -> tuple[Lookups, tuple[str, ...]]:
        """What lookups of a host meet now that belongs to these legs, and the ids of the faults that are at them."""
        there = (active for leg in legs for active in self._on(leg) if not active.off)
        found = {active.id: active.fault.lookups() for active in there}
        state = next((state for state in _HARDEST_LOOKUPS_FIRST if state in found.values()), Lookups.ANSWERED)
        return state, tuple(id_ for id_, wanted in found.items() if wanted is not Lookups.ANSWERED)

    def handshake(self, *legs: str) -> Handshake:
        """What is done in TLS handshakes now."""
        there = (active for active in self._on(*legs) if not active.off)
        wanted = [wish for active in there if (wish := active.fault.handshake()) is not None]
        return next((wish for wish in wanted if not wish.answered), wanted[0] if wanted else USUAL_HANDSHAKE)

    def on_handshakes(self, *legs: str) -> tuple[str, ...]:
        """Ids of the faults that are at these handshakes."""
        there = (active for active in self._on(*legs) if not active.off)
        return tuple(active.id for active in there if active.fault.handshake() is not None)

    def decide(self, request: RequestSeen, now_s: float = 0.0) -> tuple[Step, ...]:
        """What the faults that are on make of a request, in the order in which it is to be carried out: every delay,
        then the other decisions, of which the first whose fault is still on then ends the matter. `now_s`: when.
        """
        if self._probes and request.key.startswith(self._probes):
            return self._decide_probe(request)
        request = msgspec.structs.replace(request, offered_per_s=self._offered_per_s(request, now_s))
        steps = []
        for active in self._meeting(request):
            index = active.seen.get(request.leg, 0)
            active.seen[request.leg] = index + 1
            seen = msgspec.structs.replace(request, index=index, since_s=now_s - active.since_s)
            if active.shape is not None and not active.shape.hits(seen, f"{self._seed}:{active.id}"):
                continue
            steps.append(Step(active.id, active.fault.decide(seen, active.rng)))
        return _in_order(steps)

    def _decide_probe(self, request: RequestSeen) -> tuple[Step, ...]:
        """The same for a probe, which draws from generators of its own."""
        request = msgspec.structs.replace(request, probe=True)
        return _in_order(
            Step(active.id, active.fault.decide(request, random.Random(f"{self._seed}:{active.id}:{request.key}")))
            for active in self._meeting(request)
        )

    def _offered_per_s(self, request: RequestSeen, now_s: float) -> float:
        """Count a request of a leg, or of its identity service: the rate over the last second."""
        times = self._offered.setdefault((request.leg, request.surface == Surface.IDENTITY), deque())
        times.append(now_s)
        while times[0] <= now_s - _RATE_OVER_S:
            times.popleft()
        return len(times) / _RATE_OVER_S

    def _meeting(self, request: RequestSeen) -> list[_Active]:
        """The faults that a request can meet: a request for a token those of the identity service, others the rest.

        In earnest a token comes from another host, which may be well while the models are not.
        """
        for_a_token = request.surface == Surface.IDENTITY
        return [active for active in self._on(request.leg) if active.fault.of_identity is for_a_token]

    def _on(self, *legs: str) -> list[_Active]:
        """The faults that are on all of these legs."""
        return [active for active in self._active.values() if active.legs.issuperset(legs)]


def _in_order(steps: Iterable[Step]) -> tuple[Step, ...]:
    real = [step for step in steps if not isinstance(step.decision, Proceed)]
    return tuple(sorted(real, key=lambda step: not isinstance(step.decision, Delay)))
