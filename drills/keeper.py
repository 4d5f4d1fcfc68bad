"""Keeps one foreign program (a gateway): starts it, passes its output on, and makes sure that it ends.

A process of its own, so that it outlives a drill that was killed just long enough to clean up: when its standard
input ends, the program and every process that came from it are ended, also daemons that left its process group, and
the private folder, which holds a config with credentials of the run, is deleted.

It is the program's parent, so it also carries out faults on it: after the first line its input holds orders, and it
reports over a pipe that it inherits. One thread does everything: the kernel ends a program when the thread that
started it does (prctl(2), PR_SET_PDEATHSIG). What an order did is a lease: when no line comes for 3 s, it is undone.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import msgspec

from drills import family, lifeline
from faults.base import Deed
from faults.planes.control import LEASE_S

GRACE_S = 2.0
STOP_WITHIN_S = 10.0
"""How long a program that is restarted may take to end: it may have answers to finish."""
_STOPPED_WITHIN_S = 1.0
_POLL_S = 0.01


class Keep(msgspec.Struct, frozen=True, kw_only=True):
    """What to keep: the command, its whole environment, and the private folder with its files (path to content, as text
    or as bytes).

    report_fd: the inherited pipe for reports; None when there are no orders.
    """

    argv: tuple[str, ...]
    env: dict[str, str]
    cwd: str
    private: str
    files: dict[str, str]
    blobs: dict[str, bytes] = {}
    report_fd: int | None = None


class Do(msgspec.Struct, frozen=True, kw_only=True, tag="do"):
    """Do something to the program. `number` comes back in the report; it is above 0."""

    number: int
    deed: Deed


class Beat(msgspec.Struct, frozen=True, kw_only=True, tag="beat"):
    """The runner lives."""


Order = Do | Beat


class Did(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an order; CLOCK_MONOTONIC before and after. `number` 0: undone because the runner fell silent.

    saw: what the kernel said of the process afterwards; empty with an error.
    """

    number: int
    began_s: float
    at_s: float
    error: str = ""
    saw: str = ""


def _write(keep: Keep) -> None:
    texts = {name: text.encode() for name, text in keep.files.items()}
    for name, content in (texts | keep.blobs).items():
        path = Path(name)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)


def _end(child: subprocess.Popen[bytes], within_s: float = GRACE_S) -> int:
    """End the program and all that came from it: ask, wait a little, kill. Its exit code."""
    family.signal_all(signal.SIGTERM, child.pid)
    family.signal_all(signal.SIGCONT, child.pid)  # a paused program hears nothing before it goes on
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(within_s)
    return _kill(child)


class _Keeper:
    """The program, and what was done to it."""

    def __init__(self, keep: Keep, rest: bytes) -> None:
        self._keep = keep
        self._rest = rest
        self._heard_s = time.monotonic()
        self._input_ended = False
        self._undo: Deed | None = None
        self._woken, wake = os.pipe()
        for descriptor in (self._woken, wake):
            os.set_blocking(descriptor, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        self._code = 0
        self._child: subprocess.Popen[bytes] | None = self._start()

    def keep(self) -> int:
        """Carry orders out until the program ends by itself or the input does; the program's exit code."""
        while True:
            *lines, self._rest = self._rest.split(b"\n")
            for line in lines:
                self._order(line)
            if self._child is not None and self._child.poll() is not None:
                return _end(self._child)
            family.reap(but=0 if self._child is None else self._child.pid)
            if self._input_ended:
                return self._code if self._child is None else _end(self._child)
            self._wait(LEASE_S / 10)
            if self._undo is not None and time.monotonic() - self._heard_s > LEASE_S:
                self._carry_out(Do(number=0, deed=self._undo))

    def _wait(self, seconds: float) -> None:
        """Wait for input, for the program's end or for some time."""
        readable, _, _ = select.select([self._woken] if self._input_ended else [0, self._woken], [], [], seconds)
        with contextlib.suppress(BlockingIOError):
            os.read(self._woken, 4096)
        if 0 in readable:
            data = os.read(0, 65536)
            self._rest += data
            self._heard_s = time.monotonic()
            self._input_ended = not data

    def _order(self, line: bytes) -> None:
        with contextlib.suppress(msgspec.MsgspecError):  # only the runner writes here, and it waits for its report
            order = msgspec.json.decode(line, type=Order)
            if isinstance(order, Do):
                self._carry_out(order)

    def _carry_out(self, order: Do) -> None:
        began_s, error, saw = time.monotonic(), "", ""
        try:
            saw = self._do(order.deed)
        except OSError as problem:
            error = problem.strerror or str(problem)
        if self._keep.report_fd is not None:
            did = Did(number=order.number, began_s=began_s, at_s=time.monotonic(), error=error, saw=saw)
            with contextlib.suppress(BrokenPipeError):
                os.write(self._keep.report_fd, msgspec.json.encode(did) + b"\n")

    def _do(self, deed: Deed) -> str:
        """What the kernel says of the process then. Raises `OSError` when it cannot be done."""
        self._undo = {Deed.KILL: Deed.START, Deed.STOP: Deed.START, Deed.PAUSE: Deed.RESUME}.get(deed)
        if deed is Deed.START:
            if self._child is not None:
                raise OSError("it runs already")
            self._child = self._start()
            return f"process {self._child.pid} was started"
        child = self._child
        if child is None:
            raise OSError("it does not run")
        if deed is Deed.PAUSE:
            family.stop_all(child.pid)
            _until_state(child, os.WSTOPPED, "stop")
            return f"process {child.pid} is stopped (SIGSTOP)"
        if deed is Deed.RESUME:
            family.signal_all(signal.SIGCONT, child.pid)
            _until_state(child, os.WCONTINUED, "go on")
            return f"process {child.pid} goes on (SIGCONT)"
        if deed is Deed.STOP:
            self._ask_to_end(child)
        self._code = _end(child, 0) if deed is Deed.STOP else _kill(child)
        self._child = None
        how = f"by {signal.Signals(-self._code).name}" if self._code < 0 else f"with exit code {self._code}"
        return f"process {child.pid} ended {how}"

    def _ask_to_end(self, child: subprocess.Popen[bytes]) -> None:
        """Wait for a polite end, but not when the input ends in the meantime."""
        family.signal_all(signal.SIGTERM, child.pid)
        until_s = time.monotonic() + STOP_WITHIN_S
        while child.poll() is None and not self._input_ended and time.monotonic() < until_s:
            self._wait(0.1)

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603  the command comes from the drill itself
            self._keep.argv,
            env=self._keep.env,
            cwd=self._keep.cwd,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=partial(_become_child, os.getpid()),  # noqa: PLW1509  there are no threads
        )


def _kill(child: subprocess.Popen[bytes]) -> int:
    family.signal_all(signal.SIGKILL, child.pid)  # the group may outlive its leader
    code = child.wait()
    family.end_all()
    return code


def _until_state(child: subprocess.Popen[bytes], state: int, what: str) -> None:
    """Wait until the kernel says that the program has stopped, or goes on. Raises `OSError` when it does not."""
    until_s = time.monotonic() + _STOPPED_WITHIN_S
    while os.waitid(os.P_PID, child.pid, state | os.WNOWAIT | os.WNOHANG) is None:
        if time.monotonic() > until_s:
            raise OSError(f"it did not {what} within {_STOPPED_WITHIN_S:g} s")
        time.sleep(_POLL_S)


def main() -> None:
    """Keep the program until it ends or the standard input does. Exits with the program's exit code."""
    for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(sig, signal.SIG_IGN)  # the drill decides; its end is the end of the input
    first = b""
    while b"\n" not in first:
        data = os.read(0, 1 << 20)
        if not data:
            return
        first += data
    lifeline.keep_orphans()
    line, _, rest = first.partition(b"\n")
    keep = msgspec.json.decode(line, type=Keep)
    private = Path(keep.private)
    try:
        private.mkdir(mode=0o700)
    except OSError as error:
        _say_why(keep, error)
        sys.exit(127)  # a folder that was there before is not ours to delete
    code = 127
    try:
        _write(keep)
        code = _Keeper(keep, rest).keep()
    except OSError as error:
        _say_why(keep, error)
    finally:
        shutil.rmtree(private, ignore_errors=True)
    sys.exit(code if code >= 0 else 128 - code)


def _say_why(keep: Keep, error: OSError) -> None:
    print(f"cannot start {keep.argv[0]}: {error.strerror}: {error.filename}", flush=True)  # noqa: T201  its log


def _become_child(keeper: int) -> None:
    for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(sig, signal.SIG_DFL)
    lifeline.die_with_parent(parent=keeper)


if __name__ == "__main__":
    main()
