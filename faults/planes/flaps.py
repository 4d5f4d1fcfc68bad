"""When flapping faults are to be switched off and on again. Pure: times are given, and the plane carries it out.

A fault that chooses requests needs none of this: its shape decides about each request. What is here is for the states
of a port, a line or a process, which are switched as a whole.
"""

from __future__ import annotations

from dataclasses import dataclass

from faults.shapes import Square


@dataclass
class _Flapping:
    square: Square
    since_s: float
    on: bool = True


class Flaps:
    """The flapping faults of a plane, by id."""

    def __init__(self) -> None:
        self._flapping: dict[str, _Flapping] = {}

    def begin(self, fault: str, square: Square, now_s: float) -> None:
        """A fault was put on; its first period begins now."""
        self._flapping[fault] = _Flapping(square, now_s)

    def end(self, fault: str) -> None:
        """A fault was cleared, in whatever state it is."""
        self._flapping.pop(fault, None)

    def due(self, now_s: float) -> list[tuple[str, bool]]:
        """What is to be switched now, each to on (true) or off; it counts as switched then.

        A plane that comes so late that a fault should have been switched twice does nothing: it is as it should be.
        """
        found = []
        for fault, flapping in self._flapping.items():
            wanted = flapping.square.on_at(now_s - flapping.since_s)
            if wanted is not flapping.on:
                flapping.on = wanted
                found.append((fault, wanted))
        return found

    def wait_s(self, now_s: float) -> float | None:
        """Seconds until something is due; None when nothing flaps."""
        edges = [flapping.square.edge_after_s(now_s - flapping.since_s) for flapping in self._flapping.values()]
        return min(edges, default=None)
