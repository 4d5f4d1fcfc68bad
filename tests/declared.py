"""What the tests of single faults say of them for the tables of all: each `test_fault_<kind>.py` beside this file.

A fault's own test says there what its clients see (`ROWS`, as in `client_rows.py`), which faults it has tested the
decisions of (`DECIDES`), and what a probe meets of them (`PROVED`, as in `test_beside.py`). So a new fault is one file
and one test.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

_Any = TypeVar("_Any")


def declared(name: str, _type: type[_Any]) -> Iterator[_Any]:
    """All that the tests of single faults declare under a name."""
    for path in sorted(Path(__file__).parent.glob("test_fault_*.py")):
        for one in getattr(importlib.import_module(path.stem), name, ()):
            assert isinstance(one, _type)
            yield one
