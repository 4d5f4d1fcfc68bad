r"""Server-sent events: how OpenAI, Anthropic and Google frame a streamed answer.

Pure. An event ends with an empty line; lines end with `\n` or `\r\n` (Google).
Source: WHATWG HTML, section "Server-sent events".
"""

from __future__ import annotations

import re

import msgspec

CONTENT_TYPE = "text/event-stream; charset=utf-8"
_BOUNDARY = re.compile(rb"\r?\n\r?\n")


class Event(msgspec.Struct, frozen=True):
    """One event: the value of its `event:` line, empty when it has none, and its `data:` lines joined."""

    name: str
    data: str


def encode(data: str, name: str = "", newline: str = "\n") -> bytes:
    """One whole event. `data` is a single line."""
    event = f"event: {name}{newline}" if name else ""
    return f"{event}data: {data}{newline}{newline}".encode()


def parse(body: bytes) -> list[Event]:
    """Every event of a whole body, without comments. Raises `ValueError` when the body ends inside an event."""
    *blocks, rest = _BOUNDARY.split(body)
    if rest.strip():
        raise ValueError("the stream ends inside an event")
    return [_event(block.decode()) for block in blocks if _counts(block)]


def boundaries(data: bytes, pending: bytes) -> tuple[tuple[int, ...], bytes]:
    """`Provider.count_events` for server-sent events: comments and empty lines are no events."""
    whole = pending + data
    ends: list[int] = []
    start = 0
    for found in _BOUNDARY.finditer(whole):
        if _counts(whole[start : found.start()]):
            ends.append(found.end())
        start = found.end()
    return tuple(ends), whole[start:]


def malformed(event: bytes) -> bytes:
    """An event whose text ends in the middle; its end stays as it is."""
    end = _BOUNDARY.search(event)
    text = event[: end.start()] if end else event
    data = max(0, text.rfind(b"data:"))
    return text[: data + (len(text) - data) // 2] + event[len(text) :]


def _counts(block: bytes) -> bool:
    return any(line.strip() and not line.startswith(b":") for line in block.splitlines())


def _event(block: str) -> Event:
    fields: dict[str, list[str]] = {"event": [], "data": []}
    for line in block.replace("\r\n", "\n").split("\n"):
        name, _, value = line.partition(":")
        fields.setdefault(name, []).append(value.removeprefix(" "))
    return Event("".join(fields["event"][-1:]), "\n".join(fields["data"]))
