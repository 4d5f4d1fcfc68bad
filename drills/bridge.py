"""A loopback port that leads to a host somewhere else, in TLS where that host speaks it. Bytes pass as they come."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

CONNECTED_WITHIN_S = 10.0
_CHUNK = 65536


@asynccontextmanager
async def bridge(host: str, port: int, tls: ssl.SSLContext | None) -> AsyncIterator[int]:
    """A loopback port behind which `host` is, as long as the context lasts. tls: how it is trusted; None: plain TCP.

    Raises `OSError` when the host cannot be reached at the start. Later, who connects in vain is hung up on.
    """
    async with asyncio.timeout(CONNECTED_WITHIN_S):
        _, first = await asyncio.open_connection(host, port, ssl=tls)
    first.transport.abort()
    open_now: set[asyncio.Task[None]] = set()

    async def serve(near_in: asyncio.StreamReader, near_out: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            open_now.add(task)
            task.add_done_callback(open_now.discard)
        try:
            async with asyncio.timeout(CONNECTED_WITHIN_S):
                far_in, far_out = await asyncio.open_connection(host, port, ssl=tls)
        except (OSError, TimeoutError):
            near_out.transport.abort()
            return
        await _join((near_in, near_out), (far_in, far_out))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in list(open_now):
            task.cancel()
        await asyncio.gather(*open_now, return_exceptions=True)


_End = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _join(near: _End, far: _End) -> None:
    """Carry bytes both ways until one side ends or breaks; then both have ended."""
    ways = [asyncio.create_task(_carry(near[0], far[1])), asyncio.create_task(_carry(far[0], near[1]))]
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        near[1].close()
        far[1].close()


async def _carry(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):  # a side that breaks has ended
        while data := await source.read(_CHUNK):
            sink.write(data)
            await sink.drain()
