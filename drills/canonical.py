"""One encoding of a record, so that one record has one hash: JSON in ASCII, keys sorted. Pure.

Each record carries `self_sha256`, the SHA-256 of its own encoding without that field. That guards against damage and
careless edits, also where nothing else is at hand; against whoever can compute a hash it guards nothing.
"""

from __future__ import annotations

import hashlib
import json
from typing import TypeVar

import msgspec

from drills.decoding import Decoder

SELF = "self_sha256"
_Record = TypeVar("_Record")


def sha256(data: bytes) -> str:
    """The SHA-256 of bytes, 64 hex digits."""
    return hashlib.sha256(data).hexdigest()


def encoded(record: msgspec.Struct, *, indent: int | None = None) -> bytes:
    """The record with its own hash, ended by a line end. indent: for files that people read; None for one line."""
    fields = msgspec.to_builtins(record)
    fields[SELF] = sha256(_text(fields, None, without_self=True))
    return _text(fields, indent)


def damage(data: bytes, *, indent: int | None = None) -> str:
    """What is wrong with the encoding of a record, or with its own hash; empty when nothing is."""
    try:
        fields = json.loads(data)
    except (ValueError, RecursionError) as error:  # also bytes that are no UTF-8, and a thousand brackets
        return f"not JSON: {error}"
    if not isinstance(fields, dict):
        return "not a record"
    found = fields.get(SELF, "")
    expected = sha256(_text(fields, None, without_self=True))
    if found != expected:
        return f"changed since it was written: its own hash is {expected}, and it says {found or 'nothing'}"
    return "" if _text(fields, indent) == data else "changed since it was written: not in the form in which it was"


def hash_of(data: bytes) -> str:
    """The hash that an undamaged record says of itself."""
    found = json.loads(data)[SELF]
    return found if isinstance(found, str) else ""


def decode(data: bytes, kind: type[_Record]) -> _Record:
    """A record out of its bytes. Raises `msgspec.DecodeError` for whatever else they are."""
    decoder: Decoder[_Record] = Decoder(kind)
    return decoder.decode(data)


def _text(fields: dict[str, object], indent: int | None, *, without_self: bool = False) -> bytes:
    shown = {name: value for name, value in fields.items() if not (without_self and name == SELF)}
    separators = (",", ": ") if indent else (",", ":")
    text = json.dumps(shown, sort_keys=True, ensure_ascii=True, indent=indent, separators=separators)
    return (text.replace("\x7f", "\\u007f") + "\n").encode("ascii")
