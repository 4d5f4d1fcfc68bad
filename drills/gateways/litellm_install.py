"""A LiteLLM of a known version in an environment of its own, installed once and used by every drill.

The environment is complete when its marker is there; the marker is written last. An environment without one is a
leftover of an interrupted install and is built again. Two drills at once wait for each other.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path

from drills import cache, installing
from drills.gateways.base import Progress
from drills.problems import UsageProblem

VERSION = "1.106.2"
REQUIREMENTS = (f"litellm[proxy]=={VERSION}", "google-auth", "requests")
"""What is installed; Vertex AI needs google-auth and requests, which the proxy extra does not bring."""

EXECUTABLE_VARIABLE = "FAILOVER_DRILL_LITELLM"
NEEDED_BYTES = 1_200_000_000
"""Free space that an install needs: 0.75 GB of files, and what pip downloads while it unpacks."""

_COMPILED = ("litellm/llms", "openai", "google", "requests", "urllib3", "botocore", "azure", "msal", "cryptography")
"""Compiled at once (5 s): what a gateway first imports when it fails over. Compiling all would take 25 s."""
_MARKER = "complete"
_COLLECTING = re.compile(r"Collecting ([\w.-]+)")
_UNPACKING = re.compile(r"Installing collected|Prepared \d+")
_ERRNO = re.compile(r"\[Errno -?\d+\][^'\")]*")
_NETWORK = re.compile(
    r"NewConnectionError|ConnectTimeout|Name or service|name resolution|Network is unreachable|ProxyError"
    r"|Failed to fetch|dns error|Connection refused|timed out",
    re.IGNORECASE,
)


def prepare(progress: Progress, env: Mapping[str, str]) -> str:
    """Make sure that there is a LiteLLM to run; return its version. Raises `UsageProblem` when it cannot be had."""
    given = env.get(EXECUTABLE_VARIABLE)
    if given:
        version = _version_beside(Path(given))
        progress(f"LiteLLM {version} from {EXECUTABLE_VARIABLE}")
        return version
    home = environment(env)
    try:
        home.parent.mkdir(parents=True, exist_ok=True)
        with installing.lock(home.parent / f"{home.name}.lock", progress, "installing LiteLLM"):
            if not (home / _MARKER).exists():
                _install(home, progress)
    except OSError as error:
        raise UsageProblem(f"cannot install LiteLLM into {home}: {error.strerror or error}") from error
    return (home / _MARKER).read_text(encoding="utf-8").strip()


def executable(env: Mapping[str, str]) -> Path:
    """The `litellm` command that `prepare` made sure of."""
    given = env.get(EXECUTABLE_VARIABLE)
    return Path(given).absolute() if given else environment(env) / "bin" / "litellm"


def installed(env: Mapping[str, str]) -> str | None:
    """The version that `prepare` would return without installing anything; None when it would have to install."""
    if env.get(EXECUTABLE_VARIABLE):
        return _version_beside(Path(env[EXECUTABLE_VARIABLE]))
    marker = environment(env) / _MARKER
    return marker.read_text(encoding="utf-8").strip() if marker.exists() else None


def environment(env: Mapping[str, str]) -> Path:
    """Where the environment lives: one for each version of LiteLLM, of its dependencies and of Python."""
    pins = hashlib.sha256(_constraints().encode() + sys.executable.encode()).hexdigest()[:8]
    return cache.folder(env) / f"litellm-{VERSION}-py{sys.version_info[0]}.{sys.version_info[1]}-{pins}"


def _constraints() -> str:
    return (resources.files("drills.gateways") / "litellm.constraints.txt").read_text(encoding="utf-8")


def _version_beside(command: Path) -> str:
    """The version of the `litellm` package that a command belongs to, asked of the command's own interpreter.

    Starting `litellm --version` would take 13 s.
    """
    if not os.access(command, os.X_OK) or command.is_dir():
        raise UsageProblem(f"{EXECUTABLE_VARIABLE}={command} is not an executable file")
    first = command.open("rb").readline().decode("utf-8", "replace").strip()
    interpreter = first.removeprefix("#!").strip() if first.startswith("#!") else ""
    if not Path(interpreter).is_file():
        interpreter = str(command.parent / "python")
    code = "import importlib.metadata as m; print(m.version('litellm'))"
    try:
        done = subprocess.run(  # noqa: S603 - the person named this program
            [interpreter, "-c", code], capture_output=True, text=True, timeout=30, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise UsageProblem(f"{EXECUTABLE_VARIABLE}={command} is not a LiteLLM: its Python has no litellm") from error
    return done.stdout.strip()


def _install(home: Path, progress: Progress) -> None:
    _remove(home)
    free = shutil.disk_usage(home.parent).free
    if free < NEEDED_BYTES:
        needed = f"{NEEDED_BYTES / 1e9:.1f} GB of disk under {home.parent}"
        raise UsageProblem(f"LiteLLM {VERSION} needs {needed}; {free / 1e9:.1f} GB are free")
    progress(f"installing LiteLLM {VERSION} once, into {home} (0.75 GB, about a minute)")
    try:
        version = _build(home, progress)
        (home / _MARKER).write_text(version, encoding="utf-8")
    except BaseException:
        _remove(home)
        raise


def _build(home: Path, progress: Progress) -> str:
    started_s = time.monotonic()
    python = home / "bin" / "python"
    pins = home / "constraints.txt"
    wanted = ["-c", str(pins), *REQUIREMENTS]
    uv = shutil.which("uv")
    if uv is not None:
        _run([sys.executable, "-m", "venv", "--without-pip", str(home)], progress, started_s)
        command = [uv, "pip", "install", "--no-config", "--python", str(python), *wanted]
    else:
        _run([sys.executable, "-m", "venv", str(home)], progress, started_s)
        pip = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
        command = [*pip, "--no-compile", "--prefer-binary", "--progress-bar", "off", "--retries", "3", *wanted]
    pins.write_text(_constraints(), encoding="utf-8")
    _run(command, progress, started_s)
    library = next((home / "lib").glob("python*")) / "site-packages"
    compiled = [str(library / name) for name in _COMPILED if (library / name).exists()]
    _run([str(python), "-m", "compileall", "-q", "-j", "0", *compiled], progress, started_s)
    found = json.loads(_output([str(python), "-c", _METADATA]))
    progress(f"LiteLLM {found} installed in {time.monotonic() - started_s:.0f} s")
    return str(found)


_METADATA = "import importlib.metadata as m, json; print(json.dumps(m.version('litellm')))"


def _output(command: Sequence[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)  # noqa: S603 - our own venv
    return done.stdout


def _run(command: Sequence[str], progress: Progress, started_s: float) -> None:
    code, seen = installing.Step(command, began_s=started_s).run(progress, _doing)
    if code != 0:
        raise UsageProblem(_why(seen))


def _doing(seen: Sequence[str]) -> str:
    if any(_UNPACKING.match(line) for line in seen):
        return "unpacking"
    names = [found[1] for line in seen if (found := _COLLECTING.match(line))]
    if not names:
        return "preparing"
    return f"downloading package {len(names)} of about {len(_constraints().splitlines())}: {names[-1]}"


def _why(seen: Sequence[str]) -> str:
    """One sentence out of the installer's output: its last error, and what to do when it is the network."""
    errors = [line for line in seen if re.match(r"(ERROR|error|fatal)\b", line) or "Errno" in line]
    last = (errors or list(seen) or ["no output"])[-1]
    causes = [found[0] for line in seen for found in _ERRNO.finditer(line)]
    if any("No space left" in line or "Errno 28" in line for line in seen):
        return f"cannot install LiteLLM {VERSION}: the disk is full ({last})"
    if any(_NETWORK.search(line) for line in seen):
        cause = (causes or [last])[-1]
        advice = f"the first run needs the network, or {EXECUTABLE_VARIABLE}=/path/to/an/installed/litellm"
        return f"cannot install LiteLLM {VERSION}: the package index cannot be reached ({cause}); {advice}"
    return f"cannot install LiteLLM {VERSION}: {last}"


def _remove(home: Path) -> None:
    if home.exists():
        shutil.rmtree(home)
