"""One run, verified: its files against its manifest, its manifest against the chain, its numbers against its history.

Reads, and writes nothing. What a file is by its hash comes first; what is computed again says what that means.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from drills.canonical import sha256
from drills.chain import CHAIN_FILE, Chain, Kind, Link
from drills.documents import run as of_run
from drills.findings import A_LINK, Finding, Grade, bad, note
from drills.history import HISTORY_FILE
from drills.kept import RESULT_FILE
from drills.manifest import (
    HALF_FILE,
    MANIFEST_FILE,
    SIGNATURE_FILE,
    Manifest,
    changes,
    damage,
    decode,
    is_left_over,
    shown,
)
from drills.plainfile import plain_bytes

if TYPE_CHECKING:
    from drills.signing import Verifier  # brings a library that only signatures need

_SHOWN = 5
_EVIDENCE = {HISTORY_FILE, RESULT_FILE}


class State(enum.StrEnum):
    """What came of one run or document."""

    VERIFIED = "verified"
    MISMATCH = "mismatch"
    UNSEALED = "unsealed"
    """There is no seal to verify: an old run, one that was killed, or one that still runs."""
    PRUNED = "pruned"
    """The tool removed it, because somebody asked it to, and wrote that down."""


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """A run or a document, verified. name: of its folder or file. kind: of the document. told: what was done."""

    name: str
    kind: str
    state: State
    told: str = ""
    findings: tuple[Finding, ...] = ()


def item(name: str, kind: str, findings: tuple[Finding, ...], told: str) -> Item:
    """Verified, unless one of the findings is a mismatch."""
    state = State.MISMATCH if bad(findings) else State.VERIFIED
    return Item(name=name, kind=kind, state=state, told=told, findings=findings)


def run(folder: Path, chain: Chain, key: Verifier | None, covered: int) -> Item:
    """Verify the folder of a run. covered: up to this line the chain is covered by good signatures of the key."""
    name = folder.resolve().name.encode(errors="replace").decode()
    link = chain.sealed(name)
    path, said = _manifest_file(folder, link)
    if path is None:
        if link is None:
            return _unsealed(folder, name, said, chain)
        recomputed = of_run.recompute(folder)
        return item(name, "run", (*said, *recomputed.findings), recomputed.told)
    data = path.read_bytes()
    found = [*said, *_of_manifest(name, data, link, chain)]
    wrong = damage(data)
    manifest = decode(data) if not wrong or _decodes(data) else None
    files: tuple[Finding, ...] = ()
    if manifest is not None:
        changed, extra = changes(folder, manifest.files)
        files = (*changed, *(_extra(folder, name, manifest.left_out) for name in extra))
        found += _of_origin(folder, manifest)
    recomputed = of_run.recompute(folder)
    found += [*files, *_meaning(recomputed.findings, {one.file for one in files if one.grade is Grade.MISMATCH})]
    found += _of_signature(folder, data, _Signing(link, chain, key, covered))
    listed = len(manifest.files) if manifest is not None else 0
    return item(name, "run", tuple(found), f"{listed} files, {recomputed.told}")


def _unsealed(folder: Path, name: str, said: tuple[Finding, ...], chain: Chain) -> Item:
    """A run without a seal. Nobody can say whether its history is what it was; whether its result is that history's can
    be said all the same.
    """
    told = _why_unsealed(folder, chain)
    wrong = tuple(
        one
        for one in (of_run.recompute(folder).findings if (folder / RESULT_FILE).is_file() else ())
        if one.grade is Grade.MISMATCH
    )
    state = State.MISMATCH if bad((*said, *wrong)) else State.UNSEALED
    return Item(name=name, kind="run", state=state, findings=(*said, *wrong), told=told)


def _decodes(data: bytes) -> bool:
    try:
        decode(data)
    except msgspec.MsgspecError:
        return False
    return True


def _why_unsealed(folder: Path, chain: Chain) -> str:
    if (folder / HALF_FILE).is_file():
        return "its sealing was cut off before the chain had it; `drill seal` seals it from now on"
    if not (folder / RESULT_FILE).is_file():
        return "it has no result: it was killed, or it is still running"
    return f"not verified; `drill seal` seals it from now on{'' if chain.there else ', and begins a chain'}"


def _manifest_file(folder: Path, link: Link | None) -> tuple[Path | None, tuple[Finding, ...]]:
    if (folder / MANIFEST_FILE).is_symlink():
        return None, (Finding(file=MANIFEST_FILE, what=A_LINK),)
    if (folder / MANIFEST_FILE).is_file():
        return folder / MANIFEST_FILE, ()
    if link is None:
        return None, ()
    half = folder / HALF_FILE
    if half.is_file() and sha256(half.read_bytes()) == link.line.sha256:
        what = f"the manifest still wants its name, {MANIFEST_FILE}: a crash came before; the next run gives it"
        return half, (note(HALF_FILE, what),)
    return None, (Finding(file=MANIFEST_FILE, what=f"missing; the run was sealed on {link.line.at}"),)


def _of_manifest(name: str, data: bytes, link: Link | None, chain: Chain) -> Iterator[Finding]:
    if wrong := damage(data):
        yield Finding(file=MANIFEST_FILE, what=wrong)
    if not chain.there:
        yield note(CHAIN_FILE, "there is none beside this run: whether a run before or after it is gone cannot be said")
    elif link is None:
        yield Finding(file=CHAIN_FILE, what=f"no line of it seals {name}, though there is a manifest")
    elif sha256(data) != link.line.sha256:
        was, now = f"sha256 {link.line.sha256}", f"sha256 {sha256(data)}"
        yield Finding(file=MANIFEST_FILE, what="not the one that was sealed", expected=was, found=now)
    if not _decodes(data):
        return
    manifest = decode(data)
    if manifest.run != name:
        what = f"of another run: the folder is {name}, and it says {manifest.run}"
        yield Finding(file=MANIFEST_FILE, what=what, grade=Grade.MISMATCH if chain.there else Grade.NOTE)
    before = manifest.previous.line if manifest.previous else ""
    if link is not None and before != link.line.previous:
        what = "it says that another line was the chain's last one before it"
        was = link.line.previous or "none"
        yield Finding(file=MANIFEST_FILE, where="previous.line", what=what, expected=was, found=before or "none")


def _extra(folder: Path, name: str, left_out: tuple[str, ...]) -> Finding:
    """A file that the manifest does not list. A report that was asked for later is fine, if it is the right one."""
    if name in _EVIDENCE:
        return Finding(file=shown(name), what="not sealed, so nothing that rests on it is")
    if shown(name) in left_out:
        return note(shown(name), "left out when the run was sealed: it may be anything, and nothing rests on it")
    if is_left_over(name):
        return note(shown(name), "left by a write that was cut off; it belongs to nothing")
    stranger = Finding(file=shown(name), what="extra: it was not there when the run was sealed")
    return of_run.made_later(folder, name) or stranger


def _of_origin(folder: Path, manifest: Manifest) -> Iterator[Finding]:
    """An imported run's own manifest still says the same of the same files."""
    origin = manifest.imported
    if origin is None or not origin.manifest:
        return
    path = folder / Path(origin.manifest).name
    if not path.is_file() or not _decodes(path.read_bytes()):
        yield Finding(file=origin.manifest, what="the manifest that this run came with cannot be read any more")
        return
    now = {one.name: one.sha256 for one in manifest.files}
    for one in decode(path.read_bytes()).files:
        if one.name in now and now[one.name] != one.sha256:
            what = f"{one.name} is not the file that this run came with"
            yield Finding(file=origin.manifest, what=what, expected=one.sha256, found=now[one.name])
    yield note(origin.manifest, f"it was imported; there it was called {origin.run}")


def _meaning(found: tuple[Finding, ...], changed: set[str]) -> Iterator[Finding]:
    """What was computed again, as a consequence of what was changed.

    When the history itself is not the one that was sealed, a report with the right hash is not what is wrong. What its
    numbers would be now is then told of the history, without repeating it for each report.
    """
    if HISTORY_FILE not in changed:
        yield from found
        return
    moved = [one for one in found if one.file == RESULT_FILE and one.where and one.where != "history_sha256"]
    told = [one for one in found if one.file == HISTORY_FILE]
    for one in moved[:_SHOWN]:
        what = f"judged again, it gives another {one.where}"
        told.append(Finding(file=HISTORY_FILE, what=what, expected=one.found, found=one.expected))
    if len(moved) > _SHOWN:
        told.append(Finding(file=HISTORY_FILE, what=f"judged again, {len(moved) - _SHOWN} more fields are others"))
    yield from told or [note(HISTORY_FILE, "judged again, every field of the result is the same as before")]


@dataclass(frozen=True)
class _Signing:
    """What is known of a run's signature."""

    link: Link | None
    chain: Chain
    key: Verifier | None
    covered: int

    @property
    def recorded(self) -> str:
        """The SHA-256 of the signature, as the chain has it; empty when the run was not signed."""
        if self.link is None:
            return ""
        later = self.chain.last(Kind.SIGNED).get(self.link.line.subject)
        if later is not None and later.number > self.link.number:
            return later.line.signature
        return self.link.line.signature


def _of_signature(folder: Path, data: bytes, signing: _Signing) -> Iterator[Finding]:
    path = folder / SIGNATURE_FILE
    if path.is_symlink():
        yield Finding(file=SIGNATURE_FILE, what=A_LINK)
        return
    signature = path.read_bytes() if path.is_file() else b""
    good = signing.key is not None and path.is_file() and signing.key.verifies(signature, data)
    if signing.recorded and not path.is_file():
        yield Finding(file=SIGNATURE_FILE, what="missing; the run was signed")
    elif signing.recorded and sha256(signature) != signing.recorded:
        yield Finding(file=SIGNATURE_FILE, what="not the signature that the chain has")
    elif path.is_file() and signing.chain.there and not signing.recorded and not good:
        yield Finding(file=SIGNATURE_FILE, what="the chain has no line of this signature; sign the run again")
    elif path.is_file() and signing.key is None:
        yield note(SIGNATURE_FILE, "the run is signed; --key says whether by whom you think")
    if signing.key is None or good:
        return
    if path.is_file():
        yield Finding(
            file=SIGNATURE_FILE, what=f"not a signature of this manifest by the key {signing.key.fingerprint}"
        )
    elif signing.link is None or signing.link.number > signing.covered:
        what = f"neither this run nor one after it is signed with the key {signing.key.fingerprint}"
        yield Finding(file=SIGNATURE_FILE, what=what)


def covered_by(root: Path, chain: Chain, key: Verifier | None) -> int:
    """The last line that a good signature covers: a signed manifest names the last line before its own."""
    if key is None:
        return 0
    numbers = {link.hash: link.number for link in chain.links}
    best = 0
    for name, link in chain.standing.items():
        folder = root / Path(name).name
        if (folder / MANIFEST_FILE).is_symlink() or (folder / SIGNATURE_FILE).is_symlink():
            continue  # told where the run is verified
        try:
            data, signature = plain_bytes(folder / MANIFEST_FILE), plain_bytes(folder / SIGNATURE_FILE)
        except OSError:
            continue  # not signed, or gone, which is told elsewhere
        if sha256(data) != link.line.sha256 or not _decodes(data) or not key.verifies(signature, data):
            continue
        manifest = decode(data)
        before = numbers.get(manifest.previous.line, 0) if manifest.previous else 0
        best = max(best, before)
    return best
