"""What proves a fault: as values, on the real plane, and in the verdict."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import httpx
import msgspec
import pytest
from calibration.story import history, proof
from plane_harness import Bench, bench, host_of
from test_scenario import SETTINGS, timeline

from drills import providers
from drills.address import Address, Reach
from drills.answersize import smallest
from drills.checks.fault_proof import CHECK
from drills.client import came_of
from drills.clock import Clock
from drills.events import THE_GATEWAY, AttemptReceived, ConnectHung, FaultPlan, FaultProof, Probe, Via, When
from drills.legs import Leg
from drills.proofs import Prover, Timing
from drills.result import Verdict
from drills.verdict import judge
from faults.bandwidth import Bandwidth
from faults.base import Connections, Fault, kinds
from faults.blackhole import Blackhole
from faults.corrupt_crc import CorruptCrc
from faults.cut import Cut
from faults.dns_failure import DnsFailure
from faults.hang import Hanging
from faults.identity_down import IdentityDown
from faults.identity_slow import IdentitySlow
from faults.malformed_event import MalformedEvent
from faults.partial_frame import PartialFrame
from faults.proof import LATE_BY_S, Came, ProbeOutcome
from faults.refuse import Refuse
from faults.reset import Resetting
from faults.slow import Slow
from faults.slow_first_token import SlowFirstToken
from faults.slow_tokens import SlowTokens
from faults.stall import Stall
from faults.status import Status
from faults.wire_bandwidth import WireBandwidth
from faults.wire_down import WireDown
from faults.wire_latency import WireLatency
from faults.wire_limit_data import WireLimitData
from faults.wire_reset import WireReset
from faults.wire_slicer import WireSlicer
from faults.wire_slow_close import WireSlowClose
from faults.wire_timeout import WireTimeout


def met(  # noqa: PLR0913  one for each thing that a probe can meet
    came: Came,
    took_s: float,
    *,
    status: int | None = None,
    events: int = 0,
    byte: bool = False,
    first_s: float = 0.05,
    piece_size: float | None = None,
    body: bytes = b"",
    detail: str = "",
) -> ProbeOutcome:
    """What a probe met of a leg that usually answers in 0.1 s."""
    return ProbeOutcome(
        came=came,
        took_s=took_s,
        usual_s=0.1,
        status=status,
        events=events,
        first_byte_s=first_s if events or byte or came is Came.WHOLE else None,
        piece_size=piece_size,
        body=body,
        detail=detail,
    )


USUAL = met(Came.WHOLE, 0.1, status=200, events=14)
PROOFS: list[tuple[Fault, ProbeOutcome, bool]] = [
    # The port is closed; an answer with an error, or a connect that hangs, is something else.
    (Refuse(), met(Came.REFUSED, 0.001), True),
    (Refuse(), met(Came.CONNECT_HUNG, 1.3), False),
    (Refuse(), met(Came.STATUS, 0.1, status=503), False),
    # The name is not resolved, and just as the fault says; a name that is resolved, or another failure, is none.
    (DnsFailure(), met(Came.UNRESOLVED, 0.001, detail="nxdomain"), True),
    (DnsFailure(), met(Came.UNRESOLVED, 0.001, detail="servfail"), False),
    (DnsFailure(how="silent"), met(Came.UNRESOLVED, 1.3, detail="silent"), True),
    (DnsFailure(how="silent"), met(Came.CONNECT_HUNG, 1.3), False),
    (DnsFailure(), USUAL, False),
    # The connect hangs for clearly longer than a whole answer takes.
    (Blackhole(), met(Came.CONNECT_HUNG, 0.5), True),
    (Blackhole(), met(Came.CONNECT_HUNG, 0.2), False),
    (Blackhole(), met(Came.SILENT, 0.5), False),
    # Accepted, and then nothing; a connect that hangs is no hanging request, and one byte is not nothing.
    (Hanging(), met(Came.SILENT, 0.5), True),
    (Hanging(), met(Came.SILENT, 0.2), False),
    (Hanging(), met(Came.CONNECT_HUNG, 0.5), False),
    (Hanging(), met(Came.SILENT, 0.5, byte=True), False),
    # This status and no other.
    (Status(code=503), met(Came.STATUS, 0.1, status=503), True),
    (Status(code=503), met(Came.STATUS, 0.1, status=500), False),
    # It dies before an answer, not within it.
    (Resetting(), met(Came.RESET, 0.1), True),
    (Resetting(), met(Came.BROKEN, 0.1, events=1), False),
    # The right answer, and not before its time.
    (Slow(by=0.5), met(Came.WHOLE, 0.6, status=200), True),
    (Slow(by=0.5), met(Came.WHOLE, 0.4, status=200), False),
    (Slow(by=0.5), met(Came.STATUS, 0.6, status=503), False),
    # Six seconds late: after 1.3 s it is not there, and need not be; after 6.2 s it should be.
    (Slow(by=6.0), met(Came.SILENT, 1.3), True),
    (Slow(by=6.0), met(Came.SILENT, 6.2), False),
    # Due just when the probe gives up.
    (Slow(by=1.2), met(Came.SILENT, 1.32), True),
    (WireLatency(latency=1.0, jitter=0.2), met(Came.SILENT, 1.32), True),
    (WireTimeout(timeout=1.2), met(Came.SILENT, 1.32), True),
    (IdentitySlow(by=1.2), met(Came.SILENT, 1.32), True),
    # What comes at its usual time or is not due yet is no proof, and neither is a probe that had no time.
    (SlowFirstToken(by=2.0), met(Came.SILENT, 0.35), True),
    (SlowFirstToken(by=2.0), met(Came.SILENT, 0.25), False),
    (Bandwidth(rate=100.0), met(Came.SILENT, 0.35, byte=True), True),
    (Bandwidth(rate=100.0), met(Came.SILENT, 0.25, byte=True), False),
    # A short delay is told by its half.
    (Slow(by=0.1), met(Came.WHOLE, 0.16, status=200), True),
    (Slow(by=0.1), met(Came.WHOLE, 0.14, status=200), False),
    # Exactly where it should; a reset may discard the last events on their way.
    (Cut(after=4, how="fin"), met(Came.BROKEN, 0.1, events=4), True),
    (Cut(after=4, how="fin"), met(Came.BROKEN, 0.1, events=3), False),
    (Cut(after=4, how="rst"), met(Came.BROKEN, 0.1, events=3), True),
    (Cut(after=4, how="rst"), met(Came.BROKEN, 0.1, events=5), False),
    # Silent exactly where it should be.
    (Stall(after=4), met(Came.SILENT, 0.5, events=4), True),
    (Stall(after=4), met(Came.SILENT, 0.5, events=7), False),
    (Stall(after=4), met(Came.BROKEN, 0.5, events=4), False),
    # Late to its first byte; not yet time; or only slow in between.
    (WireLatency(latency=0.3), met(Came.WHOLE, 0.4, status=200, first_s=0.35), True),
    (WireLatency(latency=0.3), met(Came.WHOLE, 0.4, status=200, byte=True), False),
    (WireLatency(latency=9.0), met(Came.SILENT, 1.3), True),
    (WireLatency(latency=0.3), met(Came.SILENT, 1.3), False),
    (WireLatency(latency=0.3), met(Came.RESET, 0.4), False),
    # The line is down: a refused connect, as with `refuse`.
    (WireDown(), met(Came.REFUSED, 0.001), True),
    (WireDown(), met(Came.RESET, 0.1), False),
    # It dies before an answer.
    (WireReset(), met(Came.RESET, 0.1), True),
    (WireReset(), met(Came.BROKEN, 0.1), False),
    # Nothing until the connection ends, and that not before its time.
    (WireTimeout(timeout=1.0), met(Came.RESET, 1.0), True),
    (WireTimeout(timeout=1.0), met(Came.RESET, 0.1), False),
    (WireTimeout(timeout=5.0), met(Came.SILENT, 1.3), True),
    (WireTimeout(timeout=0.5), met(Came.SILENT, 1.3), False),
    # The connection ends in the answer.
    (WireLimitData(bytes=100), met(Came.RESET, 0.1), True),
    (WireLimitData(bytes=100), met(Came.BROKEN, 0.1), True),
    (WireLimitData(bytes=100), met(Came.SILENT, 1.3), False),
    # The answer is there, and the end of its connection late.
    (WireSlowClose(delay=0.5), met(Came.WHOLE, 0.6, status=200), True),
    (WireSlowClose(delay=0.5), met(Came.WHOLE, 0.4, status=200), False),
    # The answer is there, and its end is not due yet, or is.
    (WireSlowClose(delay=5.0), met(Came.SILENT, 1.3, byte=True, body=b"{}"), True),
    (WireSlowClose(delay=0.5), met(Came.SILENT, 1.3, byte=True, body=b"{}"), False),
    (WireSlowClose(delay=5.0), met(Came.SILENT, 1.3), False),
    # Crumbs, as the kernel counts them; large pieces prove nothing, whatever the setting.
    (WireSlicer(average_size=64), met(Came.WHOLE, 0.1, status=200, piece_size=70.0), True),
    (WireSlicer(average_size=64), met(Came.WHOLE, 0.1, status=200, piece_size=450.0), False),
    (WireSlicer(average_size=4096), met(Came.WHOLE, 0.1, status=200, piece_size=450.0), False),
    (WireSlicer(average_size=64, delay=0.1), met(Came.WHOLE, 0.9, status=200), True),
    # Pieces of one byte are joined by the kernel, though never to pieces of the usual size.
    (WireSlicer(average_size=1), met(Came.WHOLE, 0.1, status=200, piece_size=40.0), True),
    (WireSlicer(average_size=1), met(Came.WHOLE, 0.1, status=200, piece_size=386.0), False),
    # Late.
    (WireBandwidth(kilobytes_per_s=5), met(Came.WHOLE, 0.9, status=200), True),
    # The token is refused in this way and no other, or is late.
    (IdentityDown(), met(Came.STATUS, 0.1, status=503), True),
    (IdentityDown(how="invalid_grant"), met(Came.STATUS, 0.1, status=400), True),
    (IdentityDown(how="invalid_grant"), met(Came.STATUS, 0.1, status=503), False),
    (IdentityDown(), met(Came.SILENT, 0.5), False),
    (IdentitySlow(by=0.5), met(Came.WHOLE, 0.6, status=200), True),
    (IdentitySlow(by=0.5), met(Came.WHOLE, 0.4, status=200), False),
    (IdentitySlow(by=6.0), met(Came.SILENT, 1.3), True),
]


@pytest.mark.parametrize(("fault", "outcome", "proved"), PROOFS, ids=str)
def test_what_proves_a_fault(fault: Fault, outcome: ProbeOutcome, proved: bool) -> None:
    """What the probe met is this fault's doing, or is not."""
    assert fault.proves(outcome) is proved


@pytest.mark.parametrize("kind", kinds())
def test_the_usual_answer_proves_no_fault(kind: str) -> None:
    """Of every fault of the catalogue: a leg that answers as always disproves it, and a probe given up says nothing."""
    extra = f", {SETTINGS[kind]}" if kind in SETTINGS else ""
    to = "" if kinds()[kind].plane == "process" else f"role: primary{extra}"
    use = timeline(f"  - {{phase: outage, for: 5s, faults: [{kind}: {{{to}}}]}}\n").faults[0]
    assert not use.fault.proves(USUAL)
    assert not use.fault.proves(met(Came.STOPPED, 0.5))
    assert use.fault.restored(USUAL)
    assert not use.fault.restored(met(Came.STATUS, 0.1, status=503))
    assert not use.fault.restored(met(Came.WHOLE, 0.7, status=200))


def test_a_fault_that_says_nothing_is_proved_by_nothing() -> None:
    """Where connections stay open, each fault has to say what proves it."""
    for outcome in (met(Came.WRONG, 0.1, status=200), met(Came.WHOLE, 0.35, status=200), USUAL):
        assert not Fault().proves(outcome)


def _errors(base: type[Exception]) -> Iterator[type[Exception]]:
    for cls in base.__subclasses__():
        yield cls
        yield from _errors(cls)


def test_every_exception_of_the_client_has_a_meaning() -> None:
    """Whatever httpx raises on the way of a probe is mapped, by how far the probe had come."""
    found = [*_errors(httpx.HTTPError), *_errors(httpx.StreamError), httpx.InvalidURL]
    assert len(found) > 15
    for cls in found:
        error: Any = cls.__new__(cls)
        if isinstance(error, httpx.DecodingError):
            assert came_of(error, written=True, begun=True) is Came.WRONG
        else:
            assert came_of(error, written=False, begun=False) is Came.REFUSED
            assert came_of(error, written=True, begun=False) is Came.RESET
            assert came_of(error, written=True, begun=True) is Came.BROKEN


# --- on the real plane -----------------------------------------------------------------------------------------------

DIALECTS = dict(zip("abcdef", providers.names(), strict=True))
FRAMED = {leg for leg, dialect in DIALECTS.items() if dialect == "bedrock"}


@pytest.fixture(scope="module")
def legs() -> Iterator[Bench]:
    """A leg of each dialect behind a plane."""
    with bench(DIALECTS) as found:
        yield found


def plan(fault: Fault, legs: Sequence[str], id_: str = "f") -> FaultPlan:
    """A fault of a plan."""
    return FaultPlan(
        id=id_,
        kind=fault.kind,
        legs=tuple(legs),
        start_s=0,
        end_s=1,
        selector="",
        settings=dataclasses.asdict(fault),
        connections=fault.connections(),
    )


def probes(leg: str) -> list[Probe]:
    """Healthy probes from before, of the model, of a stream and of the identity service: each took 0.1 s."""
    return [
        Probe(
            id=f"{leg}-{number}",
            leg=leg,
            via=Via.PLANE,
            stream=stream,
            sent_s=0,
            first_token_s=0.05,
            done_s=0.1,
            error="",
            identity=identity,
        )
        for number, (stream, identity) in enumerate(((False, False), (True, False), (False, True)))
    ]


def proofs(on: Bench, faults: Sequence[tuple[str, FaultPlan]], *, clear: bool = True) -> list[FaultProof]:
    """Put faults on (each with its id at the plane), and off again after their probes; what the prover says."""
    found: list[FaultProof] = []
    hosts = {name: host_of(name) if on.authority else "" for name in on.plane.ports}
    reach = Reach(
        addresses={name: Address(port, hosts[name]) for name, port in on.plane.ports.items()},
        authority=on.authority.pem if on.authority else "",
    )
    there = [
        Leg(name=name, role=None, provider=dialect, vendor="", model="gpt-4o", cloud="")
        for name, dialect in on.dialects.items()
    ]

    async def run() -> None:
        prover = Prover(there, reach, Clock(), found.append, "0123456789", Timing(12, 200.0))
        prover.healthy([fault for _, fault in faults], [one for leg in on.dialects for one in probes(leg)])
        for _, fault in faults:
            prover.began(fault, 1.0)
        await prover.settled()
        for name, fault in faults:
            prover.ends(fault)
            if clear:
                on.plane.clear(name)
            prover.ended(fault)
        await prover.settled()
        await prover.aclose()

    asyncio.run(run())
    return found


SMALLEST = smallest(12, 0.02, 200.0)
PLANE = [
    Refuse(),
    Blackhole(),
    Hanging(),
    Status(code=429),
    Resetting(),
    Slow(by=0.3),
    Slow(by=9.0),
    Cut(),
    Cut(how="fin"),
    Stall(),
    # What can just be proved (`test_answersize.py`).
    Slow(by=0.1),
    SlowFirstToken(by=LATE_BY_S),
    SlowTokens(by=LATE_BY_S / SMALLEST.events),
    Bandwidth(rate=SMALLEST.stream_bytes / (SMALLEST.stream_s + LATE_BY_S)),
    *(Cut(after=SMALLEST.caller_events - 2, how=how) for how in ("fin", "clean", "error")),
    Stall(after=SMALLEST.caller_events - 2),
    MalformedEvent(after=SMALLEST.caller_events - 2),
    CorruptCrc(after=SMALLEST.caller_events - 2),
    PartialFrame(after=SMALLEST.caller_events - 2),
]
"""Each is on for a second and more."""


@pytest.mark.parametrize("fault", PLANE, ids=repr)
def test_each_fault_proves_itself_on_the_plane(legs: Bench, fault: Fault) -> None:
    """Well before, met on a leg of each dialect before a fault of one second ends, well again soon after: one probe
    each. Only Bedrock's streams have frames.
    """
    hit = sorted(FRAMED if fault.kind in {"corrupt_crc", "partial_frame"} else DIALECTS)
    settings = {name: value for name, value in dataclasses.asdict(fault).items() if value is not None}
    name = legs.plane.apply(fault.kind, hit, **settings)
    found = proofs(legs, [(name, plan(fault, hit))])
    assert sorted((p.leg, p.when, p.proved) for p in found) == [
        (leg, when, True) for leg in hit for when in (When.AFTER, When.BEFORE, When.DURING)
    ], found
    assert all(p.done_s - p.sent_s < 0.9 for p in found)
    assert legs.plane.troubles == []


def test_probes_are_known_by_id_and_hanging_connects_by_port(legs: Bench) -> None:
    """Every attempt of a probe carries the id of its proof, and the connect that hangs comes from its port."""
    name = legs.plane.apply("blackhole", ["a"])
    before = len(legs.plane.events)
    found = proofs(legs, [(name, plan(Blackhole(), ["a"]))])
    events = legs.plane.events[before:]
    seen = {event.id for event in events if isinstance(event, AttemptReceived)}
    assert seen == {p.id for p in found if p.when is When.AFTER}
    hung = {event.port for event in events if isinstance(event, ConnectHung)}
    assert hung == {p.port for p in found if p.when is When.DURING}


def test_a_fault_that_is_not_there_is_not_proved(legs: Bench) -> None:
    """The leg answers as always: two probes say so."""
    found = proofs(legs, [("", plan(Hanging(), ["a"]))], clear=False)
    during = [p for p in found if p.when is When.DURING]
    assert [p.proved for p in during] == [False, False]
    assert during[0].saw.startswith("a whole answer")


def test_a_leg_that_stays_broken_is_not_proved_well(legs: Bench) -> None:
    """The fault is still on at the plane when the runner believes it gone: every probe for three seconds says so."""
    name = legs.plane.apply("status", ["a"], code=503)
    try:
        found = proofs(legs, [(name, plan(Status(code=503), ["a"]))], clear=False)
    finally:
        legs.plane.clear(name)
    after = [p for p in found if p.when is When.AFTER]
    assert len(after) > 5
    assert not any(p.proved for p in after)


def test_a_fault_beside_another_names_it(legs: Bench) -> None:
    """A refused connect hides the hanging request behind it; both legs of the pair are proved well by one probe."""
    names = [legs.plane.apply("refuse", ["a"]), legs.plane.apply("hang", ["a"])]
    found = proofs(legs, list(zip(names, (plan(Refuse(), ["a"], "r"), plan(Hanging(), ["a"], "h")), strict=True)))
    during = [(p.fault, p.proved, p.beside) for p in found if p.when is When.DURING]
    assert during == [("r", True, ("h",)), ("h", False, ("r",)), ("h", False, ("r",))]
    assert [p.behind for p in found if p.when is When.DURING] == [(), ("r",), ("r",)]
    after = [p for p in found if p.when is When.AFTER]
    assert [(p.fault, p.proved) for p in after] == [("r", True), ("h", True)]
    assert len({p.id for p in after}) == 1


def test_a_delay_beside_another_is_not_proved_by_it(legs: Bench) -> None:
    """Two that make a stream late by 0.25 s each: one that is on alone does not prove the other, together both are."""
    late: list[tuple[str, Fault]] = [("first", SlowFirstToken(by=0.25)), ("tokens", SlowTokens(by=0.013))]
    plans = {id_: plan(fault, ["a"], id_) for id_, fault in late}

    def proved(*on: str) -> set[str]:
        names = [legs.plane.apply(fault.kind, ["a"], **dataclasses.asdict(fault)) for id_, fault in late if id_ in on]
        found = proofs(legs, [("", plans[id_]) for id_, _ in late], clear=False)
        for name in names:
            legs.plane.clear(name)
        return {p.fault for p in found if p.when is When.DURING and p.proved}

    assert "first" not in proved("tokens")
    assert "tokens" not in proved("first")
    assert proved("first", "tokens") == {"first", "tokens"}


# --- in the verdict --------------------------------------------------------------------------------------------------


def without(when: When) -> tuple[Any, ...]:
    """A healthy story of one fault without one of its proofs."""
    events = history("ppp[xxsss]spp")
    return tuple(event for event in events if not (isinstance(event, FaultProof) and event.when is when))


FINDINGS: list[tuple[tuple[Any, ...], Verdict, str]] = [
    # Everything is proved.
    (history("ppp[xxsss]spp"), Verdict.PASS, "1 of 1 proved while on, 1 proved gone"),
    # Nobody knows whether the leg was well before.
    (without(When.BEFORE), Verdict.INVALID, "no probe proved that the leg was well before"),
    # No probe met the fault.
    (without(When.DURING), Verdict.INVALID, "f1 on primary: not proved while it was on; no probe of it ended"),
    # The leg was not probed again.
    (without(When.AFTER), Verdict.INVALID, "f1 on primary: the leg is not proved to be well again; no probe of it"),
    # A probe was answered as if nothing were wrong.
    (
        (*without(When.DURING), proof("f1", "primary", When.DURING, 1.3, proved=False)),
        *(Verdict.INVALID, "f1 on primary: not proved while it was on; a probe met: a whole answer"),
    ),
    # The first probe failed to prove it, the second did.
    (
        history("ppp[xxsss]spp", also=[proof("f1", "primary", When.DURING, 1.2, proved=False)]),
        *(Verdict.PASS, "1 of 1 proved while on"),
    ),
]


@pytest.mark.parametrize(("events", "verdict", "words"), FINDINGS)
def test_findings(events: tuple[Any, ...], verdict: Verdict, words: str) -> None:
    """A fault that is not proved, or a leg that is not proved well again, makes the drill invalid, in words."""
    result = judge(events, "story")
    [part] = [part for part in result.checks if part.name == CHECK.name]
    assert part.verdict is verdict
    assert words in part.observed
    if verdict is Verdict.INVALID:
        assert result.verdict is Verdict.INVALID


def test_histories_of_earlier_versions_have_no_proofs() -> None:
    """They are judged as before: nobody promised any."""
    head, *rest = (event for event in history("ppp[xxsss]spp") if not isinstance(event, FaultProof))
    result = judge((msgspec.structs.replace(head, proofs=False), *rest), "story")
    assert CHECK.name not in {part.name for part in result.checks}


def test_probes_touch_no_request() -> None:
    """An attempt of a proof probe that the fault met, and its hanging connect, count as nobody's."""
    during = proof("f1", "primary", When.DURING, 1.25)
    hung = ConnectHung(leg="primary", seen_s=1.3, faults=("f1",), port=during.port)
    later = msgspec.structs.replace(hung, seen_s=2.5)
    result = judge(history("ppp[xxsss]spp", also=[hung], connections=Connections.BLACKHOLED), "story")
    assert (result.faults[0].touched_requests, result.faults[0].hung_connects) == (2, 0)
    # Another connect that has the same port a second later is the gateway's.
    result = judge(history("ppp[xxsss]spp", also=[later], connections=Connections.BLACKHOLED), "story")
    assert (result.faults[0].touched_requests, result.faults[0].hung_connects) == (3, 1)


def at_the_gateway(*when: When) -> tuple[Any, ...]:
    """A story in which the fault is one on the gateway itself, with these proofs."""
    head, *rest = (event for event in history("ppp[xxsss]spp") if not isinstance(event, FaultProof))
    plans = tuple(msgspec.structs.replace(fault, legs=(), plane="process") for fault in head.faults)
    seen = [msgspec.structs.replace(proof("f1", THE_GATEWAY, one, 1.3), id="", port=0) for one in when]
    return (msgspec.structs.replace(head, faults=plans), *rest, *seen)


def test_a_fault_on_the_gateway_is_proved_by_its_keeper() -> None:
    """In words, and each of the three proofs is needed."""
    [part] = [part for part in judge(at_the_gateway(*When), "story").checks if part.name == CHECK.name]
    assert part.verdict is Verdict.PASS
    assert part.observed == "f1 on the gateway, its keeper saw: what it should; after it: what it should"
    for missing, words in (
        (When.BEFORE, "no probe proved that it was well before"),
        (When.DURING, "its keeper did not see the process go"),
        (When.AFTER, "it is not proved to be ready again"),
    ):
        result = judge(at_the_gateway(*(one for one in When if one is not missing)), "story")
        [part] = [part for part in result.checks if part.name == CHECK.name]
        assert (part.verdict, part.observed) == (Verdict.INVALID, f"f1 on the gateway: {words}")


def test_a_proof_does_not_excuse_a_fault_on_the_gateway_that_nobody_met() -> None:
    """All callers were answered well while it was on: the drill proved nothing."""
    head, *rest = history("ppp[ppp]ppp")
    plans = tuple(msgspec.structs.replace(fault, legs=(), plane="process") for fault in head.faults)
    seen = [proof("f1", THE_GATEWAY, one, 1.3) for one in When]
    result = judge((msgspec.structs.replace(head, faults=plans), *rest, *seen), "story")
    assert result.faults[0].touched_requests == 0
    assert result.verdict is Verdict.INVALID


def test_a_hidden_fault_is_no_lie() -> None:
    """Another fault that was on at the leg, and proved there, may hide it; one that was not proved may not."""
    hidden = msgspec.structs.replace(proof("f1", "primary", When.DURING, 1.3, proved=False), beside=("f2",))
    shown = proof("f2", "primary", When.DURING, 1.3)
    base = without(When.DURING)

    def two(*also: FaultProof) -> Any:  # noqa: ANN401  a part of a result
        head, *rest = base
        plans = (*head.faults, msgspec.structs.replace(head.faults[0], id="f2"))
        return judge((msgspec.structs.replace(head, faults=plans), *rest, *also), "story").faults[0].proof[0]

    assert two(hidden, shown).hidden_by == ("f2",)
    assert two(hidden, msgspec.structs.replace(shown, proved=False)).hidden_by == ()
    # What the probe met did not keep it from showing itself, or did.
    assert two(msgspec.structs.replace(hidden, behind=()), shown).hidden_by == ()
    assert two(msgspec.structs.replace(hidden, behind=("f2",)), shown).hidden_by == ("f2",)
    # The probe after the fault was answered 10 ms after it was cleared.
    assert two(hidden, shown).restored_s == pytest.approx(0.01)
