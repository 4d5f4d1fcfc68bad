"""The faults of TLS handshakes: what they say, and what callers see of them through the plane.

A row in `HANDSHAKES` and `SEEN` is all that a new one needs here.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec
import pytest
from plane_harness import SETTLE_S, Bench, Caller, PlaneProcess, bench, host_of, mark, undisturbed, until
from sdk_env import sdk_python
from test_relay import relaying
from test_sdks import ask

from drills import providers
from drills.address import Address
from drills.authority import Authority
from drills.client import FaultProber
from drills.clock import Clock
from drills.events import AttemptResult, FaultSwitched, HandshakeMet
from drills.marks import Shape
from drills.proving import Proof
from drills.routing.surroundings import proxied, together, trust
from faults.base import Fault, kinds
from faults.handshake import USUAL_HANDSHAKE, Certificate, Handshake
from faults.planes.board import Board
from faults.planes.control import LEASE_S, Apply
from faults.proof import Came, ProbeOutcome
from faults.shapes import Shape as FaultShape
from faults.shapes import Square
from faults.tls_bad_certificate import TlsBadCertificate
from faults.tls_handshake_hang import TlsHandshakeHang

__all__ = ["sdk_python"]
pytestmark = [pytest.mark.clock, pytest.mark.skipif(sys.platform != "linux", reason="planes are tested on Linux")]

DIALECTS = {"anthropic": "anthropic", "openai": "openai", "bedrock": "bedrock"}

HANDSHAKES: dict[Fault, Handshake] = {
    # Accepted, and never answered.
    TlsHandshakeHang(): Handshake(answered=False),
    # Answered, and each with its own kind of certificate.
    TlsBadCertificate(): Handshake(certificate=Certificate.EXPIRED),
    TlsBadCertificate(how="wrong_host"): Handshake(certificate=Certificate.WRONG_HOST),
    TlsBadCertificate(how="self_signed"): Handshake(certificate=Certificate.SELF_SIGNED),
}

# fault -> what httpx raises on a new connection and a piece of its words; what a probe of the fault comes to; what the
# SDKs of Anthropic, OpenAI and AWS raise
SEEN: dict[Fault, tuple[type[Exception], str, Came, str, str, str]] = {
    TlsHandshakeHang(): (
        httpx.ConnectTimeout,
        "handshake operation timed out",
        Came.HANDSHAKE_HUNG,
        "anthropic.APITimeoutError",
        "openai.APITimeoutError",
        "botocore.exceptions.ReadTimeoutError",  # behind a proxy, its connect timeout does not count the handshake
    ),
    TlsBadCertificate(): (
        httpx.ConnectError,
        "certificate has expired",
        Came.HANDSHAKE_FAILED,
        "anthropic.APIConnectionError",
        "openai.APIConnectionError",
        "botocore.exceptions.SSLError",
    ),
    TlsBadCertificate(how="wrong_host"): (
        httpx.ConnectError,
        "Hostname mismatch",
        Came.HANDSHAKE_FAILED,
        "anthropic.APIConnectionError",
        "openai.APIConnectionError",
        "botocore.exceptions.SSLError",
    ),
    TlsBadCertificate(how="self_signed"): (
        httpx.ConnectError,
        "self-signed certificate",
        Came.HANDSHAKE_FAILED,
        "anthropic.APIConnectionError",
        "openai.APIConnectionError",
        "botocore.exceptions.SSLError",
    ),
}


def settings(fault: Fault) -> dict[str, str]:
    """A fault's settings as they are sent to a plane."""
    found: dict[str, str] = msgspec.to_builtins(fault)
    return found


# as values


def test_what_the_leg_does_in_handshakes() -> None:
    """Each fault of handshakes is one value; no other fault of the catalogue has one."""
    assert {fault: fault.handshake() for fault in HANDSHAKES} == HANDSHAKES
    assert HANDSHAKES.keys() == SEEN.keys()
    assert not any(fault.sees_requests for fault in HANDSHAKES)
    say_so = {cls for cls in kinds().values() if "handshake" in vars(cls)}
    assert {type(fault) for fault in HANDSHAKES} == say_so


def met(came: Came, *, took_s: float = 0.5, certificate: Certificate | None = None) -> ProbeOutcome:
    """What a probe met of a leg that usually answers in 0.1 s."""
    return ProbeOutcome(came=came, took_s=took_s, usual_s=0.1, status=None, certificate=certificate)


@pytest.mark.parametrize("fault", HANDSHAKES, ids=str)
def test_what_proves_a_fault_of_handshakes(fault: Fault) -> None:
    """What the fault says and nothing near it: not a silent leg, not another certificate, not an early end."""
    shown = HANDSHAKES[fault].certificate
    hangs = not HANDSHAKES[fault].answered
    assert fault.proves(met(Came.HANDSHAKE_HUNG)) is hangs
    assert not fault.proves(met(Came.HANDSHAKE_HUNG, took_s=0.2))
    for kind in Certificate:
        assert fault.proves(met(Came.HANDSHAKE_FAILED, certificate=kind)) is (not hangs and kind is shown)
    for came in (Came.SILENT, Came.CONNECT_HUNG, Came.REFUSED, Came.RESET, Came.WHOLE, Came.STOPPED):
        assert not fault.proves(met(came))


def test_of_several_the_one_that_leaves_them_unanswered_wins() -> None:
    """Whatever the order; taken off, the next one holds; a leg that none of them is on does as ever."""
    board = Board(1)
    assert board.handshake("a") == USUAL_HANDSHAKE
    for number, fault in enumerate([*HANDSHAKES, TlsHandshakeHang()]):
        board.put_on(f"f{number}", fault.kind, settings(fault), ("a",))
    assert board.handshake("a") == Handshake(answered=False)
    assert board.handshake("b") == USUAL_HANDSHAKE
    assert len(board.on_handshakes("a")) == len(HANDSHAKES) + 1


def test_they_have_no_shape_in_time() -> None:
    """A handshake has no request of which a share could be drawn."""
    with pytest.raises(ValueError, match="fault of connections"):
        Board(1).put_on("x", "tls_handshake_hang", {}, ("a",), FaultShape(share=0.5))


# through the plane


@pytest.fixture(scope="module")
def rig() -> Iterator[Bench]:
    """A plane that speaks TLS in front of simulated legs."""
    with bench(DIALECTS, authority=Authority()) as found:
        yield found
        assert found.plane.troubles == []


@pytest.fixture
def plane(rig: Bench) -> Iterator[PlaneProcess]:
    """The plane, with no fault on before the test and none after it."""
    with undisturbed(rig) as found:
        yield found


@pytest.mark.parametrize("fault", SEEN, ids=str)
@pytest.mark.parametrize("stream", [False, True])
def test_what_httpx_sees(rig: Bench, plane: PlaneProcess, fault: Fault, stream: bool) -> None:
    """A connection that was open is reset, a new one comes to no request; each handshake is told; then all is well."""
    raised, words, *_ = SEEN[fault]
    before = len(plane.all(HandshakeMet))
    with rig.caller("openai", tls=True, timeout_s=0.4) as caller:
        assert caller.reading(mark()).shape is Shape.WHOLE
        with plane.fault(fault.kind, "openai", **settings(fault)) as id_:
            assert plane.effective(id_).cut == 1
            for _ in range(2):
                with pytest.raises(raised, match=words):
                    caller.ask(mark(), stream=stream)
            told = plane.all(HandshakeMet)[before:]
            assert [(event.leg, event.faults) for event in told] == [("openai", (id_,))] * 2
            with rig.caller("anthropic", tls=True) as other:
                assert other.reading(mark()).shape is Shape.WHOLE
        assert caller.reading(mark(), stream=stream).shape is Shape.WHOLE


@pytest.mark.parametrize("fault", SEEN, ids=str)
def test_a_stream_under_way_is_reset(rig: Bench, plane: PlaneProcess, fault: Fault) -> None:
    """The plane says which fault did it."""
    asked = mark(400)
    with rig.caller("anthropic", tls=True) as caller:
        streamed = caller.begin(asked, stream=True)
        until(lambda: len(streamed.parts) > 3)
        with plane.fault(fault.kind, "anthropic", **settings(fault)) as id_:
            assert streamed.ended.wait(SETTLE_S)
            assert isinstance(streamed.error, httpx.TransportError)
            _, done = plane.attempt(asked.id)
            assert (done.result, done.faults) == (AttemptResult.FAULTED, (id_,))


@pytest.mark.parametrize("fault", SEEN, ids=str)
def test_a_probe_proves_it(rig: Bench, plane: PlaneProcess, fault: Fault) -> None:
    """A real probe in the leg's name, on and off; its port is the one whose handshake the plane told of."""
    assert rig.authority is not None
    prober, to = FaultProber(Clock(), rig.authority.pem), Address(rig.plane.ports["openai"], host_of("openai"))

    async def probes() -> list[Proof]:
        found = []
        for on in (True, False):
            id_ = plane.apply(fault.kind, ["openai"], **settings(fault)) if on else ""
            request = providers.get("openai").probe("gpt-4o", mark().prompt(), stream=False)
            found.append(await prober.send(to, request, 0.6))
            if on:
                plane.clear(id_)
        await prober.aclose()
        return found

    during, after = asyncio.run(probes())
    assert (during.outcome.came, after.outcome.came) == (SEEN[fault][2], Came.WHOLE)
    assert fault.proves(during.outcome)
    assert during.port == plane.all(HandshakeMet)[-1].port


def test_a_handshake_that_hung_is_answered_when_the_fault_ends(rig: Bench, plane: PlaneProcess) -> None:
    """Who waited is served, without a new connection."""
    with rig.caller("openai", tls=True) as caller:
        asked = mark()
        with plane.fault("tls_handshake_hang", "openai"):
            streamed = caller.begin(asked, stream=True)
            assert not streamed.ended.wait(0.3)
            handshakes = len(plane.all(HandshakeMet))
        assert streamed.ended.wait(SETTLE_S)
        assert (streamed.error, streamed.status) == (None, 200)
        assert len(plane.all(HandshakeMet)) == handshakes


def test_who_does_not_look_at_certificates_notices_nothing(plane: PlaneProcess) -> None:
    """A gateway with verification switched off is served with a bad certificate as with a good one."""
    careless = ssl.create_default_context()
    careless.check_hostname, careless.verify_mode = False, ssl.CERT_NONE
    caller = Caller(providers.get("openai"), plane.ports["openai"], SETTLE_S, careless, host_of("openai"))
    with caller, plane.fault("tls_bad_certificate", "openai", how="self_signed"):
        assert caller.reading(mark()).shape is Shape.WHOLE


@pytest.mark.parametrize("fault", SEEN, ids=str)
def test_a_session_is_not_resumed_past_a_fault(rig: Bench, plane: PlaneProcess, fault: Fault) -> None:
    """A client that keeps its session, as Node and Java do, shakes hands anew; without a fault it need not."""
    context, session = rig.trust(), None
    resumed = []
    for on in (False, True, False):
        id_ = plane.apply(fault.kind, ["bedrock"], **settings(fault)) if on else ""
        try:
            with socket.create_connection(("127.0.0.1", plane.ports["bedrock"]), 0.4) as sock:
                wrapped = context.wrap_socket(sock, server_hostname=host_of("bedrock"), session=session)
                wrapped.sendall(b"GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n")
                wrapped.recv(100)
                session = wrapped.session
                resumed.append(wrapped.session_reused)
                wrapped.close()
        except (TimeoutError, ssl.SSLCertVerificationError):
            resumed.append(None)
        finally:
            if on:
                plane.clear(id_)
    assert resumed == [False, None, True]


def test_a_certificate_that_flaps(rig: Bench, plane: PlaneProcess) -> None:
    """Bad, good, bad, each for half a second: what was open in the good time is reset when it ends."""
    shape = FaultShape(square=Square(period_s=1.0, on=0.5))
    plane.send(Apply(fault="flap", kind="tls_bad_certificate", settings={}, legs=("openai",), shape=shape))
    plane.effective("flap")

    def edge(number: int) -> FaultSwitched:
        until(lambda: len(plane.all(FaultSwitched)) >= number)
        return plane.all(FaultSwitched)[number - 1]

    with rig.caller("openai", tls=True) as caller:
        with pytest.raises(httpx.ConnectError):
            caller.ask(mark())
        assert not edge(1).on
        assert caller.reading(mark()).shape is Shape.WHOLE
        assert (edge(2).on, edge(2).cut) == (True, 1)
        with pytest.raises(httpx.ConnectError):
            caller.ask(mark())
        plane.clear("flap")
        assert caller.reading(mark()).shape is Shape.WHOLE


def test_a_leg_without_tls_refuses_it() -> None:
    """The plane says so, and nothing is left on."""
    with bench({"openai": "openai"}) as plain:
        plain.plane.send(Apply(fault="x", kind="tls_handshake_hang", settings={}, legs=("openai",)))
        until(lambda: plain.plane.troubles)
        assert "the leg speaks plain HTTP" in plain.plane.troubles[0]
        with plain.caller("openai") as caller:
            assert caller.reading(mark()).shape is Shape.WHOLE


def test_the_lease_ends_it(rig: Bench, plane: PlaneProcess) -> None:
    """The runner falls silent: within five seconds the leg shakes hands as before."""
    fault = plane.apply("tls_handshake_hang", ["openai"])
    plane.beating.clear()
    try:
        cleared = plane.cleared(fault, LEASE_S + 2)
        assert cleared.why == "the runner fell silent"
    finally:
        plane.beating.set()
    with rig.caller("openai", tls=True) as caller:
        assert caller.reading(mark()).shape is Shape.WHOLE


@pytest.mark.sdk
@pytest.mark.timeout(900)
@pytest.mark.parametrize("fault", SEEN, ids=str)
def test_what_the_vendors_sdks_see(
    rig: Bench, plane: PlaneProcess, sdk_python: Path, tmp_path: Path, fault: Fault
) -> None:
    """By their host names, through the relay, in what a route puts into the environment: answered, and then not."""
    assert rig.authority is not None
    hosts = {f"{host_of(leg)}:443": port for leg, port in plane.ports.items()}
    calls = [
        {"client": leg, "url": f"https://{host_of(leg)}", "stream": False} for leg in ("anthropic", "openai", "bedrock")
    ]
    with relaying(hosts) as relay:
        around = together(proxied(relay.port, tmp_path), trust(rig.authority, tmp_path))
        for name, content in around.files.items():
            Path(name).write_bytes(content)
        well = ask(sdk_python, "impatient_calls", calls, around.env)
        with plane.fault(fault.kind, *DIALECTS, **settings(fault)):
            answers = ask(sdk_python, "impatient_calls", calls, around.env)
        assert relay.others == []
    assert [answer.get("exception") for answer in well] == [None, None, None], well
    assert [answer.get("exception") for answer in answers] == [*SEEN[fault][3:]], answers
