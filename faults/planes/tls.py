"""The TLS side of an accepted connection: to the socket a protocol, to the stream a transport.

Laws:
- The first byte decides: 0x16 begins a TLS handshake, anything else is plain HTTP. Both are served on one port.
- Until the handshake is done, every byte that comes waits for leave (`greet`). So a leg that falls silent in the
  middle of a handshake sends no further byte of it, and goes on where it was when it is well again.
- What the stream writes goes out at once; holding it back is the business of the stream's writer.

The handshake is done over memory (ssl.MemoryBIO), because asyncio's own would answer by itself. Each certificate has
an SSL context of its own, so that no session of a good one is resumed while a bad one is shown: a resumed handshake
shows none.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from faults.handshake import Certificate, Handshake
from faults.planes.control import Pem

Contexts = Mapping[Certificate, ssl.SSLContext]
_HANDSHAKE = 0x16
"""The content type of the record that begins a TLS connection. Source: RFC 8446, section 5.1."""
_READ_BYTES = 65536


def contexts(certificates: Mapping[Certificate, Pem]) -> dict[Certificate, ssl.SSLContext]:
    """An SSL context for each certificate. HTTP/1.1 only: the planes' connections carry one request at a time."""
    found = {}
    for kind, pem in certificates.items():
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        with _readable(pem.certificate + pem.key) as path:
            context.load_cert_chain(path)
        found[kind] = context
    return found


@contextmanager
def _readable(text: str) -> Iterator[str]:
    """A path from which a text can be read; it is on no disk where the system knows files in memory."""
    if hasattr(os, "memfd_create"):
        with os.fdopen(os.memfd_create("leg"), "wb", buffering=0) as file:
            file.write(text.encode())
            yield f"/proc/self/fd/{file.fileno()}"
    else:
        with tempfile.NamedTemporaryFile() as file:
            file.write(text.encode())
            file.flush()
            yield file.name


class Door(asyncio.Transport, asyncio.Protocol):
    """One accepted connection. `opened` is set when a request can be read from it, or when it is gone.

    stream: who reads what comes. greet: what the leg does in a handshake now. met: told once, when a handshake begins.
    """

    def __init__(
        self,
        stream: asyncio.StreamReaderProtocol,
        certificates: Contexts,
        greet: Callable[[], Handshake],
        met: Callable[[], None],
    ) -> None:
        super().__init__()
        self.opened = asyncio.Event()
        self._stream = stream
        self._contexts = certificates
        self._greet = greet
        self._met = met
        self._raw: asyncio.Transport | None = None
        self._waiting = b""
        self._ended = False
        self._came, self._goes = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls: ssl.SSLObject | None = None

    @property
    def lost(self) -> bool:
        """Whether the connection is gone."""
        return self._socket_side.is_closing()

    def look_again(self) -> None:
        """What the leg does in handshakes may have changed: go on with one that was left waiting."""
        if self._waiting and not self._socket_side.is_closing():
            data, self._waiting = self._waiting, b""
            self.data_received(data)

    # towards the socket: a protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection was accepted."""
        if not isinstance(transport, asyncio.Transport):
            raise TypeError("a door needs a transport that reads and writes")
        self._raw = transport
        self._stream.connection_made(self)

    def data_received(self, data: bytes) -> None:
        """Bytes came: pass them on, decrypt them, or let them wait."""
        if self.opened.is_set():
            self._pass(data)
            return
        data, self._waiting = self._waiting + data, b""
        if self._tls is None and data[0] != _HANDSHAKE:
            self.opened.set()
            self._stream.data_received(data)
            return
        met, self._met = self._met, _nobody
        met()
        handshake = self._greet()
        if not handshake.answered:
            self._waiting = data
            return
        if self._tls is None:
            context = self._contexts[handshake.certificate]
            self._tls = context.wrap_bio(self._came, self._goes, server_side=True)
        self._shake(self._tls, data)

    def eof_received(self) -> bool:
        """The other side will send nothing more."""
        if not self.opened.is_set():
            return False
        self._end_stream()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._stream.connection_lost(exc)
        self.opened.set()

    def pause_writing(self) -> None:
        """The socket takes no more for now."""
        self._stream.pause_writing()

    def resume_writing(self) -> None:
        """The socket takes more again."""
        self._stream.resume_writing()

    # towards the stream: a transport

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send, encrypted when the connection is."""
        if self._tls is None:
            self._socket_side.write(data)
        elif data and not self._socket_side.is_closing():
            self._tls.write(data)
            self._flush()

    def write_eof(self) -> None:
        """Say that nothing more will be sent."""
        self._say_end()
        self._socket_side.write_eof()

    def can_write_eof(self) -> bool:
        """Half-closing works with TLS as well."""
        return True

    def close(self) -> None:
        """Say the end, as TLS demands it, and close; nobody waits for the other side's."""
        self._say_end()
        self._socket_side.close()

    def abort(self) -> None:
        """Close at once, without a word."""
        self._socket_side.abort()

    def is_closing(self) -> bool:
        """Whether it is closed, or about to be."""
        return self._socket_side.is_closing()

    def get_extra_info(self, name: str, default: Any = None) -> Any:  # noqa: ANN401  the base class says so
        """What is known about the socket."""
        return self._socket_side.get_extra_info(name, default)

    def pause_reading(self) -> None:
        """Read no more from the socket for now."""
        self._socket_side.pause_reading()

    def resume_reading(self) -> None:
        """Read on."""
        self._socket_side.resume_reading()

    def is_reading(self) -> bool:
        """Whether it is read from the socket."""
        return self._socket_side.is_reading()

    def get_write_buffer_size(self) -> int:
        """How much waits for the socket, in bytes."""
        return self._socket_side.get_write_buffer_size()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """When writing pauses and resumes."""
        self._socket_side.set_write_buffer_limits(high, low)

    # what these are made of

    @property
    def _socket_side(self) -> asyncio.Transport:
        if self._raw is None:
            raise RuntimeError("a door is used when its connection was made")
        return self._raw

    def _shake(self, tls: ssl.SSLObject, data: bytes) -> None:
        self._came.write(data)
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return
        except ssl.SSLError:
            self._flush()  # an alert says why
            self._socket_side.close()
            return
        self._flush()
        self.opened.set()
        self._pass(b"")

    def _pass(self, data: bytes) -> None:
        if self._tls is None:
            self._stream.data_received(data)
            return
        self._came.write(data)
        try:
            while plain := self._tls.read(_READ_BYTES):
                self._stream.data_received(plain)
            self._end_stream()
        except ssl.SSLWantReadError:
            self._flush()
        except ssl.SSLError:
            self._flush()
            self._socket_side.close()

    def _end_stream(self) -> None:
        if not self._ended:
            self._ended = True
            self._stream.eof_received()

    def _say_end(self) -> None:
        if self._tls is not None and not self._socket_side.is_closing():
            with suppress(ssl.SSLError):  # it wants to hear the other side's end as well
                self._tls.unwrap()
            self._flush()

    def _flush(self) -> None:
        if self._goes.pending and not self._socket_side.is_closing():
            self._socket_side.write(self._goes.read())


def _nobody() -> None:
    """Told of what was told already."""
