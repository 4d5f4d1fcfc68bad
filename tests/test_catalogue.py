"""The page about the faults says what the faults do.

After a change of a fault, `python tests/test_catalogue.py` writes the page anew.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from drills.binding import fields_of
from drills.schema import descriptions, summary
from faults.base import Fault, kinds
from reports.catalogue import fault_page

PAGE = Path(__file__).parent.parent / "docs" / "faults.md"


def test_the_page_is_up_to_date() -> None:
    """What is committed is what the classes say now."""
    assert PAGE.read_text(encoding="utf-8") == fault_page()


@pytest.mark.parametrize(("kind", "cls"), kinds().items())
def test_every_fault_and_setting_is_described(kind: str, cls: type[Fault]) -> None:
    """A fault has a section and a first line that is a whole sentence; each setting has a sentence and a row."""
    assert summary(cls).endswith((".", ":"))
    section = fault_page().partition(f"\n## {kind}\n")[2].partition("\n## ")[0]
    assert summary(cls) in section
    said = descriptions(cls)
    for field in fields_of(cls):
        assert said[field.attribute].endswith(".")
        assert f"| `{field.key}` | " in section
        assert said[field.attribute] in section


BOUNDED = [
    # kind, setting, what it takes
    ("cut", "after", "a whole number, at least 1, at most 1000"),
    ("bandwidth", "rate", "a bandwidth (500B/s, 2kB/s, 1MB/s), more than 0B/s"),
    ("wire_latency", "latency", "a duration (500ms, 30s, 2m, 1h), at least 0.001s, at most 600s"),
    ("status", "code", "a whole number, at least 400, at most 599"),
]


@pytest.mark.parametrize(("kind", "setting", "takes"), BOUNDED)
def test_bounds_are_told(kind: str, setting: str, takes: str) -> None:
    """What is too small or too large can be read on the page, and need not be tried."""
    section = fault_page().partition(f"\n## {kind}\n")[2].partition("\n## ")[0]
    assert f"| `{setting}` | {takes} | " in section


if __name__ == "__main__":
    PAGE.write_text(fault_page(), encoding="utf-8")
