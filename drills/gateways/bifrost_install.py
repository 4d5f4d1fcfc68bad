"""The Bifrost program: found, never built or downloaded. It is a program with its web pages inside that its makers hand
out themselves; neither Go's modules nor npm's package hold it.

Looked for in this order: what `FAILOVER_DRILL_BIFROST` names; `bifrost-http` on PATH; what Bifrost's own npm wrapper
(`npx -y @maximhq/bifrost`) once put into its cache, the newest version first. Source: the wrapper's `bin.js`, 1.6.3.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from drills.problems import UsageProblem

PROGRAM = "bifrost-http"
VARIABLE = "FAILOVER_DRILL_BIFROST"
UNKNOWN = "unknown version"
_VERSION = re.compile(r"v(\d+)\.(\d+)\.(\d+)(?:-[\w.-]+)?")


@dataclass(frozen=True)
class Found:
    """A program, its version as far as its place tells, and how it came here."""

    program: str
    version: str
    origin: str


def find(env: Mapping[str, str]) -> Found | None:
    """The program that there is. Raises `UsageProblem` when the one given is no good."""
    if given := env.get(VARIABLE):
        path = Path(given).absolute()
        if path.is_dir() or not os.access(path, os.X_OK):
            raise UsageProblem(f"{VARIABLE}={given} is not an executable file")
        return Found(str(path), _version_of(path), f"from {VARIABLE}")
    if on_path := shutil.which(PROGRAM, path=env.get("PATH")):
        return Found(on_path, _version_of(Path(on_path)), "on PATH")
    cached = [path for path in _wrapper_cache(env).glob(f"v*/bin/{PROGRAM}-0") if os.access(path, os.X_OK)]
    if not cached:
        return None
    newest = max(cached, key=lambda path: _numbers(_version_of(path)))
    return Found(str(newest), _version_of(newest), "from the cache of Bifrost's npm wrapper")


def need(env: Mapping[str, str]) -> Found:
    """The program that there is. Raises `UsageProblem` that says how to get one."""
    found = find(env)
    if found is None:
        raise UsageProblem(
            f"there is no {PROGRAM} on PATH or in the cache of its npm wrapper; run `npx -y @maximhq/bifrost` once, "
            f"which keeps the program there, or take it out of the image maximhq/bifrost and set {VARIABLE} to its path"
        )
    return found


def _wrapper_cache(env: Mapping[str, str]) -> Path:
    return Path(env.get("XDG_CACHE_HOME") or str(Path(env.get("HOME") or Path.home()) / ".cache")) / "bifrost"


def _version_of(path: Path) -> str:
    """The version in the folders that lead to a program; Bifrost has no flag that tells it."""
    return next((part for part in reversed(path.parts) if _VERSION.fullmatch(part)), UNKNOWN)


def _numbers(version: str) -> tuple[int, ...]:
    found = _VERSION.fullmatch(version)
    return tuple(int(number) for number in found.groups()) if found else ()
