"""The binary framing of Amazon's streamed answers, `application/vnd.amazon.eventstream`.

Pure. A frame is `total_len u32 | headers_len u32 | crc32(prelude) u32 | headers | payload | crc32(all before) u32`,
big-endian; a header is `name_len u8 | name | type u8 | value`.
Source: wire.md A.6, checked against botocore 1.44.5.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

import msgspec

from drills.providers.base import Headers

CONTENT_TYPE = "application/vnd.amazon.eventstream"
_PRELUDE = struct.Struct("!II")
_CRC = struct.Struct("!I")
_PRELUDE_BYTES = _PRELUDE.size + _CRC.size
_OVERHEAD_BYTES = _PRELUDE_BYTES + _CRC.size
_MAX_HEADERS_BYTES = 128 * 1024
_MAX_PAYLOAD_BYTES = 24 * 1024 * 1024
_STRING = 7
_FIXED_BYTES = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
"""Header value types of fixed size: true, false, byte, short, integer, long, timestamp, uuid."""
_COUNTED = {6, _STRING}
"""Header value types that begin with their length as u16: bytes, string."""


class Frame(msgspec.Struct, frozen=True):
    """One message. Only its string headers are kept."""

    headers: Headers
    payload: bytes

    def header(self, name: str) -> str:
        """The value of a header, empty when it is absent."""
        return dict(self.headers).get(name, "")


def encode(headers: Headers, payload: bytes) -> bytes:
    """One whole frame with string headers and both checksums."""
    return _packed(b"".join(_header(name.encode(), value.encode()) for name, value in headers), payload)


def decode(body: bytes) -> list[Frame]:
    """Every frame of a whole body. Raises `ValueError` on a partial frame, a bad length or a bad checksum."""
    frames: list[Frame] = []
    offset = 0
    while offset < len(body):
        size = _frame_bytes(body[offset : offset + _PRELUDE_BYTES])
        if size is None or offset + size > len(body):
            raise ValueError("the stream ends inside a frame")
        frames.append(_frame(body[offset : offset + size]))
        offset += size
    return frames


def boundaries(data: bytes, pending: bytes) -> tuple[tuple[int, ...], bytes]:
    """`Provider.count_events` for frames. From a prelude that is not one, nothing is an event any more."""
    whole = pending + data
    ends: list[int] = []
    offset = 0
    while True:
        try:
            size = _frame_bytes(whole[offset : offset + _PRELUDE_BYTES])
        except ValueError:
            break
        if size is None or offset + size > len(whole):
            break
        offset += size
        ends.append(offset)
    return tuple(ends), whole[offset:]


def malformed(frame: bytes) -> bytes:
    """A whole frame with half its payload, and lengths and checksums that are right for it."""
    headers = frame[_PRELUDE_BYTES : _PRELUDE_BYTES + _PRELUDE.unpack_from(frame)[1]]
    payload = frame[_PRELUDE_BYTES + len(headers) : -_CRC.size]
    return _packed(headers, payload[: len(payload) // 2])


def _packed(headers: bytes, payload: bytes) -> bytes:
    prelude = _PRELUDE.pack(_OVERHEAD_BYTES + len(headers) + len(payload), len(headers))
    body = prelude + _CRC.pack(zlib.crc32(prelude)) + headers + payload
    return body + _CRC.pack(zlib.crc32(body))


def _header(name: bytes, value: bytes) -> bytes:
    return bytes([len(name)]) + name + bytes([_STRING]) + struct.pack("!H", len(value)) + value


def _frame_bytes(prelude: bytes) -> int | None:
    """The size of the frame that begins with this prelude; None when the prelude is not all there yet."""
    if len(prelude) < _PRELUDE_BYTES:
        return None
    total, headers = _PRELUDE.unpack_from(prelude)
    if _CRC.unpack_from(prelude, _PRELUDE.size)[0] != zlib.crc32(prelude[: _PRELUDE.size]):
        raise ValueError("checksum mismatch in the prelude of a frame")
    payload = total - headers - _OVERHEAD_BYTES
    if headers > _MAX_HEADERS_BYTES or not 0 <= payload <= _MAX_PAYLOAD_BYTES:
        raise ValueError("a frame has an impossible length")
    return int(total)


def _frame(raw: bytes) -> Frame:
    if _CRC.unpack_from(raw, len(raw) - _CRC.size)[0] != zlib.crc32(raw[: -_CRC.size]):
        raise ValueError("checksum mismatch in a frame")
    end = _PRELUDE_BYTES + _PRELUDE.unpack_from(raw)[1]
    try:
        headers = tuple(_headers(raw[_PRELUDE_BYTES:end]))
    except (struct.error, IndexError) as error:
        raise ValueError("malformed headers in a frame") from error
    return Frame(headers, raw[end : -_CRC.size])


def _headers(raw: bytes) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(raw):
        name_end = at + 1 + raw[at]
        name, kind = raw[at + 1 : name_end].decode(), raw[name_end]
        at = name_end + 1
        if kind in _FIXED_BYTES:
            at += _FIXED_BYTES[kind]
        elif kind in _COUNTED:
            size = struct.unpack_from("!H", raw, at)[0]
            value = raw[at + 2 : at + 2 + size]
            if len(value) != size:
                raise IndexError(size)
            at += 2 + size
            if kind == _STRING:
                yield name, value.decode()
        else:
            raise ValueError(f"a frame has a header of unknown type {kind}")
