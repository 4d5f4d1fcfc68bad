"""The vendors' own SDKs, in an environment of their own: their dependencies clash with those of this project.

The environment is kept in the user's cache, named by a hash of the pins, and is never seen half-built.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

PINS = (
    "anthropic==2.12.0",
    "openai==3.54.0",
    "google-genai==3.4.0",
    "boto3==1.44.5",
    "botocore==1.44.5",
    "google-auth==2.62.2",
    "requests==2.34.2",
    "cryptography==50.0.2",
)
_INSTALL_TIMEOUT_S = 600


@pytest.fixture(scope="session")
def sdk_python() -> Path:
    """Interpreter of an environment with exactly `PINS` and what they need; built once, then reused offline."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "failover-drill"
    home.mkdir(parents=True, exist_ok=True)
    key = hashlib.sha256("\n".join((sys.version, *PINS)).encode()).hexdigest()[:12]
    ready = home / f"test-sdks-{key}"
    with (home / f"test-sdks-{key}.lock").open("w") as lock:
        _acquire(lock.fileno())
        if not ready.exists():
            _build(ready)
    return ready / "bin" / "python"


def _acquire(descriptor: int) -> None:
    """Wait for the lock of another session that builds the same environment."""
    until_s = time.monotonic() + _INSTALL_TIMEOUT_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until_s:
                raise
            time.sleep(0.5)
        else:
            return


def _build(ready: Path) -> None:
    for left_over in ready.parent.glob(f"{ready.name}.*/"):
        shutil.rmtree(left_over, ignore_errors=True)
    half = Path(tempfile.mkdtemp(prefix=f"{ready.name}.", dir=ready.parent))
    try:
        _run([sys.executable, "-m", "venv", str(half)])
        pip = [str(half / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        _run([*pip, *PINS])
        half.rename(ready)
    finally:
        shutil.rmtree(half, ignore_errors=True)


def _run(command: list[str]) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=_INSTALL_TIMEOUT_S)
    if done.returncode != 0:
        pytest.fail(f"the SDKs cannot be installed (leave their tests out with -m 'not sdk'):\n{done.stderr[-2000:]}")
