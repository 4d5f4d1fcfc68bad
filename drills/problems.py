"""Problems with what a person wrote: all of them at once, each with its place and a way out.

Nothing in here does I/O. A command that meets a `UsageProblem` prints every line of it and
exits with code 2; nothing was started.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

EXIT_USAGE = 2
EXIT_INVALID = 3
"""There is no verdict on the gateway, and the usage was right."""


@dataclass(frozen=True, order=True)
class Place:
    """Where something was written. `line` and `column` count from 1; 0 means "the whole file"."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        if self.line == 0:
            return self.file
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, in one sentence, with the place where it was written if there is one."""

    what: str
    place: Place | None = None

    def __str__(self) -> str:
        return self.what if self.place is None else f"{self.place}: {self.what}"


class UsageProblem(Exception):
    """The command, scenario or config is wrong. Carries every problem that was found."""

    def __init__(self, problems: Iterable[Problem] | Problem | str) -> None:
        if isinstance(problems, str):
            problems = [Problem(problems)]
        elif isinstance(problems, Problem):
            problems = [problems]
        self.problems: tuple[Problem, ...] = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


def choices(word: str, allowed: Iterable[str]) -> str:
    """The tail of a message about an unknown word: the closest match, then every allowed value."""
    names = sorted(allowed)
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"{hint}allowed: {', '.join(names)}" if names else f"{hint}nothing is allowed here"
