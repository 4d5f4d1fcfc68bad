"""Ties a child process to the process that started it, so that nothing outlives a drill that was killed.

Two independent ties: the kernel's parent-death signal (Linux), and the end of standard input, which the parent
holds open and never closes before it wants the child gone. A third is for children's children: their parents may end
before them, and then a process that keeps orphans becomes their parent.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def die_with_parent(sig: signal.Signals = signal.SIGKILL, parent: int | None = None) -> None:
    """Ask the kernel to send `sig` to this process when its parent dies. Does nothing where there is no prctl.

    A parent that died before the call is noticed by the end of standard input instead, or, by a process that does
    not read its input, when `parent` says which process it should be. Source: prctl(2), PR_SET_PDEATHSIG.
    """
    if sys.platform != "linux":
        return
    _prctl(_PR_SET_PDEATHSIG, int(sig))
    if parent is not None and os.getppid() != parent:
        os.kill(os.getpid(), sig)


def keep_orphans() -> None:
    """Become the parent of every descendant whose own parent ends. Does nothing where there is no prctl.

    Source: prctl(2), PR_SET_CHILD_SUBREAPER.
    """
    if sys.platform == "linux":
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
