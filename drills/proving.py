"""One probe of a leg that may be broken: what it has seen so far, and what it came to."""

from __future__ import annotations

import socket
import struct
import sys
from typing import Any

import msgspec

from faults.handshake import Certificate
from faults.proof import Came, ProbeOutcome


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a probe of a faulted leg. `port`: the local port of its connect; 0 when it was given up before."""

    sent_s: float
    done_s: float
    port: int
    outcome: ProbeOutcome


class Proving:
    """What one probe of a faulted leg has seen so far. Its answer counts as whole until somebody has read it."""

    def __init__(self, sent_s: float) -> None:
        self.sent_s = sent_s
        self.port = 0
        self.looking = self.connected = self.shaking = self.written = False
        self.came = Came.STOPPED
        self.status: int | None = None
        self.headers: tuple[tuple[str, str], ...] = ()
        self.first_byte_s: float | None = None
        self.body = b""
        self.piece_size: float | None = None
        self.certificate: Certificate | None = None
        self.detail = ""
        self.to_end = False
        self.stream: Any = None

    async def trace(self, name: str, info: Any) -> None:  # noqa: ANN401  what httpcore tells of a step is untyped
        """Steps as the client reports them: the TLS handshake begins, and where from; the request begins to go out; the
        whole body is there, and the connection is not closed yet, so that its end can be waited for.
        """
        if name.endswith("connect_tcp.complete"):
            self.port = _local_port(info, self.port)
        elif name.endswith("start_tls.started"):
            self.shaking = True
        elif name.endswith("send_request_headers.started"):
            self.written = True
        elif name.endswith("receive_response_body.complete") and self.stream is not None:
            self.piece_size = _piece_size(self.stream)
            while self.to_end and await self.stream.read(65536):
                pass

    def proof(self, done_s: float) -> Proof:
        """What it came to."""
        outcome = ProbeOutcome(
            came=self.came,
            took_s=done_s - self.sent_s,
            first_byte_s=None if self.first_byte_s is None else self.first_byte_s - self.sent_s,
            status=self.status,
            headers=self.headers,
            body=self.body,
            piece_size=self.piece_size,
            certificate=self.certificate,
            detail=self.detail,
        )
        return Proof(sent_s=self.sent_s, done_s=done_s, port=self.port, outcome=outcome)


_BYTES_RECEIVED, _DATA_SEGMENTS = 128, 152
"""Where `struct tcp_info` has tcpi_bytes_received (u64) and tcpi_data_segs_in (u32). Source: linux/tcp.h."""


def _piece_size(stream: Any) -> float | None:  # noqa: ANN401  httpcore's stream, which has no public type
    """Bytes per data segment that a connection received, as the kernel counts; None where it does not."""
    sock = stream.get_extra_info("socket")
    if sock is None or sys.platform != "linux":
        return None
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
    if len(info) < _DATA_SEGMENTS + 4:
        return None
    [size] = struct.unpack_from("=Q", info, _BYTES_RECEIVED)
    [segments] = struct.unpack_from("=I", info, _DATA_SEGMENTS)
    return size / segments if segments else None


def _local_port(info: Any, otherwise: int) -> int:  # noqa: ANN401  httpcore's stream, which has no public type
    """The local port of a connection that has just come about."""
    stream = info.get("return_value")
    address = stream.get_extra_info("client_addr") if stream is not None else None
    return address[1] if address else otherwise
