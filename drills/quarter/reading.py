"""The runs of a folder as a quarterly report sees them, read from their own files. I/O, and nothing else."""

from __future__ import annotations

import dataclasses
import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

import msgspec

from drills import chain
from drills.chain import Chain
from drills.events import RunStarted
from drills.history import HISTORY_FILE
from drills.kept import RESULT_FILE, head, is_run
from drills.manifest import shown
from drills.moments import moment
from drills.plainfile import plain_bytes
from drills.problems import UsageProblem
from drills.quarter.dates import QUARTERS, Quarter, quarter_of
from drills.quarter.pruned import dated
from drills.quarter.run import RunOfQuarter
from drills.quarter.sealed import SealState
from drills.quarter.seals import chain_name, seal_of
from drills.result import Result, decode


def runs_of(root: Path, quarter: Quarter) -> tuple[RunOfQuarter, ...]:
    """Every run of a quarter and of the three before it, and those without a date, by name. A copy of another run, with
    the same history under a later name, is there and counts for nothing.

    Raises `UsageProblem` when there is no such folder.
    """
    if not root.is_dir():
        raise UsageProblem(f"{root}: no such folder")
    known = chain.read(root)
    first = quarter.after(1 - QUARTERS)
    found = (read(folder, first, quarter, known) for folder in sorted(root.iterdir()) if is_run(folder))
    return tuple(_once([run for run in found if run is not None], root, known))


def _once(runs: Sequence[RunOfQuarter], root: Path, known: Chain) -> Iterator[RunOfQuarter]:
    """No two drills have the same history to the byte: it begins with the time and the seed. Of several, the drill is
    the one that is as it was sealed, then one with a result, then the first by name.
    """
    same: dict[str, list[RunOfQuarter]] = defaultdict(list)
    for run in runs:
        same[run.history_sha256 or f"of {run.name}"].append(run)

    def rank(run: RunOfQuarter) -> tuple[bool, bool, str]:
        return seal_of(root / run.name, known).state is not SealState.SEALED, run.result is None, run.name

    drills = {key: (min(those, key=rank) if len(those) > 1 else those[0]).name for key, those in same.items()}
    for run in runs:
        name = drills[run.history_sha256 or f"of {run.name}"]
        copied = f"a copy of {name}: its history is the same to the byte, and one drill counts once"
        if name == run.name or _was_another(root / run.name, known):
            yield run
        else:
            yield dataclasses.replace(run, result=None, problem=copied, instead="copy")


def _was_another(folder: Path, known: Chain) -> bool:
    """Whether a run was sealed, and is not what was sealed: then another one's files lie in its place."""
    return chain_name(folder.name) in known.standing and seal_of(folder, known).state is SealState.CHANGED


def read(folder: Path, first: Quarter, last: Quarter, known: Chain) -> RunOfQuarter | None:
    """One run; None when it began before the first quarter or after the last one. Never raises for what is in it."""
    start: RunStarted | None = None
    problem = ""
    try:
        start = head(folder)
    except (OSError, msgspec.MsgspecError) as error:
        problem = f"{HISTORY_FILE}: {error}"
    started_at = _started(folder, start, known)
    started = moment(started_at)
    if started is not None and not first <= quarter_of(started.date()) <= last:
        return None
    result, trouble = _result(folder)
    problem = "; ".join(filter(None, (problem, trouble)))
    if result is not None and start is None:
        # Whoever reads the report could not check it: what has no history has no evidence.
        result = None
    if shown(folder.name) != folder.name:
        result, problem = None, "the name of its folder is no text, so nobody can name it"
    return RunOfQuarter(
        name=shown(folder.name),
        started_at=started_at,
        history_sha256=_hash(folder / HISTORY_FILE),
        result=result,
        head=start,
        problem=problem,
        instead="" if shown(folder.name) == folder.name else "unnamed",
    )


def _result(folder: Path) -> tuple[Result | None, str]:
    try:
        return decode(plain_bytes(folder / RESULT_FILE)), ""
    except FileNotFoundError:
        return None, f"there is no {RESULT_FILE}: the drill was killed, or still runs"
    except (OSError, msgspec.MsgspecError) as error:
        return None, f"{RESULT_FILE}: {error}"


def _started(folder: Path, start: RunStarted | None, known: Chain) -> str:
    """When a run began: by its history, unless that is not the one that was sealed; then by the name of its folder,
    else by its seal.
    """
    link = known.standing.get(chain_name(folder.name))
    named = dated(folder.name) or (link.line.at if link is not None else "")
    if start is None:
        return named
    if named and moment(named) != _to_the_second(start.started_at):
        return named if seal_of(folder, known).state is SealState.CHANGED else start.started_at
    return start.started_at


def _to_the_second(text: str) -> datetime | None:
    found = moment(text)
    return None if found is None else found.replace(microsecond=0)


def _hash(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""
