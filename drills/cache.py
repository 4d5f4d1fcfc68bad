"""The folder in which the tool keeps what it installed, for every drill of a person."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

VARIABLE = "FAILOVER_DRILL_CACHE"


def folder(env: Mapping[str, str]) -> Path:
    """Where it is: `FAILOVER_DRILL_CACHE`, or `failover-drill` in the person's cache folder. It need not exist."""
    cache = env.get(VARIABLE)
    if not cache:
        home = env.get("XDG_CACHE_HOME") or str(Path(env.get("HOME") or Path.home()) / ".cache")
        cache = str(Path(home) / "failover-drill")
    return Path(cache).absolute()
