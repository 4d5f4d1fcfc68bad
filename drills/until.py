"""Whether the condition that ends a phase holds, from the events since the phase began. Pure."""

from __future__ import annotations

from drills.events import AnyEvent, ArrivalDone, UntilAnswered
from drills.outcomes import Outcome, outcome_of


class Progress:
    """Counts towards the condition of one phase."""

    def __init__(self, until: UntilAnswered, since_s: float) -> None:
        self._until = until
        self._since_s = since_s
        self.requests = 0

    @property
    def reached(self) -> bool:
        """Whether the condition holds. Once it does, it goes on holding."""
        return self.requests >= self._until.requests

    def take(self, event: AnyEvent) -> None:
        """Count an event: a whole answer of one of the legs, given since the phase began."""
        if (
            isinstance(event, ArrivalDone)
            and event.done_s >= self._since_s
            and outcome_of(event) is Outcome.OK
            and event.legs[0] in self._until.legs
        ):
            self.requests += 1
