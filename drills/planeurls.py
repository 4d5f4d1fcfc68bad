"""The base URLs at which whatever is under test calls its legs, when they are the planes'. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from drills import providers
from drills.legs import Leg


def plane_urls(legs: Iterable[Leg], ports: Mapping[str, int]) -> dict[str, str]:
    """By leg, the base URL as clients of its provider take it: with `/v1` behind it where they expect that."""
    return {
        leg.name: f"http://127.0.0.1:{ports[leg.name]}{providers.get(leg.provider).client.base_path}"
        for leg in legs
        if leg.name in ports
    }
