"""Phases that end by a condition: what is written, what is counted, and that measuring uses the real times."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest
from calibration.story import history
from test_scenario import LEGS, timeline

from drills.client import Callers
from drills.clock import Clock
from drills.events import (
    AnyEvent,
    ArrivalDone,
    ArrivalNotStarted,
    ArrivalSent,
    AttemptDone,
    AttemptReceived,
    AttemptResult,
    Ending,
    PhasePlan,
    PhaseStarted,
    TimelineEnded,
    UntilAnswered,
)
from drills.load import drive
from drills.marks import Mark, Shape
from drills.plan import Arrival, make
from drills.problems import UsageProblem
from drills.result import Result, Verdict
from drills.scenario import Answered, Until
from drills.targets import resolve
from drills.until import Answers, Progress
from drills.verdict import judge

pytestmark = pytest.mark.clock


def answer(leg: str, done_s: float, ending: Ending = Ending.COMPLETE, shape: Shape = Shape.WHOLE) -> ArrivalDone:
    """An answer of a leg."""
    return ArrivalDone(
        seq=0,
        first_byte_s=None,
        first_token_s=None,
        done_s=done_s,
        ending=ending,
        status=200,
        shape=shape,
        legs=(leg,),
        words=12,
    )


COUNTED: list[tuple[AnyEvent, int]] = [
    # A whole answer of one of the legs, given since the phase began at 10 s.
    (answer("a", 10.0), 1),
    (answer("b", 11.0), 1),
    # Of another leg, given before, failed, and half of one.
    (answer("c", 11.0), 0),
    (answer("a", 9.9), 0),
    (answer("a", 11.0, Ending.BROKEN), 0),
    (answer("a", 11.0, shape=Shape.TRUNCATED), 0),
    # Something else.
    (ArrivalSent(seq=1, id="", stream=False, due_s=11.0, sent_s=11.0), 0),
]


@pytest.mark.parametrize(("event", "counted"), COUNTED)
def test_what_is_counted(event: AnyEvent, counted: int) -> None:
    """Whole answers of these legs since the phase began."""
    progress = Progress(UntilAnswered(legs=("a", "b"), requests=2), 10.0)
    if (done := Answers(inferred=False).of(event)) is not None:
        progress.take(done)
    assert progress.requests == counted
    assert not progress.reached
    progress.take(answer("a", 12.0))
    progress.take(answer("a", 12.1))
    assert progress.reached


def test_an_application_s_answers_are_those_of_its_attempts() -> None:
    """Nobody tells of its callers' requests; a call of a gateway without a mark is no caller's."""
    seen = AttemptReceived(
        attempt=1, leg="a", id="", surface="model", operation="chat", model="m", stream=False, received_s=11.0
    )
    done = AttemptDone(attempt=1, answered_s=11.1, done_s=11.2, status=200, result=AttemptResult.ANSWERED, faults=())
    answers = Answers(inferred=True)
    assert answers.of(seen) is None
    found = answers.of(done)
    assert found is not None
    progress = Progress(UntilAnswered(legs=("a",), requests=1), 10.0)
    progress.take(found)
    assert progress.reached
    told = Answers(inferred=False)
    assert (told.of(seen), told.of(done)) == (None, None)


UNTIL = "  - {phase: outage, for: 5s, until: {answered: {role: secondary, requests: 50}}}\n  - {phase: rest, for: 5s}\n"


def test_a_condition_is_planned() -> None:
    """The legs of the role; the planned times are the latest ones."""
    scenario = timeline(UNTIL)
    assert scenario.timeline[1].until == Until(answered=Answered(role="secondary", requests=50))
    plan = make(scenario, LEGS, 1, "n")
    until = UntilAnswered(legs=("two",), requests=50)
    assert plan.phases[1] == PhasePlan(name="outage", start_s=5, end_s=10, faults=(), until=until)
    assert plan.phases[2].until is None
    assert (plan.duration_s, len(plan.arrivals)) == (15, 75)


def test_a_role_that_no_leg_has() -> None:
    """It would never be answered."""
    scenario = timeline(UNTIL.replace("secondary", "quinary"))
    with pytest.raises(UsageProblem) as caught:
        resolve(scenario, LEGS)
    assert str(caught.value) == (
        "a.yaml:6:5: phase 'outage' waits for answers of the 'quinary', which is no leg; "
        "allowed: primary, secondary, tertiary"
    )


def test_the_load_ends_with_the_timeline() -> None:
    """Ten arrivals, 50 ms apart; after 120 ms it is over, and the third is the last one."""
    clock = Clock()
    seen: list[ArrivalSent | ArrivalDone | ArrivalNotStarted] = []

    async def call(*_: object) -> ArrivalDone:
        await asyncio.sleep(0.2)
        return answer("a", clock.now_s())

    async def run() -> None:
        over = asyncio.Event()
        asyncio.get_running_loop().call_later(0.12, over.set)
        plan = [Arrival(n, n * 0.05, stream=False, mark=Mark(f"{n:016x}")) for n in range(10)]
        callers = cast("Callers", SimpleNamespace(clock=clock, call=call))
        await drive(callers, plan, clock.now_s(), 1.0, seen.append, over)

    asyncio.run(run())
    assert [event.seq for event in seen if isinstance(event, ArrivalSent)] == [0, 1, 2]
    assert sum(isinstance(event, ArrivalDone) for event in seen) == 3


def shortened(end_s: float, planned: int) -> Result:
    """A story of eleven arrivals from 1.0 to 2.0 s whose phases were planned 5 s long, and ended early."""
    head, *rest = history("ppp[xxsss]spp")
    plans = tuple(
        msgspec.structs.replace(plan, start_s=number * 5.0, end_s=number * 5.0 + 5)
        for number, plan in enumerate(cast("Any", head).phases)
    )
    reached = [PhaseStarted(phase=plan.name, at_s=at_s) for plan, at_s in zip(plans, (0.51, 1.25, 1.75), strict=True)]
    head = msgspec.structs.replace(cast("Any", head), phases=plans, arrivals=planned)
    return judge((head, *reached, TimelineEnded(at_s=end_s), *rest), "story")


def test_phases_are_measured_where_they_were() -> None:
    """They begin where the run reached them; the first with the timeline, and the last ends with it."""
    result = shortened(2.05, 150)
    assert [(p.start_s, p.end_s, p.due) for p in result.phases] == [(0.5, 1.25, 3), (1.25, 1.75, 5), (1.75, 2.05, 3)]


@pytest.mark.parametrize(
    ("end_s", "planned", "verdict"),
    [
        # Planned to 15.5 s, 13.45 s early at ten a second: 135 of 146 arrivals need not come.
        (2.05, 146, Verdict.PASS),
        # Five more were planned for the time until then.
        (2.05, 151, Verdict.INVALID),
        # As long as planned, and almost nothing came.
        (15.5, 146, Verdict.INVALID),
    ],
)
def test_arrivals_of_the_time_that_was_left_out_are_not_missing(end_s: float, planned: int, verdict: Verdict) -> None:
    """Those that should have come until the real end are."""
    [part] = [part for part in shortened(end_s, planned).checks if part.name == "load generator"]
    assert part.verdict is verdict, part.evidence
