"""What a machine has of all that drills may need: `drill doctor`. Looks, and changes nothing."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

import msgspec

from drills import __version__, cache, network, toxiproxy_install
from drills.gateways import bifrost_install, litellm_install, portkey_install, tensorzero_install
from drills.problems import UsageProblem

_ASK_WITHIN_S = 10.0


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One thing. `version` is None when it is not there, and then `detail` says what to do about it, if anything."""

    name: str
    version: str | None
    where: str = ""
    detail: str = ""


class Findings(msgspec.Struct, frozen=True, kw_only=True):
    """All that was found. `cache_bytes` is the disk that the cache folder takes."""

    parts: tuple[Part, ...]
    cache: str
    cache_bytes: int


def look(env: Mapping[str, str]) -> Findings:
    """Look at everything. Never raises for what is missing or broken."""
    folder = cache.folder(env)
    return Findings(
        parts=(
            Part(name="failover-drill", version=__version__),
            Part(name="python", version=platform.python_version()),
            Part(name="mitmproxy", version=metadata.version("mitmproxy")),
            _litellm(env),
            _portkey(env),
            _tensorzero(env),
            _bifrost(env),
            _toxiproxy(env),
            _network(),
            _program("go", toxiproxy_install.go_of(env), "version", "only needed to build Toxiproxy"),
            _program("node", shutil.which("node", path=env.get("PATH")), "--version", "only needed by Portkey"),
        ),
        cache=str(folder),
        cache_bytes=_size(folder),
    )


def render(found: Findings, *, as_json: bool) -> str:
    """The findings, for people or as JSON."""
    if as_json:
        return msgspec.json.format(msgspec.json.encode(found), indent=2).decode()
    lines = []
    for part in found.parts:
        rest = ", ".join(text for text in (part.where, part.detail) if text)
        lines.append(f"{part.name:<16} {part.version or 'not there':<12} {rest}".rstrip())
    lines.append(f"{'cache':<16} {found.cache_bytes / 1e6:.0f} MB".ljust(30) + found.cache)
    return "\n".join(lines)


def _litellm(env: Mapping[str, str]) -> Part:
    try:
        version = litellm_install.installed(env)
    except UsageProblem as problem:
        return Part(name="litellm", version=None, detail=str(problem))
    if version is None:
        return Part(name="litellm", version=None, detail="the first drill that needs it installs it")
    return Part(name="litellm", version=version, where=str(litellm_install.executable(env)))


def _portkey(env: Mapping[str, str]) -> Part:
    try:
        portkey_install.node(env)
        version = portkey_install.installed(env)
    except UsageProblem as problem:
        return Part(name="portkey", version=None, detail=str(problem))
    if version is None:
        return Part(name="portkey", version=None, detail="the first drill that needs it installs it, with npm")
    return Part(name="portkey", version=version, where=str(portkey_install.start_script(env)))


def _tensorzero(env: Mapping[str, str]) -> Part:
    try:
        version = tensorzero_install.installed(env)
    except UsageProblem as problem:
        return Part(name="tensorzero", version=None, detail=str(problem))
    if version is None:
        return Part(name="tensorzero", version=None, detail="the first drill that needs it installs it")
    return Part(name="tensorzero", version=version, where=str(tensorzero_install.python(env)))


def _bifrost(env: Mapping[str, str]) -> Part:
    try:
        found = bifrost_install.find(env)
    except UsageProblem as problem:
        return Part(name="bifrost", version=None, detail=str(problem))
    if found is None:
        return Part(name="bifrost", version=None, detail="only needed to drill it; `npx -y @maximhq/bifrost` brings it")
    return Part(name="bifrost", version=found.version, where=found.program, detail=found.origin)


def _toxiproxy(env: Mapping[str, str]) -> Part:
    try:
        found = toxiproxy_install.find(env)
    except UsageProblem as problem:
        return Part(name="toxiproxy", version=None, detail=str(problem))
    if found is not None:
        return Part(name="toxiproxy", version=found.version, where=found.server, detail=found.origin)
    able = toxiproxy_install.go_of(env) is not None
    detail = "`drill setup toxiproxy` builds it" if able else "install it, or Go and then `drill setup toxiproxy`"
    return Part(name="toxiproxy", version=None, detail=f"only needed for wire faults; {detail}")


def _network() -> Part:
    why = network.forbidden()
    return Part(
        name="private network",
        version=None if why else "yes",
        detail=f"only needed by `--route sealed`; {why}" if why else "for `--route sealed`",
    )


def _program(name: str, path: str | None, ask: str, why: str) -> Part:
    if path is None:
        return Part(name=name, version=None, detail=why)
    try:
        done = subprocess.run(  # noqa: S603  the person's own program
            [path, ask], capture_output=True, text=True, timeout=_ASK_WITHIN_S, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        return Part(name=name, version=None, where=path, detail=f"it does not run: {error}")
    words = [word for word in done.stdout.split() if any(letter.isdigit() for letter in word)]
    return Part(name=name, version=words[0].removeprefix("go").removeprefix("v") if words else "unknown", where=path)


def _size(folder: Path) -> int:
    """Bytes that a folder takes on disk; links are counted and not followed."""
    total = 0
    for where, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(where) / name).lstat().st_blocks * 512
            except OSError:
                continue  # it went away while we looked
    return total
