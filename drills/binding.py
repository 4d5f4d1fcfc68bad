"""From located YAML values to typed ones: dataclasses and msgspec structs are filled by their annotations.

Everything that is wrong is collected, each with its place, its subject and the choices; nothing is guessed and no
value is silently dropped: an empty value is a problem, because `switchover:` left empty must not mean "no limit".
Pure. Understood annotations: `str`, `bool`, `int`, `float`, `Literal`, `StrEnum`, `X | None`, `tuple[X, ...]`, nested
classes, `Annotated` with `drills.units.Unit`, `msgspec.Meta` bounds and `Key`. A field of type `Place` is not a key:
it gets the place of its mapping. Any other annotation is a mistake in the program and raises `TypeError`.
"""

from __future__ import annotations

import dataclasses
import difflib
import enum
import math
import re
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal, Protocol, Self, TypeVar, cast, runtime_checkable

import msgspec

from drills.problems import Place, Problem, choices
from drills.units import EXAMPLES, PARSERS, Unit
from drills.yamlsource import ListNode, MappingNode, Node, ScalarNode, boolean, is_null, number, shown

T = TypeVar("T")


@dataclass(frozen=True)
class Key:
    """Marks a field whose key in YAML differs from its name: `Annotated[Seconds, Key("for")]`."""

    name: str


@runtime_checkable
class BindsItself(Protocol):
    """A class that reads its own value because its fields depend on what is written."""

    @classmethod
    def from_node(cls, node: Node, problems: list[Problem]) -> Self | None:
        """The value, or None with at least one problem added."""


@dataclass(frozen=True)
class Shape:
    """What an annotation asks for: the bare type, its unit and its bounds. `nullable` is the `| None`."""

    type: Any
    unit: Unit | None = None
    bounds: tuple[msgspec.Meta, ...] = ()
    key: str | None = None
    nullable: bool = False


@dataclass(frozen=True)
class Field:
    """One key of a mapping: its name in YAML, the attribute it fills, and what it takes."""

    key: str
    attribute: str
    shape: Shape
    required: bool
    default: Any = None


class _Bad(enum.Enum):
    """What a reader returns after it reported a problem."""

    BAD = enum.auto()


def bind(node: Node, cls: type[T], problems: list[Problem], what: str = "") -> T | None:
    """An instance of `cls` from a mapping; None when anything in it is wrong, with every problem added.

    `what` names the mapping in messages; by default the class's own `noun`.
    """
    bound = bind_together(node, (cls,), problems, what or noun_of(cls, cls.__name__))
    return None if bound is None else cast("T", bound[0])


def bind_together(node: Node, classes: Sequence[type], problems: list[Problem], what: str) -> tuple[Any, ...] | None:
    """One instance of each class from one mapping that holds the keys of all of them. None when anything is wrong.

    The classes' keys must differ.
    """
    if not isinstance(node, MappingNode):
        problems.append(Problem(f"{what} must be a mapping (`key: value`), not {_kind(node)}", node.place))
        return None
    fields = {field.key: field for cls in classes for field in fields_of(cls)}
    before = len(problems)
    values: dict[str, Any] = {}
    misspelt: set[str] = set()  # a key that stands there with a typo is not reported as missing, too
    for key, value in node.entries:
        field = fields.get(key.text)
        if field is None:
            tail = choices(key.text[:60], fields)
            misspelt.update(near(key.text, fields))
            problems.append(Problem(f"unknown key {shown(key.text)} in {what}; {tail}", key.place))
        else:
            values[key.text] = read(value, field.shape, field.key, what, problems)
    written_keys = {key.text for key, _ in node.entries}
    problems.extend(
        Problem(f"missing key {field.key!r} in {what}; it takes {wants(field.shape)}", node.place)
        for field in fields.values()
        if field.required and field.key not in written_keys | misspelt
    )
    if len(problems) > before:
        return None
    return _instances(node, classes, values, what, problems)


def near(word: str, allowed: Iterable[str]) -> list[str]:
    """The allowed word that was probably meant, or nothing."""
    return difflib.get_close_matches(word[:60], list(allowed), n=1)


def _instances(
    node: MappingNode, classes: Sequence[type], values: Mapping[str, Any], what: str, problems: list[Problem]
) -> tuple[Any, ...] | None:
    made = []
    for cls in classes:
        arguments = {field.attribute: values[field.key] for field in fields_of(cls) if field.key in values}
        arguments |= dict.fromkeys(_place_attributes(cls), node.place)
        try:
            made.append(cls(**arguments))
        except ValueError as error:  # a class may refuse a combination of values in its __post_init__
            problems.append(Problem(f"{what}: {error}", node.place))
            return None
    return tuple(made)


def read(node: Node, shape: Shape, key: str, what: str, problems: list[Problem]) -> Any:  # noqa: ANN401 - any annotation
    """The value that a shape asks for, or `_Bad.BAD` with a problem added. `key` in `what` is the subject."""
    subject = f"{key!r} in {what}"
    if is_null(node):
        problems.append(Problem(f"{subject} has no value; it takes {wants(shape)}", node.place))
        return _Bad.BAD
    if typing.get_origin(shape.type) is tuple:
        return _read_list(node, shape, key, what, problems)
    if isinstance(shape.type, type) and issubclass(shape.type, BindsItself):
        return _or_bad(shape.type.from_node(node, problems))
    if _has_fields(shape.type):
        return _or_bad(bind(node, shape.type, problems, noun_of(shape.type, key)))
    return _read_scalar(node, shape, subject, problems)


def _read_scalar(node: Node, shape: Shape, subject: str, problems: list[Problem]) -> Any:  # noqa: ANN401 - see read
    if not isinstance(node, ScalarNode):
        problems.append(Problem(f"{subject} must be {wants(shape)}, not {_kind(node)}", node.place))
        return _Bad.BAD
    try:
        value = _reader(shape)(node)
        _check_bounds(value, shape)
    except ValueError as error:
        problems.append(Problem(f"{subject}: {error}", node.place))
        return _Bad.BAD
    return value


def _read_list(node: Node, shape: Shape, key: str, what: str, problems: list[Problem]) -> Any:  # noqa: ANN401 - see read
    if not isinstance(node, ListNode):
        problems.append(Problem(f"{key!r} in {what} must be a list (`- item`), not {_kind(node)}", node.place))
        return _Bad.BAD
    item_shape = shape_of(typing.get_args(shape.type)[0])
    items = tuple(read(item, item_shape, key, what, problems) for item in node.items)
    try:
        _check_bounds(items, shape)
    except ValueError as error:
        problems.append(Problem(f"{key!r} in {what}: {error}", node.place))
        return _Bad.BAD
    return _Bad.BAD if any(item is _Bad.BAD for item in items) else items


def _or_bad(value: T | None) -> T | _Bad:
    return _Bad.BAD if value is None else value


# --- scalars ---------------------------------------------------------------------------------------------------------


def _reader(shape: Shape) -> Callable[[ScalarNode], Any]:
    """What turns a scalar into the shape's type. It raises `ValueError` with a sentence."""
    if shape.unit is not None:
        unit = shape.unit.name
        return lambda node: _quantity(node, unit)
    if typing.get_origin(shape.type) is Literal:
        return lambda node: _one_of(node, {str(value): value for value in typing.get_args(shape.type)})
    if isinstance(shape.type, type) and issubclass(shape.type, enum.StrEnum):
        return lambda node: _one_of(node, {member.value: member for member in shape.type})
    return _SCALARS[shape.type]


def _quantity(node: ScalarNode, unit: str) -> float:
    if number(node) is not None:
        raise ValueError(f"{node.text} needs a unit; a {unit} is written {EXAMPLES[unit]}")
    if len(node.text) > 60:
        raise ValueError(f"{shown(node.text)} is not a {unit}; write a number and a unit: {EXAMPLES[unit]}")
    value = PARSERS[unit](node.text)
    if not math.isfinite(value):
        raise ValueError(f"{shown(node.text)} is too large")
    return value


def _one_of(node: ScalarNode, allowed: Mapping[str, Any]) -> Any:  # noqa: ANN401 - an enum's member or a literal
    if node.text in allowed:
        return allowed[node.text]
    raise ValueError(f"unknown value {shown(node.text)}; {choices(node.text[:60], allowed)}")


def _text(node: ScalarNode) -> str:
    if number(node) is not None or boolean(node) is not None:
        raise ValueError(f'{node.text} is not text; put it in quotes: "{node.text}"')
    text = node.text.strip()
    if not text:
        raise ValueError("the text is empty")
    return text


def _boolean(node: ScalarNode) -> bool:
    value = boolean(node)
    if value is None:
        raise ValueError(f"{shown(node.text)} is neither true nor false")
    return value


def _integer(node: ScalarNode) -> int:
    value = number(node)
    if value is None or not math.isfinite(value) or value != int(value):
        raise ValueError(f"{shown(node.text)} is not a whole number")
    return int(value)


def _decimal(node: ScalarNode) -> float:
    value = number(node)
    if value is None:
        raise ValueError(f"{shown(node.text)} is not a number")
    try:
        value = float(value)
    except OverflowError:
        value = math.inf
    if not math.isfinite(value):
        raise ValueError(f"{shown(node.text)} is too large")
    return value


_SCALARS: dict[Any, Callable[[ScalarNode], Any]] = {str: _text, bool: _boolean, int: _integer, float: _decimal}


# --- bounds ----------------------------------------------------------------------------------------------------------

_COMPARISONS: tuple[tuple[str, str, Callable[[Any, Any], bool]], ...] = (
    ("ge", "at least", lambda value, limit: value >= limit),
    ("gt", "more than", lambda value, limit: value > limit),
    ("le", "at most", lambda value, limit: value <= limit),
    ("lt", "less than", lambda value, limit: value < limit),
)


def _check_bounds(value: Any, shape: Shape) -> None:  # noqa: ANN401 - any bounded value
    """Raises `ValueError` when a bound does not hold."""
    for meta in shape.bounds:
        for name, words, holds in _COMPARISONS:
            limit = getattr(meta, name)
            if limit is not None and not holds(value, limit):
                raise ValueError(f"must be {words} {written(limit, shape)}, not {written(value, shape)}")
        if meta.min_length is not None and len(value) < meta.min_length:
            raise ValueError(f"must have at least {meta.min_length} {_counted(value, meta.min_length)}")
        if meta.max_length is not None and len(value) > meta.max_length:
            raise ValueError(f"must have at most {meta.max_length} {_counted(value, meta.max_length)}")
        if meta.pattern is not None and re.search(meta.pattern, value) is None:
            raise ValueError(f"{shown(value)} must be {meta.description or f'text like {meta.pattern}'}")


def _counted(value: Any, count: int) -> str:  # noqa: ANN401 - text or a list
    return ("character" if isinstance(value, str) else "item") + ("" if count == 1 else "s")


def written(value: float, shape: Shape) -> str:
    """A number as a person writes it, with its unit."""
    unit = None if shape.unit is None else shape.unit.name
    if unit == "share":
        return f"{value * 100:g}%"
    return f"{value:.10g}{ {'duration': 's', 'rate': '/s', 'bandwidth': 'B/s'}.get(unit or '', '') }"


# --- what classes and annotations ask for ----------------------------------------------------------------------------


def fields_of(cls: type) -> tuple[Field, ...]:
    """The keys of a dataclass or msgspec struct, in the order of its fields. Raises `TypeError` for other classes."""
    return _fields_of(cls)


@cache
def _fields_of(cls: type) -> tuple[Field, ...]:
    hints = typing.get_type_hints(cls, include_extras=True)
    found = []
    for name, alias, required, default in _declared(cls):
        shape = shape_of(hints[name])
        if shape.type is not Place:
            found.append(Field(shape.key or alias, name, shape, required, default))
    return tuple(found)


def _declared(cls: type) -> list[tuple[str, str, bool, Any]]:
    if issubclass(cls, msgspec.Struct):
        return [(f.name, f.encode_name, f.required, f.default) for f in msgspec.structs.fields(cls)]
    if not dataclasses.is_dataclass(cls):
        raise TypeError(f"{cls!r} is neither a dataclass nor a msgspec struct")
    missing = dataclasses.MISSING
    return [
        (f.name, f.name, f.default is missing and f.default_factory is missing, f.default)
        for f in dataclasses.fields(cls)
        if f.init
    ]


@cache
def _place_attributes(cls: type) -> tuple[str, ...]:
    hints = typing.get_type_hints(cls, include_extras=True)
    return tuple(name for name, _, _, _ in _declared(cls) if hints[name] is Place)


def _has_fields(tp: Any) -> bool:  # noqa: ANN401 - any annotation
    return isinstance(tp, type) and (dataclasses.is_dataclass(tp) or issubclass(tp, msgspec.Struct))


def shape_of(annotation: Any) -> Shape:  # noqa: ANN401 - any annotation
    """The shape that an annotation asks for. Raises `TypeError` when the binder cannot read such values."""
    marks: list[Any] = []
    nullable = False
    while True:
        if typing.get_origin(annotation) is Annotated:
            marks.extend(annotation.__metadata__)
            annotation = annotation.__origin__
        elif typing.get_origin(annotation) in {typing.Union, types.UnionType}:
            rest = [arg for arg in typing.get_args(annotation) if arg is not types.NoneType]
            if len(rest) != 1:
                raise TypeError(f"cannot read a union from YAML: {annotation!r}")
            annotation, nullable = rest[0], True
        else:
            break
    if not (_has_fields(annotation) or annotation in _SCALARS or annotation is Place or _is_special(annotation)):
        raise TypeError(f"cannot read this type from YAML: {annotation!r}")
    unit = next((mark for mark in marks if isinstance(mark, Unit)), None)
    key = next((mark.name for mark in marks if isinstance(mark, Key)), None)
    bounds = tuple(mark for mark in marks if isinstance(mark, msgspec.Meta))
    return Shape(annotation, unit, bounds, key, nullable)


def _is_special(annotation: Any) -> bool:  # noqa: ANN401 - any annotation
    origin = typing.get_origin(annotation)
    if origin is tuple:
        return typing.get_args(annotation)[1:] == (Ellipsis,)
    if isinstance(annotation, type):
        return issubclass(annotation, (enum.StrEnum, BindsItself))
    return origin is Literal


_WORDS = {str: "text", bool: "true or false", int: "a whole number", float: "a number"}


def wants(shape: Shape) -> str:
    """What may be written, in a few words: `a duration (500ms, 30s, 2m, 1h)`."""
    if shape.unit is not None:
        return f"a {shape.unit.name} ({EXAMPLES[shape.unit.name]})"
    if typing.get_origin(shape.type) is Literal:
        return f"one of {', '.join(sorted(str(value) for value in typing.get_args(shape.type)))}"
    if isinstance(shape.type, type) and issubclass(shape.type, enum.StrEnum):
        return f"one of {', '.join(sorted(member.value for member in shape.type))}"
    if typing.get_origin(shape.type) is tuple:
        return "a list"
    if shape.type in _WORDS:
        return _WORDS[shape.type]
    keys = ", ".join(sorted(field.key for field in fields_of(shape.type)))
    return f"a mapping with {keys}"


def noun_of(cls: type, otherwise: str) -> str:
    """How messages call a mapping of this class: its `noun`, else the key it was written under."""
    return str(getattr(cls, "noun", otherwise))


def _kind(node: Node) -> str:
    if isinstance(node, ListNode):
        return "a list"
    if isinstance(node, MappingNode):
        return "a mapping"
    return "nothing" if is_null(node) else f"{shown(node.text)}"
