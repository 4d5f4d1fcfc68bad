"""YAML text as a tree of values that know where they were written.

The tree keeps every scalar as its text: what it means is decided by whoever knows the wanted type, with the scalars
of YAML 1.2 (`on`, `12:30` and `010` mean what they look like). Everything that makes YAML dangerous is refused here:
tags, recursion, alias bombs, deep nesting, oversized files. This is the only module that reads YAML for scenarios.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from typing import Any

import yaml
from yaml.composer import Composer
from yaml.parser import Parser
from yaml.reader import Reader, ReaderError
from yaml.resolver import BaseResolver
from yaml.scanner import Scanner

from drills.problems import Place, Problem, UsageProblem

MAX_BYTES = 1_000_000
MAX_NODES = 10_000
"""Values in one file, aliases expanded."""
MAX_DEPTH = 40
MAX_DIGITS = 400

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_INTEGER = re.compile(r"[-+]?[0-9]+")
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")


@dataclass(frozen=True)
class ScalarNode:
    """One text. `quoted` is true for quotes and block text: it is text then, whatever it looks like."""

    text: str
    quoted: bool
    place: Place


@dataclass(frozen=True)
class MappingNode:
    """Keys and values in their written order, without the duplicates."""

    entries: tuple[tuple[ScalarNode, Node], ...]
    place: Place


@dataclass(frozen=True)
class ListNode:
    """Items in their written order."""

    items: tuple[Node, ...]
    place: Place


Node = ScalarNode | MappingNode | ListNode


def read_text(source: Traversable, file: str) -> str:
    """The text of a file, byte for byte (line ends and byte order mark included).

    `file` is the name for messages. Raises `UsageProblem` when it cannot be read, is too large or is not UTF-8.
    """
    place = Place(file)
    try:
        with source.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise UsageProblem(Problem("there is no such file", place)) from None
    except IsADirectoryError:
        raise UsageProblem(Problem("this is a directory; name one file", place)) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageProblem(Problem(f"the file cannot be read: {reason}", place)) from None
    if len(data) > MAX_BYTES:
        raise UsageProblem(Problem(f"the file is larger than {MAX_BYTES // 1000} kB; is this a scenario?", place))
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        good = data[: error.start].decode("utf-8")
        what = f"the file is not UTF-8 (byte 0x{data[error.start]:02x}); save it as UTF-8"
        raise UsageProblem(Problem(what, _place_in(good, len(good), file))) from None


def tree(text: str, file: str, problems: list[Problem]) -> Node | None:
    """The tree of a YAML text with exactly one document; None when the text cannot be read as YAML at all.

    Every problem is added to `problems`. A duplicate key is one, and the tree keeps its first value, so that a
    reader can go on and find the rest.
    """
    found = _compose(text, file, problems)
    if found is None:
        return None
    try:
        return _Converter(file, problems).node(found, ())
    except _RefusedError as refused:
        problems.append(Problem(refused.what, refused.place(file)))
        return None


def place_of(node: Node, *path: str | int) -> Place:
    """The place of the value at a path of keys and list indexes; of the nearest enclosing value if there is none."""
    for step in path:
        below: Node | None = None
        if isinstance(node, MappingNode):
            below = next((value for key, value in node.entries if key.text == step), None)
        elif isinstance(node, ListNode) and isinstance(step, int) and step < len(node.items):
            below = node.items[step]
        if below is None:
            break
        node = below
    return node.place


def number(node: ScalarNode) -> int | float | None:
    """The number that a plain scalar is in YAML 1.2; None when it is not one, or is quoted."""
    text = node.text
    if node.quoted or len(text) > MAX_DIGITS:
        return None
    if _INTEGER.fullmatch(text):
        return int(text)
    if _BASED.fullmatch(text):
        return int(text[2:], 8 if text[1] == "o" else 16)
    return float(text) if _FLOAT.fullmatch(text) else None


def boolean(node: ScalarNode) -> bool | None:
    """The boolean that a plain scalar is: only `true` and `false` are; None for everything else."""
    return None if node.quoted else {"true": True, "false": False}.get(node.text)


def is_null(node: Node) -> bool:
    """Whether nothing was written where a value belongs: an empty value, `~` or `null`."""
    return isinstance(node, ScalarNode) and not node.quoted and node.text in {"", "~", "null"}


class _RefusedError(Exception):
    """Valid YAML, but not for a file that people write by hand. `mark` is where."""

    def __init__(self, what: str, mark: yaml.Mark) -> None:
        super().__init__(what)
        self.what = what
        self.mark = mark

    def place(self, file: str) -> Place:
        return Place(file, self.mark.line + 1, self.mark.column + 1)


class _Loader(Reader, Scanner, Parser, Composer, BaseResolver):
    """PyYAML up to the node graph, without its YAML 1.1 scalars, and with limits."""

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)
        Composer.__init__(self)
        BaseResolver.__init__(self)
        self.depth = 0
        self.count = 0

    def compose_node(self, parent: Any, index: Any) -> Any:  # noqa: ANN401 - PyYAML's own signature
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if getattr(event, "tag", None) is not None:
            tag = str(event.tag).replace("tag:yaml.org,2002:", "!!")
            raise _RefusedError(f"the tag {shown(tag)} is not supported; write the value without it", event.start_mark)
        self.count += 1
        if self.count > MAX_NODES:
            raise _RefusedError(f"the file holds more than {MAX_NODES} values", event.start_mark)
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise _RefusedError(f"the values are nested more than {MAX_DEPTH} deep", event.start_mark)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


def _compose(text: str, file: str, problems: list[Problem]) -> yaml.Node | None:
    """PyYAML's node graph of the only document, or None and one problem."""
    place = Place(file, 1, 1)
    try:
        loader = _Loader(text)
    except ReaderError as error:
        what = f"the character U+{ord(text[error.position]):04X} is not allowed in YAML"
        problems.append(Problem(what, _place_in(text, error.position, file)))
        return None
    try:
        return _only_document(loader)
    except _RefusedError as refused:
        what, place = refused.what, refused.place(file)
    except yaml.MarkedYAMLError as error:
        what = _plainly(error, text)
        if (mark := _mark_of(error)) is not None:
            place = Place(file, mark.line + 1, mark.column + 1)
    except (ValueError, OverflowError):  # PyYAML lets chr() fail on "\UFFFFFFFF"
        what, place = "an escape names a character that does not exist", Place(file, loader.line + 1, loader.column + 1)
    problems.append(Problem(what, place))
    return None


def _only_document(loader: _Loader) -> yaml.Node:
    start = loader.get_event()  # type: ignore[no-untyped-call]
    if loader.check_event(yaml.StreamEndEvent):
        raise _RefusedError("the file is empty", start.start_mark)
    node = loader.compose_document()
    if not loader.check_event(yaml.StreamEndEvent):
        mark = loader.peek_event().start_mark  # type: ignore[no-untyped-call]
        raise _RefusedError("a second document starts here; one file holds one document", mark)
    if node is None or (isinstance(node, yaml.ScalarNode) and not node.value and node.style is None):
        raise _RefusedError("the file is empty", start.start_mark)
    return node


_PLAIN = (
    (r"'\\t' that cannot start any token", "a tab stands where YAML needs spaces"),
    (r"mapping values are not allowed", "a ':' that fits nothing: wrong indentation, or text with ': ' without quotes"),
    (r"could not find expected ':'", "a key without its ':'"),
    (r"while scanning a quoted.*unexpected (end|document)", "a quote is opened here and never closed"),
    (r"expected ',' or '\}'", "a ',' or the closing '}' is missing after this '{'"),
    (r"expected ',' or '\]'", "a ',' or the closing ']' is missing after this '['"),
    (r"expected <block end>|expected '?<document start>", "the indentation does not match the lines above"),
    (r"expected the node content", "a value is missing here"),
    (r"found undefined alias", "this alias names an anchor that was not written before"),
    (r"cannot start any token", "a value cannot begin with this character; put it in quotes"),
)


def _mark_of(error: yaml.MarkedYAMLError) -> yaml.Mark | None:
    """Where a person has to look: what was opened and never closed, else where PyYAML stopped."""
    began_there = (error.context or "").startswith(
        ("while scanning a quoted", "while scanning a simple", "while parsing a flow")
    )
    first, second = error.context_mark, error.problem_mark
    return (first or second) if began_there else (second or first)


def _plainly(error: yaml.MarkedYAMLError, text: str) -> str:
    """PyYAML's error as a sentence for someone who does not know how a YAML parser works."""
    said = f"{error.context or ''}: {error.problem or ''}"
    for pattern, sentence in _PLAIN:
        if re.search(pattern, said):
            return sentence
    mark = error.problem_mark
    if mark is not None and mark.index < len(text) and text[mark.index] == "\t":
        return "a tab stands where YAML needs spaces"
    return f"this is not valid YAML: {error.problem or error.context}"


class _Converter:
    """From PyYAML's graph to the tree: aliases expanded and counted, duplicate keys reported."""

    def __init__(self, file: str, problems: list[Problem]) -> None:
        self.file = file
        self.problems = problems
        self.count = 0

    def node(self, node: yaml.Node, above: tuple[yaml.Node, ...]) -> Node:
        """The tree of a node. `above` are the nodes that enclose it. Raises `_RefusedError`."""
        if any(node is other for other in above):
            raise _RefusedError("an alias in here refers to the value that encloses it", node.start_mark)
        if len(above) > MAX_DEPTH:
            raise _RefusedError(f"the values are nested more than {MAX_DEPTH} deep", node.start_mark)
        self.count += 1
        if self.count > MAX_NODES:
            outer = (*above, node)[:2][-1]  # the value of a key of the file
            raise _RefusedError(f"the aliases in here expand to more than {MAX_NODES} values", outer.start_mark)
        place = Place(self.file, node.start_mark.line + 1, node.start_mark.column + 1)
        if isinstance(node, yaml.SequenceNode):
            return ListNode(tuple(self.node(item, (*above, node)) for item in node.value), place)
        if isinstance(node, yaml.MappingNode):
            return MappingNode(self._entries(node, (*above, node)), place)
        return self._scalar(node, place)

    def _scalar(self, node: yaml.Node, place: Place) -> ScalarNode:
        text = str(node.value)
        if (bad := _CONTROL.search(text)) is not None:
            raise _RefusedError(f"the text holds the control character U+{ord(bad[0]):04X}", node.start_mark)
        return ScalarNode(text, getattr(node, "style", None) is not None, place)

    def _entries(self, node: yaml.MappingNode, above: tuple[yaml.Node, ...]) -> tuple[tuple[ScalarNode, Node], ...]:
        entries: dict[str, tuple[ScalarNode, Node]] = {}
        for written_key, written_value in node.value:
            key = self.node(written_key, above)
            value = self.node(written_value, above)
            if not isinstance(key, ScalarNode):
                self.problems.append(Problem("a key must be a plain word, not a list or a mapping", key.place))
            elif key.text in entries:
                first = entries[key.text][0].place
                self.problems.append(Problem(f"key {shown(key.text)} is written twice; first at {first}", key.place))
            else:
                entries[key.text] = (key, value)
        return tuple(entries.values())


def shown(text: str) -> str:
    """A written text in quotes for a message, shortened when it is long."""
    return repr(text if len(text) <= 60 else f"{text[:57]}...")


def _place_in(text: str, index: int, file: str) -> Place:
    before = text[:index]
    return Place(file, before.count("\n") + 1, index - (before.rfind("\n") + 1) + 1)
