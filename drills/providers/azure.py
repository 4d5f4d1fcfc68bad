"""Azure OpenAI: OpenAI's bodies behind deployments, with Azure's content filter results, errors and headers.

Source: wire.md A.7; texts without a source there are the vendor's as remembered.
"""

from __future__ import annotations

import re

import msgspec

from drills.providers import openai, sse
from drills.providers.base import Call, ErrorKind, Headers, ProbeRequest, Provider, Reply, StreamReply
from drills.providers.bodies import JSON_TYPE, UNREADABLE, Json, decoded, dump, json_reply, seconds, split_target
from drills.providers.chat_completions import Additions
from drills.providers.client import Client

API_VERSION = "2024-10-21"
_DEPLOYMENT = re.compile(r"/deployments/([^/]+)/")
_SAFE: Json = {
    **{name: {"filtered": False, "severity": "safe"} for name in ("hate", "self_harm", "sexual", "violence")},
    "jailbreak": {"filtered": False, "detected": False},
}
_PROMPT_SAFE: Json = {"prompt_filter_results": [{"prompt_index": 0, "content_filter_results": _SAFE}]}
_ADDITIONS = Additions(body=_PROMPT_SAFE, choice={"content_filter_results": _SAFE}, lead=_PROMPT_SAFE)


class Row(msgspec.Struct, frozen=True):
    """One row of the vendor's error table. extra: fields beside code and message."""

    status: int
    code: str
    message: str
    extra: Json = msgspec.field(default_factory=dict)


_FILTERED: Json = {
    "type": None,
    "param": "prompt",
    "status": 400,
    "innererror": {
        "code": "ResponsibleAIPolicyViolation",
        "content_filter_result": {**_SAFE, "jailbreak": {"filtered": True, "detected": True}},
    },
}

ERRORS: dict[ErrorKind, Row] = {
    ErrorKind.OVERLOADED: Row(
        429, "429", "System is experiencing high demand and cannot process your request. Please retry later."
    ),
    ErrorKind.RATE_LIMITED: Row(
        429,
        "429",
        "Your requests to {model} for {model} in Sweden Central have exceeded the token rate limit for your current "
        "AIServices S0 pricing tier. Please retry after {retry} seconds.",
    ),
    ErrorKind.QUOTA_EXHAUSTED: Row(
        429,
        "429",
        "Requests to the ChatCompletions_Create Operation under Azure OpenAI API version 2024-10-21 have exceeded "
        "token rate limit of your current OpenAI S0 pricing tier. Please retry after {retry} seconds. Please go here: "
        "https://aka.ms/oai/quotaincrease if you would like to further increase the default rate limit.",
    ),
    ErrorKind.AUTH_FAILED: Row(
        401,
        "401",
        "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key for an "
        "active subscription and use a correct regional API endpoint for your resource.",
    ),
    ErrorKind.PERMISSION_DENIED: Row(403, "403", "Access denied due to Virtual Network/Firewall rules."),
    ErrorKind.MODEL_NOT_FOUND: Row(
        404,
        "DeploymentNotFound",
        "The API deployment for this resource does not exist. If you created the deployment within the last 5 minutes, "
        "please wait a moment and try again.",
    ),
    ErrorKind.INVALID_REQUEST: Row(
        400,
        "missing_required_parameter",
        "Missing required parameter: 'messages'.",
        {"type": "invalid_request_error", "param": "messages"},
    ),
    ErrorKind.CONTENT_FILTERED: Row(
        400,
        "content_filter",
        "The response was filtered due to the prompt triggering Azure OpenAI's content management policy. Please "
        "modify your prompt and retry. To learn more about our content filtering policies please read our "
        "documentation: https://go.microsoft.com/fwlink/?linkid=2198766",
        _FILTERED,
    ),
    ErrorKind.CONTEXT_LENGTH: Row(
        400,
        "context_length_exceeded",
        "This model's maximum context length is 128000 tokens. However, your messages resulted in 130000 tokens. "
        "Please reduce the length of the messages.",
        {"type": "invalid_request_error", "param": "messages"},
    ),
    ErrorKind.BILLING: Row(403, "403", "Your resource has been temporarily blocked."),
    ErrorKind.SERVER_ERROR: Row(
        500, "InternalServerError", "The server had an error while processing your request. Sorry about that!"
    ),
    ErrorKind.UNAVAILABLE: Row(
        503,
        "ServiceUnavailable",
        "The service is temporarily unable to process your request. Please try again later.",
    ),
    ErrorKind.TIMEOUT: Row(408, "Timeout", "The operation was timeout."),
}

STATUSES: dict[int, Row] = {
    400: ERRORS[ErrorKind.INVALID_REQUEST],
    401: ERRORS[ErrorKind.AUTH_FAILED],
    403: ERRORS[ErrorKind.PERMISSION_DENIED],
    404: ERRORS[ErrorKind.MODEL_NOT_FOUND],
    408: ERRORS[ErrorKind.TIMEOUT],
    429: ERRORS[ErrorKind.RATE_LIMITED],
    500: ERRORS[ErrorKind.SERVER_ERROR],
    503: ERRORS[ErrorKind.UNAVAILABLE],
}

_NO_SUCH_PATH = Row(404, "404", "Resource not found")


class Azure:
    """Dialect of Azure OpenAI: deployments with an `api-version`, and the `/openai/v1` surface without one."""

    name = "azure"
    client = Client(
        urls=(("AZURE_OPENAI_ENDPOINT", ""),),
        dummies=(("AZURE_OPENAI_API_KEY", "drill"),),
        defaults=(("OPENAI_API_VERSION", API_VERSION),),
        cloud="azure",
        vendor="openai",
        model="gpt-4o",
        hosts=(),
    )

    def recognise(self, method: str, target: str, headers: Headers, body: bytes) -> Call:
        """As OpenAI; the deployment in the path is the model."""
        path, _ = split_target(target)
        deployment = _DEPLOYMENT.search(path)
        return openai.call_of(path, body, model=decoded(deployment[1]) if deployment else "")

    def answer(self, call: Call, text: str, request_id: str) -> Reply:
        """As OpenAI, with content filter results."""
        body = openai.answer_body(call, text, request_id, _ADDITIONS)
        if body is not None:
            return json_reply(200, _reply_headers(request_id), body)
        if call.operation == UNREADABLE:
            return self.status(400, call, request_id)
        return _failure(_NO_SUCH_PATH, call, request_id, None)

    def stream(self, call: Call, words: tuple[str, ...], request_id: str) -> StreamReply:
        """As OpenAI, after a first chunk with empty `choices` and the prompt's filter results."""
        return openai.stream_reply(call, words, request_id, _ADDITIONS, _reply_headers(request_id))

    def error(self, kind: ErrorKind, call: Call, request_id: str, retry_after_s: float | None = None) -> Reply:
        """By the table `ERRORS`."""
        return _failure(ERRORS[kind], call, request_id, retry_after_s)

    def status(self, status: int, call: Call, request_id: str, retry_after_s: float | None = None) -> Reply:
        """By the table `STATUSES`, or the envelope with the number as code."""
        row = STATUSES.get(status) or Row(status, str(status), f"HTTP status {status}")
        return _failure(row, call, request_id, retry_after_s)

    def stream_error(self, kind: ErrorKind, call: Call, request_id: str, number: int) -> bytes:
        """As OpenAI, with Azure's code and message."""
        return openai.error_event(_error(ERRORS[kind], call, None), call, number)

    def malformed(self, event: bytes) -> bytes:
        """Half the data of the event."""
        return sse.malformed(event)

    def probe(self, model: str, text: str, stream: bool) -> ProbeRequest:
        """A chat completion of a deployment."""
        return ProbeRequest(
            method="POST",
            path=f"/openai/deployments/{model}/chat/completions?api-version={API_VERSION}",
            headers=(("content-type", JSON_TYPE), ("api-key", "drill")),
            body=dump(openai.probe_body(text, stream)),
        )

    def read(self, stream: bool, body: bytes) -> str:
        """As OpenAI."""
        return openai.read(stream, body)

    def count_events(self, data: bytes, pending: bytes) -> tuple[tuple[int, ...], bytes]:
        """Server-sent events."""
        return sse.boundaries(data, pending)


def _failure(row: Row, call: Call, request_id: str, retry_after_s: float | None) -> Reply:
    body = {"error": _error(row, call, retry_after_s)}
    return json_reply(row.status, (*_reply_headers(request_id), *openai.retry_headers(retry_after_s)), body)


def _error(row: Row, call: Call, retry_after_s: float | None) -> Json:
    retry = seconds(60.0 if retry_after_s is None else retry_after_s)
    message = row.message.format(model=call.model or "unknown", retry=retry)
    return {"code": row.code, "message": message, **row.extra}


def _reply_headers(request_id: str) -> Headers:
    return (
        ("apim-request-id", request_id),
        ("x-request-id", request_id),
        ("x-ms-region", "Sweden Central"),
        ("x-ms-client-request-id", request_id),
        ("azureml-model-session", "drill"),
        ("x-ratelimit-limit-requests", "1000"),
        ("x-ratelimit-limit-tokens", "1000000"),
        ("x-ratelimit-remaining-requests", "999"),
        ("x-ratelimit-remaining-tokens", "999900"),
    )


PROVIDER: Provider = Azure()
