"""The simulated providers: one loopback listener per leg, each answering in its vendor's dialect.

Started as `python -P -m drills.simulator`. One JSON line on standard input says which legs (`SimulatorSpec`), one
JSON line on standard output says on which ports (`SimulatorReady`). It serves until standard input ends, then exits
with code 0 at once. It never fails a request by itself: faults are the planes' business.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
import threading
import uuid

import msgspec
from aiohttp import web

from drills import providers
from drills.lifeline import die_with_parent
from drills.marks import answer_words, find_mark
from drills.providers.base import Call, Headers, Provider, Reply, StreamReply, Surface

_HOST = "127.0.0.1"
_MAX_BODY_BYTES = 32 * 1024 * 1024
_KEEPALIVE_S = 24 * 3600.0
"""An idle connection is never closed from here: a gateway must not see failures that no fault caused."""
_BACKLOG = 1024
_UNMARKED = "This answer was made up for a failover drill by the leg"
"""What a request without a mark is answered: about as long as an answer to one with a mark."""


class SimulatedLeg(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One leg to serve: its name in answers, and the name of its dialect."""

    name: str
    provider: str


class SimulatorSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to serve. Timing of a model's answer: seconds to the first token, then tokens per second.

    token_lifetime_s: how long the tokens of identity services are good, by their own word.
    """

    legs: tuple[SimulatedLeg, ...]
    first_token_s: float = 0.02
    tokens_per_s: float = 200.0
    token_lifetime_s: int = 3599

    def __post_init__(self) -> None:
        """Raise `ValueError` for timings that no answer can have, unknown dialects and names given twice."""
        if not (self.first_token_s >= 0 and self.tokens_per_s > 0):
            raise ValueError("first_token_s must be at least 0 and tokens_per_s above 0")
        for leg in self.legs:
            if leg.provider not in providers.names():
                raise ValueError(f"leg {leg.name}: no provider {leg.provider!r}")
        if len({leg.name for leg in self.legs}) != len(self.legs):
            raise ValueError("two legs have one name")


class SimulatorReady(msgspec.Struct, frozen=True):
    """Loopback port of each leg, by name. Every listener accepts connections."""

    ports: dict[str, int]


class LegServer:
    """Answers the requests of one leg."""

    def __init__(self, leg: SimulatedLeg, spec: SimulatorSpec) -> None:
        self._leg = leg
        self._dialect: Provider = providers.get(leg.provider)
        self._first_token_s = spec.first_token_s
        self._token_s = 1.0 / spec.tokens_per_s
        self._token_lifetime_s = spec.token_lifetime_s

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """One request, from its whole body to the last byte of the answer."""
        began_s = asyncio.get_running_loop().time()
        request_id = str(uuid.uuid4())
        headers: Headers = tuple(request.headers.items())
        try:
            body = await _read_body(request)
        except (ConnectionError, web.RequestPayloadError):
            return web.Response(status=400)  # the caller went away or sent half a body
        if body is None:
            empty = Call(surface=Surface.OTHER, operation="body too large")
            return _whole(self._dialect.status(413, empty, request_id))
        call = self._dialect.recognise(request.method, request.raw_path, headers, body)
        if call.surface is Surface.IDENTITY:
            return _whole(providers.identity(self._leg.provider).token(self._token_lifetime_s))
        if call.surface is not Surface.MODEL:
            return _whole(self._dialect.answer(call, "", request_id))
        words = self._words(call)
        if call.stream:
            return await self._stream(request, self._dialect.stream(call, words, request_id), began_s)
        await _until(began_s + self._first_token_s + len(words) * self._token_s)
        return _whole(self._dialect.answer(call, "".join(words), request_id))

    def _words(self, call: Call) -> tuple[str, ...]:
        mark = find_mark(call.text)
        if mark is None:
            return (*(f"{word} " for word in _UNMARKED.split()), self._leg.name)
        return tuple(answer_words(mark, self._leg.name))

    async def _stream(self, request: web.BaseRequest, reply: StreamReply, began_s: float) -> web.StreamResponse:
        response = web.StreamResponse(status=reply.status, headers=list(reply.headers))
        due_s = began_s + self._first_token_s
        await _until(due_s)
        try:
            await response.prepare(request)
            await response.write(reply.opening)
            for token in reply.tokens:
                due_s += self._token_s
                await _until(due_s)
                await response.write(token)
            await response.write(reply.closing)
            await response.write_eof()
        except ConnectionError:
            return response  # the caller went away: nobody is left to be told
        return response


class Simulator:
    """The listeners of every leg, in the running event loop."""

    def __init__(self, spec: SimulatorSpec) -> None:
        self._spec = spec
        self._runners: list[web.ServerRunner] = []

    async def start(self) -> SimulatorReady:
        """Open one loopback listener per leg on a free port. Raises `OSError` when the host has none."""
        ports = {}
        for leg in self._spec.legs:
            server = web.Server(
                LegServer(leg, self._spec).handle, access_log=None, keepalive_timeout=_KEEPALIVE_S, lingering_time=0
            )
            runner = web.ServerRunner(server, shutdown_timeout=0)
            self._runners.append(runner)
            await runner.setup()
            listener = socket.create_server((_HOST, 0), backlog=_BACKLOG)
            await web.SockSite(runner, listener, backlog=_BACKLOG).start()
            ports[leg.name] = listener.getsockname()[1]
        return SimulatorReady(ports)

    async def stop(self) -> None:
        """Close the listeners and every connection, without waiting for answers under way."""
        for runner in self._runners:
            await runner.cleanup()


async def _until(due_s: float) -> None:
    wait_s = due_s - asyncio.get_running_loop().time()
    if wait_s > 0:
        await asyncio.sleep(wait_s)


async def _read_body(request: web.BaseRequest) -> bytes | None:
    """The whole body; None when it is larger than any vendor takes."""
    if request.headers.get("expect", "").lower() == "100-continue" and request.transport is not None:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    parts, size = [], 0
    async for part in request.content.iter_any():
        size += len(part)
        if size > _MAX_BODY_BYTES:
            return None
        parts.append(part)
    return b"".join(parts)


def _whole(reply: Reply) -> web.Response:
    return web.Response(status=reply.status, headers=list(reply.headers), body=reply.body)


async def _serve(spec: SimulatorSpec) -> None:
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    ready = await Simulator(spec).start()
    sys.stdout.buffer.write(msgspec.json.encode(ready) + b"\n")
    sys.stdout.buffer.flush()

    def wait_for_end() -> None:
        sys.stdin.buffer.read()
        loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=wait_for_end, daemon=True).start()
    await ended.wait()


def main() -> int:
    """Serve until standard input ends. Ctrl-C is the parent's to handle, so it is ignored here."""
    die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        spec = msgspec.json.decode(sys.stdin.buffer.readline(), type=SimulatorSpec)
    except (msgspec.DecodeError, ValueError) as error:
        sys.stderr.write(f"simulator: {error}\n")
        return 2
    asyncio.run(_serve(spec))
    return 0


if __name__ == "__main__":
    sys.exit(main())
