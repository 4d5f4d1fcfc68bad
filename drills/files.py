"""The files of a run: where they go, and how they are written after it and read again."""

from __future__ import annotations

import os
import re
import secrets
from datetime import UTC, datetime
from pathlib import Path

from drills.findings import Finding
from drills.kept import RESULT_FILE
from drills.moments import moment
from drills.problems import UsageProblem
from drills.recomputing import judged_in, kept_reports, of_reports, of_result
from drills.result import Result, encode
from drills.verdict import Judged


def make_folder(out: Path, scenario: str, gateway: str) -> Path:
    """A new folder `<UTC time>-<scenario>-<gateway>` under `out`. Raises `UsageProblem` when it cannot be made."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        return new_folder(out, folder_name(datetime.now(UTC).isoformat(), scenario, gateway))
    except OSError as error:
        raise UsageProblem(f"{out}: cannot make a folder for the results: {error.strerror}") from error


def folder_name(started_at: str, scenario: str, gateway: str) -> str:
    """The name of a run's folder. scenario: its file or the stem of it. Raises `ValueError` for what is no time."""
    started = moment(started_at)
    if started is None:
        raise ValueError(f"{started_at[:40]!r}, when it is said to have started, is no time")
    return f"{started:%Y%m%dT%H%M%SZ}-{_slug(Path(scenario).stem)}-{_slug(gateway)}"


def new_folder(out: Path, stem: str) -> Path:
    """A folder that was not there before, for two drills at once too. Raises `UsageProblem` or `OSError`."""
    for number in range(1, 100):
        folder = out / (stem if number == 1 else f"{stem}-{number}")
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        return folder
    raise UsageProblem(f"{out}: too many runs of {stem} within one second")


def finish(folder: Path) -> Result:
    """Judge a finished run from its history and write `result.json` and the reports, each in one step."""
    run = judged_in(folder)
    keep(folder, run)
    return run.result


def keep(folder: Path, run: Judged) -> None:
    """Write what was judged beside its history. Raises `OSError`, which names the file."""
    write_whole(folder / RESULT_FILE, encode(run.result))
    for report in kept_reports():
        write_whole(folder / report.file, report.render(run))


def recheck(folder: Path) -> tuple[Result, bool, str]:
    """Judge a run again: the result, whether the files of the run agree with it, and why not if they do not.

    Raises `UsageProblem` when the folder holds no run.
    """
    run = judged_in(folder)
    if wrong := disagreement(folder, run):
        return run.result, False, wrong
    differing = of_reports(folder, run, kept_reports())
    if differing:
        return run.result, False, _disagree(folder, [_named(one) for one in differing])
    return run.result, True, ""


def disagreement(folder: Path, run: Judged) -> str:
    """Why `result.json` and the scenario do not belong to the history beside them; empty when they do."""
    found = of_result(folder, run)
    for one in found:
        if one.file == RESULT_FILE and not one.where:
            return f"{folder / RESULT_FILE}: {one.what}"
    return _disagree(folder, [_named(one) for one in found]) if found else ""


def _named(finding: Finding) -> str:
    """In few words, what does not agree: a field of the result, or a file."""
    if finding.file == RESULT_FILE:
        return finding.where.split(".")[0].split("[")[0]
    return f"{finding.file} ({finding.what})"


def _disagree(folder: Path, differing: list[str]) -> str:
    return f"{folder}: the files do not agree with the history in: {', '.join(dict.fromkeys(differing))}"


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that it is there whole or not at all, whatever happens to the machine meanwhile."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)  # noqa: PTH105  the atomic step is the point
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(path)
        raise


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:40] or "drill"
