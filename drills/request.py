"""A request of a caller and the attempts on the legs that it caused. Data, and who may have answered. Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from drills.events import ArrivalDone, AttemptDone, AttemptReceived, AttemptResult
from drills.outcomes import Outcome


@dataclass(frozen=True)
class Attempt:
    """One request of the gateway on one leg. Times on the run's clock; `done` is None when its end was never seen."""

    seen: AttemptReceived
    done: AttemptDone | None
    on_the_wire: tuple[str, ...] = ()
    """Faults of the Toxiproxy plane that were at its leg while it was under way; it sees no requests."""

    @property
    def leg(self) -> str:
        """The leg that it went to."""
        return self.seen.leg

    @property
    def received_s(self) -> float:
        """When its headers were at the plane."""
        return self.seen.received_s

    @property
    def faults(self) -> tuple[str, ...]:
        """Ids of the faults that touched it."""
        return (*self.on_the_wire, *(self.done.faults if self.done else ()))

    @property
    def result(self) -> str:
        """How it ended."""
        return self.done.result.value if self.done else "unfinished"


@dataclass(frozen=True)
class Request:
    """One arrival: what the caller asked, got, and which attempts that took.

    served_by: the one leg that wrote the whole answer; None unless the outcome is ok.
    slow: an ok answer that came too late (filled in by `Ledger`, which knows the limit).
    """

    seq: int
    id: str
    stream: bool
    due_s: float
    sent_s: float | None
    done: ArrivalDone | None
    outcome: Outcome
    attempts: tuple[Attempt, ...]
    slow: bool = False

    @property
    def served_by(self) -> str | None:
        """The leg that answered, for an ok answer."""
        return self.done.legs[0] if self.done is not None and self.outcome is Outcome.OK else None

    @property
    def done_s(self) -> float | None:
        """When it ended."""
        return self.done.done_s if self.done else None

    @property
    def latency_s(self) -> float | None:
        """From due to done."""
        return self.done.done_s - self.due_s if self.done else None

    @property
    def token_latency_s(self) -> float | None:
        """From due to the first token."""
        if self.done is None or self.done.first_token_s is None:
            return None
        return self.done.first_token_s - self.due_s

    @property
    def ok(self) -> bool:
        """A complete answer from one leg."""
        return self.outcome is Outcome.OK

    @property
    def good(self) -> bool:
        """Ok and not slow."""
        return self.ok and not self.slow


def may_have_answered(request: Request, attempt: Attempt, at_connections: Collection[str] = ()) -> bool:
    """Whether the caller's answer may come from this attempt: the leg began to answer before it, and did not fail.

    A gateway may hang up as soon as it has read the end mark, so an abandoned attempt can have been whole. So can a
    stream that a fault broke behind its last word, or in an event that the gateway passes over; and an answer whose
    connection was reset when all of it had gone out (`at_connections`: ids of the faults that do so).
    """
    if attempt.done is None:
        return True
    # What the caller had before the leg began to answer, the leg did not say.
    had_s = None if request.done is None else (request.done.first_token_s or request.done.done_s)
    if had_s is not None and attempt.done.answered_s is not None and attempt.done.answered_s > had_s:
        return False
    if attempt.done.result is AttemptResult.FAULTED:
        breaks = attempt.seen.stream or not set(at_connections).isdisjoint(attempt.done.faults)
        return breaks and attempt.done.status is not None and attempt.done.status < 400
    return attempt.done.answered_s is not None and attempt.done.result in {
        AttemptResult.ANSWERED,
        AttemptResult.ABANDONED,
    }
