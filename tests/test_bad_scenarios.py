"""What people read when a scenario file is wrong: each bad file beside the exact messages.

After a deliberate change, `python tests/test_bad_scenarios.py` writes the messages anew; read the diff.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from drills.problems import UsageProblem
from drills.scenariofile import parse
from drills.yamlsource import read_text
from faults.base import kinds

BAD = sorted((Path(__file__).parent / "bad_scenarios").glob("*.yaml"))


def messages(path: Path) -> str:
    """Every message about a file, a line each; the file is called by its name only, and the list of all faults is cut
    short, so that a new fault changes none of them.
    """
    try:
        parse(read_text(path, path.name), path.name)
    except UsageProblem as problem:
        return f"{problem}\n".replace(", ".join(kinds()), "(every fault)")
    return "no problem was found\n"


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_messages(path: Path) -> None:
    """A bad file gives exactly the messages that stand beside it."""
    assert messages(path) == path.with_suffix(".txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_each_message_is_one_line_with_a_place(path: Path) -> None:
    """Every message begins with file, line and column, and is one line of readable length."""
    for line in messages(path).splitlines():
        name, line_number, column, _ = line.split(":", 3)
        assert name == path.name
        assert int(line_number) > 0
        assert int(column) > 0
        assert len(line) < 700


def test_there_are_enough_of_them() -> None:
    """The snapshots are found, and each expected text has its file."""
    assert len(BAD) >= 40
    assert {path.stem for path in BAD} == {
        path.stem for path in (Path(__file__).parent / "bad_scenarios").glob("*.txt")
    }


if __name__ == "__main__":
    for bad in BAD:
        bad.with_suffix(".txt").write_text(messages(bad), encoding="utf-8")
        sys.stdout.write(messages(bad))
