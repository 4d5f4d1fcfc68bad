"""The history of a run: every event, one JSON object a line, flushed as it happens.

A line that a crash cut short is the only one that may be unreadable; everything before it counts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import msgspec

from drills.decoding import Decoder
from drills.events import AnyEvent, RunStarted
from drills.plainfile import plain_bytes
from drills.problems import Place, Problem, UsageProblem
from drills.redactor import Redactor

HISTORY_FILE = "history.jsonl"


class HistoryWriter:
    """Appends events to a file. Not thread-safe; one writer a run."""

    def __init__(self, path: Path, redactor: Redactor) -> None:
        self._file = path.open("ab", buffering=0)
        self._encoder = msgspec.json.Encoder()
        self._redactor = redactor
        self.events: list[AnyEvent] = []

    def add(self, event: AnyEvent) -> None:
        """Write one event, whole, with one system call, and keep it for whoever follows the run."""
        clean = self._redactor.event(event)
        self.events.append(clean)
        self._file.write(self._encoder.encode(clean) + b"\n")

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read(path: Path) -> tuple[AnyEvent, ...]:
    """Every event of a history file. Raises `UsageProblem` when it is not one.

    An unreadable last line is what a crash leaves and is skipped; any other unreadable line is a problem.
    """
    return load(path)[0]


def load(path: Path) -> tuple[tuple[AnyEvent, ...], str]:
    """The same, with the SHA-256 of the very bytes that were read."""
    try:
        data = plain_bytes(path)
    except OSError as error:
        raise UsageProblem(f"{path}: cannot read the history: {error.strerror}") from error
    lines = data.split(b"\n")
    decoder: Decoder[AnyEvent] = Decoder(AnyEvent)
    events: list[AnyEvent] = []
    for number, line in enumerate(lines, start=1):
        if not line:
            continue
        try:
            events.append(decoder.decode(line))
        except msgspec.DecodeError as error:
            if number == len(lines):
                break
            place = Place(str(path), number, 1)
            raise UsageProblem(Problem(f"not an event of a drill's history: {error}", place)) from error
    return tuple(events), hashlib.sha256(data).hexdigest()


def header(events: Sequence[AnyEvent], source: str) -> RunStarted:
    """The first event, which says what was run. Raises `UsageProblem` when the history has none."""
    if not events or not isinstance(events[0], RunStarted):
        raise UsageProblem(f"{source}: not the history of a drill: it does not begin with run_started")
    return events[0]
