"""The quarterly report: assembled and written again from the runs that it speaks of, and compared byte by byte.

`quarter-2026Q4.json` is the report; the page, the Markdown and the PDF beside it are the same in other words. Its
numbers rest on result.json files, so it is as good as the runs are: `drill verify` verifies each run that it counts.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection, Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import msgspec

from drills import __version__, chain
from drills.build import build
from drills.canonical import sha256
from drills.chain import Chain, Kind
from drills.differing import Difference, in_bytes, in_json
from drills.documents.base import Document, Recomputed
from drills.findings import Finding, Grade, note
from drills.history import HISTORY_FILE
from drills.kept import UNFINISHED
from drills.manifest import HALF_FILE, MANIFEST_FILE
from drills.moments import moment
from drills.plainfile import plain_bytes
from drills.problems import UsageProblem
from drills.quarter.assembling import assemble
from drills.quarter.dates import Quarter, end_of, parse
from drills.quarter.pruned import There, left_out, pruned
from drills.quarter.reading import runs_of
from drills.quarter.result import QUARTER_SCHEMA, QuarterResult, RunRow, decode, encode
from drills.quarter.run import RunOfQuarter
from drills.quarter.sealed import Evidence, SealState
from drills.quarter.seals import names_in, seal_of, whole
from reports.base import quarter_formats

_FILE = re.compile(r"quarter-\d{4}Q[1-4]\.(json|html|md|pdf)")
_TEXTS = ("html", "md")
_SHOWN = 12
_MADE_WITHIN = timedelta(minutes=1)
"""Between the moment up to which a report is judged and its reading the chain; other drills may end meanwhile."""
_MEASURED = {
    "headline",
    "gateways",
    "scenarios",
    "coverage",
    "recoveries",
    "returns",
    "trend",
    "downtimes",
    "chains",
    "budgets",
    "savings",
    "efforts",
}
"""The fields whose numbers another build of the tool must come to as well; wording and judgement may change."""


def _claims(path: Path) -> bool:
    return _FILE.fullmatch(path.name) is not None and path.is_file()


def _within(root: Path) -> Sequence[Path]:
    """One for each quarter: its JSON, also when that is missing and another file of it is there."""
    return sorted({path.with_suffix(".json") for path in root.iterdir() if _claims(path)})


def recompute(path: Path, root: Path) -> Recomputed:
    """Assemble the report again from the runs in `root`, and compare every file of it that there is."""
    main = path.with_suffix(".json")
    files = tuple(one.name for one in sorted(main.parent.glob(f"{main.stem}.*")) if _claims(one))
    try:
        data = plain_bytes(main)
        stored, quarter = _decoded(data, main)
        known = chain.read(root)
        there = {run.name: run for run in runs_of(root, quarter)}
    except FileNotFoundError:
        return Recomputed(
            (Finding(file=main.name, what="missing; without it nothing can be computed again"),), "", files
        )
    except (OSError, UnicodeDecodeError, msgspec.MsgspecError, ValueError, UsageProblem) as error:
        return Recomputed((Finding(file=main.name, what=f"cannot be read: {error}"),), "", files)
    rows = (*stored.runs, *stored.undated, *stored.earlier)
    counted = tuple(row.name for row in rows if row.counts)
    upto = _upto(main.name, data, stored, known)
    hidden = list(_against_seals(_Told(main.name, stored, upto), root, known, there))
    found = [*_head(main.name, stored, known), *hidden, *_later(main.name, rows, there, {one.where for one in hidden})]
    gone = [row.name for row in rows if row.name not in there and _is_pruned(row.name, known)]
    if rows and not there.keys() & {row.name for row in rows}:
        what = f"none of its {len(rows)} runs is here; --runs DIR says where they are"
        return Recomputed((Finding(file=main.name, what=what),), "", files)
    if gone:
        what = f"its numbers cannot be computed again: {len(gone)} of its runs were removed by the tool since"
        found += [
            *_missing(rows, there, set(gone)),
            *_pruned_as_told(main.name, stored, known, root),
            note(main.name, f"{what}: {', '.join(gone)}"),
        ]
        return Recomputed(tuple(found), "not computed again", files, counted, whole=False)
    found += [*_missing(rows, there, set()), *_manifests(stored, root, known)]
    runs = [_as_then(there[row.name], row) for row in rows if row.name in there]
    other = _other_tool(stored)
    again = assemble(runs, stored.plan, stored.register, _evidence(stored, known, root))
    found += _of_json(main, encode(again), data, other)
    if other:
        what = f"made by {other}, and this is {__version__}: the text of its reports is not compared, their hashes are"
        found.append(note(main.name, what))
    else:
        found += _of_texts(main, again, stored)
    pdf = main.with_suffix(".pdf").name
    if pdf in files:
        what = "a PDF depends on the fonts of the machine: only its hash is compared, when the chain has it"
        found.append(note(pdf, what))
    told = f"{len(rows)} runs assembled again: {again.headline.verdict}"
    # By whom it was made is what the document says of itself: it must not be a way around the comparison.
    loose = tuple(name for name in files if name == pdf)
    return Recomputed(tuple(found), told, files, counted, whole=not other, hash_only=loose)


def _decoded(data: bytes, main: Path) -> tuple[QuarterResult, Quarter]:
    """Raises `ValueError` or `msgspec.MsgspecError` for what is no report of the quarter that its name says."""
    stored = decode(data)
    if stored.schema != QUARTER_SCHEMA:
        raise ValueError(f"of a kind that this version does not know: {stored.schema}")
    if main.stem != f"quarter-{stored.quarter}":
        raise ValueError(f"it is the report of {stored.quarter}, under another name")
    if stored.plan.quarter != stored.quarter:
        raise ValueError(f"it is the report of {stored.quarter}, with a plan of {stored.plan.quarter}")
    return stored, parse(stored.quarter)


def _other_tool(stored: QuarterResult) -> str:
    if stored.tool_version != __version__:
        return stored.tool_version
    return "" if stored.evidence.build == build() else f"another build of {__version__}"


def _head(name: str, stored: QuarterResult, known: Chain) -> Iterator[Finding]:
    """A chain that was made anew does not have the line that was its last one when the report was made."""
    head = stored.evidence.head
    if head and all(link.hash != head for link in known.links):
        what = "the chain beside the runs has no such line: it is another chain, or lines of it were removed"
        yield Finding(file=name, where="evidence.head", what=what, expected=known.head or "no chain", found=head)
    if not head and any(link.line.kind is not Kind.WRITTEN for link in known.links[:1]):
        what = "it says that there was no chain, and the chain beside the runs is older than it can be; make it again"
        yield Finding(file=name, where="evidence.head", what=what, expected=known.head, found="none")
    lines = _lines(stored, known)
    if head and lines and lines != stored.evidence.lines:
        what = "not the line that has this head"
        yield Finding(
            file=name, where="evidence.lines", what=what, expected=str(lines), found=str(stored.evidence.lines)
        )
    for one in left_out(known, lines, _names(stored), parse(stored.quarter)):
        what = (
            f"it was there when the report was made, which does not list it; it was pruned on {one.at}, {one.verdict}"
        )
        yield Finding(file=name, where=one.run, what=what)


def _names(stored: QuarterResult) -> set[str]:
    return {row.name for row in (*stored.runs, *stored.undated, *stored.earlier)}


def _lines(stored: QuarterResult, known: Chain) -> int:
    """The line of the chain up to which the report knew it; 0 when it knew none."""
    return next((link.number for link in known.links if link.hash == stored.evidence.head), 0)


def _evidence(stored: QuarterResult, known: Chain, root: Path) -> Evidence:
    """What the report knew, with the runs that are gone as the chain tells them. A build that listed none is not
    blamed.
    """
    if _other_tool(stored) and not stored.evidence.pruned:
        return stored.evidence
    there = There(_names(stored) | names_in(root), whole(stored.evidence.seals))
    gone = pruned(known, _lines(stored, known), there, parse(stored.quarter))
    return msgspec.structs.replace(stored.evidence, pruned=gone)


@dataclasses.dataclass(frozen=True)
class _Told:
    """A report. upto: what was sealed up to this line of the chain was sealed when it was made."""

    name: str
    stored: QuarterResult
    upto: int


def _upto(name: str, data: bytes, stored: QuarterResult, known: Chain) -> int:
    """The report knew the chain up to its head; beside the runs, up to the line that says that it was written."""
    written = known.last(Kind.WRITTEN).get(name)
    lines = _lines(stored, known)
    return max(lines, written.number) if written is not None and written.line.sha256 == sha256(data) else lines


def _against_seals(told: _Told, root: Path, known: Chain, there: dict[str, RunOfQuarter]) -> Iterator[Finding]:
    """Runs that were sealed when the report was made, are what was sealed, and of which it says something else."""
    before = Chain(tuple(link for link in known.links if link.number <= told.upto)).standing
    sealed = {name for name, link in before.items() if link.line.kind is Kind.SEALED}
    rows = {row.name: row for row in (*told.stored.runs, *told.stored.undated, *told.stored.earlier)}
    for name in sorted(sealed & there.keys()):
        if seal_of(root / name, known).state is not SealState.SEALED:
            continue  # told where the run is verified
        what = _otherwise(told.stored, there[name], rows.get(name))
        if what:
            yield Finding(file=told.name, where=name, what=what)
    yield from _too_early(told, known)
    for seal in told.stored.evidence.seals:
        if known.links and seal.state is SealState.SEALED and seal.run not in before:
            yield Finding(
                file=told.name, where=seal.run, what="the report says that it was sealed, and no line says so"
            )


def _otherwise(stored: QuarterResult, run: RunOfQuarter, row: RunRow | None) -> str:
    """What a report says of a run, where that is not so; empty when it is, or when it had not begun. run: as sealed."""
    verdict = run.instead or (run.result.verdict.value if run.result is not None else UNFINISHED)
    seal = stored.evidence.seal(run.name)
    if row is None:
        left = run.started is None or run.started.isoformat() < stored.plan.until
        return f"it was sealed when the report was made, which does not list it: {verdict}" if left else ""
    if row.verdict == UNFINISHED:
        return f"the report says that it was not over, and it was sealed before: {verdict}"
    if seal is None or seal.state is not SealState.SEALED:
        return f"the report says that it was not what was sealed, and it is: {verdict}"
    if (row.verdict, row.counts, row.history_sha256) != (verdict, run.counts, run.history_sha256):
        return f"the report says {row.verdict} of it, or of another history, and it is {verdict}"
    return ""


def _too_early(told: _Told, known: Chain) -> Iterator[Finding]:
    """A report that knows a line of the chain was not made before it: `until` would leave out what came between."""
    lines = [link for link in known.links if link.number <= _lines(told.stored, known)]
    made, until = (moment(lines[-1].line.at) if lines else None), moment(told.stored.plan.until)
    over = until is not None and until >= end_of(parse(told.stored.quarter))
    if made is not None and not over and (until is None or made > until + _MADE_WITHIN):
        what = "the report is judged as it stood before, and knows a line of the chain that is younger"
        yield Finding(
            file=told.name, where="plan.until", what=what, expected=lines[-1].line.at, found=told.stored.plan.until
        )


def _pruned_as_told(name: str, stored: QuarterResult, known: Chain, root: Path) -> Iterator[Finding]:
    told = _evidence(stored, known, root).pruned
    if told != stored.evidence.pruned:
        what = "not the pruned runs of which the chain tells"
        was, found = (", ".join(one.run for one in some) or "none" for some in (told, stored.evidence.pruned))
        yield Finding(file=name, where="evidence.pruned", what=what, expected=was, found=found)


def _later(
    name: str, rows: Sequence[RunRow], there: dict[str, RunOfQuarter], hidden: Collection[str]
) -> Iterator[Finding]:
    """What came after the report is told, and is no part of it. hidden: what did not come after it."""
    listed = {row.name for row in rows} | {*hidden}
    new = [run for run in there.values() if run.name not in listed]
    if new:
        shown = f"{', '.join(run.name for run in new[:_SHOWN])}{', ...' if len(new) > _SHOWN else ''}"
        yield note(name, f"{len(new)} of these four quarters' runs are not in it, and are left out here: {shown}")
    over = [row for row in rows if row.name in there and row.name not in hidden]
    ended = [row.name for row in over if _ended_since(there[row.name], row)]
    if ended:
        yield note(name, f"not over when it was made, and taken as they were then: {', '.join(ended)}")


def _ended_since(run: RunOfQuarter, row: RunRow) -> bool:
    return row.verdict == UNFINISHED and run.head is not None


def _as_then(run: RunOfQuarter, row: RunRow) -> RunOfQuarter:
    """A run as it was when the report was made: one that was still running then had no result."""
    if not _ended_since(run, row):
        return run
    return dataclasses.replace(run, result=None, problem=row.why_not, history_sha256=row.history_sha256)


def _is_pruned(name: str, known: Chain) -> bool:
    link = known.standing.get(name.encode(errors="replace").decode())
    return link is not None and link.line.kind is Kind.PRUNED


def _missing(rows: Sequence[RunRow], there: dict[str, RunOfQuarter], pruned: set[str]) -> Iterator[Finding]:
    for row in rows:
        if row.name not in there and row.name not in pruned:
            yield Finding(file=row.name, what=f"missing, or of another time by its {HISTORY_FILE}; the report lists it")


def _manifests(stored: QuarterResult, root: Path, known: Chain) -> Iterator[Finding]:
    """A run that was sealed anew since is another run, even if everything in it fits together; unless it was imported
    again, with the manifest that it had.
    """
    for seal in stored.evidence.seals:
        path = root / Path(seal.run).name / MANIFEST_FILE
        if not seal.manifest_sha256 or not path.parent.is_dir():
            continue
        if not path.is_file() and path.with_name(HALF_FILE).is_file():
            path = path.with_name(HALF_FILE)
        now = sha256(path.read_bytes()) if path.is_file() else "missing"
        if seal_of(path.parent, known).state is SealState.SEALED and seal.manifest_sha256 in set(_brought(path.parent)):
            continue
        if now != seal.manifest_sha256:
            what = "not the manifest that the run had when the report was made"
            file = f"{path.parent.name}/{MANIFEST_FILE}"
            yield Finding(file=file, what=what, expected=f"sha256 {seal.manifest_sha256}", found=f"sha256 {now}")


def _brought(folder: Path) -> Iterator[str]:
    """The hashes of the manifests with which a run was imported."""
    for path in folder.glob(f"imported-*.{MANIFEST_FILE}"):
        if path.is_file() and not path.is_symlink():
            yield sha256(path.read_bytes())


def _of_json(main: Path, again: bytes, data: bytes, other: str) -> Iterator[Finding]:
    if again == data:
        return
    try:
        differing = in_json(again, data)
    except ValueError as error:  # in a field that this version does not know, and so did not decode
        yield Finding(file=main.name, what=f"cannot be compared: {error}")
        return
    for one in differing[:_SHOWN]:
        grade = Grade.NOTE if other and not _measures(one) else Grade.MISMATCH
        what = f"not what its runs, its plan and its register give{f', as this {__version__} does it' if other else ''}"
        yield Finding(file=main.name, where=one.path, what=what, expected=one.expected, found=one.found, grade=grade)
    left = differing[_SHOWN:]
    if left:
        grade = Grade.NOTE if other and not any(map(_measures, left)) else Grade.MISMATCH
        yield Finding(file=main.name, what=f"{len(left)} more fields are others", grade=grade)
    spot = in_bytes(again, data)
    if not differing and spot is not None and not other:
        where = f"line {spot.line}, byte {spot.byte}"
        what = "the same fields, not written as this tool writes them"
        yield Finding(file=main.name, where=where, what=what, expected=spot.expected, found=spot.found)


def _measures(one: Difference) -> bool:
    return one.number and one.top in _MEASURED


def _of_texts(main: Path, again: QuarterResult, stored: QuarterResult) -> Iterator[Finding]:
    """Pages that are neither what the runs give nor what the JSON says; what is wrong with the JSON is told of it."""
    for name in _TEXTS:
        report = quarter_formats()[name]
        path = main.with_suffix(f".{report.ending}")
        if not path.is_file():
            continue
        there = path.read_bytes()
        spot = in_bytes(report.render(again), there)
        if spot is None or (again != stored and report.render(stored) == there):
            continue
        what = f"not the report that {main.name} and its runs give"
        where = f"line {spot.line}, byte {spot.byte}"
        yield Finding(file=path.name, where=where, what=what, expected=spot.expected, found=spot.found)


DOCUMENT = Document(name="quarter", claims=_claims, within=_within, recompute=recompute)
