"""What Toxiproxy says of a line, held against what was put there. Pure.

Another user of the same server can take a toxic off with one call (`POST /reset`), and Toxiproxy tells nobody.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from faults.base import DOWN, Toxic


class ToxicSeen(msgspec.Struct, frozen=True, kw_only=True):
    """A toxic as the server lists it; the server fills in attributes that were not given."""

    name: str
    type: str
    stream: str
    toxicity: float
    attributes: dict[str, float] = {}


class ProxySeen(msgspec.Struct, frozen=True, kw_only=True):
    """A proxy as the server lists it."""

    enabled: bool
    toxics: tuple[ToxicSeen, ...] = ()


def astray(on: Mapping[str, Toxic], seen: ProxySeen | None) -> dict[str, str]:
    """Of the faults that were put on a line: those that are not there as they were put, each with what is wrong."""
    if seen is None:
        return dict.fromkeys(on, "the line's proxy is gone")
    down = any(toxic.type == DOWN for toxic in on.values())
    there = {toxic.name: toxic for toxic in seen.toxics}
    found = ((fault, _wrong(toxic, there.get(fault), enabled=seen.enabled, down=down)) for fault, toxic in on.items())
    return {fault: wrong for fault, wrong in found if wrong}


def _wrong(put: Toxic, seen: ToxicSeen | None, *, enabled: bool, down: bool) -> str:
    if put.type == DOWN:
        return "the line is up" if enabled else ""
    if seen is None:
        return "the toxic is gone"
    kept = all(seen.attributes.get(name) == value for name, value in put.attributes.items())
    if (seen.type, seen.stream, seen.toxicity) != (put.type, put.stream, 1.0) or not kept:
        return "the toxic was changed"
    return "" if enabled or down else "the line is down"
