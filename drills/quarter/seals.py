"""What a quarterly report says about the seals of its runs: hashes compared, nothing judged again. I/O, reads only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from drills import chain
from drills.build import build
from drills.canonical import sha256
from drills.chain import Chain
from drills.history import HISTORY_FILE
from drills.kept import RESULT_FILE, is_run
from drills.manifest import HALF_FILE, MANIFEST_FILE, changes, damage, decode
from drills.plainfile import plain_bytes
from drills.quarter.dates import Quarter
from drills.quarter.pruned import There, pruned
from drills.quarter.run import RunOfQuarter
from drills.quarter.sealed import Evidence, Seal, SealState


def evidence_of(root: Path, runs: Sequence[RunOfQuarter], quarter: Quarter) -> Evidence:
    """The head of the chain, how each run stands to its seal, and which runs of these quarters were pruned.

    Raises `OSError` when the chain cannot be read.

    The head is that of before the report: the lines of the report itself come after it.
    """
    found = chain.read(root)
    lines = found.links[-1].number if found.links else 0
    seals = tuple(seal_of(root / run.name, found) for run in runs)
    return Evidence(
        build=build(),
        head=found.head,
        lines=lines,
        seals=seals,
        pruned=pruned(found, lines, There(names_in(root), whole(seals)), quarter),
    )


def names_in(root: Path) -> set[str]:
    """The runs that are in a folder, by the names that the chain has for them. Raises `OSError`."""
    return {chain_name(path.name) for path in root.iterdir() if is_run(path)}


def whole(seals: Iterable[Seal]) -> set[str]:
    """The runs that are what was sealed."""
    return {seal.run for seal in seals if seal.state is SealState.SEALED}


def chain_name(name: str) -> str:
    """What a run is called in the chain: its folder, but for bytes that are no text."""
    return name.encode(errors="replace").decode()


def seal_of(folder: Path, known: Chain) -> Seal:
    """How a run stands to its seal now. One that the chain says was removed, and that is there as it was, counts: its
    removal was cut off. So was the sealing of one whose manifest still wants its name.
    """
    link = known.standing.get(chain_name(folder.name))
    sealed = link is not None and link.line.sha256 != ""
    path = folder / MANIFEST_FILE
    if not path.exists() and not path.is_symlink() and sealed:
        path = folder / HALF_FILE
    try:
        data = b"" if path.is_symlink() else plain_bytes(path)
    except OSError:
        state = SealState.CHANGED if sealed else SealState.UNSEALED
        return Seal(run=folder.name, state=state, manifest_sha256="")
    if not data:
        return Seal(run=folder.name, state=SealState.CHANGED, manifest_sha256="")
    digest = sha256(data)
    intact = link is not None and link.line.sha256 == digest and not damage(data) and _unchanged(folder, data)
    return Seal(run=folder.name, state=SealState.SEALED if intact else SealState.CHANGED, manifest_sha256=digest)


def _unchanged(folder: Path, data: bytes) -> bool:
    """Whether every file is the one that was sealed; what was put beside them later is another matter."""
    try:
        files = decode(data).files
        changed, _ = changes(folder, files)
    except (OSError, msgspec.MsgspecError):
        return False
    return not changed and {HISTORY_FILE, RESULT_FILE} <= {one.name for one in files}
