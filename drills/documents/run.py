"""The files of one run: the result and the reports, computed again from the run's own history."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from drills import __version__
from drills.documents.base import Document, Recomputed
from drills.findings import Finding, bad, note
from drills.history import HISTORY_FILE
from drills.kept import is_run
from drills.manifest import HALF_FILE, MANIFEST_FILE
from drills.problems import UsageProblem
from drills.recomputing import judged_in, kept_reports, of_reports, of_result, other_tool
from reports.base import formats

_MADE_LATER = "made after the run was sealed; it is the report of this history"


def is_folder_of_run(path: Path) -> bool:
    """Whether a path is the folder of a run, also of one whose history is gone."""
    if path.name.startswith(".") or path.is_symlink() or not path.is_dir():
        return False
    return is_run(path) or any((path / name).is_file() for name in (MANIFEST_FILE, HALF_FILE))


def _within(root: Path) -> Sequence[Path]:
    return sorted(path for path in root.iterdir() if is_folder_of_run(path))


def recompute(folder: Path) -> Recomputed:
    """Judge the history again and render the reports again, and compare every field and every byte."""
    try:
        run = judged_in(folder)
    except UsageProblem as problem:
        return Recomputed(tuple(_unread(problem)), "")
    except Exception as error:  # noqa: BLE001  a history from elsewhere may hold anything; what it breaks is a finding
        what = f"it cannot be judged: {type(error).__name__}: {error}"
        return Recomputed((Finding(file=HISTORY_FILE, what=what),), "")
    found = list(of_result(folder, run))
    if made_by := other_tool(run):
        what = f"made by {made_by}, and this is {__version__}: their text is not compared, their hashes are"
        found.append(note("the reports", what))
    else:
        reports = kept_reports() if bad(tuple(found)) else (*kept_reports(), formats()["json"])
        found += of_reports(folder, run, reports)
    return Recomputed(tuple(found), f"{run.result.requests.due} requests judged again: {run.result.verdict}")


def made_later(folder: Path, name: str) -> Finding | None:
    """A file that was not there when the run was sealed: fine if it is a report, and the right one; None if it is no
    report.
    """
    report = next((one for one in formats().values() if one.file == name and not one.kept), None)
    if report is None:
        return None
    try:
        wrong = of_reports(folder, judged_in(folder), (report,))
    except Exception as error:  # noqa: BLE001  as in `recompute`, which says it in full; a library may be missing too
        return Finding(file=name, what=f"extra, and it cannot be made again to compare it: {error}")
    if not wrong:
        return note(name, _MADE_LATER)
    what = "extra, and not the report that this version makes of this history: remove it, or make it anew"
    return msgspec.structs.replace(wrong[0], what=what)


def _unread(problem: UsageProblem) -> list[Finding]:
    return [
        Finding(file=HISTORY_FILE, where=f"line {one.place.line}" if one.place else "", what=one.what)
        for one in problem.problems
    ]


DOCUMENT = Document(name="run", claims=is_folder_of_run, within=_within, recompute=lambda folder, _: recompute(folder))
