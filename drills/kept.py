"""One run that is kept: what a list of runs says about it, read from its folder and from nothing else."""

from __future__ import annotations

from pathlib import Path

import msgspec

from drills.decoding import Decoder
from drills.events import AnyEvent, RunStarted
from drills.history import HISTORY_FILE
from drills.plainfile import opened, plain_bytes
from drills.result import Result, decode, scenario_id

RESULT_FILE = "result.json"
UNFINISHED = "unfinished"
"""Where a verdict stands: there is a history and no result. The drill is running, or was killed."""
UNREADABLE = "unreadable"
"""Where a verdict stands: the result, or of an unfinished run the history, is none."""
_LONGEST_HEADER_BYTES = 10_000_000


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A row of `drill history`. Times in seconds; None where there is nothing to say.

    name: of its folder. verdict: of the drill, or `UNFINISHED`, or `UNREADABLE` with a `problem`.
    scenario_id: by what runs of the scenario are known.
    recovered: of how many faults (`switchovers`) callers recovered. recovery_s: the longest of these, with its
    resolution. failback_s: the longest one.
    """

    name: str
    verdict: str
    started_at: str = ""
    duration_s: float | None = None
    scenario: str = ""
    scenario_file: str = ""
    scenario_id: str = ""
    gateway: str = ""
    gateway_version: str = ""
    config_file: str = ""
    config_sha256: str = ""
    entry_model: str = ""
    tool_version: str = ""
    due: int | None = None
    lost: int | None = None
    slow: int | None = None
    switchovers: int | None = None
    recovered: int | None = None
    recovery_s: float | None = None
    resolution_s: float | None = None
    failback_s: float | None = None
    problem: str = ""


def is_run(folder: Path) -> bool:
    """Whether a folder is one of a run. What begins with a dot is half done, or on its way out."""
    return not folder.name.startswith(".") and not folder.is_symlink() and (folder / HISTORY_FILE).is_file()


def read(folder: Path) -> Kept:
    """What a run's folder says. Never raises for what is in it; that is a `problem`."""
    try:
        return _of(folder.name, decode(plain_bytes(folder / RESULT_FILE)))
    except FileNotFoundError:
        return _unfinished(folder)
    except (OSError, msgspec.MsgspecError) as error:
        return Kept(name=folder.name, verdict=UNREADABLE, problem=f"{RESULT_FILE}: {error}")


def head(folder: Path) -> RunStarted:
    """The first event of a run. Raises `OSError` or `msgspec.MsgspecError` when there is none."""
    with opened(folder / HISTORY_FILE) as file:
        line = file.readline(_LONGEST_HEADER_BYTES)
    decoder: Decoder[AnyEvent] = Decoder(AnyEvent)
    first = decoder.decode(line)
    if not isinstance(first, RunStarted):
        raise msgspec.ValidationError("it does not begin with run_started")
    return first


def _unfinished(folder: Path) -> Kept:
    try:
        first = head(folder)
    except (OSError, msgspec.MsgspecError) as error:
        return Kept(name=folder.name, verdict=UNREADABLE, problem=f"{HISTORY_FILE}: {error}")
    return Kept(
        name=folder.name,
        verdict=UNFINISHED,
        started_at=first.started_at,
        scenario=first.scenario_name,
        scenario_file=first.scenario_file,
        scenario_id=scenario_id(first.scenario_id, first.scenario_file, first.scenario_name),
        gateway=first.gateway,
        gateway_version=first.gateway_version,
        config_file=first.config_file,
        config_sha256=first.config_sha256,
        entry_model=first.entry_model,
        tool_version=first.tool_version,
    )


def _of(name: str, result: Result) -> Kept:
    recovered = [found for found in result.switchovers if found.recovery_s is not None]
    slowest = max(recovered, key=lambda found: found.recovery_s or 0.0, default=None)
    backs = [back.failback_s for back in result.failbacks if back.failback_s is not None]
    return Kept(
        name=name,
        verdict=result.verdict.value,
        started_at=result.started_at,
        duration_s=result.duration_s,
        scenario=result.scenario.name,
        scenario_file=result.scenario.file,
        scenario_id=scenario_id(result.scenario.id, result.scenario.file, result.scenario.name),
        gateway=result.gateway.name,
        gateway_version=result.gateway.version,
        config_file=result.gateway.config_file,
        config_sha256=result.gateway.config_sha256,
        entry_model=result.gateway.entry_model,
        tool_version=result.tool_version,
        due=result.requests.due,
        lost=result.requests.lost,
        slow=result.requests.slow,
        switchovers=len(result.switchovers),
        recovered=len(recovered),
        recovery_s=slowest.recovery_s if slowest else None,
        resolution_s=slowest.resolution_s if slowest else None,
        failback_s=max(backs, default=None),
    )
