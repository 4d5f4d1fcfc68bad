"""A run computed again from its raw history, and compared with what its files say: for `check` and for `verify`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from drills import __version__
from drills.build import BUILD, build
from drills.canonical import sha256
from drills.differing import Difference, in_bytes, in_json
from drills.findings import Finding, Grade
from drills.history import HISTORY_FILE, load
from drills.kept import RESULT_FILE
from drills.plainfile import plain_bytes
from drills.problems import UsageProblem
from drills.result import decode, encode
from drills.verdict import Judged, judged
from reports.base import Format, formats

SCENARIO_FILE = "scenario.yaml"
_MEASURED = {
    "duration_s",
    "phases",
    "faults",
    "switchovers",
    "failbacks",
    "requests",
    "attempts",
    "paths",
    "load",
    "plane",
    "inferred",
    "health",
}
"""The fields of a result that hold measurements; the others hold words and judgements, which versions may differ in."""


def judged_in(folder: Path) -> Judged:
    """The run in a folder, judged from its history alone. Raises `UsageProblem` when the folder holds no run."""
    if not folder.is_dir():
        raise UsageProblem(f"{folder}: no such folder")
    events, digest = load(folder / HISTORY_FILE)
    return judged(events, str(folder / HISTORY_FILE), history_sha256=digest)


def other_tool(run: Judged) -> str:
    """By which other version or build of this tool a run was made; empty when it was this one."""
    if run.result.tool_version != __version__:
        return run.result.tool_version
    same = run.result.environment.get(BUILD) == build()  # runs of before it was written down have none
    return "" if same else f"another build of {__version__}"


def of_result(folder: Path, run: Judged) -> tuple[Finding, ...]:
    """Where `result.json` and the scenario do not belong to the history beside them."""
    found = list(_of_result(folder / RESULT_FILE, run))
    scenario = folder / SCENARIO_FILE
    there = sha256(scenario.read_bytes() if scenario.is_file() else b"")
    if there != run.result.scenario.sha256:
        was, now = f"sha256 {run.result.scenario.sha256}", f"sha256 {there}"
        found.append(Finding(file=SCENARIO_FILE, what="not the scenario that was run", expected=was, found=now))
    return tuple(found)


def _of_result(path: Path, run: Judged) -> Iterator[Finding]:
    try:
        stored = decode(plain_bytes(path))
    except FileNotFoundError:
        yield Finding(file=RESULT_FILE, what="missing; the run was killed before it was judged")
        return
    except (OSError, msgspec.MsgspecError) as error:
        yield Finding(file=RESULT_FILE, what=f"cannot be read: {error}")
        return
    other = other_tool(run)
    # A result of before the history's hash was in it does not disagree with it.
    expected = run.result if stored.history_sha256 else msgspec.structs.replace(run.result, history_sha256="")
    for one in in_json(encode(expected), encode(stored)):
        grade = Grade.NOTE if other and not _measures(one) else Grade.MISMATCH
        what = f"not what the history says{f', as this {__version__} judges it' if other else ''}"
        yield Finding(file=RESULT_FILE, where=one.path, what=what, expected=one.expected, found=one.found, grade=grade)


def _measures(one: Difference) -> bool:
    return one.number and one.top in _MEASURED


def kept_reports() -> tuple[Format, ...]:
    """The reports that a run writes beside its result."""
    return tuple(report for report in formats().values() if report.kept)


def of_reports(folder: Path, run: Judged, reports: tuple[Format, ...]) -> tuple[Finding, ...]:
    """The reports beside a history that are not what it says, byte for byte."""
    return tuple(finding for report in reports if (finding := _of_report(folder, run, report)) is not None)


def _of_report(folder: Path, run: Judged, report: Format) -> Finding | None:
    path = folder / report.file
    if not path.is_file():
        return Finding(file=report.file, what="missing")
    spot = in_bytes(report.render(run), plain_bytes(path))
    if spot is None:
        return None
    where = f"line {spot.line}, byte {spot.byte}"
    what = "not the report of this history"
    return Finding(file=report.file, where=where, what=what, expected=spot.expected, found=spot.found)
