"""The gateways that a drill can start. An adapter is a module in here that has a `GATEWAY`."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from drills.gateways.base import Gateway
from drills.problems import UsageProblem, choices


@cache
def _found() -> dict[str, Gateway]:
    found: dict[str, Gateway] = {}
    for info in pkgutil.iter_modules(__path__, f"{__name__}."):
        gateway: Gateway | None = getattr(importlib.import_module(info.name), "GATEWAY", None)
        if gateway is not None:
            found[gateway.name] = gateway
    return dict(sorted(found.items()))


def names() -> tuple[str, ...]:
    """The names of all gateways, in alphabetical order. The adapters are imported on the first call."""
    return tuple(_found())


def get(name: str) -> Gateway:
    """The adapter with that name. Raises `UsageProblem` with the closest match when there is none."""
    found = _found()
    if name not in found:
        raise UsageProblem(f"no gateway {name!r}; {choices(name, found)}")
    return found[name]
