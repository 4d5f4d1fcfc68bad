"""A Portkey of a known version with known dependencies, installed once with npm and used by every drill.

What npm would choose by itself cannot stream: `@hono/node-server` 1.15 and later break every streamed answer of Portkey
1.15.2 (Portkey-AI/gateway#1389). The lock file beside this module has the versions of Portkey's own repository. The
installation is complete when its marker is there; the marker is written last. Two drills at once wait for each other.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path

from drills import cache, installing
from drills.gateways.base import Progress
from drills.problems import UsageProblem

VERSION = "1.15.2"
PACKAGE = "@portkey-ai/gateway"
PATH_VARIABLE = "FAILOVER_DRILL_PORTKEY"
NODE_AT_LEAST = (18, 14)
"""Source: `engines` of @hono/node-server 1.13.5."""

_START = Path("build") / "start-server.js"
_SERVER = Path("@hono") / "node-server" / "package.json"
_CANNOT_STREAM = (1, 15)
_MARKER = "complete"
_ASK_WITHIN_S = 10.0
_INSTALL_WITHIN_S = 600.0
_FETCHED = re.compile(r"npm http (?:fetch GET 200|cache) .*\.tgz")
_NOISE = re.compile(r"code |errno |syscall |A complete log|network (?:This is|In most|If you)|network$")
_NETWORK = re.compile(
    r"ENOTFOUND|ECONNREFUSED|ECONNRESET|ETIMEDOUT|EAI_AGAIN|ENETUNREACH|EHOSTUNREACH|network|proxy", re.IGNORECASE
)


def prepare(progress: Progress, env: Mapping[str, str]) -> str:
    """Make sure that there is a Portkey to run, and a Node to run it; return its version.

    Raises `UsageProblem` when one of them cannot be had.
    """
    node(env)
    given = env.get(PATH_VARIABLE)
    if given:
        script, version = _given(Path(given))
        progress(f"Portkey {version} from {PATH_VARIABLE}")
        if warning := _cannot_stream(script):
            progress(f"note: {warning}")
        return version
    home = folder(env)
    try:
        home.parent.mkdir(parents=True, exist_ok=True)
        with installing.lock(home.parent / f"{home.name}.lock", progress, "installing Portkey"):
            if not (home / _MARKER).exists():
                _install(home, env, progress)
    except OSError as error:
        raise UsageProblem(f"cannot install Portkey into {home}: {error.strerror or error}") from error
    return (home / _MARKER).read_text(encoding="utf-8").strip()


def start_script(env: Mapping[str, str]) -> Path:
    """The `start-server.js` that `prepare` made sure of."""
    given = env.get(PATH_VARIABLE)
    return _given(Path(given))[0] if given else _package(folder(env)) / _START


def installed(env: Mapping[str, str]) -> str | None:
    """The version that `prepare` would return without installing anything; None when it would have to install.

    Raises `UsageProblem` when what `FAILOVER_DRILL_PORTKEY` names is no Portkey.
    """
    if env.get(PATH_VARIABLE):
        return _given(Path(env[PATH_VARIABLE]))[1]
    marker = folder(env) / _MARKER
    return marker.read_text(encoding="utf-8").strip() if marker.exists() else None


def node(env: Mapping[str, str]) -> str:
    """The Node to run Portkey with. Raises `UsageProblem` when there is none, or one that is too old."""
    least = ".".join(map(str, NODE_AT_LEAST))
    path = shutil.which("node", path=env.get("PATH"))
    if path is None:
        raise UsageProblem(f"Portkey runs on Node, and there is no `node` on PATH; install Node {least} or newer")
    try:
        done = subprocess.run(  # noqa: S603  the person's own program
            [path, "--version"], capture_output=True, text=True, timeout=_ASK_WITHIN_S, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise UsageProblem(f"{path} does not say its version: {error}") from error
    found = _numbers(done.stdout)
    if found < NODE_AT_LEAST:
        raise UsageProblem(f"Portkey needs Node {least} or newer; {path} is {done.stdout.strip() or 'nameless'}")
    return path


def undici(env: Mapping[str, str]) -> Path:
    """The HTTP client that makes Portkey honour proxies; it is installed beside the Portkey of the cache, and perhaps
    beside one's own. Raises `UsageProblem` where it is not.
    """
    above = start_script(env).resolve().parents
    found = (folder_ / "node_modules" / "undici" for folder_ in above)
    path = next((one for one in found if (one / "package.json").is_file()), None)
    if path is None:
        what = "leading Portkey through a proxy takes the npm package undici beside it"
        raise UsageProblem(f"{what}: run `npm install undici@6` where it is installed, or unset {PATH_VARIABLE}")
    return path


def folder(env: Mapping[str, str]) -> Path:
    """Where the installation lives: one for each lock file."""
    lock = hashlib.sha256(_resource("portkey.lock.json").encode()).hexdigest()[:8]
    return cache.folder(env) / f"portkey-{VERSION}-{lock}"


def _resource(name: str) -> str:
    return (resources.files("drills.gateways") / name).read_text(encoding="utf-8")


def _package(home: Path) -> Path:
    return home / "node_modules" / PACKAGE


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:2])


def _given(path: Path) -> tuple[Path, str]:
    """Start script and version of a Portkey that somebody else installed: its script, its package, or the folder in
    which it was installed.
    """
    path = path.absolute()
    scripts = [path] if path.is_file() else [path / _START, _package(path) / _START]
    script = next((one for one in scripts if one.is_file()), None)
    if script is None:
        raise UsageProblem(f"{PATH_VARIABLE}={path} is neither a start-server.js nor a folder with one ({_START})")
    for above in script.resolve().parents:
        package = _read_package(above / "package.json")
        if package.get("name") == PACKAGE:
            return script, str(package.get("version") or "unknown")
    raise UsageProblem(f"{PATH_VARIABLE}={path} is no Portkey: no package.json above it is that of {PACKAGE}")


def _read_package(path: Path) -> dict[str, object]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}  # none here: the next folder above may have it
    return found if isinstance(found, dict) else {}


def _cannot_stream(script: Path) -> str:
    """A warning when a Portkey is installed with a server that breaks its streams."""
    for above in script.resolve().parents:
        version = str(_read_package(above / "node_modules" / _SERVER).get("version") or "")
        if version:
            broken = _numbers(version) >= _CANNOT_STREAM
            what = f"it is installed with @hono/node-server {version}, with which it cannot stream; 1.13.5 can"
            return what if broken else ""
    return ""


def _install(home: Path, env: Mapping[str, str], progress: Progress) -> None:
    npm = shutil.which("npm", path=env.get("PATH"))
    if npm is None:
        what = f"set {PATH_VARIABLE} to a Portkey that is installed already"
        raise UsageProblem(f"there is no `npm` on PATH to install Portkey {VERSION} with; install it, or {what}")
    _remove(home)
    progress(f"installing Portkey {VERSION} once, into {home} (26 MB, a few seconds)")
    began_s = time.monotonic()
    try:
        home.mkdir()
        (home / "package.json").write_text(_resource("portkey.package.json"), encoding="utf-8")
        (home / "package-lock.json").write_text(_resource("portkey.lock.json"), encoding="utf-8")
        _run([npm, "ci", *_QUIETLY, "--prefix", str(home)], env, progress, began_s)
        version = str(_read_package(_package(home) / "package.json").get("version") or "unknown")
        (home / _MARKER).write_text(version, encoding="utf-8")
    except BaseException:
        _remove(home)
        raise
    progress(f"Portkey {version} installed in {time.monotonic() - began_s:.0f} s")


_QUIETLY = (
    *("--ignore-scripts", "--omit=dev", "--no-audit", "--no-fund", "--no-progress", "--loglevel=http"),
    *("--fetch-retries=1", "--fetch-retry-mintimeout=1000"),
)
"""Portkey's install script only patches packages, and has no patches. With `http` npm tells what it fetches. By itself
it would try for more than a minute where there is no network.
"""


def _run(command: Sequence[str], env: Mapping[str, str], progress: Progress, began_s: float) -> None:
    packages = len(json.loads(_resource("portkey.lock.json"))["packages"]) - 1

    def doing(seen: Sequence[str]) -> str:
        fetched = sum(1 for line in seen if _FETCHED.match(line))
        return f"{min(fetched, packages)} of {packages} packages"

    step = installing.Step(command, env=env, began_s=began_s, within_s=_INSTALL_WITHIN_S)
    try:
        code, seen = step.run(progress, doing)
    except installing.TooLongError:
        raise UsageProblem(f"installing Portkey {VERSION} took more than {_INSTALL_WITHIN_S:g} s") from None
    if code != 0:
        raise UsageProblem(_why(seen))


def _why(seen: Sequence[str]) -> str:
    """One sentence out of npm's output: its error, and what to do when it is the network."""
    errors = [re.sub(r"^npm (?:error|ERR!) ?", "", line) for line in seen if re.match(r"npm (error|ERR!)", line)]
    told = [line.removeprefix("network ") for line in errors if line and not _NOISE.match(line)]
    first = (told or errors or list(seen) or ["no output"])[0][:300]
    if any("ENOSPC" in line for line in errors):
        return f"cannot install Portkey {VERSION}: the disk is full ({first})"
    if any(_NETWORK.search(line) for line in errors):
        advice = f"the first run needs the network, or {PATH_VARIABLE}=/path/to/an/installed/portkey"
        return f"cannot install Portkey {VERSION}: the package registry cannot be reached ({first}); {advice}"
    return f"cannot install Portkey {VERSION}: {first}"


def _remove(home: Path) -> None:
    if home.exists():
        shutil.rmtree(home)
