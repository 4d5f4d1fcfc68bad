"""The HTTP client: the only file that knows which library sends requests.

httpx is right below about 200 requests a second; near 500 it collapses, so the scenario's rate is bounded. Timeouts
are ours and absolute; what httpx raises is mapped in one place.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
import struct
import sys
from functools import cache
from typing import Any

import httpx
import msgspec

from drills.chat import AnswerReader, request_body
from drills.clock import Clock
from drills.events import ArrivalDone, Ending
from drills.gateways.base import Reach
from drills.marks import Mark, Reading, read_answer
from drills.providers.base import ProbeRequest
from faults.proof import Came, ProbeOutcome

_DETAIL_AT_MOST = 300
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]+")


def ending_of(error: httpx.HTTPError | httpx.StreamError | httpx.InvalidURL, written: bool, begun: bool) -> Ending:
    """How an arrival ended whose HTTP exchange raised. `written`: the request went out; `begun`: bytes came back."""
    if isinstance(error, httpx.DecodingError):
        return Ending.MALFORMED
    if begun:
        return Ending.BROKEN
    return Ending.VANISHED if written else Ending.REFUSED


def came_of(error: httpx.HTTPError | httpx.StreamError | httpx.InvalidURL, written: bool, begun: bool) -> Came:
    """What a probe met whose HTTP exchange raised. `written`: the request went out; `begun`: an answer began."""
    if isinstance(error, httpx.DecodingError):
        return Came.WRONG
    if begun:
        return Came.BROKEN
    return Came.RESET if written else Came.REFUSED


def clean(text: str) -> str:
    """A short, printable piece of text from outside."""
    return _CONTROL.sub(" ", text)[:_DETAIL_AT_MOST].strip()


class _Exchange:
    """What one arrival has seen so far."""

    def __init__(self, stream: bool, done_mark: bool) -> None:
        self.reader = AnswerReader(stream, done_mark)
        self.written = False
        self.status: int | None = None
        self.claimed = ""
        self.first_byte_s: float | None = None
        self.first_token_s: float | None = None
        self.error_body = b""

    async def trace(self, name: str, _info: object) -> None:
        """Steps as httpx reports them; the one that matters is that the request went out."""
        if name.endswith("send_request_headers.complete"):
            self.written = True


@cache
def _trust() -> ssl.SSLContext:
    """Certificates are checked as this system does (its store, or SSL_CERT_FILE)."""
    return ssl.create_default_context()


class Callers:
    """Sends requests to the gateway as its callers do."""

    def __init__(self, reach: Reach, model: str, clock: Clock) -> None:
        self.clock = clock
        self._model = model
        self._url = reach.base_url + reach.chat_path
        self._claim_header, self._claims = reach.claim_header, reach.claims
        self._done_mark = reach.done_mark
        self._headers = {"content-type": "application/json", **dict(reach.request_headers)}
        self._lanes: list[httpx.AsyncClient] = []
        self._idle: list[httpx.AsyncClient] = []

    async def close(self) -> None:
        """Close every connection."""
        await asyncio.gather(*(lane.aclose() for lane in self._lanes))

    def _lane(self) -> httpx.AsyncClient:
        """A client with one connection that nobody uses now.

        One pool for all would be scanned whole for each request (encode/httpx#3215): when hundreds of answers that a
        gateway held back come at once, the requests that are due then would be sent late.
        """
        if self._idle:
            return self._idle.pop()
        transport = httpx.AsyncHTTPTransport(verify=_trust(), limits=httpx.Limits(max_connections=1))
        lane = httpx.AsyncClient(transport=transport, timeout=None, trust_env=False)  # noqa: S113  the deadline is ours
        self._lanes.append(lane)
        return lane

    async def call(self, seq: int, mark: Mark, stream: bool, due_s: float, deadline_s: float) -> ArrivalDone:
        """One request, from being sent to its end or its deadline (`deadline_s` after `due_s`)."""
        exchange = _Exchange(stream, self._done_mark)
        detail = ""
        try:
            async with asyncio.timeout(due_s + deadline_s - self.clock.now_s()):
                ending = await self._exchange(exchange, mark, stream)
        except TimeoutError:
            ending, detail = Ending.DEADLINE, f"no complete answer within {deadline_s:g} s"
        except asyncio.CancelledError:
            ending, detail = Ending.CANCELLED, "the drill was stopped"
        except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL) as error:
            ending = ending_of(error, exchange.written, exchange.first_byte_s is not None)
            detail = f"{type(error).__name__}: {error}"
        return self._done(seq, mark, exchange, ending, detail)

    async def _exchange(self, exchange: _Exchange, mark: Mark, stream: bool) -> Ending:
        lane = self._lane()
        try:
            return await self._exchange_on(lane, exchange, mark, stream)
        finally:
            self._idle.append(lane)

    async def _exchange_on(self, lane: httpx.AsyncClient, exchange: _Exchange, mark: Mark, stream: bool) -> Ending:
        request = lane.build_request(
            "POST",
            self._url,
            content=request_body(self._model, mark, stream),
            headers=self._headers,
            extensions={"trace": exchange.trace},
        )
        response = await lane.send(request, stream=True)
        try:
            exchange.first_byte_s = self.clock.now_s()
            exchange.status = response.status_code
            claimed = response.headers.get(self._claim_header, "") if self._claim_header else ""
            exchange.claimed = self._claims.get(claimed, claimed)
            success = 200 <= response.status_code < 300
            async for data in response.aiter_bytes():
                if not success:
                    exchange.error_body = (exchange.error_body + data)[: _DETAIL_AT_MOST * 4]
                elif exchange.reader.feed(data) and exchange.first_token_s is None:
                    exchange.first_token_s = self.clock.now_s()
            return exchange.reader.finish() if success else Ending.STATUS
        finally:
            await response.aclose()

    def _done(self, seq: int, mark: Mark, exchange: _Exchange, ending: Ending, detail: str) -> ArrivalDone:
        done_s = self.clock.now_s()
        text = exchange.reader.text
        success = exchange.status is not None and 200 <= exchange.status < 300
        reading: Reading | None = read_answer(text, mark) if success else None
        said = detail or exchange.reader.error or exchange.error_body.decode(errors="replace")
        return ArrivalDone(
            seq=seq,
            first_byte_s=exchange.first_byte_s,
            first_token_s=exchange.first_token_s or (done_s if ending is Ending.COMPLETE else None),
            done_s=done_s,
            ending=ending,
            status=exchange.status,
            shape=reading.shape if reading else None,
            legs=tuple(leg[:80] for leg in reading.legs[:8]) if reading else (),
            words=reading.words if reading else 0,
            claimed=clean(exchange.claimed),
            detail=clean(said),
        )


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """What a probe brought back. `error` is empty when a whole HTTP answer came; then `status` and `body` count."""

    sent_s: float
    first_token_s: float | None
    done_s: float
    status: int | None
    body: bytes
    error: str


class Prober:
    """Sends requests of the tool's own, one connection kept for each address."""

    def __init__(self, clock: Clock, within_s: float) -> None:
        self._clock = clock
        self._within_s = within_s
        self._client = httpx.AsyncClient(timeout=None, trust_env=False, verify=_trust())  # noqa: S113  the deadline is ours

    async def aclose(self) -> None:
        """Close every connection."""
        await self._client.aclose()

    async def send(self, url: str, request: ProbeRequest) -> Sent:
        """Send a probe to a base URL and read its whole answer, within the time given at the start."""
        sent_s = self._clock.now_s()
        first_token_s: float | None = None
        status: int | None = None
        body, error = b"", ""
        try:
            async with (
                asyncio.timeout(self._within_s),
                self._client.stream(
                    request.method, url + request.path, headers=list(request.headers), content=request.body
                ) as response,
            ):
                status = response.status_code
                async for data in response.aiter_bytes():
                    if first_token_s is None:
                        first_token_s = self._clock.now_s()
                    body += data
        except TimeoutError:
            error = f"no whole answer within {self._within_s:g} s"
        except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL) as problem:
            error = clean(f"{type(problem).__name__}: {problem}")
        return Sent(
            sent_s=sent_s,
            first_token_s=first_token_s,
            done_s=self._clock.now_s(),
            status=status,
            body=body,
            error=error,
        )

    async def answers(self, url: str) -> bool:
        """Whether a GET of this URL is answered with 200. Refused, broken and timed out mean no."""
        return not await self.look(url)

    async def look(self, url: str) -> str:
        """What a GET of this URL met; empty when it was answered with 200."""
        nothing = ProbeRequest(method="GET", path="", headers=(), body=b"")
        sent = await self.send(url, nothing)
        return sent.error or ("" if sent.status == 200 else f"status {sent.status}")


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a probe of a faulted leg. `port`: the local port of its connect; 0 when it was given up before."""

    sent_s: float
    done_s: float
    port: int
    outcome: ProbeOutcome


class _Proving:
    """What one probe of a faulted leg has seen so far. Its answer counts as whole until somebody has read it."""

    def __init__(self, sent_s: float) -> None:
        self.sent_s = sent_s
        self.port = 0
        self.connected = self.written = False
        self.came = Came.STOPPED
        self.status: int | None = None
        self.headers: tuple[tuple[str, str], ...] = ()
        self.first_byte_s: float | None = None
        self.body = b""
        self.piece_size: float | None = None
        self.detail = ""
        self.to_end = False
        self.stream: Any = None

    async def trace(self, name: str, _info: object) -> None:
        """Steps as httpx reports them: the request begins to go out; the whole body is there, and the connection is
        not closed yet, so that its end can be waited for.
        """
        if name.endswith("send_request_headers.started"):
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


class FaultProber:
    """Sends probes to legs that may be broken, each on connections of its own, and says exactly what they met."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        fresh = httpx.Limits(max_connections=None, max_keepalive_connections=0)
        self._client = httpx.AsyncClient(timeout=None, limits=fresh, trust_env=False)  # noqa: S113  the deadline is ours

    async def aclose(self) -> None:
        """Close every connection."""
        await self._client.aclose()

    async def send(self, url: str, request: ProbeRequest, within_s: float, *, to_end: bool = False) -> Proof:
        """Send a probe to a base URL on loopback. Never raises; a cancelled probe is one that was given up.

        to_end: ask that the connection ends with the answer, and take the probe for done only then.
        """
        seen = _Proving(self._clock.now_s())
        seen.to_end = to_end
        try:
            async with asyncio.timeout(within_s):
                await self._connect(seen, url)
                await self._exchange(seen, url, request)
        except TimeoutError:
            seen.came = Came.SILENT if seen.connected else Came.CONNECT_HUNG
        except asyncio.CancelledError:
            seen.came = Came.STOPPED
        except OSError as problem:
            seen.came, seen.detail = Came.REFUSED, clean(problem.strerror or str(problem))
        except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL) as problem:
            seen.came = came_of(problem, seen.written, seen.status is not None)
            seen.detail = clean(f"{type(problem).__name__}: {problem}")
        return seen.proof(self._clock.now_s())

    async def _connect(self, seen: _Proving, url: str) -> None:
        """Connect and close: a socket of ours, since its port tells its hanging connect from those of the gateway."""
        target = httpx.URL(url)
        with socket.socket() as sock:
            sock.setblocking(False)
            sock.bind(("127.0.0.1", 0))
            seen.port = sock.getsockname()[1]
            await asyncio.get_running_loop().sock_connect(sock, (target.host, target.port or 80))
        seen.connected = True

    async def _exchange(self, seen: _Proving, url: str, request: ProbeRequest) -> None:
        async with self._client.stream(
            request.method,
            url + request.path,
            headers=[*request.headers, *([("connection", "close")] if seen.to_end else [])],
            content=request.body,
            extensions={"trace": seen.trace},
        ) as response:
            seen.stream = response.extensions.get("network_stream")
            seen.status = response.status_code
            seen.headers = tuple(response.headers.items())
            async for data in response.aiter_bytes():
                if seen.first_byte_s is None:
                    seen.first_byte_s = self._clock.now_s()
                seen.body += data
        seen.came = Came.WHOLE if seen.status == 200 else Came.STATUS
