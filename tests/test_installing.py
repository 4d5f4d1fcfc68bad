"""What installers share: a step that is told, ended and never left behind, and a lock that says why it waits."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from drills import installing
from drills.installing import Step, TooLongError, lock


def test_a_step_gives_its_code_and_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both outputs, without empty lines; what it does is told while it runs, in seconds since the install began."""
    monkeypatch.setattr(installing, "TELL_EVERY_S", 0.1)
    said: list[str] = []
    step = Step(
        ["sh", "-c", "echo one; echo; echo two >&2; sleep 1; exit 3"],
        env={"PATH": os.environ["PATH"]},
        began_s=time.monotonic() - 60,
    )
    assert step.run(said.append, lambda seen: f"at {seen[-1]}") == (3, ["one", "two"])
    assert said
    assert all(line.endswith("s: at two") and line.strip().startswith("6") for line in said)


def test_a_step_that_takes_too_long_is_ended_with_its_children(tmp_path: Path) -> None:
    """What it started goes with it."""
    pid = tmp_path / "pid"
    step = Step(["sh", "-c", f"sleep 60 & echo $! > {pid}; wait"], within_s=0.6)
    with pytest.raises(TooLongError):
        step.run(print, lambda _: "")
    child = Path("/proc") / pid.read_text().strip() / "stat"
    until_s = time.monotonic() + 5
    while child.exists() and child.read_text().rpartition(")")[2].split()[0] != "Z":
        assert time.monotonic() < until_s, "the child still runs"
        time.sleep(0.02)


def test_a_second_install_waits_and_says_so(tmp_path: Path) -> None:
    """The lock is free again when the first is done, whatever became of it."""
    path, said, order = tmp_path / "lock", list[str](), list[str]()

    def second() -> None:
        with lock(path, said.append, "installing it"):
            order.append("second")

    with lock(path, print, "installing it"):
        thread = threading.Thread(target=second)
        thread.start()
        until_s = time.monotonic() + 5
        while not said and time.monotonic() < until_s:
            time.sleep(0.01)
        order.append("first")
    thread.join(5)
    assert (said, order) == (["waiting for another drill that is installing it"], ["first", "second"])
