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

## Several faults on one leg

They go together in the order in which a request meets them. *First* is the one that began first, and of those that
begin together the one that is written first.

1. The name (`dns_failure`): silence beats a failure of the name server, which beats the word that there is no such
   name. Who has a connection asks for none.
2. The line (`wire_*`): every toxic acts, the first one first. A line that is down is down for all of them.
3. The connection: refused (`refuse`) beats silent (`blackhole`), which beats open.
4. The request: it waits for the sum of all delays (`slow`, `identity_slow`). Words are swapped (`degraded_text`).
   Then the first of all the others that answer, hold or break decides. When that one is cleared while it holds the
   request, the next one decides.
5. The answer: what slows it down adds up (`slow_first_token`, `slow_tokens`), also for an answer that will break; of
   several `bandwidth` the narrowest counts.

What ends an exchange hides what would have come later in it, and of those that decide about a request the first hides
the others. A fault that is hidden need not prove itself; one behind a delay, or beside one, must. What a line does to
bytes it does to any answer, also to one that another fault gave in the leg's place.

Requests for tokens meet faults of the identity service (`identity_*`), of names, lines and connections, and no others;
requests for models never meet those of the identity service. A fault that flaps (`square`) takes no part while it is
off. Faults on the gateway itself (`gateway_*`) are on no leg: a gateway that does not run asks nobody.

## All faults
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
