"""All processes that came from this one, also those that left their process group and their parents (Linux).

A program that becomes a daemon forks twice and starts a session of its own: no signal to a group reaches it. This
process finds it all the same if it keeps orphans (`lifeline.keep_orphans`). Where there is no /proc, nobody is found
beyond the group.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

_ENDED_WITHIN_S = 2.0
_STOPPED_WITHIN_S = 1.0
_POLL_S = 0.01


def descendants() -> dict[int, str]:
    """Every process below this one that has not ended, and its state (proc(5)), by /proc; empty where there is none."""
    states: dict[int, str] = {}
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent, *_ = stat.read_text(errors="replace").rpartition(")")[2].split()
        except (OSError, ValueError):
            continue  # it ended while we looked
        states[int(stat.parent.name)] = state
        children.setdefault(int(parent), []).append(int(stat.parent.name))
    found: dict[int, str] = {}
    todo = [os.getpid()]
    while todo:
        born = set(children.get(todo.pop(), ())) - found.keys()
        found |= {pid: states[pid] for pid in born}
        todo += born
    return {pid: state for pid, state in found.items() if state not in "ZX"}


def signal_all(sig: signal.Signals, group: int) -> None:
    """Send a signal to a process group and to every descendant outside it, once each."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, sig)
    for pid in descendants():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.getpgid(pid) != group:
                os.kill(pid, sig)


def stop_all(group: int) -> None:
    """Stop a process group and every other descendant, also those that were born meanwhile.

    Raises `OSError` when one of them does not stop.
    """
    signal_all(signal.SIGSTOP, group)
    until_s = time.monotonic() + _STOPPED_WITHIN_S
    while set(descendants().values()) - {"T", "t"}:
        if time.monotonic() > until_s:
            raise OSError(f"it did not stop within {_STOPPED_WITHIN_S:g} s")
        time.sleep(_POLL_S)
        signal_all(signal.SIGSTOP, group)


def end_all() -> None:
    """Kill every descendant, until none is left that this process may kill."""
    until_s = time.monotonic() + _ENDED_WITHIN_S
    while (left := descendants()) and time.monotonic() < until_s:
        for pid in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        reap()
        time.sleep(_POLL_S)


def reap(but: int = 0) -> None:
    """Let descendants that have ended go for good; not the one child that somebody else waits for."""
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) is not None:
            if ended.si_pid == but:
                return
            os.waitpid(ended.si_pid, 0)
