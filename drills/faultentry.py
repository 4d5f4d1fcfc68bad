"""An entry of `faults` in a scenario: `- status: {role: primary, code: 503}`.

The catalogue of faults decides which kinds and settings there are, so a new fault file is all that a new fault needs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import ClassVar, Self

from drills.binding import bind_together, fields_of, near
from drills.legs import ROLES, SELECTOR_KEYS, Selector, is_role
from drills.problems import Place, Problem, choices
from drills.yamlsource import MappingNode, Node, ScalarNode, is_null, place_of, shown
from faults.base import Fault, kinds
from faults.shapes import SHAPE_KEYS, SWITCH_AT_LEAST_S, Flapping, Shape, Square

_SQUARE = "square"


@dataclass(frozen=True, kw_only=True)
class WrittenFault:
    """An entry of `faults`: one fault kind, and below it the selector's keys, the fault's settings and its shape.

    A fault on the gateway itself has no selector. One that sees no requests has no shape but the square.
    """

    noun: ClassVar[str] = "a fault"

    kind: str
    fault: Fault
    selector: Selector
    place: Place
    shape: Shape | None = None

    @classmethod
    def from_node(cls, node: Node, problems: list[Problem]) -> Self | None:  # noqa: PLR0911  one return for each mistake
        """The fault of one entry; None with the problems added."""
        if not isinstance(node, MappingNode) or len(node.entries) != 1:
            what = "a fault is one kind with its legs and settings, such as `- blackhole: {role: primary}`"
            if isinstance(node, MappingNode) and node.entries:
                what += f"; here are {len(node.entries)} keys: {', '.join(key.text[:60] for key, _ in node.entries)}"
            problems.append(Problem(what, node.place))
            return None
        key, value = node.entries[0]
        cls_of = catalogue().get(key.text)
        if cls_of is not None and cls_of.plane == "process":
            return cls._on_gateway(key, value, cls_of, problems)
        if key.text not in catalogue():
            what = f"unknown fault {shown(key.text)}; {choices(key.text[:60], catalogue())}"
            problems.append(Problem(what, key.place))
            return None
        if is_null(value) or (isinstance(value, MappingNode) and not _names_legs(value, catalogue()[key.text])):
            what = f"fault {key.text!r} says nowhere which legs it hits; add one of {', '.join(SELECTOR_KEYS)}"
            problems.append(Problem(what, key.place))
        if is_null(value):
            return None
        before = len(problems)
        bound = bind_together(value, (Selector, catalogue()[key.text], Shape), problems, f"fault {key.text!r}")
        if bound is None:
            return None
        selector, fault, shape = bound
        problems.extend(_unknown_roles(value, selector))
        if not fault.sees_requests:
            problems.extend(_choosing(value, key.text, fault.plane))
            problems.extend(_hasty(value, key.text, shape.square))
        if len(problems) > before:
            return None
        return cls(
            kind=key.text, fault=fault, selector=selector, place=key.place, shape=None if shape == Shape() else shape
        )

    @classmethod
    def _on_gateway(cls, key: ScalarNode, value: Node, fault_cls: type[Fault], problems: list[Problem]) -> Self | None:
        """A fault on the gateway itself, which has settings, a square and no selector: `- gateway_pause: {}`."""
        if is_null(value):
            problems.append(Problem(f"fault {key.text!r} has no value; write `{key.text}: {{}}`", key.place))
            return None
        selecting = [k for k, _ in value.entries if k.text in SELECTOR_KEYS] if isinstance(value, MappingNode) else []
        if selecting:
            what = f"fault {key.text!r} hits the gateway itself and takes no"
            problems.extend(Problem(f"{what} {one.text!r}; write `{key.text}: {{}}`", one.place) for one in selecting)
            return None
        if choosing := list(_choosing(value, key.text, fault_cls.plane)):
            problems.extend(choosing)
            return None
        bound = bind_together(value, (fault_cls, Flapping), problems, f"fault {key.text!r}")
        if bound is None:
            return None
        fault, flapping = bound
        if hasty := list(_hasty(value, key.text, flapping.square)):
            problems.extend(hasty)
            return None
        shape = None if flapping.square is None else Shape(square=flapping.square)
        return cls(kind=key.text, fault=fault, selector=Selector(), place=key.place, shape=shape)


def _names_legs(node: MappingNode, cls: type[Fault]) -> bool:
    """Whether a selector key is there, be it with a typo: that is reported as an unknown key."""
    settings = {field.key for field in fields_of(cls)}
    return any(near(key.text, SELECTOR_KEYS) for key, _ in node.entries if key.text not in settings)


_SEES_NONE = {
    "mitm": ("one of connections", "; 'status', 'hang' and 'reset' take every shape"),
    "toxi": ("one of the wire, which knows no requests", "; 'slow', 'bandwidth' and 'reset' take every shape"),
    "process": ("one of the gateway itself", ""),
}


def _choosing(node: Node, kind: str, plane: str) -> Iterator[Problem]:
    """Requests can be chosen only where a fault sees them: a port is open or it is not, a line has no requests, and a
    gateway runs or it does not.
    """
    if isinstance(node, MappingNode):
        is_one, instead = _SEES_NONE[plane]
        for key, _ in node.entries:
            if key.text in SHAPE_KEYS and key.text != _SQUARE:
                what = f"{key.text!r} chooses requests, and {kind!r} is {is_one}"
                yield Problem(f"{what}: its one shape is {_SQUARE!r}, on and off in turn{instead}", key.place)


def _hasty(node: Node, kind: str, square: Square | None) -> Iterator[Problem]:
    """A square that a plane has to switch faster than it can be proved that it does."""
    if square is not None and (shortest_s := min(square.on_s, square.period_s - square.on_s)) < SWITCH_AT_LEAST_S:
        what = f"{_SQUARE!r} leaves {kind!r} on or off for {shortest_s:g}s at a time"
        yield Problem(f"{what}; at least {SWITCH_AT_LEAST_S:g}s each is allowed", place_of(node, _SQUARE))


def _unknown_roles(node: Node, selector: Selector) -> Iterator[Problem]:
    for key in ("role", "cloud_of", "region_of"):
        role = getattr(selector, key)
        if role is not None and not is_role(role):
            what = f"{key!r} takes a role, and {shown(role)} is none; {choices(role[:60], ROLES)}, level-6, ..."
            yield Problem(what, place_of(node, key))


@cache
def catalogue() -> dict[str, type[Fault]]:
    """Every fault kind. Raises `TypeError` when a fault's setting has the name of a selector's or a shape's key."""
    for kind, cls in kinds().items():
        for keys, why in ((SELECTOR_KEYS, "it selects legs"), (SHAPE_KEYS, "it shapes faults in time")):
            if taken := sorted({field.key for field in fields_of(cls)} & set(keys)):
                raise TypeError(f"fault {kind!r}: a setting cannot be called {', '.join(taken)}: {why}")
    return kinds()
