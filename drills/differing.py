"""Where two documents differ, in words: field by field for JSON, else the first line and byte. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

_SHOWN = 60


@dataclass(frozen=True)
class Difference:
    """One field that differs. path: as `switchovers[0].recovery_s`. number: whether either side is no text."""

    path: str
    expected: str
    found: str
    number: bool

    @property
    def top(self) -> str:
        """The first field of the path."""
        return self.path.split(".")[0].split("[")[0]


def in_json(expected: bytes, found: bytes) -> tuple[Difference, ...]:
    """Every field that differs between two JSON documents. Raises `ValueError` when one of them is no JSON, or is
    nested too deep to be walked.
    """
    try:
        return tuple(_walk(json.loads(expected), json.loads(found), ""))
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error


def _walk(wanted: object, there: object, path: str) -> Iterator[Difference]:
    if isinstance(wanted, dict) and isinstance(there, dict):
        for name in [*wanted, *(name for name in there if name not in wanted)]:
            below = f"{path}.{name}" if path else name
            if name in wanted and name in there:
                yield from _walk(wanted[name], there[name], below)
            else:
                yield Difference(below, _shown(wanted, name), _shown(there, name), number=False)
    elif isinstance(wanted, list) and isinstance(there, list) and len(wanted) == len(there):
        for number, (one, other) in enumerate(zip(wanted, there, strict=True)):
            yield from _walk(one, other, f"{path}[{number}]")
    elif isinstance(wanted, list) and isinstance(there, list):
        yield Difference(path, f"{len(wanted)} entries", f"{len(there)} entries", number=True)
    elif wanted != there or type(wanted) is not type(there):
        texts = isinstance(wanted, str) and isinstance(there, str)
        yield Difference(path, _cut(json.dumps(wanted)), _cut(json.dumps(there)), number=not texts)


def _shown(fields: dict[str, object], name: str) -> str:
    return _cut(json.dumps(fields[name])) if name in fields else "nothing"


@dataclass(frozen=True)
class Spot:
    """The first place at which two files differ. line and byte count from 1."""

    line: int
    byte: int
    expected: str
    found: str


def in_bytes(expected: bytes, found: bytes) -> Spot | None:
    """Where two files first differ; None when they do not."""
    if expected == found:
        return None
    shorter = min(len(expected), len(found))
    low, high = 0, shorter
    while low < high:  # the longest common beginning, by halves: a slice is compared at the speed of memory
        middle = (low + high + 1) // 2
        low, high = (middle, high) if expected[:middle] == found[:middle] else (low, middle - 1)
    begins = found.rfind(b"\n", 0, low) + 1
    return Spot(found.count(b"\n", 0, low) + 1, low + 1, _around(expected, begins, low), _around(found, begins, low))


def _around(data: bytes, line: int, at: int) -> str:
    piece = data[max(line, at - _SHOWN // 3) : at + _SHOWN // 3].split(b"\n")[0]
    return json.dumps(piece.decode(errors="replace")) if at < len(data) else "the end of the file"


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
