"""The attempt ledger, request by request, of those that got no good answer. Pure; nothing is escaped yet."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from drills.request import Attempt, Request
from reports.escape import plain
from reports.words import seconds

_LISTED = 200
"""Requests that are listed one by one."""
_ATTEMPTS = 20
"""Attempts of one request that are listed."""


@dataclass(frozen=True)
class LostRow:
    """One request as text: what its caller saw, and every attempt that it caused."""

    number: str
    due: str
    outcome: str
    waited: str
    saw: str
    attempts: tuple[str, ...]


@dataclass(frozen=True)
class Lost:
    """The requests that are listed, and a sentence that says how many there are and how many are not listed."""

    about: str
    rows: tuple[LostRow, ...]


def lost_requests(lost: Sequence[Request]) -> Lost:
    """The requests that failed, one by one; when there are many, the first ones of each way that they took."""
    shown = _some(lost)
    left_out = len(lost) - len(shown)
    about = f"{len(lost)} requests got no good answer"
    if left_out:
        about += f"; {len(shown)} are listed, the first ones of each way through the legs, and {left_out} left out"
    return Lost(f"{about}. Due at: on the run's clock; all other times since then.", tuple(map(_told, shown)))


def _some(lost: Sequence[Request]) -> list[Request]:
    if len(lost) <= _LISTED:
        return list(lost)
    ways: dict[object, list[Request]] = defaultdict(list)
    for request in lost:
        ways[request.outcome, tuple((a.leg, a.result, a.faults) for a in request.attempts)].append(request)
    each = max(1, _LISTED // len(ways))
    shown = [request for way in ways.values() for request in way[:each]][:_LISTED]
    return sorted(shown, key=lambda request: request.due_s)


def _told(request: Request) -> LostRow:
    done = request.done
    saw = [] if done is None else [done.ending.value, *([f"status {done.status}"] if done.status else []), done.detail]
    return LostRow(
        number=f"{request.seq}{', stream' if request.stream else ''}",
        due=seconds(request.due_s),
        outcome=request.outcome.value.replace("_", " "),
        waited="to the end of the run" if request.latency_s is None else seconds(request.latency_s),
        saw=plain(": ".join(part for part in saw if part), 300) or "its end was never seen",
        attempts=tuple(_attempts(request)),
    )


def _attempts(request: Request) -> Iterable[str]:
    for attempt in request.attempts[:_ATTEMPTS]:
        yield plain(_attempt(request, attempt), 300)
    if len(request.attempts) > _ATTEMPTS:
        yield f"and {len(request.attempts) - _ATTEMPTS} more"


def _attempt(request: Request, attempt: Attempt) -> str:
    by = f" by {', '.join(attempt.faults)}" if attempt.faults else ""
    words = [f"+{attempt.received_s - request.due_s:.2f} s {attempt.leg}: {attempt.result}{by}"]
    if attempt.done is not None:
        words.append(f"after {attempt.done.done_s - attempt.received_s:.2f} s")
        words += [f"status {attempt.done.status}"] if attempt.done.status else []
        words += [attempt.done.detail] if attempt.done.detail else []
    return ", ".join(words)
