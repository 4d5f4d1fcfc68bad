"""The gateway or the application under test in one run: its start, its log, and its end."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections import deque
from collections.abc import Callable
from pathlib import Path

from drills.children import Child
from drills.client import Prober, clean
from drills.driving import Surface
from drills.events import GatewayLine, ProgramEnded
from drills.gatewayplane import READY_POLL_S, GatewayPlane, Readiness
from drills.gateways.base import Entrance, Launch
from drills.job import Job
from drills.keeper import Keep
from drills.problems import UsageProblem
from drills.redactor import Redactor

GATEWAY_LOG = "gateway.log"
_READY_POLL_WITHIN_S = 2.0
_ERROR = re.compile(r"[\w.]*(?:Error|Exception): .")
_LAST_LINES = 5
"""Of an application's output, for whoever wants to know why it ended."""


class GatewayLog:
    """What a gateway says by itself, written down without secrets."""

    def __init__(self, folder: Path, redactor: Redactor) -> None:
        self._path = folder / GATEWAY_LOG
        self._redactor = redactor
        self._file = self._path.open("a", encoding="utf-8")
        self._said: deque[str] = deque(maxlen=_LAST_LINES)

    def write(self, line: bytes) -> None:
        """Write a line down as it came, but for the secrets."""
        text = self._redactor.clean(line.decode(errors="replace"))
        self._file.write(text)
        self._file.flush()
        if said := clean(text):
            self._said.append(said)

    @property
    def said(self) -> tuple[str, ...]:
        """The last lines, short and printable."""
        return tuple(self._said)

    def last_line(self) -> str:
        """The line that says most about why the gateway is not as it should be."""
        lines = self._path.read_text(errors="replace").strip().splitlines()
        said = [line.strip() for line in lines if line.strip()]
        # A program's last line is often only that it ends; the error before it says why.
        errors = [line for line in said if _ERROR.match(line)]
        return (errors or said or ["it said nothing"])[-1][:500]

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class UnderTest:
    """The gateway or application under test. `plane` carries out the faults on itself."""

    def __init__(self, job: Job, surface: Surface, log: GatewayLog, say: Callable[[str], None]) -> None:
        self._job = job
        self._clock, self._emit, self._ground = surface.clock, surface.emit, surface.ground
        self._log = log
        self._say = say
        self.plane = GatewayPlane(surface.clock, surface.emit)

    async def start(self, stack: contextlib.AsyncExitStack, entrance: Entrance, private: Path) -> None:
        """Start it, unless it runs already, and wait until it is ready. `stack`, when left, stops it.

        Raises `UsageProblem` when it ends at its start, or is not ready in time.
        """
        job = self._job
        readiness = self._readiness(stack, entrance)
        if not isinstance(entrance, Launch):
            await self._until_ready(readiness, asyncio.Event())
            return
        self._say(f"starting {job.gateway.name} {job.gateway_version}")
        self._emit(GatewayLine(at_s=self._clock.now_s(), what="starting"))
        keep = Keep(
            argv=entrance.argv,
            env=entrance.env,
            cwd=entrance.cwd or str(private),
            private=str(private),
            files=entrance.files,
            blobs=entrance.blobs,
        )
        child = await self.plane.start(job.gateway.name, keep, readiness, self._ground)
        stack.push_async_callback(self._stop, child)
        ended = asyncio.Event()

        def on_end(_last_words: str) -> None:
            ended.set()
            self._emit(GatewayLine(at_s=self._clock.now_s(), what="died", detail=f"exit code {child.returncode}"))
            if job.application is not None:
                self._emit(self._program_ended(child, asked=False))

        child.listen(self._log.write, on_end)
        await self._until_ready(readiness, ended)
        self._emit(GatewayLine(at_s=self._clock.now_s(), what="ready"))

    def _readiness(self, stack: contextlib.AsyncExitStack, entrance: Entrance) -> Readiness:
        """How the gateway is asked whether it is ready. One that says so nowhere is taken for ready when it runs."""
        watch = Prober(self._clock, _READY_POLL_WITHIN_S, ground=self._ground)
        stack.push_async_callback(watch.aclose)

        async def ask() -> bool:
            url = entrance.base_url + entrance.ready_path
            return not entrance.ready_path or await watch.answers(url, entrance.ready_status)

        return Readiness(ask, entrance.start_timeout_s)

    async def _until_ready(self, readiness: Readiness, ended: asyncio.Event) -> None:
        until_s = self._clock.now_s() + readiness.within_s
        while self._clock.now_s() < until_s:
            if ended.is_set():
                raise UsageProblem(f"{self._job.gateway.name} ended at its start: {self._log.last_line()}")
            if await readiness.ask():
                return
            await asyncio.sleep(READY_POLL_S)
        what = f"{self._job.gateway.name} was not ready within {readiness.within_s:g} s: {self._log.last_line()}"
        raise UsageProblem(what)

    async def _stop(self, child: Child) -> None:
        by_itself = not child.alive
        self._emit(GatewayLine(at_s=self._clock.now_s(), what="stopping"))
        await self.plane.end()
        await child.end()
        self._emit(GatewayLine(at_s=self._clock.now_s(), what="stopped"))
        if self._job.application is not None and not by_itself:
            self._emit(self._program_ended(child, asked=True))

    def _program_ended(self, child: Child, *, asked: bool) -> ProgramEnded:
        code = child.returncode or 0
        return ProgramEnded(
            at_s=self._clock.now_s(), code=code if code >= 0 else 128 - code, asked=asked, said=self._log.said
        )
