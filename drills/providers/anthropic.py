"""Anthropic Messages, with token counting and the list of models.

The body, the events and the errors are also those of Claude on Vertex and on Bedrock.
Source: wire.md A.2; texts without a source there are the vendor's as remembered.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from drills.providers import sse
from drills.providers.base import Call, ErrorKind, Headers, ProbeRequest, Provider, Reply, StreamReply, Surface
from drills.providers.bodies import (
    JSON_TYPE,
    UNREADABLE,
    Json,
    Steps,
    decoded,
    dump,
    joined,
    json_reply,
    last_user_text,
    list_in,
    load,
    object_in,
    required,
    seconds,
    short_id,
    split_target,
    text_in,
    unknown,
    unreadable,
    words_in,
)
from drills.providers.client import Client

VERSION = "2026-10-21"
MODELS = ("claude-sonnet-5", "claude-sonnet-4-5", "claude-haiku-4-5")
_CREATED = "2026-01-01T00:00:00Z"
_PATH = re.compile(r"(?:^|/)(messages/count_tokens|messages|models)(?:/([^/]+))?$")


class Row(msgspec.Struct, frozen=True):
    """One row of the vendor's error table. retry_after: whether the vendor sends the header with it."""

    status: int
    type: str
    message: str
    error_code: str = ""
    retry_after: bool = True


REFUSAL = Row(200, "refusal", "")
"""A filtered request is a success without text: `stop_reason` says `refusal`."""

ERRORS: dict[ErrorKind, Row] = {
    ErrorKind.OVERLOADED: Row(529, "overloaded_error", "Overloaded"),
    ErrorKind.RATE_LIMITED: Row(
        429,
        "rate_limit_error",
        "This request would exceed the rate limit for your organization of 20,000 input tokens per minute. For "
        "details, refer to: https://docs.anthropic.com/en/api/rate-limits. You can see the response headers for "
        "current usage.",
    ),
    ErrorKind.QUOTA_EXHAUSTED: Row(
        429,
        "rate_limit_error",
        "You have reached your enforced spend limit.",
        error_code="enforced_spend_limit_reached",
        retry_after=False,
    ),
    ErrorKind.AUTH_FAILED: Row(401, "authentication_error", "invalid x-api-key"),
    ErrorKind.PERMISSION_DENIED: Row(
        403, "permission_error", "Your API key does not have permission to use the specified resource."
    ),
    ErrorKind.MODEL_NOT_FOUND: Row(404, "not_found_error", "model: {model}"),
    ErrorKind.INVALID_REQUEST: Row(400, "invalid_request_error", "messages: Field required"),
    ErrorKind.CONTENT_FILTERED: REFUSAL,
    ErrorKind.CONTEXT_LENGTH: Row(400, "invalid_request_error", "prompt is too long: 208310 tokens > 200000 maximum"),
    ErrorKind.BILLING: Row(402, "billing_error", "There is an issue with billing or payment for your organization."),
    ErrorKind.SERVER_ERROR: Row(500, "api_error", "Internal server error"),
    ErrorKind.UNAVAILABLE: Row(
        503,
        "api_error",
        "The customer-managed encryption key is unreachable.",
        error_code="cmek_key_unreachable",
    ),
    ErrorKind.TIMEOUT: Row(504, "timeout_error", "Request timeout"),
}

STATUSES: dict[int, Row] = {
    400: ERRORS[ErrorKind.INVALID_REQUEST],
    401: ERRORS[ErrorKind.AUTH_FAILED],
    402: ERRORS[ErrorKind.BILLING],
    403: ERRORS[ErrorKind.PERMISSION_DENIED],
    404: ERRORS[ErrorKind.MODEL_NOT_FOUND],
    409: Row(409, "conflict_error", "The request conflicts with another one that changes the same resource."),
    413: Row(413, "request_too_large", "Request exceeds the maximum allowed number of bytes."),
    429: ERRORS[ErrorKind.RATE_LIMITED],
    500: ERRORS[ErrorKind.SERVER_ERROR],
    503: ERRORS[ErrorKind.UNAVAILABLE],
    504: ERRORS[ErrorKind.TIMEOUT],
    529: ERRORS[ErrorKind.OVERLOADED],
}

_LIMITS = (("requests", 1000), ("input-tokens", 80_000), ("output-tokens", 16_000), ("tokens", 96_000))


class Anthropic:
    """Dialect of api.anthropic.com: any `anthropic-version`, `x-api-key` or Bearer, under any path prefix."""

    name = "anthropic"
    client = Client(
        urls=(("ANTHROPIC_BASE_URL", ""),),
        dummies=(("ANTHROPIC_API_KEY", "sk-ant-drill"),),
        cloud="anthropic",
        vendor="anthropic",
        model="claude-sonnet-4-5",
        hosts=("api.anthropic.com",),
    )

    def recognise(self, method: str, target: str, headers: Headers, body: bytes) -> Call:
        """Messages, token counts and model lists; anything else is an unknown path."""
        path, _ = split_target(target)
        found = _PATH.search(path)
        if found is None or (found[2] is not None and found[1] != "models"):
            return unknown(path)
        if found[1] == "models":
            return Call(surface=Surface.OTHER, operation="models", model=decoded(found[2] or ""))
        return message_call(found[1].removeprefix("messages/"), load(body))

    def answer(self, call: Call, text: str, request_id: str) -> Reply:
        """A message, a token count, or a list of models."""
        if call.surface is Surface.MODEL:
            return json_reply(200, reply_headers(request_id), message(call, text, request_id))
        if call.operation == "count_tokens":
            return json_reply(200, reply_headers(request_id), {"input_tokens": words_in(call.text)})
        if call.operation == "models":
            return json_reply(200, reply_headers(request_id), _models(call.model))
        return self.status(400 if call.operation == UNREADABLE else 404, call, request_id)

    def stream(self, call: Call, words: tuple[str, ...], request_id: str) -> StreamReply:
        """Events from `message_start` to `message_stop`."""
        return message_steps(call, words, request_id).framed(frame, stream_headers(request_id))

    def error(self, kind: ErrorKind, call: Call, request_id: str, retry_after_s: float | None = None) -> Reply:
        """By the table `ERRORS`; a filtered request is a 200 with `stop_reason` `refusal`."""
        row = ERRORS[kind]
        if row is not REFUSAL:
            return failure(row, call, request_id, retry_after_s)
        if call.stream:
            refused = message_steps(call, (), request_id, stop_reason=row.type)
            return joined(refused.framed(frame, stream_headers(request_id)))
        return json_reply(200, reply_headers(request_id), message(call, "", request_id, stop_reason=row.type))

    def status(self, status: int, call: Call, request_id: str, retry_after_s: float | None = None) -> Reply:
        """By the table `STATUSES`, or a generic `api_error` (`invalid_request_error` below 500)."""
        row = STATUSES.get(status)
        if row is None:
            row = Row(status, "invalid_request_error" if status < 500 else "api_error", f"HTTP status {status}")
        return failure(row, call, request_id, retry_after_s)

    def stream_error(self, kind: ErrorKind, call: Call, request_id: str, number: int) -> bytes:
        """An `error` event; a refusal ends the message instead."""
        return b"".join(map(frame, error_events(kind, call, request_id)))

    def malformed(self, event: bytes) -> bytes:
        """Half the data of the event."""
        return sse.malformed(event)

    def probe(self, model: str, text: str, stream: bool) -> ProbeRequest:
        """A message of at most 256 tokens."""
        headers = (("content-type", JSON_TYPE), ("x-api-key", "sk-ant-drill"), ("anthropic-version", VERSION))
        body = {"model": model, "stream": stream, **probe_body(text)}
        return ProbeRequest(method="POST", path="/v1/messages", headers=headers, body=dump(body))

    def read(self, stream: bool, body: bytes) -> str:
        """The text of a message that ended with `end_turn`."""
        if stream:
            return read_events(load(event.data) for event in sse.parse(body))
        return read_message(load(body))

    def count_events(self, data: bytes, pending: bytes) -> tuple[tuple[int, ...], bytes]:
        """Server-sent events."""
        return sse.boundaries(data, pending)


def message_call(operation: str, body: Json | None, model: str = "", region: str | None = None) -> Call:
    """A call with an Anthropic body; `model` is the one in the path where the body has none."""
    if body is None or not isinstance(body.get("messages"), list):
        return unreadable(model, region)
    return Call(
        surface=Surface.OTHER if operation == "count_tokens" else Surface.MODEL,
        operation=operation,
        model=model or text_in(body, "model"),
        region=region,
        stream=body.get("stream") is True,
        text=last_user_text(list_in(body, "messages")),
        include_usage=True,
    )


def message(call: Call, text: str, request_id: str, stop_reason: str = "end_turn") -> Json:
    """A whole message."""
    return {
        "id": f"msg_{short_id(request_id)}",
        "type": "message",
        "role": "assistant",
        "model": call.model,
        "content": [{"type": "text", "text": text}] if text else [],
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": _usage(call, words_in(text)),
    }


def message_steps(
    call: Call, words: tuple[str, ...], request_id: str, stop_reason: str = "end_turn", ping: bool = True
) -> Steps:
    """The events of a message, from `message_start` to `message_stop`."""
    head: Json = {**message(call, "", request_id), "stop_reason": None, "usage": _usage(call, 1)}
    block: Json = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    opening: list[Json] = [{"type": "message_start", "message": head}, block]
    delta: Json = {"stop_reason": stop_reason, "stop_sequence": None}
    return Steps(
        opening=(*opening, {"type": "ping"}) if ping else tuple(opening),
        tokens=tuple(
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word}} for word in words
        ),
        closing=(
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": delta, "usage": _usage(call, max(1, len(words)))},
            {"type": "message_stop"},
        ),
    )


def frame(event: Json) -> bytes:
    """An event as server-sent event, named by its type."""
    return sse.encode(dump(event).decode(), name=text_in(event, "type"))


def failure(row: Row, call: Call, request_id: str, retry_after_s: float | None) -> Reply:
    """A row of the error table as a reply."""
    headers = reply_headers(request_id, limits=row.status == 429, exhausted=True)
    if retry_after_s is not None and row.retry_after:
        headers = (*headers, ("retry-after", seconds(retry_after_s)))
    body = {"type": "error", "error": _error(row, call), "request_id": f"req_{short_id(request_id)}"}
    return json_reply(row.status, headers, body)


def error_events(kind: ErrorKind, call: Call, request_id: str) -> tuple[Json, ...]:
    """A failure in the middle of the events of a message."""
    row = ERRORS[kind]
    if row is REFUSAL:
        return message_steps(call, (), request_id, stop_reason=row.type).closing
    return ({"type": "error", "error": _error(row, call)},)


def _error(row: Row, call: Call) -> Json:
    error: Json = {"type": row.type, "message": row.message.format(model=call.model or "unknown")}
    return {**error, "details": {"error_code": row.error_code}} if row.error_code else error


def probe_body(text: str) -> Json:
    """The part of a minimal request that Vertex and Bedrock have too."""
    return {"max_tokens": 256, "messages": [{"role": "user", "content": text}]}


def read_message(body: Json | None) -> str:
    """`Provider.read` of a whole message."""
    if body is None:
        raise ValueError("the answer is not a JSON object")
    if body.get("type") != "message":
        raise ValueError(f"the answer is no message but {text_in(body, 'type') or 'something else'}")
    _stopped(required(body, "stop_reason", "the message"))
    return "".join(text_in(block, "text") for block in list_in(body, "content"))


def read_events(events: Iterable[Json | None]) -> str:
    """`Provider.read` of the events of a message."""
    text, stop_reason, last = [], "", ""
    for event in events:
        kind = text_in(event, "type")
        if event is None or not kind:
            raise ValueError("an event is not a JSON object with a type")
        if kind == "error":
            raise ValueError(f"the stream carries an error: {text_in(object_in(event, 'error'), 'type')}")
        if last == "message_stop":
            raise ValueError(f"{kind} after message_stop")
        if not last and kind != "message_start":
            raise ValueError(f"the stream begins with {kind}")
        last = kind
        text.append(text_in(object_in(event, "delta"), "text"))
        stop_reason = text_in(object_in(event, "delta"), "stop_reason") or stop_reason
    if last != "message_stop":
        raise ValueError("the stream ends without message_stop")
    _stopped(stop_reason)
    return "".join(text)


def reply_headers(request_id: str, limits: bool = True, exhausted: bool = False) -> Headers:
    """Headers of every reply; the rate limits are on successes and 429."""
    headers = [
        ("request-id", f"req_{short_id(request_id)}"),
        ("anthropic-organization-id", "00000000-0000-4000-8000-000000000000"),
        ("server", "cloudflare"),
    ]
    for what, limit in _LIMITS if limits else ():
        headers.append((f"anthropic-ratelimit-{what}-limit", str(limit)))
        headers.append((f"anthropic-ratelimit-{what}-remaining", "0" if exhausted else str(limit - 1)))
        headers.append((f"anthropic-ratelimit-{what}-reset", _CREATED))
    return tuple(headers)


def stream_headers(request_id: str) -> Headers:
    """Headers of a streamed reply."""
    return (("content-type", sse.CONTENT_TYPE), ("cache-control", "no-cache"), *reply_headers(request_id))


def _stopped(stop_reason: str) -> None:
    if stop_reason != "end_turn":
        raise ValueError(f"the message stopped by {stop_reason or 'nothing'}, not by end_turn")


def _usage(call: Call, output_tokens: int) -> Json:
    return {
        "input_tokens": words_in(call.text),
        "output_tokens": output_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        "service_tier": "standard",
        "inference_geo": "us",
    }


def _models(wanted: str) -> Json:
    entries: list[Json] = [
        {"type": "model", "id": name, "display_name": name, "created_at": _CREATED}
        for name in ((wanted,) if wanted else MODELS)
    ]
    return entries[0] if wanted else _page(entries)


def _page(entries: list[Json]) -> Json:
    return {"data": entries, "has_more": False, "first_id": entries[0]["id"], "last_id": entries[-1]["id"]}


PROVIDER: Provider = Anthropic()
