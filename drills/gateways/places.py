"""Where the characters of a config's text are. For the languages whose reader keeps no places."""

from __future__ import annotations

import bisect
import re
from collections.abc import Callable

from drills.problems import Place, Problem, UsageProblem


def decoded(source: bytes, name: str, language: str, encoding: str = "utf-8") -> str:
    """A file's text. `language`: what it should be in. Raises `UsageProblem` with the line in which it is not UTF-8."""
    try:
        return source.decode(encoding)
    except UnicodeDecodeError as error:
        line = source[: error.start].count(b"\n") + 1
        raise UsageProblem(Problem(f"not valid {language}: the file is not UTF-8", Place(name, line, 1))) from None


def places(text: str, name: str) -> Callable[[int], Place]:
    """The place of each offset of a text. `name`: its file's."""
    lines = [0, *(match.end() for match in re.finditer("\n", text))]

    def place(offset: int) -> Place:
        line = bisect.bisect_right(lines, offset)
        return Place(name, line, offset - lines[line - 1] + 1)

    return place
