"""The relay: the proxy that a gateway is told to use, which leads each host's traffic to the host's leg.

A process of its own. `CONNECT host:443` becomes a TCP connection to the leg's loopback port, and from then on bytes are
only piped: the relay speaks no TLS and reads no request. A request for a plain http:// host is passed on in a
connection of its own.

Laws:
- What happens to the leg's connection happens to the gateway's: an end is passed on as an end, a reset as a reset,
  silence as silence. A connect that is refused is answered with 502, one that hangs with nothing, as real proxies do.
- Nothing else is ever connected to. A host that belongs to no leg is answered with 403 and reported.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import resource
import socket
import struct
import sys
import time
from collections.abc import Callable
from urllib.parse import urlsplit

import msgspec

from drills import lifeline
from drills.events import HOSTS_TRIED_AT_MOST, MORE_HOSTS, HostTried, HowTried
from faults.planes.control import RelayReady, RelaySpec

_HEAD_AT_MOST = 65536
_HELD_AT_MOST = 1 << 24
_BACKLOG = 512
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_LOOK_AGAIN_S = 0.05
_HOP_BY_HOP = re.compile(rb"\r\n(?:proxy-[^:\r\n]*|connection|keep-alive):[^\r\n]*", re.IGNORECASE)
_REASONS = {400: "Bad Request", 403: "Forbidden", 502: "Bad Gateway", 504: "Gateway Timeout"}


class Request(msgspec.Struct, frozen=True):
    """What the first line of a connection asks for: a tunnel, or one request that is passed on in plain HTTP.

    onward: what the leg is to be sent first.
    """

    tunnel: bool
    authority: str
    onward: bytes

    @classmethod
    def of(cls, head: bytes, rest: bytes) -> Request | None:
        """Out of a whole head and what came behind it; None when it is nothing that one asks of a proxy."""
        line, _, fields = head.partition(b"\r\n")
        words = line.decode("latin-1").split(" ")
        if len(words) != 3:
            return None
        method, target, version = words
        if method == "CONNECT":
            return cls(True, _authority(target, 443), rest)
        if not target.lower().startswith("http://"):
            return None
        try:
            parts = urlsplit(target)
        except ValueError:
            return None
        path = target[len("http://") + len(parts.netloc) :]
        path = path if path.startswith("/") else f"/{path}"
        # One request for each connection: the next one may be for another host.
        kept = _HOP_BY_HOP.sub(b"", b"\r\n" + fields).removesuffix(b"\r\n\r\n") + b"\r\nconnection: close\r\n\r\n"
        onward = f"{method} {path} {version}".encode("latin-1") + kept + rest
        return cls(False, _authority(parts.netloc.rpartition("@")[2], 80), onward)


def _authority(text: str, default_port: int) -> str:
    """`host:port`, in lower case and without a final dot."""
    host, colon, port = text.rpartition(":")
    if not (colon and port.isascii() and port.isdigit() and len(port) < 6):
        host, port = text, str(default_port)
    return f"{host.lower().rstrip('.')}:{int(port)}"


class _Side(asyncio.Protocol):
    """One side of a tunnel. What comes goes to the other side."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.other: _Side | None = None
        self.ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is there."""
        if not isinstance(transport, asyncio.Transport):
            raise TypeError("a tunnel needs transports that read and write")
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Pass bytes on."""
        if self.other is not None:
            self.other.send(data)

    def send(self, data: bytes) -> None:
        """Send bytes. Behind the other side's end they are answered with a reset, which nobody reads for."""
        if self.transport is None or self.transport.is_closing():
            return
        self.transport.write(data)
        if self.ended:
            self._look_for_reset()
            asyncio.get_running_loop().call_later(_LOOK_AGAIN_S, self._look_for_reset)

    def _look_for_reset(self) -> None:
        if self.transport is not None and not self.transport.is_closing():
            sock = self.transport.get_extra_info("socket")
            if sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                self.transport.abort()
                if self.other is not None:
                    self.other.reset()

    def eof_received(self) -> bool:
        """Pass the end on; the tunnel is over when both sides have ended."""
        self.ended = True
        if self.other is None or self.other.transport is None:
            return False
        if self.other.ended:
            self.other.transport.close()
            return False
        if not self.other.transport.is_closing():
            self.other.transport.write_eof()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass a reset on as a reset, and any other end as an end."""
        if self.other is None:
            return
        if isinstance(exc, ConnectionError):
            self.other.reset()
        elif self.other.transport is not None:
            self.other.transport.close()

    def reset(self) -> None:
        """End the connection with a TCP reset."""
        if self.transport is not None and not self.transport.is_closing():
            sock = self.transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            self.transport.abort()

    def pause_writing(self) -> None:
        """No more for now on this side: the other is not read."""
        if self.other is not None and self.other.transport is not None and not self.other.ended:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        """On this side there is room again."""
        if self.other is not None and self.other.transport is not None and not self.other.ended:
            self.other.transport.resume_reading()


class _Caller(_Side):
    """The gateway's side: first it says where to, then it is one side of a tunnel."""

    def __init__(self, relay: Relay) -> None:
        super().__init__()
        self._relay = relay
        self._head = b""
        self._asked = False
        self._connecting: asyncio.Task[None] | None = None

    def data_received(self, data: bytes) -> None:
        """Read the head; afterwards pass bytes on."""
        if self.other is not None:
            super().data_received(data)
            return
        self._head += data
        if self._asked:
            # It speaks before it was answered: that is kept until the leg is there.
            if len(self._head) > _HELD_AT_MOST and self.transport is not None:
                self.transport.pause_reading()
            return
        head, end, rest = self._head.partition(b"\r\n\r\n")
        if end:
            self._asked, self._head = True, b""
            self._ask(Request.of(head + end, rest))
        elif len(self._head) > _HEAD_AT_MOST:
            self._refuse(400, "the head of the request is too long")

    def eof_received(self) -> bool:
        """Who leaves before there is a tunnel waits for nothing."""
        return super().eof_received() if self.other is not None else False

    def connection_lost(self, exc: Exception | None) -> None:
        """The gateway is gone: so is its wish for a connection."""
        if self._connecting is not None:
            self._connecting.cancel()
        super().connection_lost(exc)

    def _ask(self, request: Request | None) -> None:
        if request is None:
            self._refuse(400, "this is a proxy: CONNECT host:port, or http://host/path")
        elif (port := self._relay.port_of(request)) is None:
            self._refuse(403, "this host belongs to no leg of the drill")
        else:
            self._connecting = asyncio.get_running_loop().create_task(self._connect(request, port))

    async def _connect(self, request: Request, port: int) -> None:
        leg = _Side()
        try:
            await asyncio.get_running_loop().create_connection(lambda: leg, "127.0.0.1", port)
        except TimeoutError:
            self._refuse(504, "the leg did not accept the connection")
            return
        except OSError as error:
            self._refuse(502, error.strerror or "the leg cannot be reached")
            return
        except asyncio.CancelledError:
            leg.reset()  # it may just have come about
            raise
        self._connecting = None
        if self.transport is None or self.transport.is_closing():
            leg.reset()
            return
        leg.other, self.other = self, leg
        if request.tunnel:
            self.transport.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        self.transport.resume_reading()
        held, self._head = request.onward + self._head, b""
        if held:
            leg.send(held)

    def _refuse(self, status: int, why: str) -> None:
        if self.transport is not None and not self.transport.is_closing():
            body = f"failover-drill: {why}\n".encode()
            head = f"HTTP/1.1 {status} {_REASONS[status]}\r\ncontent-type: text/plain\r\ncontent-length: {len(body)}"
            self.transport.write(f"{head}\r\nconnection: close\r\n\r\n".encode() + body)
            self.transport.close()


class Relay:
    """Which host leads where, and who asked for others."""

    def __init__(self, spec: RelaySpec, emit: Callable[[RelayReady | HostTried], None]) -> None:
        self._spec = spec
        self._emit = emit
        self._others: set[str] = set()

    def port_of(self, request: Request) -> int | None:
        """The loopback port behind a host; None, and a report, when it belongs to no leg."""
        port = self._spec.hosts.get(request.authority)
        if port is None:
            self._report(request)
        return port

    def _report(self, request: Request) -> None:
        if request.authority in self._others or len(self._others) > HOSTS_TRIED_AT_MOST:
            return
        self._others.add(request.authority)
        more = len(self._others) > HOSTS_TRIED_AT_MOST
        host, _, port = request.authority.rpartition(":")
        self._emit(
            HostTried(
                at_s=time.monotonic() - self._spec.origin_s,
                host=MORE_HOSTS if more else _printable(host),
                how=HowTried.ASKED_FOR,
                port=0 if more else int(port),
            )
        )


def _printable(text: str) -> str:
    """A name that somebody else chose, short and in printable ASCII."""
    return text[:255].encode("unicode_escape").decode("ascii")[:255]


async def _run() -> None:
    loop = asyncio.get_running_loop()
    commands = asyncio.StreamReader(limit=1 << 22)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    out, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, sys.stdout)

    def emit(event: RelayReady | HostTried) -> None:
        out.write(msgspec.json.encode(event) + b"\n")

    spec = msgspec.json.decode(await commands.readline(), type=RelaySpec)
    relay = Relay(spec, emit)
    server = await loop.create_server(lambda: _Caller(relay), "127.0.0.1", 0, backlog=_BACKLOG)
    emit(RelayReady(port=server.sockets[0].getsockname()[1]))
    while await commands.readline():
        pass


def main() -> None:
    """Relay until the standard input ends."""
    lifeline.die_with_parent()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # two descriptors for each connection of a gateway
    asyncio.run(_run())


if __name__ == "__main__":
    main()
