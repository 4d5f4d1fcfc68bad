"""Which calls of an application are one request: literal calls in, requests out. No application, no clock.

A call is written `p:text 1-1.1 how`: on leg p (then s, then t beside u), with that text, from 1 s to 1.1 s. How it
ended: `ok` (a whole answer), `503` (the fault answered), `left` (the application gave up waiting), `open` (it has not
ended). At the end, `+1`: the SDK said that it is its first retry, `+0`: that it is a first try, `@7`: its local port. A
connect that hung is `~p 1-3`, gone at 3 s and seen for the last time 0.1 s before.

A request is written `1-1.2 s ps`: due at 1 s, ended at 1.2 s, answered by s after attempts on p and s. `-`: by nobody.
`~`: a connect that hung was a part of it. `?`: its end was not seen, `late`: it ended after the deadline.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Sequence

import msgspec
import pytest
from calibration.story import history

from drills.events import (
    AnyEvent,
    ArrivalDone,
    ArrivalSent,
    AttemptDone,
    AttemptReceived,
    AttemptResult,
    ConnectGone,
    ConnectHung,
    Ending,
    FaultCleared,
    GatewayLine,
    HealthPoll,
    Limits,
    ProgramEnded,
    RunStarted,
    TimelineEnded,
)
from drills.inferred import Order, Span, hangs_of, order_of, requests
from drills.legs import Leg
from drills.request import Attempt, Request
from drills.result import CheckPart, Result, Verdict
from drills.verdict import judge
from faults.base import Connections

ORDER = Order({"p": 0, "s": 1, "t": 2, "u": 2})
DEADLINE_S = 30.0
_CALL = re.compile(r"([pstu]):(\S*) ([\d.]+)-([\d.]+) (ok|503|left|open)(?: \+(\d))?(?: @(\d+))?")
_HANG = re.compile(r"~([pstu]) ([\d.]+)-([\d.]+)(?: @(\d+))?")


def attempt(number: int, written: str) -> Attempt:
    """A call as an attempt."""
    found = _CALL.fullmatch(written)
    assert found is not None, written
    leg, text, begin, end, how, retry, port = found.groups()
    seen = AttemptReceived(
        attempt=number,
        leg=leg,
        id="",
        surface="model",
        operation="chat",
        model="m",
        stream=False,
        received_s=float(begin),
        text_key=text,
        retry=None if retry is None else int(retry),
        port=int(port or 0),
    )
    results = {"ok": AttemptResult.ANSWERED, "503": AttemptResult.FAULTED, "left": AttemptResult.ABANDONED}
    if how == "open":
        return Attempt(seen, None)
    status = {"ok": 200, "503": 503, "left": None}[how]
    answered_s = None if how == "left" else float(end)
    done = AttemptDone(
        attempt=number, answered_s=answered_s, done_s=float(end), status=status, result=results[how], faults=()
    )
    return Attempt(seen, done)


def shown(request: Request) -> str:
    """A request as it is written here."""
    legs = "".join(one.leg for one in request.attempts)
    if request.done is None:
        return f"{request.due_s:g}-? {legs}".strip()
    late = " late" if request.done.ending is Ending.DEADLINE else ""
    return f"{request.due_s:g}-{request.done.done_s:g}{late} {request.served_by or '-'} {legs}".strip()


def inferred(story: str, told_s: float | None = None) -> list[str]:
    """The requests of a story; the timeline goes from 0 s to 100 s."""
    lines = [line.strip() for line in story.split(",")]
    calls = [attempt(number, line) for number, line in enumerate(lines) if not line.startswith("~")]
    hung, gone = [], []
    for number, line in enumerate(lines):
        if line.startswith("~"):
            found = _HANG.fullmatch(line)
            assert found is not None, line
            leg, begin, end, port = found.groups()
            local = int(port or 5000 + number)
            hung.append(ConnectHung(leg=leg, seen_s=float(begin), faults=("f",), port=local))
            gone.append(ConnectGone(leg=leg, port=local, last_seen_s=float(end) - 0.1, at_s=float(end)))
    found_all = requests(ORDER, calls, hangs_of(hung, gone), Span(0.0, 100.0, told_s), DEADLINE_S)
    assert [request.seq for request in found_all.requests] == list(range(len(found_all.requests)))
    return [shown(request) for request in found_all.requests]


ROWS = [
    # One call, one request: answered, failed, given up.
    ("p:a 1-1.1 ok", ["1-1.1 p p"]),
    ("p:a 1-1.1 503", ["1-1.1 - p"]),
    ("p:a 1-3 left", ["1-3 - p"]),
    # The same text on the next leg: a fallback. So is one after a pause, and one that begins before we saw the end.
    ("p:a 1-1.1 503, s:a 1.2-1.3 ok", ["1-1.3 s ps"]),
    ("p:a 1-1.1 503, s:a 9-9.1 ok", ["1-9.1 s ps"]),
    ("p:a 1-3.01 left, s:a 3-3.1 ok", ["1-3.1 s ps"]),
    ("p:a 1-1.1 503, s:a 1.2-1.3 503, t:a 1.4-1.5 ok", ["1-1.5 t pst"]),
    # All fail: one request is lost, not three.
    ("p:a 1-1.1 503, s:a 1.2-1.3 503, t:a 1.4-1.5 503", ["1-1.5 - pst"]),
    # An SDK's retries, and the application's own.
    ("p:a 1-1.1 503 +0, p:a 1.6-1.7 503 +1, p:a 2.7-2.8 503 +2, s:a 2.9-3 ok +0", ["1-3 s ppps"]),
    ("p:a 1-1.1 503, p:a 2-2.1 503, p:a 4-4.1 ok", ["1-4.1 p ppp"]),
    # Two requests with texts of their own, at a time.
    ("p:a 1-3 left, p:b 1.1-3.1 left, s:a 3.1-3.2 ok, s:b 3.2-3.3 ok", ["1-3.2 s ps", "1.1-3.3 s ps"]),
    # After the callers' deadline nobody waits any more: what comes then is another request.
    ("p:a 1-1.1 503, s:a 32-32.1 ok", ["1-1.1 - p", "32-32.1 s s"]),
    # An answer that came, but too late.
    ("p:a 1-40 ok", ["1-40 late - p"]),
    # Hedged: two at a time, the first whole answer counts, the other is given up.
    ("p:a 1-5 left, s:a 1.5-1.6 ok", ["1-1.6 s ps"]),
    # Asked again after an answer: another request.
    ("p:a 1-1.1 ok, p:a 2-2.1 ok", ["1-1.1 p p", "2-2.1 p p"]),
    # A text that is repeated. The application pauses for a second between two requests: a failure that it passes on
    # is followed by that pause, and a fallback is not.
    ("p:a 1-1.1 ok, p:a 2.1-2.2 503, s:a 2.25-2.3 ok", ["1-1.1 p p", "2.1-2.3 s ps"]),
    ("p:a 1-1.1 ok, p:a 2.1-2.2 503, s:a 3.2-3.3 ok", ["1-1.1 p p", "2.1-2.2 - p", "3.2-3.3 s s"]),
    # With a pause of 0.2 s, what comes 0.15 s after the failure is no fallback for sure.
    ("p:a 1-1.1 ok, p:a 1.3-1.4 503, s:a 1.55-1.6 ok", ["1-1.1 p p", "1.3-1.4 - p", "1.55-1.6 s s"]),
    ("p:a 1-1.1 ok, p:a 1.3-1.4 503, s:a 1.45-1.5 ok", ["1-1.1 p p", "1.3-1.5 s ps"]),
    # Back on the first leg after a failure: a new request. The first one was lost.
    ("p:a 1-1.1 ok, p:a 2.1-2.2 503, p:a 2.3-2.4 ok", ["1-1.1 p p", "2.1-2.2 - p", "2.3-2.4 p p"]),
    # Legs of one level stand in for each other.
    ("u:a 1-1.1 ok, u:a 2.1-2.2 503, t:a 2.25-2.3 ok", ["1-1.1 u u", "2.1-2.3 t ut"]),
    # But a retry where the SDK says so.
    ("p:a 1-1.1 ok +0, p:a 2.1-2.2 503 +0, p:a 2.7-2.8 ok +1", ["1-1.1 p p", "2.1-2.8 p pp"]),
    # Three callers with one text at a time: nobody can tell a fallback from another caller's request.
    (
        "p:a 1-1.1 ok, p:a 1.05-1.2 ok, p:a 2.1-2.2 503, s:a 2.21-2.3 ok",
        ["1-1.1 p p", "1.05-1.2 p p", "2.1-2.2 - p", "2.21-2.3 s s"],
    ),
    # No text at all says as little as a repeated one.
    ("p: 1-1.1 503, p: 1.2-1.3 ok", ["1-1.1 - p", "1.2-1.3 p p"]),
    # A connect that hung, and the fallback right after it: due when it was first seen.
    ("~p 1-3, s:a 3-3.1 ok", ["1-3.1 s s"]),
    ("~p 1-3, s:a 2.95-3.1 ok", ["1-3.1 s s"]),
    # Nothing came after it: a lost request. So is one that is followed by an unhurried call.
    ("~p 1-3", ["1-3 -"]),
    ("~p 1-3, s:a 4-4.1 ok", ["1-3 -", "4-4.1 s s"]),
    # An application that calls only the dead leg, again and again: each is lost.
    ("~p 1-3, ~p 4-6, ~p 7-9", ["1-3 -", "4-6 -", "7-9 -"]),
    # An SDK's retries that hang, and then the fallback: one request.
    ("~p 1-2, ~p 2.5-3.5, ~p 4.5-5.5, s:a 5.5-5.6 ok", ["1-5.6 s s"]),
    # Each caller with a fallback of his own.
    ("~p 1-3, ~p 1.2-3.2, s:a 3-3.1 ok, s:b 3.2-3.3 ok", ["1-3.1 s s", "1.2-3.3 s s"]),
    # Two legs hang, one after the other, and the third answers.
    ("~p 1-2, ~s 2-3, t:a 3-3.1 ok", ["1-3.1 t t"]),
    # The first try went out on an open connection and was not answered; the retry's connect hung; then the fallback.
    ("p:a 1-3 left +0, ~p 3.5-5.5, s:a 5.5-5.6 ok +0", ["1-5.6 s ps"]),
    # A request on the way of its own does not take the hung connect of another.
    ("p:a 1-3 left, ~p 1.1-3, s:a 3-3.1 ok, s:b 3.05-3.2 ok", ["1-3.1 s ps", "1.1-3.2 s s"]),
    # The connect got through when the leg was well again: by its port.
    ("~p 1-4 @77, p:a 4-4.1 ok @77", ["1-4.1 p p"]),
    # Or it was given up, and the SDK tried again; where nobody says so, the second is a new request.
    ("~p 1-3, p:a 3.6-3.7 ok +1", ["1-3.7 p p"]),
    ("~p 1-3, p:a 3.6-3.7 ok +0", ["1-3 -", "3.6-3.7 p p"]),
]


@pytest.mark.parametrize(("story", "wanted"), ROWS)
def test_what_is_one_request(story: str, wanted: list[str]) -> None:
    """By text, order of the legs, and what follows what."""
    assert inferred(story) == wanted


CUT = [
    # The drill ends the application at 90 s: what was under way is nobody's fault and counts nowhere.
    ("p:a 80-80.1 ok, p:b 89.9-90 left", ["80-80.1 p p"]),
    ("p:a 80-80.1 ok, p:b 89.9-90 open", ["80-80.1 p p"]),
    ("~p 89-90.01", []),
    # It failed before: it counts.
    ("p:a 89-89.2 503", ["89-89.2 - p"]),
    # It had been waiting for longer than a caller does: nobody knows what it would have got.
    ("p:a 50-90 open", ["50-? p"]),
]


@pytest.mark.parametrize(("story", "wanted"), CUT)
def test_the_end_of_the_drill_cuts_requests_off(story: str, wanted: list[str]) -> None:
    """Those that it cut off are no failures."""
    assert inferred(story, 90.0) == wanted


def test_what_is_outside_the_timeline_does_not_count() -> None:
    """Calls before it are the application's warm-up; calls after it come while the drill is tidying up."""
    calls = [attempt(0, "p:a 1-1.1 ok"), attempt(1, "p:b 5-5.1 ok"), attempt(2, "p:c 12-12.1 ok")]
    found = requests(ORDER, calls, [], Span(2.0, 10.0, 13.0), DEADLINE_S)
    assert [shown(request) for request in found.requests] == ["5-5.1 p p"]
    assert [one.seen.attempt for one in found.warm_up] == [0]
    assert found.cut == 1
    assert requests(ORDER, calls, [], Span(None, None, None), DEADLINE_S).requests == ()


def test_the_order_is_that_of_the_roles() -> None:
    """Where a role is written it counts, and not the place in the file; without one a leg comes last."""
    leg = Leg(name="a", role="secondary", provider="openai", vendor="openai", model="m", cloud="c")
    others = [("b", "primary"), ("c", None), ("d", "level-7"), ("e", "secondary")]
    legs = [leg, *(msgspec.structs.replace(leg, name=name, role=role) for name, role in others)]
    order = order_of(legs)
    assert [order.later(one, "a") for one in "abcde"] == [False, False, True, True, True]


def test_a_connect_that_is_reported_twice_is_one() -> None:
    """Two faults, one after the other, found the same connect waiting."""
    hung = [ConnectHung(leg="p", seen_s=at_s, faults=(fault,), port=9) for at_s, fault in ((1.0, "f"), (2.0, "g"))]
    gone = [ConnectGone(leg="p", port=9, last_seen_s=2.9, at_s=3.0)]
    [hang] = hangs_of(hung, gone)
    assert (hang.begin_s, hang.end_s) == (1.0, 3.0)


# --- everything downstream -------------------------------------------------------------------------------------------


def as_application(told: Sequence[AnyEvent], ended: ProgramEnded | None = None) -> tuple[AnyEvent, ...]:
    """A story as the planes would have seen it of an application: no callers, no ids, each request with its text."""
    events: list[AnyEvent] = []
    for event in told:
        if isinstance(event, RunStarted):
            events.append(msgspec.structs.replace(event, inferred=True))
        elif isinstance(event, AttemptReceived):
            events.append(msgspec.structs.replace(event, id="", text_key=event.id))
        elif not isinstance(event, ArrivalSent | ArrivalDone):
            events.append(event)
    events.append(TimelineEnded(at_s=98.0))
    end = ended or ProgramEnded(at_s=98.9, code=128 + signal.SIGTERM, asked=True)
    return (*events, *([GatewayLine(at_s=98.8, what="stopping")] if end.asked else []), end)


STORIES = [
    "ppp[xxsss]spp",
    "ppp[ssss]spp",
    "ppp[xsxxss]spp",
    "ppp[dddddddddddd]spp",
    "ppp[SSss]spp",
    "ppp[xxxx]ppp",
    "ppp[xss{zttt}]ttp",
    "ppp[xsss]sxxpp",
    "ppp[xsss]ssss",
    "pppppppppp",
]


@pytest.mark.parametrize("story", STORIES)
def test_all_numbers_are_the_same_as_of_callers_with_ids(story: str) -> None:
    """What is measured does not ask where the requests came from. They are due 10 ms later: at their first attempt."""
    told, inferred_ = judge(history(story), "told"), judge(as_application(history(story)), "inferred")
    one, other = told.requests, inferred_.requests
    assert (one.due, one.ok, one.failed, one.slow) == (other.due, other.ok, other.failed, other.slow)
    assert [path.requests for path in told.paths] == [path.requests for path in inferred_.paths]
    assert told.attempts == inferred_.attempts
    for left, right in zip(told.switchovers, inferred_.switchovers, strict=True):
        for name in (
            "from_",
            "to",
            "switchover_s",
            "recovery_s",
            "avoidance_s",
            "detour_p50_s",
            "bad",
            "slow",
            "evidence",
        ):
            assert getattr(left, name) == pytest.approx(getattr(right, name)), name
        assert left.client_outage_s.point == pytest.approx(right.client_outage_s.point)
    for before, after in zip(told.failbacks, inferred_.failbacks, strict=True):
        for name in ("to", "failback_s", "bad", "flaps"):
            assert getattr(before, name) == pytest.approx(getattr(after, name)), name


def finding(result: Result, name: str) -> CheckPart:
    """The finding of one check."""
    return next(part for part in result.checks if part.name == name)


PHASES = "pppp[xsss]pppp"
MISSING = "before the timeline was over: calls are missing"
ENDS = [
    # It ran until it was told to end: by the signal, well, or by force.
    (ProgramEnded(at_s=98.9, code=143, asked=True), Verdict.PASS, "it ran until the drill ended it (SIGTERM)"),
    (ProgramEnded(at_s=98.9, code=0, asked=True), Verdict.PASS, "it ran until the drill ended it (exit code 0)"),
    (ProgramEnded(at_s=98.9, code=137, asked=True), Verdict.PASS, "it ran until the drill ended it (SIGKILL)"),
    # Its own word that something went wrong.
    (ProgramEnded(at_s=98.9, code=3, asked=True), Verdict.FAIL, "told to end, it ended with exit code 3"),
    # By itself: 1.4 s is in the outage (from 1.35 s on), 1.2 s before it.
    (
        ProgramEnded(at_s=1.42, code=1, asked=False),
        Verdict.FAIL,
        "it ended by itself with exit code 1 0.9 s after the timeline began, in phase phase-1",
    ),
    (
        ProgramEnded(at_s=1.2, code=1, asked=False),
        Verdict.INVALID,
        "it ended by itself with exit code 1 0.7 s after the timeline began, in phase phase-0, before any fault",
    ),
    (
        ProgramEnded(at_s=50.0, code=0, asked=False),
        Verdict.INVALID,
        f"it ended by itself with exit code 0 49.5 s after the timeline began, in phase phase-2, {MISSING}",
    ),
]


@pytest.mark.parametrize(("ended", "verdict", "observed"), ENDS)
def test_how_it_ended(ended: ProgramEnded, verdict: Verdict, observed: str) -> None:
    """An error is a broken expectation, unless it came before any fault; too soon is no verdict."""
    found = finding(judge(as_application(history(PHASES), ended), "inferred"), "the application")
    assert (found.verdict, found.observed) == (verdict, observed)


@pytest.mark.parametrize("connections", [Connections.OPEN, Connections.REFUSED])
def test_an_application_that_died_of_a_fault_is_a_fail_and_no_lack_of_traffic(connections: Connections) -> None:
    """After its death nobody calls: that is an outage to the end of the fault, and the finding is its death alone."""
    story = "pppp[x]" if connections is Connections.OPEN else "pppp[_]"
    told = list(history(story, Limits(lost_at_most=0), connections=connections))
    # The fault goes on until 9 s.
    told = [msgspec.structs.replace(e, began_s=9.0, at_s=9.0) if isinstance(e, FaultCleared) else e for e in told]
    died = ProgramEnded(at_s=1.44, code=1, asked=False, said=("Error: no answer",))
    result = judge(as_application(told, died), "inferred")
    assert result.verdict is Verdict.FAIL, result.reasons
    assert result.faults[0].touched_requests == 1
    assert finding(result, "the application").evidence == ("it said: Error: no answer",)
    outage = result.switchovers[0].client_outage_s
    assert 7.5 < outage.lower <= outage.point < 7.7


def test_what_does_not_apply_is_not_checked() -> None:
    """There is no load of ours, and no gateway that is asked."""
    names = {part.name for part in judge(as_application(history(PHASES)), "inferred").checks}
    assert "load generator" not in names
    assert "load generator" in {part.name for part in judge(history(PHASES), "told").checks}


def test_failed_polls_of_the_health_url_are_an_outage() -> None:
    """Five polls a second from 1 s on; those between 2 s and 3 s fail. The last good one was sent at 1.8 s."""
    head, *rest = as_application(history(PHASES, Limits(lost_at_most=4)))
    polls = [
        HealthPoll(sent_s=1 + n / 5, done_s=1.01 + n / 5, error="status 503" if 5 <= n < 10 else "") for n in range(20)
    ]
    result = judge((msgspec.structs.replace(head, health="http://127.0.0.1:1/"), *rest, *polls), "inferred")
    assert result.health is not None
    assert (result.health.polls, result.health.failed) == (20, 5)
    assert result.health.errors == ("status 503",)
    outage = result.health.outage_s
    assert (outage.lower, outage.point, outage.upper) == pytest.approx((0.79, 1.0, 1.21))
    found = finding(result, "health URL")
    assert (found.verdict, found.observed[:19]) == (Verdict.FAIL, "5 of 20 failed; not")
