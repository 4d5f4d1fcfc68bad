"""The Toxiproxy server: somebody else's, the one on PATH, or one that is built once with a Go toolchain.

The build is complete when it stands under its final name; it is renamed last. Two drills at once wait for each other.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from drills import cache, installing
from drills.gateways.base import Progress
from drills.problems import UsageProblem

VERSION = "2.12.0"
MODULE = f"github.com/Shopify/toxiproxy/v2/cmd/server@v{VERSION}"
PROGRAM = "toxiproxy-server"
URL_VARIABLE = "FAILOVER_DRILL_TOXIPROXY"
BUILD_WITHIN_S = 600.0
_GO_HOME = Path("/usr/local/go/bin/go")
"""Where Go's own installer puts it, which is not always on PATH."""
_ASK_WITHIN_S = 10.0
_NETWORK = re.compile(
    r"dial tcp|no such host|lookup .*:|connection refused|i/o timeout|TLS handshake|module lookup disabled",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Found:
    """A server: its program or its URL, its version, and how it came here."""

    server: str
    version: str
    origin: str


def prepare(progress: Progress, env: Mapping[str, str]) -> Found:
    """Make sure that there is a server. Raises `UsageProblem` that says what to install when there cannot be one."""
    found = find(env)
    if found is not None:
        return found
    go = go_of(env)
    if go is None:
        raise UsageProblem(
            f"there is no {PROGRAM} on PATH and no Go to build one; install Toxiproxy {VERSION} so that {PROGRAM} is "
            f"on PATH, or install Go and run `drill setup toxiproxy`, or set {URL_VARIABLE} to a running server"
        )
    home = cache.folder(env)
    try:
        home.mkdir(parents=True, exist_ok=True)
        with installing.lock(home / f"toxiproxy-{VERSION}.lock", progress, "building Toxiproxy"):
            if not _built(env).exists():
                _build(go, home, env, progress)
    except OSError as error:
        raise UsageProblem(f"cannot build Toxiproxy in {home}: {error.strerror or error}") from error
    return Found(str(_built(env)), VERSION, "built by this tool")


def find(env: Mapping[str, str]) -> Found | None:
    """The server that there is, without installing anything. Raises `UsageProblem` when the one given is no good."""
    if url := env.get(URL_VARIABLE):
        return Found(url, _inspected(url), f"from {URL_VARIABLE}")
    if on_path := shutil.which(PROGRAM, path=env.get("PATH")):
        return Found(on_path, _version_of(on_path), "on PATH")
    if _built(env).exists():
        return Found(str(_built(env)), VERSION, "built by this tool")
    return None


def go_of(env: Mapping[str, str]) -> str | None:
    """The Go command, if there is one."""
    return shutil.which("go", path=env.get("PATH")) or (str(_GO_HOME) if os.access(_GO_HOME, os.X_OK) else None)


def _built(env: Mapping[str, str]) -> Path:
    return cache.folder(env) / f"toxiproxy-{VERSION}" / PROGRAM


def _inspected(url: str) -> str:
    """The version of a server that somebody else runs. Raises `UsageProblem` when the drill must not use it."""
    try:
        done = subprocess.run(  # noqa: S603  our own module
            [sys.executable, "-P", "-m", "faults.planes.toxi", "inspect", url],
            capture_output=True,
            text=True,
            timeout=_ASK_WITHIN_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise UsageProblem(f"{URL_VARIABLE}={url}: no answer within {_ASK_WITHIN_S:g} s") from None
    if done.returncode != 0:
        why = "; ".join((done.stdout or done.stderr).strip().splitlines()[-10:])
        raise UsageProblem(f"{URL_VARIABLE}={url} cannot be used: {why}")
    return done.stdout.strip()


def _version_of(program: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603  the person's own program
            [program, "-version"], capture_output=True, text=True, timeout=_ASK_WITHIN_S, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise UsageProblem(f"{program} is on PATH and does not say its version: {error}") from error
    return done.stdout.rpartition(" ")[2].strip() or "unknown"


def _build(go: str, home: Path, env: Mapping[str, str], progress: Progress) -> None:
    progress(f"building Toxiproxy {VERSION} once with {go} (about a minute)")
    started_s = time.monotonic()
    with tempfile.TemporaryDirectory(dir=home, prefix="toxiproxy-build-") as folder:
        _run([go, "install", "-trimpath", MODULE], {**env, "GOBIN": folder, "CGO_ENABLED": "0"}, progress)
        built = _built(env)
        built.parent.mkdir(exist_ok=True)
        (Path(folder) / "server").replace(built)
    progress(f"Toxiproxy {VERSION} built in {time.monotonic() - started_s:.0f} s")


def _run(command: Sequence[str], env: Mapping[str, str], progress: Progress) -> None:
    step = installing.Step(command, env=env, within_s=BUILD_WITHIN_S)
    try:
        code, seen = step.run(progress, lambda seen: seen[-1] if seen else "building")
    except installing.TooLongError:
        raise UsageProblem(f"building Toxiproxy {VERSION} took more than {BUILD_WITHIN_S:g} s") from None
    if code != 0:
        last = next(reversed(seen), "no output")
        tail = "; the first build needs the network" if any(_NETWORK.search(line) for line in seen) else ""
        raise UsageProblem(f"cannot build Toxiproxy {VERSION} with {command[0]}: {last[:300]}{tail}")
