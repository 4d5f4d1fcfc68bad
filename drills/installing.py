"""Installing a program once for all drills: one install at a time, each step told while it runs, nothing left running.

What is installed, and when it is complete, is the business of the installers; what they share is here.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from drills.lifeline import die_with_parent

TELL_EVERY_S = 5.0
_POLL_S = 0.5

Say = Callable[[str], None]
Doing = Callable[[Sequence[str]], str]
"""What a step does now, out of its output so far (no empty lines in it)."""


class TooLongError(Exception):
    """A step of an install took longer than it may. It was ended."""


@contextlib.contextmanager
def lock(path: Path, say: Say, what: str) -> Iterator[None]:
    """Hold a file lock; two drills at once wait for each other, and say so: `waiting for another drill that is <what>`.

    Raises `OSError` when the file cannot be made.
    """
    with path.open("w", encoding="utf-8") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another drill that is {what}")
            fcntl.flock(held, fcntl.LOCK_EX)
        yield


class Step:
    """One command of an install.

    env: its whole environment; None inherits ours. began_s: CLOCK_MONOTONIC, from which the told seconds count.
    within_s: how long it may take; None for as long as it takes.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        began_s: float | None = None,
        within_s: float | None = None,
    ) -> None:
        self._command = list(command)
        self._env = None if env is None else dict(env)
        self._began_s = time.monotonic() if began_s is None else began_s
        self._within_s = within_s

    def run(self, say: Say, doing: Doing) -> tuple[int, list[str]]:
        """Run it in a process group of its own, and tell every few seconds what it does. Its exit code, and its output
        without empty lines. Raises `TooLongError`; the group is ended then, as when anything else interrupts it.
        """
        process = subprocess.Popen(  # noqa: S603  the installer's own commands
            self._command,
            env=self._env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
            preexec_fn=die_with_parent,  # noqa: PLW1509  it calls prctl and nothing else
        )
        lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        threading.Thread(target=_read, args=(process, lines), daemon=True).start()
        try:
            seen = self._follow(lines, say, doing)
            return process.wait(), seen
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise

    def _follow(self, lines: queue.SimpleQueue[str | None], say: Say, doing: Doing) -> list[str]:
        seen: list[str] = []
        started_s = told_s = time.monotonic()
        while True:
            with contextlib.suppress(queue.Empty):
                line = lines.get(timeout=_POLL_S)
                if line is None:
                    return seen
                seen += [line] if line else []
            now_s = time.monotonic()
            if self._within_s is not None and now_s - started_s > self._within_s:
                raise TooLongError
            if now_s - told_s >= TELL_EVERY_S:
                told_s = now_s
                say(f"{now_s - self._began_s:3.0f} s: {doing(seen)}")


def _read(process: subprocess.Popen[str], lines: queue.SimpleQueue[str | None]) -> None:
    for line in process.stdout or ():
        lines.put(line.strip())
    lines.put(None)
