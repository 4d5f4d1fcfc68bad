"""Whether the condition that ends a phase holds, from the events since the phase began. Pure."""

from __future__ import annotations

from drills.events import AnyEvent, ArrivalDone, AttemptDone, AttemptReceived, UntilAnswered
from drills.inferred import answer, is_call
from drills.outcomes import Outcome, outcome_of


class Answers:
    """The answers that callers got. An application that makes its own calls tells of none: its attempts do."""

    def __init__(self, *, inferred: bool) -> None:
        self._inferred = inferred
        self._calls: dict[int, AttemptReceived] = {}

    def of(self, event: AnyEvent) -> ArrivalDone | None:
        """The answer of which an event tells, if it does."""
        if self._inferred and isinstance(event, AttemptReceived) and is_call(event):
            self._calls[event.attempt] = event
        elif isinstance(event, AttemptDone) and (call := self._calls.pop(event.attempt, None)) is not None:
            return answer(call, event)
        return event if isinstance(event, ArrivalDone) else None


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

    def take(self, done: ArrivalDone) -> None:
        """Count an answer: a whole one of one of the legs, given since the phase began."""
        if done.done_s >= self._since_s and outcome_of(done) is Outcome.OK and done.legs[0] in self._until.legs:
            self.requests += 1
