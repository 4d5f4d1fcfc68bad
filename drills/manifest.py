"""`manifest.json`: the size and SHA-256 of every file of a run, and which run was sealed before it.

It is the last file of a run, and never changed again: what comes later (a signature, a removal) is in the chain.
"""

from __future__ import annotations

import enum
import hashlib
import platform
import re
import stat
from pathlib import Path

import msgspec

from drills import __version__, canonical
from drills.chain import now
from drills.findings import Finding
from drills.plainfile import opened
from drills.redaction import NEVER_STORED

SCHEMA = "failover-drill/manifest/1"
MANIFEST_FILE = "manifest.json"
SIGNATURE_FILE = "manifest.sig"
HALF_FILE = "manifest.json.part"
"""A manifest whose line in the chain may not be written yet. Renamed when it is."""
_INDENT = 2
_OURS = {MANIFEST_FILE, SIGNATURE_FILE, HALF_FILE}
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_CUT_OFF = re.compile(r"\..+\.[0-9a-f]{8}\.part")
"""What `drills.files.write_whole` leaves when it is killed."""


class Sealer(enum.StrEnum):
    """Who sealed a run, and so how much of its life the seal covers."""

    RUN = "run"
    """The run itself, at its end."""
    IMPORT = "import"
    """An import: from then on."""
    LATER = "later"
    """`drill seal`: from then on."""


class File(msgspec.Struct, frozen=True, kw_only=True):
    """One file. sha256: of its bytes, 64 hex digits."""

    name: str
    size_bytes: int
    sha256: str


class Previous(msgspec.Struct, frozen=True, kw_only=True):
    """The run that was sealed before. sha256: of its manifest file. line: the hash of the chain's last line then."""

    run: str
    sha256: str
    line: str


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Where an imported run comes from. run: what it was called there, empty when it had no manifest there.

    manifest: the file in which its manifest from there is kept, verified when it came.
    """

    run: str = ""
    manifest: str = ""
    sha256: str = ""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """A run, sealed. run: the name of its folder. sealed_at: UTC. previous: None for the first run of a chain.

    left_out: what else was in the folder, of which it says nothing: no plain file, or a name that no file of a run has.
    """

    schema: str
    run: str
    sealed_at: str
    sealed_by: Sealer
    tool_version: str
    python: str
    platform: str
    files: tuple[File, ...]
    previous: Previous | None
    imported: Origin | None
    never_stored: tuple[str, ...]
    left_out: tuple[str, ...] = ()


def make(folder: Path, run: str, by: Sealer, imported: Origin | None) -> Manifest:
    """The manifest of what a folder holds now, not yet part of a chain. Raises `OSError`."""
    files = files_of(folder)
    sealed = {one.name for one in files} | _OURS
    return Manifest(
        schema=SCHEMA,
        run=run,
        sealed_at=now(),
        sealed_by=by,
        tool_version=__version__,
        python=platform.python_version(),
        platform=f"{platform.system()} {platform.machine()}",
        files=files,
        previous=None,
        imported=imported,
        never_stored=NEVER_STORED,
        left_out=tuple(sorted({shown(path.name) for path in folder.iterdir() if path.name not in sealed})),
    )


def encode(manifest: Manifest) -> bytes:
    """The bytes of `manifest.json`."""
    return canonical.encoded(manifest, indent=_INDENT)


def decode(data: bytes) -> Manifest:
    """A manifest out of its bytes. Raises `msgspec.MsgspecError`."""
    return canonical.decode(data, Manifest)


def damage(data: bytes) -> str:
    """Why these are not the bytes of a manifest as it was written; empty when they are."""
    if wrong := canonical.damage(data, indent=_INDENT):
        return wrong
    try:
        found = decode(data)
    except msgspec.MsgspecError as error:
        return f"not a manifest: {error}"
    return "" if found.schema == SCHEMA else f"of a kind that this version does not know: {found.schema}"


def hashed(path: Path) -> File:
    """A file as it is now. Raises `OSError`."""
    with opened(path) as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return File(name=path.name, size_bytes=file.tell(), sha256=digest)


def files_of(folder: Path) -> tuple[File, ...]:
    """Every plain file of a run that a manifest lists, by name. Raises `OSError`."""
    there = sorted(path for path in folder.iterdir() if path.name not in _OURS and _PLAIN.fullmatch(path.name))
    return tuple(hashed(path) for path in there if stat.S_ISREG(path.lstat().st_mode))


def shown(name: str) -> str:
    """A file's name as text, each name another one: bytes that are no text are written as escapes."""
    return name.encode(errors="surrogateescape").decode(errors="backslashreplace")


def changes(folder: Path, listed: tuple[File, ...]) -> tuple[tuple[Finding, ...], tuple[str, ...]]:
    """Every file that is not what a manifest lists, and the names of those that it does not list. Raises `OSError`."""
    found = tuple(finding for one in listed if (finding := _compared(folder, one)) is not None)
    known = _OURS | {one.name for one in listed}
    return found, tuple(sorted(path.name for path in folder.iterdir() if path.name not in known))


def is_left_over(name: str) -> bool:
    """Whether a file is what a write left that was cut off."""
    return _CUT_OFF.fullmatch(name) is not None


def _compared(folder: Path, listed: File) -> Finding | None:
    path = folder / listed.name
    try:
        if Path(listed.name).name != listed.name or not stat.S_ISREG(path.lstat().st_mode):
            return Finding(file=listed.name, what="no plain file in the folder of the run")
        now = hashed(path)
    except FileNotFoundError:
        return Finding(file=listed.name, what="missing; it was there when the run was sealed")
    what = "not the bytes that were sealed"
    if now.size_bytes != listed.size_bytes:
        was, found = f"{listed.size_bytes} bytes", f"{now.size_bytes} bytes"
        return Finding(file=listed.name, what=what, expected=was, found=found)
    if now.sha256 != listed.sha256:
        was, found = f"sha256 {listed.sha256}", f"sha256 {now.sha256}"
        return Finding(file=listed.name, what=what, expected=was, found=found)
    return None
