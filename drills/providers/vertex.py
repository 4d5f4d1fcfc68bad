"""Vertex AI: Gemini and Claude by publisher, and the OAuth token endpoint that their clients need first.

Errors of Google's front have google.rpc's envelope; errors of the Claude model itself have Anthropic's.
Source: wire.md A.5; texts without a source there are the vendor's as remembered.
"""

from __future__ import annotations

import re
from urllib.parse import urlencode

import msgspec

from drills.providers import anthropic, gemini, sse
from drills.providers.base import Call, ErrorKind, Headers, ProbeRequest, Provider, Reply, StreamReply, Surface
from drills.providers.bodies import (
    JSON_TYPE,
    UNREADABLE,
    Json,
    decoded,
    dump,
    form_value,
    json_reply,
    load,
    split_target,
    text_in,
    unknown,
)
from drills.providers.client import Client
from drills.providers.gemini import Row

IDENTITY = "token"
TOKEN_LIFETIME_S = 3599
_ASSERTION = "assertion"
_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_PREDICT = ("rawPredict", "streamRawPredict")
_CLAUDE = re.compile(r"(?:models/([^/]+))?:(rawPredict|streamRawPredict)$")
_LOCATION = re.compile(r"/locations/([a-z0-9-]+)(?:/|$)")

_RATE_LIMIT = (
    "Resource exhausted. Please try again later. Please refer to "
    "https://cloud.google.com/vertex-ai/generative-ai/docs/error-code-429 for more details."
)
_NO_BILLING: Json = {
    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
    "reason": "BILLING_DISABLED",
    "domain": "googleapis.com",
    "metadata": {"service": "aiplatform.googleapis.com"},
}

ERRORS: dict[ErrorKind, Row] = {
    **gemini.ERRORS,
    ErrorKind.OVERLOADED: Row(503, "The model is overloaded. Please try again later."),
    ErrorKind.RATE_LIMITED: Row(
        429,
        _RATE_LIMIT,
        extra={"errors": [{"message": _RATE_LIMIT, "domain": "global", "reason": "rateLimitExceeded"}]},
    ),
    ErrorKind.QUOTA_EXHAUSTED: Row(
        429,
        "Quota exceeded for aiplatform.googleapis.com/generate_content_requests_per_minute_per_project_per_base_model "
        "with base model: {model}. Please submit a quota increase request.",
    ),
    ErrorKind.AUTH_FAILED: Row(
        401,
        "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid "
        "authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project.",
    ),
    ErrorKind.PERMISSION_DENIED: Row(
        403, "Permission 'aiplatform.endpoints.predict' denied on resource (or it may not exist)."
    ),
    ErrorKind.MODEL_NOT_FOUND: Row(
        404,
        "Publisher Model `{model}` was not found or your project does not have access to it. Please ensure you are "
        "using a valid model version.",
    ),
    ErrorKind.BILLING: Row(403, "This API method requires billing to be enabled.", details=(_NO_BILLING,)),
    ErrorKind.SERVER_ERROR: Row(500, "Internal error encountered."),
    ErrorKind.UNAVAILABLE: Row(503, "The service is currently unavailable."),
}

STATUSES: dict[int, Row] = {
    400: ERRORS[ErrorKind.INVALID_REQUEST],
    401: ERRORS[ErrorKind.AUTH_FAILED],
    403: ERRORS[ErrorKind.PERMISSION_DENIED],
    404: ERRORS[ErrorKind.MODEL_NOT_FOUND],
    429: ERRORS[ErrorKind.RATE_LIMITED],
    499: Row(499, "The operation was cancelled."),
    500: ERRORS[ErrorKind.SERVER_ERROR],
    503: ERRORS[ErrorKind.UNAVAILABLE],
    504: ERRORS[ErrorKind.TIMEOUT],
}

FROM_CLAUDE = {
    ErrorKind.OVERLOADED,
    ErrorKind.INVALID_REQUEST,
    ErrorKind.CONTENT_FILTERED,
    ErrorKind.CONTEXT_LENGTH,
}
"""Kinds that the Claude model answers itself; the others come from Google's front."""
STATUSES_FROM_CLAUDE = {413, 529}
"""Statuses that only the Claude model has."""


class Refused(msgspec.Struct, frozen=True):
    """One row of the token endpoint's error table. Source: RFC 6749, section 5.2; google-auth's retryable errors."""

    status: int
    error: str
    description: str


IDENTITY_ERRORS: dict[int, Refused] = {
    400: Refused(400, "invalid_grant", "Invalid JWT Signature."),
    401: Refused(401, "invalid_client", "The OAuth client was not found."),
    403: Refused(403, "access_denied", "Account restricted"),
    429: Refused(429, "rate_limit_exceeded", "Rate limit exceeded."),
    500: Refused(500, "internal_failure", "Internal error."),
    503: Refused(503, "temporarily_unavailable", "The service is temporarily unavailable."),
}


class Vertex:
    """Dialect of *-aiplatform.googleapis.com and of oauth2.googleapis.com, under any path prefix."""

    name = "vertex"
    client = Client(
        urls=(("GOOGLE_VERTEX_BASE_URL", ""), ("ANTHROPIC_VERTEX_BASE_URL", "/v1")),
        dummies=(),
        defaults=(
            ("GOOGLE_CLOUD_PROJECT", "drill"),
            ("ANTHROPIC_VERTEX_PROJECT_ID", "drill"),
            ("GOOGLE_CLOUD_LOCATION", "us-central1"),
            ("CLOUD_ML_REGION", "us-central1"),
        ),
        account="GOOGLE_APPLICATION_CREDENTIALS",
        cloud="gcp",
        vendor="google",
        model="gemini-2.5-pro",
        region=("GOOGLE_CLOUD_LOCATION", "CLOUD_ML_REGION"),
        hosts=("{region}-aiplatform.googleapis.com", "oauth2.googleapis.com"),
    )

    def recognise(self, method: str, target: str, headers: Headers, body: bytes) -> Call:
        """Content methods, raw predictions and tokens; anything else is an unknown path. The region is the location."""
        path, query = split_target(target)
        if path.endswith("/token"):
            return Call(surface=Surface.IDENTITY, operation=IDENTITY, text=form_value(body, _ASSERTION))
        location = _LOCATION.search(path)
        region = location[1] if location else None
        claude = _CLAUDE.search(decoded(path))
        if claude is None:
            return gemini.content_call(path, query, body, region) or unknown(path)
        if claude[1] == "count-tokens":
            given = load(body)
            return anthropic.message_call("count_tokens", given, text_in(given, "model"), region)
        call = anthropic.message_call(claude[2], load(body), claude[1] or "", region)
        return msgspec.structs.replace(call, stream=call.stream or claude[2] == "streamRawPredict")

    def answer(self, call: Call, text: str, request_id: str) -> Reply:
        """Content, a Claude message, a token count, or an access token."""
        if call.surface is Surface.IDENTITY:
            return self.token(TOKEN_LIFETIME_S)
        if call.operation in _PREDICT or call.operation == "count_tokens":
            return anthropic.PROVIDER.answer(call, text, request_id)
        body = gemini.answer_body(call, text, request_id)
        if body is not None:
            return json_reply(200, gemini.HEADERS, body)
        return self.status(400 if call.operation == UNREADABLE else 404, call, request_id)

    def stream(self, call: Call, words: tuple[str, ...], request_id: str) -> StreamReply:
        """The publisher's stream."""
        if call.operation in _PREDICT:
            return anthropic.PROVIDER.stream(call, words, request_id)
        return gemini.stream_reply(call, words, request_id)

    def error(self, kind: ErrorKind, call: Call, request_id: str, retry_after_s: float | None = None) -> Reply:
        """By the table `ERRORS`; kinds in `FROM_CLAUDE` are Anthropic's on its routes, tokens fail as OAuth does."""
        if call.surface is Surface.IDENTITY:
            return _refused(max(400, ERRORS[kind].status))
        if call.operation in _PREDICT and kind in FROM_CLAUDE:
            return anthropic.PROVIDER.error(kind, call, request_id, retry_after_s)
        return gemini.failure(ERRORS[kind], call, request_id, retry_after_s)

    def status(self, status: int, call: Call, request_id: str, retry_after_s: float | None = None) -> Reply:
        """By the table `STATUSES`, or google.rpc's envelope with a generic message."""
        if call.surface is Surface.IDENTITY:
            return _refused(status)
        if call.operation in _PREDICT and status in STATUSES_FROM_CLAUDE:
            return anthropic.PROVIDER.status(status, call, request_id, retry_after_s)
        return gemini.failure(STATUSES.get(status) or gemini.generic(status), call, request_id, retry_after_s)

    def stream_error(self, kind: ErrorKind, call: Call, request_id: str, number: int) -> bytes:
        """The publisher's: inside a stream only the model speaks."""
        if call.operation in _PREDICT:
            return anthropic.PROVIDER.stream_error(kind, call, request_id, number)
        return gemini.stream_error(ERRORS[kind], call, request_id)

    def malformed(self, event: bytes) -> bytes:
        """Half the data of the event, or half the object of an array."""
        return sse.malformed(event)

    def probe(self, model: str, text: str, stream: bool) -> ProbeRequest:
        """Content of a Gemini model, or a raw prediction of a Claude model."""
        publisher, method, body = "google", gemini.probe_method(stream), gemini.probe_body(text)
        if model.startswith("claude"):
            publisher, method = "anthropic", _PREDICT[stream]
            body = {"anthropic_version": anthropic.VERSION, "stream": stream, **anthropic.probe_body(text)}
        return ProbeRequest(
            method="POST",
            path=f"/v1/projects/drill/locations/us-central1/publishers/{publisher}/models/{model}:{method}",
            headers=(("content-type", JSON_TYPE), ("authorization", "Bearer ya29.drill")),
            body=dump(body),
        )

    def identity_probe(self, text: str) -> ProbeRequest:
        """The grant of a service account (RFC 7523, section 2.1), with `text` where the signed assertion stands."""
        return ProbeRequest(
            method="POST",
            path="/token",
            headers=(("content-type", "application/x-www-form-urlencoded"),),
            body=urlencode({"grant_type": _GRANT, _ASSERTION: text}).encode(),
        )

    def token(self, lifetime_s: int) -> Reply:
        """As oauth2.googleapis.com answers. Google's own tokens are good for 3599 s."""
        token: Json = {"access_token": "ya29.drill", "expires_in": lifetime_s, "token_type": "Bearer"}
        return json_reply(200, gemini.HEADERS, token)

    def read_token(self, body: bytes) -> str:
        """The access token."""
        token = text_in(load(body), "access_token")
        if not token:
            raise ValueError("there is no access token in it")
        return token

    def read(self, stream: bool, body: bytes) -> str:
        """The text of an answer of either publisher."""
        if stream and body.startswith(b"event:"):
            return anthropic.read_events(load(event.data) for event in sse.parse(body))
        if not stream and text_in(load(body), "type"):
            return anthropic.read_message(load(body))
        return gemini.read(stream, body)

    def count_events(self, data: bytes, pending: bytes) -> tuple[tuple[int, ...], bytes]:
        """As Gemini; Claude's server-sent events are framed alike."""
        return gemini.count_events(data, pending)


def _refused(status: int) -> Reply:
    row = IDENTITY_ERRORS.get(status)
    if row is None:
        row = Refused(status, "invalid_request" if status < 500 else "internal_failure", f"HTTP status {status}")
    return json_reply(row.status, gemini.HEADERS, {"error": row.error, "error_description": row.description})


PROVIDER: Provider = Vertex()
