"""What a provider dialect is: pure functions from requests to bytes, for one vendor's wire format.

A provider recognises a request, answers it, streams it and fails it as the vendor does. It opens no socket and
reads no clock: the simulator sends what it returns, the fault plane uses its error bodies and its stream framing,
and the preflight uses its probe request.
"""

from __future__ import annotations

import enum
from typing import Protocol, runtime_checkable

import msgspec

from drills.providers.client import Client

Headers = tuple[tuple[str, str], ...]


class Surface(enum.StrEnum):
    """Which part of a vendor's API a request is for."""

    MODEL = "model"
    IDENTITY = "identity"
    OTHER = "other"


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A request as the dialect understands it.

    operation: the vendor's name of the operation (`messages`, `converse-stream`, `token`, `models`, ...).
    text: the whole text of the last user message, for the mark; empty when there is none.
    model: the model named in body or path. region: the region named in host, path or credentials scope, if any.
    """

    surface: Surface
    operation: str
    model: str = ""
    region: str | None = None
    stream: bool = False
    text: str = ""
    include_usage: bool = False


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """A whole HTTP answer."""

    status: int
    headers: Headers
    body: bytes


class StreamReply(msgspec.Struct, frozen=True, kw_only=True):
    """A streamed HTTP answer: `opening` is sent at the time to first token, then one element of `tokens` each
    token interval, then `closing` at once. Each element is whole events of the dialect.
    """

    status: int
    headers: Headers
    opening: bytes
    tokens: tuple[bytes, ...]
    closing: bytes


class ProbeRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request in the dialect that the preflight sends straight to a leg."""

    method: str
    path: str
    headers: Headers
    body: bytes


class ErrorKind(enum.StrEnum):
    """Failures by name; each provider maps them to its own status, body and headers (reference: wire.md)."""

    OVERLOADED = "overloaded"
    RATE_LIMITED = "rate_limited"
    QUOTA_EXHAUSTED = "quota_exhausted"
    AUTH_FAILED = "auth_failed"
    PERMISSION_DENIED = "permission_denied"
    MODEL_NOT_FOUND = "model_not_found"
    INVALID_REQUEST = "invalid_request"
    CONTENT_FILTERED = "content_filtered"
    CONTEXT_LENGTH = "context_length"
    BILLING = "billing"
    SERVER_ERROR = "server_error"
    UNAVAILABLE = "unavailable"
    TIMEOUT = "timeout"


class Provider(Protocol):
    """One vendor's wire dialect. Implementations are stateless."""

    name: str
    client: Client

    def recognise(self, method: str, target: str, headers: Headers, body: bytes) -> Call:
        """Read a request. `target` is the raw request target (path and query, still percent-encoded).

        Never raises on hostile input: what it cannot read is `Surface.OTHER` with an operation that says so.
        """

    def answer(self, call: Call, text: str, request_id: str) -> Reply:
        """The whole, successful answer with this text (or the token, model list, ... of other surfaces)."""

    def stream(self, call: Call, words: tuple[str, ...], request_id: str) -> StreamReply:
        """The whole, successful, streamed answer, one token per word."""

    def error(self, kind: ErrorKind, call: Call, request_id: str, retry_after_s: float | None = None) -> Reply:
        """The vendor's own failure of that kind, with status, body and headers; Retry-After in the vendor's form."""

    def status(self, status: int, call: Call, request_id: str, retry_after_s: float | None = None) -> Reply:
        """The vendor's own body for a bare status code: the kind that the vendor uses for it, or its envelope with
        a generic message when the vendor has none.
        """

    def stream_error(self, kind: ErrorKind, call: Call, request_id: str, number: int) -> bytes:
        """The vendor's own failure inside a stream whose status was 200: whole events, after `number` others. A kind
        that is no failure on the wire, a filtered content, is the vendor's own early end of the answer.
        """

    def malformed(self, event: bytes) -> bytes:
        """A whole event of the dialect made unreadable: its framing stays right, its payload ends in the middle."""

    def probe(self, model: str, text: str, stream: bool) -> ProbeRequest:
        """A minimal valid request for a model, carrying `text` as the last user message, with dummy credentials."""

    def read(self, stream: bool, body: bytes) -> str:
        """The answer's text out of a complete successful body, whole or streamed. Raises `ValueError` when the body
        is not a complete, well-formed, successful answer of the dialect (missing terminator, in-band error, ...).
        """

    def count_events(self, data: bytes, pending: bytes) -> tuple[tuple[int, ...], bytes]:
        """Find event boundaries in a streamed body. Given the unconsumed `pending` bytes and the new `data`, return
        the offsets in `pending + data` just after each complete event, and the bytes still pending.
        """


@runtime_checkable
class HasIdentity(Protocol):
    """The ability of a dialect whose clients fetch a token first, from an endpoint that can be reached on the leg."""

    def identity_probe(self, text: str) -> ProbeRequest:
        """A request for a token with dummy credentials, and `text` in it where `recognise` finds it as `Call.text`."""

    def token(self, lifetime_s: int) -> Reply:
        """A whole answer with a token that is good for so many seconds."""

    def read_token(self, body: bytes) -> str:
        """The token out of a successful answer. Raises `ValueError` when there is none in it."""
