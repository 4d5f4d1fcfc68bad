"""`drill report --quarter`: reads the runs, the plan and the register, and writes the reports of a quarter. I/O."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from drills.files import write_whole
from drills.locking import alone
from drills.problems import Problem, UsageProblem
from drills.quarter import plan as plans
from drills.quarter import register as registers
from drills.quarter.assembling import assemble
from drills.quarter.dates import Quarter, parse, until
from drills.quarter.findings import new_entries
from drills.quarter.plan import QuarterPlan
from drills.quarter.reading import runs_of
from drills.quarter.register import Register
from drills.quarter.seals import evidence_of
from drills.sealing import record
from drills.yamlsource import read_text
from reports.base import QuarterFormat, quarter_format

FORMATS = ("html", "md")
_T = TypeVar("_T")
ALWAYS = "json"
"""Written beside every other format: the report can be computed again from it."""


@dataclass(frozen=True)
class Asked:
    """What was asked for. update: whether new findings are appended to the register. out: a folder; None is `runs`."""

    quarter: str
    runs: Path
    plan: Path | None
    findings: Path | None
    update: bool
    formats: Sequence[str]
    out: Path | None


def make(asked: Asked, say: Callable[[str], None]) -> None:
    """Write the reports. Raises `UsageProblem` with every problem before anything is written.

    Meanwhile no other report is made: between reading the register and writing it an entry would be lost, and a line of
    the chain could stand behind the other's file.
    """
    folders = {(asked.out or asked.runs).resolve()}
    if asked.update and asked.findings is not None:
        folders.add(asked.findings.resolve().parent)
    with ExitStack() as locks:
        for folder in sorted(path for path in folders if path.is_dir()):  # in one order, so that nobody waits for ever
            locks.enter_context(alone(folder))
        _make(asked, say)


def _make(asked: Asked, say: Callable[[str], None]) -> None:
    problems: list[Problem] = []
    formats = _all(problems, lambda: _formats(asked.formats))
    quarter = _all(problems, lambda: _quarter(asked.quarter))
    _all(problems, lambda: _places(asked))
    bare = QuarterPlan(quarter=str(quarter), until=until(quarter, datetime.now(UTC)).isoformat() if quarter else "")
    plan = _all(problems, lambda: _plan(asked, bare))
    read = _all(problems, lambda: _register(asked))
    if problems or formats is None or quarter is None or plan is None or read is None:
        raise UsageProblem(problems)
    register, text = read
    today = datetime.now(UTC).date().isoformat()
    late = [one for one in register.entries if one.fixed_on is not None and one.fixed_on > today]
    if late:
        what = "is a day that has not come: nobody can have seen it work"
        raise UsageProblem([Problem(f"{register.file}: {one.id}: fixed_on {one.fixed_on} {what}") for one in late])
    runs = runs_of(asked.runs, quarter)
    result = assemble(runs, plan, register, evidence_of(asked.runs, runs, quarter))
    new = new_entries(result.findings)
    whole = registers.appended(text, str(asked.findings), new) if asked.update else text
    _write([(f"quarter-{quarter}.{one.ending}", one.render(result)) for one in formats], asked, say)
    if asked.update and asked.findings is not None and whole != text:
        _replace(asked.findings, whole)
        say(f"{asked.findings}: {len(new)} new, without owner and due date")
    elif new and not asked.update:
        say(f"{len(new)} new findings; --findings FILE --update-findings appends them to the register")
    for line in result.unmatched:
        say(f"note: {line}")


def _write(pages: Sequence[tuple[str, bytes]], asked: Asked, say: Callable[[str], None]) -> None:
    """Write the files; beside the runs each gets its line in their chain."""
    out = asked.out or asked.runs
    beside = out.resolve() == asked.runs.resolve()
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageProblem(f"--out {out}: the folder cannot be made: {error.strerror}") from error
    for name, page in pages:
        write_whole(out / name, page)
        if beside:
            record(out / name)
        say(str(out / name))


def _all(problems: list[Problem], step: Callable[[], _T]) -> _T | None:
    """What a step gives; None with its problems added to the others."""
    try:
        return step()
    except UsageProblem as problem:
        problems.extend(problem.problems)
        return None


def _quarter(text: str) -> Quarter:
    try:
        found = parse(text)
    except ValueError as error:
        raise UsageProblem(f"--quarter {error}") from None
    if datetime.now(UTC).date() < found.first:
        raise UsageProblem(f"--quarter {found}: it begins on {found.first}, and nothing can be said about it yet")
    return found


def _formats(asked: Sequence[str]) -> list[QuarterFormat]:
    names = [name.strip() for text in asked for name in text.split(",") if name.strip()] or list(FORMATS)
    return [quarter_format(name) for name in dict.fromkeys([*names, ALWAYS])]


def _places(asked: Asked) -> None:
    problems = [f"--runs {asked.runs}: no such folder"] if not asked.runs.is_dir() else []
    if asked.out is not None and asked.out.exists() and not asked.out.is_dir():
        problems.append(f"--out {asked.out}: not a folder, and a quarter is several files")
    if asked.update and asked.findings is None:
        problems.append("--update-findings needs --findings FILE: the register that new findings are appended to")
    if problems:
        raise UsageProblem([Problem(what) for what in problems])


def _plan(asked: Asked, bare: QuarterPlan) -> QuarterPlan:
    if asked.plan is None:
        return bare
    text = read_text(asked.plan, str(asked.plan))
    return plans.parse(text, str(asked.plan), _sha256(text), bare)


def _register(asked: Asked) -> tuple[Register, str]:
    """The register, and its text. One that is to be updated may not be there yet."""
    path = asked.findings
    if path is None:
        return Register(), ""
    if asked.update and not path.exists():
        return Register(file=str(path)), ""
    text = read_text(path, str(path))
    return registers.parse(text, str(path), _sha256(text)), text


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _replace(path: Path, text: str) -> None:
    """Write the register in one step, at the end of a link if it is one, with the rights that it had."""
    target = path.resolve()
    mode = stat.S_IMODE(target.stat().st_mode) if target.exists() else None
    write_whole(target, text.encode())
    if mode is not None:
        target.chmod(mode)
