"""HTTP on sockets that somebody else made: what a client on them sees is what httpx sees on its own."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx
import pytest

from drills.authority import Authority
from drills.wires import pool
from faults.handshake import Certificate
from faults.planes.tls import contexts

AUTHORITY = Authority()
HOST = "api.example.com"
BIG = b"x" * 3_000_000


class Made:
    """The sockets that were asked for."""

    def __init__(self) -> None:
        self.sockets: list[socket.socket] = []

    async def __call__(self) -> socket.socket:
        """Another one."""
        sock = socket.socket()
        sock.setblocking(False)
        self.sockets.append(sock)
        return sock

    @property
    def count(self) -> int:
        """How many there were."""
        return len(self.sockets)


@asynccontextmanager
async def served(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
    certificate: Certificate | None = None,
) -> AsyncIterator[tuple[int, Made, httpx.AsyncClient]]:
    """A server on a loopback port, and a client on hand-made sockets that trusts the authority."""
    shown = contexts(AUTHORITY.issue([HOST]))[certificate] if certificate else None
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=shown)
    made = Made()
    trust = ssl.create_default_context(cadata=AUTHORITY.pem)
    transport = httpx.AsyncHTTPTransport()
    transport._pool = pool(made, trust)
    async with server, httpx.AsyncClient(transport=transport, timeout=5, trust_env=False) as client:
        yield server.sockets[0].getsockname()[1], made, client


async def _head(reader: asyncio.StreamReader) -> bytes:
    return await reader.readuntil(b"\r\n\r\n")


async def polite(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers each request of a connection with a big body."""
    try:
        while True:
            await _head(reader)
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(BIG) + BIG)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers one request, says nothing of it, and ends the connection."""
    await _head(reader)
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
    await writer.drain()
    writer.close()


async def rude(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Ends the connection in the middle of an answer."""
    await _head(reader)
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\nok")
    await writer.drain()
    writer.close()


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Says nothing."""
    await reader.read()
    writer.close()


@pytest.mark.parametrize("secure", [False, True])
def test_requests_in_turn_share_a_connection(secure: bool) -> None:
    """Plain and in TLS, whole big answers."""

    async def run() -> tuple[int, bytes]:
        async with served(polite, Certificate.GOOD if secure else None) as (port, made, client):
            url = f"{'https' if secure else 'http'}://127.0.0.1:{port}/"
            answers = [await client.get(url, extensions={"sni_hostname": HOST}) for _ in range(3)]
            return made.count, b"".join(answer.content for answer in answers)

    assert asyncio.run(run()) == (1, BIG * 3)


@pytest.mark.parametrize("secure", [False, True])
def test_a_connection_that_ended_while_idle_is_not_used_again(secure: bool) -> None:
    """It is noticed before a request is lost on it."""

    async def run() -> tuple[int, list[str]]:
        async with served(once, Certificate.GOOD if secure else None) as (port, made, client):
            url, answers = f"{'https' if secure else 'http'}://127.0.0.1:{port}/", []
            for _ in range(3):
                answers.append((await client.get(url, extensions={"sni_hostname": HOST})).text)
                await asyncio.sleep(0.05)
            return made.count, answers

    assert asyncio.run(run()) == (3, ["ok"] * 3)


def test_what_goes_wrong_is_raised_as_httpx_does() -> None:
    """Refused, broken off, too late, and a certificate that is not good, whose error is in the chain."""

    async def run() -> None:
        async with served(rude) as (port, _, client):
            with pytest.raises(httpx.RemoteProtocolError):
                await client.get(f"http://127.0.0.1:{port}/")
        async with served(silent) as (port, _, client):
            with pytest.raises(httpx.ReadTimeout):
                await client.get(f"http://127.0.0.1:{port}/", timeout=0.1)
            with pytest.raises(httpx.ConnectTimeout):
                await client.get(f"https://127.0.0.1:{port}/", timeout=0.1)
        with pytest.raises(httpx.ConnectError):
            await client_of(port)
        async with served(once, Certificate.EXPIRED) as (port, _, client):
            with pytest.raises(httpx.ConnectError) as caught:
                await client.get(f"https://127.0.0.1:{port}/", extensions={"sni_hostname": HOST})
        error: BaseException | None = caught.value
        while error is not None and not isinstance(error, ssl.SSLCertVerificationError):
            error = error.__cause__ or error.__context__
        assert error is not None
        assert error.verify_code == 10  # it has expired

    async def client_of(port: int) -> None:
        async with served(once) as (_, _, client):
            await client.get(f"http://127.0.0.1:{port}/")

    asyncio.run(run())


def test_no_socket_is_left_when_requests_are_given_up() -> None:
    """In the middle of a connect, a handshake, or an answer; and none when a client is closed."""

    async def given_up(client: httpx.AsyncClient, url: str) -> None:
        task = asyncio.create_task(client.get(url))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    async def run() -> None:
        with socket.create_server(("127.0.0.1", 0), backlog=0) as full, socket.create_connection(full.getsockname()):
            async with served(silent) as (port, made, client):
                await given_up(client, f"http://127.0.0.1:{port}/")
                await given_up(client, f"https://127.0.0.1:{port}/")
                await given_up(client, f"http://127.0.0.1:{full.getsockname()[1]}/")
                with pytest.raises(httpx.ConnectError):
                    await client.get("http://127.0.0.1:1/")
                await asyncio.sleep(0.05)
                assert [sock.fileno() for sock in made.sockets] == [-1] * 4
        async with served(polite) as (port, made, client):
            await client.get(f"http://127.0.0.1:{port}/")
            assert made.sockets[0].fileno() > 0  # kept for the next request
        await asyncio.sleep(0.05)
        assert made.sockets[0].fileno() == -1

    asyncio.run(run())
