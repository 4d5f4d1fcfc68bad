"""Who answers for drills: as a scenario, the flags of a run, or the plan of a quarter say. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from drills.problems import Problem, UsageProblem

Line = Annotated[str, Meta(pattern=r"\A.+\Z", max_length=200, description="one line of text")]


class People(msgspec.Struct, frozen=True, kw_only=True):
    """Who answers for a drill, as histories and results hold it: any text. None for whom nobody named."""

    owner: str | None = None
    operator: str | None = None
    reviewer: str | None = None

    @property
    def named(self) -> tuple[tuple[str, str], ...]:
        """Role and name of each who is named."""
        pairs = (("owner", self.owner), ("operator", self.operator), ("reviewer", self.reviewer))
        return tuple((role, name) for role, name in pairs if name is not None)


class WrittenPeople(People, frozen=True, kw_only=True):
    """Who answers for a drill, as people write it.

    owner: of the system that is drilled.
    operator: who runs the drill.
    reviewer: who looks at what came of it.
    """

    noun: ClassVar[str] = "people"

    owner: Line | None = None
    operator: Line | None = None
    reviewer: Line | None = None


NOBODY = WrittenPeople()
"""Nobody is named."""


class _Flags(msgspec.Struct, frozen=True, kw_only=True):
    operator: Line | None = None
    reviewer: Line | None = None
    change: Line | None = None


def with_flags(people: People, change: str | None, flags: Mapping[str, str | None]) -> tuple[People, str | None]:
    """People and change ticket of a run: the flags `operator`, `reviewer` and `change` before what its scenario says.

    Raises `UsageProblem` with every flag that is no line of text.
    """
    problems = [Problem(f"--{name} {wrong}") for name, value in flags.items() if (wrong := _wrong(name, value))]
    if problems:
        raise UsageProblem(problems)
    operator, reviewer, ticket = (flags.get(name) for name in ("operator", "reviewer", "change"))
    return (
        People(owner=people.owner, operator=operator or people.operator, reviewer=reviewer or people.reviewer),
        ticket or change,
    )


def _wrong(name: str, value: str | None) -> str:
    """What a history could not hold is found before there is one."""
    if value is None:
        return ""
    try:
        msgspec.convert({name: value}, _Flags)
        value.encode()
    except (msgspec.ValidationError, UnicodeEncodeError):
        return f"{value[:40]!r}: write one line of text, at most 200 characters"
    return ""
