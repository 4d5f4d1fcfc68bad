"""`drill report`: any report of a run, made anew from its history, and written where it was asked for."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from drills.canonical import sha256
from drills.files import disagreement, write_whole
from drills.manifest import MANIFEST_FILE, damage, decode
from drills.problems import UsageProblem
from drills.recomputing import judged_in
from reports.base import Format, get


def make(folder: Path, names: Sequence[str], out: str | None, say: Callable[[str], None]) -> None:
    """Write the reports of a run. Raises `UsageProblem` before anything is written.

    out: a file, an existing folder, or `-`; None is the run's folder.
    """
    wanted = [get(name) for name in dict.fromkeys(names)]
    paths = _paths(wanted, folder, out)
    run = judged_in(folder)
    written = [report.render(run) for report in wanted]
    _spare_sealed(paths, written)
    if wrong := disagreement(folder, run):
        say(f"drill: {wrong}; the report is made from the history alone")
    if not paths:
        sys.stdout.buffer.write(written[0])
    for path, data in zip(paths, written, strict=False):
        write_whole(path, data)
        say(str(path))


def _spare_sealed(paths: Sequence[Path], written: Sequence[bytes]) -> None:
    """Raises `UsageProblem` when a report would take the place of one that a run sealed, and is another."""
    for path, data in zip(paths, written, strict=False):
        manifest = path.parent / MANIFEST_FILE
        if not manifest.is_file() or damage(manifest.read_bytes()):
            continue
        sealed = {one.name: one.sha256 for one in decode(manifest.read_bytes()).files}
        if sealed.get(path.name, sha256(data)) != sha256(data):
            raise UsageProblem(f"{path}: it is sealed, and would change; --out writes it elsewhere")


def _paths(wanted: Sequence[Format], folder: Path, out: str | None) -> list[Path]:
    """Where each report goes; none for the standard output."""
    if out is None or Path(out).is_dir():
        return [(folder if out is None else Path(out)) / report.file for report in wanted]
    if len(wanted) > 1:
        names = ", ".join(report.name for report in wanted)
        raise UsageProblem(f"--out {out}: {len(wanted)} formats ({names}) need a folder that exists")
    if out == "-":
        return []
    if Path(out).exists() and not Path(out).is_file():
        raise UsageProblem(f"--out {out}: no plain file; use - for the standard output")
    if not Path(out).parent.is_dir():
        raise UsageProblem(f"--out {out}: no such folder: {Path(out).parent}")
    return [Path(out)]
