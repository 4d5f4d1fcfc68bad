"""The routes by which a gateway's traffic comes to the planes. A route is a module in here that has a `ROUTE`."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from drills.problems import UsageProblem, choices
from drills.routing.base import RouteKind


@cache
def _found() -> dict[str, RouteKind]:
    found: dict[str, RouteKind] = {}
    for info in pkgutil.iter_modules(__path__, f"{__name__}."):
        route: RouteKind | None = getattr(importlib.import_module(info.name), "ROUTE", None)
        if route is not None:
            found[route.name.value] = route
    return dict(sorted(found.items()))


def names() -> tuple[str, ...]:
    """The names of all routes, in alphabetical order."""
    return tuple(_found())


def get(name: str) -> RouteKind:
    """The route with that name. Raises `UsageProblem` with the closest match when there is none."""
    found = _found()
    if name not in found:
        raise UsageProblem(f"no route {name!r}; {choices(name, found)}")
    return found[name]
