"""The callers' dialect: OpenAI chat completions, as every gateway under test offers them.

Builds the request of an arrival, and reads the answer as it comes, whole or streamed, without believing any of it.
Pure: bytes in, a reading out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from drills.decoding import Decoder
from drills.events import Ending
from drills.marks import Mark

NO_FIELDS: Mapping[str, str] = MappingProxyType({})


def request_body(model: str, mark: Mark, stream: bool, fields: Mapping[str, str] = NO_FIELDS) -> bytes:
    """The body of a chat completion request that carries a mark. fields: what else it carries, as JSON by key."""
    body: dict[str, object] = {key: json.loads(value) for key, value in fields.items()}
    body |= {"model": model, "messages": [{"role": "user", "content": mark.prompt()}]}
    if stream:
        body["stream"] = True
    return json.dumps(body).encode()


def read_whole(stream: bool, body: bytes) -> str:
    """The text of a whole answer, as leniently as callers read it. Raises `ValueError` when it is none."""
    reader = AnswerReader(stream)
    reader.feed(body)
    ending = reader.finish()
    if ending is not Ending.COMPLETE:
        raise ValueError(f"the answer is {ending}{f': {reader.error}' if reader.error else ''}")
    return reader.text


class _Message(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    finish_reason: str | None = None
    message: _Message | None = None
    delta: _Message | None = None


class _Completion(msgspec.Struct):
    choices: list[_Choice] = []
    error: msgspec.Raw = msgspec.Raw()


_DECODER: Decoder[_Completion] = Decoder(_Completion)
_TEXT_AT_MOST = 1 << 20


class AnswerReader:
    """Reads one answer with a success status. `feed` it as bytes come, then ask for `ending` and `text`.

    done_mark: whether a stream must end with `data: [DONE]`; without, its finish reason ends it.
    """

    def __init__(self, stream: bool, done_mark: bool = True) -> None:
        self._stream = stream
        self._done_mark = done_mark
        self._pending = b""
        self._pieces: list[str] = []
        self._size = 0
        self._finished = False
        self._done = False
        self._error = ""
        self._malformed = False

    @property
    def text(self) -> str:
        """The text so far."""
        return "".join(self._pieces)

    @property
    def error(self) -> str:
        """What an error inside the body said, or the beginning of a body that could not be read."""
        return self._error

    def feed(self, data: bytes) -> bool:
        """Take bytes in. True when text has arrived by now."""
        self._size += len(data)
        if self._size > _TEXT_AT_MOST:
            self._malformed, self._error = True, f"more than {_TEXT_AT_MOST} bytes of answer"
            return bool(self._pieces)
        self._pending += data
        if self._stream:
            *lines, self._pending = self._pending.split(b"\n")
            for line in lines:
                self._line(line.strip())
        return bool(self._pieces)

    def finish(self) -> Ending:
        """How the answer ended, now that its body has ended politely."""
        if not self._stream:
            self._whole()
        elif self._pending.strip():
            self._line(self._pending.strip())
        if self._error and not self._malformed:
            return Ending.IN_BAND
        if self._malformed:
            return Ending.MALFORMED
        complete = self._finished and (self._done or not self._stream or not self._done_mark)
        return Ending.COMPLETE if complete else Ending.UNTERMINATED

    def _line(self, line: bytes) -> None:
        if not line or line.startswith((b":", b"event:", b"id:", b"retry:")):
            return
        if not line.startswith(b"data:"):
            self._malform(line)
            return
        data = line[5:].strip()
        if data == b"[DONE]":
            self._done = True
            return
        self._take(data)

    def _whole(self) -> None:
        self._take(self._pending)

    def _take(self, data: bytes) -> None:
        try:
            completion = _DECODER.decode(data)
        except msgspec.DecodeError:
            self._malform(data)
            return
        if bytes(completion.error) not in {b"", b"null"}:
            self._error = self._error or bytes(completion.error).decode(errors="replace")
            return
        for choice in completion.choices:
            part = choice.delta if self._stream else choice.message
            if part is not None and part.content:
                self._pieces.append(part.content)
            if choice.finish_reason:
                self._finished = True

    def _malform(self, data: bytes) -> None:
        self._malformed = True
        self._error = self._error or data[:300].decode(errors="replace")
