"""A lock on a folder, which leaves no file behind: for what must be read, changed and written by one at a time."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from drills.problems import UsageProblem


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Wait until nobody else is in here for the same folder. The kernel lets go of it, whatever ends the process.

    Raises `UsageProblem` when the folder cannot be locked.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise UsageProblem(f"{folder}: {error.strerror}") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError as error:
            raise UsageProblem(f"{folder}: cannot be locked against a second report: {error.strerror}") from error
        yield
    finally:
        os.close(descriptor)
