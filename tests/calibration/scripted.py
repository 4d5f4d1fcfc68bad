"""A gateway that switches over at a known instant: the ruler against which the tool is calibrated.

Usage: `python scripted.py SETTINGS`, a JSON file with `Settings`. It serves OpenAI chat completions on `DRILL_PORT`
and forwards them, body and answer untouched and streams chunk by chunk, to `DRILL_LEG_PRIMARY` or
`DRILL_LEG_STANDBY`. What it does when the primary fails is its mode:

switch       The first failure starts a timer; until it ends every request gets 503 at once; from then on all go to the
             standby. It looks after the primary itself, and some time after that is well again it returns at once.
never        Passes every failure on.
silent_cut   Ends a stream that broke off as if it were complete.
blend        Goes on in a stream that broke off with the standby's answer from its beginning.
good         Tries the standby within the request, as long as nothing was answered yet.

Both instants of `switch` are stamped with CLOCK_MONOTONIC in the step in which they take effect, and appended to the
truth file as `{"event": "switched", "at_s": ...}`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from aiohttp import web

PRIMARY, STANDBY = "PRIMARY", "STANDBY"
PROBE_EVERY_S = 0.02
PROBE_WITHIN_S = 0.2
SSE = "text/event-stream"
CLEAN_END = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'


@dataclass(frozen=True)
class Settings:
    """How to behave. Times in seconds: failure to switch, seen well to return, and until a leg must begin to answer."""

    mode: str
    truth_file: str
    switch_s: float = 0.0
    return_s: float = 0.0
    timeout_s: float = 1.0


class LegError(Exception):
    """A leg did not answer well. `begun`: the caller has already got a part of the answer."""

    def __init__(self, status: int, *, begun: bool = False) -> None:
        super().__init__(f"status {status}")
        self.status = status
        self.begun = begun


@dataclass
class Call:
    """One request of a caller, and the answer to it once it has begun."""

    request: web.Request
    body: bytes
    response: web.StreamResponse | None = None


@dataclass
class Gateway:
    """The gateway. `leg` is where requests go; None while none is served."""

    settings: Settings
    session: aiohttp.ClientSession
    leg: str | None = PRIMARY
    failed: bool = False
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One request of a caller."""
        call = Call(request, await request.read())
        leg = self.leg  # read in the same step in which the request goes there
        if leg is None:
            return refusal(503)
        try:
            return await self.forward(call, leg)
        except LegError as error:
            return await self.failure(call, leg, error)

    async def forward(self, call: Call, leg: str) -> web.StreamResponse:
        """Send a request to a leg and its answer to the caller. Raises `LegError`."""
        url = os.environ[f"DRILL_LEG_{leg}"] + "/v1/chat/completions"
        headers = {"content-type": "application/json", "authorization": "Bearer scripted"}
        try:
            async with asyncio.timeout(self.settings.timeout_s):
                answer = await self.session.post(url, data=call.body, headers=headers)
        except (aiohttp.ClientError, TimeoutError, OSError):
            raise LegError(502) from None
        async with answer:
            if answer.status != 200:
                raise LegError(answer.status)
            if answer.content_type != SSE:
                try:
                    return web.Response(body=await answer.read(), content_type=answer.content_type)
                except aiohttp.ClientError:
                    raise LegError(502) from None
            return await self.stream(call, answer)

    async def stream(self, call: Call, answer: aiohttp.ClientResponse) -> web.StreamResponse:
        """Pass a stream on as it comes, from its first chunk. Raises `LegError` when it breaks off.

        The answer to the caller begins with that chunk and not with the leg's headers: a leg that dies between the
        two has answered nothing, and the caller can still be served by another.
        """
        try:
            async for data in answer.content.iter_any():
                await (await self.begun(call)).write(data)
        except aiohttp.ClientError:
            raise LegError(502, begun=call.response is not None) from None
        response = await self.begun(call)
        await response.write_eof()
        return response

    async def begun(self, call: Call) -> web.StreamResponse:
        """The streamed answer to a caller, begun if it was not."""
        if call.response is None:
            call.response = web.StreamResponse(headers={"content-type": SSE})
            await call.response.prepare(call.request)
        return call.response

    async def failure(self, call: Call, leg: str, error: LegError) -> web.StreamResponse:
        """What a caller gets whose leg failed."""
        mode = self.settings.mode
        if mode == "switch" and leg == PRIMARY:
            self.note_failure()
        if mode == "silent_cut" and error.begun and call.response is not None:
            await call.response.write(CLEAN_END)
            await call.response.write_eof()
            return call.response
        if leg == PRIMARY and ((mode == "good" and not error.begun) or (mode == "blend" and error.begun)):
            with contextlib.suppress(LegError):
                return await self.forward(call, STANDBY)
        if call.response is not None and call.request.transport is not None:
            call.request.transport.abort()
            return call.response
        return refusal(error.status)

    def note_failure(self) -> None:
        """The first failure starts the clock. Nobody is served from now until the switch."""
        if self.failed:
            return
        self.failed, self.leg = True, None
        loop = asyncio.get_running_loop()
        self.tell("failed", time.monotonic())
        loop.call_later(self.settings.switch_s, self.switch)

    def switch(self) -> None:
        """From now on everything goes to the standby."""
        self.leg = STANDBY
        self.tell("switched", time.monotonic())
        task = asyncio.create_task(self.watch_primary())
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def watch_primary(self) -> None:
        """Look after the primary, and go back some time after it is well."""
        url = os.environ[f"DRILL_LEG_{PRIMARY}"] + "/v1/models"
        while True:
            with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
                async with asyncio.timeout(PROBE_WITHIN_S), self.session.get(url) as answer:
                    if answer.status == 200:
                        break
            await asyncio.sleep(PROBE_EVERY_S)
        await asyncio.sleep(self.settings.return_s)
        self.leg, self.failed = PRIMARY, False
        self.tell("returned", time.monotonic())

    def tell(self, event: str, at_s: float) -> None:
        """Write an instant down."""
        with Path(self.settings.truth_file).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"event": event, "at_s": at_s}) + "\n")


def refusal(status: int) -> web.Response:
    """An error in OpenAI's envelope."""
    return web.json_response({"error": {"message": "scripted failure", "type": "server_error"}}, status=status)


async def health(_request: web.Request) -> web.Response:
    """Ready."""
    return web.Response(text="ok")


async def application(settings: Settings) -> web.Application:
    """The server, with a client that is ready to use."""
    app = web.Application()
    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(None))
    gateway = Gateway(settings, session)
    app.router.add_get("/health", health)
    app.router.add_post("/v1/chat/completions", gateway.handle)
    app.on_cleanup.append(lambda _app: session.close())
    return app


if __name__ == "__main__":
    chosen = Settings(**json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    web.run_app(
        application(chosen),
        host="127.0.0.1",
        port=int(os.environ["DRILL_PORT"]),
        print=lambda *_: None,
        access_log=None,
    )
