"""What every dialect does with JSON bodies: read them without trust, write them compactly, and stream them.

Pure. What comes from outside is hostile: the readers in here return nothing instead of raising.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from urllib.parse import parse_qsl, unquote

import msgspec

from drills.providers.base import Call, Headers, Reply, StreamReply, Surface

Json = dict[str, object]
"""A JSON object of some vendor's, built and read inside the dialects only."""

JSON_TYPE = "application/json"
CREATED_S = 1_767_225_600
"""Unix time stamped on every answer: a dialect reads no clock."""
UNKNOWN = "unknown path"
"""`Call.operation` of a request for a path that the dialect does not have."""
UNREADABLE = "unreadable body"
"""`Call.operation` of a request for a known path whose body is not what the path takes."""
_ORIGIN = re.compile(r"^[a-zA-Z][a-zA-Z0-9+.-]*://[^/?#]*")


class Steps(msgspec.Struct, frozen=True):
    """A streamed answer as the JSON of its events, before any framing; parts as in `StreamReply`."""

    opening: tuple[Json, ...]
    tokens: tuple[Json, ...]
    closing: tuple[Json, ...]

    def framed(self, frame: Callable[[Json], bytes], headers: Headers, end: bytes = b"") -> StreamReply:
        """Every event in the framing of the dialect; `end` is a terminator that is not JSON."""
        return StreamReply(
            status=200,
            headers=headers,
            opening=b"".join(map(frame, self.opening)),
            tokens=tuple(map(frame, self.tokens)),
            closing=b"".join(map(frame, self.closing)) + end,
        )


def joined(stream: StreamReply) -> Reply:
    """A streamed answer as one body."""
    body = stream.opening + b"".join(stream.tokens) + stream.closing
    return Reply(status=stream.status, headers=stream.headers, body=body)


def dump(value: object) -> bytes:
    """Compact JSON, UTF-8."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace")


def load(body: bytes | str) -> Json | None:
    """A body as a JSON object; None when it is anything else."""
    return as_object(load_any(body))


def load_any(body: bytes | str) -> object:
    """A body as JSON; None when it is not JSON."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None


def as_object(value: object) -> Json | None:
    """A JSON value as an object; None when it is anything else."""
    return value if isinstance(value, dict) else None


def object_in(value: object, key: str) -> Json:
    """The object under a key; empty when `value` is no object or has none there."""
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}


def list_in(value: object, key: str) -> list[object]:
    """The list under a key; empty when `value` is no object or has none there."""
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, list) else []


def text_in(value: object, key: str) -> str:
    """The string under a key; empty when `value` is no object or has none there."""
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, str) else ""


def text_of(content: object) -> str:
    """The text of a message's content: a string, one part, or a list of either, in any dialect."""
    if isinstance(content, str):
        return content
    if isinstance(content, dict):
        return text_in(content, "text")
    if isinstance(content, list):
        return "".join(text_of(part) for part in content if not isinstance(part, list))
    return ""


def last_user_text(messages: Iterable[object], key: str = "content") -> str:
    """The text of the last message of the user; `key` holds a message's content. No role means user (Google)."""
    found = ""
    for message in messages:
        if isinstance(message, dict) and message.get("role", "user") == "user":
            found = text_of(message.get(key))
    return found


def words_in(text: str) -> int:
    """The number of tokens that a text is billed as here: its words, at least one."""
    return max(1, len(text.split()))


def split_target(target: str) -> tuple[str, dict[str, str]]:
    """Raw path, still percent-encoded and without trailing slashes, and decoded query of a request target."""
    path, _, query = _ORIGIN.sub("", target).partition("#")[0].partition("?")
    return path.rstrip("/"), dict(parse_qsl(query, keep_blank_values=True))


def decoded(part: str) -> str:
    """A percent-decoded part of a path, fit for JSON whatever bytes it hides."""
    return unquote(part).encode("utf-8", "replace").decode()


def form_value(body: bytes, name: str) -> str:
    """The last value of that name in a form; empty when there is none."""
    return dict(parse_qsl(body.decode(errors="replace"), keep_blank_values=True)).get(name, "")


def header(headers: Headers, name: str) -> str:
    """The first header of that name, in any case; empty when there is none."""
    wanted = name.lower()
    return next((value for key, value in headers if key.lower() == wanted), "")


def unknown(path: str) -> Call:
    """A request for a path that the dialect does not have; the path stands in `Call.text`."""
    return Call(surface=Surface.OTHER, operation=UNKNOWN, text=decoded(path))


def unreadable(model: str = "", region: str | None = None) -> Call:
    """A request for a known path with a body that the path does not take."""
    return Call(surface=Surface.OTHER, operation=UNREADABLE, model=model, region=region)


def json_reply(status: int, headers: Headers, body: object) -> Reply:
    """A reply with a JSON body; a content-type in `headers` wins."""
    typed = headers if header(headers, "content-type") else (("content-type", JSON_TYPE), *headers)
    return Reply(status=status, headers=typed, body=dump(body))


def seconds(retry_after_s: float) -> str:
    """Delay as whole seconds, rounded up: the only form that HTTP's Retry-After has for a delay."""
    return str(max(0, math.ceil(retry_after_s)))


def milliseconds(retry_after_s: float) -> str:
    """Delay as whole milliseconds."""
    return str(max(0, round(retry_after_s * 1000)))


def short_id(request_id: str) -> str:
    """A request id without dashes, for ids with a vendor's prefix."""
    return request_id.replace("-", "")


def required(table: Mapping[str, object], key: str, what: str) -> str:
    """A string that a complete answer must have. Raises `ValueError` naming it when it is absent or null."""
    value = text_in(table, key)
    if not value:
        raise ValueError(f"{what} has no {key}")
    return value
