"""`chain.jsonl`: one line for each run that was sealed, each with the hash of the line before it.

Law: the file only grows, one whole line at a time, under a lock on itself. So two drills that end at once come one
after the other, and a line that a crash cut short is never taken away: the next writer ends it and says in a line of
its own what it was.

`parse` is pure; `writing` is the only place that writes.
"""

from __future__ import annotations

import enum
import errno
import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

import msgspec

from drills.canonical import damage, decode, encoded, hash_of, sha256
from drills.findings import A_LINK, Finding, note
from drills.plainfile import plain_bytes

CHAIN_FILE = "chain.jsonl"
CHANGED = "changed since it was sealed"
"""Where the verdict of a pruned run stands: what was removed was not what had been sealed."""


class Kind(enum.StrEnum):
    """What a line of the chain says."""

    SEALED = "sealed"
    """A run was sealed; sha256 is that of its manifest."""
    SIGNED = "signed"
    """The manifest of a run that had been sealed before was signed."""
    PRUNED = "pruned"
    """The tool removed a run, because somebody asked it to; sha256 is that of its manifest, empty when it was not
    sealed. about: its verdict.
    """
    WRITTEN = "written"
    """A document over several runs was written beside them; sha256 is that of its file."""
    TORN = "torn"
    """A line that a crash cut short stands before this one; sha256 is that of what there is of it."""


class Removed(msgspec.Struct, frozen=True, kw_only=True):
    """What the chain remembers of a run that was removed. scenario: by what its runs are known."""

    started_at: str
    scenario: str
    gateway: str
    config_sha256: str
    entry_model: str = ""


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A line. subject: the run's folder, or the document's file. at: UTC. previous: the hash of the whole line before,
    empty for the first. signature, key: SHA-256 of `manifest.sig`, and the fingerprint of the key, of a signed run.
    removed: of a pruned run; None in lines of earlier versions.
    """

    kind: Kind
    at: str
    subject: str
    sha256: str
    previous: str
    about: str = ""
    signature: str = ""
    key: str = ""
    removed: Removed | None = None


@dataclass(frozen=True)
class Link:
    """A line as it stands in the file. number: counted from 1. hash: its own; the next line repeats it."""

    number: int
    line: Line
    hash: str


@dataclass(frozen=True)
class Chain:
    """A chain as it was read. torn: what a crash left at its end, without a line end. there: whether there is one."""

    links: tuple[Link, ...] = ()
    findings: tuple[Finding, ...] = ()
    torn: bytes = b""
    there: bool = False

    @property
    def head(self) -> str:
        """The hash of the last line: whoever keeps it elsewhere can tell later that nothing before it was changed."""
        return self.links[-1].hash if self.links else ""

    def sealed(self, run: str) -> Link | None:
        """The line that sealed a run, unless the run was pruned since."""
        link = self.standing.get(run)
        return link if link is not None and link.line.kind is Kind.SEALED else None

    @cached_property
    def standing(self) -> Mapping[str, Link]:
        """By run, the last line that sealed or pruned it. Asked once for each of many runs, so worked out once."""
        return {one.line.subject: one for one in self.links if one.line.kind in {Kind.SEALED, Kind.PRUNED}}

    def last(self, kind: Kind) -> dict[str, Link]:
        """By subject, the last line of a kind."""
        return {one.line.subject: one for one in self.links if one.line.kind is kind}


def read(root: Path) -> Chain:
    """The chain of a folder of runs; an empty one when there is none. Raises `OSError`."""
    if (root / CHAIN_FILE).is_symlink():
        return Chain(findings=(Finding(file=CHAIN_FILE, what=A_LINK),), there=True)
    try:
        return parse(plain_bytes(root / CHAIN_FILE))
    except FileNotFoundError:
        return Chain()


def parse(data: bytes) -> Chain:
    """A chain out of its bytes. What is wrong with it is in its findings, and reading goes on after it."""
    *pieces, rest = data.split(b"\n")
    numbered = list(enumerate([piece + b"\n" for piece in pieces], start=1))
    cut = bool(rest) and not damage(rest + b"\n")
    if cut:
        numbered.append((len(numbered) + 1, rest + b"\n"))  # whole but for its line end
        rest = b""
    reader = _Reader()
    for number, piece in numbered:
        reader.take(number, piece)
    if cut:
        reader.wants_its_end(len(numbered))
    return reader.done(rest)


class _Reader:
    """Reads a chain line by line. `_odd` are lines that cannot be read and that no later line has explained yet."""

    def __init__(self) -> None:
        self._links: list[Link] = []
        self._findings: list[Finding] = []
        self._odd: list[tuple[int, bytes, str]] = []
        self._sealed: set[str] = set()
        self._last: dict[str, str] = {}
        self._pruned: dict[str, str] = {}

    def take(self, number: int, piece: bytes) -> None:
        wrong = damage(piece)
        line = None
        if not wrong:
            try:
                line = decode(piece, Line)
            except msgspec.MsgspecError as error:
                wrong = f"not a line of a chain: {error}"
        if line is None:
            self._odd.append((number, piece, wrong))
            return
        self._follows(number, line)
        self._twice(number, line)
        self._links.append(Link(number, line, hash_of(piece)))

    def _follows(self, number: int, line: Line) -> None:
        where = f"line {number}"
        odd = self._unexplained()
        if line.kind is Kind.TORN and line.sha256 == sha256(odd.removesuffix(b"\n")):
            self._findings.append(note(CHAIN_FILE, f"{where}: a line before it was cut short by a crash on {line.at}"))
        elif self._odd:
            self._complain()
        elif line.kind is Kind.TORN:
            self._add(where, "speaks of a line that was cut short and is not there")
        before = self._links[-1].hash if self._links else ""
        if line.previous != before and (line.kind is Kind.TORN or not self._odd):
            what = "does not follow the line before it: a line was removed, added or moved"
            self._findings.append(
                Finding(
                    file=CHAIN_FILE, where=where, what=what, expected=before or "none", found=line.previous or "none"
                )
            )
        self._odd = []

    def _twice(self, number: int, line: Line) -> None:
        """A run is sealed once: whoever changes it and seals it again is seen."""
        if line.kind is Kind.SEALED and line.subject in self._sealed:
            self._add(f"line {number}", f"seals {line.subject} a second time")
        if line.kind is Kind.SEALED:
            self._sealed.add(line.subject)
            if self._pruned.get(line.subject, line.sha256) != line.sha256:
                what = f"seals {line.subject} again, with another manifest than before it was removed"
                self._findings.append(note(CHAIN_FILE, f"line {number}: {what}"))
            self._last[line.subject] = line.sha256
        elif line.kind is Kind.PRUNED:
            self._sealed.discard(line.subject)
            # One that never was sealed has nothing that a later seal could differ from.
            if line.subject in self._last:
                self._pruned[line.subject] = self._last[line.subject]

    def wants_its_end(self, number: int) -> None:
        """Nothing is lost, and yet a byte is gone that was written in one piece with the others."""
        what = "its line end is missing, cut off by a crash or by hand; the next line that is written puts it back"
        self._add(f"line {number}", what)

    def _unexplained(self) -> bytes:
        return b"".join(piece for _, piece, _ in self._odd)

    def _complain(self) -> None:
        for number, _, wrong in self._odd:
            self._add(f"line {number}", wrong)

    def _add(self, where: str, what: str) -> None:
        self._findings.append(Finding(file=CHAIN_FILE, where=where, what=what))

    def done(self, rest: bytes) -> Chain:
        torn = self._unexplained() + rest if rest else b""
        if torn:
            what = "it ends in a line that was cut short, by a crash or by hand; the next run will note it"
            self._add("the end", what)
        else:
            self._complain()
        return Chain(tuple(self._links), tuple(self._findings), torn, there=True)


class Writer:
    """Adds lines. Only while the lock is held."""

    def __init__(self, file: BinaryIO) -> None:
        file.seek(0)
        data = file.read()
        self._file = file
        self.chain = parse(data)
        self._ended = data.endswith(b"\n") or not data
        if self.chain.torn:
            self.add(Kind.TORN, "", sha256(self.chain.torn))

    def add(
        self, kind: Kind, subject: str, digest: str, *, about: str = "", signature: str = "", key: str = ""
    ) -> Link:
        """Add a line; it is on the disk when this returns. Raises `OSError`; nothing was added then."""
        bare = Line(
            kind=kind, at=now(), subject=subject, sha256=digest, previous="", about=about, signature=signature, key=key
        )
        return self._put(bare)

    def bury(self, run: str, digest: str, verdict: str, removed: Removed) -> Link:
        """Add the line of a run that is about to be removed. Raises `OSError`; nothing was added then."""
        return self._put(
            Line(kind=Kind.PRUNED, at=now(), subject=run, sha256=digest, previous="", about=verdict, removed=removed)
        )

    def _put(self, bare: Line) -> Link:
        line = msgspec.structs.replace(bare, previous=self.chain.head)
        data = encoded(line)
        self._append(data if self._ended else b"\n" + data)
        number = self.chain.links[-1].number + 1 if self.chain.links else 1
        link = Link(number, line, hash_of(data))
        self.chain = Chain((*self.chain.links, link), self.chain.findings, there=True)
        return link

    def _append(self, data: bytes) -> None:
        size = self._file.seek(0, os.SEEK_END)
        try:
            if os.write(self._file.fileno(), data) != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), CHAIN_FILE)  # noqa: TRY301  undone as any other
            os.fsync(self._file.fileno())
        except OSError:
            self._file.truncate(size)
            raise
        self._ended = True


@contextmanager
def writing(root: Path) -> Iterator[Writer]:
    """Add to the chain of a folder of runs; one process at a time. Raises `OSError` when it cannot be written."""
    path = root / CHAIN_FILE
    if path.is_symlink():
        raise OSError(errno.ELOOP, A_LINK, str(path))
    with path.open("a+b", buffering=0) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield Writer(file)


def now() -> str:
    """The time as records hold it: UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
