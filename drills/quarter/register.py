"""`findings.yaml`: the register of findings that people edit and git keeps. Pure.

It is never written anew: new findings are text behind the text that is there, so comments, order and layout stay.
"""

from __future__ import annotations

import enum
import hashlib
import json
import re
from collections.abc import Sequence
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from drills.binding import bind
from drills.people import Line
from drills.problems import Place, Problem, UsageProblem
from drills.quarter.plan import Day, real_day
from drills.yamlsource import ListNode, tree

_EMPTY = re.compile(r"\A\ufeff?(?:\s*(?:#[^\n]*)?(?:\n|\Z))*\Z")
_HEADER = """\
# Findings of failover drills. Edit it and keep it in git; `drill report --quarter ... --update-findings` only appends.
# status: open, fixed (with `fixed_on: 2026-12-31`), accepted, wont_fix. severity: unrated, low, medium, high, critical.
"""


class Severity(enum.StrEnum):
    """How bad a finding is, as people rate it; new ones are unrated."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    UNRATED = "unrated"


class Status(enum.StrEnum):
    """What people decided about a finding."""

    OPEN = "open"
    FIXED = "fixed"
    ACCEPTED = "accepted"
    WONT_FIX = "wont_fix"


class Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One finding as people keep it.

    id: stable, see `finding_id`. what: one sentence. first_seen: the run's folder; first_day: its day.
    due: by when it is to be fixed. fixed_on: the day from which it must not be seen again. until: of an accepted one.
    """

    noun: ClassVar[str] = "a finding"

    id: Line
    what: Annotated[str, Meta(max_length=2000)]
    first_seen: Line | None = None
    first_day: Day | None = None
    severity: Severity = Severity.UNRATED
    status: Status = Status.OPEN
    owner: Line | None = None
    due: Day | None = None
    ticket: Line | None = None
    fixed_on: Day | None = None
    until: Day | None = None
    note: Annotated[str, Meta(max_length=4000)] | None = None

    def __post_init__(self) -> None:
        for key in ("first_day", "due", "fixed_on", "until"):
            real_day(getattr(self, key), key)
        if self.status is Status.FIXED and self.fixed_on is None:
            raise ValueError("a finding that is fixed needs 'fixed_on', the day from which drills must not find it")
        missing = [key for key in ("owner", "until") if getattr(self, key) is None]
        if self.status is Status.ACCEPTED and missing:
            raise ValueError(
                f"a risk that is accepted needs {' and '.join(map(repr, missing))}: who bears it, and how long"
            )


class Register(msgspec.Struct, frozen=True, kw_only=True):
    """The whole file. file, sha256: empty when there is none."""

    entries: tuple[Entry, ...] = ()
    file: str = ""
    sha256: str = ""


def finding_id(scenario: str, gateway: str, faults: Sequence[str], check: str) -> str:
    """The id of a finding: readable, and the same in each quarter for the same scenario, gateway, faults and check.

    scenario: by what its runs are known. faults: each with the legs that it hits.
    """
    key = json.dumps([scenario, gateway, sorted(faults), check])
    digest = hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()[:6]
    return "-".join((_slug(gateway), _slug(scenario), _slug(check), digest))


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text[:200].lower()).strip("-")[:30].strip("-") or "unnamed"


def parse(text: str, file: str, sha256: str) -> Register:
    """The register of a YAML text: a list of findings. Raises `UsageProblem` with every problem."""
    if _EMPTY.match(text):
        return Register(file=file, sha256=sha256)
    problems: list[Problem] = []
    root = tree(text, file, problems)
    entries: list[Entry] = []
    seen: dict[str, Place] = {}
    if root is not None and not isinstance(root, ListNode):
        problems.append(Problem("the register must be a list of findings (`- id: ...`)", root.place))
    for node in root.items if isinstance(root, ListNode) else ():
        entry = bind(node, Entry, problems)
        if entry is None:
            continue
        if entry.id in seen:
            problems.append(Problem(f"finding {entry.id!r} is written twice; first at {seen[entry.id]}", node.place))
        seen.setdefault(entry.id, node.place)
        entries.append(entry)
    if problems:
        raise UsageProblem(sorted(dict.fromkeys(problems), key=lambda problem: problem.place or Place(file)))
    return Register(entries=tuple(entries), file=file, sha256=sha256)


def appended(text: str, file: str, new: Sequence[Entry]) -> str:
    """The text with new findings behind it. Nothing that is there changes, not a byte.

    Raises `UsageProblem` when the file is laid out so that nothing can be put behind it.
    """
    if not new:
        return text
    before = parse(text, file, "")
    end = "\r\n" if "\r\n" in text else "\n"
    indent = " " * _indent(text, file)
    lines = [line for entry in new for line in ("", *(f"{indent}{part}" for part in _lines(entry)))]
    head = text if text.strip("\ufeff \t\r\n") else text + _HEADER.replace("\n", end)
    gap = "" if not head or head.endswith("\n") else end
    whole = head + gap + end.join(lines) + end
    try:
        after = parse(whole, file, "")
    except UsageProblem:
        after = Register()
    if after.entries != (*before.entries, *new):
        raise UsageProblem(Problem(f"nothing can be appended here; {_what_to_do(text, before)}", Place(file)))
    return whole


def _what_to_do(text: str, before: Register) -> str:
    """How a file has to be changed so that something can be put behind it."""
    if any(line.rstrip() == "..." for line in text.splitlines()):
        return "`...` ends the document, and what stands behind it is not read: take that line out"
    if not before.entries:
        return "`[]` is a list that ends where it begins: take it out, and an empty file is a register without findings"
    return "write the findings as a list in lines of their own (`- id: ...`), at the end"


def _indent(text: str, file: str) -> int:
    """How far the items of the list stand to the right."""
    if _EMPTY.match(text):
        return 0
    root = tree(text, file, [])
    return root.place.column - 1 if isinstance(root, ListNode) else 0


def _lines(entry: Entry) -> list[str]:
    """A new finding, as people would write it, with what they have to fill in."""
    return [
        f"- id: {_quoted(entry.id)}",
        f"  what: {_quoted(entry.what)}",
        f"  first_seen: {_quoted(entry.first_seen or '')}",
        f"  first_day: {entry.first_day}",
        f"  severity: {entry.severity}",
        f"  status: {entry.status}",
        "  # owner:",
        "  # due:",
        "  # ticket:",
    ]


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
