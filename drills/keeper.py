"""Keeps one foreign program (a gateway): starts it, passes its output on, and makes sure that it ends.

A process of its own, so that it outlives a drill that was killed just long enough to clean up: when its standard
input ends, the program's whole process group is ended, and the private folder, which holds a config with
credentials of the run, is deleted.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import msgspec

from drills import lifeline

GRACE_S = 2.0


class Keep(msgspec.Struct, frozen=True, kw_only=True):
    """What to keep: the command, its whole environment, and the private folder with its files (path to content)."""

    argv: tuple[str, ...]
    env: dict[str, str]
    cwd: str
    private: str
    files: dict[str, str]


def _write(keep: Keep) -> None:
    for name, content in keep.files.items():
        path = Path(name)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(content)


def _end(child: subprocess.Popen[bytes]) -> None:
    """End the process group: ask, wait a little, kill. The group outlives its leader, so it is always killed."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(GRACE_S)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def _watch_input(child: subprocess.Popen[bytes]) -> None:
    while os.read(0, 4096):  # not sys.stdin: this thread would hold its lock when the interpreter ends
        pass
    _end(child)


def main() -> None:
    """Keep the program until it ends or the standard input does. Exits with the program's exit code."""
    for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(sig, signal.SIG_IGN)  # the drill decides; its end is the end of the input
    line = sys.stdin.buffer.readline()
    if not line:
        return
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
        child = subprocess.Popen(  # noqa: S603  the command comes from the drill itself
            keep.argv,
            env=keep.env,
            cwd=keep.cwd,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=partial(_become_child, os.getpid()),  # noqa: PLW1509  no thread is running yet
        )
        threading.Thread(target=_watch_input, args=(child,), daemon=True).start()
        code = child.wait()
        _end(child)
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
