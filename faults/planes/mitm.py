"""The mitm plane: a process of its own in which mitmproxy speaks HTTP and our listeners own the connections.

One loopback listener per leg; mitmproxy (reverse mode) carries each request to the leg's provider. Streams are
forwarded chunk by chunk. What the faults decide is carried out here and nowhere else, and is reported as events.
mitmproxy is imported in this file only.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import resource
import sys
import time
from collections.abc import Callable

import msgspec
from mitmproxy import http, master, options
from mitmproxy import version as mitmproxy_version
from mitmproxy.addons import core, next_layer, proxyserver, tlsconfig
from mitmproxy.net.http.http1 import connection_close
from mitmproxy.proxy import server as mitmproxy_server
from mitmproxy.proxy.mode_servers import ServerInstance
from mitmproxy.proxy.mode_specs import ProxyMode

from drills import lifeline, marks, providers, unmarked
from drills.events import AttemptDone, AttemptReceived, AttemptResult, PlaneTrouble
from drills.providers.base import Provider, Reply
from faults.base import Answer, Break, Connections, Delay, Fail, Hang, Pace, RequestSeen, Reset, Send, Swap
from faults.planes.attempt import Attempt, Connection
from faults.planes.board import Board, Step
from faults.planes.control import PlaneEvent, PlaneReady, PlaneSpec
from faults.planes.gated import GatedWriter, WatchedReader
from faults.planes.listener import Serve
from faults.planes.places import Asked, Place, told_apart
from faults.planes.plane import Plane
from faults.planes.streams import Streams, changes_length, ends_politely

_IDLE_S = 24 * 3600
"""An idle connection is never closed from here: a gateway must not see failures that no fault caused."""
_ATTEMPT = "drill_attempt"
_RESET = "connection reset by the fault"


class Legs:
    """mitmproxy's view of the legs: its hooks, and which connection belongs to which leg."""

    def __init__(self, spec: PlaneSpec, board: Board, emit: Callable[[PlaneEvent], None]) -> None:
        self._origin_s = spec.origin_s
        self._salt = spec.salt
        self._board = board
        self._emit = emit
        self._providers: dict[str, Provider] = {leg.name: providers.get(leg.provider) for leg in spec.legs}
        self._connections: dict[tuple[str, int, str, int], Connection] = {}
        self._open: dict[int, Attempt] = {}
        self._numbers = 0
        self._accepted = itertools.count(1)
        self._changed = asyncio.Event()
        self._streams = Streams(board)

    def now_s(self) -> float:
        """Seconds on the run's clock."""
        return time.monotonic() - self._origin_s

    def faults_changed(self) -> None:
        """Wake every request that waits for the end of a fault, and every stream that one holds."""
        self._changed.set()
        self._changed = asyncio.Event()
        self._streams.faults_changed()

    def touch_open(self, place: str, fault: str, *, reset: bool) -> None:
        """Note a connection fault on every attempt that is under way at a place: reset, or else silent."""
        for attempt in self._open.values():
            if attempt.connection.place.name == place:
                attempt.touch(fault)
                if reset:
                    attempt.spoiled = attempt.spoiled or _RESET

    def server(self, place: Place, manager: proxyserver.Proxyserver) -> Serve:
        """What serves an accepted connection of a place."""
        leg = place.legs[0]
        spec = f"reverse:{leg.upstream_scheme}://{leg.upstream_host}:{leg.upstream_port}"
        instance: ServerInstance[ProxyMode] = ServerInstance.make(spec, manager)

        async def serve(reader: WatchedReader, writer: GatedWriter) -> None:
            ours, theirs = writer.get_extra_info("sockname"), writer.get_extra_info("peername")
            if theirs is None:  # the other side left before the connection was set up
                return
            key = (*ours[:2], *theirs[:2])
            connection = self._connections[key] = Connection(place, reader, writer, next(self._accepted))
            try:
                await instance.handle_stream(reader, writer)
            finally:
                if self._connections.get(key) is connection:  # a caller may have its port again before the end of this
                    del self._connections[key]

        return serve

    # mitmproxy's hooks, in the order in which a request meets them

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        """The request's headers are here: this is when the leg received the attempt."""
        self._numbers += 1
        connection = self._connections[(*flow.client_conn.sockname[:2], *flow.client_conn.peername[:2])]
        attempt = Attempt(self._numbers, connection, self.now_s())
        flow.metadata[_ATTEMPT] = self._open[attempt.number] = attempt
        attempt.closes = connection_close(flow.request.http_version, flow.request.headers)
        # A compressed stream would hide its events from the faults.
        flow.request.headers["accept-encoding"] = "identity"

    async def request(self, flow: http.HTTPFlow) -> None:
        """The whole request is here: report it, then do what the faults decide."""
        attempt: Attempt = flow.metadata[_ATTEMPT]
        self._report(flow, attempt)
        if not await self._obey(flow, attempt):
            self._left(attempt, "the gateway left while it waited")
            flow.kill()

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        """The leg begins to answer: forward chunk by chunk, and break the stream where a fault says so."""
        attempt: Attempt = flow.metadata[_ATTEMPT]
        response = _response(flow)
        attempt.answered_s = self.now_s()
        attempt.status = response.status_code
        attempt.closes |= connection_close(response.http_version, response.headers)
        response.stream = True
        if response.status_code >= 400:
            attempt.breaks = ()
        if not (attempt.breaks or attempt.paces) or attempt.spoiled:
            return
        response.stream = self._streams.filter(attempt, self._providers[attempt.leg.name])
        if any(changes_length(how) for _, how in attempt.breaks) and "content-length" in response.headers:
            del response.headers["content-length"]
            response.headers["transfer-encoding"] = "chunked"
        if any(ends_politely(how) for _, how in attempt.breaks):
            response.headers["connection"] = "close"  # nobody shall send a request behind an end that may come early
        if "chunked" in response.headers.get("transfer-encoding", "").lower():
            attempt.terminator = b"0\r\n\r\n"

    async def response(self, flow: http.HTTPFlow) -> None:
        """The leg's answer is whole. The gateway gets its end when no fault keeps the connection silent any more."""
        attempt: Attempt = flow.metadata[_ATTEMPT]
        if attempt.spoiled:
            self._done(attempt, AttemptResult.FAULTED, attempt.spoiled)
        elif await self._thawed(attempt):
            result = AttemptResult.FAULTED if attempt.altered else AttemptResult.ANSWERED
            self._done(attempt, result, attempt.altered)
        else:
            self._left(attempt, "the gateway left")

    def error(self, flow: http.HTTPFlow) -> None:
        """The exchange broke: the gateway left, the leg failed, or a fault did it."""
        attempt: Attempt | None = flow.metadata.get(_ATTEMPT)
        if attempt is None:
            return
        self._report(flow, attempt)
        message = flow.error.msg if flow.error else "unknown error"
        if attempt.spoiled or attempt.altered or attempt.connection.reader.gone.is_set():
            self._left(attempt, message)
        else:
            self._done(attempt, AttemptResult.LEG_FAILED, message)

    # what the hooks are made of

    def _report(self, flow: http.HTTPFlow, attempt: Attempt) -> None:
        if attempt.reported:
            return
        attempt.reported = True
        request = flow.request
        asked = Asked(
            request.method, request.path, tuple(request.headers.items(multi=True)), request.raw_content or b""
        )
        attempt.leg, attempt.call, sure = told_apart(attempt.connection.place.legs, self._providers, asked)
        # Not by mitmproxy's own setters, which would change the host that the request names.
        request.data.host, request.data.port = attempt.leg.upstream_host, attempt.leg.upstream_port
        if not sure:
            what = f"a request to {attempt.connection.place.name} names a model that is no leg's: {attempt.call.model}"
            self._emit(PlaneTrouble(at_s=self.now_s(), what=what[:500]))
        mark = marks.find_mark(attempt.call.text)
        told = self._salt and mark is None
        self._emit(
            AttemptReceived(
                attempt=attempt.number,
                leg=attempt.leg.name,
                id=mark.id if mark else "",
                text_key=unmarked.text_key(attempt.call.text, self._salt) if told else "",
                retry=unmarked.retry_of(asked.headers) if told else None,
                port=flow.client_conn.peername[1] if told else 0,
                surface=attempt.call.surface.value,
                operation=attempt.call.operation[:80],
                model=attempt.call.model[:120],
                stream=attempt.call.stream,
                received_s=attempt.received_s,
            )
        )

    def _steps(self, attempt: Attempt) -> tuple[Step, ...]:
        call, mark = attempt.call, marks.find_mark(attempt.call.text)
        return self._board.decide(
            RequestSeen(
                leg=attempt.leg.name,
                surface=call.surface.value,
                operation=call.operation,
                model=call.model,
                stream=call.stream,
                index=0,
                key=mark.id if mark else unmarked.text_key(call.text, self._salt) if self._salt else "",
            ),
            self.now_s(),
        )

    async def _obey(self, flow: http.HTTPFlow, attempt: Attempt) -> bool:
        """Carry out what the faults decide, each as long as it is on. False when the gateway left meanwhile."""
        if not await self._silence(attempt):
            return False
        steps = [(step.fault, step.decision) for step in self._steps(attempt)]
        attempt.paces = tuple((fault, how) for fault, how in steps if isinstance(how, Pace))
        steps.sort(key=lambda step: not isinstance(step[1], Delay | Swap))
        for number, (fault, decision) in enumerate(steps):
            if fault not in self._board.ids or isinstance(decision, Pace):
                continue
            if isinstance(decision, Break):
                attempt.breaks = tuple((fault, how) for fault, how in steps[number:] if isinstance(how, Break))
                return True
            if isinstance(decision, Swap):
                self._swap(flow, attempt, fault, decision)
                continue
            attempt.touch(fault)
            if isinstance(decision, Delay | Hang):
                seconds = decision.seconds if isinstance(decision, Delay) else None
                # The connection may have gone silent while the request was held.
                if not (await self._hold(attempt, fault, seconds) and await self._silence(attempt)):
                    return False
                continue
            if isinstance(decision, Reset):
                attempt.spoiled = "reset before an answer"
                attempt.connection.writer.reset()
                flow.kill()
            elif isinstance(decision, Answer | Fail | Send):
                attempt.spoiled = "answered by the fault"
                self._answer(flow, attempt, decision)
            return True
        return True

    async def _silence(self, attempt: Attempt) -> bool:
        """Hold a request on a connection that was open before a connection fault: it was read, and is not answered
        while the fault is on. False when the gateway left meanwhile.
        """
        deciding = attempt.connection.place.deciding
        while (state := self._board.connections(*deciding)) is not Connections.OPEN:
            for fault in self._board.on_connections(*deciding):
                attempt.touch(fault)
            if state is Connections.REFUSED:
                attempt.spoiled = attempt.spoiled or _RESET
            if not await self._news(attempt, None):
                return False
        return True

    async def _hold(self, attempt: Attempt, fault: str, seconds: float | None) -> bool:
        """Wait for some seconds (None: no limit) while a fault is on. False when the gateway left meanwhile."""
        until = None if seconds is None else time.monotonic() + seconds
        while fault in self._board.ids:
            left = None if until is None else until - time.monotonic()
            if left is not None and left <= 0:
                break
            if not await self._news(attempt, left):
                return False
        return True

    async def _thawed(self, attempt: Attempt) -> bool:
        """Wait until the connection is not silent and nothing lags. False when the gateway left meanwhile."""
        while (writer := attempt.connection.writer).frozen or writer.lag_s:
            if not await self._news(attempt, None if writer.frozen else writer.lag_s):
                return False
        return True

    async def _news(self, attempt: Attempt, timeout_s: float | None) -> bool:
        """Wait until faults changed, or the time is over. False when the gateway has left."""
        waits = [asyncio.ensure_future(event.wait()) for event in (self._changed, attempt.connection.reader.gone)]
        try:
            await asyncio.wait(waits, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        return not attempt.connection.reader.gone.is_set()

    def _swap(self, flow: http.HTTPFlow, attempt: Attempt, fault: str, swap: Swap) -> None:
        """Let the leg answer another request. The ids are of one length, so nothing else in the body changes."""
        mark, body = marks.find_mark(attempt.call.text), flow.request.raw_content
        if mark is not None and body is not None:
            flow.request.raw_content = body.replace(mark.id.encode(), swap.id.encode())
            attempt.touch(fault)
            attempt.altered = "answered with another request's words"

    def _answer(self, flow: http.HTTPFlow, attempt: Attempt, answer: Answer | Fail | Send) -> None:
        provider, request_id = self._providers[attempt.leg.name], f"req_drill{attempt.number:08d}"
        if isinstance(answer, Answer):
            reply = provider.status(answer.status, attempt.call, request_id, answer.retry_after_s)
        elif isinstance(answer, Fail):
            reply = provider.error(answer.error, attempt.call, request_id, answer.retry_after_s)
        else:
            named = (("content-type", answer.content_type), ("server", answer.server))
            sent = tuple((name, value) for name, value in named if value)
            reply = Reply(status=answer.status, headers=sent, body=answer.body)
        attempt.instead = len(reply.body)
        headers = http.Headers([(name.encode(), value.encode()) for name, value in reply.headers])
        flow.response = http.Response.make(reply.status, reply.body, headers)

    def _left(self, attempt: Attempt, detail: str) -> None:
        """The gateway's side of the connection is gone: because of a fault, or by its own will."""
        if attempt.spoiled or attempt.altered:
            self._done(attempt, AttemptResult.FAULTED, attempt.spoiled or attempt.altered)
        elif attempt.connection.writer.frozen:
            self._done(attempt, AttemptResult.FAULTED, "the gateway left a silent connection")
        else:
            self._done(attempt, AttemptResult.ABANDONED, detail)

    def _done(self, attempt: Attempt, result: AttemptResult, detail: str = "") -> None:
        if attempt.done:
            return
        attempt.done = True
        self._open.pop(attempt.number, None)
        self._emit(
            AttemptDone(
                attempt=attempt.number,
                answered_s=attempt.answered_s,
                done_s=self.now_s(),
                status=attempt.status,
                result=result,
                faults=attempt.faults,
                detail=detail[:200],
                connection=attempt.connection.number,
                sent=attempt.sent,
                closes=attempt.closes,
            )
        )


def _response(flow: http.HTTPFlow) -> http.Response:
    if flow.response is None:
        raise RuntimeError("mitmproxy called a response hook without a response")
    return flow.response


class _Troubles(logging.Handler):
    """Turns what goes wrong inside mitmproxy, its hooks and tasks into events: it would otherwise only be logged."""

    def __init__(self, legs: Legs, emit: Callable[[PlaneEvent], None]) -> None:
        super().__init__(logging.ERROR)
        self._legs = legs
        self._emit_event = emit

    def emit(self, record: logging.LogRecord) -> None:
        """Report one record."""
        cause = f": {record.exc_info[1]!r}" if record.exc_info else ""
        what = f"{record.getMessage().splitlines()[0]}{cause}"
        self._emit_event(PlaneTrouble(at_s=self._legs.now_s(), what=what[:500]))


def _proxy(spec: PlaneSpec, legs: Legs) -> tuple[master.Master, proxyserver.Proxyserver]:
    proxy = master.Master(options.Options(mode=[]))
    manager = proxyserver.Proxyserver()
    proxy.addons.add(core.Core(), manager, next_layer.NextLayer(), legs)
    if any(leg.upstream_scheme == "https" for leg in spec.legs):
        proxy.addons.add(tlsconfig.TlsConfig())  # only then: it writes a certificate authority to the home folder
    proxy.options.update(keep_host_header=True, connection_strategy="lazy", http2=False)
    if "tcp_timeout" in proxy.options:  # from mitmproxy 12 on
        proxy.options.update(tcp_timeout=_IDLE_S)
    else:
        mitmproxy_server.TCP_TIMEOUT = _IDLE_S
    return proxy, manager


async def _obey(commands: asyncio.StreamReader, plane: Plane) -> None:
    while line := await commands.readline():
        plane.hear(line)


async def _run() -> None:
    loop = asyncio.get_running_loop()
    commands = asyncio.StreamReader(limit=1 << 22)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    out, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, sys.stdout)
    encoder = msgspec.json.Encoder()

    def emit(event: PlaneEvent) -> None:
        out.write(encoder.encode(event) + b"\n")

    spec = msgspec.json.decode(await commands.readline(), type=PlaneSpec)
    board = Board(spec.seed, spec.probes)
    legs = Legs(spec, board, emit)
    plane = Plane(spec, board, legs, emit)
    proxy, manager = _proxy(spec, legs)
    logging.getLogger("mitmproxy").addHandler(_Troubles(legs, emit))
    serving = asyncio.create_task(proxy.run())
    ports = plane.open(lambda place: legs.server(place, manager))
    await plane.open_names()
    obeying = asyncio.create_task(_obey(commands, plane))
    watches = [asyncio.create_task(plane.watch_lease()), asyncio.create_task(plane.watch_connects())]
    emit(PlaneReady(ports=ports, version=mitmproxy_version.VERSION))
    ended, _ = await asyncio.wait({obeying, serving, *watches}, return_when=asyncio.FIRST_COMPLETED)
    for watch in watches:
        watch.cancel()
    await plane.close()
    proxy.shutdown()
    await serving
    for task in ended:
        task.result()  # a plane that lost one of its tasks ends with the reason


def main() -> None:
    """Run the plane until its standard input ends."""
    lifeline.die_with_parent()
    logging.getLogger("mitmproxy").setLevel(logging.ERROR)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # two descriptors for each connection of a gateway
    asyncio.run(_run())


if __name__ == "__main__":
    main()
