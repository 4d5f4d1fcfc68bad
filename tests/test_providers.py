"""Every dialect reads what it writes, fails as wire.md says its vendor fails, and survives hostile requests."""

from __future__ import annotations

import json
import random
import struct
import zlib
from urllib.parse import quote

import pytest

from drills import providers
from drills.marks import Mark, Shape, answer_text, answer_words, find_mark, read_answer
from drills.providers import eventstream, sse
from drills.providers.base import Call, ErrorKind, Headers, ProbeRequest, Provider, Reply, StreamReply, Surface

MARK = Mark("0123456789abcdef", 5)
ID = "6f9619ff-8b86-d011-b42d-00c04fc964ff"
TEXT = answer_text(MARK, "leg-a")
WORDS = tuple(answer_words(MARK, "leg-a"))
CLAUDE_BODY: dict[str, object] = {"max_tokens": 9, "messages": [{"role": "user", "content": MARK.prompt()}]}
CONTENT_BODY: dict[str, object] = {"contents": [{"role": "user", "parts": [{"text": MARK.prompt()}]}]}
CONVERSE_BODY: dict[str, object] = {"messages": [{"role": "user", "content": [{"text": MARK.prompt()}]}]}
CHAT_BODY: dict[str, object] = {"model": "gpt-4o", "messages": [{"role": "user", "content": MARK.prompt()}]}
RESPONSES_BODY: dict[str, object] = {"model": "gpt-4o", "input": MARK.prompt()}
GEMINI = "/v1/models/gemini-2.5-pro"
VERTEX = "/v1/projects/p/locations/europe-west1/publishers"
BEDROCK = "/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0"

# dialect, path of a whole answer, path of a streamed one, body, body of a streamed one
ROUTES: dict[str, tuple[str, str, str, dict[str, object], dict[str, object]]] = {
    "anthropic": ("anthropic", "/v1/messages", "/v1/messages", CLAUDE_BODY, {**CLAUDE_BODY, "stream": True}),
    "openai chat": ("openai", "/v1/chat/completions", "/chat/completions", CHAT_BODY, {**CHAT_BODY, "stream": True}),
    "openai responses": ("openai", "/v1/responses", "/responses", RESPONSES_BODY, {**RESPONSES_BODY, "stream": True}),
    "azure chat": (
        "azure",
        "/openai/deployments/d/chat/completions?api-version=2024-10-21",
        "/openai/v1/chat/completions",
        CHAT_BODY,
        {**CHAT_BODY, "stream": True, "stream_options": {"include_usage": True}},
    ),
    "azure responses": (
        "azure",
        "/openai/responses?api-version=preview",
        "/openai/v1/responses",
        RESPONSES_BODY,
        {**RESPONSES_BODY, "stream": True},
    ),
    "gemini": (
        "gemini",
        f"{GEMINI}:generateContent",
        f"{GEMINI}:streamGenerateContent?alt=sse",
        CONTENT_BODY,
        CONTENT_BODY,
    ),
    "gemini array": (
        "gemini",
        "/models/x:generateContent",
        "/v1beta/models/x:streamGenerateContent",
        CONTENT_BODY,
        CONTENT_BODY,
    ),
    "vertex gemini": (
        "vertex",
        f"{VERTEX}/google/models/gemini-2.5-pro:generateContent",
        f"{VERTEX}/google/models/gemini-2.5-pro:streamGenerateContent?alt=sse",
        CONTENT_BODY,
        CONTENT_BODY,
    ),
    "vertex claude": (
        "vertex",
        f"{VERTEX}/anthropic/models/claude-sonnet-5:rawPredict",
        f"{VERTEX}/anthropic/models/claude-sonnet-5:streamRawPredict",
        CLAUDE_BODY,
        {**CLAUDE_BODY, "stream": True},
    ),
    "bedrock converse": (
        "bedrock",
        f"{BEDROCK}/converse",
        f"{BEDROCK}/converse-stream",
        CONVERSE_BODY,
        CONVERSE_BODY,
    ),
    "bedrock invoke": (
        "bedrock",
        f"{BEDROCK}/invoke",
        f"{BEDROCK}/invoke-with-response-stream",
        CLAUDE_BODY,
        CLAUDE_BODY,
    ),
}


def header(headers: Headers, name: str) -> str | None:
    """A header of a reply, in any case."""
    return next((value for key, value in headers if key.lower() == name.lower()), None)


def recognised(route: str, stream: bool = False) -> tuple[Provider, Call]:
    """The dialect of a route, and the call it makes of the route's request."""
    name, whole_path, stream_path, whole_body, stream_body = ROUTES[route]
    dialect = providers.get(name)
    path, body = (stream_path, stream_body) if stream else (whole_path, whole_body)
    return dialect, dialect.recognise("POST", path, (), json.dumps(body).encode())


def flat(reply: StreamReply) -> bytes:
    """A whole streamed body."""
    return reply.opening + b"".join(reply.tokens) + reply.closing


def test_catalogue_holds_the_six_dialects() -> None:
    """A provider is a module with `PROVIDER`; helpers beside it are none."""
    assert providers.names() == ["anthropic", "azure", "bedrock", "gemini", "openai", "vertex"]
    assert all(providers.get(name).name == name for name in providers.names())


@pytest.mark.parametrize("route", ROUTES)
def test_whole_answer_reads_back(route: str) -> None:
    """What a dialect answers it reads as the canonical text."""
    dialect, call = recognised(route)
    assert (call.surface, call.stream) == (Surface.MODEL, False)
    assert find_mark(call.text) == MARK
    reply = dialect.answer(call, TEXT, ID)
    assert reply.status == 200
    assert read_answer(dialect.read(stream=False, body=reply.body), MARK).shape is Shape.WHOLE


@pytest.mark.parametrize("route", ROUTES)
def test_streamed_answer_reads_back(route: str) -> None:
    """What a dialect streams it reads as the canonical text, one token per word."""
    dialect, call = recognised(route, stream=True)
    assert (call.surface, call.stream) == (Surface.MODEL, True)
    assert find_mark(call.text) == MARK
    reply = dialect.stream(call, WORDS, ID)
    assert len(reply.tokens) == len(WORDS)
    assert dialect.read(stream=True, body=flat(reply)) == TEXT


@pytest.mark.parametrize("route", ROUTES)
def test_incomplete_stream_is_refused(route: str) -> None:
    """A stream that lost any element at its end, or ends inside one, is no complete answer."""
    dialect, call = recognised(route, stream=True)
    reply = dialect.stream(call, WORDS, ID)
    whole, closing = flat(reply), len(reply.closing)
    for kept in (0, len(reply.opening), len(whole) - closing, len(whole) - 3):
        with pytest.raises(ValueError, match=r"."):
            dialect.read(stream=True, body=whole[:kept])


@pytest.mark.parametrize("route", ROUTES)
def test_every_cut_between_events_is_refused(route: str) -> None:
    """A clean end after any event but the last is noticed, which no official SDK does (wire.md 0.9)."""
    dialect, call = recognised(route, stream=True)
    whole = flat(dialect.stream(call, WORDS, ID))
    ends, rest = dialect.count_events(whole, b"")
    assert rest in {b"", b"\n]"}
    for end in ends[: -1 if not rest else None]:
        with pytest.raises(ValueError, match=r"."):
            dialect.read(stream=True, body=whole[:end])


@pytest.mark.parametrize("route", ROUTES)
def test_events_are_counted_alike_however_the_bytes_arrive(route: str) -> None:
    """Splitting the stream at any byte boundary finds the same events."""
    dialect, call = recognised(route, stream=True)
    reply = dialect.stream(call, WORDS, ID)
    whole = flat(reply)
    expected, rest = dialect.count_events(whole, b"")
    assert len(reply.opening + b"".join(reply.tokens[:2])) in expected
    for cut in range(len(whole) + 1):
        first, pending = dialect.count_events(whole[:cut], b"")
        base = cut - len(pending)
        second, left = dialect.count_events(whole[cut:], pending)
        assert (*first, *(base + end for end in second)) == expected
        assert left == rest


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("kind", ErrorKind)
def test_failures_are_never_read_as_answers(route: str, stream: bool, kind: ErrorKind) -> None:
    """Every kind of failure has a body that the dialect itself refuses to read as success."""
    dialect, call = recognised(route, stream)
    reply = dialect.error(kind, call, ID, 3.0)
    assert reply.status == 200 or reply.status >= 400
    for streamed in (stream, False):
        with pytest.raises(ValueError, match=r"."):
            dialect.read(stream=streamed, body=reply.body)


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("kind", ErrorKind)
def test_failures_inside_a_stream_are_whole_events_and_no_answer(route: str, kind: ErrorKind) -> None:
    """After any number of events the failure is found as at least one more, and the stream is no answer."""
    dialect, call = recognised(route, stream=True)
    reply = dialect.stream(call, WORDS, ID)
    begun = reply.opening + b"".join(reply.tokens[:2])
    before, _ = dialect.count_events(begun, b"")
    whole = begun + dialect.stream_error(kind, call, ID, len(before))
    ends, rest = dialect.count_events(whole, b"")
    assert ends[: len(before)] == before
    assert len(ends) > len(before)
    assert rest == (b"\n]" if route == "gemini array" else b"")
    with pytest.raises(ValueError, match=r"."):
        dialect.read(stream=True, body=whole)


@pytest.mark.parametrize("route", ROUTES)
def test_a_malformed_event_is_an_event_and_no_json(route: str) -> None:
    """The framing finds every event where it was, and the reader refuses the stream because of the one."""
    dialect, call = recognised(route, stream=True)
    reply = dialect.stream(call, WORDS, ID)
    first, second, third = reply.tokens[:3]
    spoilt = dialect.malformed(second)
    assert len(spoilt) < len(second)
    ends, _ = dialect.count_events(reply.opening + first + spoilt + third, b"")
    own, _ = dialect.count_events(reply.opening + first + second + third, b"")
    if route != "gemini array":  # an array is broken from there on
        assert len(ends) == len(own)
    with pytest.raises(ValueError, match=r"."):
        dialect.read(stream=True, body=reply.opening + first + spoilt + b"".join(reply.tokens[2:]) + reply.closing)


STREAM_EXCEPTIONS = [
    # operation, failure, message type, exception or code (wire.md A.6: what a stream has no exception for is an error)
    ("converse-stream", ErrorKind.RATE_LIMITED, "exception", "throttlingException"),
    ("converse-stream", ErrorKind.SERVER_ERROR, "exception", "internalServerException"),
    ("converse-stream", ErrorKind.CONTEXT_LENGTH, "exception", "validationException"),
    ("converse-stream", ErrorKind.TIMEOUT, "error", "ModelTimeoutException"),
    ("invoke-with-response-stream", ErrorKind.OVERLOADED, "exception", "serviceUnavailableException"),
    ("invoke-with-response-stream", ErrorKind.TIMEOUT, "exception", "modelTimeoutException"),
]


@pytest.mark.parametrize(("operation", "kind", "message_type", "name"), STREAM_EXCEPTIONS)
def test_exceptions_in_frames(operation: str, kind: ErrorKind, message_type: str, name: str) -> None:
    """Names are lowerCamel, and a timeout is an exception of InvokeModel's stream only."""
    call = Call(surface=Surface.MODEL, operation=operation, model="m", stream=True)
    (frame,) = eventstream.decode(providers.get("bedrock").stream_error(kind, call, ID, 3))
    assert frame.header(":message-type") == message_type
    assert (frame.header(":exception-type") or frame.header(":error-code")) == name


@pytest.mark.parametrize("name", providers.names())
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", ["claude-sonnet-5", "gemini-2.5-pro"])
def test_probe_is_recognised(name: str, stream: bool, model: str) -> None:
    """The preflight's request is one that the dialect answers, and that answer reads back."""
    dialect = providers.get(name)
    probe: ProbeRequest = dialect.probe(model, MARK.prompt(), stream)
    call = dialect.recognise(probe.method, probe.path, probe.headers, probe.body)
    assert (call.surface, call.model, call.stream) == (Surface.MODEL, model, stream)
    assert find_mark(call.text) == MARK
    body = flat(dialect.stream(call, WORDS, ID)) if stream else dialect.answer(call, TEXT, ID).body
    assert dialect.read(stream, body) == TEXT


OVERLOADED, LIMITED, QUOTA = ErrorKind.OVERLOADED, ErrorKind.RATE_LIMITED, ErrorKind.QUOTA_EXHAUSTED
AUTH, DENIED, MISSING = ErrorKind.AUTH_FAILED, ErrorKind.PERMISSION_DENIED, ErrorKind.MODEL_NOT_FOUND
INVALID, FILTERED, LONG = ErrorKind.INVALID_REQUEST, ErrorKind.CONTENT_FILTERED, ErrorKind.CONTEXT_LENGTH
BILLING, SERVER, DOWN, TIMEOUT = ErrorKind.BILLING, ErrorKind.SERVER_ERROR, ErrorKind.UNAVAILABLE, ErrorKind.TIMEOUT

# route, kind, status, then what the body must have: path into it -> value (wire.md A.2 to A.7)
ERROR_ROWS: list[tuple[str, ErrorKind, int, dict[str, object]]] = [
    # A.2
    ("anthropic", OVERLOADED, 529, {"type": "error", "error.type": "overloaded_error", "error.message": "Overloaded"}),
    ("anthropic", LIMITED, 429, {"error.type": "rate_limit_error"}),
    ("anthropic", QUOTA, 429, {"error.details.error_code": "enforced_spend_limit_reached"}),
    ("anthropic", AUTH, 401, {"error.type": "authentication_error"}),
    ("anthropic", DENIED, 403, {"error.type": "permission_error"}),
    ("anthropic", MISSING, 404, {"error.type": "not_found_error"}),
    ("anthropic", INVALID, 400, {"error.type": "invalid_request_error"}),
    ("anthropic", FILTERED, 200, {"type": "message", "stop_reason": "refusal"}),
    ("anthropic", LONG, 400, {"error.type": "invalid_request_error"}),
    ("anthropic", BILLING, 402, {"error.type": "billing_error"}),
    ("anthropic", SERVER, 500, {"error.type": "api_error", "error.message": "Internal server error"}),
    ("anthropic", DOWN, 503, {"error.details.error_code": "cmek_key_unreachable"}),
    ("anthropic", TIMEOUT, 504, {"error.type": "timeout_error", "error.message": "Request timeout"}),
    # A.3
    ("openai chat", OVERLOADED, 503, {"error.type": "service_unavailable_error", "error.code": "server_is_overloaded"}),
    ("openai chat", LIMITED, 429, {"error.type": "tokens", "error.code": "rate_limit_exceeded"}),
    ("openai chat", QUOTA, 429, {"error.type": "insufficient_quota", "error.code": "insufficient_quota"}),
    ("openai chat", AUTH, 401, {"error.type": "invalid_request_error", "error.code": "invalid_api_key"}),
    ("openai chat", DENIED, 403, {"error.message": "Country, region, or territory not supported"}),
    ("openai chat", MISSING, 404, {"error.type": "invalid_request_error", "error.code": "model_not_found"}),
    ("openai chat", INVALID, 400, {"error.type": "invalid_request_error"}),
    ("openai chat", FILTERED, 400, {"error.code": "invalid_prompt"}),
    ("openai chat", LONG, 400, {"error.code": "context_length_exceeded"}),
    ("openai chat", BILLING, 429, {"error.type": "insufficient_quota", "error.code": "credit_balance_exhausted"}),
    ("openai responses", SERVER, 500, {"error.type": "server_error", "error.code": None}),
    ("openai responses", DOWN, 503, {"error.type": "server_error"}),
    # A.4
    ("gemini", OVERLOADED, 503, {"error.code": 503, "error.status": "UNAVAILABLE"}),
    ("gemini", LIMITED, 429, {"error.status": "RESOURCE_EXHAUSTED"}),
    ("gemini", QUOTA, 429, {"error.details.0.@type": "type.googleapis.com/google.rpc.QuotaFailure"}),
    ("gemini", AUTH, 400, {"error.status": "INVALID_ARGUMENT", "error.details.0.reason": "API_KEY_INVALID"}),
    ("gemini", DENIED, 403, {"error.status": "PERMISSION_DENIED"}),
    ("gemini", MISSING, 404, {"error.status": "NOT_FOUND"}),
    ("gemini", INVALID, 400, {"error.status": "INVALID_ARGUMENT"}),
    ("gemini", FILTERED, 200, {"promptFeedback.blockReason": "PROHIBITED_CONTENT"}),
    ("gemini", BILLING, 400, {"error.status": "FAILED_PRECONDITION"}),
    ("gemini", SERVER, 500, {"error.status": "INTERNAL"}),
    ("gemini", DOWN, 503, {"error.status": "UNAVAILABLE"}),
    ("gemini", TIMEOUT, 504, {"error.status": "DEADLINE_EXCEEDED"}),
    # A.5
    ("vertex gemini", LIMITED, 429, {"error.errors.0.reason": "rateLimitExceeded"}),
    ("vertex gemini", AUTH, 401, {"error.status": "UNAUTHENTICATED"}),
    ("vertex gemini", DOWN, 503, {"error.message": "The service is currently unavailable."}),
    ("vertex claude", LIMITED, 429, {"error.status": "RESOURCE_EXHAUSTED"}),
    ("vertex claude", OVERLOADED, 529, {"type": "error", "error.type": "overloaded_error"}),
    # A.6
    ("bedrock converse", OVERLOADED, 503, {"message": "Too many connections, please wait before trying again."}),
    ("bedrock converse", LIMITED, 429, {"message": "Too many tokens, please wait before trying again."}),
    ("bedrock converse", FILTERED, 200, {"stopReason": "content_filtered"}),
    ("bedrock invoke", FILTERED, 200, {"stop_reason": "refusal"}),
    ("bedrock invoke", LONG, 400, {"message": "Input is too long for requested model."}),
    # A.7
    ("azure chat", OVERLOADED, 429, {"error.code": "429"}),
    ("azure chat", QUOTA, 429, {"error.code": "429"}),
    ("azure chat", MISSING, 404, {"error.code": "DeploymentNotFound"}),
    (
        "azure chat",
        FILTERED,
        400,
        {
            "error.code": "content_filter",
            "error.param": "prompt",
            "error.status": 400,
            "error.innererror.code": "ResponsibleAIPolicyViolation",
            "error.innererror.content_filter_result.jailbreak.filtered": True,
        },
    ),
    ("azure chat", SERVER, 500, {"error.code": "InternalServerError"}),
    ("azure chat", DOWN, 503, {"error.code": "ServiceUnavailable"}),
    ("azure chat", TIMEOUT, 408, {"error.code": "Timeout", "error.message": "The operation was timeout."}),
]


def at(body: object, path: str) -> object:
    """The value at a dotted path."""
    for key in path.split("."):
        body = body[int(key)] if isinstance(body, list) else body[key]  # type: ignore[index]
    return body


@pytest.mark.parametrize(("route", "kind", "status", "expected"), ERROR_ROWS)
def test_errors_are_the_vendors(route: str, kind: ErrorKind, status: int, expected: dict[str, object]) -> None:
    """Status and body of a failure are those of the vendor's table."""
    dialect, call = recognised(route)
    reply = dialect.error(kind, call, ID)
    body = json.loads(reply.body)
    assert reply.status == status
    assert {path: at(body, path) for path in expected} == expected


# the exception in `x-amzn-ErrorType`, before its first colon (wire.md A.6)
BEDROCK_EXCEPTIONS = {
    INVALID: (400, "ValidationException"),
    QUOTA: (400, "ServiceQuotaExceededException"),
    DENIED: (403, "AccessDeniedException"),
    MISSING: (404, "ResourceNotFoundException"),
    TIMEOUT: (408, "ModelTimeoutException"),
    LIMITED: (429, "ThrottlingException"),
    SERVER: (500, "InternalServerException"),
    DOWN: (503, "ServiceUnavailableException"),
}


@pytest.mark.parametrize(("kind", "expected"), BEDROCK_EXCEPTIONS.items())
def test_bedrock_names_its_exceptions_in_a_header(kind: ErrorKind, expected: tuple[int, str]) -> None:
    """Bedrock's error type is a header; it never sends retry-after."""
    dialect, call = recognised("bedrock converse")
    reply = dialect.error(kind, call, ID, 7.0)
    assert (reply.status, str(header(reply.headers, "x-amzn-ErrorType")).split(":")[0]) == expected
    assert header(reply.headers, "x-amzn-requestid") == ID
    assert header(reply.headers, "retry-after") is None


def test_retry_after_has_the_vendors_form() -> None:
    """Seconds for Anthropic, seconds and milliseconds for OpenAI and Azure, RetryInfo for Google."""
    sent = {}
    for route in ("anthropic", "openai chat", "azure chat", "gemini", "vertex gemini"):
        dialect, call = recognised(route)
        reply = dialect.error(LIMITED, call, ID, 1.5)
        sent[route] = (header(reply.headers, "retry-after"), header(reply.headers, "retry-after-ms"))
    assert sent == {
        "anthropic": ("2", None),
        "openai chat": ("2", "1500"),
        "azure chat": ("2", "1500"),
        "gemini": (None, None),
        "vertex gemini": (None, None),
    }
    assert at(json.loads(reply.body), "error.details.0.retryDelay") == "1.5s"


def test_anthropic_tier_cap_has_no_retry_after() -> None:
    """The 429 of a spend limit never says when to come back (wire.md A.2)."""
    dialect, call = recognised("anthropic")
    assert header(dialect.error(QUOTA, call, ID, 30.0).headers, "retry-after") is None


def test_openai_edge_errors_are_pages() -> None:
    """502, 504 and 530 come from the edge as HTML (wire.md A.3)."""
    dialect, call = recognised("openai chat")
    for reply in (dialect.error(TIMEOUT, call, ID), dialect.status(502, call, ID), dialect.status(530, call, ID)):
        assert str(header(reply.headers, "content-type")).startswith("text/html")
        assert reply.body.startswith(b"<html>")


@pytest.mark.parametrize("route", ROUTES)
def test_any_status_has_a_body(route: str) -> None:
    """Codes that the vendor has no entry for get its envelope, with the very status asked for."""
    dialect, call = recognised(route)
    for status in range(400, 600):
        reply: Reply = dialect.status(status, call, ID, 2.0)
        assert reply.status == status
        assert b"<html>" in reply.body or json.loads(reply.body)


def test_google_array_stream_fails_as_array() -> None:
    """Without alt=sse an error is the element of an array (wire.md A.4)."""
    dialect, call = recognised("gemini array", stream=True)
    assert at(json.loads(dialect.error(LIMITED, call, ID).body), "0.error.code") == 429


def test_google_array_stream_is_framed_as_google_frames_it() -> None:
    """Gateways split it at each CR LF; between two of them stands one whole element with a comma or the end."""
    dialect, call = recognised("gemini array", stream=True)
    reply = dialect.stream(call, WORDS, ID)
    whole = reply.opening + b"".join(reply.tokens) + reply.closing
    first, *others = whole.split(b"\r\n")
    assert json.loads(first.removeprefix(b"[").removesuffix(b"\n,"))
    assert all(json.loads(part.removesuffix(b"\n,").removesuffix(b"\n]")) for part in others)
    assert len(others) == len(WORDS)  # one more has the finish reason
    assert whole.endswith(b"}\n]")


def test_identity_of_vertex() -> None:
    """The token endpoint answers a token and fails as OAuth endpoints do."""
    dialect = providers.get("vertex")
    call = dialect.recognise("POST", "/oauth2/token", (), b"grant_type=x&assertion=y")
    assert (call.surface, call.operation) == (Surface.IDENTITY, "token")
    token = json.loads(dialect.answer(call, "", ID).body)
    assert set(token) == {"access_token", "expires_in", "token_type"}
    assert json.loads(dialect.status(503, call, ID).body)["error"] == "temporarily_unavailable"
    assert json.loads(dialect.error(AUTH, call, ID).body)["error"] == "invalid_client"


ARN = "arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.anthropic.claude-sonnet-4-5-20250929-v1:0"
SIGV4 = (("Authorization", "AWS4-HMAC-SHA256 Credential=AKIA/20261122/eu-west-1/bedrock/aws4_request, Signature=0"),)
# dialect, target, headers, body -> operation, model, region
PATHS: list[tuple[str, str, Headers, dict[str, object], tuple[str, str, str | None]]] = [
    # the region is in the signature, ids are encoded by botocore
    ("bedrock", f"/model/{quote(ARN, safe='')}/converse", SIGV4, CONVERSE_BODY, ("converse", ARN, "eu-west-1")),
    # and left bare by others
    ("bedrock", f"/pre/model/{ARN}/converse-stream", (), CONVERSE_BODY, ("converse-stream", ARN, None)),
    (
        "bedrock",
        "/model/global.anthropic.claude-x-v1:0/invoke",
        (("Host", "bedrock-runtime.us-east-1.amazonaws.com"),),
        CLAUDE_BODY,
        ("invoke", "global.anthropic.claude-x-v1:0", "us-east-1"),
    ),
    (
        "vertex",
        "/v1beta1/projects/p/locations/global/publishers/google/models/gemini-x:generateContent?key=k",
        (),
        CONTENT_BODY,
        ("generateContent", "gemini-x", "global"),
    ),
    (
        "vertex",
        f"{VERTEX}/anthropic/models/claude-x%4020250929:rawPredict",
        (),
        CLAUDE_BODY,
        ("rawPredict", "claude-x@20250929", "europe-west1"),
    ),
    ("gemini", "/gemini-x:generateContent", (), CONTENT_BODY, ("generateContent", "", None)),
    ("gemini", "/models/gemini-x%3AgenerateContent", (), CONTENT_BODY, ("generateContent", "gemini-x", None)),
    (
        "azure",
        "/x/openai/deployments/my%20d/chat/completions?api-version=1",
        (),
        CHAT_BODY,
        ("chat.completions", "my d", None),
    ),
    (
        "openai",
        "http://eu.api.openai.com/v1/chat/completions/",
        (("host", "eu.api.openai.com"),),
        CHAT_BODY,
        ("chat.completions", "gpt-4o", "eu"),
    ),
    ("anthropic", "/anthropic/v1/messages?beta=true", (), CLAUDE_BODY, ("messages", "", None)),
]


@pytest.mark.parametrize(("name", "target", "headers", "body", "expected"), PATHS)
def test_paths_of_real_clients(
    name: str, target: str, headers: Headers, body: dict[str, object], expected: tuple[str, str, str | None]
) -> None:
    """Prefixes, missing versions, encoded ids, and where each vendor keeps the region."""
    call = providers.get(name).recognise("POST", target, headers, json.dumps(body).encode())
    assert call.surface is Surface.MODEL
    assert (call.operation, call.model, call.region) == expected
    assert find_mark(call.text) == MARK


PARTS = {"text": "one "}, {"text": MARK.prompt()}
# dialect, target, body in which the last user message has several parts, or is followed by other roles
TEXTS: list[tuple[str, str, dict[str, object]]] = [
    (
        "anthropic",
        "/v1/messages",
        {
            "messages": [
                {"role": "user", "content": "old"},
                {"role": "user", "content": [{"type": "text", **part} for part in PARTS]},
                {"role": "assistant", "content": "{"},
            ]
        },
    ),
    (
        "openai",
        "/v1/chat/completions",
        {
            "messages": [
                {"role": "user", "content": [{"type": "text", **part} for part in PARTS]},
                {"role": "assistant", "content": None},
            ]
        },
    ),
    (
        "openai",
        "/v1/responses",
        {
            "input": [
                {"role": "user", "content": "old"},
                {
                    "type": "message",
                    "role": "user",
                    "content": [{"type": "input_text", **part} for part in PARTS],
                },
                {"type": "function_call_output", "output": "x"},
            ]
        },
    ),
    ("gemini", "/models/x:generateContent", {"contents": {"parts": list(PARTS)}}),
    ("bedrock", "/model/x/converse", {"messages": [{"role": "user", "content": list(PARTS)}]}),
]


@pytest.mark.parametrize(("name", "target", "body"), TEXTS)
def test_text_is_the_whole_last_user_message(name: str, target: str, body: dict[str, object]) -> None:
    """All parts of it, whatever follows it."""
    call = providers.get(name).recognise("POST", target, (), json.dumps(body).encode())
    assert call.text == "one " + MARK.prompt()


@pytest.mark.parametrize("name", providers.names())
def test_hostile_requests_never_raise(name: str) -> None:
    """Junk bodies, junk paths and mutilated real requests are recognised as something, and are answered."""
    dialect = providers.get(name)
    rng = random.Random(7)
    targets = [path for route in ROUTES.values() for path in route[1:3]]
    targets += ["", "*", "//[", "/%ff%00/messages", "/\udcff/chat/completions", "http://[/models", "?" * 99]
    bodies = [json.dumps(body).encode() for route in ROUTES.values() for body in route[3:5]]
    bodies += [b"", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, b'{"messages":[[[]],1,null,{"role":[],"content":{}}]}']
    bodies += [
        b'{"contents":[{"parts":[1,null,{"text":1}]}]}',
        b'{"input":[1,{"role":"user","content":[1]}],"model":{}}',
    ]
    for target in targets:
        for body in bodies:
            cut = rng.randrange(len(body) + 1)
            for sent in (body, body[:cut] + bytes(rng.randrange(256) for _ in range(4)) + body[cut:]):
                headers = (("Authorization", "Credential=//" * 99), ("host", "bedrock-runtime..[]"))
                call = dialect.recognise("POST", target, headers, sent)
                reply = dialect.answer(call, "x", ID)
                assert (reply.status == 200) == (call.operation not in {"unknown path", "unreadable body"})
                json.dumps([call.text, call.model, call.operation]).encode()


def test_unknown_paths_are_the_vendors_404() -> None:
    """A dialect answers for a path it does not have as its vendor does."""
    for name in providers.names():
        dialect = providers.get(name)
        call = dialect.recognise("GET", "/nothing/here", (), b"")
        assert (call.surface, dialect.answer(call, "", ID).status) == (Surface.OTHER, 404)


def test_other_surfaces() -> None:
    """Model lists and token counts are answered, and are no model traffic."""
    asked = [
        ("openai", "GET", "/v1/models", b"", "data"),
        ("openai", "GET", "/v1/models/gpt-4o", b"", "owned_by"),
        ("azure", "GET", "/openai/v1/models", b"", "data"),
        ("anthropic", "GET", "/v1/models", b"", "has_more"),
        ("anthropic", "POST", "/v1/messages/count_tokens", json.dumps(CLAUDE_BODY).encode(), "input_tokens"),
        ("gemini", "GET", "/v1beta/models", b"", "models"),
        ("gemini", "POST", "/v1/models/x:countTokens", json.dumps(CONTENT_BODY).encode(), "totalTokens"),
        ("bedrock", "POST", "/model/x/count-tokens", b"{}", "inputTokens"),
    ]
    for name, method, target, body, field in asked:
        dialect = providers.get(name)
        call = dialect.recognise(method, target, (), body)
        reply = dialect.answer(call, "", ID)
        assert (call.surface, reply.status) == (Surface.OTHER, 200)
        assert field in json.loads(reply.body)


def chunks(route: str) -> list[dict[str, object]]:
    """The JSON of a streamed chat completion."""
    dialect, call = recognised(route, stream=True)
    return [json.loads(event.data) for event in sse.parse(flat(dialect.stream(call, WORDS, ID)))[:-1]]


def test_openai_usage_only_when_asked_for() -> None:
    """Without `stream_options.include_usage` there is no usage chunk and no usage field."""
    assert all("usage" not in chunk and chunk["choices"] for chunk in chunks("openai chat"))


def test_azure_streams_begin_and_end_without_choices() -> None:
    """The prompt's filter results come first in a chunk without choices, the usage asked for comes last in one."""
    first, *between, last = chunks("azure chat")
    assert (first["choices"], "prompt_filter_results" in first) == ([], True)
    assert (last["choices"], bool(last["usage"])) == ([], True)
    assert all(chunk["choices"] and chunk["usage"] is None for chunk in between)


def test_bedrock_metadata_comes_after_message_stop() -> None:
    """Order of a converse stream (wire.md A.6)."""
    dialect, call = recognised("bedrock converse", stream=True)
    frames = eventstream.decode(flat(dialect.stream(call, WORDS[:1], ID)))
    assert [frame.header(":event-type") for frame in frames] == [
        "messageStart",
        "contentBlockDelta",
        "contentBlockStop",
        "messageStop",
        "metadata",
    ]


def test_frames_are_the_published_ones() -> None:
    """The encoder agrees with the one that was checked against botocore (wire.md A.6)."""

    def frame(headers: dict[str, str], payload: bytes) -> bytes:
        h = b"".join(
            bytes([len(k)]) + k.encode() + b"\x07" + struct.pack("!H", len(v.encode())) + v.encode()
            for k, v in headers.items()
        )
        prelude = struct.pack("!II", 16 + len(h) + len(payload), len(h))
        body = prelude + struct.pack("!I", zlib.crc32(prelude)) + h + payload
        return body + struct.pack("!I", zlib.crc32(body))

    headers = {":event-type": "chunk", ":message-type": "event"}
    encoded = eventstream.encode(tuple(headers.items()), b'{"a":1}')
    assert encoded == frame(headers, b'{"a":1}')
    assert eventstream.decode(encoded * 2) == [eventstream.Frame(tuple(headers.items()), b'{"a":1}')] * 2


def test_any_flipped_byte_in_a_frame_is_found() -> None:
    """Both checksums together cover every byte."""
    whole = eventstream.encode(((":event-type", "x"),), b'{"text":"hi"}')
    for position in range(len(whole)):
        broken = bytearray(whole)
        broken[position] ^= 0x40
        with pytest.raises(ValueError, match=r"checksum|length|ends inside"):
            eventstream.decode(bytes(broken))


def test_frame_headers_of_other_types_are_skipped() -> None:
    """Numbers, bytes and flags in headers do not hide the strings behind them."""
    odd = b"\x01a\x00" + b"\x01b\x04\x00\x00\x00\x01" + b"\x01c\x06\x00\x02hi" + b"\x01d\x07\x00\x03yes"
    prelude = struct.pack("!II", 16 + len(odd), len(odd))
    body = prelude + struct.pack("!I", zlib.crc32(prelude)) + odd
    assert eventstream.decode(body + struct.pack("!I", zlib.crc32(body)))[0].headers == (("d", "yes"),)


def test_exception_frame_is_an_error() -> None:
    """A mid-stream exception of Bedrock is no answer."""
    headers = ((":exception-type", "throttlingException"), (":message-type", "exception"))
    with pytest.raises(ValueError, match="throttlingException"):
        providers.get("bedrock").read(stream=True, body=eventstream.encode(headers, b'{"message":"x"}'))


@pytest.mark.parametrize(
    ("route", "event"),
    [
        ("anthropic", b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"x"}}\n\n'),
        ("openai chat", b'data: {"error":{"message":"x","type":"server_error","param":null,"code":null}}\n\n'),
        ("openai responses", b'event: error\ndata: {"type":"error","code":"server_error","message":"x"}\n\n'),
        ("gemini", b'data: {"error":{"code":503,"message":"x","status":"UNAVAILABLE"}}\r\n\r\n'),
    ],
)
def test_in_band_errors_are_refused(route: str, event: bytes) -> None:
    """An error event in a stream that is otherwise whole makes it no answer."""
    dialect, call = recognised(route, stream=True)
    reply = dialect.stream(call, WORDS, ID)
    body = reply.opening + b"".join(reply.tokens) + event + reply.closing
    with pytest.raises(ValueError, match="error"):
        dialect.read(stream=True, body=body)


def test_responses_of_gateways_are_read() -> None:
    """Gateways drop the `event:` lines and the numbers of Responses, and add chat's `[DONE]`."""
    dialect, call = recognised("openai responses", stream=True)
    events = [json.loads(event.data) for event in sse.parse(flat(dialect.stream(call, WORDS, ID)))]
    plain = [{key: value for key, value in event.items() if key != "sequence_number"} for event in events]
    body = b"".join(sse.encode(json.dumps(event)) for event in plain)
    assert dialect.read(stream=True, body=body + b"data: [DONE]\n\n") == TEXT
    for lost in range(4, 4 + len(WORDS)):
        with pytest.raises(ValueError, match="deltas"):
            dialect.read(
                stream=True, body=b"".join(sse.encode(json.dumps(e)) for e in plain[:lost] + plain[lost + 1 :])
            )


def test_comments_are_no_events() -> None:
    """Keep-alive comments and empty lines between events are not counted, with either line ending."""
    body = b": ping\n\n\n\ndata: 1\n\n\r\n: x\r\n\r\nevent: a\r\ndata: 2\r\n\r\ndata: 3"
    ends, pending = sse.boundaries(body, b"")
    assert ([body[:end][-4:] for end in ends], pending) == ([b" 1\n\n", b"\r\n\r\n"], b"data: 3")
    assert sse.parse(body[: -len(pending)]) == [sse.Event("", "1"), sse.Event("a", "2")]


def test_whole_answers_that_are_none() -> None:
    """HTML with status 200, another vendor's body and an answer cut by its length are refused."""
    for name in providers.names():
        dialect = providers.get(name)
        for body in (b"", b"<html></html>", b"[]", b"{}", b'{"error":{"message":"x"}}', b'{"type":"error"}'):
            for stream in (False, True):
                with pytest.raises(ValueError, match=r"."):
                    dialect.read(stream, body)
