"""What a client sees of every fault: one row for each kind and each of its settings that looks different.

A row's fault is on a leg of its own (a fault on the gateway: on a gateway of its own), and five requests meet it: three
of httpx (whole and streamed on new connections, and whole on a pooled connection that was warm before the fault) and
two, whole and streamed, of the SDK of the leg's vendor. Each sees something, and this in its text: the answer's status
and its body, or the exception's full name and its words, with the status that it carries before them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

LATE_S = 0.8
"""What comes sooner than this is on time, and what is late comes later."""
WITHIN_S = 1.6
"""The clients' timeouts."""
CLOSING = "closing"
"""A leg of OpenAI's dialect whose every answer, whole even to who wants a stream, ends with its connection."""


class Sees(NamedTuple):
    """What one client sees."""

    what: str
    text: str = ""


WHOLE = Sees("whole")
"""The leg's right answer, all of it, on time."""
LATE = Sees("whole, late")
EMPTY = Sees("empty")
"""An answer without a word, and no exception."""
HALF = Sees("half")
"""A stream that ends as if all were well; nobody told why, and words are missing at its end."""
FOREIGN = Sees("foreign")
"""Words, and not those of the right answer."""


@dataclass(frozen=True)
class Row:
    """A fault and what is seen of it. `pooled` is as `whole` unless it says otherwise."""

    kind: str
    settings: dict[str, str | int | float | bool]
    whole: Sees
    stream: Sees
    sdk_whole: Sees
    sdk_stream: Sees
    leg: str = "openai"
    pooled: Sees | None = field(default=None, kw_only=True)

    def __str__(self) -> str:
        return f"{self.kind} {self.settings} {self.leg}"


# --- one and the same thing to each SDK ------------------------------------------------------------------------------

BySdk = Mapping[str, Sees]
REFUSED: BySdk = {
    "anthropic": Sees("anthropic.APIConnectionError", "Connection error."),
    "openai": Sees("openai.APIConnectionError", "Connection error."),
    "gemini": Sees("httpx2.ConnectError", "[Errno 111] Connection refused"),
    "bedrock": Sees("botocore.exceptions.EndpointConnectionError", "Could not connect to the endpoint URL"),
}
HUNG: BySdk = {
    "anthropic": Sees("anthropic.APITimeoutError", "Request timed out"),
    "openai": Sees("openai.APITimeoutError", "Request timed out."),
    "gemini": Sees("httpx2.ConnectTimeout", "timed out"),
    "bedrock": Sees("botocore.exceptions.ConnectTimeoutError", "Connect timeout on endpoint URL"),
}
SILENT: BySdk = {
    **HUNG,
    "gemini": Sees("httpx2.ReadTimeout", "timed out"),
    "bedrock": Sees("botocore.exceptions.ReadTimeoutError", "Read timeout on endpoint URL"),
}
RESET: BySdk = {
    **REFUSED,
    "gemini": Sees("httpx2.ReadError", "[Errno 104] Connection reset by peer"),
    "bedrock": Sees("botocore.exceptions.ConnectionClosedError", "Connection was closed before we received a valid"),
}
CLOSED: BySdk = {**RESET, "gemini": Sees("httpx2.RemoteProtocolError", "Server disconnected without sending a")}
RESET_WITHIN: BySdk = {
    "anthropic": Sees("httpx2.ReadError", "[Errno 104] Connection reset by peer"),
    "openai": Sees("openai.APIConnectionError", "Connection error."),
    "gemini": Sees("httpx2.ReadError", "[Errno 104] Connection reset by peer"),
    "bedrock": Sees("urllib3.exceptions.ProtocolError", "Connection reset by peer"),
}
ENDED_WITHIN: BySdk = {
    "anthropic": Sees("httpx2.RemoteProtocolError", "(incomplete chunked read)"),
    "openai": Sees("openai.APIConnectionError", "Connection error."),
    "gemini": Sees("httpx2.RemoteProtocolError", "(incomplete chunked read)"),
    "bedrock": Sees("urllib3.exceptions.ProtocolError", "Response ended prematurely"),
}
SILENT_WITHIN: BySdk = {
    "anthropic": Sees("httpx2.ReadTimeout", "timed out"),
    "openai": Sees("openai.APITimeoutError", "Request timed out."),
    "gemini": Sees("httpx2.ReadTimeout", "timed out"),
    "bedrock": Sees("urllib3.exceptions.ReadTimeoutError", "Read timed out."),
}
ERROR_WITHIN: BySdk = {
    "anthropic": Sees("anthropic.APIStatusError", "200 {'type': 'error', 'error': {'type': 'overloaded_error'"),
    "openai": Sees("openai.APIError", "server_is_overloaded There is not enough capacity"),
    "gemini": Sees("google.genai.errors.ServerError", "503 UNAVAILABLE"),
    "bedrock": Sees("botocore.exceptions.EventStreamError", "An error occurred (serviceUnavailableException)"),
}
OVERLOADED: Mapping[str, tuple[Sees, Sees]] = {
    "anthropic": (Sees("529", "overloaded_error"), Sees("anthropic.OverloadedError", "529 Error code: 529")),
    "openai": (Sees("503", "server_is_overloaded"), Sees("openai.InternalServerError", "503 Error code: 503")),
    "gemini": (Sees("503", "UNAVAILABLE"), Sees("google.genai.errors.ServerError", "503 503 UNAVAILABLE")),
    "bedrock": (
        Sees("503", "Too many connections"),
        Sees("botocore.errorfactory.ServiceUnavailableException", "503 An error occurred"),
    ),
}

# --- and to httpx ----------------------------------------------------------------------------------------------------

REFUSED_CONNECT = Sees("httpx.ConnectError", "[Errno 111] Connection refused")
HUNG_CONNECT = Sees("httpx.ConnectTimeout", "timed out")
NOTHING = Sees("httpx.ReadTimeout", "timed out")
A_RESET = Sees("httpx.ReadError", "[Errno 104] Connection reset by peer")
AN_END = Sees("httpx.RemoteProtocolError", "Server disconnected without sending a response.")
AN_EARLY_END = Sees("httpx.RemoteProtocolError", "peer closed connection without sending complete message body")
A_PAGE = Sees("200", "<title>Sign in to continue</title>")
HALF_JSON = Sees("200", '{"id": "drill-garbage"')
NO_BODY = Sees("200", "")
NO_JSON = Sees("json.decoder.JSONDecodeError", "Expecting value: line 1 column 1 (char 0)")
UNTERMINATED = Sees("json.decoder.JSONDecodeError", "Unterminated string")
UNREADABLE = Sees("google.genai.errors.UnknownApiResponseError", "Failed to parse response as JSON")
AN_EMPTY_ONE = Sees("dict", "{'ResponseMetadata'")
"""An answer of boto3's with no output in it."""

SDKS = tuple(REFUSED)


def after_five(sees: Sees) -> Sees:
    """The same, and five events before it."""
    return Sees(sees.what, f"after 5 events: {sees.text}")


# --- the table -------------------------------------------------------------------------------------------------------

CONNECTIONS = [
    *(Row("refuse", {}, *(REFUSED_CONNECT,) * 2, *(REFUSED[leg],) * 2, leg) for leg in SDKS),
    # Packets on a connection that is open vanish too.
    *(Row("blackhole", {}, *(HUNG_CONNECT,) * 2, *(HUNG[leg],) * 2, leg, pooled=NOTHING) for leg in SDKS),
    *(Row("reset", {}, *(A_RESET,) * 2, *(RESET[leg],) * 2, leg) for leg in SDKS),
    *(Row("hang", {}, *(NOTHING,) * 2, *(SILENT[leg],) * 2, leg) for leg in SDKS),
]
TIME = [
    Row("slow", {"by": LATE_S}, LATE, LATE, LATE, LATE),
    # Between 0.9 s and 1.1 s.
    Row("slow", {"by": 1.0, "spread": 0.1, "shape": "uniform"}, LATE, LATE, LATE, LATE, "anthropic"),
    # Whole answers have no first token, and no tokens.
    Row("slow_first_token", {"by": LATE_S}, WHOLE, LATE, WHOLE, LATE),
    Row("slow_tokens", {"by": 0.15}, WHOLE, LATE, WHOLE, LATE),
    # About 680 bytes of answer, and more of a stream.
    Row("bandwidth", {"rate": 700.0}, LATE, LATE, LATE, LATE),
]
ANSWERS = [
    Row(
        *("status", {"code": 503}),
        *(Sees("503", "server_is_overloaded"),) * 2,
        *(Sees("openai.InternalServerError", "503 Error code: 503"),) * 2,
    ),
    *(Row("status", {"error": "overloaded"}, *(raw,) * 2, *(sdk,) * 2, leg) for leg, (raw, sdk) in OVERLOADED.items()),
    Row(
        *("status", {"error": "rate_limited", "retry_after": 7.0}),
        *(Sees("429", '"retryDelay":"7s"'),) * 2,
        *(Sees("google.genai.errors.ClientError", "429 429 RESOURCE_EXHAUSTED"),) * 2,
        "gemini",
    ),
    # A failure that is none: 200, and nothing in it.
    Row(
        *("status", {"error": "content_filtered"}),
        *(Sees("200", '"stop_reason":"refusal"'), Sees("half", '"stop_reason":"refusal"'), EMPTY, EMPTY, "anthropic"),
    ),
    Row(
        *("edge_html", {}),
        *(Sees("502", "Bad gateway"),) * 2,
        *(Sees("openai.InternalServerError", "502 Error code: 502"),) * 2,
    ),
    Row(
        *("edge_html", {"code": 520}),
        *(Sees("520", "Web server is returning an unknown error"),) * 2,
        *(Sees("anthropic.InternalServerError", "520 <!DOCTYPE html>"),) * 2,
        "anthropic",
    ),
    Row(
        *("edge_html", {"code": 530}),
        *(Sees("530", "Origin DNS error"),) * 2,
        *(Sees("botocore.exceptions.ClientError", "530 An error occurred (530)"),) * 2,
        "bedrock",
    ),
    # Two SDKs hand the page over, a string, where an answer is expected; as a stream it is an answer without words.
    Row("html_200", {}, A_PAGE, A_PAGE, Sees("str", "Sign in"), EMPTY, "anthropic"),
    Row("html_200", {}, A_PAGE, A_PAGE, Sees("str", "Sign in"), EMPTY),
    Row("html_200", {}, A_PAGE, A_PAGE, NO_JSON, UNREADABLE, "gemini"),
    Row(
        *("html_200", {}, A_PAGE, A_PAGE, AN_EMPTY_ONE),
        *(Sees("botocore.eventstream.ChecksumMismatch", "Checksum mismatch"), "bedrock"),
    ),
    Row("garbage_json", {}, HALF_JSON, HALF_JSON, UNTERMINATED, EMPTY),
    Row("garbage_json", {}, HALF_JSON, HALF_JSON, UNTERMINATED, UNREADABLE, "gemini"),
    Row("empty", {}, NO_BODY, NO_BODY, NO_JSON, EMPTY),
    Row("empty", {}, NO_BODY, NO_BODY, EMPTY, EMPTY, "gemini"),
    Row("empty", {}, NO_BODY, NO_BODY, AN_EMPTY_ONE, EMPTY, "bedrock"),
    Row("degraded_text", {}, FOREIGN, FOREIGN, FOREIGN, FOREIGN),
    Row("degraded_text", {}, FOREIGN, FOREIGN, FOREIGN, FOREIGN, "bedrock"),
]
_RST, _FIN = {"after": 5, "how": "rst"}, {"after": 5, "how": "fin"}
_CLEAN, _ERROR = {"after": 5, "how": "clean"}, {"after": 5, "how": "error"}
_FIVE = {"after": 5}
_BROKEN = Sees("half", "after ")
STREAMS = [
    *(Row("cut", _RST, WHOLE, after_five(A_RESET), WHOLE, RESET_WITHIN[leg], leg) for leg in SDKS),
    *(Row("cut", _FIN, WHOLE, after_five(AN_EARLY_END), WHOLE, ENDED_WITHIN[leg], leg) for leg in SDKS),
    # Every SDK takes half an answer for a whole one.
    *(Row("cut", _CLEAN, WHOLE, after_five(HALF), WHOLE, HALF, leg) for leg in SDKS),
    # The sixth event is the error.
    *(Row("cut", _ERROR, WHOLE, Sees("half", "after 6 events"), WHOLE, ERROR_WITHIN[leg], leg) for leg in SDKS),
    *(Row("stall", _FIVE, WHOLE, after_five(NOTHING), WHOLE, SILENT_WITHIN[leg], leg) for leg in SDKS),
    Row("malformed_event", _FIVE, WHOLE, _BROKEN, WHOLE, UNTERMINATED, "anthropic"),
    Row("malformed_event", _FIVE, WHOLE, _BROKEN, WHOLE, UNTERMINATED),
    Row("malformed_event", _FIVE, WHOLE, _BROKEN, WHOLE, UNREADABLE, "gemini"),
    # The fourth word is missing, and nobody objects.
    Row("malformed_event", _FIVE, WHOLE, _BROKEN, WHOLE, Sees("foreign", "/4 row-"), "bedrock"),
    Row(
        *("corrupt_crc", _FIVE, WHOLE, _BROKEN, WHOLE),
        *(Sees("botocore.eventstream.ChecksumMismatch", "Checksum mismatch"), "bedrock"),
    ),
    Row("partial_frame", _FIVE, WHOLE, after_five(HALF), WHOLE, HALF, "bedrock"),
]
_REFRESH = "google.auth.exceptions.RefreshError"
_TOKENS: dict[str, Sees] = {
    "unavailable": Sees("503", "temporarily_unavailable"),
    "invalid_grant": Sees("400", "invalid_grant"),
    "invalid_client": Sees("401", "invalid_client"),
}
IDENTITY = [
    # A token is asked for first, and there is none.
    *(
        Row("identity_down", {"how": how}, raw, raw, *(Sees(_REFRESH, raw.text),) * 2, "vertex")
        for how, raw in _TOKENS.items()
    ),
    Row("identity_slow", {"by": LATE_S}, LATE, LATE, LATE, LATE, "vertex"),
]
WIRE = [
    Row("wire_latency", {"latency": LATE_S}, LATE, LATE, LATE, LATE),
    Row("wire_bandwidth", {"kilobytes_per_s": 1}, LATE, LATE, LATE, LATE),
    # Head and body in pieces of at most 16 bytes: 64 of them, or more.
    Row("wire_slicer", {"average_size": 16, "delay": 0.012}, LATE, LATE, LATE, LATE),
    Row("wire_slicer", {"average_size": 16}, WHOLE, WHOLE, WHOLE, WHOLE, "bedrock"),
    # An answer with a length, or with an end of its own, does not wait for the connection's.
    Row("wire_slow_close", {"delay": LATE_S}, WHOLE, WHOLE, WHOLE, WHOLE),
    Row("wire_slow_close", {"delay": LATE_S}, LATE, Sees("200", CLOSING), LATE, EMPTY, CLOSING),
    # Within the head, and within the body.
    Row("wire_limit_data", {"bytes": 200}, AN_END, AN_END, *(CLOSED["openai"],) * 2),
    Row(
        *("wire_limit_data", {"bytes": 400}, AN_EARLY_END, AN_EARLY_END),
        *(Sees("httpx2.RemoteProtocolError", "received 240 bytes"), ENDED_WITHIN["gemini"], "gemini"),
    ),
    # boto3 is content with less than the stated length.
    Row(
        *("wire_limit_data", {"bytes": 400}, AN_EARLY_END, AN_EARLY_END),
        *(AN_EMPTY_ONE, Sees("urllib3.exceptions.ProtocolError", "IncompleteRead"), "bedrock"),
    ),
    *(Row("wire_timeout", {"timeout": LATE_S}, *(AN_END,) * 2, *(CLOSED[leg],) * 2, leg) for leg in SDKS),
    Row("wire_timeout", {"timeout": 60.0}, *(NOTHING,) * 2, *(SILENT["openai"],) * 2),
    *(Row("wire_reset", {}, *(A_RESET,) * 2, *(RESET[leg],) * 2, leg) for leg in SDKS),
    Row("wire_down", {}, *(REFUSED_CONNECT,) * 2, *(REFUSED["openai"],) * 2),
]
GATEWAY = [
    # Until it is started again.
    Row("gateway_kill", {}, *(REFUSED_CONNECT,) * 2, *(REFUSED["openai"],) * 2),
    Row("gateway_restart", {}, *(REFUSED_CONNECT,) * 2, *(REFUSED["openai"],) * 2),
    # The kernel accepts the connect.
    Row("gateway_pause", {}, *(NOTHING,) * 2, *(SILENT["openai"],) * 2),
]
ELSEWHERE = {
    "dns_failure": "test_private_network.py",
    "tls_bad_certificate": "test_tls_faults.py",
    "tls_handshake_hang": "test_tls_faults.py",
}
"""Kinds that need a private network or TLS, and the test in which clients meet them."""
ROWS = [*CONNECTIONS, *TIME, *ANSWERS, *STREAMS, *IDENTITY, *WIRE, *GATEWAY]
