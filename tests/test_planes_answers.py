"""Faults that answer in the leg's place, and those of identity services, on real sockets."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import httpx
import pytest
from plane_harness import Bench, bench, mark

from drills import providers
from drills.events import AttemptDone, AttemptReceived, AttemptResult
from drills.marks import Shape, read_answer
from drills.providers.base import ErrorKind

pytestmark = pytest.mark.clock

DIALECTS = {name: name for name in providers.names()}


@pytest.fixture(scope="module")
def rig() -> Iterator[Bench]:
    """One plane and one simulator: legs are named after their dialects."""
    with bench(DIALECTS) as found:
        yield found
        assert found.plane.troubles == []


NAMED = [
    # leg, failure, status, what the body holds, what the headers hold (None: not there)
    ("anthropic", "overloaded", 529, b'"type":"overloaded_error"', {"retry-after": "8"}),
    ("openai", "overloaded", 503, b'"code":"server_is_overloaded"', {"retry-after": "8", "retry-after-ms": "7500"}),
    ("azure", "rate_limited", 429, b"Please retry after 8 seconds", {"retry-after": "8", "retry-after-ms": "7500"}),
    ("gemini", "quota_exhausted", 429, b'"retryDelay":"7.5s"', {"retry-after": None}),
    ("vertex", "permission_denied", 403, b'"status":"PERMISSION_DENIED"', {"retry-after": None}),
    ("bedrock", "quota_exhausted", 400, b"service quota", {"retry-after": None}),
    # The tier's cap comes without a word on when to retry.
    ("anthropic", "quota_exhausted", 429, b'"enforced_spend_limit_reached"', {"retry-after": None}),
]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("row", NAMED, ids=lambda row: f"{row[0]}-{row[1]}")
def test_a_failure_by_name_is_the_vendors(
    rig: Bench, row: tuple[str, str, int, bytes, dict[str, str | None]], stream: bool
) -> None:
    """Status, body and the form of retry-after are the vendor's; the connection lives, and works afterwards."""
    leg, error, status, body, headers = row
    asked = mark()
    with rig.caller(leg) as caller:
        with rig.plane.fault("status", leg, error=error, retry_after=7.5) as fault:
            response = caller.ask(asked, stream=stream)
            assert (response.status_code, body in response.content) == (status, True)
            assert {name: response.headers.get(name) for name in headers} == headers
            done = rig.plane.attempt(asked.id)[1]
            assert (done.status, done.result, done.faults) == (status, AttemptResult.FAULTED, (fault,))
        assert caller.reading(mark(), stream=stream).shape is Shape.WHOLE


@pytest.mark.parametrize("leg", DIALECTS)
@pytest.mark.parametrize("kind", ErrorKind)
def test_every_failure_by_name_is_no_answer(rig: Bench, leg: str, kind: ErrorKind) -> None:
    """Every kind at every vendor: the bytes are those of the dialect, and they do not read as an answer."""
    with rig.caller(leg) as caller, rig.plane.fault("status", leg, error=kind.value):
        response = caller.ask(mark())
        assert response.status_code == 200 or response.status_code >= 400
        with pytest.raises(ValueError, match=r"."):
            caller.dialect.read(stream=False, body=response.content)


LITERAL = [
    # fault, settings, status, type, what the body begins with
    ("edge_html", {}, 502, "text/html; charset=UTF-8", b"<!DOCTYPE html>"),
    ("edge_html", {"code": 530}, 530, "text/html; charset=UTF-8", b"<!DOCTYPE html>"),
    ("html_200", {}, 200, "text/html; charset=utf-8", b"<!DOCTYPE html>"),
    ("garbage_json", {}, 200, "application/json", b'{"id"'),
    ("empty", {}, 200, "application/json", b""),
]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("leg", ["openai", "bedrock"])
@pytest.mark.parametrize("row", LITERAL, ids=lambda row: f"{row[0]}-{row[2]}")
def test_what_no_vendor_would_say(
    rig: Bench, row: tuple[str, dict[str, int], int, str, bytes], leg: str, stream: bool
) -> None:
    """The bytes of the fault with a true length, and no answer in them; the leg answers again at once afterwards."""
    kind, settings, status, content_type, begins = row
    asked = mark()
    with rig.caller(leg) as caller:
        with rig.plane.fault(kind, leg, **settings) as fault:
            response = caller.ask(asked, stream=stream)
            assert (response.status_code, response.headers["content-type"]) == (status, content_type)
            assert response.content.startswith(begins)
            assert int(response.headers["content-length"]) == len(response.content)
            with pytest.raises(ValueError, match=r"."):
                caller.dialect.read(stream, response.content)
            done = rig.plane.attempt(asked.id)[1]
            assert (done.status, done.result, done.faults) == (status, AttemptResult.FAULTED, (fault,))
        assert caller.reading(mark(), stream=stream).shape is Shape.WHOLE


def token(rig: Bench) -> httpx.Response:
    """A request for an access token, as Google's clients send it."""
    grant = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": "drill"}
    return httpx.post(f"http://127.0.0.1:{rig.plane.ports['vertex']}/token", data=grant, trust_env=False)


REFUSALS = [
    # how, status, the error in OAuth's envelope
    ("unavailable", 503, "temporarily_unavailable"),
    ("invalid_grant", 400, "invalid_grant"),
    ("invalid_client", 401, "invalid_client"),
]


@pytest.mark.parametrize(("how", "status", "error"), REFUSALS)
def test_identity_down_leaves_the_models_healthy(rig: Bench, how: str, status: int, error: str) -> None:
    """No token while the fault is on, answers all the time, and a token afterwards."""
    asked = mark()
    with rig.caller("vertex") as caller, rig.plane.fault("identity_down", "vertex", how=how) as fault:
        refused = token(rig)
        assert (refused.status_code, refused.json()["error"]) == (status, error)
        received = rig.plane.wait_for(AttemptReceived, lambda event: event.surface == "identity")
        assert received.operation == "token"
        rig.plane.wait_for(AttemptDone, lambda event: event.faults == (fault,) and event.status == status)
        assert caller.reading(asked).shape is Shape.WHOLE
        assert rig.plane.attempt(asked.id)[1].faults == ()
    assert token(rig).json()["access_token"]


def test_identity_slow_leaves_the_models_quick(rig: Bench) -> None:
    """A token takes 0.4 s more, an answer takes no longer."""
    asked = mark()
    with rig.caller("vertex") as caller, rig.plane.fault("identity_slow", "vertex", by=0.4):
        began_s = time.monotonic()
        assert token(rig).json()["access_token"]
        assert time.monotonic() - began_s >= 0.4
        assert caller.reading(asked).shape is Shape.WHOLE
        assert rig.plane.attempt(asked.id)[1].faults == ()


@pytest.mark.parametrize("leg", sorted(DIALECTS.keys() - {"vertex"}))
def test_a_leg_without_tokens_is_not_touched(rig: Bench, leg: str) -> None:
    """The fault does nothing to it, and so it shows in no attempt: the drill is invalid then."""
    asked = mark()
    with rig.caller(leg) as caller, rig.plane.fault("identity_down", leg):
        assert caller.reading(asked).shape is Shape.WHOLE
        assert rig.plane.attempt(asked.id)[1].faults == ()


BEDROCK_INVOKE = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 9}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("leg", DIALECTS)
def test_degraded_text_is_complete_and_wrong(rig: Bench, leg: str, stream: bool) -> None:
    """A good answer in every form, with every word of it another request's; the right words again afterwards."""
    asked = mark()
    with rig.caller(leg) as caller:
        with rig.plane.fault("degraded_text", leg) as fault:
            reading = caller.reading(asked, stream=stream)
            assert (reading.shape, reading.legs, reading.words) == (Shape.FOREIGN, (leg,), asked.words)
            done = rig.plane.attempt(asked.id)[1]
            assert (done.status, done.result, done.faults) == (200, AttemptResult.FAULTED, (fault,))
            assert done.detail == "answered with another request's words"
        assert caller.reading(mark(), stream=stream).shape is Shape.WHOLE


@pytest.mark.parametrize("operation", ["invoke", "invoke-with-response-stream"])
def test_degraded_text_of_claude_on_bedrock(rig: Bench, operation: str) -> None:
    """The words are inside base64 inside frames: the checksums hold, and the words are another request's."""
    asked, dialect, stream = mark(), providers.get("bedrock"), operation != "invoke"
    body = {**BEDROCK_INVOKE, "messages": [{"role": "user", "content": asked.prompt()}]}
    url = f"http://127.0.0.1:{rig.plane.ports['bedrock']}/model/us.anthropic.claude-x/{operation}"
    with rig.plane.fault("degraded_text", "bedrock"):
        response = httpx.post(url, content=json.dumps(body), trust_env=False)
    assert read_answer(dialect.read(stream, response.content), asked).shape is Shape.FOREIGN


def test_degraded_text_without_a_mark_does_nothing(rig: Bench) -> None:
    """A request that is no drill's has no id to swap: the fault does not claim to have touched it."""
    before = len(rig.plane.all(AttemptDone))
    with rig.caller("openai") as caller, rig.plane.fault("degraded_text", "openai") as fault:
        probe = caller.dialect.probe("gpt-4o", "hello", stream=False)
        url = f"http://127.0.0.1:{caller.port}{probe.path}"
        answer = httpx.post(url, content=probe.body, headers=dict(probe.headers), trust_env=False)
        assert (
            answer.json()["choices"][0]["message"]["content"]
            == "This answer was made up for a failover drill by the leg openai"
        )
        done = rig.plane.wait_for(AttemptDone, lambda event: event in rig.plane.all(AttemptDone)[before:])
        assert fault not in done.faults
