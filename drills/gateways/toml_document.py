"""TOML as values that know where they were written.

The standard library reads the values and finds every mistake; it does not keep places. So a second pass over the text,
which is valid TOML by then, finds where each key and each value begins. Source of the grammar: TOML 1.0.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable

from drills.gateways.items import Item
from drills.gateways.places import decoded, places
from drills.problems import Place, Problem, UsageProblem

_AT = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_SPACE = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_PLAIN = re.compile(r"[^,\]}#\n]*")
_STRINGS = (
    re.compile(r'"""(?:[^\\]|\\.)*?"""(?:"{1,2}(?!"))?', re.DOTALL),
    re.compile(r"'''.*?'''(?:'{1,2}(?!'))?", re.DOTALL),
    re.compile(r'"(?:[^"\\\n]|\\.)*"'),
    re.compile(r"'[^'\n]*'"),
)

Path = tuple[str | int, ...]
"""Where a value stands in the document: keys, and numbers in lists."""


def parse(source: bytes, name: str) -> Item:
    """The document's root table. Raises `UsageProblem` with the place of what is not valid."""
    text = decoded(source, name, "TOML")
    place = places(text, name)
    try:
        values = tomllib.loads(text)
        scan = _Scan(text)
        scan.document()
        return _item(values, (), scan, place)
    except ValueError as error:  # also numbers that are too long for Python
        raise UsageProblem(_mistake(str(error), text, name)) from None
    except RecursionError:
        raise UsageProblem(Problem("the values are nested too deep", Place(name))) from None


def _mistake(said: str, text: str, name: str) -> Problem:
    at = _AT.search(said)
    place = Place(name)
    if at is not None:
        last = text.splitlines() or [""]
        line, column = (int(at[1]), int(at[2])) if at[1] else (len(last), len(last[-1]) + 1)
        place = Place(name, line, column)
    what = _AT.sub("", said)
    return Problem(f"not valid TOML: {what[:1].lower()}{what[1:]}", place)


def _item(value: object, path: Path, scan: _Scan, place: Callable[[int], Place]) -> Item:
    key = scan.keys.get(path)
    key_place = None if key is None else place(key)
    here = place(scan.values.get(path, key or 0))
    if isinstance(value, dict):
        fields: dict[object, Item] = {name: _item(one, (*path, name), scan, place) for name, one in value.items()}
        return Item(here, fields=fields, key_place=key_place)
    if isinstance(value, list):
        items = tuple(_item(one, (*path, number), scan, place) for number, one in enumerate(value))
        return Item(here, items=items, key_place=key_place)
    return Item(here, scalar=value, key_place=key_place)


class _Scan:
    """Finds the offsets of keys and of values in a text that is known to be valid TOML."""

    def __init__(self, text: str) -> None:
        self.keys: dict[Path, int] = {}
        self.values: dict[Path, int] = {}
        self._text = text
        self._at = 0
        self._tables: dict[Path, int] = {}

    def document(self) -> None:
        """The whole text: headers and pairs."""
        table: Path = ()
        self._skip()
        while self._at < len(self._text):
            if self._text[self._at] == "[":
                table = self._header()
            else:
                self._pair(table)
            self._skip()

    def _header(self) -> Path:
        """`[table]`, or `[[table]]`, which begins the next element of a list."""
        start = self._at
        several = self._text.startswith("[[", start)
        self._at += 2 if several else 1
        self._skip()
        path: Path = ()
        parts = self._key()
        for number, (part, offset) in enumerate(parts):
            path = (*path, part)
            self.keys.setdefault(path, offset)
            if several and number == len(parts) - 1:
                self._tables[path] = self._tables.get(path, -1) + 1
            if path in self._tables:
                path = (*path, self._tables[path])
                self.keys.setdefault(path, offset)
        self._skip()
        self._at += 2 if several else 1
        self.values.setdefault(path, start)
        return path

    def _pair(self, table: Path) -> None:
        path = table
        for part, offset in self._key():
            path = (*path, part)
            self.keys.setdefault(path, offset)
        self._skip()
        self._at += 1  # the equals sign
        self._skip()
        self._value(path)

    def _key(self) -> list[tuple[str, int]]:
        """The parts of a dotted key, each with its offset."""
        parts = []
        while True:
            self._skip()
            start = self._at
            if self._text[start] in "\"'":
                raw = self._string()
                parts.append((tomllib.loads(f"k = {raw}")["k"], start))
            else:
                found = _BARE.match(self._text, start)
                self._at = start + 1 if found is None else found.end()
                parts.append((self._text[start : self._at], start))
            self._skip()
            if not self._text.startswith(".", self._at):
                return parts
            self._at += 1

    def _value(self, path: Path) -> None:
        self.values.setdefault(path, self._at)
        first = self._text[self._at]
        if first in "\"'":
            self._string()
        elif first == "[":
            self._list(path)
        elif first == "{":
            self._inline_table(path)
        else:
            found = _PLAIN.match(self._text, self._at)
            self._at = self._at + 1 if found is None else found.end()

    def _list(self, path: Path) -> None:
        self._at += 1
        number = 0
        while not self._ends("]"):
            self._value((*path, number))
            number += 1

    def _inline_table(self, path: Path) -> None:
        self._at += 1
        while not self._ends("}"):
            self._pair(path)

    def _ends(self, bracket: str) -> bool:
        """Skip to the next element; True when there is none, and then the bracket is behind us."""
        self._skip()
        if self._text[self._at] == ",":
            self._at += 1
            self._skip()
        if self._text[self._at] != bracket:
            return False
        self._at += 1
        return True

    def _string(self) -> str:
        for pattern in _STRINGS:
            found = pattern.match(self._text, self._at)
            if found is not None:
                self._at = found.end()
                return found[0]
        raise AssertionError(f"no string at offset {self._at}")  # the text is valid TOML

    def _skip(self) -> None:
        found = _SPACE.match(self._text, self._at)
        self._at = self._at if found is None else found.end()
