"""A leg is one path from the gateway to one model, and the fault domains it sits in.

Pure data. Scenarios address legs by role or by fault domain, never by a gateway's own names, so that the
same scenario drills any gateway.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import msgspec

ROLES = ("primary", "secondary", "tertiary", "quaternary", "quinary")
"""Levels of the fallback chain, first choice first. Deeper levels are called `level-6`, `level-7`, ..."""

SELECTOR_KEYS = ("role", "leg", "provider", "vendor", "cloud", "region", "cloud_of", "region_of")


class Leg(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One path from the gateway to one model.

    name: unique in a drill; lower-case letters, digits and dashes only, so that it survives every dialect.
    role: level in the fallback chain (`primary`, `secondary`, ...); None when no fallback leads to it.
    provider: the wire dialect spoken on the leg: one of `drills.providers.names()`.
    vendor: who made the model (`anthropic` for Claude on Bedrock).
    model: the model as the provider's API names it.
    cloud: who runs the endpoint: `aws`, `azure`, `gcp`, or the vendor's own platform (`anthropic`, `openai`).
    region: the cloud's name for the region in the leg's URL or parameters; None when there is none.
    endpoint: the real base URL, for people to read; never called in an offline drill.
    hosts: the real host names that the gateway calls for this leg when its config is left alone, the model's first,
        then those of identity services; `host`, or `host:port` where the port is not 443. Empty when not known.
    """

    name: str
    role: str | None
    provider: str
    vendor: str
    model: str
    cloud: str
    region: str | None = None
    endpoint: str = ""
    hosts: tuple[str, ...] = ()


class Sharing(msgspec.Struct, frozen=True, kw_only=True):
    """Legs that share a host. deciding: those on which a fault of connections must be, all of them, to be the host's:
    the legs with a role, or all when none has one. models: whether their models are there, and not only an identity
    service.
    """

    legs: tuple[str, ...]
    deciding: tuple[str, ...]
    models: bool


class Selector(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which legs a fault hits: every given key must hold (logical and).

    `cloud_of: primary` selects every leg in the same cloud as the primary; `region_of: primary` every leg in the
    same cloud and region.
    """

    role: str | None = None
    leg: str | None = None
    provider: str | None = None
    vendor: str | None = None
    cloud: str | None = None
    region: str | None = None
    cloud_of: str | None = None
    region_of: str | None = None

    def given(self) -> dict[str, str]:
        """The keys that were set, in their fixed order."""
        return {key: value for key in SELECTOR_KEYS if (value := getattr(self, key)) is not None}

    def __str__(self) -> str:
        return ", ".join(f"{key}: {value}" for key, value in self.given().items()) or "every leg"


def role_name(level: int) -> str:
    """The role of a level of the chain; level 0 is the primary."""
    return ROLES[level] if level < len(ROLES) else f"level-{level + 1}"


def level_of(role: str) -> int:
    """The level of a role, 0 for the primary. Raises `ValueError` for what is none."""
    return ROLES.index(role) if role in ROLES else int(role.removeprefix("level-")) - 1


def is_role(word: str) -> bool:
    """Whether a word can be the role of a leg."""
    return word in ROLES or re.fullmatch(r"level-([6-9]|[1-9]\d+)", word) is not None


def select(selector: Selector, legs: Sequence[Leg]) -> tuple[Leg, ...]:
    """The legs that a selector hits, in the order given. Empty when it matches none."""
    return tuple(leg for leg in legs if _matches(selector, leg, legs))


def _matches(selector: Selector, leg: Leg, legs: Sequence[Leg]) -> bool:
    for key in ("role", "provider", "vendor", "cloud", "region"):
        wanted = getattr(selector, key)
        if wanted is not None and getattr(leg, key) != wanted:
            return False
    if selector.leg is not None and leg.name != selector.leg:
        return False
    if selector.cloud_of is not None and leg.cloud not in {other.cloud for other in _of(selector.cloud_of, legs)}:
        return False
    if selector.region_of is not None:
        homes = {(other.cloud, other.region) for other in _of(selector.region_of, legs)}
        return (leg.cloud, leg.region) in homes
    return True


def _of(role: str, legs: Sequence[Leg]) -> list[Leg]:
    return [leg for leg in legs if leg.role == role]


def values_of(key: str, legs: Iterable[Leg]) -> list[str]:
    """Every value that a selector key can take with these legs, for messages."""
    field = {"leg": "name", "cloud_of": "role", "region_of": "role"}.get(key, key)
    found = {getattr(leg, field) for leg in legs}
    return sorted(value for value in found if value is not None)
