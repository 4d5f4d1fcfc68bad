"""The HTTP client: the only file that knows which library sends requests.

httpx is right below about 200 requests a second; near 500 it collapses, so the scenario's rate is bounded. Timeouts
are ours and absolute; what httpx raises is mapped in one place.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from functools import cache
from typing import Any

import httpx
import msgspec

from drills.address import Address
from drills.chat import AnswerReader, request_body
from drills.clock import Clock
from drills.events import ArrivalDone, Ending
from drills.gateways.base import Entrance
from drills.ground import OUTSIDE, Ground
from drills.lookup import Lookup
from drills.marks import Mark, Reading, read_answer, read_unsigned
from drills.providers.base import ProbeRequest
from drills.proving import Proof, Proving
from drills.trust import certificate_of, trusting
from drills.wires import pool
from faults.base import Lookups
from faults.proof import Came

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


def _named(to: Address) -> tuple[list[tuple[str, str]], dict[str, Any]]:
    """Headers and extensions of a request that is sent to loopback in the name of a host."""
    return ([("host", to.host)], {"sni_hostname": to.host}) if to.host else ([], {})


def _transport(ground: Ground, trust: ssl.SSLContext, limits: httpx.Limits) -> httpx.AsyncHTTPTransport:
    transport = httpx.AsyncHTTPTransport(verify=trust, limits=limits)
    if ground.tcp is not None:  # httpx has no public way to say on which sockets it stands
        most, kept = limits.max_connections, limits.max_keepalive_connections
        transport._pool = pool(ground.tcp, trust, most=most, kept=kept)  # noqa: SLF001
    return transport


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

    def __init__(self, entrance: Entrance, model: str, clock: Clock, ground: Ground = OUTSIDE) -> None:
        self.clock = clock
        self._ground = ground
        self._model, self._fields = model, entrance.request_fields
        self._url = entrance.base_url + entrance.chat_path
        self._claim_header, self._claims = entrance.claim_header, entrance.claims
        self._done_mark, self._unsigned = entrance.done_mark, entrance.unsigned
        self._headers = {"content-type": "application/json", **dict(entrance.request_headers)}
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
        transport = _transport(self._ground, _trust(), httpx.Limits(max_connections=1))
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
            content=request_body(self._model, mark, stream, self._fields),
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
        reading: Reading | None = None
        if success:
            reading = read_unsigned(text, self._unsigned) if self._unsigned else read_answer(text, mark)
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

    def __init__(self, clock: Clock, within_s: float, authority: str = "", ground: Ground = OUTSIDE) -> None:
        """`authority`: the one that is trusted, as PEM."""
        self._clock = clock
        self._within_s = within_s
        trust = trusting(authority) if authority else _trust()
        transport = _transport(ground, trust, httpx.Limits(max_connections=100, max_keepalive_connections=20))
        self._client = httpx.AsyncClient(timeout=None, trust_env=False, transport=transport)  # noqa: S113  ours

    async def aclose(self) -> None:
        """Close every connection."""
        await self._client.aclose()

    async def send(self, to: Address, request: ProbeRequest) -> Sent:
        """Send a probe and read its whole answer, within the time given at the start."""
        return await self._send(to.url, request, to)

    async def _send(self, url: str, request: ProbeRequest, to: Address) -> Sent:
        headers, extensions = _named(to)
        sent_s = self._clock.now_s()
        first_token_s: float | None = None
        status: int | None = None
        body, error = b"", ""
        try:
            async with (
                asyncio.timeout(self._within_s),
                self._client.stream(
                    request.method,
                    url + request.path,
                    headers=[*request.headers, *headers],
                    content=request.body,
                    extensions=extensions,
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

    async def answers(self, url: str, status: int = 200) -> bool:
        """Whether a GET of this URL is answered with this status. Refused, broken and timed out mean no."""
        return not await self.look(url, status)

    async def look(self, url: str, status: int = 200) -> str:
        """What a GET of this URL met; empty when it was answered with this status."""
        nothing = ProbeRequest(method="GET", path="", headers=(), body=b"")
        sent = await self._send(url, nothing, Address(0))
        return sent.error or ("" if sent.status == status else f"status {sent.status}")


class FaultProber:
    """Sends probes to legs that may be broken, each on connections of its own, and says exactly what they met."""

    def __init__(self, clock: Clock, authority: str = "", ground: Ground = OUTSIDE) -> None:
        """`authority`: the one that is trusted, as PEM."""
        self._clock = clock
        self._ground = ground
        fresh = httpx.Limits(max_connections=None, max_keepalive_connections=0)
        trust = trusting(authority) if authority else httpx.create_ssl_context()
        transport = _transport(ground, trust, fresh)
        self._client = httpx.AsyncClient(timeout=None, trust_env=False, transport=transport)  # noqa: S113  ours

    async def aclose(self) -> None:
        """Close every connection."""
        await self._client.aclose()

    async def send(
        self, to: Address, request: ProbeRequest, within_s: float, *, to_end: bool = False, name: str = ""
    ) -> Proof:
        """Send a probe. Never raises; a cancelled probe is one that was given up.

        to_end: ask that the connection ends with the answer, and take the probe for done only then. name: look this up
        first, and go on only when it is the address's.
        """
        seen = Proving(self._clock.now_s())
        seen.to_end = to_end
        try:
            async with asyncio.timeout(within_s):
                if not name or await self._resolve(seen, to, name):
                    await self._connect(seen, to)
                    await self._exchange(seen, to, request)
        except TimeoutError:
            shaking = seen.shaking and not seen.written
            seen.came = Came.HANDSHAKE_HUNG if shaking else Came.SILENT if seen.connected else Came.CONNECT_HUNG
            if seen.looking:
                seen.came, seen.detail = Came.UNRESOLVED, Lookups.SILENT.value
        except asyncio.CancelledError:
            seen.came = Came.STOPPED
        except OSError as problem:
            seen.came, seen.detail = Came.REFUSED, clean(problem.strerror or str(problem))
        except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL) as problem:
            shaking = seen.shaking and not seen.written
            seen.came = Came.HANDSHAKE_FAILED if shaking else came_of(problem, seen.written, seen.status is not None)
            seen.certificate = certificate_of(problem)
            seen.detail = clean(f"{type(problem).__name__}: {problem}")
        return seen.proof(self._clock.now_s())

    async def _resolve(self, seen: Proving, to: Address, name: str) -> bool:
        """Look a name up. False, and what came is known, when its address is not the one that it should be."""
        if self._ground.udp is None:
            raise RuntimeError("names are looked up in a private network only")
        lookup, seen.looking = Lookup(name), True
        try:
            await lookup.ask(self._ground.udp)
        finally:
            seen.port = lookup.port  # it tells the lookup from those of the gateway
        seen.looking = False
        if to.address in lookup.addresses:
            return True
        seen.came, seen.detail = Came.UNRESOLVED, lookup.said.value
        return False

    async def _connect(self, seen: Proving, to: Address) -> None:
        """Connect and close: a socket of ours, since its port tells its hanging connect from those of the gateway."""
        with socket.socket() if self._ground.tcp is None else await self._ground.tcp() as sock:
            sock.setblocking(False)
            sock.bind(("127.0.0.1", 0))
            seen.port = sock.getsockname()[1]
            await asyncio.get_running_loop().sock_connect(sock, (to.address, to.port))
        seen.connected = True

    async def _exchange(self, seen: Proving, to: Address, request: ProbeRequest) -> None:
        headers, extensions = _named(to)
        async with self._client.stream(
            request.method,
            to.url + request.path,
            headers=[*request.headers, *headers, *([("connection", "close")] if seen.to_end else [])],
            content=request.body,
            extensions={"trace": seen.trace, **extensions},
        ) as response:
            seen.stream = response.extensions.get("network_stream")
            seen.status = response.status_code
            seen.headers = tuple(response.headers.items())
            async for data in response.aiter_bytes():
                if seen.first_byte_s is None:
                    seen.first_byte_s = self._clock.now_s()
                seen.body += data
        seen.came = Came.WHOLE if seen.status == 200 else Came.STATUS
