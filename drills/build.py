"""Which build of the tool this is: one hash over its own source, since a version number says less than its code.

Two builds with one hash judge and render alike. Two with one version and different hashes may not, and a verification
must not take that for tampering.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

BUILD = "build"
"""Under which name a run's environment has it."""
_PACKAGES = ("drills", "faults", "reports")
_SOURCES = {".py", ".html", ".css"}


@cache
def build() -> str:
    """SHA-256, 64 hex digits, over name and content of every source file that judges or renders."""
    root = Path(__file__).parent.parent
    whole = hashlib.sha256()
    for package in _PACKAGES:
        paths = (path for path in (root / package).rglob("*") if path.suffix in _SOURCES)
        for path in sorted(paths, key=lambda path: path.relative_to(root).as_posix()):
            whole.update(f"{path.relative_to(root).as_posix()}\0".encode())
            whole.update(hashlib.sha256(path.read_bytes()).digest())
    return whole.hexdigest()
