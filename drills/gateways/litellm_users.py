"""A user in the base URL of a LiteLLM leg: LiteLLM does not call such a leg at all.

Measured with LiteLLM 1.106.2 and aiohttp 3.14.5: its client refuses a URL with a user beside the `Authorization` header
that LiteLLM (or, from that URL, httpx) has made, and no request leaves. With `disable_aiohttp_transport` httpx calls
the leg, with the user and password in place of the key. A private copy has no user in its base URLs and would work, so
no route may take such a config.
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from drills.gateways.litellm_legs import Found
from drills.gateways.litellm_unchanged import base_place
from drills.problems import Problem

_WITHOUT_AIOHTTP = ("litellm_settings", "disable_aiohttp_transport")


def users(found: Found) -> Iterator[Problem]:
    """Legs whose base URL has a user, where LiteLLM would not call them; each with its place."""
    switch = found.config.document.root.get(*_WITHOUT_AIOHTTP)
    if switch is not None and switch.plain() is True:
        return
    for leg, deployment in found.legs:
        if deployment.found is not None and _has_user(deployment.found.base):
            what = f"leg {leg.name}: its base URL has a user in front of the host, and LiteLLM's HTTP client (aiohttp)"
            why = "calls no such URL, so this leg would never be asked"
            instead = f"take the user out, or set {'.'.join(_WITHOUT_AIOHTTP)}: true"
            yield Problem(f"{what} {why}; {instead}", base_place(deployment))


def _has_user(url: str) -> bool:
    try:
        return "@" in urlsplit(url).netloc
    except ValueError:  # no URL: what is wrong with its host is said by the routes that call it
        return False
