"""`drill verify`: runs and documents, verified, as text or JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from drills import __version__, chain
from drills.chain import CHAIN_FILE, Chain, Kind
from drills.documents import base as documents
from drills.documents.run import is_folder_of_run
from drills.findings import A_LINK, Finding, Grade, bad, note
from drills.manifest import MANIFEST_FILE, hashed
from drills.problems import UsageProblem
from drills.verifying import Item, State, covered_by, item
from drills.verifying import run as verified_run

if TYPE_CHECKING:
    from drills.signing import Verifier

SCHEMA = "failover-drill/verification/1"
EXIT_VERIFIED = 0
EXIT_MISMATCH = 1
EXIT_NOTHING = 3
_HEX = 64
_SHOWN = 5
_COUNTED = "the report counts this run, which is not verified"


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A folder of runs, or one run or document by itself. head: the hash of the last line of its chain."""

    path: str
    head: str
    items: tuple[Item, ...]
    findings: tuple[Finding, ...] = ()


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """The whole of it. exit_code: 0 verified, 1 a mismatch, 3 nothing was there to verify."""

    schema: str
    tool_version: str
    key: str
    exit_code: int
    places: tuple[Place, ...]


def verify(
    paths: Sequence[Path], key: Verifier | None = None, head: str = "", runs: Path | None = None
) -> Verification:
    """Verify folders of runs, runs, and documents. head: a hash of a chain that was kept elsewhere. runs: where the
    runs of documents are that do not stand beside them.

    Raises `UsageProblem` for a path that is none of these.
    """
    if runs is not None and not runs.is_dir():
        raise UsageProblem(f"--runs {runs}: no such folder")
    if head and (len(head) != _HEX or set(head) - set("0123456789abcdef")):
        raise UsageProblem(f"--head {head!r}: write the whole hash, {_HEX} digits from 0 to f")
    places = tuple(_place(path, key, head, runs) for path in paths)
    mismatch = any(bad(place.findings) or any(one.state is State.MISMATCH for one in place.items) for place in places)
    some = any(one.state is State.VERIFIED for place in places for one in place.items)
    return Verification(
        schema=SCHEMA,
        tool_version=__version__,
        key=key.fingerprint if key else "",
        exit_code=EXIT_MISMATCH if mismatch else EXIT_VERIFIED if some else EXIT_NOTHING,
        places=places,
    )


@dataclass(frozen=True)
class _Runs:
    """Where the runs are that documents rest on. seen: what was verified already, by name."""

    root: Path
    chain: Chain
    key: Verifier | None
    covered: int
    seen: dict[str, Item]

    def item(self, name: str) -> Item | None:
        """A run, verified, once; None when there is no such folder, which whoever lists it says."""
        name = Path(name).name
        folder = self.root / name
        if name not in self.seen and is_folder_of_run(folder):
            self.seen[name] = verified_run(folder, self.chain, self.key, self.covered)
        return self.seen.get(name)


def _place(path: Path, key: Verifier | None, head: str, elsewhere: Path | None) -> Place:
    kind = next((one for one in documents.documents() if one.claims(path)), None)
    if kind is None and not path.is_dir():
        raise UsageProblem(f"{path}: {'not a document of a drill' if path.exists() else 'no such file or folder'}")
    beside = path if kind is None else path.resolve().parent
    alone = is_folder_of_run(path)
    root = beside if elsewhere is None or alone else elsewhere
    found = chain.read(root)
    covered = covered_by(root, found, key)
    findings = [*found.findings, *_kept_elsewhere(found, head)]
    own = found if root.resolve() == beside.resolve() else chain.read(beside)
    runs = _Runs(root, found, key, covered, {})
    if kind is not None:
        several = [verified_run(path, found, key, covered)] if alone else _document(kind, path, own, runs)
        return Place(path=str(path), head=found.head, items=tuple(several), findings=tuple(findings))
    items = _runs(path, own, key, covered if own is found else covered_by(path, own, key))
    if own is found:
        runs.seen.update({one.name: one for one in items})
    items += _documents(path, own, runs)
    if not items and not own.there:
        raise UsageProblem(f"{path}: there is no run in it")
    if not own.there and any((folder / MANIFEST_FILE).is_file() for folder in _folders(path)):
        findings.append(Finding(file=CHAIN_FILE, what="missing, though there are runs that were sealed"))
    return Place(path=str(path), head=found.head, items=tuple(items), findings=tuple(findings))


def _kept_elsewhere(found: Chain, head: str) -> list[Finding]:
    if not head or any(link.hash == head for link in found.links):
        return []
    return [Finding(file=CHAIN_FILE, what=f"it has no line with the hash {head}, which was kept elsewhere")]


def _folders(root: Path) -> list[Path]:
    return sorted(folder for folder in root.iterdir() if is_folder_of_run(folder))


def _runs(root: Path, found: Chain, key: Verifier | None, covered: int) -> list[Item]:
    there = {folder.name.encode(errors="replace").decode(): folder for folder in _folders(root)}
    standing = found.standing
    items = []
    for name in sorted({*there, *standing}):
        link = standing.get(name)
        folder = there.get(name)
        if (link is None) != (folder is None):
            # A drill may have ended since the chain was read, or a removal may have begun.
            found = chain.read(root)
            link = found.standing.get(name)
        if link is not None and link.line.kind is Kind.PRUNED:
            half = f", {link.line.about}" if link.line.about else ""
            told = f"removed by the tool on {link.line.at}{half}"
            said = () if folder is None else (_half_removed(name),)
            items.append(Item(name=name, kind="run", state=State.PRUNED, told=told, findings=said))
        elif folder is None and link is not None:
            items.append(_gone(root, name, link.line.at))
        elif folder is not None:
            items.append(verified_run(folder, found, key, covered))
    return items


def _half_removed(name: str) -> Finding:
    what = "the chain says that it was removed, and it is still there: that was cut off, or somebody put it back"
    return Finding(file=name, what=what, grade=Grade.NOTE)


def _gone(root: Path, name: str, at: str) -> Item:
    folder = root / Path(name).name
    if folder.is_dir() and not folder.is_symlink():
        what = f"neither a history nor a manifest is in it; it was sealed on {at}"
    else:
        what = f"missing; it was sealed on {at}, and it was not this tool that removed it"
    return item(name, "run", (Finding(file=name, what=what),), "")


def _documents(root: Path, found: Chain, runs: _Runs) -> list[Item]:
    items = []
    seen: set[str] = set()
    for kind in documents.documents():
        if kind.name == "run":
            continue
        for path in kind.within(root):
            recomputed = kind.recompute(path, runs.root)
            seen.update({path.name, *recomputed.files})
            items += _judged(kind, path, found, runs, recomputed)
    others = sorted(found.last(Kind.WRITTEN).keys() - seen)
    return items + [item(name, "document", _as_written(root / Path(name).name, found), "hash only") for name in others]


def _document(kind: documents.Document, path: Path, found: Chain, runs: _Runs) -> list[Item]:
    return _judged(kind, path, found, runs, kind.recompute(path, runs.root))


def _judged(
    kind: documents.Document, path: Path, found: Chain, runs: _Runs, recomputed: documents.Recomputed
) -> list[Item]:
    """A document, and each file of it of which nobody can say whether it is the one that was written."""
    names = recomputed.files or (path.name,)
    written = [finding for name in names for finding in _as_written(path.with_name(name), found)]
    rests = list(_rests_on(path.name, recomputed.rests_on, runs))
    unsigned = _unsigned(names, found, runs)
    findings = (*written, *rests, *unsigned, *recomputed.findings)
    one = item(path.name, kind.name, findings, recomputed.told)
    known = found.last(Kind.WRITTEN)
    hashed_only = not recomputed.whole and not all(name in known for name in names)
    if (hashed_only or unsigned) and one.state is State.VERIFIED:
        one = msgspec.structs.replace(one, state=State.UNSEALED)
    loose = [name for name in recomputed.hash_only if name not in known and path.with_name(name).is_file()]
    return [one, *(Item(name=name, kind=kind.name, state=State.UNSEALED, told=_NO_HASH) for name in loose)]


_NO_HASH = "it cannot be computed again, and no chain has its hash"


def _unsigned(names: Sequence[str], found: Chain, runs: _Runs) -> tuple[Finding, ...]:
    """Of a document that was asked for a signature: the files that none covers. The runs that it rests on are signed,
    which says nothing of what somebody wrote around their numbers.
    """
    if runs.key is None:
        return ()
    known = found.last(Kind.WRITTEN)
    same = found is runs.chain  # its numbers are those of the lines that signatures cover
    loose = [name for name in names if not same or name not in known or known[name].number > runs.covered]
    if not loose:
        return ()
    what = f"no signature with {runs.key.fingerprint} covers {', '.join(loose)}: sign a run that is made after"
    return (note(loose[0], what),)


def _rests_on(name: str, counted: Sequence[str], runs: _Runs) -> Iterator[Finding]:
    """The runs that a document counts and that are not what was sealed, by name; and those that nobody sealed."""
    loose = []
    for run in counted:
        one = runs.item(run)
        if one is None:
            continue
        wrong = [finding for finding in one.findings if finding.grade is Grade.MISMATCH]
        if one.state is State.MISMATCH and wrong:
            more = f", and {len(wrong) - 1} more" if len(wrong) > 1 else ""
            yield Finding(
                file=f"{run}/{wrong[0].file}", where=wrong[0].where, what=f"{_COUNTED}: {wrong[0].what}{more}"
            )
        elif one.state is State.UNSEALED:
            loose.append(run)
    if loose:
        shown = f"{', '.join(loose[:_SHOWN])}{', ...' if len(loose) > _SHOWN else ''}"
        what = f"{len(loose)} of the {len(counted)} runs that it counts are not sealed, so nobody can say whether they"
        yield Finding(file=name, what=f"{what} changed: {shown}", grade=Grade.NOTE)


def _as_written(path: Path, found: Chain) -> tuple[Finding, ...]:
    """Whether a document has the bytes that the chain says were written, if it says so."""
    if path.is_symlink():
        return (Finding(file=path.name, what=A_LINK),)
    link = found.last(Kind.WRITTEN).get(path.name)
    if link is None:
        return ()
    if not path.is_file():
        return (Finding(file=path.name, what=f"missing; it was written on {link.line.at}"),)
    now = hashed(path).sha256
    if now == link.line.sha256:
        return ()
    was = f"sha256 {link.line.sha256}"
    what = f"not the bytes that were written on {link.line.at}"
    return (Finding(file=path.name, what=what, expected=was, found=f"sha256 {now}"),)


def as_json(found: Verification) -> str:
    """The verification for other tools."""
    return msgspec.json.format(msgspec.json.encode(found), indent=2).decode()


def as_text(found: Verification) -> str:
    """The verification for people: one line for each run, what is wrong below it, the sums last."""
    return "\n".join(line for place in found.places for line in _lines(place, found.key))


def _line(text: str) -> str:
    """One line, whatever the names in it are: a line end in the name of a folder would forge another one."""
    return "\\n".join(text.splitlines())


def _lines(place: Place, key: str) -> list[str]:
    lines = [_line(f"{one.grade}: {one}") for one in place.findings]
    for one in place.items:
        lines.append(_line(f"{one.state:<8}  {one.name}{f': {one.told}' if one.told else ''}"))
        lines += [_line(f"  {finding.grade}: {finding}") for finding in one.findings]
    counts = Counter(one.state for one in place.items)
    sums = ", ".join(f"{counts[state]} {state}" for state in State if counts[state])
    lines.append(
        f"{_line(place.path)}: {sums or 'no runs'}{f'; signed with {key}' if key and not _wrong(place) else ''}"
    )
    lines.append(f"chain: {f'head {place.head}' if place.head else 'none'}")
    return lines


def _wrong(place: Place) -> bool:
    return bad(place.findings) or any(one.state is not State.VERIFIED for one in place.items)
