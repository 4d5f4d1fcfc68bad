"""A LiteLLM of a known version in an environment of its own, installed once and used by every drill.

The environment is complete when its marker is there; the marker is written last. An environment without one is a
leftover of an interrupted install and is built again. Two drills at once wait for each other.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path

from drills import cache
from drills.gateways.base import Progress
from drills.lifeline import die_with_parent
from drills.problems import UsageProblem

VERSION = "1.106.2"
REQUIREMENTS = (f"litellm[proxy]=={VERSION}", "google-auth", "requests")
"""What is installed; Vertex AI needs google-auth and requests, which the proxy extra does not bring."""

EXECUTABLE_VARIABLE = "FAILOVER_DRILL_LITELLM"
NEEDED_BYTES = 1_200_000_000
"""Free space that an install needs: 0.75 GB of files, and what pip downloads while it unpacks."""

PROGRESS_EVERY_S = 5.0
_COMPILED = ("litellm/llms", "openai", "google", "requests", "urllib3", "botocore", "azure", "msal", "cryptography")
"""Compiled at once (5 s): what a gateway first imports when it fails over. Compiling all would take 25 s."""
_POLL_S = 0.5
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
        with _lock(home.parent / f"{home.name}.lock", progress):
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
    """Run one step of the install in a process group of its own, and tell what it does every few seconds."""
    process = subprocess.Popen(  # noqa: S603 - our own venv and the person's uv
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
        preexec_fn=die_with_parent,  # noqa: PLW1509 - it calls prctl and nothing else
    )
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    reader = threading.Thread(target=_read, args=(process, lines), daemon=True)
    reader.start()
    try:
        seen = _follow(lines, progress, started_s)
        code = process.wait()
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    if code != 0:
        raise UsageProblem(_why(seen))


def _read(process: subprocess.Popen[str], lines: queue.SimpleQueue[str | None]) -> None:
    for line in process.stdout or ():
        lines.put(line.strip())
    lines.put(None)


def _follow(lines: queue.SimpleQueue[str | None], progress: Progress, started_s: float) -> list[str]:
    """The output of a step, told every `PROGRESS_EVERY_S`."""
    seen: list[str] = []
    told_s = time.monotonic()
    while True:
        try:
            line = lines.get(timeout=_POLL_S)
        except queue.Empty:
            line = ""
        if line is None:
            return seen
        if line:
            seen.append(line)
        if time.monotonic() - told_s >= PROGRESS_EVERY_S:
            told_s = time.monotonic()
            progress(f"{told_s - started_s:3.0f} s: {_doing(seen)}")


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


@contextlib.contextmanager
def _lock(path: Path, progress: Progress) -> Iterator[None]:
    with path.open("w", encoding="utf-8") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress("waiting for another drill that is installing LiteLLM")
            fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _remove(home: Path) -> None:
    if home.exists():
        shutil.rmtree(home)
