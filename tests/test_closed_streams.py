"""What becomes of a command whose reader has gone, or who never had one."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from drilling import DRILL


def _cut(*words: str, cwd: Path) -> tuple[int, str]:
    """Run `drill` with a standard output that nobody reads any more: its exit code, and what it says of it."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as gone:
        done = subprocess.run([*DRILL, *words], cwd=cwd, stdout=gone, stderr=subprocess.PIPE, text=True, check=False)
    return done.returncode, done.stderr


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_who_has_seen_enough_is_no_error(
    unbuffered: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as `head`: at the end of the output, and in its midst."""
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    assert _cut("list", "faults", cwd=tmp_path) == (0, "")


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_what_was_found_is_not_called_well_because_nobody_read_it(
    unbuffered: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broken scenario stays one."""
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    (tmp_path / "broken.yaml").write_text("name: x\n")
    code, said = _cut("validate", "broken.yaml", cwd=tmp_path)
    assert code in {2, 130}
    assert "a bug of the tool" not in said


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_a_stream_that_was_closed_before_is_no_bug(closed: str, tmp_path: Path) -> None:
    """What would be said there goes nowhere; the rest is said, and the exit code is the same."""
    script = " ".join([*DRILL, "list", "faults", closed])
    done = subprocess.run(["sh", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert bool(done.stdout) == (closed == "2>&-")
