"""`drill history`: the runs that are kept, as text or JSON; runs that come from elsewhere, and runs that go."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from drills.importing import bring
from drills.index import refresh, runs
from drills.kept import Kept
from drills.moments import moment
from drills.problems import EXIT_USAGE
from drills.retention import may_go, parse, remove
from reports.escape import plain

_HEADER = ("started (UTC)", "verdict", "recovered", "lost", "gateway", "scenario", "folder")
_WIDEST = 40


def list_text(root: Path, *, as_json: bool) -> str:
    """Every run, newest first."""
    found = runs(root)
    if as_json:
        return msgspec.json.format(msgspec.json.encode(found), indent=2).decode()
    if not found:
        return f"no runs in {root}"
    rows = [_HEADER, *(_row(run) for run in found)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADER) - 1)]
    lines = []
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        lines.append("  ".join((*cells, row[-1])).rstrip())
    broken = [plain(f"{run.name}: {run.problem}") for run in found if run.problem]
    return "\n".join([*lines, *broken])


def _row(run: Kept) -> tuple[str, ...]:
    gateway = f"{run.gateway} {run.gateway_version}".strip()
    lost = "-" if run.lost is None else f"{run.lost} of {run.due}"
    told = (_when(run.started_at), run.verdict, _recovered(run), lost)
    return (*told, plain(gateway, _WIDEST), plain(run.scenario, _WIDEST), plain(run.name))


def _recovered(run: Kept) -> str:
    if not run.switchovers or run.recovered is None:
        return "-"
    if run.recovered < run.switchovers:
        return "never" if run.switchovers == 1 else f"{run.recovered} of {run.switchovers}"
    return f"{run.recovery_s:.2f} s"


def _when(started_at: str) -> str:
    found = moment(started_at)
    return f"{found:%Y-%m-%d %H:%M:%S}" if found is not None else plain(started_at, _WIDEST) or "-"


def import_text(root: Path, sources: Sequence[Path]) -> tuple[int, str]:
    """Take in runs: the exit code, and a line for each."""
    came = bring(root, sources)
    trouble = refresh(root)
    total = f"{came.new} imported, {came.known} already there, {came.refused} refused"
    lines = [*map(plain, came.lines), *([trouble] if trouble else []), total]
    return (EXIT_USAGE if came.refused else 0), "\n".join(lines)


def prune_text(root: Path, rules: Sequence[str], *, really: bool) -> str:
    """Remove what no rule keeps, or say what would go."""
    wanted = [parse(rule) for rule in rules]
    found = runs(root)
    gone = may_go(found, wanted, datetime.now(UTC))
    lines = [plain(f"{_when(run.started_at)}  {run.verdict}  {run.name}") for run in gone]
    if not really:
        total = f"{len(gone)} of {len(found)} runs would go; nothing was removed, --yes removes them"
        return "\n".join([*lines, total])
    count = remove(root, gone)
    trouble = refresh(root)
    return "\n".join([*lines, *([trouble] if trouble else []), f"{count} of {len(found)} runs removed"])
