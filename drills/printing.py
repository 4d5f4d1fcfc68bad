"""What the command line prints: text that others had a hand in, and the summary of a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from drills.result import Result

_LINE_AT_MOST = 2000


def show(text: str, out: TextIO, *, as_json: bool = False) -> None:
    """Print text with names in it that somebody else chose: a file's name may carry escape sequences. JSON has its own
    escapes.
    """
    from reports.escape import plain  # noqa: PLC0415  only when there is something to show

    print(text if as_json else "\n".join(plain(line, _LINE_AT_MOST) for line in text.split("\n")), file=out)


def print_summary(result: Result, folder: Path, out: TextIO) -> None:
    """Print what came of a run, in colours where `out` is a terminal."""
    from reports.text import render  # noqa: PLC0415

    lines = render(result, str(folder))
    if not out.isatty():
        print("\n".join(line.text for line in lines), file=out)
        return
    from rich.console import Console  # noqa: PLC0415

    console = Console(file=out)
    for line in lines:
        console.print(line.text, style=line.style or None, markup=False, highlight=False)
