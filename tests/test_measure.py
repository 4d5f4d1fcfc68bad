"""Literal histories in, one number or one finding out. No gateway, no clock.

`calibration/story.py` says what the letters of a story mean. In `ppp[xxss]pp` ten arrivals a second begin at 1 s; the
primary answers three, and is down from 1.25 s on (half an interval before the next arrival); two fail on it, each
after 20 ms; then the standby answers, each time in 60 ms.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from calibration.story import history, probes, stranger
from drilling import too_busy

from drills import verdict as verdicts
from drills.checks.base import Check
from drills.events import (
    AnyEvent,
    ArrivalDone,
    ArrivalSent,
    AttemptDone,
    AttemptReceived,
    AttemptResult,
    ConnectHung,
    Ending,
    FaultCleared,
    FaultClearRequested,
    FaultEffective,
    Limits,
    PlaneTrouble,
    RunEnded,
    RunStarted,
    Via,
)
from drills.measure import Measured
from drills.result import CheckPart, Result, Verdict
from drills.verdict import judge
from faults.base import Connections


def value_at(result: object, path: str) -> Any:  # noqa: ANN401  whatever stands there
    """The value at a path of attributes and indexes: `switchovers.0.recovery_s`."""
    for step in path.split("."):
        if step.isdigit() and isinstance(result, tuple):
            result = result[int(step)]
        else:
            result = result[step] if isinstance(result, dict) else getattr(result, step)
    return result


def check(result: Result, name: str) -> CheckPart:
    """The finding of one check."""
    return next(part for part in result.checks if part.name == name)


NUMBERS: list[tuple[str, str, Any]] = [
    # The onset is at 1.25; the third arrival after it, due at 1.5, is the standby's first: answered at 1.56.
    ("ppp[xxsss]spp", "switchovers.0.switchover_s", 0.31),
    ("ppp[xxsss]spp", "switchovers.0.from_", "primary"),
    ("ppp[xxsss]spp", "switchovers.0.to", "standby"),
    # The bracket begins when the last failed request was sent (1.4) and ends with the first good answer (1.56).
    ("ppp[xxsss]spp", "switchovers.0.recovery_s", 0.31),
    ("ppp[xxsss]spp", "switchovers.0.resolution_s", 0.16),
    # The first failure is known to its caller 20 ms after 1.3.
    ("ppp[xxsss]spp", "switchovers.0.first_failure_s", 1.32),
    # The fault met its first attempt at 1.31.
    ("ppp[xxsss]spp", "switchovers.0.exposure_s", 0.06),
    # Nobody fails: the bracket begins at the onset and ends with the first answer of the standby (1.36).
    ("ppp[ssss]spp", "switchovers.0.recovery_s", 0.11),
    ("ppp[ssss]spp", "switchovers.0.resolution_s", 0.11),
    ("ppp[ssss]spp", "switchovers.0.first_failure_s", None),
    # One lucky answer ends the switchover, but the service recovers only after the last bad one (1.6, 1.76).
    ("ppp[xsxxss]spp", "switchovers.0.switchover_s", 0.21),
    ("ppp[xsxxss]spp", "switchovers.0.recovery_s", 0.51),
    ("ppp[xsxxss]spp", "switchovers.0.resolution_s", 0.16),
    # A slow answer is not a recovery: the clock runs on until they come in time (last slow one 1.4, then 1.56).
    ("ppp[SSss]spp", "switchovers.0.recovery_s", 0.31),
    ("ppp[SSss]spp", "switchovers.0.slow", 2),
    # The null drill has none.
    ("pppppppppp", "switchovers", ()),
    ("pppppppppp", "failbacks", ()),
    # Nobody else ever answers: no switchover and no recovery, which is a result and no missing value.
    ("ppp[xxxx]ppp", "switchovers.0.switchover_s", None),
    ("ppp[xxxx]ppp", "switchovers.0.reasons.switchover_s", "no other leg answered within 0.4 s"),
    ("ppp[xxxx]ppp", "switchovers.0.recovery_s", None),
    ("ppp[xxxx]ppp", "switchovers.0.reasons.recovery_s", "callers were not answered well again within 0.4 s"),
    # The last request was due 50 ms before the end and is answered by the faulted leg 10 ms after it: that is the end
    # of the fault and no recovery.
    ("ppp[xxxp]ppp", "switchovers.0.recovery_s", None),
    # Two faults end together: the primary's answer 10 ms later proves no recovery from the loss of the standby either.
    ("ppp[xs{zzzp}]ppp", "switchovers.1.recovery_s", None),
    # The third leg's does (due 1.8, answered 1.86; the onset was 1.45).
    ("ppp[xs{zzzt}]ppp", "switchovers.1.recovery_s", 0.41),
    # The same answer from another leg is one.
    ("ppp[xxxs]ppp", "switchovers.0.recovery_s", 0.41),
    # Half of the requests pass the fault on the faulted leg itself: good while it is on, so callers have recovered.
    ("ppp[xppp]ppp", "switchovers.0.recovery_s", 0.21),
    # One stretch: sent 1.4 - done 1.32; due 1.5 - due 1.3; done 1.56 - sent 1.2.
    ("ppp[xxsss]spp", "switchovers.0.client_outage_s.lower", 0.08),
    ("ppp[xxsss]spp", "switchovers.0.client_outage_s.point", 0.2),
    ("ppp[xxsss]spp", "switchovers.0.client_outage_s.upper", 0.36),
    # Two stretches are added: of one arrival (0, 0.1, 0.26) and of two (0.08, 0.2, 0.36).
    ("ppp[xsxxss]spp", "switchovers.0.client_outage_s.lower", 0.08),
    ("ppp[xsxxss]spp", "switchovers.0.client_outage_s.point", 0.3),
    ("ppp[xsxxss]spp", "switchovers.0.client_outage_s.upper", 0.62),
    # A request under way at the onset belongs to no window, but it is not the last good one before: that was sent 1.1.
    ("ppb[xxsss]spp", "switchovers.0.client_outage_s.point", 0.2),
    ("ppb[xxsss]spp", "switchovers.0.client_outage_s.upper", 0.46),
    # Alone it is still no outage of the window, but one of up to done 1.36 - sent 1.1 would not have been seen.
    ("ppb[ssss]spp", "switchovers.0.client_outage_s.point", 0.0),
    ("ppb[ssss]spp", "switchovers.0.client_outage_s.lower", 0.0),
    ("ppb[ssss]spp", "switchovers.0.client_outage_s.upper", 0.26),
    ("ppb[sxss]spp", "switchovers.0.client_outage_s.point", 0.1),
    ("ppb[sxss]spp", "switchovers.0.client_outage_s.upper", 0.52),
    # One that had ended before the onset says nothing about the fault.
    ("ppx[ssss]spp", "switchovers.0.client_outage_s.upper", 0.1),
    # No bad arrival is 0 with the resolution of one interval, never "0 ms".
    ("ppp[ssss]spp", "switchovers.0.client_outage_s.point", 0.0),
    ("ppp[ssss]spp", "switchovers.0.client_outage_s.upper", 0.1),
    # The one arrival in the outage could not be sent: an outage of up to 0.2 s would have gone unseen.
    ("ppp[nsss]spp", "switchovers.0.client_outage_s.upper", 0.2),
    # The second attempt (1.41) is the last on the faulted leg, and ten arrivals follow.
    ("ppp[xxssssssssss]spp", "switchovers.0.avoidance_s", 0.16),
    # Two attempts, and only nine arrivals after: too few to say that the leg is avoided.
    ("ppp[xxsssssssss]spp", "switchovers.0.avoidance_s", None),
    # Everybody is answered well, each after a try on the dead leg: it never avoids it, and each pays 20 ms.
    ("ppp[dddddddddddd]spp", "switchovers.0.avoidance_s", None),
    ("ppp[dddddddddddd]spp", "switchovers.0.detour_p50_s", 0.02),
    ("ppp[dddddddddddd]spp", "switchovers.0.bad", 0),
    # A second fault ends the window of the first (0.3 s after its onset): the first was survived ...
    ("ppp[xss{zttt}]ttp", "switchovers.0.window_s", 0.3),
    ("ppp[xss{zttt}]ttp", "switchovers.0.recovery_s", 0.21),
    # ... and the second leads from the standby to the third leg, though more of the last answers were the primary's.
    ("ppp[xss{zttt}]ttp", "switchovers.1.from_", "standby"),
    ("ppp[xss{zttt}]ttp", "switchovers.1.to", "third"),
    ("ppp[xss{zttt}]ttp", "switchovers.1.recovery_s", 0.21),
    # Cleared at 1.65; the first answer of the primary, due 1.9, comes at 1.96; the standby's last was sent at 1.8.
    ("ppp[xsss]sspp", "failbacks.0.failback_s", 0.31),
    ("ppp[xsss]sspp", "failbacks.0.resolution_s", 0.16),
    # Back at once: the bracket begins with the end of the fault.
    ("ppp[xsss]pppp", "failbacks.0.failback_s", 0.11),
    ("ppp[xsss]pppp", "failbacks.0.resolution_s", 0.11),
    # The return hurts: who failed may have failed after it, so the bracket begins at the standby's last (1.7).
    ("ppp[xsss]sxxpp", "failbacks.0.failback_s", 0.41),
    ("ppp[xsss]sxxpp", "failbacks.0.resolution_s", 0.36),
    ("ppp[xsss]sxxpp", "failbacks.0.excess_outage_s", 0.2),
    ("ppp[xsss]sxxpp", "failbacks.0.bad", 2),
    # It stays with the standby: no failback, with the reason.
    ("ppp[xsss]ssss", "failbacks.0.failback_s", None),
    ("ppp[xsss]ssss", "failbacks.0.to", "primary"),
    # There and back is no flap; there, back, there and back is two, in 0.85 s (of 99 s that the history lasts).
    ("ppp[xsss]pppp", "failbacks.0.flaps", 0.0),
    ("ppp[xsss]pspp", "failbacks.0.flaps", 2 / ((99 - 1.25) / 3600)),
    # Sent and never heard of again: the caller may have been billed, so it is unknown and not failed.
    ("ppp[xxsss]sp_", "requests.unknown", 1),
    ("ppp[xxsss]sp_", "requests.failed", 2),
    # Nothing until the deadline is unknown, too.
    ("ppp[uusss]spp", "requests.unknown", 2),
    # Half of an answer with a clean end is corrupt, and never ok.
    ("ppp[ccsss]spp", "requests.corrupt", 2),
    ("ppp[ccsss]spp", "requests.ok", 9),
    # What could not be sent has an outcome of its own.
    ("ppp[xnsss]spp", "requests.not_started", 1),
    # Slow answers are ok ones.
    ("ppp[SSss]spp", "requests.ok", 10),
    # A stream that had begun when the fault struck.
    ("ppb[xxsss]spp", "requests.broken_streams", 1),
    # Twelve of the seventeen requests took two attempts.
    ("ppp[dddddddddddd]sp", "attempts.per_request", 29 / 17),
    # Two attempts met the fault.
    ("ppp[xxsss]spp", "faults.0.touched_requests", 2),
]


@pytest.mark.parametrize(("story", "path", "expected"), NUMBERS, ids=[f"{row[0]}-{row[1]}" for row in NUMBERS])
def test_numbers(story: str, path: str, expected: object) -> None:
    """A story has this number."""
    found = value_at(judge(history(story), "story"), path)
    assert found == (pytest.approx(expected) if isinstance(expected, float) else expected)


WITHIN = Limits(switchover_within_s=0.3)
VERDICTS: list[tuple[tuple[AnyEvent, ...], str, Verdict, Verdict]] = [
    # Recovered within 0.31 s at most, 0.4 s are allowed.
    (history("ppp[xxsss]spp", Limits(switchover_within_s=0.4)), "switchover", Verdict.PASS, Verdict.PASS),
    # Between 0.15 and 0.31 s: a limit of 0.3 s lies inside the bracket.
    (history("ppp[xxsss]spp", WITHIN), "switchover", Verdict.INCONCLUSIVE, Verdict.INCONCLUSIVE),
    # At least 0.15 s, and 0.1 s are allowed.
    (history("ppp[xxsss]spp", Limits(switchover_within_s=0.1)), "switchover", Verdict.FAIL, Verdict.FAIL),
    # Nobody else ever answers.
    (history("ppp[xxxx]ppp", WITHIN), "switchover", Verdict.FAIL, Verdict.FAIL),
    # The standby answers once, then nobody does.
    (history("ppp[xsxx]ppp", WITHIN), "switchover", Verdict.FAIL, Verdict.FAIL),
    # Nobody else answers for 0.4 s, but 5 s are allowed: too short a fault to say.
    (history("ppp[xxxx]ppp", Limits(switchover_within_s=5)), "switchover", Verdict.INCONCLUSIVE, Verdict.INCONCLUSIVE),
    # Two lost, none allowed.
    (history("ppp[xxsss]spp", Limits(lost_at_most=0)), "lost requests", Verdict.FAIL, Verdict.FAIL),
    # Two lost, two allowed.
    (history("ppp[xxsss]spp", Limits(lost_at_most=2)), "lost requests", Verdict.PASS, Verdict.PASS),
    # Success that is none is lost.
    (history("ppp[ccsss]spp", Limits(lost_at_most=1)), "lost requests", Verdict.FAIL, Verdict.FAIL),
    # So is what was sent and never heard of again.
    (history("ppp[xssss]sp_", Limits(lost_at_most=1)), "lost requests", Verdict.FAIL, Verdict.FAIL),
    # Two slow answers, one allowed.
    (history("ppp[xSSss]spp", Limits(slow_at_most=1)), "slow answers", Verdict.FAIL, Verdict.FAIL),
    # The primary was back between 0.15 and 0.31 s after the fault; 0.1, 0.2 and 0.4 s are allowed.
    (history("ppp[xsss]sspp", Limits(failback_within_s=0.1)), "failback", Verdict.FAIL, Verdict.FAIL),
    (history("ppp[xsss]sspp", Limits(failback_within_s=0.2)), "failback", Verdict.INCONCLUSIVE, Verdict.INCONCLUSIVE),
    (history("ppp[xsss]sspp", Limits(failback_within_s=0.4)), "failback", Verdict.PASS, Verdict.PASS),
    # It never returned, in a phase that was long enough.
    (history("ppp[xsss]ssss", Limits(failback_within_s=0.4)), "failback", Verdict.FAIL, Verdict.FAIL),
    # Each pays 20 ms for the dead leg; 10 ms are allowed.
    (history("ppp[ddddd]spp", Limits(detour_at_most_s=0.01)), "detour", Verdict.FAIL, Verdict.FAIL),
    # 16 attempts for 11 requests are 1.45 each; 1.2 are allowed.
    (
        history("ppp[ddddd]spp", Limits(attempts_per_request_at_most=1.2)),
        *("attempts per request", Verdict.FAIL, Verdict.FAIL),
    ),
    # Traffic went to the standby all the time: the fault on the primary met nobody and proves nothing.
    (history("sss[ssss]sss", WITHIN), "faults reached requests", Verdict.INVALID, Verdict.INVALID),
    # The null drill finds no switchover, and is not allowed to pass.
    (history("pppppppppp", WITHIN), "faults reached requests", Verdict.INVALID, Verdict.INVALID),
    # A request failed before the fault: the gateway was not healthy. That outranks the failed expectation.
    (history("pxp[xxxx]ppp", WITHIN), "healthy before the fault", Verdict.INVALID, Verdict.INVALID),
    # A leg did not answer its probe.
    (
        history("ppp[xxsss]spp", start=probes("status 500")),
        *("healthy before the fault", Verdict.INVALID, Verdict.INVALID),
    ),
    # Nobody knows what the plane costs.
    (history("ppp[xxsss]spp", start=()), "fault plane", Verdict.INVALID, Verdict.INVALID),
    # The plane met something unexpected.
    (
        history("ppp[xxsss]spp", also=[PlaneTrouble(at_s=1.0, what="odd")]),
        *("fault plane", Verdict.INVALID, Verdict.INVALID),
    ),
    # The fault was dropped before the runner, which had fallen silent, asked for its end.
    (
        history(
            "ppp[xxsss]spp",
            also=[
                FaultCleared(fault="f1", began_s=1.72, at_s=1.72, why="the runner fell silent"),
                FaultClearRequested(fault="f1", at_s=1.75),
            ],
        ),
        *("fault plane", Verdict.INVALID, Verdict.INVALID),
    ),
    # One attempt in 13 has no request behind it: somebody else uses the legs.
    (history("ppp[xxsss]spp", also=stranger(1)), "attempt ledger", Verdict.INVALID, Verdict.INVALID),
    # An attempt that adds up.
    (history("ppp[xxsss]spp"), "attempt ledger", Verdict.PASS, Verdict.PASS),
    # One request in eleven could not be sent.
    (history("ppp[xnsss]spp"), "load generator", Verdict.INVALID, Verdict.INVALID),
    # No request after the fault.
    (history("ppp[xxsss]"), "traffic before, during and after", Verdict.INVALID, Verdict.INVALID),
    # The fault was never cleared.
    (history("ppp[xxsssspp"), "traffic before, during and after", Verdict.INVALID, Verdict.INVALID),
]


def _broken_at_the_end(event: AnyEvent, by: str) -> AnyEvent:
    """The arrival due at 1.5 ends at 1.7 as half an answer; a fault was at its attempt."""
    if isinstance(event, ArrivalDone) and event.seq == 5:
        return msgspec.structs.replace(event, done_s=1.7, ending=Ending.UNTERMINATED)
    if isinstance(event, AttemptDone) and event.attempt == 6:
        result = AttemptResult.FAULTED if by else AttemptResult.ANSWERED
        return msgspec.structs.replace(event, done_s=1.69, result=result, faults=(by,) if by else ())
    return event


@pytest.mark.parametrize(("by", "recovery_s", "bad"), [("f2", 0.21, 1), ("f1", None, 2), ("", None, 2)])
def test_what_the_next_fault_spoils_is_not_the_first_ones(by: str, recovery_s: float | None, bad: int) -> None:
    """The last request of the first window was being answered when the second fault cut it. Without that fault's
    touch the same half answer is the first one's.
    """
    story = history("ppp[xss{zttt}]ttp")
    [attempt] = [e for e in story if isinstance(e, AttemptReceived) and e.id == f"{5:016x}"]
    assert attempt.attempt == 6
    first, second = judge(tuple(_broken_at_the_end(event, by) for event in story), "story").switchovers
    assert first.recovery_s == (None if recovery_s is None else pytest.approx(recovery_s))
    assert first.bad == bad
    assert second.recovery_s == pytest.approx(0.21)


@pytest.mark.parametrize(("events", "name", "of_check", "of_drill"), VERDICTS)
def test_verdicts(events: tuple[AnyEvent, ...], name: str, of_check: Verdict, of_drill: Verdict) -> None:
    """A history gives one check this verdict, and the drill that one."""
    result = judge(events, "story")
    assert (check(result, name).verdict, result.verdict) == (of_check, of_drill), result.reasons


class TestRefused:
    """A fault that refuses connections leaves no trace at the plane."""

    def test_turned_away_arrivals_count_as_touched(self) -> None:
        """Five arrivals were due and none reached the leg that served before: each of them was turned away."""
        result = judge(history("ppp[rrsss]spp", connections=Connections.REFUSED), "story")
        assert result.faults[0].touched_requests == 5
        assert result.switchovers[0].recovery_s == pytest.approx(0.31)
        assert result.switchovers[0].avoidance_s is None
        assert result.switchovers[0].reasons["avoidance_s"].endswith("a refused connect leaves no trace")

    def test_nobody_is_turned_away_who_went_elsewhere(self) -> None:
        """The standby served before, so that nobody was turned away."""
        result = judge(history("sss[sssss]sss", connections=Connections.REFUSED), "story")
        assert (result.faults[0].touched_requests, result.verdict) == (0, Verdict.INVALID)

    def test_a_connect_that_hangs_is_seen(self) -> None:
        """A blackholed connect carries no id, but proves the fault and when the leg was last tried."""
        hung = ConnectHung(leg="primary", seen_s=1.35, faults=("f1",))
        text = "ppp[rssssssssssss]spp"
        result = judge(history(text, also=[hung], connections=Connections.BLACKHOLED), "story")
        assert (result.faults[0].touched_requests, result.faults[0].hung_connects) == (1, 1)
        assert result.switchovers[0].avoidance_s == pytest.approx(0.1)


class TestTransition:
    """A fault that takes 90 ms to put on: from 1.25 s, when it began, to 1.34 s, when it was effective."""

    def test_failures_meanwhile(self) -> None:
        """The request that was due at 1.3 s and failed at 1.32 s belongs to the fault: the start was healthy."""
        events = tuple(
            msgspec.structs.replace(event, at_s=1.34) if isinstance(event, FaultEffective) else event
            for event in history("ppp[xxsss]spp")
        )
        result = judge(events, "story")
        assert (result.verdict, result.faults[0].transition_s) == (Verdict.PASS, pytest.approx(0.09))
        assert (result.switchovers[0].arrivals, result.switchovers[0].bad) == (4, 1)


def plane_of(late_s: float, *troubles: str) -> Result:
    """A story in which each probe comes so much later through the plane than straight."""
    late = tuple(
        msgspec.structs.replace(probe, done_s=probe.done_s + late_s) if probe.via is Via.PLANE else probe
        for probe in probes()
    )
    met = [PlaneTrouble(at_s=1.0, what=what) for what in troubles]
    return judge(history("ppp[xxsss]spp", WITHIN, start=late, also=met), "story")


@pytest.mark.parametrize(
    ("late_s", "troubles", "observed", "busy"),
    [
        # The machine was busy: the drill proved nothing, and another run may.
        (0.05, (), "52.0 ms added, 0 troubles", True),
        # Something went wrong besides, or nothing but that: no quieter machine helps.
        (0.05, ("odd",), "52.0 ms added, 1 troubles", False),
        (0.0, ("odd",), "2.0 ms added, 1 troubles", False),
    ],
)
def test_a_slow_plane_is_told_from_one_in_trouble(
    late_s: float, troubles: tuple[str, ...], observed: str, busy: bool
) -> None:
    """Either makes the drill invalid; only the first is the machine's doing."""
    result = plane_of(late_s, *troubles)
    assert (result.verdict, result.reasons) == (Verdict.INVALID, (f"fault plane: {observed}",))
    assert too_busy(result) is busy
    assert not too_busy(plane_of(0.0))


class TestEnds:
    """How a run ended outranks what it found."""

    def test_interrupted(self) -> None:
        """A person stopped it: whatever was found, nobody is judged."""
        result = judge(history("ppp[xxxx]ppp", WITHIN, ended=RunEnded(at_s=9, interrupted="stopped")), "story")
        assert (result.verdict, result.exit_code, result.reasons) == (Verdict.INTERRUPTED, 130, ("stopped",))

    def test_killed(self) -> None:
        """A history without its last line is that of a drill that was killed."""
        result = judge(history("ppp[xxss", WITHIN, ended=None), "story")
        assert result.verdict is Verdict.INTERRUPTED
        assert result.failbacks[0].reasons == {"failback_s": "the fault was never cleared"}

    def test_a_crashed_check_is_unknown(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A check that crashes says nothing, so the drill proves nothing; it never looks like a pass."""

        def crash(_measured: Measured) -> CheckPart | None:
            raise ZeroDivisionError("oops")

        crashing: Callable[[], tuple[Check, ...]] = lambda: (Check("crashing", 100, crash),)  # noqa: E731
        monkeypatch.setattr(verdicts, "checks", crashing)
        result = judge(history("ppp[xxsss]spp"), "story")
        [part] = result.checks
        assert (part.verdict, part.observed) == (Verdict.UNKNOWN, "the check crashed: ZeroDivisionError: oops")
        assert (result.verdict, result.exit_code) == (Verdict.INVALID, 3)


LETTERS = "pstdSxzrbcun_"


@pytest.mark.parametrize("letter", LETTERS)
def test_each_arrival_has_one_outcome(letter: str) -> None:
    """Whatever became of it, an arrival is in exactly one outcome and on exactly one row of the ledger."""
    result = judge(history(f"ppp[{letter * 5}]sss"), "story")
    requests = result.requests
    assert requests.due == 11
    assert requests.ok + requests.lost + requests.not_started == 11
    assert sum(path.requests for path in result.paths) == 11


def test_the_same_history_gives_the_same_result() -> None:
    """Judging is pure: the order of the events between the first and the last does not matter."""
    events = history("ppp[xss{zttt}]ttp", WITHIN)
    shuffled = (events[0], *reversed(events[1:-1]), events[-1])
    one, other = judge(events, "story"), judge(shuffled, "story")
    assert msgspec.json.encode(one) == msgspec.json.encode(other)


def test_a_fault_that_the_gateway_never_came_to_because_it_was_stuck_is_a_fail() -> None:
    """The primary is lost and the gateway stays on it: that the later loss of the standby meets nobody is no excuse."""
    limits = Limits(lost_at_most=0, switchover_within_s=0.2)
    result = judge(history("ppp[xxx{xxx}xxx]pppp", limits), "told")
    assert result.verdict is Verdict.FAIL
    assert check(result, "faults reached requests").verdict is Verdict.PASS
    assert "stuck on an earlier fault" in check(result, "faults reached requests").observed
    assert check(result, "switchover").verdict is Verdict.FAIL


def test_a_fault_on_an_idle_leg_alone_is_still_invalid() -> None:
    """Nothing held the gateway; the fault was simply put where no traffic was."""
    result = judge(history("ppp{ppp}pppp", Limits(lost_at_most=0)), "told")
    assert result.verdict is Verdict.INVALID
    assert "No request reached standby in the whole drill" in check(result, "faults reached requests").advice


def test_a_leg_that_served_in_another_phase_is_not_told_to_be_idle() -> None:
    """Its requests came later: the order and the address are right, and the fault's phase is not."""
    result = judge(history("sss[ssss]ppp", WITHIN), "told")
    assert result.verdict is Verdict.INVALID
    assert "No request reached" not in check(result, "faults reached requests").advice


def test_a_leg_that_is_called_and_never_serves_has_nothing_to_switch_over_from() -> None:
    """Every answer is the standby's; the primary gets a copy of one request, for nothing. That is no switchover."""
    told = history("ppp[xxsss]spp")
    copies = tuple(
        msgspec.structs.replace(event, id=f"{4:016x}") if isinstance(event, AttemptReceived) else event
        for event in told
        if isinstance(event, AttemptReceived | AttemptDone) and event.attempt == 4
    )
    result = judge(history("sss[sss]sss", Limits(switchover_within_s=0.5), also=renumbered(copies)), "told")
    assert result.faults[0].touched_requests == 1
    assert result.verdict is Verdict.INVALID
    assert "none of its legs gave an answer just before" in check(result, "faults reached requests").observed


def test_a_stream_that_a_later_fault_breaks_is_not_charged_to_the_one_before() -> None:
    """It was due, and well served by the standby, before the second fault began: the first one was survived at 1.46.

    The same at the onset of a single fault: what was under way then belongs to no window.
    """
    broken = []
    for event in history("ppp[xss{zttt}]ttp"):
        if isinstance(event, ArrivalSent) and event.seq == 5:
            event = msgspec.structs.replace(event, stream=True)  # noqa: PLW2901
        if isinstance(event, ArrivalDone) and event.seq == 5:
            changes = {"done_s": 1.57, "ending": Ending.BROKEN, "first_token_s": 1.52, "shape": None, "legs": ()}
            event = msgspec.structs.replace(event, **changes)  # noqa: PLW2901
        if isinstance(event, AttemptDone) and event.attempt == 6:
            event = msgspec.structs.replace(  # noqa: PLW2901
                event, done_s=1.57, result=AttemptResult.FAULTED, faults=("f2",)
            )
        broken.append(event)
    result = judge(tuple(broken), "story")
    assert result.requests.broken_streams == 1
    assert result.switchovers[0].recovery_s == pytest.approx(0.21)
    assert result.switchovers[0].bad == 1


def test_a_gateway_that_turns_callers_away_while_it_shuts_down_is_out_from_the_moment_it_was_told() -> None:
    """Told at 1.25 and gone at 1.65: the four who were turned away until then count, and so does their time."""
    told = []
    for event in history("ppp[xxxxxxsss]spp"):
        if isinstance(event, RunStarted):
            restart = msgspec.structs.replace(event.faults[0], kind="gateway_restart", plane="process", legs=())
            event = msgspec.structs.replace(event, faults=(restart,))  # noqa: PLW2901
        if isinstance(event, FaultEffective):
            event = msgspec.structs.replace(event, legs=(), began_s=1.25, at_s=1.65)  # noqa: PLW2901
        told.append(event)
    result = judge(tuple(told), "story")
    found = result.switchovers[0]
    assert (found.onset_s, found.bad) == (1.25, 6)
    assert found.recovery_s == pytest.approx(0.71)
    assert found.client_outage_s.point == pytest.approx(0.6)
    assert result.faults[0].transition_s == pytest.approx(0.4)


def renumbered(events: tuple[AttemptReceived | AttemptDone, ...]) -> tuple[AttemptReceived | AttemptDone, ...]:
    """The same attempt under a number that no other has."""
    return tuple(msgspec.structs.replace(event, attempt=1000 + event.attempt) for event in events)
