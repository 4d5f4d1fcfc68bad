"""JSON as values that know where they were written.

The standard library reads the values and finds every mistake; it does not keep places. So a second pass over the text,
which is valid JSON by then, finds where each key and each value begins.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from drills.gateways.items import Item
from drills.gateways.places import decoded, places
from drills.problems import Place, Problem, UsageProblem

_SPACE = re.compile(r"[ \t\r\n]*")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_PLAIN = re.compile(r"[^,\]}\s]+")


def parse(source: bytes, name: str) -> Item:
    """The document's object. Raises `UsageProblem` with the place of what is not valid, and of a key that one object
    has twice.
    """
    text = decoded(source, name, "JSON", "utf-8-sig")
    place = places(text, name)
    try:
        json.loads(text)
        scan = _Scan(text, place)
        root = scan.value()
    except json.JSONDecodeError as error:
        what = f"not valid JSON: {error.msg[:1].lower()}{error.msg[1:]}"
        raise UsageProblem(Problem(what, Place(name, error.lineno, error.colno))) from None
    except ValueError as error:  # a number that is too long for Python
        raise UsageProblem(Problem(f"not valid JSON: {error}", Place(name))) from None
    except RecursionError:
        raise UsageProblem(Problem("the values are nested too deep", Place(name))) from None
    if scan.doubled:
        raise UsageProblem(scan.doubled)
    if root.fields is None:
        raise UsageProblem(Problem("the file must hold a JSON object: { ... }", root.place))
    return root


class _Scan:
    """Reads values with their places out of a text that is known to be valid JSON."""

    def __init__(self, text: str, place: Callable[[int], Place]) -> None:
        self.doubled: list[Problem] = []
        self._text = text
        self._place = place
        self._at = 0

    def value(self) -> Item:
        """The value that begins here, after white space."""
        self._skip()
        place = self._place(self._at)
        first = self._text[self._at]
        if first == "{":
            return Item(place, fields=self._object())
        if first == "[":
            return Item(place, items=self._list())
        return Item(place, scalar=self._scalar(first))

    def _object(self) -> dict[object, Item]:
        fields: dict[object, Item] = {}
        while not self._ends("}"):
            key_place = self._place(self._at)
            key = str(self._scalar('"'))
            self._skip()
            self._at += 1  # the colon
            item = self.value()
            if key in fields:
                first = fields[key].key_place
                self.doubled.append(Problem(f"{key!r} is written twice; first at {first}", key_place))
            fields[key] = Item(item.place, item.scalar, item.fields, item.items, key_place)
        return fields

    def _list(self) -> tuple[Item, ...]:
        items: list[Item] = []
        while not self._ends("]"):
            items.append(self.value())
        return tuple(items)

    def _scalar(self, first: str) -> object:
        pattern = _STRING if first == '"' else _PLAIN
        found = pattern.match(self._text, self._at)
        if found is None:
            raise AssertionError(f"no value at offset {self._at}")  # the text is valid JSON
        self._at = found.end()
        return json.loads(found[0])

    def _ends(self, bracket: str) -> bool:
        """Go on to the next element; True when there is none, and then the bracket is behind us."""
        if self._text[self._at] in "[{,":
            self._at += 1
        self._skip()
        if self._text[self._at] == ",":
            self._at += 1
            self._skip()
        if self._text[self._at] != bracket:
            return False
        self._at += 1
        return True

    def _skip(self) -> None:
        found = _SPACE.match(self._text, self._at)
        self._at = self._at if found is None else found.end()
