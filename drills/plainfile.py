"""Reading a file that somebody else may have put there: a pipe in its place would keep whoever opens it for good."""

from __future__ import annotations

import errno
import io
import os
import stat
from pathlib import Path


def opened(path: Path) -> io.BufferedReader:
    """A plain file, opened for reading; links are followed. Raises `OSError`, also for whatever is no plain file."""
    number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise OSError(errno.EINVAL, "no plain file", str(path))
    return open(number, "rb")  # noqa: PTH123  the caller closes it


def plain_bytes(path: Path) -> bytes:
    """The bytes of a plain file. Raises as `opened` does."""
    with opened(path) as file:
        return file.read()
