"""Folders of runs that were never run: the history of a story, and what the tool writes beside it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import msgspec
from calibration.story import history

from drills.events import AnyEvent, Limits, RunStarted
from drills.files import finish

SCENARIO = b"name: story\n"


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


def story_run(folder: Path, story: str = "ppp[xxsss]spp", *, judged: bool = True, **head: str | int) -> Path:
    """The run of a story, with the limit that no request may be lost."""
    return write_run(folder, history(story, Limits(lost_at_most=0)), judged=judged, **head)
