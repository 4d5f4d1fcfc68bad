"""Gemini API: generateContent and streamGenerateContent, token counting and the list of models.

The bodies, chunks and errors are also those of Gemini on Vertex.
Source: wire.md A.4; texts without a source there are the vendor's as remembered.
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
    as_object,
    decoded,
    dump,
    joined,
    json_reply,
    last_user_text,
    list_in,
    load,
    load_any,
    object_in,
    split_target,
    text_in,
    unknown,
    unreadable,
    words_in,
)
from drills.providers.client import Client

MODELS = ("gemini-2.5-pro", "gemini-2.5-flash", "gemini-3-pro")
GENERATE, STREAM, STREAM_ARRAY = "generateContent", "streamGenerateContent", "streamGenerateContent:array"
"""Operations. Without `alt=sse` a stream is one JSON array that grows."""
COUNT = "countTokens"
HEADERS: Headers = (("content-type", f"{JSON_TYPE}; charset=UTF-8"), ("server", "scaffolding on HTTPServer2"))
_STREAM_HEADERS: Headers = (("content-type", "text/event-stream"), ("server", "scaffolding on HTTPServer2"))
_METHOD = re.compile(
    r"(?:(?:models|tunedModels|endpoints)/([^/]+))?:(generateContent|streamGenerateContent|countTokens)$"
)
_MODELS = re.compile(r"(?:^|/)models(?:/([^/:]+))?$")
_ARRAY_HEADS = (b"[", b",", b"{")
_NEXT, _END = b"\n,\r\n", b"\n]"
"""What stands between the elements of an array that grows, and at its end. The first one follows its `[` at once.

Parsers rely on it. Source: Portkey 1.15.2, `providers/google/chatComplete.ts` and `utils.ts`.
"""

STATUS_NAMES: dict[int, str] = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
"""Canonical name of a status code. Source: google/rpc/code.proto."""


class Row(msgspec.Struct, frozen=True):
    """One row of Google's error table. extra: further fields of the error. details: its google.rpc details."""

    status: int
    message: str
    name: str = ""
    details: tuple[Json, ...] = ()
    extra: Json = msgspec.field(default_factory=dict)


_QUOTA: Json = {
    "@type": "type.googleapis.com/google.rpc.QuotaFailure",
    "violations": [
        {
            "quotaMetric": "generativelanguage.googleapis.com/generate_content_paid_tier_requests",
            "quotaId": "GenerateRequestsPerDayPerProjectPerModel",
            "quotaDimensions": {"location": "global", "model": "gemini-2.5-pro"},
            "quotaValue": "1000",
        }
    ],
}
_HELP: Json = {
    "@type": "type.googleapis.com/google.rpc.Help",
    "links": [
        {
            "description": "Learn more about Gemini API quotas",
            "url": "https://ai.google.dev/gemini-api/docs/rate-limits",
        }
    ],
}
_BAD_KEY: Json = {
    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
    "reason": "API_KEY_INVALID",
    "domain": "googleapis.com",
    "metadata": {"service": "generativelanguage.googleapis.com"},
}

BLOCKED = Row(200, "", "PROHIBITED_CONTENT")
"""A filtered prompt is a success without candidates: `promptFeedback.blockReason`."""

ERRORS: dict[ErrorKind, Row] = {
    ErrorKind.OVERLOADED: Row(503, "The model is overloaded. Please try again later."),
    ErrorKind.RATE_LIMITED: Row(429, "Resource has been exhausted (e.g. check quota)."),
    ErrorKind.QUOTA_EXHAUSTED: Row(
        429,
        "You exceeded your current quota, please check your plan and billing details.",
        details=(_QUOTA, _HELP),
    ),
    ErrorKind.AUTH_FAILED: Row(400, "API key not valid. Please pass a valid API key.", details=(_BAD_KEY,)),
    ErrorKind.PERMISSION_DENIED: Row(403, "The caller does not have permission"),
    ErrorKind.MODEL_NOT_FOUND: Row(
        404,
        "models/{model} is not found for API version v1, or is not supported for generateContent. Call ListModels to "
        "see the list of available models and their supported methods.",
    ),
    ErrorKind.INVALID_REQUEST: Row(400, "Request contains an invalid argument."),
    ErrorKind.CONTENT_FILTERED: BLOCKED,
    ErrorKind.CONTEXT_LENGTH: Row(
        400, "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)."
    ),
    ErrorKind.BILLING: Row(
        400,
        "Gemini API free tier is not available in your country. Please enable billing on your project in Google AI "
        "Studio.",
        "FAILED_PRECONDITION",
    ),
    ErrorKind.SERVER_ERROR: Row(
        500,
        "An internal error has occurred. Please retry or report in "
        "https://developers.generativeai.google/guide/troubleshooting",
    ),
    ErrorKind.UNAVAILABLE: Row(503, "The service is currently unavailable."),
    ErrorKind.TIMEOUT: Row(504, "Deadline expired before operation could complete."),
}

STATUSES: dict[int, Row] = {
    400: ERRORS[ErrorKind.INVALID_REQUEST],
    403: ERRORS[ErrorKind.PERMISSION_DENIED],
    404: ERRORS[ErrorKind.MODEL_NOT_FOUND],
    429: ERRORS[ErrorKind.RATE_LIMITED],
    500: ERRORS[ErrorKind.SERVER_ERROR],
    503: ERRORS[ErrorKind.OVERLOADED],
    504: ERRORS[ErrorKind.TIMEOUT],
}


class Gemini:
    """Dialect of generativelanguage.googleapis.com: v1, v1beta or no version, under any path prefix."""

    name = "gemini"
    client = Client(
        urls=(("GOOGLE_GEMINI_BASE_URL", ""),),
        dummies=(("GOOGLE_API_KEY", "AIza-drill"), ("GEMINI_API_KEY", "AIza-drill")),
        cloud="gcp",
        vendor="google",
        model="gemini-2.5-pro",
        hosts=("generativelanguage.googleapis.com",),
    )

    def recognise(self, method: str, target: str, headers: Headers, body: bytes) -> Call:
        """Generation, token counts and model lists; anything else is an unknown path."""
        path, query = split_target(target)
        call = content_call(path, query, body)
        if call is not None:
            return call
        listed = _MODELS.search(path)
        if listed is None:
            return unknown(path)
        return Call(surface=Surface.OTHER, operation="models", model=decoded(listed[1] or ""))

    def answer(self, call: Call, text: str, request_id: str) -> Reply:
        """Content, a token count, or a list of models."""
        body = answer_body(call, text, request_id)
        if body is not None:
            return json_reply(200, HEADERS, body)
        return self.status(400 if call.operation == UNREADABLE else 404, call, request_id)

    def stream(self, call: Call, words: tuple[str, ...], request_id: str) -> StreamReply:
        """Chunks as server-sent events, or as a JSON array when the request did not ask for `alt=sse`."""
        return stream_reply(call, words, request_id)

    def error(self, kind: ErrorKind, call: Call, request_id: str, retry_after_s: float | None = None) -> Reply:
        """By the table `ERRORS`; a filtered prompt is a 200 with a block reason."""
        return failure(ERRORS[kind], call, request_id, retry_after_s)

    def status(self, status: int, call: Call, request_id: str, retry_after_s: float | None = None) -> Reply:
        """By the table `STATUSES`, or google.rpc's envelope with a generic message."""
        return failure(STATUSES.get(status) or generic(status), call, request_id, retry_after_s)

    def stream_error(self, kind: ErrorKind, call: Call, request_id: str, number: int) -> bytes:
        """A chunk with an error in it; filtered content ends with a finish reason instead."""
        return stream_error(ERRORS[kind], call, request_id)

    def malformed(self, event: bytes) -> bytes:
        """Half the data of the event, or half the object of an array."""
        return sse.malformed(event)

    def probe(self, model: str, text: str, stream: bool) -> ProbeRequest:
        """Generated content."""
        return ProbeRequest(
            method="POST",
            path=f"/v1/models/{model}:{probe_method(stream)}",
            headers=(("content-type", JSON_TYPE), ("x-goog-api-key", "AIza-drill")),
            body=dump(probe_body(text)),
        )

    def read(self, stream: bool, body: bytes) -> str:
        """The text of content that finished with `STOP`."""
        return read(stream, body)

    def count_events(self, data: bytes, pending: bytes) -> tuple[tuple[int, ...], bytes]:
        """Server-sent events, or the objects of a JSON array."""
        return count_events(data, pending)


def content_call(path: str, query: dict[str, str], body: bytes, region: str | None = None) -> Call | None:
    """A call of a content method by the end of its path; None when the path has no such method."""
    found = _METHOD.search(decoded(path))
    if found is None:
        return None
    model, operation, given = found[1] or "", found[2], load(body)
    contents = None if given is None else given.get("contents")
    if not isinstance(contents, list | dict):
        return unreadable(model, region)
    stream = operation == STREAM
    return Call(
        surface=Surface.OTHER if operation == COUNT else Surface.MODEL,
        operation=STREAM_ARRAY if stream and query.get("alt") != "sse" else operation,
        model=model,
        region=region,
        stream=stream,
        text=last_user_text(contents if isinstance(contents, list) else [contents], key="parts"),
        include_usage=True,
    )


def answer_body(call: Call, text: str, request_id: str) -> Json | None:
    """The whole answer to a call; None when there is no successful one."""
    if call.surface is Surface.MODEL:
        return _chunk(call, text, request_id, words_in(text), finish_reason="STOP")
    if call.operation == COUNT:
        return {"totalTokens": words_in(call.text)}
    return _models(call.model) if call.operation == "models" else None


def stream_reply(call: Call, words: tuple[str, ...], request_id: str) -> StreamReply:
    """The streamed answer to a call. There is no terminator: the last chunk has a finish reason."""
    steps = Steps(
        opening=(),
        tokens=tuple(_chunk(call, word, request_id, number) for number, word in enumerate(words, 1)),
        closing=(_chunk(call, "", request_id, len(words), finish_reason="STOP"),),
    )
    if call.operation != STREAM_ARRAY:
        return steps.framed(_frame, _STREAM_HEADERS)
    rest = steps.framed(lambda chunk: _NEXT + dump(chunk), HEADERS, end=_END)
    first = len(_NEXT)
    tokens = tuple(b"[" + token[first:] if number == 0 else token for number, token in enumerate(rest.tokens))
    closing = rest.closing if tokens else b"[" + rest.closing[first:]
    return msgspec.structs.replace(rest, tokens=tokens, closing=closing)


def failure(row: Row, call: Call, request_id: str, retry_after_s: float | None) -> Reply:
    """A row of the error table as a reply, in the framing that the request asked for."""
    if row is BLOCKED:
        return _blocked(row.name, call, request_id)
    body = _envelope(row, call, retry_after_s)
    return json_reply(row.status, HEADERS, [body] if call.operation == STREAM_ARRAY else body)


def stream_error(row: Row, call: Call, request_id: str) -> bytes:
    """A row of the error table in the middle of a stream, in the framing that the request asked for."""
    filtered = row is BLOCKED
    chunk = _chunk(call, "", request_id, 1, finish_reason=row.name) if filtered else _envelope(row, call, None)
    return _NEXT + dump(chunk) + _END if call.operation == STREAM_ARRAY else _frame(chunk)


def _envelope(row: Row, call: Call, retry_after_s: float | None) -> Json:
    details = list(row.details)
    if retry_after_s is not None:
        delay = f"{retry_after_s:.3f}".rstrip("0").rstrip(".")
        details.append({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{delay}s"})
    error: Json = {
        "code": row.status,
        "message": row.message.format(model=call.model or "unknown"),
        "status": row.name or STATUS_NAMES.get(row.status, "UNKNOWN"),
        **row.extra,
    }
    return {"error": {**error, "details": details} if details else error}


def generic(status: int) -> Row:
    """A row for a status that Google has no entry for."""
    return Row(status, f"HTTP status {status}")


def probe_method(stream: bool) -> str:
    """The method of a probe, with its query."""
    return f"{STREAM}?alt=sse" if stream else GENERATE


def probe_body(text: str) -> Json:
    """A minimal request."""
    return {"contents": [{"role": "user", "parts": [{"text": text}]}]}


def read(stream: bool, body: bytes) -> str:
    """`Provider.read` of content, whole or streamed in either form."""
    if not stream:
        return _read_chunks([load(body)])
    if body.lstrip().startswith(b"["):
        chunks = load_any(body)
        if not isinstance(chunks, list):
            raise ValueError("the stream is not a whole JSON array")
        return _read_chunks(as_object(chunk) for chunk in chunks)
    return _read_chunks(load(event.data) for event in sse.parse(body))


def count_events(data: bytes, pending: bytes) -> tuple[tuple[int, ...], bytes]:
    """`Provider.count_events`: a body that begins like JSON is an array of chunks, another is server-sent events."""
    whole = pending + data
    if not whole.lstrip().startswith(_ARRAY_HEADS):
        return sse.boundaries(data, pending)
    ends = _object_ends(whole)
    return ends, whole[ends[-1] if ends else 0 :]


def _object_ends(data: bytes) -> tuple[int, ...]:
    """Offsets just after each whole object of a JSON array."""
    ends: list[int] = []
    depth, quoted, escaped = 0, False, False
    for at, char in enumerate(data, 1):
        if escaped:
            escaped = False
        elif quoted:
            escaped, quoted = char == ord("\\"), char != ord('"')
        elif char == ord('"'):
            quoted = True
        elif char == ord("{"):
            depth += 1
        elif char == ord("}"):
            depth -= 1
            if depth == 0:
                ends.append(at)
    return tuple(ends)


def _read_chunks(chunks: Iterable[Json | None]) -> str:
    text, finish_reason = [], ""
    for chunk in chunks:
        if chunk is None:
            raise ValueError("a chunk is not a JSON object")
        if "error" in chunk:
            raise ValueError(f"the answer carries an error: {text_in(object_in(chunk, 'error'), 'status')}")
        blocked = text_in(object_in(chunk, "promptFeedback"), "blockReason")
        if blocked:
            raise ValueError(f"the prompt was blocked: {blocked}")
        for candidate in list_in(chunk, "candidates"):
            text += [text_in(part, "text") for part in list_in(object_in(candidate, "content"), "parts")]
            finish_reason = text_in(candidate, "finishReason") or finish_reason
    if finish_reason != "STOP":
        raise ValueError(f"the answer finished by {finish_reason or 'nothing'}, not by STOP")
    return "".join(text)


def _frame(chunk: Json) -> bytes:
    return sse.encode(dump(chunk).decode(), newline="\r\n")


def _chunk(call: Call, text: str, request_id: str, tokens: int, finish_reason: str = "") -> Json:
    candidate: Json = {"content": {"parts": [{"text": text}], "role": "model"}, "index": 0}
    if finish_reason:
        candidate["finishReason"] = finish_reason
    return {"candidates": [candidate], **_tail(call, request_id, tokens)}


def _tail(call: Call, request_id: str, tokens: int) -> Json:
    prompt = words_in(call.text)
    usage = {
        "promptTokenCount": prompt,
        "candidatesTokenCount": tokens,
        "totalTokenCount": prompt + tokens,
        "thoughtsTokenCount": 0,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": prompt}],
        "candidatesTokensDetails": [{"modality": "TEXT", "tokenCount": tokens}],
        "trafficType": "ON_DEMAND",
    }
    return {"usageMetadata": usage, "modelVersion": call.model, "responseId": request_id}


def _blocked(reason: str, call: Call, request_id: str) -> Reply:
    body: Json = {"promptFeedback": {"blockReason": reason}, **_tail(call, request_id, 0)}
    if call.operation == STREAM:
        return joined(Steps((body,), (), ()).framed(_frame, _STREAM_HEADERS))
    return json_reply(200, HEADERS, [body] if call.operation == STREAM_ARRAY else body)


def _models(wanted: str) -> Json:
    entries: list[Json] = [
        {
            "name": f"models/{name}",
            "version": "001",
            "displayName": name,
            "inputTokenLimit": 1_048_576,
            "outputTokenLimit": 65_536,
            "supportedGenerationMethods": [GENERATE, STREAM, COUNT],
        }
        for name in ((wanted,) if wanted else MODELS)
    ]
    return entries[0] if wanted else {"models": entries}


PROVIDER: Provider = Gemini()
