"""Pages of HTML out of the templates: the one file that knows Jinja2. Pure.

Jinja2 escapes everything but our own style sheet and drawings. Besides, `plain` takes out of every text, wherever it
stands, what nobody sees, and cuts it: no template can forget it.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup, escape

from reports.escape import plain
from reports.tables import Loud

_LONGEST = 800
_UNBROKEN = re.compile(r"[^\s-]{25}")
"""A word so long that a cell may break it anywhere; others stay whole."""
_UNIT = re.compile(r"(?<=\d) (?=(?:s|ms|%)(?![^\W_]))")
"""The space before a unit, at which no line may break."""

_DAY = re.compile(r"(?<![\w-])\d{4}-\d\d-\d\d(?![\w-])")


def written(template: str, **values: object) -> bytes:
    """A page. Raises `jinja2.UndefinedError` when the template asks for a value that was not given."""
    return _environment().get_template(template).render(**values).strip().encode() + b"\n"


def drawing(svg: str) -> Markup:
    """An SVG that stands in a page as it is: ElementTree wrote it, and escaped what had to be."""
    return Markup(svg)  # noqa: S704  see above


@cache
def _environment() -> Environment:
    made = Environment(
        loader=FunctionLoader(_source),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    made.globals["style"] = Markup(_source("style.css"))  # noqa: S704  our own file
    made.globals["quarter_style"] = Markup(_source("quarter.css"))  # noqa: S704  our own file
    made.filters["days"] = _days
    made.tests["loud"] = lambda text: isinstance(text, Loud)
    made.tests["unbroken"] = lambda text: _UNBROKEN.search(text) is not None
    return made


def _days(value: str) -> Markup:
    """The text of a cell, in which no line breaks inside a day; for contents only, since it holds an element."""
    escaped = str(escape(_shown(value)))  # a `Markup` would escape what is put into it
    return Markup(_DAY.sub(r'<span class="day">\g<0></span>', escaped))  # noqa: S704  escaped before


def _source(name: str) -> str:
    return (files("reports") / "templates" / name).read_text(encoding="utf-8")


def _shown(value: object) -> object:
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return _UNIT.sub("\u00a0", plain(value, _LONGEST))
