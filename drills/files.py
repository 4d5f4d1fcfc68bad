"""The files of a run: where they go, and how they are written after it and read again."""

from __future__ import annotations

import hashlib
import os
import re
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from drills.history import HISTORY_FILE, read
from drills.problems import UsageProblem
from drills.result import Result, decode, encode
from drills.verdict import judge
from reports import markdown

SCENARIO_FILE = "scenario.yaml"
RESULT_FILE = "result.json"
REPORT_FILE = "report.md"


def make_folder(out: Path, scenario: str, gateway: str) -> Path:
    """A new folder `<UTC time>-<scenario>-<gateway>` under `out`. Raises `UsageProblem` when it cannot be made."""
    stem = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{_slug(scenario)}-{_slug(gateway)}"
    try:
        out.mkdir(parents=True, exist_ok=True)
        for number in range(1, 100):
            folder = out / (stem if number == 1 else f"{stem}-{number}")
            try:
                folder.mkdir()
            except FileExistsError:
                continue
            return folder
    except OSError as error:
        raise UsageProblem(f"{out}: cannot make a folder for the results: {error.strerror}") from error
    raise UsageProblem(f"{out}: too many runs of {stem} within one second")


def finish(folder: Path) -> Result:
    """Judge a finished run from its history and write `result.json` and `report.md`, each in one step."""
    result = judge(read(folder / HISTORY_FILE), str(folder / HISTORY_FILE))
    _write(folder / RESULT_FILE, encode(result))
    _write(folder / REPORT_FILE, markdown.render(result))
    return result


def recheck(folder: Path) -> tuple[Result, bool, str]:
    """Judge a run again: the result, whether `result.json` agrees with it, and why not if it does not.

    Raises `UsageProblem` when the folder holds no run.
    """
    if not folder.is_dir():
        raise UsageProblem(f"{folder}: no such folder")
    result = judge(read(folder / HISTORY_FILE), str(folder / HISTORY_FILE))
    written = folder / RESULT_FILE
    try:
        stored = decode(written.read_bytes())
    except FileNotFoundError:
        return result, False, f"{written}: missing; the run was killed before it was judged"
    except (OSError, msgspec.MsgspecError) as error:
        return result, False, f"{written}: cannot be read: {error}"
    again = decode(encode(result))
    differing = [name for name in Result.__struct_fields__ if getattr(stored, name) != getattr(again, name)]
    scenario = folder / SCENARIO_FILE
    if hashlib.sha256(scenario.read_bytes() if scenario.is_file() else b"").hexdigest() != result.scenario.sha256:
        differing.append(f"{SCENARIO_FILE} (not the scenario that was run)")
    report = folder / REPORT_FILE
    if not differing and (report.read_bytes() if report.is_file() else b"") != markdown.render(result):
        differing.append(f"{REPORT_FILE} (not the report of this history)")
    if differing:
        return result, False, f"{folder}: the files do not agree with the history in: {', '.join(differing)}"
    return result, True, ""


def _write(path: Path, data: bytes) -> None:
    temporary = path.with_name(f".{path.name}.part")
    temporary.write_bytes(data)
    os.replace(temporary, path)  # noqa: PTH105  the atomic step is the point


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:40] or "drill"
