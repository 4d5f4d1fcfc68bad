"""Answers that come late or slowly, on real sockets: nothing is lost, and everything flows again when it ends."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import httpx
import pytest
from plane_harness import SETTLE_S, Bench, Streamed, bench, mark, until

from drills import providers
from drills.events import AttemptResult
from drills.marks import Mark, Shape, read_answer

pytestmark = pytest.mark.clock

STREAMS = ["openai", "anthropic", "gemini", "bedrock"]
LATE_S = 0.4


@pytest.fixture(scope="module")
def rig() -> Iterator[Bench]:
    """One plane and one simulator: legs are named after their dialects."""
    with bench({name: name for name in providers.names()}) as found:
        yield found
        assert found.plane.troubles == []


def whole(leg: str, streamed: Streamed, asked: Mark) -> bool:
    """Whether a stream came whole after all."""
    text = providers.get(leg).read(stream=True, body=streamed.body)
    return streamed.error is None and read_answer(text, asked).shape is Shape.WHOLE


@pytest.mark.parametrize("leg", STREAMS)
def test_slow_first_token_sends_the_head_at_once(rig: Bench, leg: str) -> None:
    """The head comes before the first event by the fault's time; the rest is not slower than it was."""
    asked, began_s = mark(20), time.monotonic()
    with rig.caller(leg) as caller, rig.plane.fault("slow_first_token", leg, by=LATE_S) as fault:
        streamed = caller.begin(asked, stream=True)
        until(lambda: streamed.status == 200)
        head_s = time.monotonic() - began_s
        assert streamed.ended.wait(SETTLE_S)
        assert whole(leg, streamed, asked)
        first_s, last_s = streamed.parts[0][0] - began_s, streamed.parts[-1][0] - began_s
        assert first_s - head_s >= LATE_S - 0.1
        assert first_s >= LATE_S
        assert last_s - first_s < 1.0  # 21 tokens of 5 ms
        done = rig.plane.attempt(asked.id)[1]
        assert (done.status, done.result, done.faults) == (200, AttemptResult.ANSWERED, (fault,))
        assert done.done_s >= streamed.parts[0][0]  # the answer is done when the gateway has it


@pytest.mark.parametrize("leg", STREAMS)
def test_slow_tokens_slow_each_event(rig: Bench, leg: str) -> None:
    """Every event comes by itself, and no sooner than so much after the one before."""
    asked, began_s = mark(8), time.monotonic()
    with rig.caller(leg) as caller, rig.plane.fault("slow_tokens", leg, by=0.05) as fault:
        streamed = caller.begin(asked, stream=True)
        assert streamed.ended.wait(SETTLE_S)
        assert whole(leg, streamed, asked)
        events = caller.events_in(streamed.body)
        assert streamed.parts[-1][0] - began_s >= 0.05 * events
        assert len(streamed.parts) >= events - 2  # a busy machine may read two at a time
        assert rig.plane.attempt(asked.id)[1].faults == (fault,)


@pytest.mark.parametrize("stream", [False, True])
def test_bandwidth_limits_every_body(rig: Bench, stream: bool) -> None:
    """A body takes its bytes divided by the rate, in many pieces, whole and streamed alike."""
    asked, began_s = mark(30), time.monotonic()
    with rig.caller("anthropic") as caller, rig.plane.fault("bandwidth", "anthropic", rate=5000.0) as fault:
        streamed = caller.begin(asked, stream=stream)
        assert streamed.ended.wait(SETTLE_S)
        took_s, expected_s = time.monotonic() - began_s, len(streamed.body) / 5000
        assert streamed.error is None
        assert read_answer(caller.dialect.read(stream, streamed.body), asked).shape is Shape.WHOLE
        assert expected_s <= took_s < expected_s + 1.0
        assert max(len(data) for _, data in streamed.parts) <= 5000 * 0.05 * 4  # a busy machine may read some at a time
        done = rig.plane.attempt(asked.id)[1]
        assert (done.result, done.faults) == (AttemptResult.ANSWERED, (fault,))


def test_delays_of_two_faults_are_summed(rig: Bench) -> None:
    """A request waits for both, one after the other."""
    with rig.caller("openai") as caller, rig.plane.fault("slow", "openai", by=0.2) as one:
        with rig.plane.fault("slow", "openai", by=0.25) as other:
            asked, began_s = mark(2), time.monotonic()
            assert caller.reading(asked).shape is Shape.WHOLE
            assert time.monotonic() - began_s >= 0.45
        assert set(rig.plane.attempt(asked.id)[1].faults) == {one, other}


@pytest.mark.parametrize(
    "paces",
    [
        (("slow_first_token", 0.2), ("slow_first_token", 0.25)),
        (("slow_tokens", 0.04), ("slow_tokens", 0.05)),
        (("slow_first_token", 0.25), ("slow_tokens", 0.05)),
    ],
    ids=str,
)
def test_paces_of_two_faults_are_summed(rig: Bench, paces: tuple[tuple[str, float], ...]) -> None:
    """Each event is as late as both make it together: the first of them and the last."""
    asked, began_s = mark(2), time.monotonic()
    with contextlib.ExitStack() as on, rig.caller("openai") as caller:
        for kind, by in paces:
            on.enter_context(rig.plane.fault(kind, "openai", by=by))
        streamed = caller.begin(asked, stream=True)
        assert streamed.ended.wait(SETTLE_S)
        assert whole("openai", streamed, asked)
        events = caller.events_in(streamed.body)
        assert events >= 4
        assert streamed.parts[0][0] - began_s >= sum(by for _, by in paces)
        due_s = sum(by * (events if kind == "slow_tokens" else 1) for kind, by in paces)
        assert streamed.parts[-1][0] - began_s >= due_s


@pytest.mark.parametrize("rates", [(2000.0, 50_000.0), (50_000.0, 2000.0)])
def test_of_two_bandwidths_the_narrower_counts(rig: Bench, rates: tuple[float, float]) -> None:
    """Whichever is put on first."""
    asked, began_s = mark(10), time.monotonic()
    with contextlib.ExitStack() as on, rig.caller("openai") as caller:
        for rate in rates:
            on.enter_context(rig.plane.fault("bandwidth", "openai", rate=rate))
        streamed = caller.begin(asked, stream=False)
        assert streamed.ended.wait(SETTLE_S)
        assert len(streamed.body) > 500
        assert time.monotonic() - began_s >= len(streamed.body) / 2000


SLOW = [("slow_first_token", {"by": 60.0}), ("slow_tokens", {"by": 60.0}), ("bandwidth", {"rate": 1.0})]


@pytest.mark.parametrize(("kind", "settings"), SLOW)
def test_everything_flows_again_when_it_is_cleared(rig: Bench, kind: str, settings: dict[str, float]) -> None:
    """What waited follows at once and whole, though the leg was done long before."""
    asked = mark(30)
    with rig.caller("openai") as caller:
        with rig.plane.fault(kind, "openai", **settings) as fault:
            streamed = caller.begin(asked, stream=True)
            assert not streamed.ended.wait(0.5)
        assert streamed.ended.wait(1.0)
        assert whole("openai", streamed, asked)
        assert rig.plane.attempt(asked.id)[1].faults == (fault,)
        assert caller.reading(mark(), stream=True).shape is Shape.WHOLE


@pytest.mark.parametrize(("kind", "settings"), SLOW)
def test_a_caller_that_leaves_is_seen(rig: Bench, kind: str, settings: dict[str, float]) -> None:
    """The caller's read timeout passes while the answer waits: the attempt ends then, and not in a minute."""
    asked = mark(10)
    with rig.plane.fault(kind, "openai", **settings) as fault, rig.caller("openai", timeout_s=0.3) as caller:
        streamed = caller.begin(asked, stream=True)
        assert streamed.ended.wait(SETTLE_S)
        assert isinstance(streamed.error, httpx.ReadTimeout)
        done = rig.plane.attempt(asked.id)[1]
        assert (done.result, done.faults) == (AttemptResult.ABANDONED, (fault,))


@pytest.mark.parametrize("kind", ["slow_first_token", "slow_tokens"])
def test_whole_answers_are_not_late(rig: Bench, kind: str) -> None:
    """A request that does not stream passes, and the fault did not touch it."""
    asked = mark()
    with rig.caller("openai") as caller, rig.plane.fault(kind, "openai", by=60.0):
        assert caller.reading(asked).shape is Shape.WHOLE
        assert rig.plane.attempt(asked.id)[1].faults == ()


def test_an_answer_by_a_fault_is_not_slowed_down(rig: Bench) -> None:
    """A status beside a thin line: the status comes at once, and the line did nothing to it."""
    asked = mark()
    with (
        rig.caller("openai") as caller,
        rig.plane.fault("bandwidth", "openai", rate=1.0),
        rig.plane.fault("status", "openai", code=503) as status,
    ):
        assert caller.ask(asked).status_code == 503
        assert rig.plane.attempt(asked.id)[1].faults == (status,)


CUTS = [("rst", httpx.ReadError), ("fin", httpx.RemoteProtocolError), ("clean", type(None)), ("error", type(None))]


@pytest.mark.parametrize(("how", "error"), CUTS)
@pytest.mark.parametrize("first", ["cut", "slow_tokens"])
def test_a_slow_stream_is_cut_at_its_event(rig: Bench, how: str, error: type, first: str) -> None:
    """What was to pass has passed, slowly, before the end comes; in whatever order the faults were put on."""
    asked, began_s = mark(30), time.monotonic()
    with rig.caller("openai") as caller:
        on = {"cut": {"after": 5, "how": how}, "slow_tokens": {"by": 0.06}}
        faults = [rig.plane.apply(kind, ["openai"], **on[kind]) for kind in sorted(on, key=lambda kind: kind != first)]
        streamed = caller.begin(asked, stream=True)
        assert streamed.ended.wait(SETTLE_S)
        assert time.monotonic() - began_s >= 5 * 0.06
        assert type(streamed.error) is error
        assert caller.events_in(streamed.body) == 5 + (how == "error")
        assert set(rig.plane.attempt(asked.id)[1].faults) == set(faults)
        for fault in faults:
            rig.plane.clear(fault)


def test_a_slow_stream_stalls_at_its_event(rig: Bench) -> None:
    """And goes on when the stall is cleared, whole."""
    asked = mark(12)
    with rig.caller("openai") as caller, rig.plane.fault("slow_tokens", "openai", by=0.03):
        with rig.plane.fault("stall", "openai", after=4):
            streamed = caller.begin(asked, stream=True)
            assert not streamed.ended.wait(0.8)
            assert caller.events_in(streamed.body) == 4
        assert streamed.ended.wait(SETTLE_S)
        assert whole("openai", streamed, asked)


def test_a_slow_stream_in_the_blackhole(rig: Bench) -> None:
    """What comes out of the line during a blackhole waits for its end; nothing is lost or out of order."""
    asked = mark(40)
    with rig.caller("anthropic") as caller, rig.plane.fault("slow_tokens", "anthropic", by=0.02):
        streamed = caller.begin(asked, stream=True)
        until(lambda: len(streamed.parts) > 3)
        with rig.plane.fault("blackhole", "anthropic"):
            time.sleep(0.1)
            seen = len(streamed.parts)
            assert not streamed.ended.wait(0.4)
            assert len(streamed.parts) == seen
        assert streamed.ended.wait(SETTLE_S)
        assert whole("anthropic", streamed, asked)
