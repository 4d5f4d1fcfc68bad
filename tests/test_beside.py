"""Faults beside others, and what no other fault may be proved by: as values."""

from __future__ import annotations

import msgspec
import pytest
from declared import declared

from drills.marks import Shape
from faults.bandwidth import Bandwidth
from faults.base import Fault, kinds
from faults.beside import Beside, Judged, judge
from faults.blackhole import Blackhole
from faults.corrupt_crc import CorruptCrc
from faults.cut import Cut
from faults.degraded_text import DegradedText
from faults.dns_failure import DnsFailure
from faults.edge_html import EdgeHtml
from faults.empty import Empty
from faults.garbage_json import GarbageJson
from faults.handshake import Certificate
from faults.hang import Hanging
from faults.html_200 import Html200
from faults.identity_down import IdentityDown
from faults.identity_slow import IdentitySlow
from faults.malformed_event import MalformedEvent
from faults.partial_frame import PartialFrame
from faults.proof import Came, Extent, ProbeOutcome
from faults.refuse import Refuse
from faults.reset import Resetting
from faults.slow import Slow
from faults.slow_first_token import SlowFirstToken
from faults.slow_tokens import SlowTokens
from faults.stall import Stall
from faults.status import Status
from faults.tls_bad_certificate import TlsBadCertificate
from faults.tls_handshake_hang import TlsHandshakeHang
from faults.wire_bandwidth import WireBandwidth
from faults.wire_down import WireDown
from faults.wire_latency import WireLatency
from faults.wire_limit_data import WireLimitData
from faults.wire_reset import WireReset
from faults.wire_slicer import WireSlicer
from faults.wire_slow_close import WireSlowClose
from faults.wire_timeout import WireTimeout

USUAL = ProbeOutcome(
    came=Came.WHOLE,
    took_s=0.1,
    usual_s=0.1,
    first_byte_s=0.05,
    status=200,
    events=14,
    body=b"x" * 900,
    piece_size=450.0,
)
STREAM = Extent(size=900, events=14)
WHOLE = Extent(size=900)


def met(came: Came, took_s: float, **other: object) -> ProbeOutcome:
    """What else a probe met of a leg that usually answers in 0.1 s."""
    begun = came in {Came.WHOLE, Came.WRONG, Came.STATUS, Came.BROKEN}
    blank = {"first_byte_s": took_s if begun else None, "status": 200 if begun else None, "events": 0, "body": b""}
    return msgspec.structs.replace(USUAL, came=came, took_s=took_s, piece_size=None, **{**blank, **other})


def late(by_s: float) -> ProbeOutcome:
    """A whole answer, later than usual by so much from its first byte on."""
    return msgspec.structs.replace(USUAL, took_s=0.1 + by_s, first_byte_s=0.05 + by_s)


BROKEN = met(Came.BROKEN, 0.1, events=4, body=b"x" * 300)
ANOTHER = met(Came.WRONG, 0.1, shape=Shape.FOREIGN, body=b"{}")
SPOILT = met(Came.WRONG, 0.1, events=14, body=b"x" * 900)
ENDED = met(Came.WRONG, 0.1, events=4, body=b"x" * 300)
SILENCE = met(Came.SILENT, 1.3)
PAGES = {
    "html_200": Html200().decide(None, None).body,  # type: ignore[arg-type, union-attr]
    "garbage_json": GarbageJson().decide(None, None).body,  # type: ignore[arg-type, union-attr]
    "edge_html": EdgeHtml().decide(None, None).body,  # type: ignore[arg-type, union-attr]
}
EXAMPLES: list[tuple[Fault, ProbeOutcome]] = [
    (Bandwidth(rate=500.0), late(1.8)),
    (Blackhole(), met(Came.CONNECT_HUNG, 1.3)),
    (CorruptCrc(), SPOILT),
    (Cut(how="fin"), BROKEN),
    (DegradedText(), ANOTHER),
    (DnsFailure(), met(Came.UNRESOLVED, 0.01, detail="nxdomain")),
    (EdgeHtml(), met(Came.STATUS, 0.01, status=502, body=PAGES["edge_html"])),
    (Empty(), met(Came.WRONG, 0.01, first_byte_s=None)),
    (GarbageJson(), met(Came.WRONG, 0.01, body=PAGES["garbage_json"])),
    (Hanging(), SILENCE),
    (Html200(), met(Came.WRONG, 0.01, body=PAGES["html_200"])),
    (IdentityDown(), met(Came.STATUS, 0.01, status=503)),
    (IdentitySlow(by=0.5), late(0.5)),
    (MalformedEvent(), SPOILT),
    (PartialFrame(), ENDED),
    (Refuse(), met(Came.REFUSED, 0.01)),
    (Resetting(), met(Came.RESET, 0.01)),
    (Slow(by=0.5), late(0.5)),
    (SlowFirstToken(by=0.5), late(0.5)),
    (SlowTokens(by=0.1), msgspec.structs.replace(USUAL, took_s=1.5)),
    (Stall(), met(Came.SILENT, 1.3, first_byte_s=0.05, status=200, events=4, body=b"x" * 300)),
    (Status(code=429), met(Came.STATUS, 0.01, status=429)),
    (TlsBadCertificate(), met(Came.HANDSHAKE_FAILED, 0.01, certificate=Certificate.EXPIRED)),
    (TlsHandshakeHang(), met(Came.HANDSHAKE_HUNG, 1.3)),
    (WireBandwidth(kilobytes_per_s=1), late(0.9)),
    (WireDown(), met(Came.REFUSED, 0.01)),
    (WireLatency(latency=0.5), late(0.5)),
    (WireLimitData(bytes=400), BROKEN),
    (WireReset(), met(Came.RESET, 0.01)),
    (WireSlicer(), msgspec.structs.replace(USUAL, piece_size=64.0)),
    (WireSlowClose(delay=0.5), late(0.5)),
    (WireTimeout(timeout=60.0), SILENCE),
    *declared("PROVED", tuple),
]
"""Each fault that hits legs with what a probe meets of it."""
MET = {fault.kind: outcome for fault, outcome in EXAMPLES}
LONG = [
    *(Slow(by=9.0), IdentitySlow(by=9.0), SlowFirstToken(by=9.0), SlowTokens(by=9.0), Bandwidth(rate=1.0)),
    *(WireLatency(latency=9.0), WireBandwidth(kilobytes_per_s=1), WireSlowClose(delay=9.0)),
]
OTHERS = [*(fault for fault, _ in EXAMPLES), *LONG]
"""With delays that no probe waits for."""
DELAYS = {
    *{"slow", "identity_slow", "slow_first_token", "slow_tokens", "bandwidth"},
    *{"wire_latency", "wire_bandwidth", "wire_slow_close"},
}
ALIKE: list[tuple[set[str], set[str], str]] = [
    (DELAYS, DELAYS, "lateness looks alike; beside another delay each has to show its own on top"),
    ({"refuse"}, {"wire_down"}, "nothing listens; a leg cannot have both"),
    ({"wire_down"}, {"refuse"}, "nothing listens; a leg cannot have both"),
    ({"reset"}, {"wire_reset", "wire_limit_data"}, "a connection that dies before an answer has one look"),
    ({"wire_reset"}, {"reset", "wire_limit_data"}, "a connection that dies before an answer has one look"),
    ({"hang"}, {"wire_timeout"}, "silence has one look until a timeout of the line is over"),
    ({"wire_timeout"}, {"hang"}, "silence has one look until a timeout of the line is over"),
    ({"hang", "wire_timeout"}, {"slow", "slow_first_token", "wire_latency"}, "silence, until the delay is over"),
    ({"hang", "wire_timeout"}, {"identity_slow", "wire_slow_close"}, "silence, until the delay is over"),
    ({"hang", "wire_timeout", "stall"}, {"slow_tokens", "bandwidth", "wire_bandwidth"}, "silence, until more is due"),
    ({"cut"}, {"wire_limit_data"}, "an answer that ends early has one look, if it is no longer than the limit"),
    ({"wire_limit_data"}, {"cut"}, "an answer that ends early has one look, if that is at the event"),
    ({"malformed_event"}, {"corrupt_crc"}, "one event cannot be read, and the stream goes on"),
    ({"corrupt_crc"}, {"malformed_event"}, "one event cannot be read, and the stream goes on"),
    ({"stall"}, {"wire_slow_close"}, "an answer has begun, and no end has come"),
]


def alike(one: str, other: str) -> bool:
    """Whether the table has a reason."""
    return any(one in ones and other in others for ones, others, _ in ALIKE)


def test_every_fault_of_legs_has_an_example() -> None:
    """None is left out of what follows."""
    there = sorted(fault.kind for fault, _ in EXAMPLES)
    assert there == [kind for kind, cls in kinds().items() if cls.plane != "process"]
    assert all(cls.kind not in DELAYS or cls.costs_s is not Fault.costs_s for cls in kinds().values())


@pytest.mark.parametrize(("fault", "outcome"), EXAMPLES, ids=lambda value: getattr(value, "kind", ""))
def test_what_proves_one_fault_proves_no_other(fault: Fault, outcome: ProbeOutcome) -> None:
    """Unless both look alike from outside, for the reason in the table; a row of it that holds for nobody goes."""
    assert fault.proves(outcome)
    proved = {other.kind for other in OTHERS if other.proves(outcome)} - {fault.kind}
    assert {kind for kind in proved if not alike(fault.kind, kind)} == set()


def test_the_table_has_no_idle_reason() -> None:
    """Each row excuses somebody."""
    found = {(fault.kind, other.kind) for fault, outcome in EXAMPLES for other in OTHERS if other.proves(outcome)}
    idle = [why for ones, others, why in ALIKE if not any((one, other) in found for one in ones for other in others)]
    assert idle == []


@pytest.mark.parametrize("fault", [fault for fault, _ in EXAMPLES], ids=lambda fault: fault.kind)
def test_a_whole_answer_that_is_late_proves_only_a_delay(fault: Fault) -> None:
    """Of whatever setting, late by little or by much; alone, and beside a fault that really delays by so much."""
    if fault.kind not in DELAYS:
        assert not any(fault.proves(late(by_s)) for by_s in (0.3, 3.0))
    for by_s in (0.3, 1.0, 3.0):
        slow = Beside("s", Slow(by=by_s), first=True)
        for first in (True, False):
            assert judge(fault, [slow._replace(first=first)], late(by_s), STREAM) == Judged(False, ())


BESIDE: list[tuple[Fault, Fault, ProbeOutcome, Judged, str]] = [
    # What ends an exchange hides what acts later.
    (Hanging(), Refuse(), met(Came.REFUSED, 0.01), Judged(False, ("o",)), "nobody gets in"),
    (WireReset(), WireDown(), met(Came.REFUSED, 0.01), Judged(False, ("o",)), "the line is down"),
    (Cut(), Blackhole(), met(Came.CONNECT_HUNG, 1.3), Judged(False, ("o",)), "nobody gets in"),
    (Blackhole(), Refuse(), met(Came.REFUSED, 0.01), Judged(False, ("o",)), "refused beats silent"),
    (Refuse(), Blackhole(), met(Came.CONNECT_HUNG, 1.3), Judged(False), "refused beats silent, so it is not on"),
    (TlsBadCertificate(), TlsHandshakeHang(), met(Came.HANDSHAKE_HUNG, 1.3), Judged(False, ("o",)), "no certificate"),
    (
        TlsHandshakeHang(),
        TlsBadCertificate(),
        MET["tls_bad_certificate"],
        Judged(False),
        "silence would beat the certificate",
    ),
    (DnsFailure(), DnsFailure("silent"), met(Came.UNRESOLVED, 1.3, detail="silent"), Judged(False, ("o",)), "harder"),
    (DnsFailure("silent"), DnsFailure(), MET["dns_failure"], Judged(False), "the harder one would have won"),
    (Slow(by=0.5), Hanging(), SILENCE, Judged(False, ("o",)), "nothing ever comes"),
    (WireReset(), Hanging(), SILENCE, Judged(False, ("o",)), "no byte comes"),
    (Status(code=503), WireReset(), met(Came.RESET, 0.01), Judged(False, ("o",)), "no byte gets through"),
    (WireSlicer(), Status(code=429), MET["status"], Judged(False, ("o",)), "a short answer has no pieces"),
    (WireSlowClose(delay=1), Html200(), MET["html_200"], Judged(False, ("o",)), "the answer is not the leg's"),
    (SlowTokens(by=0.1), Stall(), MET["stall"], Judged(False, ("o",)), "nothing more comes"),
    # Whatever answers has bytes, and the line acts on them: a line that does nothing is found out.
    (WireReset(), Status(code=429), MET["status"], Judged(False), "the answer came through"),
    (WireTimeout(timeout=60), Status(code=429), MET["status"], Judged(False), "the answer came through"),
    (WireLatency(latency=0.5), Status(code=429), MET["status"], Judged(False), "it came at once"),
    (WireLatency(latency=0.5), Status(code=429), met(Came.STATUS, 0.51, status=429), Judged(True), "it came late"),
    (WireDown(), Status(code=429), MET["status"], Judged(False), "somebody answered"),
    (WireTimeout(timeout=0.3), Hanging(), SILENCE, Judged(False), "the connection should have ended"),
    (Hanging(), WireReset(), met(Came.RESET, 0.01), Judged(False), "a reset needs a byte of an answer"),
    # A delay in front of what ends the exchange shows itself all the same.
    (Slow(by=0.5), Status(code=429), MET["status"], Judged(False), "the failure came at once"),
    (Slow(by=0.5), Status(code=429), met(Came.STATUS, 0.51, status=429), Judged(True), "the failure came late"),
    (Slow(by=0.1), Resetting(), met(Came.RESET, 0.11), Judged(True), "the reset came late"),
    (SlowFirstToken(by=0.4), Cut(how="fin"), BROKEN, Judged(False), "it broke off in time"),
    # A delay hides nothing.
    (WireReset(), Slow(by=6.0), SILENCE, Judged(False), "nothing came yet"),
    (Hanging(), Slow(by=6.0), SILENCE, Judged(False), "nothing came, and need not have"),
    (Status(code=503), WireLatency(latency=0.5), late(0.5), Judged(False), "the leg answered"),
    # Two delays add up, and each has to be seen.
    (Slow(by=0.5), WireLatency(latency=0.5), late(0.5), Judged(False), "one of them is not on"),
    (Slow(by=0.5), WireLatency(latency=0.5), late(1.0), Judged(True), "both are"),
    (WireLatency(latency=0.5), Slow(by=0.5), late(0.5), Judged(False), "one of them is not on"),
    (WireLatency(latency=0.5), Slow(by=0.5), late(1.0), Judged(True), "both are"),
    (WireBandwidth(kilobytes_per_s=1), SlowTokens(by=0.1), late(1.4), Judged(False), "the drip alone"),
    (WireBandwidth(kilobytes_per_s=1), SlowTokens(by=0.1), late(2.3), Judged(True), "both"),
]


@pytest.mark.parametrize(("fault", "other", "outcome", "judged", "why"), BESIDE, ids=lambda value: str(value)[:40])
def test_beside_another(fault: Fault, other: Fault, outcome: ProbeOutcome, judged: Judged, why: str) -> None:
    """What a probe of a fault says when the other one is on as well, and was put on first."""
    assert judge(fault, [Beside("o", other, first=True)], outcome, STREAM) == judged, why


def test_of_those_that_decide_the_first_one_hides_the_others() -> None:
    """And not the other way round: had the first one been on, it would have decided."""
    for fault, other, outcome in (
        (Status(code=503), Hanging(), SILENCE),
        (Hanging(), Status(code=429), MET["status"]),
        (Cut(how="clean"), MalformedEvent(), SPOILT),
    ):
        assert judge(fault, [Beside("o", other, first=True)], outcome, WHOLE) == Judged(False, ("o",))
        assert judge(fault, [Beside("o", other, first=False)], outcome, WHOLE) == Judged(False, ())
