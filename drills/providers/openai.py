"""OpenAI: chat completions, Responses, and the list of models.

Source: wire.md A.3; texts without a source there are the vendor's as remembered.
"""

from __future__ import annotations

import re

import msgspec

from drills.providers import chat_completions, responses_api, sse
from drills.providers.base import Call, ErrorKind, Headers, ProbeRequest, Provider, Reply, StreamReply, Surface
from drills.providers.bodies import (
    CREATED_S,
    JSON_TYPE,
    UNREADABLE,
    Json,
    decoded,
    dump,
    header,
    json_reply,
    load,
    milliseconds,
    seconds,
    short_id,
    split_target,
    text_in,
    unknown,
)
from drills.providers.chat_completions import DONE, Additions
from drills.providers.client import Client

MODELS = ("gpt-4o", "gpt-4o-mini", "gpt-4.1")
PATH = re.compile(r"(?:^|/)(chat/completions|responses|models(?:/([^/]+))?)$")
_HOST = re.compile(r"^([a-z]{2})\.api\.openai\.com", re.IGNORECASE)
_PAGE = (
    "<html>\r\n<head><title>{status} {title}</title></head>\r\n<body>\r\n<center><h1>{status} {title}</h1></center>\r\n"
    "<hr><center>cloudflare</center>\r\n</body>\r\n</html>\r\n"
)


class Row(msgspec.Struct, frozen=True):
    """One row of the vendor's error table. page: title of the edge's HTML page that stands in for an envelope."""

    status: int
    message: str = ""
    type: str | None = None
    code: str | None = None
    param: str | None = None
    page: str = ""


ERRORS: dict[ErrorKind, Row] = {
    ErrorKind.OVERLOADED: Row(
        503,
        "There is not enough capacity to serve this request right now. Please try again later.",
        "service_unavailable_error",
        "server_is_overloaded",
    ),
    ErrorKind.RATE_LIMITED: Row(
        429,
        "Rate limit reached for {model} in organization org-drill on tokens per min (TPM): Limit 30000, Used 18928, "
        "Requested 11159. Please try again in 174ms. Visit https://platform.openai.com/account/rate-limits to learn "
        "more.",
        "tokens",
        "rate_limit_exceeded",
    ),
    ErrorKind.QUOTA_EXHAUSTED: Row(
        429,
        "You exceeded your current quota, please check your plan and billing details. For more information on this "
        "error, read the docs: https://platform.openai.com/docs/guides/error-codes/api-errors.",
        "insufficient_quota",
        "insufficient_quota",
    ),
    ErrorKind.AUTH_FAILED: Row(
        401,
        "Incorrect API key provided: sk-d****rill. You can find your API key at "
        "https://platform.openai.com/account/api-keys.",
        "invalid_request_error",
        "invalid_api_key",
    ),
    ErrorKind.PERMISSION_DENIED: Row(
        403,
        "Country, region, or territory not supported",
        "request_forbidden",
        "unsupported_country_region_territory",
    ),
    ErrorKind.MODEL_NOT_FOUND: Row(
        404,
        "The model `{model}` does not exist or you do not have access to it.",
        "invalid_request_error",
        "model_not_found",
    ),
    ErrorKind.INVALID_REQUEST: Row(
        400,
        "Missing required parameter: 'messages'.",
        "invalid_request_error",
        "missing_required_parameter",
        "messages",
    ),
    ErrorKind.CONTENT_FILTERED: Row(
        400,
        "Invalid prompt: your prompt was flagged as potentially violating our usage policy. Please try again with a "
        "different prompt.",
        "invalid_request_error",
        "invalid_prompt",
    ),
    ErrorKind.CONTEXT_LENGTH: Row(
        400,
        "This model's maximum context length is 128000 tokens. However, your messages resulted in 130000 tokens. "
        "Please reduce the length of the messages.",
        "invalid_request_error",
        "context_length_exceeded",
        "messages",
    ),
    ErrorKind.BILLING: Row(429, "You have no prepaid credits left.", "insufficient_quota", "credit_balance_exhausted"),
    ErrorKind.SERVER_ERROR: Row(
        500, "The server had an error while processing your request. Sorry about that!", "server_error"
    ),
    ErrorKind.UNAVAILABLE: Row(503, "The engine is currently overloaded, please try again later", "server_error"),
    ErrorKind.TIMEOUT: Row(504, page="Gateway time-out"),
}
"""`overloaded` is the vendor's current shape, `unavailable` its older one (wire.md 0.4)."""

STATUSES: dict[int, Row] = {
    400: ERRORS[ErrorKind.INVALID_REQUEST],
    401: ERRORS[ErrorKind.AUTH_FAILED],
    403: ERRORS[ErrorKind.PERMISSION_DENIED],
    404: ERRORS[ErrorKind.MODEL_NOT_FOUND],
    429: ERRORS[ErrorKind.RATE_LIMITED],
    500: ERRORS[ErrorKind.SERVER_ERROR],
    502: Row(502, page="Bad Gateway"),
    503: ERRORS[ErrorKind.OVERLOADED],
    504: ERRORS[ErrorKind.TIMEOUT],
    530: Row(530, page="Origin DNS error"),
}

_NO_SUCH_PATH = Row(404, "Invalid URL ({path})", "invalid_request_error")
_PLAIN = Additions()


class OpenAI:
    """Dialect of api.openai.com under any path prefix."""

    name = "openai"
    client = Client(
        base_path="/v1",
        urls=(("OPENAI_BASE_URL", "/v1"),),
        dummies=(("OPENAI_API_KEY", "sk-drill"),),
        cloud="openai",
        vendor="openai",
        model="gpt-4o",
        hosts=("api.openai.com",),
    )

    def recognise(self, method: str, target: str, headers: Headers, body: bytes) -> Call:
        """Chat completions, Responses and model lists; anything else is an unknown path."""
        path, _ = split_target(target)
        host = _HOST.search(header(headers, "host"))
        return call_of(path, body, region=host[1].lower() if host else None)

    def answer(self, call: Call, text: str, request_id: str) -> Reply:
        """A chat completion, a response, or a list of models."""
        body = answer_body(call, text, request_id, _PLAIN)
        if body is not None:
            return json_reply(200, reply_headers(request_id), body)
        if call.operation == UNREADABLE:
            return self.status(400, call, request_id)
        return failure(_NO_SUCH_PATH, call, reply_headers(request_id))

    def stream(self, call: Call, words: tuple[str, ...], request_id: str) -> StreamReply:
        """Chunks to `[DONE]`, or events to `response.completed`."""
        return stream_reply(call, words, request_id, _PLAIN, reply_headers(request_id))

    def error(self, kind: ErrorKind, call: Call, request_id: str, retry_after_s: float | None = None) -> Reply:
        """By the table `ERRORS`."""
        return failure(ERRORS[kind], call, (*reply_headers(request_id), *retry_headers(retry_after_s)))

    def status(self, status: int, call: Call, request_id: str, retry_after_s: float | None = None) -> Reply:
        """By the table `STATUSES`, or a generic `server_error` (`invalid_request_error` below 500)."""
        row = STATUSES.get(status)
        if row is None:
            row = Row(status, f"HTTP status {status}", "invalid_request_error" if status < 500 else "server_error")
        return failure(row, call, (*reply_headers(request_id), *retry_headers(retry_after_s)))

    def stream_error(self, kind: ErrorKind, call: Call, request_id: str, number: int) -> bytes:
        """A chunk with an envelope in place of choices, or an `error` event of Responses."""
        row = ERRORS[kind]
        if row.page:  # the edge cannot say anything in the middle of a stream
            row = ERRORS[ErrorKind.SERVER_ERROR]
        return error_event(_error(row, call), call, number)

    def malformed(self, event: bytes) -> bytes:
        """Half the data of the event."""
        return sse.malformed(event)

    def probe(self, model: str, text: str, stream: bool) -> ProbeRequest:
        """A chat completion."""
        headers = (("content-type", JSON_TYPE), ("authorization", "Bearer sk-drill"))
        body = {"model": model, **probe_body(text, stream)}
        return ProbeRequest(method="POST", path="/v1/chat/completions", headers=headers, body=dump(body))

    def read(self, stream: bool, body: bytes) -> str:
        """The text of a chat completion or a response, whichever the body is."""
        return read(stream, body)

    def count_events(self, data: bytes, pending: bytes) -> tuple[tuple[int, ...], bytes]:
        """Server-sent events."""
        return sse.boundaries(data, pending)


def call_of(path: str, body: bytes, model: str = "", region: str | None = None) -> Call:
    """A call by the end of its path; `model` is the one in the path, if any."""
    found = PATH.search(path)
    if found is None:
        return unknown(path)
    if found[1].startswith("models"):
        return Call(surface=Surface.OTHER, operation="models", model=decoded(found[2] or ""), region=region)
    if found[1] == "responses":
        return responses_api.responses_call(load(body), region)
    return chat_completions.chat_call(load(body), model, region)


def answer_body(call: Call, text: str, request_id: str, extra: Additions) -> Json | None:
    """The whole answer to a call; None when there is no successful one."""
    if call.operation == chat_completions.OPERATION:
        return chat_completions.chat_body(call, text, request_id, extra)
    if call.operation == responses_api.OPERATION:
        return responses_api.response_body(call, text, request_id)
    return _models(call.model) if call.operation == "models" else None


def stream_reply(
    call: Call, words: tuple[str, ...], request_id: str, extra: Additions, headers: Headers
) -> StreamReply:
    """The streamed answer to a call."""
    typed = (("content-type", sse.CONTENT_TYPE), ("cache-control", "no-cache"), *headers)
    if call.operation == responses_api.OPERATION:
        return responses_api.response_steps(call, words, request_id).framed(responses_api.frame, typed)
    return chat_completions.chat_steps(call, words, request_id, extra).framed(chat_completions.frame, typed, DONE)


def failure(row: Row, call: Call, headers: Headers) -> Reply:
    """A row of the error table as a reply, with OpenAI's envelope or the edge's page."""
    if row.page:
        page = _PAGE.format(status=row.status, title=row.page).encode()
        edge = (("content-type", "text/html; charset=UTF-8"), ("server", "cloudflare"))
        return Reply(status=row.status, headers=edge, body=page)
    return json_reply(row.status, headers, {"error": _error(row, call)})


def _error(row: Row, call: Call) -> Json:
    message = row.message.format(model=call.model or "unknown", path=call.text)
    return {"message": message, "type": row.type, "param": row.param, "code": row.code}


def error_event(error: Json, call: Call, number: int) -> bytes:
    """An error in the middle of a stream, after `number` events."""
    if call.operation != responses_api.OPERATION:
        return chat_completions.frame({"error": error})
    told = {key: error.get(key) for key in ("code", "message", "param")}
    return responses_api.frame({"type": "error", **told, "sequence_number": number})


def retry_headers(retry_after_s: float | None) -> Headers:
    """Retry-After in whole seconds and, exactly, in milliseconds."""
    if retry_after_s is None:
        return ()
    return (("retry-after", seconds(retry_after_s)), ("retry-after-ms", milliseconds(retry_after_s)))


def probe_body(text: str, stream: bool) -> Json:
    """The part of a minimal request that Azure has too."""
    return {"messages": [{"role": "user", "content": text}], "stream": stream}


def read(stream: bool, body: bytes) -> str:
    """`Provider.read` of either API."""
    if stream:
        events = sse.parse(body)
        if not events:
            raise ValueError("the stream is empty")
        responses = responses_api.is_event(events[0])
        return responses_api.read_events(events) if responses else chat_completions.read_chunks(events)
    whole = load(body)
    if whole is None:
        raise ValueError("the answer is not a JSON object")
    if whole.get("error") is not None:
        raise ValueError("the answer is an error")
    if text_in(whole, "object") == "response":
        return responses_api.read_response(whole)
    return chat_completions.read_chat(whole)


def reply_headers(request_id: str) -> Headers:
    """Headers of every reply of the API itself."""
    return (
        ("x-request-id", f"req_{short_id(request_id)}"),
        ("openai-organization", "org-drill"),
        ("openai-processing-ms", "20"),
        ("openai-version", "2020-10-01"),
        ("x-ratelimit-limit-requests", "10000"),
        ("x-ratelimit-limit-tokens", "30000000"),
        ("x-ratelimit-remaining-requests", "9999"),
        ("x-ratelimit-remaining-tokens", "29999900"),
        ("x-ratelimit-reset-requests", "6ms"),
        ("x-ratelimit-reset-tokens", "0s"),
    )


def _models(wanted: str) -> Json:
    entries: list[Json] = [
        {"id": name, "object": "model", "created": CREATED_S, "owned_by": "openai"}
        for name in ((wanted,) if wanted else MODELS)
    ]
    return entries[0] if wanted else {"object": "list", "data": entries}


PROVIDER: Provider = OpenAI()
