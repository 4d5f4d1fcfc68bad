"""A Portkey config file: a JSON object, and where each of its values was written.

Portkey takes the config in a request header and reads it with JSON.parse, so it must be JSON to the letter. JSON is
also YAML 1.2, and our YAML reader knows places: the values come from the one reader, their places from the other.
"""

from __future__ import annotations

import copy
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, cast

from drills.problems import Place, Problem, UsageProblem
from drills.yamlsource import MappingNode, Node, place_of, read_text, tree

Json = dict[str, object]
"""A JSON object of a Portkey config; it is handed on only between the modules of this adapter."""
Where = tuple[str | int, ...]
"""Keys and list indexes from the top."""

_PLAIN = (
    (r"^Expecting property name", "a key in double quotes belongs here; is there one ',' too many before it?"),
    (r"^Illegal trailing comma", "this ',' is one too many"),
    (r"^Expecting ','", "a ',' or the closing bracket is missing before this"),
    (r"^Expecting ':'", "a ':' is missing after this key"),
    (r"^Expecting value", "a value is missing here"),
    (r"^Extra data", "the object has ended before this; one file holds one config"),
    (r"^Unterminated string", "a text begins here and never ends"),
    (r"^Invalid control character", r"a line end or a tab inside a text; write \n or \t"),
    (r"BOM", "the file begins with a byte order mark; save it without"),
)
_PAIR = re.compile(r"\\u(d[89ab][0-9a-f]{2})\\u(d[c-f][0-9a-f]{2})", re.IGNORECASE)


@dataclass(frozen=True)
class Document:
    """A whole config. `text` is the file's, to the letter."""

    file: str
    text: str
    _values: Json
    _places: Node

    def values(self) -> Json:
        """A fresh copy of the config's values."""
        return copy.deepcopy(self._values)

    def place(self, path: Where = ()) -> Place:
        """Where the value at a path was written; the nearest enclosing value where there is none."""
        return place_of(self._places, *path)

    def key_place(self, path: Where) -> Place:
        """Where the last key of a path was written; where its value was, for a list index."""
        node: Node = self._places
        for step in path[:-1]:
            node = _below(node, step) or node
        entries = node.entries if isinstance(node, MappingNode) else ()
        return next((key.place for key, _ in entries if key.text == path[-1]), self.place(path))


def load(path: Path) -> Document:
    """Read a config. Raises `UsageProblem` with the place of what is no JSON, and of keys that are written twice."""
    file = str(path)
    text = read_text(path, file)
    values = _parsed(text, file)
    problems: list[Problem] = []
    # A tab is white space to JSON and nothing to YAML; inside JSON's texts there is none. So with pairs of surrogates.
    places = tree(_PAIR.sub(_joined, text.replace("\t", " ")), file, problems)
    if problems or places is None:
        raise UsageProblem(problems)
    if not isinstance(values, dict):
        raise UsageProblem(Problem("a Portkey config is a JSON object: { ... }", places.place))
    return Document(file, text, cast(Json, values), places)


def _parsed(text: str, file: str) -> object:
    if not text.strip():
        raise UsageProblem(Problem("the file is empty; a Portkey config is a JSON object", Place(file, 1, 1)))
    try:
        return json.loads(text, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        said = next((plain for pattern, plain in _PLAIN if re.search(pattern, error.msg)), error.msg)
        raise UsageProblem(Problem(f"not valid JSON: {said}", Place(file, error.lineno, error.colno))) from None
    except _NoNumberError as error:
        raise UsageProblem(Problem(f"not valid JSON: {error} is no number there", Place(file))) from None
    except RecursionError:
        raise UsageProblem(Problem("the values are nested too deep", Place(file))) from None


class _NoNumberError(Exception):
    """NaN or Infinity, which Python would read."""


def _refuse(word: str) -> NoReturn:
    raise _NoNumberError(word)


def _joined(pair: re.Match[str]) -> str:
    """One escape of YAML's for two of JSON's, as long as they are."""
    high, low = int(pair[1], 16), int(pair[2], 16)
    return f"  \\U{0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00):08x}"


def _below(node: Node, step: str | int) -> Node | None:
    if isinstance(node, MappingNode):
        return next((value for key, value in node.entries if key.text == step), None)
    items = getattr(node, "items", ())
    return items[step] if isinstance(step, int) and step < len(items) else None
