"""The page about every fault, made from the faults' own classes: what it says cannot fall behind what they do. Pure."""

from __future__ import annotations

import enum
import inspect

from drills.binding import Field, fields_of, written
from drills.schema import descriptions, summary, takes
from faults.base import Fault, kinds

_INTRO = """\
# Faults

Made from the classes in `faults/`; `python tests/test_catalogue.py` writes it anew.

A fault stands in a phase of a scenario's timeline, with the legs that it hits and its settings:
`- slow: {role: primary, by: 2s}`. It lasts as long as the phase. A fault that met no request makes the drill invalid.
Several faults on one leg go together: what makes requests or answers slow adds up, and of the rest the first wins.
"""


def fault_page() -> str:
    """The whole page in Markdown: a table of every kind, then a section for each."""
    rows = [f"| [`{kind}`](#{kind}) | {summary(cls)} |" for kind, cls in kinds().items()]
    table = "\n".join(["| fault | what it does |", "|---|---|", *rows])
    return "\n".join([_INTRO, table, "", "\n\n".join(_section(kind, cls) for kind, cls in kinds().items()), ""])


def _section(kind: str, cls: type[Fault]) -> str:
    said = descriptions(cls)
    rows = [
        f"| `{field.key}` | {takes(field.shape)} | {_default(field)} | {said.get(field.attribute, '')} |"
        for field in fields_of(cls)
    ]
    table = ["", "| setting | takes | default | meaning |", "|---|---|---|---|", *rows] if rows else []
    return "\n".join([f"## {kind}", "", _prose(cls), *table])


def _prose(cls: type[Fault]) -> str:
    """The docstring without its lines about settings."""
    paragraphs = inspect.cleandoc(cls.__doc__ or "").split("\n\n")
    settings = tuple(f"{field.attribute}: " for field in fields_of(cls))
    return "\n\n".join(paragraph for paragraph in paragraphs if not (settings and paragraph.startswith(settings)))


def _default(field: Field) -> str:
    if field.required:
        return "needed"
    value = field.default
    if value is None:
        return "none"
    if isinstance(value, enum.Enum):
        value = value.value
    return f"`{value if isinstance(value, str) else written(value, field.shape)}`"
