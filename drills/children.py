"""Child processes of a run: how they are started, listened to and ended. The only file that starts processes of a run.

Each child runs in a session of its own, so that Ctrl-C reaches only the drill, and ends by itself when its standard
input does. `-P` keeps a folder of the user's that is named like one of our packages from being imported.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections import deque
from collections.abc import Callable

import msgspec

END_WAIT_S = 4.0
_LAST_WORDS_WAIT_S = 1.0
_POLL_S = 0.01
_LINE_AT_MOST = 1 << 22


class ChildLostError(Exception):
    """A child ended before it said what it had to say, or would not talk."""


class Child:
    """One of our own modules in a process of its own, which speaks JSON lines over its pipes."""

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        self.name = name
        self._process = process
        self._listening: asyncio.Task[None] | None = None
        self._stderr: deque[str] = deque(maxlen=20)
        self._reading = asyncio.create_task(self._read_stderr())
        self.ending = False

    @classmethod
    async def start(
        cls,
        name: str,
        module: str,
        first: msgspec.Struct,
        pass_fds: tuple[int, ...] = (),
        inside: tuple[int, ...] = (),
    ) -> Child:
        """Start a module and send it its first line; it inherits `pass_fds`. Raises `OSError` when it cannot start.

        inside: the namespaces of a private network that it joins before anything else; empty for none.
        """
        entrance = ("drills.inside", ",".join(map(str, inside))) if inside else ()
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",
            "-m",
            *entrance,
            module,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
            pass_fds=(*pass_fds, *inside),
            limit=_LINE_AT_MOST,
        )
        child = cls(name, process)
        child.send(first)
        return child

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.returncode is None

    @property
    def returncode(self) -> int | None:
        """Its exit code, once it has ended."""
        return self._process.returncode

    def send(self, message: msgspec.Struct) -> None:
        """Send one line. A child that is gone hears nothing; whoever waits for its answer finds out."""
        pipe = self._process.stdin
        if pipe is not None and not pipe.is_closing():
            pipe.write(msgspec.json.encode(message) + b"\n")

    async def first_line(self, timeout_s: float) -> bytes:
        """The first line that the child says. Raises `ChildLostError` when none comes in time."""
        try:
            async with asyncio.timeout(timeout_s):
                line = await self._out.readline()
        except TimeoutError:
            raise ChildLostError(f"the {self.name} did not start within {timeout_s:g} s") from None
        if not line:
            raise ChildLostError(f"the {self.name} ended at its start: {await self._read_last_words()}")
        return line

    def listen(self, on_line: Callable[[bytes], None], on_end: Callable[[str], None]) -> None:
        """Call `on_line` for every further line, and `on_end` with its last words when it ends unasked."""

        async def loop() -> None:
            while line := await _next_line(self._out):
                try:
                    on_line(line)
                except Exception as error:  # noqa: BLE001  a line that cannot be used must not end the listening unheard
                    on_end(f"a line of the {self.name} cannot be used: {type(error).__name__}: {error}")
                    return
            if not self.ending:
                with contextlib.suppress(TimeoutError):  # who listens wants to know its exit code
                    async with asyncio.timeout(END_WAIT_S):
                        await self._exited()
                on_end(await self._read_last_words())

        self._listening = asyncio.create_task(loop())

    async def end(self) -> None:
        """Close its input, wait for it to go, and kill its group if it does not."""
        self.ending = True
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            async with asyncio.timeout(END_WAIT_S):
                await self._exited()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            await self._exited()
        # A program that left its process group may hold the pipes open for ever.
        pipes = {self._reading} if self._listening is None else {self._reading, self._listening}
        ended, open_still = await asyncio.wait(pipes, timeout=_LAST_WORDS_WAIT_S)
        for task in open_still:
            task.cancel()
        # Also what nobody reads, as when a start is stopped before anybody listens: Python would close it when the loop
        # is gone, and complain. There is no public way to let go.
        self._process._transport.close()  # type: ignore[attr-defined]  # noqa: SLF001
        await asyncio.sleep(0)  # the pipes are closed in the loop's next turn
        for task in ended:
            task.result()

    async def _exited(self) -> None:
        """Wait for the process, but not for the end of its pipes, as some versions of asyncio do."""
        while self._process.returncode is None:  # noqa: ASYNC110  asyncio sets it, and wakes nobody
            await asyncio.sleep(_POLL_S)

    @property
    def _out(self) -> asyncio.StreamReader:
        if self._process.stdout is None:
            raise RuntimeError("a child is always started with a pipe as its standard output")
        return self._process.stdout

    async def _read_last_words(self) -> str:
        await self._reading
        return self._stderr[-1] if self._stderr else f"it said nothing (exit code {self._process.returncode})"

    async def _read_stderr(self) -> None:
        if self._process.stderr is None:
            return
        while line := await _next_line(self._process.stderr):
            if text := line.decode(errors="replace").strip():
                self._stderr.append(text)


async def _next_line(pipe: asyncio.StreamReader) -> bytes:
    """The next line, empty at the end. What is longer than any line should be is dropped up to here."""
    while True:
        try:
            return await pipe.readline()
        except ValueError:
            continue
