"""The processes of a run: what one leaves behind when it ends while nobody listens to it."""

from __future__ import annotations

import asyncio
import gc
from pathlib import Path

import msgspec
import pytest

from drills.children import Child

LEAVES_ONE = """
import subprocess, sys
subprocess.Popen(["sleep", "2"], stderr=subprocess.DEVNULL)
sys.stdin.read()
"""


class First(msgspec.Struct, frozen=True):
    """A first line."""


@pytest.mark.filterwarnings("error")
def test_a_child_whose_own_child_holds_its_output_leaves_nothing_in_the_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stop in the middle of a start: nobody has listened yet. What is still open then would be closed when the loop
    is gone, and Python would say so on the user's screen.
    """
    (tmp_path / "leaves_one.py").write_text(LEAVES_ONE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    odd: list[str] = []
    monkeypatch.setattr("sys.unraisablehook", lambda args: odd.append(repr(args.exc_value)))

    async def started_and_ended() -> None:
        child = await Child.start("one", "leaves_one", First())
        await child.end()

    asyncio.run(started_and_ended())
    gc.collect()
    assert odd == []
