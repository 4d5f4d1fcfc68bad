"""The `tensorzero` package of a known version in an environment of its own, installed once and used by every drill.

The package holds the whole gateway as a library. The environment is complete when its marker is there; the marker is
written last. One without it is a leftover of an interrupted install and is built again.
"""

from __future__ import annotations

import hashlib
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

VERSION = "2026.6.0"
PYTHON_VARIABLE = "FAILOVER_DRILL_TENSORZERO"
INSTALL_WITHIN_S = 600.0
_ASK_WITHIN_S = 30.0
_MARKER = "complete"
_NETWORK = re.compile(
    r"NewConnectionError|ConnectTimeout|Name or service|name resolution|Network is unreachable|ProxyError"
    r"|Failed to fetch|dns error|Connection refused|timed out",
    re.IGNORECASE,
)
_ASK = "import importlib.metadata as m; print(m.version('tensorzero'))"


def prepare(progress: Progress, env: Mapping[str, str]) -> str:
    """Make sure that there is a TensorZero to run; return its version. Raises `UsageProblem` when it cannot be had."""
    if sys.platform != "linux":
        raise UsageProblem("TensorZero's gateway is started out of its Python package, which works on Linux only")
    given = env.get(PYTHON_VARIABLE)
    if given:
        version = _version(Path(given))
        progress(f"TensorZero {version} from {PYTHON_VARIABLE}")
        return version
    home = environment(env)
    try:
        home.parent.mkdir(parents=True, exist_ok=True)
        with installing.lock(home.parent / f"{home.name}.lock", progress, "installing TensorZero"):
            if not (home / _MARKER).exists():
                _install(home, progress)
    except OSError as error:
        raise UsageProblem(f"cannot install TensorZero into {home}: {error.strerror or error}") from error
    return (home / _MARKER).read_text(encoding="utf-8")


def python(env: Mapping[str, str]) -> Path:
    """The Python that has the package which `prepare` made sure of."""
    given = env.get(PYTHON_VARIABLE)
    return Path(given).absolute() if given else environment(env) / "bin" / "python"


def installed(env: Mapping[str, str]) -> str | None:
    """The version that is there, without installing anything. Raises `UsageProblem` when the one given is no good."""
    if env.get(PYTHON_VARIABLE):
        return _version(Path(env[PYTHON_VARIABLE]))
    marker = environment(env) / _MARKER
    return marker.read_text(encoding="utf-8") if marker.exists() else None


def environment(env: Mapping[str, str]) -> Path:
    """Where the environment lives: one for each version of TensorZero, of its dependencies and of Python itself."""
    pins = hashlib.sha256(_constraints().encode() + sys.base_prefix.encode()).hexdigest()[:8]
    return cache.folder(env) / f"tensorzero-{VERSION}-py{sys.version_info[0]}.{sys.version_info[1]}-{pins}"


def _constraints() -> str:
    return (resources.files("drills.gateways") / "tensorzero.constraints.txt").read_text(encoding="utf-8")


def _version(interpreter: Path) -> str:
    try:
        done = subprocess.run(  # noqa: S603  the person named this program
            [interpreter, "-I", "-c", _ASK], capture_output=True, text=True, timeout=_ASK_WITHIN_S, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        what = f"{PYTHON_VARIABLE}={interpreter} is not a Python with the package tensorzero"
        raise UsageProblem(what) from error
    return done.stdout.strip()


def _install(home: Path, progress: Progress) -> None:
    _remove(home)
    progress(f"installing TensorZero {VERSION} once, into {home} (150 MB)")
    started_s = time.monotonic()
    try:
        _build(home, progress, started_s)
        version = _version(home / "bin" / "python")
        (home / _MARKER).write_text(version, encoding="utf-8")
    except BaseException:
        _remove(home)
        raise
    progress(f"TensorZero {version} installed in {time.monotonic() - started_s:.0f} s")


def _build(home: Path, progress: Progress, started_s: float) -> None:
    interpreter = home / "bin" / "python"
    uv = shutil.which("uv")
    venv = [sys.executable, "-m", "venv", *(["--without-pip"] if uv is not None else []), str(home)]
    _run(venv, progress, started_s)
    pins = home / "constraints.txt"
    pins.write_text(_constraints(), encoding="utf-8")
    if uv is not None:
        command = [uv, "pip", "install", "--no-config", "--python", str(interpreter)]
    else:
        pip = [str(interpreter), "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
        command = [*pip, "--only-binary", ":all:", "--progress-bar", "off", "--retries", "3"]
    _run([*command, "-c", str(pins), f"tensorzero=={VERSION}"], progress, started_s)


def _run(command: Sequence[str], progress: Progress, started_s: float) -> None:
    step = installing.Step(command, began_s=started_s, within_s=INSTALL_WITHIN_S)
    try:
        code, seen = step.run(progress, lambda lines: lines[-1] if lines else "preparing")
    except installing.TooLongError:
        raise UsageProblem(f"installing TensorZero {VERSION} took more than {INSTALL_WITHIN_S:g} s") from None
    if code != 0:
        raise UsageProblem(_why(seen))


def _why(seen: Sequence[str]) -> str:
    """One sentence out of the installer's output: its last error, and what to do when it is the network."""
    errors = [line for line in seen if re.match(r"(ERROR|error|fatal)\b", line)]
    what = f"cannot install TensorZero {VERSION}: {(errors or list(seen) or ['no output'])[-1][:300]}"
    if any(_NETWORK.search(line) for line in seen):
        return f"{what}; the first run needs the network, or {PYTHON_VARIABLE}=/path/to/a/python/that/has/it"
    return what


def _remove(home: Path) -> None:
    if home.exists():
        shutil.rmtree(home)
