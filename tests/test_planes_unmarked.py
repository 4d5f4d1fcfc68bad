"""What the plane tells of requests without a mark, and of connects that hang and are given up."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import suppress

import httpx
import msgspec
import pytest
from plane_harness import PlaneProcess
from test_simulator import running

from drills.events import AttemptReceived, ConnectGone, ConnectHung
from drills.marks import Mark
from drills.providers import anthropic
from drills.simulator import SimulatedLeg, SimulatorSpec
from drills.unmarked import retry_of, text_key

pytestmark = pytest.mark.clock

SALT = "a secret of the run"
SPEC = SimulatorSpec((SimulatedLeg("a", "anthropic"), SimulatedLeg("b", "openai")), first_token_s=0, tokens_per_s=5000)


@pytest.fixture(scope="module")
def plane() -> Iterator[PlaneProcess]:
    """A plane that tells of texts."""
    with running(SPEC) as (_, ports):
        found = PlaneProcess({"a": ("anthropic", ports["a"]), "b": ("openai", ports["b"])}, salt=SALT)
        yield found
        assert found.troubles == []
        found.close()


def asked(plane: PlaneProcess, leg: str, text: str, headers: dict[str, str] | None = None) -> AttemptReceived:
    """What the plane says of a call with this text."""
    before = len(plane.all(AttemptReceived))
    path = "/v1/messages" if leg == "a" else "/v1/chat/completions"
    body = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": text}]}
    url = f"http://127.0.0.1:{plane.ports[leg]}{path}"
    with httpx.Client(trust_env=False) as client:
        assert client.post(url, json=body, headers=headers or {}).status_code == 200
    return plane.wait_for(AttemptReceived, lambda event: event in plane.all(AttemptReceived)[before:])


def test_equal_texts_have_equal_keys_on_every_leg(plane: PlaneProcess) -> None:
    """Whatever the dialect and the spaces; and no text is in any event."""
    first = asked(plane, "a", "What is the secret word xyzzy?")
    assert (first.id, first.retry, first.port > 0) == ("", None, True)
    assert first.text_key == text_key("What is the secret word xyzzy?", SALT)
    assert asked(plane, "b", " What is the  secret word\nxyzzy? ").text_key == first.text_key
    assert asked(plane, "a", "What else?").text_key not in {"", first.text_key}
    assert asked(plane, "a", "").text_key == ""
    assert b"xyzzy" not in msgspec.json.encode(plane.events)


def test_a_marked_request_tells_nothing_else(plane: PlaneProcess) -> None:
    """Its mark says all that is needed."""
    mark = Mark("00ff00ff00ff00ff", 3)
    found = asked(plane, "a", mark.prompt(), {"x-stainless-retry-count": "1"})
    assert (found.id, found.text_key, found.retry, found.port) == (mark.id, "", None, 0)


def test_without_a_salt_nothing_is_told() -> None:
    """As in the drill of a gateway, whose own checks have no mark either."""
    with running(SPEC) as (_, ports):
        plane = PlaneProcess({"a": ("anthropic", ports["a"])})
        found = asked(plane, "a", "Hello", {"x-stainless-retry-count": "1"})
        assert (found.text_key, found.retry, found.port) == ("", None, 0)
        plane.close()


RETRIES = [
    # The header of openai's and anthropic's SDKs, and that of AWS's, whose first try is attempt 1.
    ((("X-Stainless-Retry-Count", "0"),), 0),
    ((("x-stainless-retry-count", "2"),), 2),
    ((("amz-sdk-request", "attempt=1"),), 0),
    ((("amz-sdk-request", "ttl=20261122T120000Z; attempt=3; max=4"),), 2),
    # Nobody says so, or nobody can read it.
    ((), None),
    ((("x-stainless-retry-count", "many"), ("amz-sdk-request", "max=3")), None),
    ((("x-stainless-retry-count", "9" * 30),), None),
]


@pytest.mark.parametrize(("headers", "retry"), RETRIES)
def test_which_retry_it_is(headers: tuple[tuple[str, str], ...], retry: int | None) -> None:
    """By the SDKs' own headers."""
    assert retry_of(headers) == retry


def test_keys_are_of_the_run_alone() -> None:
    """Another run's secret makes other keys of the same text, so that nobody can look one up."""
    assert text_key("Hello", "one") != text_key("Hello", "another")
    assert len(text_key("Hello \ud800", "one")) == 16


def test_a_hung_connect_has_an_end(plane: PlaneProcess) -> None:
    """It is given up after 0.4 s: gone since between the last look at it and the next."""
    with plane.fault("blackhole", "a") as fault, socket.socket() as caller:
        caller.settimeout(0.4)
        began_s = time.monotonic()
        with suppress(TimeoutError):
            caller.connect(("127.0.0.1", plane.ports["a"]))
        ended_s = time.monotonic()
        port = caller.getsockname()[1]
        caller.close()
        hung = plane.wait_for(ConnectHung, lambda event: event.port == port)
        gone = plane.wait_for(ConnectGone, lambda event: event.port == port)
    assert (hung.leg, hung.faults, gone.leg) == ("a", (fault,), "a")
    assert began_s <= hung.seen_s <= gone.last_seen_s < gone.at_s
    assert gone.last_seen_s <= ended_s <= gone.at_s
    assert gone.at_s - gone.last_seen_s < 1


def test_a_connect_that_gets_through_is_known_by_its_port(plane: PlaneProcess) -> None:
    """It hangs until the kernel tries again, also after the fault; then its request comes from the same port."""
    caller = socket.socket()
    with plane.fault("blackhole", "a"):
        caller.setblocking(False)
        caller.connect_ex(("127.0.0.1", plane.ports["a"]))
        port = caller.getsockname()[1]
        plane.wait_for(ConnectHung, lambda event: event.port == port)
    caller.settimeout(5)
    probe = anthropic.PROVIDER.probe("m", "Hello", stream=False)
    lines = [f"POST {probe.path} HTTP/1.1", "host: x", f"content-length: {len(probe.body)}", "", ""]
    plane.wait_for(ConnectGone, lambda event: event.port == port)
    caller.sendall("\r\n".join(lines).encode() + probe.body)
    received = plane.wait_for(AttemptReceived, lambda event: event.port == port)
    assert received.text_key == text_key("Hello", SALT)
    caller.close()
