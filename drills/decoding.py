"""JSON that somebody else wrote, or could have changed: whatever is wrong with it is one kind of error. Pure."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import msgspec

_Kind = TypeVar("_Kind")


class Decoder(Generic[_Kind]):
    """Decodes one kind of JSON. The library lets two errors through as they are: of bytes that are no UTF-8, and of
    brackets that are nested deeper than the interpreter's stack.
    """

    def __init__(self, kind: Any) -> None:  # noqa: ANN401  also a union, which is no `type`
        self._decoder: msgspec.json.Decoder[_Kind] = msgspec.json.Decoder(kind)

    def decode(self, data: bytes) -> _Kind:
        """What the bytes say. Raises `msgspec.DecodeError` for whatever is wrong with them."""
        try:
            return self._decoder.decode(data)
        except UnicodeDecodeError as error:
            raise msgspec.DecodeError(str(error)) from error
        except RecursionError as error:
            raise msgspec.DecodeError("it is nested too deep") from error
