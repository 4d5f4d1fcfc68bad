"""What a verification finds: one sentence each, with the file it is about. Data only."""

from __future__ import annotations

import enum

import msgspec


class Grade(enum.StrEnum):
    """How much a finding weighs."""

    MISMATCH = "mismatch"
    """Something is not what it was, or not what the history says."""
    NOTE = "note"
    """Something that a reader should know, and that changes nothing."""


A_LINK = "a link, and what it leads to may be changed behind it: links are not followed"
"""What is wrong with a link where a file of the evidence belongs."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was found.

    file: its name in the run's folder, or in the folder of the runs. where: in it: a field, a line, a byte; empty for
    the whole file. what: half a sentence. expected, found: what the evidence says and what the file says, as text;
    both empty where `what` says it all.
    """

    file: str
    what: str
    where: str = ""
    expected: str = ""
    found: str = ""
    grade: Grade = Grade.MISMATCH

    def __str__(self) -> str:
        place = f"{self.file}, {self.where}" if self.where else self.file
        compared = f": expected {self.expected}, found {self.found}" if self.expected or self.found else ""
        return f"{place}: {self.what}{compared}"


def note(file: str, what: str) -> Finding:
    """Something that a reader should know."""
    return Finding(file=file, what=what, grade=Grade.NOTE)


def bad(findings: tuple[Finding, ...]) -> bool:
    """Whether any of them is a mismatch."""
    return any(one.grade is Grade.MISMATCH for one in findings)
