"""The wire dialects by name. A provider is one module of this package with an instance named `PROVIDER`."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from drills.providers.base import HasIdentity, Provider


@cache
def _catalogue() -> dict[str, Provider]:
    found: dict[str, Provider] = {}
    for module in pkgutil.iter_modules(__path__):
        provider: Provider | None = getattr(importlib.import_module(f"{__name__}.{module.name}"), "PROVIDER", None)
        if provider is not None:
            found[provider.name] = provider
    return dict(sorted(found.items()))


def names() -> list[str]:
    """Every dialect's name, in alphabetical order."""
    return list(_catalogue())


def get(name: str) -> Provider:
    """The dialect of that name. Raises `KeyError` when there is none."""
    return _catalogue()[name]


def has_identity(name: str) -> bool:
    """Whether the dialect of that name has a token endpoint."""
    return isinstance(get(name), HasIdentity)


def identity(name: str) -> HasIdentity:
    """The dialect of that name as one with a token endpoint. Raises `KeyError` when it has none."""
    found = get(name)
    if not isinstance(found, HasIdentity):
        raise KeyError(f"{name} has no token endpoint")
    return found
