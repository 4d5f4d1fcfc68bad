"""Folders of runs that were never run: the history of a story, and what the tool writes beside it."""

from __future__ import annotations

import hashlib
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
from calibration.story import history

from drills import __version__
from drills.build import BUILD, build
from drills.events import AnyEvent, Limits, RunStarted
from drills.files import finish
from drills.manifest import Sealer
from drills.sealing import seal
from drills.signing import Signer

SCENARIO = b"name: story\n"
BY_US: dict[str, object] = {"tool_version": __version__, "environment": {BUILD: build()}}
"""In the head of a history: made by this version and this build of the tool."""


def start_writer(code: str, root: Path, who: str, count: int) -> subprocess.Popen[str]:
    """A process that makes runs in a folder: Python code with `{here!r}` for where the tests are."""
    words = [sys.executable, "-c", code.format(here=str(Path(__file__).parent)), str(root), who, str(count)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True)


def kill_later(writer: subprocess.Popen[str], after_s: float) -> None:
    """SIGKILL for a writer, so long after it is ready."""
    assert writer.stdout is not None
    writer.stdout.readline()
    time.sleep(after_s)
    writer.send_signal(signal.SIGKILL)
    writer.wait(10)
    writer.stdout.close()


def write_run(folder: Path, events: Sequence[AnyEvent], *, judged: bool = True, **head: object) -> Path:
    """A run's folder with these events, `head` changed in the first one; judged and reported, or as a crash left it."""
    folder.mkdir(parents=True)
    first, *rest = events
    assert isinstance(first, RunStarted)
    changed = {"scenario_sha256": hashlib.sha256(SCENARIO).hexdigest(), **head}
    encoder = msgspec.json.Encoder()
    lines = [encoder.encode(event) for event in (msgspec.structs.replace(first, **changed), *rest)]
    (folder / "scenario.yaml").write_bytes(SCENARIO)
    (folder / "history.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    if judged:
        finish(folder)
    return folder


def sealed_run(root: Path, number: int, story: str = "ppp[xxsss]spp", signer: Signer | None = None) -> Path:
    """The run of a story by this version of the tool, in a folder of runs, sealed as a drill seals it at its end."""
    started = f"2026-01-{number:02}T00:00:00+00:00"
    folder = story_run(root / f"202601{number:02}T000000Z-story-told", story, started_at=started, **BY_US)
    (folder / "gateway.log").write_text("it said something\nand something else\n")
    seal(folder, Sealer.RUN, signer)
    return folder


def story_run(folder: Path, story: str = "ppp[xxsss]spp", *, judged: bool = True, **head: object) -> Path:
    """The run of a story, with the limit that no request may be lost."""
    return write_run(folder, history(story, Limits(lost_at_most=0)), judged=judged, **head)
