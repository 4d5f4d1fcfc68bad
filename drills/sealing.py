"""Sealing a run: its manifest and its line in the chain, so that each is there whenever the other is.

The order is: the manifest under another name, the line, the manifest's own name. A crash before the line leaves a run
that is not sealed; a crash after it leaves one whose manifest only wants its name, which the next writer gives it.
A removal is written down before it happens, for the same reason.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from drills.canonical import sha256
from drills.chain import CHANGED, Kind, Link, Removed, Writer, writing
from drills.files import write_whole
from drills.findings import A_LINK
from drills.history import HISTORY_FILE
from drills.kept import RESULT_FILE, Kept
from drills.manifest import (
    HALF_FILE,
    MANIFEST_FILE,
    SIGNATURE_FILE,
    Origin,
    Previous,
    Sealer,
    changes,
    decode,
    encode,
    hashed,
    make,
)
from drills.plainfile import plain_bytes
from drills.problems import UsageProblem

if TYPE_CHECKING:
    from drills.signing import Signer  # brings a library that only signing needs


@dataclass(frozen=True)
class Sealed:
    """A run that was sealed. number: how many runs its chain has sealed. head: the hash of the chain's last line.
    left_out: what else is in the folder and is not sealed.
    """

    run: str
    number: int
    head: str
    left_out: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"sealed as run {self.number} of its chain, head {self.head}"

    @property
    def but(self) -> str:
        """What is not sealed, to be said behind it; empty when everything is."""
        return f"; left out, and not sealed: {', '.join(self.left_out)}" if self.left_out else ""


def seal(folder: Path, by: Sealer, signer: Signer | None = None, imported: Origin | None = None) -> Sealed:
    """Seal a run that has ended. Raises `OSError`, or `UsageProblem` when it is sealed already."""
    folder = folder.resolve()
    _has_its_evidence(folder)
    bare = make(folder, _id(folder), by, imported)
    with writing(folder.parent) as book:
        _complete(folder.parent, book)
        if (folder / MANIFEST_FILE).exists() or book.chain.sealed(_id(folder)):
            raise UsageProblem(f"{folder}: sealed already")
        data = encode(msgspec.structs.replace(bare, previous=_previous(book)))
        write_whole(folder / HALF_FILE, data)
        signature = _sign(folder, data, signer)
        key = signer.fingerprint if signer else ""
        line = book.add(Kind.SEALED, _id(folder), sha256(data), signature=signature, key=key)
        os.replace(folder / HALF_FILE, folder / MANIFEST_FILE)  # noqa: PTH105  the atomic step is the point
        return Sealed(_id(folder), _count(book), line.hash, bare.left_out)


def _has_its_evidence(folder: Path) -> None:
    """A seal over a run whose history or result is somewhere else would be one over nothing."""
    for name in (HISTORY_FILE, RESULT_FILE):
        path = folder / name
        if path.is_symlink() or not path.is_file():
            why = A_LINK if path.is_symlink() else "no file, and nothing can be said about the run without it"
            raise UsageProblem(f"{path}: {why}")


def sign(folder: Path, signer: Signer) -> Sealed:
    """Sign a run that was sealed before. Raises `OSError`, or `UsageProblem` when it was not."""
    folder = folder.resolve()
    with writing(folder.parent) as book:
        _complete(folder.parent, book)
        link = book.chain.sealed(_id(folder))
        if link is None or not (folder / MANIFEST_FILE).is_file():
            raise UsageProblem(f"{folder}: not sealed by this chain, so there is nothing to sign")
        data = (folder / MANIFEST_FILE).read_bytes()
        if sha256(data) != link.line.sha256:
            raise UsageProblem(f"{folder / MANIFEST_FILE}: not the manifest that was sealed; `drill verify` says more")
        signature = _sign(folder, data, signer)
        line = book.add(Kind.SIGNED, _id(folder), sha256(data), signature=signature, key=signer.fingerprint)
        return Sealed(_id(folder), _count(book), line.hash)


def bury(root: Path, runs: Iterable[Kept]) -> None:
    """Write down that these runs are about to be removed on purpose, and what they came to: a report over runs must be
    able to say that there was one more. Raises `OSError`.
    """
    leaving = list(runs)
    if not leaving:
        return
    with writing(root) as book:
        standing = book.chain.standing
        for run in leaving:
            before = standing.get(_id(root / run.name))
            if before is not None and before.line.kind is Kind.PRUNED:
                continue  # the removal was written down before, and then cut off
            link = book.chain.sealed(_id(root / run.name))
            about = run.verdict if link is None or _intact(root / run.name, link) else CHANGED
            removed = Removed(
                started_at=run.started_at,
                scenario=run.scenario_id,
                gateway=run.gateway,
                config_sha256=run.config_sha256,
                entry_model=run.entry_model,
            )
            digest = link.line.sha256 if link is not None else ""
            book.bury(_id(root / run.name), digest, about, removed)


def _intact(folder: Path, link: Link) -> bool:
    """Whether a run is what was sealed: only then is its verdict that of its drill."""
    path = folder / MANIFEST_FILE
    try:
        data = plain_bytes(path if path.exists() else folder / HALF_FILE)
        return sha256(data) == link.line.sha256 and not changes(folder, decode(data).files)[0]
    except (OSError, msgspec.MsgspecError):
        return False


def record(document: Path) -> str:
    """Write down the hash of a document over several runs that was written beside them; the chain's head after it.

    A later version of the same document replaces it. Raises `OSError`.
    """
    found = hashed(document)
    with writing(document.resolve().parent) as book:
        return book.add(Kind.WRITTEN, found.name, found.sha256).hash


def _complete(root: Path, book: Writer) -> None:
    """Give a manifest its name whose sealing was cut off after its line was written."""
    last = max(book.chain.last(Kind.SEALED).values(), key=lambda link: link.number, default=None)
    if last is None or Path(last.line.subject).name != last.line.subject:
        return
    half = root / last.line.subject / HALF_FILE
    if half.is_file() and not half.with_name(MANIFEST_FILE).exists() and hashed(half).sha256 == last.line.sha256:
        os.replace(half, half.with_name(MANIFEST_FILE))  # noqa: PTH105


def _previous(book: Writer) -> Previous | None:
    links = book.chain.links
    if not links:
        return None
    runs = [link for link in links if link.line.kind is Kind.SEALED]
    run, digest = (runs[-1].line.subject, runs[-1].line.sha256) if runs else ("", "")
    return Previous(run=run, sha256=digest, line=book.chain.head)


def _sign(folder: Path, data: bytes, signer: Signer | None) -> str:
    if signer is None:
        return ""
    signature = signer.sign(data)
    write_whole(folder / SIGNATURE_FILE, signature)
    return sha256(signature)


def _count(book: Writer) -> int:
    return sum(link.line.kind is Kind.SEALED for link in book.chain.links)


def _id(folder: Path) -> str:
    """What a run is called in the chain: its folder, but for bytes that are no text."""
    return folder.name.encode(errors="replace").decode()
