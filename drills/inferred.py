"""Requests inferred from an application's own calls: which attempts on the legs belong to one request. Pure.

An application that makes its own calls sends no ids of ours. What joins its attempts is the text: the plane reports a
keyed hash of each attempt's last user message. The rule, with its limits, is in docs/metrics.md; in doubt it reads
the history to the application's disadvantage, because a failure that is hidden is worse than one too many:

- A text of its own (never asked again after it was answered): all attempts with it, up to the callers' deadline after
  the first, are one request.
- A text that the application repeats says less: an attempt goes on with a request only where the SDK says that it is
  a retry, or on a later leg at once after the failure on the one before it.
- A connect that hung carries no text. It belongs to the request whose attempt on a later leg follows its end at once,
  or whose retry on the same leg follows it; hung connects before such a one, as an SDK's retries make them, belong to
  the same. Any other is a request that was lost.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import msgspec

from drills.events import ArrivalDone, AttemptDone, AttemptReceived, AttemptResult, ConnectGone, ConnectHung, Ending
from drills.legs import Leg, level_of
from drills.marks import Shape
from drills.outcomes import outcome_of
from drills.providers.base import Surface
from drills.request import Attempt, Request

AT_ONCE_S = 0.5
"""A fallback follows a failure within this time."""
BACKOFF_S = 8.5
"""The longest pause of the official SDKs between two tries (MAX_RETRY_DELAY in openai/_constants.py and
anthropic/_constants.py is 8 s), and some time to connect.
"""
_TOLERANCE_S = 0.05
"""The end of an attempt that was given up may be noticed a little after the next one has begun."""


@dataclass(frozen=True)
class Try:
    """An attempt without a mark. `begin_s`: when its connect was first seen, where that hung, else when it was
    received. `end_s` is infinite while it has not ended.
    """

    seen: AttemptReceived
    done: AttemptDone | None
    begin_s: float

    @property
    def end_s(self) -> float:
        """When it ended."""
        return math.inf if self.done is None else self.done.done_s

    @property
    def whole(self) -> bool:
        """Whether it was answered whole."""
        return is_whole(self.done)


@dataclass(frozen=True)
class Hang:
    """A connect that hung and carried nothing. `last_s`: when it was last seen; `end_s`: when it was gone."""

    leg: str
    port: int
    begin_s: float
    last_s: float
    end_s: float


@dataclass
class Group:
    """One request in the making: its attempts in order, and the connects that hung for it."""

    tries: list[Try]
    hangs: list[Hang] = field(default_factory=list)
    repeated: bool = False
    """Whether its text is one that the application repeats, or it has none."""

    @property
    def due_s(self) -> float:
        """When its first attempt was received, or its first connect was seen to hang."""
        return min([*(one.begin_s for one in self.tries[:1]), *(h.begin_s for h in self.hangs)])

    @property
    def end_s(self) -> float:
        """When the application had its answer, or the last attempt ended."""
        whole = [one.end_s for one in self.tries if one.whole]
        return min(whole) if whole else max([*(one.end_s for one in self.tries), *(h.end_s for h in self.hangs)])


def is_whole(done: AttemptDone | None) -> bool:
    """Whether an attempt was answered whole: a success of the leg, and all of it passed on."""
    return done is not None and done.result is AttemptResult.ANSWERED and done.status is not None and done.status < 400


def is_call(seen: AttemptReceived) -> bool:
    """Whether an attempt is a call of the application's own: of a model, and without a mark."""
    return seen.surface == Surface.MODEL and not seen.id


def answer(seen: AttemptReceived, done: AttemptDone, seq: int = 0) -> ArrivalDone:
    """What an attempt brought, as the end of a request that has no other."""
    whole = is_whole(done)
    return ArrivalDone(
        seq=seq,
        first_byte_s=done.answered_s,
        first_token_s=done.answered_s,
        done_s=done.done_s,
        ending=Ending.COMPLETE if whole else Ending.GIVEN_UP,
        status=done.status,
        shape=Shape.WHOLE if whole else None,
        legs=(seen.leg,) if whole else (),
        words=0,
        detail="" if whole else f"last on {seen.leg}: {done.detail or done.result}",
    )


def hangs_of(hung: Iterable[ConnectHung], gone: Iterable[ConnectGone]) -> list[Hang]:
    """Every hung connect with its end, in order of their beginnings. One that is reported again is one."""
    ends: dict[tuple[str, int], list[ConnectGone]] = defaultdict(list)
    for end in sorted(gone, key=lambda end: end.at_s):
        ends[end.leg, end.port].append(end)
    found: dict[tuple[str, int, float], Hang] = {}
    for seen in sorted(hung, key=lambda seen: seen.seen_s):
        over = next((end for end in ends[seen.leg, seen.port] if end.at_s >= seen.seen_s), None)
        last_s, end_s = (seen.seen_s, math.inf) if over is None else (over.last_seen_s, over.at_s)
        found.setdefault((seen.leg, seen.port, end_s), Hang(seen.leg, seen.port, seen.seen_s, last_s, end_s))
    return sorted(found.values(), key=lambda hang: hang.begin_s)


@dataclass(frozen=True)
class Order:
    """The legs' levels in the application's order of preference; a leg without one comes last."""

    levels: Mapping[str, int]

    def later(self, leg: str, than: str) -> bool:
        """Whether a leg is one to turn to after another: another one, on its level or on a later one."""
        return leg != than and self.levels[leg] >= self.levels[than]


def order_of(legs: Sequence[Leg]) -> Order:
    """The order that the legs' roles say."""
    return Order({leg.name: len(legs) if leg.role is None else level_of(leg.role) for leg in legs})


def infer(order: Order, tries: Iterable[Try], hangs: Iterable[Hang], deadline_s: float) -> list[Group]:
    """The requests, in the order in which they were due."""
    left, known = _got_through(sorted(hangs, key=lambda hang: hang.begin_s), tries)
    by_text: dict[str, list[Try]] = defaultdict(list)
    for one in sorted(known, key=lambda one: one.begin_s):
        by_text[one.seen.text_key].append(one)
    groups = []
    for text, same in by_text.items():
        if text and not _asked_again(same):
            groups += _own(same, deadline_s)
        else:
            groups += _repeated(same, order, deadline_s)
    groups += _with_hangs(groups, left, order)
    return sorted(groups, key=lambda group: group.due_s)


def _got_through(hangs: Iterable[Hang], tries: Iterable[Try]) -> tuple[list[Hang], list[Try]]:
    """A connect that hung and then got through is where its attempt began: the port is the same."""
    by_port: dict[tuple[str, int], list[Hang]] = defaultdict(list)
    for hang in hangs:
        by_port[hang.leg, hang.port].append(hang)
    known = []
    for one in sorted(tries, key=lambda one: one.begin_s):
        waiting = by_port[one.seen.leg, one.seen.port] if one.seen.port else []
        if waiting and waiting[0].begin_s <= one.begin_s:
            known.append(replace(one, begin_s=waiting.pop(0).begin_s))
        else:
            known.append(one)
    return sorted(itertools.chain.from_iterable(by_port.values()), key=lambda hang: hang.begin_s), known


def _asked_again(tries: Sequence[Try]) -> bool:
    """Whether a text was asked again after an answer to it, or twice at a time."""
    whole = [one.end_s for one in tries if one.whole]
    return len(whole) > 1 or any(one.begin_s >= end_s for end_s in whole for one in tries)


def _own(tries: Sequence[Try], deadline_s: float) -> list[Group]:
    """All attempts of a text that is asked once; what comes after the deadline nobody waits for."""
    groups: list[Group] = []
    for one in tries:
        if groups and one.begin_s <= groups[-1].tries[0].begin_s + deadline_s:
            groups[-1].tries.append(one)
        else:
            groups.append(Group([one]))
    return groups


def _repeated(tries: Sequence[Try], order: Order, deadline_s: float) -> list[Group]:
    """The attempts of a text that several requests share."""
    at_once_s = min(AT_ONCE_S, _pause_s(tries) / 2)
    groups: list[Group] = []
    unanswered: list[Group] = []
    for one in tries:
        unanswered = [group for group in unanswered if one.begin_s <= group.tries[0].begin_s + deadline_s]
        going_on = [group for group in unanswered if _goes_on(group.tries[-1], one, order, at_once_s)]
        if going_on:
            group = max(going_on, key=lambda group: group.tries[-1].end_s)
            group.tries.append(one)
        else:
            group = Group([one], repeated=True)
            groups.append(group)
            unanswered.append(group)
        if one.whole:
            unanswered.remove(group)
    return groups


def _goes_on(last: Try, one: Try, order: Order, at_once_s: float) -> bool:
    gap_s = one.begin_s - last.end_s
    if gap_s < -_TOLERANCE_S:
        return False
    if one.seen.leg == last.seen.leg:
        return bool(one.seen.retry)
    return order.later(one.seen.leg, last.seen.leg) and gap_s <= at_once_s


def _pause_s(tries: Sequence[Try]) -> float:
    """The shortest time that the application was seen to pause between an answer and the next request with that text.

    A failure that the application passes on is followed by at least such a pause; a fallback by none. 0 when requests
    overlap.
    """
    pauses = []
    for one, after in itertools.pairwise(tries):
        if one.whole:
            pauses.append(after.begin_s - one.end_s)
    return max(0.0, min(pauses, default=0.0))


def _with_hangs(groups: Sequence[Group], hangs: Sequence[Hang], order: Order) -> list[Group]:
    """Give each hung connect to the request that it was a part of. Those left are the requests of which nothing else
    came, each its own.
    """
    owner = _followed(groups, hangs, order)
    led: set[Hang] = set()
    for hang in reversed(hangs):
        after = next((h for h in hangs if h in owner and h not in led and _chains(hang, h, order)), None)
        if hang not in owner and after is not None:
            led.add(after)
            owner[hang] = owner[after]
    for hang, group in owner.items():
        group.hangs.append(hang)
    return [Group([], [hang]) for hang in hangs if hang not in owner]


def _followed(groups: Sequence[Group], hangs: Sequence[Hang], order: Order) -> dict[Hang, Group]:
    """The hung connects that an attempt of some request followed; each attempt follows one."""
    places = [
        (one, group, group.tries[index - 1] if index else None)
        for group in groups
        for index, one in enumerate(group.tries)
    ]
    places.sort(key=lambda place: place[0].begin_s)
    owner: dict[Hang, Group] = {}
    taken: set[int] = set()
    for hang in sorted(hangs, key=lambda hang: hang.end_s):
        for one, group, before in places:
            if one.seen.attempt not in taken and _follows(hang, one, before, order):
                taken.add(one.seen.attempt)
                owner[hang] = group
                break
    return owner


def _follows(hang: Hang, one: Try, before: Try | None, order: Order) -> bool:
    """Whether an attempt is what the application did when it gave a hung connect up. `before`: the one before it in
    its request.
    """
    between = before is not None and before.end_s <= hang.begin_s + _TOLERANCE_S
    if order.later(one.seen.leg, hang.leg):
        first = before is None and not one.seen.retry
        return (first or between) and hang.last_s - _TOLERANCE_S <= one.begin_s <= hang.end_s + AT_ONCE_S
    if one.seen.leg != hang.leg or not hang.last_s <= one.begin_s <= hang.end_s + BACKOFF_S:
        return False
    return between or (before is None and bool(one.seen.retry))


def _chains(hang: Hang, after: Hang, order: Order) -> bool:
    """Whether a hung connect is what came after another: a retry on the same leg, or a later leg at once."""
    same = after.leg == hang.leg
    within_s = BACKOFF_S if same else AT_ONCE_S
    return (same or order.later(after.leg, hang.leg)) and hang.last_s <= after.begin_s <= hang.end_s + within_s


@dataclass(frozen=True)
class Inferred:
    """What an application's calls come to.

    warm_up: attempts of requests from before the timeline. cut: requests that were under way when the drill told the
    application to end, or that began after the timeline: nobody knows what would have become of them, and they count
    nowhere. repeated: how many of the requests had a text that the application repeats.
    """

    requests: tuple[Request, ...]
    warm_up: tuple[Attempt, ...]
    cut: int
    repeated: int


@dataclass(frozen=True)
class Span:
    """When what was asked counts: the timeline, and when the drill told the application to end, if it did."""

    start_s: float | None
    end_s: float | None
    told_to_end_s: float | None


def requests(order: Order, calls: Sequence[Attempt], hangs: Sequence[Hang], span: Span, deadline_s: float) -> Inferred:
    """The requests behind an application's calls, with their outcomes."""
    by_number = {call.seen.attempt: call for call in calls}
    groups = infer(order, [Try(call.seen, call.done, call.received_s) for call in calls], hangs, deadline_s)
    start_s = math.inf if span.start_s is None else span.start_s
    inside = [group for group in groups if group.due_s >= start_s]
    kept = [group for group in inside if not _cut(group, span, deadline_s)]
    return Inferred(
        requests=tuple(_request(seq, group, by_number, deadline_s) for seq, group in enumerate(kept)),
        warm_up=tuple(by_number[one.seen.attempt] for group in groups if group.due_s < start_s for one in group.tries),
        cut=len(inside) - len(kept),
        repeated=sum(1 for group in kept if group.repeated),
    )


def _cut(group: Group, span: Span, deadline_s: float) -> bool:
    if span.end_s is not None and group.due_s >= span.end_s:
        return True
    told_s = span.told_to_end_s
    return told_s is not None and group.end_s >= told_s - _TOLERANCE_S and told_s - group.due_s < deadline_s


def _request(seq: int, group: Group, by_number: Mapping[int, Attempt], deadline_s: float) -> Request:
    done = _done(seq, group, deadline_s)
    return Request(
        seq=seq,
        id="",
        stream=group.tries[0].seen.stream if group.tries else False,
        due_s=group.due_s,
        sent_s=group.due_s,
        done=done,
        outcome=outcome_of(done),
        attempts=tuple(by_number[one.seen.attempt] for one in group.tries),
    )


def _done(seq: int, group: Group, deadline_s: float) -> ArrivalDone | None:
    """How a request ended; None when its end was not seen."""
    if math.isinf(group.end_s):
        return None
    ended = [one for one in group.tries if one.end_s == group.end_s]
    last = max(ended, key=lambda one: one.whole, default=None)
    if last is None or last.done is None:
        [leg] = {hang.leg for hang in group.hangs if hang.end_s == group.end_s}
        return _lost(seq, group.end_s, f"a connect to {leg} hung until it was given up")
    found = answer(last.seen, last.done, seq)
    if group.end_s - group.due_s > deadline_s:
        late = f"it ended {group.end_s - group.due_s:.1f} s after it was due; callers wait {deadline_s:g} s"
        return msgspec.structs.replace(found, ending=Ending.DEADLINE, detail=late)
    return found


def _lost(seq: int, done_s: float, detail: str) -> ArrivalDone:
    return ArrivalDone(
        seq=seq,
        first_byte_s=None,
        first_token_s=None,
        done_s=done_s,
        ending=Ending.GIVEN_UP,
        status=None,
        shape=None,
        legs=(),
        words=0,
        detail=detail,
    )
