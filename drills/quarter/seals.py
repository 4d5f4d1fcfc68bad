"""What a quarterly report says about the seals of its runs: hashes compared, nothing judged again. I/O, reads only."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from drills import chain
from drills.build import build
from drills.canonical import sha256
from drills.chain import Chain
from drills.manifest import MANIFEST_FILE, changes, damage, decode
from drills.quarter.dates import Quarter
from drills.quarter.pruned import pruned
from drills.quarter.run import RunOfQuarter
from drills.quarter.sealed import Evidence, Seal, SealState


def evidence_of(root: Path, runs: Sequence[RunOfQuarter], quarter: Quarter) -> Evidence:
    """The head of the chain, how each run stands to its seal, and which runs of these quarters were pruned.

    Raises `OSError` when the chain cannot be read.

    The head is that of before the report: the lines of the report itself come after it.
    """
    found = chain.read(root)
    lines = found.links[-1].number if found.links else 0
    return Evidence(
        build=build(),
        head=found.head,
        lines=lines,
        seals=tuple(_seal(root / run.name, found) for run in runs),
        pruned=pruned(found, lines, {run.name for run in runs}, quarter),
    )


def _seal(folder: Path, found: Chain) -> Seal:
    name = folder.name.encode(errors="replace").decode()
    link = found.sealed(name)
    try:
        if (folder / MANIFEST_FILE).is_symlink():
            return Seal(run=folder.name, state=SealState.CHANGED, manifest_sha256="")
        data = (folder / MANIFEST_FILE).read_bytes()
    except OSError:
        state = SealState.UNSEALED if link is None else SealState.CHANGED
        return Seal(run=folder.name, state=state, manifest_sha256="")
    digest = sha256(data)
    intact = link is not None and link.line.sha256 == digest and not damage(data) and _unchanged(folder, data)
    return Seal(run=folder.name, state=SealState.SEALED if intact else SealState.CHANGED, manifest_sha256=digest)


def _unchanged(folder: Path, data: bytes) -> bool:
    """Whether every file is the one that was sealed; what was put beside them later is another matter."""
    try:
        changed, _ = changes(folder, decode(data).files)
    except (OSError, msgspec.MsgspecError):
        return False
    return not changed
