"""What answers are at least, against what the simulated providers really send; and what is too much to be proved."""

from __future__ import annotations

import ssl
import string
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import httpx
import msgspec
import pytest
from plane_harness import Lines, mark

from drills import providers
from drills.answersize import smallest, too_brief
from drills.simulator import SimulatedLeg, SimulatorReady, SimulatorSpec
from faults.bandwidth import Bandwidth
from faults.base import Fault, kinds
from faults.blackhole import Blackhole
from faults.corrupt_crc import CorruptCrc
from faults.cut import Cut
from faults.gateway_kill import GatewayKill
from faults.hang import Hanging
from faults.identity_slow import IdentitySlow
from faults.malformed_event import MalformedEvent
from faults.partial_frame import PartialFrame
from faults.proof import AnswerSize
from faults.refuse import Refuse
from faults.shapes import Shape, Square
from faults.slow import Slow
from faults.slow_first_token import SlowFirstToken
from faults.slow_tokens import SlowTokens
from faults.stall import Stall
from faults.wire_bandwidth import WireBandwidth
from faults.wire_latency import WireLatency
from faults.wire_limit_data import WireLimitData
from faults.wire_slicer import WireSlicer
from faults.wire_slow_close import WireSlowClose
from faults.wire_timeout import WireTimeout

pytestmark = pytest.mark.clock

FIRST_TOKEN_S, TOKENS_PER_S = 0.02, 400.0
NAMES = string.ascii_lowercase
"""Of legs: no shorter ones can be."""


@dataclass
class Came:
    """What a simulated provider sent: its body, and the seconds to its first and its last byte."""

    body: bytes
    first_s: float
    last_s: float


def ask(http: httpx.Client, words: int, stream: bool, port: int, dialect: str) -> Came:
    """One request straight to a simulated provider."""
    asked = providers.get(dialect).probe("a", mark(words).prompt(), stream)
    url, headers, came = f"http://127.0.0.1:{port}{asked.path}", dict(asked.headers), Came(b"", 0.0, 0.0)
    began_s = time.monotonic()
    with http.stream(asked.method, url, headers=headers, content=asked.body) as response:
        for data in response.iter_raw():
            came.last_s = time.monotonic() - began_s
            came.first_s = came.first_s or came.last_s
            came.body += data
    return came


def test_the_smallest_answers_are_those_of_the_simulated_providers() -> None:
    """To the byte and the event, over all dialects, for callers who want fewer words than probes, and more."""
    dialects = dict(zip(NAMES, providers.names(), strict=False))
    legs = tuple(SimulatedLeg(name, dialect) for name, dialect in dialects.items())
    simulator = Lines("drills.simulator", SimulatorSpec(legs, FIRST_TOKEN_S, TOKENS_PER_S))
    ports = msgspec.json.decode(simulator.first, type=SimulatorReady).ports
    for words, of_probe in ((1, 12), (50, 50)):
        found = smallest(words, FIRST_TOKEN_S, TOKENS_PER_S)
        no_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        with httpx.Client(timeout=5, trust_env=False, verify=no_tls) as http, ThreadPoolExecutor() as beside:
            for_caller, streams, wholes = (
                list(beside.map(partial(ask, http, asked, stream), ports.values(), dialects.values()))
                for asked, stream in ((words, True), (of_probe, True), (of_probe, False))
            )
        events, caller_events = (
            [
                len(providers.get(dialect).count_events(came.body, b"")[0])
                for dialect, came in zip(dialects.values(), answers, strict=True)
            ]
            for answers in (streams, for_caller)
        )
        assert found.whole_bytes == min(len(came.body) for came in wholes)
        assert found.stream_bytes == min(len(came.body) for came in streams)
        assert found.events == min(events)
        assert found.caller_events == min(caller_events)
        # A busy machine makes each byte later, the first one too; none comes too early, and the quickest is in time.
        spans_s = [came.last_s - came.first_s for came in streams]
        assert min(spans_s) - 0.05 < found.stream_s < max(spans_s) + 0.01
        assert found.usual_s <= min(came.last_s for came in (*wholes, *streams)) < found.usual_s + 0.05
    simulator.close()


# --- what could not be proved ----------------------------------------------------------------------------------------

ANSWER = AnswerSize(whole_bytes=500, stream_bytes=3000, events=20, caller_events=14, stream_s=0.05, usual_s=0.1)
"""So a stream that takes 0.05 s + 0.25 s comes at 10 kB/s."""

BOUNDS: list[tuple[Fault, Fault, str, str]] = [
    # just provable, just not, for which setting, and what is said
    (Cut(after=12), Cut(after=13), "after", "has 14 events, so it must be at most 12"),
    (Cut(after=12, how="clean"), Cut(after=13, how="clean"), "after", "at most 12"),
    (Stall(after=12), Stall(after=13), "after", "at most 12"),
    (MalformedEvent(after=12), MalformedEvent(after=13), "after", "at most 12"),
    (CorruptCrc(after=12), CorruptCrc(after=13), "after", "at most 12"),
    (PartialFrame(after=12), PartialFrame(after=13), "after", "at most 12"),
    (Slow(by=0.1), Slow(by=0.099), "by", "at least 0.1s is needed"),
    # A probe meets the mean, whatever the spread.
    (Slow(by=0.1, spread=9.0, shape="normal"), Slow(by=0.09, spread=9.0, shape="normal"), "by", "at least 0.1s"),
    (IdentitySlow(by=0.1), IdentitySlow(by=0.099), "by", "at least 0.1s is needed"),
    (SlowFirstToken(by=0.25), SlowFirstToken(by=0.249), "by", "at least 0.25s is needed"),
    # Twenty times this is 0.25 s.
    (SlowTokens(by=0.0125), SlowTokens(by=0.0124), "by", "at least 0.0125s is needed"),
    (
        Bandwidth(rate=10_000.0),
        Bandwidth(rate=10_001.0),
        "rate",
        "3000 bytes and takes 0.05s, so it must be at most 10kB",
    ),
    (WireBandwidth(kilobytes_per_s=10), WireBandwidth(kilobytes_per_s=11), "kilobytes_per_s", "at most 10kB/s"),
    (WireLatency(latency=0.1), WireLatency(latency=0.099), "latency", "at least 0.1s must be left"),
    (
        WireLatency(latency=0.5, jitter=0.4),
        WireLatency(latency=0.5, jitter=0.41),
        "jitter",
        "at least 0.1s must be left",
    ),
    (WireLimitData(bytes=2999), WireLimitData(bytes=3000), "bytes", "has 3000 bytes, so it must be less"),
    (WireSlowClose(delay=0.2), WireSlowClose(delay=0.199), "delay", "at least 0.2s is needed"),
    (
        WireSlicer(average_size=128),
        WireSlicer(average_size=129),
        "average_size",
        "pieces of up to 128 bytes are needed",
    ),
    # Five pieces have four pauses between them; four have three.
    (
        WireSlicer(average_size=129, delay=0.09),
        WireSlicer(average_size=129, delay=0.08),
        "average_size",
        "0.25s in all",
    ),
    (WireSlicer(average_size=499, delay=0.25), WireSlicer(average_size=500, delay=9.0), "average_size", "of 500 bytes"),
]


@pytest.mark.parametrize(("provable", "not_provable", "setting", "words"), BOUNDS, ids=repr)
def test_the_bounds_of_what_can_be_proved(provable: Fault, not_provable: Fault, setting: str, words: str) -> None:
    """Just within them nothing is said; just beyond, which setting it is and what is needed."""
    assert provable.unprovable(ANSWER) is None
    found = not_provable.unprovable(ANSWER)
    assert found is not None
    assert found.setting == setting
    assert words in found.needed


def test_every_fault_with_a_bound_is_in_the_table() -> None:
    """Who has one says so here; of the others any setting can be proved."""
    bounded = {cls for cls in kinds().values() if "unprovable" in vars(cls)}
    assert {type(fault) for fault, *_ in BOUNDS} == bounded
    assert WireTimeout(timeout=0.001).unprovable(ANSWER) is None


FLAPS = Shape(square=Square(period_s=1.0, on=0.6))
BRIEF = [
    # fault, its shape, how long it lasts, how long a healthy answer takes, whether that is enough: a probe waits for
    # 80% of it, and needs the answer's time and 0.25 s
    (Hanging(), None, 1.0, 0.549, True),
    (Hanging(), None, 1.0, 0.551, False),
    # What flaps as a whole is on for 0.6 s at a time; what flaps for requests only hits every probe all the time.
    (Blackhole(), FLAPS, 10.0, 0.229, True),
    (Blackhole(), FLAPS, 10.0, 0.231, False),
    (WireLatency(latency=1.0), FLAPS, 10.0, 0.231, False),
    (Hanging(), FLAPS, 10.0, 0.231, True),
    # A connect is refused at once; a fault on the gateway has no probe.
    (Refuse(), FLAPS, 10.0, 9.0, True),
    (GatewayKill(), FLAPS, 1.0, 9.0, True),
]


@pytest.mark.parametrize(("fault", "shape", "lasts_s", "usual_s", "enough"), BRIEF)
def test_a_fault_must_be_on_for_long_enough(
    fault: Fault, shape: Shape | None, lasts_s: float, usual_s: float, enough: bool
) -> None:
    """A probe that waits for nothing has to wait for longer than an answer takes."""
    why = too_brief(fault, shape, lasts_s, msgspec.structs.replace(ANSWER, usual_s=usual_s))
    assert (why == "") is enough
    assert enough or f"a healthy leg takes {usual_s:g}s" in why
