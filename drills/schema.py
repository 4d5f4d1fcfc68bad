"""JSON schema of a scenario file, for editors: made from the same classes that read the file.

An editor that knows it completes keys, shows what they mean, and marks typos while they are written. The tool itself
does not use it: `drills.scenariofile.parse` knows more (units, bounds of quantities, legs).
"""

from __future__ import annotations

import enum
import inspect
import re
import typing
from typing import Any, Literal

from drills.binding import Field, Shape, fields_of, shape_of, wants, written
from drills.faultentry import WrittenFault, catalogue
from drills.legs import ROLES, SELECTOR_KEYS, Selector
from drills.scenariofile import WrittenScenario
from drills.units import EXAMPLES
from faults.shapes import Flapping
from faults.shapes import Shape as FaultShape

Schema = dict[str, Any]

_TYPES = {str: "string", bool: "boolean", int: "integer", float: "number"}
_QUANTITIES = {
    "duration": r"^\s*\d+(\.\d+)?\s*(ms|s|m|h)\s*$",
    "rate": r"^\s*\d+(\.\d+)?\s*/\s*(s|min)\s*$",
    "bandwidth": r"^\s*\d+(\.\d+)?\s*(B|kB|MB)\s*/\s*s\s*$",
    "share": r"^\s*\d+(\.\d+)?\s*%\s*$",
}
_BOUNDS = {
    "ge": ("minimum", "at least"),
    "gt": ("exclusiveMinimum", "more than"),
    "le": ("maximum", "at most"),
    "lt": ("exclusiveMaximum", "less than"),
}
_ROLE_KEYS = ("role", "cloud_of", "region_of")


def scenario_schema() -> Schema:
    """The schema of a whole scenario file, in JSON Schema draft 2020-12."""
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "failover drill scenario"}
    return head | _mapping((WrittenScenario,))


def descriptions(cls: type) -> dict[str, str]:
    """What the docstring of a class says about each attribute, from its lines `attribute: text`."""
    found: dict[str, str] = {}
    names = {field.attribute for field in fields_of(cls)}
    name = ""
    for line in inspect.cleandoc(cls.__doc__ or "").splitlines():
        match = re.match(r"(\w+): (.+)", line)
        if match and match[1] in names:
            name = match[1]
            found[name] = match[2]
        elif name and line:
            found[name] += f" {line}"
        else:
            name = ""
    return found


def summary(cls: type) -> str:
    """The first line of the docstring of a class."""
    return inspect.cleandoc(cls.__doc__ or "").partition("\n")[0]


def takes(shape: Shape) -> str:
    """What may be written, with its numeric bounds: `a whole number, at least 1, at most 1000`."""
    limits = [
        f"{words} {written(limit, shape)}"
        for meta in shape.bounds
        for bound, (_, words) in _BOUNDS.items()
        if (limit := getattr(meta, bound)) is not None
    ]
    return ", ".join([wants(shape), *limits])


def _mapping(classes: tuple[type, ...]) -> Schema:
    """A mapping that holds the keys of all these classes."""
    said = {key: text for cls in classes for key, text in descriptions(cls).items()}
    fields = [field for cls in classes for field in fields_of(cls)]
    schema: Schema = {
        "type": "object",
        "description": summary(classes[-1]),
        "properties": {field.key: _property(field, said.get(field.attribute, "")) for field in fields},
        "additionalProperties": False,
    }
    required = [field.key for field in fields if field.required]
    return schema | ({"required": required} if required else {})


def _property(field: Field, said: str) -> Schema:
    schema = _value(field.shape)
    sentences = [said or schema.get("description", ""), f"Takes {takes(field.shape)}."]
    schema["description"] = " ".join(sentence for sentence in sentences if sentence)
    if not field.required and isinstance(field.default, (str, int, float)) and field.shape.unit is None:
        schema["default"] = field.default
    return schema


def _value(shape: Shape) -> Schema:
    """What may be written for a shape."""
    wanted = shape.type
    if shape.unit is not None:
        return {
            "type": "string",
            "pattern": _QUANTITIES[shape.unit.name],
            "examples": EXAMPLES[shape.unit.name].split(", "),
        }
    if typing.get_origin(wanted) is tuple:
        return {"type": "array", "items": _value(shape_of(typing.get_args(wanted)[0]))} | _bounds(shape)
    if typing.get_origin(wanted) is Literal:
        return {"enum": list(typing.get_args(wanted))}
    if issubclass(wanted, enum.StrEnum):
        return {"enum": [member.value for member in wanted]}
    if wanted in _TYPES:
        return {"type": _TYPES[wanted]} | _bounds(shape)
    return _fault() if wanted is WrittenFault else _mapping((wanted,))


def _bounds(shape: Shape) -> Schema:
    names = {bound: name for bound, (name, _) in _BOUNDS.items()}
    array = typing.get_origin(shape.type) is tuple
    names |= {"min_length": "minItems"} if array else {"min_length": "minLength", "max_length": "maxLength"}
    found: Schema = {name: getattr(meta, bound) for meta in shape.bounds for bound, name in names.items()}
    for pattern in (meta.pattern for meta in shape.bounds if meta.pattern is not None):
        found["pattern"] = _javascript(pattern)
    return {name: limit for name, limit in found.items() if limit is not None}


def _javascript(pattern: str) -> str:
    """The pattern for JavaScript, which editors use: it has other marks for the start and the end of a text."""
    return pattern.replace(r"\A", "^").replace(r"\Z", "$")


def _fault() -> Schema:
    """An entry of `faults`: one of the catalogue's kinds, with at least one selector key."""
    properties = {}
    for kind, cls in catalogue().items():
        if cls.plane == "process":
            properties[kind] = _mapping((Flapping, cls))
            continue
        schema = _mapping((Selector, FaultShape if cls.plane == "mitm" else Flapping, cls))
        for key in _ROLE_KEYS:
            schema["properties"][key] |= {"examples": list(ROLES)}
        properties[kind] = schema | {"anyOf": [{"required": [key]} for key in SELECTOR_KEYS]}
    return {
        "type": "object",
        "description": summary(WrittenFault),
        "properties": properties,
        "additionalProperties": False,
        "minProperties": 1,
        "maxProperties": 1,
    }
