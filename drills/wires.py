"""HTTP connections on sockets that somebody else made: those of a private network. The one file that knows httpcore.

A connection is TLS from its first byte or not at all, and it is known which when it is first used: so the socket is
wrapped only then.
"""

from __future__ import annotations

import asyncio
import contextlib
import select
import socket
import ssl
from collections.abc import Iterable, Iterator
from typing import Any

import httpcore

from drills.ground import Sockets

_KEPT_S = 5.0
"""How long an idle connection is kept: httpx's own default."""


def pool(
    sockets: Sockets, trust: ssl.SSLContext, *, most: int | None = None, kept: int | None = None
) -> httpcore.AsyncConnectionPool:
    """A pool of connections on such sockets. most: connections at a time; kept: idle ones of them; None: any number."""
    return httpcore.AsyncConnectionPool(
        ssl_context=trust,
        max_connections=most,
        max_keepalive_connections=kept,
        keepalive_expiry=_KEPT_S,
        network_backend=_Backend(sockets),
    )


@contextlib.contextmanager
def _as(
    other: type[httpcore.NetworkError], late: type[httpcore.TimeoutException], sock: socket.socket | None = None
) -> Iterator[None]:
    """Turn what a socket raises into what httpcore expects; close the socket when anything is raised."""
    try:
        yield
    except BaseException as error:
        if sock is not None:
            sock.close()
        if isinstance(error, TimeoutError):
            raise late(str(error)) from error
        if isinstance(error, OSError):  # an error of TLS is one
            raise other(str(error)) from error
        raise


class _Backend(httpcore.AsyncNetworkBackend):
    def __init__(self, sockets: Sockets) -> None:
        self._sockets = sockets

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  httpcore's own
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect. `host` is an IPv4 address."""
        with _as(httpcore.ConnectError, httpcore.ConnectTimeout):
            sock = await self._sockets()
        with _as(httpcore.ConnectError, httpcore.ConnectTimeout, sock):
            async with asyncio.timeout(timeout):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                await asyncio.get_running_loop().sock_connect(sock, (host, port))
        return _Stream(sock)

    async def sleep(self, seconds: float) -> None:
        """Sleep, between tries of httpcore's."""
        await asyncio.sleep(seconds)


class _Stream(httpcore.AsyncNetworkStream):
    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._pair: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        """Some bytes; none at the end."""
        with _as(httpcore.ReadError, httpcore.ReadTimeout):
            async with asyncio.timeout(timeout):
                reader, _ = await self._open()
                return await reader.read(max_bytes)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        """Send bytes."""
        with _as(httpcore.WriteError, httpcore.WriteTimeout):
            async with asyncio.timeout(timeout):
                _, writer = await self._open()
                writer.write(buffer)
                await writer.drain()

    async def aclose(self) -> None:
        """Close, without waiting for the other side."""
        if self._pair is None:
            self._sock.close()
        else:
            self._pair[1].close()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> httpcore.AsyncNetworkStream:
        """Shake hands. Nothing was sent or read before."""
        if self._pair is not None:
            raise RuntimeError("a connection becomes TLS before it is used")
        with _as(httpcore.ConnectError, httpcore.ConnectTimeout, self._sock):
            async with asyncio.timeout(timeout):
                self._pair = await asyncio.open_connection(
                    sock=self._sock, ssl=ssl_context, server_hostname=server_hostname or ""
                )
        return self

    def get_extra_info(self, info: str) -> Any:  # noqa: ANN401  httpcore's own
        """What httpcore, and who traces a request, wants to know."""
        if info == "socket":
            return self._sock
        if info == "client_addr":
            return self._sock.getsockname()
        if info == "server_addr":
            return self._sock.getpeername()
        if info == "ssl_object":
            return None if self._pair is None else self._pair[1].get_extra_info("ssl_object")
        return self._ended() if info == "is_readable" else None

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._pair is None:
            self._pair = await asyncio.open_connection(sock=self._sock)
        return self._pair

    def _ended(self) -> bool:
        """Whether an idle connection has something to say, which can only be its end."""
        if self._pair is not None and (self._pair[0].at_eof() or self._pair[1].is_closing()):
            return True
        if self._sock.fileno() < 0:
            return True
        poll = select.poll()
        poll.register(self._sock, select.POLLIN)
        return bool(poll.poll(0))
