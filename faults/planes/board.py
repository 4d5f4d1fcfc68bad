"""Which faults are on, and what they say about a request. Everything that decides lives here; no clock, no I/O.

Faults on one leg compose in the order in which they were put on: delays add up, and the first other decision wins.
Of several connection faults the hardest wins: refused before blackholed before open.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import msgspec

from faults.base import Connections, Decision, Delay, Fault, Proceed, RequestSeen, kinds

_HARDEST_FIRST = (Connections.REFUSED, Connections.BLACKHOLED, Connections.OPEN)


class Verdict(msgspec.Struct, frozen=True):
    """What to do with a request: wait `delay_s`, then `then`; `faults` are the ids of those that touched it."""

    delay_s: float
    then: Decision
    faults: tuple[str, ...]


@dataclass
class _Active:
    id: str
    fault: Fault
    legs: frozenset[str]
    rng: random.Random
    seen: dict[str, int] = field(default_factory=dict)


class Board:
    """The faults that are on."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._active: dict[str, _Active] = {}

    @property
    def ids(self) -> tuple[str, ...]:
        """Every fault that is on, in the order in which they were put on."""
        return tuple(self._active)

    def put_on(
        self, fault_id: str, kind: str, settings: dict[str, str | int | float | bool | None], legs: tuple[str, ...]
    ) -> None:
        """Add a fault. Raises `msgspec.ValidationError` or `KeyError` when kind or settings make no sense."""
        fault = msgspec.convert(settings, kinds()[kind])
        rng = random.Random(f"{self._seed}:{fault_id}")
        self._active[fault_id] = _Active(fault_id, fault, frozenset(legs), rng)

    def take_off(self, fault_id: str) -> None:
        """Remove a fault. Raises `KeyError` when it is not on."""
        del self._active[fault_id]

    def legs_of(self, fault_id: str) -> tuple[str, ...]:
        """The legs that a fault hits, sorted."""
        return tuple(sorted(self._active[fault_id].legs))

    def connections(self, leg: str) -> Connections:
        """What the leg's connections meet now."""
        wanted = {active.fault.connections() for active in self._on(leg)}
        return next((state for state in _HARDEST_FIRST if state in wanted), Connections.OPEN)

    def on_connections(self, leg: str) -> tuple[str, ...]:
        """Ids of the faults that are at the leg's connections."""
        return tuple(active.id for active in self._on(leg) if active.fault.connections() is not Connections.OPEN)

    def decide(self, request: RequestSeen) -> Verdict:
        """What the faults that are on make of a request."""
        delay_s, then, faults = 0.0, Proceed(), []
        decision: Decision = then
        for active in self._on(request.leg):
            index = active.seen.get(request.leg, 0)
            active.seen[request.leg] = index + 1
            one = active.fault.decide(msgspec.structs.replace(request, index=index), active.rng)
            if isinstance(one, Proceed):
                continue
            faults.append(active.id)
            if isinstance(one, Delay):
                delay_s += one.seconds
            elif isinstance(decision, Proceed):
                decision = one
        return Verdict(delay_s, decision, tuple(faults))

    def _on(self, leg: str) -> list[_Active]:
        return [active for active in self._active.values() if leg in active.legs]
