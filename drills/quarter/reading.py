"""The runs of a folder as a quarterly report sees them, read from their own files. I/O, and nothing else."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from drills.events import RunStarted
from drills.history import HISTORY_FILE
from drills.kept import RESULT_FILE, head, is_run
from drills.moments import moment
from drills.problems import UsageProblem
from drills.quarter.dates import QUARTERS, Quarter, quarter_of
from drills.quarter.run import RunOfQuarter
from drills.result import Result, decode

_FOLDER_DATE = re.compile(r"(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z")


def runs_of(root: Path, quarter: Quarter) -> tuple[RunOfQuarter, ...]:
    """Every run of a quarter and of the three before it, and those without a date, by name. A copy of another run, with
    the same history under a later name, is there and counts for nothing.

    Raises `UsageProblem` when there is no such folder.
    """
    if not root.is_dir():
        raise UsageProblem(f"{root}: no such folder")
    first = quarter.after(1 - QUARTERS)
    found = (read(folder, first, quarter) for folder in sorted(root.iterdir()) if is_run(folder))
    return tuple(_once([run for run in found if run is not None]))


def _once(runs: Sequence[RunOfQuarter]) -> Iterator[RunOfQuarter]:
    """No two drills have the same history to the byte: it begins with the time and the seed."""
    first: dict[str, str] = {}
    for run in runs:
        name = first.setdefault(run.history_sha256, run.name) if run.history_sha256 else run.name
        copied = f"a copy of {name}: its history is the same to the byte, and one drill counts once"
        yield run if name == run.name else dataclasses.replace(run, result=None, problem=copied)


def read(folder: Path, first: Quarter, last: Quarter) -> RunOfQuarter | None:
    """One run; None when it began before the first quarter or after the last one. Never raises for what is in it."""
    start: RunStarted | None = None
    problem = ""
    try:
        start = head(folder)
    except (OSError, msgspec.MsgspecError) as error:
        problem = f"{HISTORY_FILE}: {error}"
    started = moment(start.started_at) if start is not None else None
    if started is not None and not first <= quarter_of(started.date()) <= last:
        return None
    result, trouble = _result(folder)
    problem = "; ".join(filter(None, (problem, trouble)))
    if result is not None and start is None:
        # Whoever reads the report could not check it: what has no history has no evidence.
        result = None
    return RunOfQuarter(
        name=folder.name,
        started_at=_started(folder, start),
        history_sha256=_hash(folder / HISTORY_FILE),
        result=result,
        head=start,
        problem=problem,
    )


def _result(folder: Path) -> tuple[Result | None, str]:
    try:
        return decode((folder / RESULT_FILE).read_bytes()), ""
    except FileNotFoundError:
        return None, f"there is no {RESULT_FILE}: the drill was killed, or still runs"
    except (OSError, msgspec.MsgspecError) as error:
        return None, f"{RESULT_FILE}: {error}"


def _started(folder: Path, start: RunStarted | None) -> str:
    """When a run began: by its history, else by the name of its folder."""
    if start is not None:
        return start.started_at
    named = _FOLDER_DATE.match(folder.name)
    return "{}-{}-{}T{}:{}:{}+00:00".format(*named.groups()) if named else ""


def _hash(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""
