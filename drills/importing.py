"""Runs from elsewhere, such as a CI system's artefacts, become runs of a results folder.

What comes from elsewhere is hostile. Of a ZIP only the contents of files are used: where they go is decided here, by
plain names in a new folder of each run, so no path of theirs leads anywhere. Links are left out, and sizes are limited
by what really comes. A history must be one, and is judged again. A run that comes with a seal must be what was sealed;
every one is sealed anew where it comes to.
"""

from __future__ import annotations

import fcntl
import hashlib
import itertools
import os
import re
import shutil
import stat
import tempfile
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

import msgspec

from drills import chain
from drills.canonical import sha256
from drills.files import finish, folder_name, new_folder, recheck
from drills.history import HISTORY_FILE
from drills.index import runs
from drills.kept import RESULT_FILE, head
from drills.locking import alone
from drills.manifest import HALF_FILE, MANIFEST_FILE, SIGNATURE_FILE, Origin, Sealer, changes, damage, decode
from drills.problems import UsageProblem
from drills.sealing import seal

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_OURS = re.compile(r"\d{8}T\d{6}Z-[a-z0-9-]{1,120}")
_LARGEST_BYTES = 1_000_000_000
"""Of one run, unpacked."""
_LARGEST_HISTORY_BYTES = 300_000_000
"""A history is judged whole, in memory. That of a hundred thousand requests is less than half as long."""
_MOST_FILES = 1000
"""Of one run."""
_PIECE = 1 << 20
_SCRATCH = ".import-"


@dataclass(frozen=True)
class _File:
    name: str
    open: Callable[[], IO[bytes]]


@dataclass(frozen=True)
class _Found:
    """A run at its source. place: for messages. name: of its folder there."""

    place: str
    name: str
    files: tuple[_File, ...]
    left_out: tuple[str, ...]


@dataclass(frozen=True)
class Imported:
    """What came of an import: lines to show, and how many runs were new, there already, and refused."""

    lines: tuple[str, ...]
    new: int
    known: int
    refused: int


def bring(root: Path, sources: Iterable[Path]) -> Imported:
    """Import every run in folders and ZIP files. Raises `UsageProblem` for a source that is neither or has none."""
    found = [run for source in sources for run in _runs_in(source)]
    root.mkdir(parents=True, exist_ok=True)
    with alone(root):
        _sweep(root)
    lines: list[str] = []
    counts = {"new": 0, "known": 0, "refused": 0}
    for run in found:
        try:
            came, said = _bring(root, run)
        except _Refused as why:
            came, said = "refused", [f"{run.place}: refused: {why}"]
        counts[came] += 1
        lines += said
    return Imported(tuple(lines), **counts)


def _sweep(root: Path) -> None:
    """Remove what an import left that was killed: the kernel let go of its lock then. Another's that runs is locked."""
    for rest in root.glob(f"{_SCRATCH}*"):
        if rest.is_dir() and not rest.is_symlink():
            with suppress(OSError), _held(rest):
                shutil.rmtree(rest, ignore_errors=True)


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Hold a folder as long as this process lives. Raises `BlockingIOError` when another one does."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _scratch(root: Path) -> Iterator[Path]:
    """A folder to unpack a run in, made under the lock of the whole, so that nobody sweeps it before it is held."""
    with alone(root):
        made = tempfile.TemporaryDirectory(prefix=_SCRATCH, dir=root, ignore_cleanup_errors=True)
        held = ExitStack()
        held.enter_context(_held(Path(made.name)))
    with held, made as scratch:
        yield Path(scratch)


class _Refused(Exception):
    """Why a run is not imported."""


def _bring(root: Path, run: _Found) -> tuple[str, list[str]]:
    with _scratch(root) as scratch:
        folder = scratch / "run"
        folder.mkdir()
        _copy(run, folder)
        try:
            first = head(folder)
            named = folder_name(first.started_at, first.scenario_file, first.gateway)
        except (OSError, ValueError, msgspec.MsgspecError) as error:
            raise _Refused(f"not the history of a drill: {error}") from error
        if same := _known(root, folder, first.started_at):
            return "known", [f"{run.place}: already there as {same}"]
        said = [f"{run.place}: left out {one}" for one in run.left_out]
        origin, dropped = _unsealed(folder)
        said += [f"{run.place}: left out {one}: it was not there when the run was sealed" for one in dropped]
        try:
            if not (folder / RESULT_FILE).exists():
                finish(folder)
                said.append(f"{run.place}: it had no result and was judged now")
            _, agrees, why = recheck(folder)
        except Exception as error:
            what = "" if isinstance(error, UsageProblem) else f"it cannot be judged: {type(error).__name__}: "
            raise _Refused(f"{what}{_bare(folder, error)}") from error
        if not agrees:
            said.append(f"{run.place}: note: {_bare(folder, why)}")
        name = run.name if _OURS.fullmatch(run.name) else named
        link = chain.read(root).sealed(name)
        back = link is not None and link.line.sha256 == origin.sha256 and not (root / name).exists()
        if back:
            _put_back(folder, origin)
        there = new_folder(root, name if back else _unused(root, name))
        os.replace(folder, there)  # noqa: PTH105  onto the empty folder that was made for it: whole or not at all
    if back:
        return "new", [*said, f"{run.place}: back in its place as {there.name}, as it was sealed here"]
    try:
        seal(there, Sealer.IMPORT, imported=origin)
    except OSError as error:
        said.append(f"{run.place}: note: not sealed: {error.strerror or error}; `drill seal` does it later")
    return "new", [*said, f"{run.place}: imported as {there.name}"]


def _bare(folder: Path, said: object) -> str:
    """A sentence about a run without the folder that it is in for a moment only."""
    return str(said).replace(f"{folder}/", "").replace(f"{folder}: ", "").replace(str(folder), "the run")


def _unsealed(folder: Path) -> tuple[Origin, tuple[str, ...]]:
    """Verify the seal that a run comes with, and put it aside for the one that it gets here; and the files that are not
    part of it, which are dropped. Raises `_Refused` when a file is not what was sealed.
    """
    (folder / HALF_FILE).unlink(missing_ok=True)
    manifest = folder / MANIFEST_FILE
    if not manifest.is_file():
        (folder / SIGNATURE_FILE).unlink(missing_ok=True)
        return Origin(), ()
    data = manifest.read_bytes()
    if wrong := damage(data):
        raise _Refused(f"{MANIFEST_FILE}: {wrong}")
    sealed = decode(data)
    wrong_files, extra = changes(folder, sealed.files)
    if wrong_files:
        raise _Refused("; ".join(map(str, wrong_files)))
    for name in extra:
        (folder / name).unlink()
    number = next(n for n in itertools.count(1) if not (folder / f"imported-{n}.{MANIFEST_FILE}").exists())
    aside = manifest.rename(folder / f"imported-{number}.{MANIFEST_FILE}")
    if (folder / SIGNATURE_FILE).exists():
        (folder / SIGNATURE_FILE).rename(folder / f"imported-{number}.{SIGNATURE_FILE}")
    return Origin(run=sealed.run, manifest=aside.name, sha256=sha256(data)), extra


def _put_back(folder: Path, origin: Origin) -> None:
    """A run that this very chain sealed, and that somebody removed: its seal is good as it is."""
    aside = folder / origin.manifest
    signature = aside.with_name(aside.name.replace(MANIFEST_FILE, SIGNATURE_FILE))
    if signature.exists():
        signature.rename(folder / SIGNATURE_FILE)
    aside.rename(folder / MANIFEST_FILE)


def _unused(root: Path, name: str) -> str:
    """A name that the chain has for no other run: one that was removed by hand keeps its own."""
    known = chain.read(root)
    names = (name if number == 1 else f"{name}-{number}" for number in itertools.count(1))
    return next(one for one in names if known.sealed(one) is None)


def _known(root: Path, folder: Path, started_at: str) -> str:
    """The run that has the very same history, if there is one."""
    mine = _digest(folder)
    same = (run.name for run in runs(root) if run.started_at == started_at)
    return next((name for name in same if _digest(root / name) == mine), "")


def _digest(folder: Path) -> str:
    with (folder / HISTORY_FILE).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _copy(run: _Found, folder: Path) -> None:
    left = _LARGEST_BYTES
    for one in run.files:
        most, of = (_LARGEST_HISTORY_BYTES, one.name) if one.name == HISTORY_FILE else (_LARGEST_BYTES, "the run")
        came = 0
        try:
            with one.open() as source, (folder / one.name).open("xb") as target:
                while piece := source.read(_PIECE):
                    left, came = left - len(piece), came + len(piece)
                    if left < 0 or came > most:
                        raise _Refused(f"{of} is larger than {most // 1_000_000} MB, which no drill writes")
                    target.write(piece)
        except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError) as error:
            raise _Refused(f"{one.name}: {error}") from error


def _runs_in(source: Path) -> Sequence[_Found]:
    if source.is_dir():
        found = list(_of_folder(source))
    elif zipfile.is_zipfile(source):
        found = list(_of_zip(source))
    elif source.exists():
        raise UsageProblem(f"{source}: neither a folder nor a ZIP file")
    else:
        raise UsageProblem(f"{source}: no such file or folder")
    if not found:
        raise UsageProblem(f"{source}: there is no {HISTORY_FILE} in it: no run")
    return found


def _of_folder(source: Path) -> Iterator[_Found]:
    for where, _, names in os.walk(source):
        if HISTORY_FILE in names:
            folder = Path(where)
            good = [name for name in sorted(names) if _taken(name) and _is_plain(folder / name)]
            files = tuple(_File(name, _opener(folder / name)) for name in good)
            yield _found(str(folder), folder.resolve().name, files, set(names) - set(good))


def _is_plain(path: Path) -> bool:
    return stat.S_ISREG(path.lstat().st_mode)


def _opener(path: Path) -> Callable[[], IO[bytes]]:
    return lambda: path.open("rb")


def _of_zip(source: Path) -> Iterator[_Found]:
    try:
        archive = zipfile.ZipFile(source)
        by_folder: dict[PurePosixPath, dict[str, zipfile.ZipInfo]] = defaultdict(dict)
        for info in archive.infolist():
            if not info.is_dir():
                path = PurePosixPath(info.filename)
                by_folder[path.parent][path.name] = info
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise UsageProblem(f"{source}: cannot read the ZIP file: {error}") from error
    for folder, members in sorted(by_folder.items()):
        if HISTORY_FILE in members:
            good = {name: info for name, info in members.items() if _taken(name) and not _is_link(info)}
            files = tuple(_File(name, _member(archive, info)) for name, info in sorted(good.items()))
            yield _found(f"{source}:{folder}", folder.name or source.stem, files, members.keys() - good.keys())


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Callable[[], IO[bytes]]:
    return lambda: archive.open(info)


def _is_link(info: zipfile.ZipInfo) -> bool:
    mode = info.external_attr >> 16
    return mode != 0 and stat.S_IFMT(mode) not in {0, stat.S_IFREG}


def _taken(name: str) -> bool:
    return _NAME.fullmatch(name) is not None


def _found(place: str, name: str, files: tuple[_File, ...], left_out: Iterable[str]) -> _Found:
    if len(files) > _MOST_FILES:
        raise UsageProblem(f"{place}: more than {_MOST_FILES} files are no run")
    if HISTORY_FILE not in {one.name for one in files}:
        raise UsageProblem(f"{place}: {HISTORY_FILE} is a link; links are not followed")
    return _Found(place, name, files, tuple(sorted(left_out)))
