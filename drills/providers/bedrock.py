"""AWS Bedrock runtime: Converse and InvokeModel with Claude bodies, whole and streamed.

Source: wire.md A.6; texts without a source there are the vendor's as remembered.
"""

from __future__ import annotations

import base64
import re
from urllib.parse import quote

import msgspec

from drills.providers import anthropic, eventstream
from drills.providers.base import Call, ErrorKind, Headers, ProbeRequest, Provider, Reply, StreamReply, Surface
from drills.providers.bodies import (
    JSON_TYPE,
    UNREADABLE,
    Json,
    Steps,
    decoded,
    dump,
    header,
    joined,
    json_reply,
    last_user_text,
    list_in,
    load,
    object_in,
    required,
    split_target,
    text_in,
    unknown,
    unreadable,
    words_in,
)
from drills.providers.client import Client

CONVERSE, CONVERSE_STREAM = "converse", "converse-stream"
INVOKE, INVOKE_STREAM = "invoke", "invoke-with-response-stream"
COUNT = "count-tokens"
_CONVERSE = {CONVERSE, CONVERSE_STREAM}
_INVOKE = {INVOKE, INVOKE_STREAM}
_PATH = re.compile(r"/model/(.+)/(converse-stream|converse|invoke-with-response-stream|invoke|count-tokens)$")
_SCOPE = re.compile(r"Credential=[^/,\s]+/\d{8}/([a-z0-9-]+)/")
_HOST = re.compile(r"^bedrock-(?:runtime|mantle)(?:-fips)?\.([a-z0-9-]+)\.", re.IGNORECASE)
_CORAL = ":http://internal.amazon.com/coral/com.amazon.bedrock/"
_PADDING = "abcdefghijkl"
_LATENCY_MS = 100
_IN_STREAM = {
    "internalServerException",
    "modelStreamErrorException",
    "serviceUnavailableException",
    "throttlingException",
    "validationException",
}
"""Exceptions that both kinds of streams have."""


class Row(msgspec.Struct, frozen=True):
    """One row of the vendor's error table. exception: empty for answers that are not the service's own."""

    status: int
    exception: str
    message: str
    extra: Json = msgspec.field(default_factory=dict)


FILTERED = Row(200, "content_filtered", "")
"""A filtered request is a success without text: `stopReason` says so."""
_TOO_MANY = "Too many connections, please wait before trying again."

ERRORS: dict[ErrorKind, Row] = {
    ErrorKind.OVERLOADED: Row(503, "ServiceUnavailableException", _TOO_MANY),
    ErrorKind.RATE_LIMITED: Row(429, "ThrottlingException", "Too many tokens, please wait before trying again."),
    ErrorKind.QUOTA_EXHAUSTED: Row(
        400, "ServiceQuotaExceededException", "Your request exceeds the service quota for your account."
    ),
    ErrorKind.AUTH_FAILED: Row(
        403, "UnrecognizedClientException", "The security token included in the request is invalid."
    ),
    ErrorKind.PERMISSION_DENIED: Row(
        403, "AccessDeniedException", "You don't have access to the model with the specified model ID."
    ),
    ErrorKind.MODEL_NOT_FOUND: Row(404, "ResourceNotFoundException", "Could not resolve the foundation model: {model}"),
    ErrorKind.INVALID_REQUEST: Row(400, "ValidationException", "The provided request is not valid."),
    ErrorKind.CONTENT_FILTERED: FILTERED,
    ErrorKind.CONTEXT_LENGTH: Row(400, "ValidationException", "Input is too long for requested model."),
    ErrorKind.BILLING: Row(
        403,
        "AccessDeniedException",
        "Model access is denied due to INVALID_PAYMENT_INSTRUMENT: a valid payment instrument must be provided.",
    ),
    ErrorKind.SERVER_ERROR: Row(
        500, "InternalServerException", "The system encountered an unexpected error during processing. Try again."
    ),
    ErrorKind.UNAVAILABLE: Row(503, "ServiceUnavailableException", "Bedrock is unable to process your request."),
    ErrorKind.TIMEOUT: Row(
        408,
        "ModelTimeoutException",
        "The request took too long to process. Processing time exceeded the model timeout length.",
    ),
}

STATUSES: dict[int, Row] = {
    400: ERRORS[ErrorKind.INVALID_REQUEST],
    403: ERRORS[ErrorKind.PERMISSION_DENIED],
    404: ERRORS[ErrorKind.MODEL_NOT_FOUND],
    408: ERRORS[ErrorKind.TIMEOUT],
    424: Row(
        424,
        "ModelErrorException",
        "The request failed due to an error while processing the model.",
        {"originalStatusCode": 500, "resourceName": "{model}"},
    ),
    429: ERRORS[ErrorKind.RATE_LIMITED],
    500: ERRORS[ErrorKind.SERVER_ERROR],
    503: ERRORS[ErrorKind.OVERLOADED],
}

_NO_SUCH_PATH = Row(404, "UnknownOperationException", "The requested operation is not recognized by the service.")


class Bedrock:
    """Dialect of bedrock-runtime under any path prefix; SigV4 or Bearer, neither is checked."""

    name = "bedrock"
    client = Client(
        urls=(("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", ""), ("ANTHROPIC_BEDROCK_BASE_URL", "")),
        dummies=(("AWS_ACCESS_KEY_ID", "AKIADRILL"), ("AWS_SECRET_ACCESS_KEY", "drill")),
        defaults=(("AWS_REGION", "us-east-1"), ("AWS_DEFAULT_REGION", "us-east-1")),
        cloud="aws",
        vendor="anthropic",
        model="us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        region=("AWS_REGION", "AWS_DEFAULT_REGION"),
        hosts=("bedrock-runtime.{region}.amazonaws.com",),
    )

    def recognise(self, method: str, target: str, headers: Headers, body: bytes) -> Call:
        """Converse and InvokeModel; anything else is an unknown path.

        The model id is decoded and keeps its inference-profile prefix. The region is the host's, else that of the
        signature's credential scope.
        """
        path, _ = split_target(target)
        found = _PATH.search(path)
        if found is None:
            return unknown(path)
        named = _HOST.search(header(headers, "host")) or _SCOPE.search(header(headers, "authorization"))
        model, operation, region = decoded(found[1]), found[2], named[1].lower() if named else None
        given = load(body)
        if operation == COUNT:
            return Call(surface=Surface.OTHER, operation=COUNT, model=model, region=region)
        if operation in _INVOKE:
            call = anthropic.message_call(operation, given, model, region)
            return msgspec.structs.replace(call, stream=call.operation == INVOKE_STREAM)
        if not isinstance(given, dict) or not isinstance(given.get("messages"), list):
            return unreadable(model, region)
        return Call(
            surface=Surface.MODEL,
            operation=operation,
            model=model,
            region=region,
            stream=operation == CONVERSE_STREAM,
            text=last_user_text(list_in(given, "messages")),
            include_usage=True,
        )

    def answer(self, call: Call, text: str, request_id: str) -> Reply:
        """A Converse answer, a Claude message, or a token count."""
        if call.operation in _CONVERSE:
            return json_reply(200, _headers(request_id), _converse(call, text))
        if call.operation in _INVOKE:
            body = anthropic.message(call, text, request_id)
            return json_reply(200, (*_headers(request_id), *_counts(call, text)), body)
        if call.operation == COUNT:
            return json_reply(200, _headers(request_id), {"inputTokens": words_in(call.text)})
        if call.operation == UNREADABLE:
            return self.status(400, call, request_id)
        return _failure(_NO_SUCH_PATH, call, request_id)

    def stream(self, call: Call, words: tuple[str, ...], request_id: str) -> StreamReply:
        """Frames from `messageStart` to `metadata`, or `chunk` frames with Claude's events in them."""
        return _stream(call, words, request_id)

    def error(self, kind: ErrorKind, call: Call, request_id: str, retry_after_s: float | None = None) -> Reply:
        """By the table `ERRORS`. Bedrock never says when to retry. A filtered request is a 200."""
        row = ERRORS[kind]
        return _filtered(row, call, request_id) if row is FILTERED else _failure(row, call, request_id)

    def status(self, status: int, call: Call, request_id: str, retry_after_s: float | None = None) -> Reply:
        """By the table `STATUSES`, or the envelope without the name of an exception."""
        row = STATUSES.get(status) or Row(status, "", f"HTTP status {status}")
        return _failure(row, call, request_id)

    def stream_error(self, kind: ErrorKind, call: Call, request_id: str, number: int) -> bytes:
        """An exception frame, or an error frame for what a stream has no exception for; a filtered answer ends."""
        row = ERRORS[kind]
        if row is FILTERED:
            return _filtered_end(call, request_id)
        message = row.message.format(model=call.model or "unknown")
        name = row.exception[:1].lower() + row.exception[1:]
        if name in _IN_STREAM or (name == "modelTimeoutException" and call.operation == INVOKE_STREAM):
            headers = ((":exception-type", name), (":content-type", JSON_TYPE), (":message-type", "exception"))
            return eventstream.encode(headers, dump({"message": message}))
        told = ((":error-code", row.exception), (":error-message", message), (":message-type", "error"))
        return eventstream.encode(told, b"")

    def malformed(self, event: bytes) -> bytes:
        """Half the payload of the frame, with the right checksums."""
        return eventstream.malformed(event)

    def probe(self, model: str, text: str, stream: bool) -> ProbeRequest:
        """A conversation of one message."""
        body = {"messages": [{"role": "user", "content": [{"text": text}]}], "inferenceConfig": {"maxTokens": 256}}
        return ProbeRequest(
            method="POST",
            path=f"/model/{quote(model, safe='')}/{CONVERSE_STREAM if stream else CONVERSE}",
            headers=(("content-type", JSON_TYPE), ("authorization", "Bearer drill")),
            body=dump(body),
        )

    def read(self, stream: bool, body: bytes) -> str:
        """The text of a conversation or a Claude message, whichever the body is."""
        if stream:
            return _read_frames(eventstream.decode(body))
        whole = load(body)
        if text_in(whole, "type"):
            return anthropic.read_message(whole)
        if whole is None or "output" not in whole:
            raise ValueError(f"the answer is no conversation: {text_in(whole, 'message') or 'no output'}")
        _stopped(required(whole, "stopReason", "the answer"))
        content = list_in(object_in(object_in(whole, "output"), "message"), "content")
        return "".join(text_in(block, "text") for block in content)

    def count_events(self, data: bytes, pending: bytes) -> tuple[tuple[int, ...], bytes]:
        """Frames of the event stream."""
        return eventstream.boundaries(data, pending)


def _converse(call: Call, text: str, stop_reason: str = "end_turn") -> Json:
    content = [{"text": text}] if text else []
    return {
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": stop_reason,
        **_usage(call, words_in(text)),
    }


def _usage(call: Call, output_tokens: int) -> Json:
    input_tokens = words_in(call.text)
    usage = {
        "inputTokens": input_tokens,
        "outputTokens": output_tokens,
        "totalTokens": input_tokens + output_tokens,
        "cacheReadInputTokens": 0,
        "cacheWriteInputTokens": 0,
    }
    return {"usage": usage, "metrics": {"latencyMs": _LATENCY_MS}}


def _stream(call: Call, words: tuple[str, ...], request_id: str, stopped: str = "") -> StreamReply:
    headers = (("content-type", eventstream.CONTENT_TYPE), *_headers(request_id))
    if call.operation == CONVERSE_STREAM:
        return _converse_steps(call, words, stopped or "end_turn").framed(_frame, headers)
    steps = anthropic.message_steps(call, words, request_id, stopped or "end_turn", ping=False)
    *others, stop = steps.closing
    metrics = {
        "inputTokenCount": words_in(call.text),
        "outputTokenCount": max(1, len(words)),
        "invocationLatency": _LATENCY_MS,
        "firstByteLatency": _LATENCY_MS,
    }
    last: Json = {**stop, "amazon-bedrock-invocationMetrics": metrics}
    whole = Steps(steps.opening, steps.tokens, (*others, last))
    return whole.framed(_chunk, (*headers, ("x-amzn-bedrock-content-type", JSON_TYPE)))


def _converse_steps(call: Call, words: tuple[str, ...], stop_reason: str) -> Steps:
    """Events as `{type: payload}`."""
    return Steps(
        opening=({"messageStart": {"role": "assistant"}},),
        tokens=tuple({"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"text": word}}} for word in words),
        closing=(
            {"contentBlockStop": {"contentBlockIndex": 0}},
            {"messageStop": {"stopReason": stop_reason}},
            {"metadata": _usage(call, max(1, len(words)))},
        ),
    )


def _frame(event: Json) -> bytes:
    ((kind, payload),) = event.items()
    padded = {**payload, "p": _PADDING} if isinstance(payload, dict) else payload
    headers = ((":event-type", kind), (":content-type", JSON_TYPE), (":message-type", "event"))
    return eventstream.encode(headers, dump(padded))


def _chunk(event: Json) -> bytes:
    return _frame({"chunk": {"bytes": base64.b64encode(dump(event)).decode()}})


def _filtered(row: Row, call: Call, request_id: str) -> Reply:
    stopped = row.exception if call.operation in _CONVERSE else anthropic.REFUSAL.type
    if call.stream:
        return joined(_stream(call, (), request_id, stopped))
    whole = (
        _converse(call, "", stopped) if call.operation == CONVERSE else anthropic.message(call, "", request_id, stopped)
    )
    return json_reply(200, _headers(request_id), whole)


def _filtered_end(call: Call, request_id: str) -> bytes:
    if call.operation == CONVERSE_STREAM:
        return b"".join(map(_frame, _converse_steps(call, (), FILTERED.exception).closing))
    return b"".join(map(_chunk, anthropic.error_events(ErrorKind.CONTENT_FILTERED, call, request_id)))


def _failure(row: Row, call: Call, request_id: str) -> Reply:
    headers = _headers(request_id)
    if row.exception:
        headers = (*headers, ("x-amzn-ErrorType", f"{row.exception}{_CORAL}"))
    model = call.model or "unknown"
    extra = {key: value.format(model=model) if isinstance(value, str) else value for key, value in row.extra.items()}
    return json_reply(row.status, headers, {"message": row.message.format(model=model), **extra})


def _headers(request_id: str) -> Headers:
    return (("x-amzn-RequestId", request_id),)


def _counts(call: Call, text: str) -> Headers:
    return (
        ("x-amzn-bedrock-input-token-count", str(words_in(call.text))),
        ("x-amzn-bedrock-output-token-count", str(words_in(text))),
        ("x-amzn-bedrock-invocation-latency", str(_LATENCY_MS)),
        ("x-amzn-bedrock-service-tier", "default"),
    )


def _read_frames(frames: list[eventstream.Frame]) -> str:
    events: list[tuple[str, Json]] = []
    for frame in frames:
        if frame.header(":message-type") != "event":
            what = frame.header(":exception-type") or frame.header(":error-code")
            raise ValueError(f"the stream carries an error: {what or 'unnamed'}")
        payload = load(frame.payload)
        if payload is None:
            raise ValueError("a frame has no JSON object")
        events.append((frame.header(":event-type"), payload))
    if events and events[0][0] == "chunk":
        return anthropic.read_events(load(_unpacked(text_in(payload, "bytes"))) for _, payload in events)
    return _read_converse(events)


def _unpacked(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:
        raise ValueError("a chunk is not base64") from error


def _read_converse(events: list[tuple[str, Json]]) -> str:
    kinds = [kind for kind, _ in events]
    if kinds[:1] != ["messageStart"]:
        raise ValueError(f"the stream begins with {kinds[0] if kinds else 'nothing'}")
    if kinds[-2:] != ["messageStop", "metadata"]:
        raise ValueError(f"the stream ends with {kinds[-1]}, not with messageStop and metadata")
    _stopped(text_in(events[-2][1], "stopReason"))
    return "".join(text_in(object_in(payload, "delta"), "text") for _, payload in events)


def _stopped(stop_reason: str) -> None:
    if stop_reason != "end_turn":
        raise ValueError(f"the answer stopped by {stop_reason or 'nothing'}, not by end_turn")


PROVIDER: Provider = Bedrock()
