"""The mitm plane: a process of its own in which mitmproxy speaks HTTP and our listeners own the connections.

One loopback listener per leg; mitmproxy (reverse mode) carries each request to the leg's provider. Streams are
forwarded chunk by chunk. What the faults decide is carried out here and nowhere else, and is reported as events.
mitmproxy is imported in this file only.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import Callable

import msgspec
from mitmproxy import http, master, options
from mitmproxy import version as mitmproxy_version
from mitmproxy.addons import core, next_layer, proxyserver, tlsconfig
from mitmproxy.proxy.mode_servers import ServerInstance
from mitmproxy.proxy.mode_specs import ProxyMode

from drills import lifeline, marks, providers
from drills.events import AttemptDone, AttemptReceived, AttemptResult
from drills.providers.base import Call, Provider, Surface
from faults.base import Answer, Connections, CutStream, Decision, Hang, Proceed, RequestSeen, Reset, StallStream
from faults.planes.board import Board, Verdict
from faults.planes.control import Command, PlaneEvent, PlaneLeg, PlaneReady, PlaneSpec
from faults.planes.listener import GatedWriter, Serve, WatchedReader
from faults.planes.plane import Plane

_FLUSH_BEFORE_CUT_S = 0.03
"""A reset right behind data may reach the gateway before it has read the data, and may discard them."""
_ATTEMPT = "drill_attempt"


class Connection:
    """An accepted connection of a leg, and the faults that hold a stream on it."""

    def __init__(self, leg: PlaneLeg, reader: WatchedReader, writer: GatedWriter) -> None:
        self.leg = leg
        self.reader = reader
        self.writer = writer
        self.stalled_by: set[str] = set()


class Attempt:
    """One request on a leg while it is under way."""

    def __init__(self, number: int, connection: Connection, received_s: float) -> None:
        self.number = number
        self.connection = connection
        self.leg = connection.leg
        self.received_s = received_s
        self.answered_s: float | None = None
        self.status: int | None = None
        self.faults: tuple[str, ...] = ()
        self.call = Call(surface=Surface.OTHER, operation="unread")
        self.then: Decision = Proceed()
        self.reported = False
        self.done = False
        self.spoiled = ""


class Legs:
    """mitmproxy's view of the legs: its hooks, and which connection belongs to which leg."""

    def __init__(self, spec: PlaneSpec, board: Board, emit: Callable[[PlaneEvent], None]) -> None:
        self._origin_s = spec.origin_s
        self._board = board
        self._emit = emit
        self._providers: dict[str, Provider] = {leg.name: providers.get(leg.provider) for leg in spec.legs}
        self._connections: dict[tuple[int, int], Connection] = {}
        self._open: dict[int, Attempt] = {}
        self._numbers = 0
        self._changed = asyncio.Event()

    def now_s(self) -> float:
        """Seconds on the run's clock."""
        return time.monotonic() - self._origin_s

    def faults_changed(self) -> None:
        """Wake every request that waits for the end of a fault, and every stream that one holds."""
        self._changed.set()
        self._changed = asyncio.Event()
        for connection in self._connections.values():
            for fault in connection.stalled_by - set(self._board.ids):
                connection.stalled_by.discard(fault)
                connection.writer.thaw(fault)

    def touch_open(self, leg: str, fault: str, spoiled: str) -> None:
        """Note a connection fault on every attempt that is under way on a leg."""
        for attempt in self._open.values():
            if attempt.leg.name == leg:
                attempt.faults = tuple(dict.fromkeys((*attempt.faults, fault)))
                attempt.spoiled = attempt.spoiled or spoiled

    def server(self, leg: PlaneLeg, manager: proxyserver.Proxyserver) -> Serve:
        """What serves an accepted connection of a leg."""
        spec = f"reverse:{leg.upstream_scheme}://{leg.upstream_host}:{leg.upstream_port}"
        instance: ServerInstance[ProxyMode] = ServerInstance.make(spec, manager)

        async def serve(reader: WatchedReader, writer: GatedWriter) -> None:
            ours, theirs = writer.get_extra_info("sockname"), writer.get_extra_info("peername")
            if theirs is None:  # the other side left before the connection was set up
                return
            key = (ours[1], theirs[1])
            self._connections[key] = Connection(leg, reader, writer)
            try:
                await instance.handle_stream(reader, writer)
            finally:
                del self._connections[key]

        return serve

    # mitmproxy's hooks, in the order in which a request meets them

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        """The request's headers are here: this is when the leg received the attempt."""
        self._numbers += 1
        connection = self._connections[(flow.client_conn.sockname[1], flow.client_conn.peername[1])]
        flow.metadata[_ATTEMPT] = Attempt(self._numbers, connection, self.now_s())
        # A compressed stream would hide its events from the faults.
        flow.request.headers["accept-encoding"] = "identity"

    async def request(self, flow: http.HTTPFlow) -> None:
        """The whole request is here: report it, then do what the faults decide."""
        attempt: Attempt = flow.metadata[_ATTEMPT]
        self._report(flow, attempt)
        verdict = self._verdict(attempt)
        attempt.faults = tuple(dict.fromkeys((*attempt.faults, *verdict.faults)))
        attempt.then = verdict.then
        here = True
        if verdict.delay_s > 0:
            here = await self._wait(attempt, verdict.delay_s, verdict.faults)
        if here and isinstance(verdict.then, Hang):
            here = await self._wait(attempt, None, verdict.faults)
        if not here:
            self._done(attempt, AttemptResult.ABANDONED, "the gateway left while it waited")
            flow.kill()
        elif isinstance(verdict.then, Reset):
            attempt.spoiled = "reset before an answer"
            attempt.connection.writer.reset()
            flow.kill()
        elif isinstance(verdict.then, Answer):
            self._answer(flow, attempt, verdict.then)

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        """The leg begins to answer: forward chunk by chunk, and break the stream where a fault says so."""
        attempt: Attempt = flow.metadata[_ATTEMPT]
        response = _response(flow)
        attempt.answered_s = self.now_s()
        attempt.status = response.status_code
        then = attempt.then
        if isinstance(then, CutStream | StallStream) and response.status_code < 400:
            response.stream = self._breaking(attempt, then)
        else:
            response.stream = True

    def response(self, flow: http.HTTPFlow) -> None:
        """The leg's answer is whole. Whether the gateway got it is another matter while a fault holds it."""
        attempt: Attempt = flow.metadata[_ATTEMPT]
        if isinstance(attempt.then, Answer):
            self._done(attempt, AttemptResult.FAULTED, "answered by the fault")
        elif attempt.spoiled:
            self._done(attempt, AttemptResult.FAULTED, attempt.spoiled)
        else:
            self._done(attempt, AttemptResult.ANSWERED)

    def error(self, flow: http.HTTPFlow) -> None:
        """The exchange broke: the gateway left, the leg failed, or a fault did it."""
        attempt: Attempt | None = flow.metadata.get(_ATTEMPT)
        if attempt is None:
            return
        self._report(flow, attempt)
        message = flow.error.msg if flow.error else "unknown error"
        if attempt.spoiled:
            self._done(attempt, AttemptResult.FAULTED, attempt.spoiled)
        elif attempt.connection.reader.gone.is_set():
            self._done(attempt, AttemptResult.ABANDONED, message)
        else:
            self._done(attempt, AttemptResult.LEG_FAILED, message)

    # what the hooks are made of

    def _report(self, flow: http.HTTPFlow, attempt: Attempt) -> None:
        if attempt.reported:
            return
        attempt.reported = True
        headers = tuple(flow.request.headers.items(multi=True))
        provider = self._providers[attempt.leg.name]
        attempt.call = provider.recognise(
            flow.request.method, flow.request.path, headers, flow.request.raw_content or b""
        )
        mark = marks.find_mark(attempt.call.text)
        self._open[attempt.number] = attempt
        self._emit(
            AttemptReceived(
                attempt=attempt.number,
                leg=attempt.leg.name,
                id=mark.id if mark else "",
                surface=attempt.call.surface.value,
                operation=attempt.call.operation[:80],
                model=attempt.call.model[:120],
                stream=attempt.call.stream,
                received_s=attempt.received_s,
            )
        )

    def _verdict(self, attempt: Attempt) -> Verdict:
        leg, call = attempt.leg.name, attempt.call
        if self._board.connections(leg) is not Connections.OPEN:
            # A request on a connection that was open before the fault: it was read, and it is never answered.
            return Verdict(0.0, Hang(), self._board.on_connections(leg))
        return self._board.decide(
            RequestSeen(
                leg=leg,
                surface=call.surface.value,
                operation=call.operation,
                model=call.model,
                stream=call.stream,
                index=0,
            )
        )

    async def _wait(self, attempt: Attempt, seconds: float | None, faults: tuple[str, ...]) -> bool:
        """Wait for some seconds (None: no limit) while any of the faults is on. False when the gateway has left."""
        until = None if seconds is None else time.monotonic() + seconds
        gone = asyncio.ensure_future(attempt.connection.reader.gone.wait())
        try:
            while any(fault in self._board.ids for fault in faults):
                left = None if until is None else until - time.monotonic()
                if left is not None and left <= 0:
                    break
                changed = asyncio.ensure_future(self._changed.wait())
                await asyncio.wait({gone, changed}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
                changed.cancel()
                if gone.done():
                    return False
        finally:
            gone.cancel()
        return True

    def _answer(self, flow: http.HTTPFlow, attempt: Attempt, answer: Answer) -> None:
        provider = self._providers[attempt.leg.name]
        reply = provider.status(answer.status, attempt.call, f"req_drill{attempt.number:08d}", answer.retry_after_s)
        headers = http.Headers([(name.encode(), value.encode()) for name, value in reply.headers])
        flow.response = http.Response.make(reply.status, reply.body, headers)

    def _breaking(self, attempt: Attempt, how: CutStream | StallStream) -> Callable[[bytes], bytes]:
        """A stream filter that lets some events through and then cuts the connection or lets it fall silent."""
        provider = self._providers[attempt.leg.name]
        pending, events, broken, withheld = b"", 0, False, b""

        def forward(data: bytes) -> bytes:
            nonlocal pending, events, broken, withheld
            if broken:
                # After a stall the rest goes on into the frozen connection; after a cut there is nobody to read it.
                out, withheld = withheld + data, b""
                return b"" if isinstance(how, CutStream) else out
            ends, rest = provider.count_events(data, pending)
            seen_before, pending = len(pending), rest
            if events + len(ends) < how.after_events:
                events += len(ends)
                return data
            broken = True
            keep = max(0, ends[how.after_events - events - 1] - seen_before)
            withheld = data[keep:]
            self._break(attempt, how)
            return data[:keep]

        return forward

    def _break(self, attempt: Attempt, how: CutStream | StallStream) -> None:
        loop, writer = asyncio.get_running_loop(), attempt.connection.writer
        if isinstance(how, StallStream):
            attempt.spoiled = f"stalled after {how.after_events} events"
            # The events before the break are written when the filter has returned; silence begins right after them.
            for fault in attempt.faults:
                attempt.connection.stalled_by.add(fault)
                loop.call_soon(writer.freeze, fault)
            return
        attempt.spoiled = f"cut by {how.how} after {how.after_events} events"
        end = writer.reset if how.how == "rst" else writer.transport.close
        loop.call_later(_FLUSH_BEFORE_CUT_S, end)

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
            )
        )


def _response(flow: http.HTTPFlow) -> http.Response:
    if flow.response is None:
        raise RuntimeError("mitmproxy called a response hook without a response")
    return flow.response


async def _run() -> None:
    loop = asyncio.get_running_loop()
    commands = asyncio.StreamReader(limit=1 << 22)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    out, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, sys.stdout)
    encoder = msgspec.json.Encoder()

    def emit(event: PlaneEvent) -> None:
        out.write(encoder.encode(event) + b"\n")

    spec = msgspec.json.decode(await commands.readline(), type=PlaneSpec)
    board = Board(spec.seed)
    legs = Legs(spec, board, emit)
    plane = Plane(spec, board, legs, emit)
    proxy = master.Master(options.Options(mode=[]))
    manager = proxyserver.Proxyserver()
    proxy.addons.add(core.Core(), manager, next_layer.NextLayer(), tlsconfig.TlsConfig(), legs)
    proxy.options.update(keep_host_header=True, connection_strategy="lazy", http2=False)
    serving = asyncio.create_task(proxy.run())
    ports = plane.open(lambda leg: legs.server(leg, manager))
    watches = [asyncio.create_task(plane.watch_lease()), asyncio.create_task(plane.watch_connects())]
    emit(PlaneReady(ports=ports, version=mitmproxy_version.VERSION))
    while line := await commands.readline():
        plane.obey(msgspec.json.decode(line, type=Command))
    for watch in watches:
        watch.cancel()
    await plane.close()
    proxy.shutdown()
    await serving


def main() -> None:
    """Run the plane until its standard input ends."""
    lifeline.die_with_parent()
    logging.getLogger("mitmproxy").setLevel(logging.CRITICAL)
    asyncio.run(_run())


if __name__ == "__main__":
    main()
