"""DNS messages (RFC 1035), as far as looking up the address of one name needs them. Pure.

Both ends speak it: the plane, which answers, and the prober, which has no business with mitmproxy, whose codec is in
the way besides: it refuses names that are no IDNA, and it is just the odd names that a drill must not lose.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Sequence
from typing import NamedTuple

A, PTR, AAAA = 1, 12, 28
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP = 0, 1, 2, 3, 4
TTL_S = 5
"""Short: a lookup that a gateway remembers meets no fault."""

_IN = 1
_HEADER = struct.Struct("!6H")
_IS_ANSWER, _OPCODE, _AUTHORITATIVE, _RECURSION, _CAN_RECURSE = 0x8000, 0x7800, 0x0400, 0x0100, 0x0080
_POINTER, _LABEL_AT_MOST, _NAME_AT_MOST = 0xC0, 63, 255
_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789-_")


class Query(NamedTuple):
    r"""A question for one name. name: lower case, no dot at its end, odd bytes as `\ddd`; question: as it came."""

    id: int
    name: str
    type: int
    opcode: int
    recursion: bool
    question: bytes


class Refused(NamedTuple):
    """What is said to a message that is no readable query. name: what it asks for first, empty when it asks for
    nothing; answer: None for silence.
    """

    name: str
    answer: bytes | None


class Answer(NamedTuple):
    """What a name server said: a response code, and the IPv4 addresses."""

    id: int
    code: int
    addresses: tuple[str, ...]


def read_query(message: bytes) -> Query:
    """The query in a message. Raises `ValueError` for everything else."""
    number, flags, questions = _head(message)[:3]
    if flags & _IS_ANSWER or questions != 1:
        raise ValueError("not one question")
    name, end = _name(message, _HEADER.size)
    if len(message) < end + 4:
        raise ValueError("the question breaks off")
    kind, cls = struct.unpack_from("!2H", message, end)
    opcode = (flags & _OPCODE) >> 11
    question = message[_HEADER.size : end + 4]
    return Query(number, name, kind if cls == _IN else 0, opcode, bool(flags & _RECURSION), question)


def answer(query: Query, code: int, addresses: Sequence[str] = ()) -> bytes:
    """The answer to a query: a response code, and IPv4 addresses of the name."""
    flags = _IS_ANSWER | query.opcode << 11 | _AUTHORITATIVE | _RECURSION * query.recursion | _CAN_RECURSE | code
    records = (
        struct.pack("!HHHIH4s", _POINTER << 8 | _HEADER.size, A, _IN, TTL_S, 4, ipaddress.IPv4Address(one).packed)
        for one in addresses
    )
    return b"".join([_HEADER.pack(query.id, flags, 1, len(addresses), 0, 0), query.question, *records])


def refuse(message: bytes) -> Refused:
    """What is said to a message that `read_query` does not read. Two questions are an error of form (RFC 9619); what is
    no query at all gets silence, as an answer to an answer would have no end.
    """
    if len(message) < _HEADER.size:
        return Refused("", None)
    number, flags, questions = _head(message)[:3]
    if flags & _IS_ANSWER:
        return Refused("", None)
    try:
        name = _name(message, _HEADER.size)[0] if questions else ""
    except ValueError:
        name = ""
    code = NOTIMP if flags & _OPCODE else FORMERR
    said = _HEADER.pack(number, _IS_ANSWER | flags & (_OPCODE | _RECURSION) | _CAN_RECURSE | code, 0, 0, 0, 0)
    return Refused(name, said)


def query(number: int, name: str) -> bytes:
    """A question for the IPv4 addresses of a name."""
    labels = b"".join(bytes([len(label)]) + label for label in name.encode("ascii").split(b"."))
    return _HEADER.pack(number, _RECURSION, 1, 0, 0, 0) + labels + struct.pack("!BHH", 0, A, _IN)


def read_answer(message: bytes) -> Answer:
    """What an answer says. Raises `ValueError` when it is none."""
    number, flags, questions, answers = _head(message)[:4]
    if not flags & _IS_ANSWER:
        raise ValueError("not an answer")
    at, found = _HEADER.size, []
    for _ in range(questions):
        at = _name(message, at)[1] + 4
    for _ in range(answers):
        at = _name(message, at)[1]
        if len(message) < at + 10:
            raise ValueError("a record breaks off")
        kind, _, _, size = struct.unpack_from("!HHIH", message, at)
        data, at = message[at + 10 : at + 10 + size], at + 10 + size
        if kind == A and len(data) == 4:
            found.append(str(ipaddress.IPv4Address(data)))
    return Answer(number, flags & 0xF, tuple(found))


def _head(message: bytes) -> tuple[int, ...]:
    if len(message) < _HEADER.size:
        raise ValueError("shorter than a header")
    return _HEADER.unpack_from(message)


def _name(message: bytes, at: int) -> tuple[str, int]:
    """A name and where it ends. What follows a pointer is not read: nothing here needs it."""
    labels: list[str] = []
    begin = at
    while at < len(message):
        size = message[at]
        if size == 0:
            return ".".join(labels) or ".", at + 1
        if size >= _POINTER:
            return ".".join(labels), at + 2
        if size > _LABEL_AT_MOST or at + 1 + size - begin > _NAME_AT_MOST:
            break
        labels.append("".join(map(_shown, message[at + 1 : at + 1 + size].lower())))
        at += 1 + size
    raise ValueError("the name breaks off")


def _shown(byte: int) -> str:
    return chr(byte) if byte in _PLAIN else f"\\{byte:03d}"
