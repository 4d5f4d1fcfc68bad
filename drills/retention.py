"""Which runs may go, and their removal. The choice is pure; nothing is removed by halves."""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from drills.kept import UNFINISHED, Kept, is_run
from drills.moments import moment
from drills.problems import UsageProblem
from drills.result import Verdict
from drills.sealing import bury

_DAYS = {"d": 1, "w": 7, "y": 366}
_RULE = re.compile(r"(\d{1,6})(d|w|y)?")
_RUNNING = timedelta(days=1)
"""An unfinished run that is younger may be running: no drill lasts that long."""
TRASH = ".trash-"
_COUNT = {Verdict.PASS, Verdict.FAIL}
"""What a quarterly report counts as drilled."""


@dataclass(frozen=True)
class Rule:
    """What is kept: the newest so many runs, or those of the last so many days."""

    newest: int | None = None
    days: int | None = None


def parse(text: str) -> Rule:
    """A rule as written: `50`, `90d`, `26w`, `2y`. Raises `UsageProblem`."""
    match = _RULE.fullmatch(text)
    if match is None:
        raise UsageProblem(f"--keep {text!r}: write how many runs, or how far back: 50, 90d, 26w, 2y")
    if match[2] is None:
        return Rule(newest=int(match[1]))
    return Rule(days=int(match[1]) * _DAYS[match[2]])


def may_go(runs: Sequence[Kept], rules: Iterable[Rule], now: datetime) -> tuple[Kept, ...]:
    """The runs that no rule keeps, oldest first. `runs` are newest first.

    Whatever the rules say, the newest run of each scenario on each gateway and config that passed or failed stays,
    since it says when that was last drilled, and so does the newest judged one; so does one that may be running, and
    one that nobody can read, which a person should look at.
    """
    wanted = list(rules)
    latest: set[tuple[str, str, str, bool]] = set()
    gone = []
    for number, run in enumerate(runs):
        scenario = run.scenario_id or run.scenario
        said = {(scenario, run.gateway, config, counts) for config, counts in _said(run)}
        is_latest = bool(run.due is not None and said - latest)
        if is_latest:
            latest |= said
        if not is_latest and not _stays(run, number, wanted, now):
            gone.append(run)
    return tuple(reversed(gone))


def _said(run: Kept) -> set[tuple[str, bool]]:
    """Of what a run is the last one, besides its scenario and gateway: config and model, and whether it counts."""
    return {(f"{run.config_sha256} {run.entry_model}", counts) for counts in {False, run.verdict in _COUNT}}


def _stays(run: Kept, number: int, rules: Sequence[Rule], now: datetime) -> bool:
    started = moment(run.started_at)
    if started is None:
        return True  # nobody can say how old it is
    if run.verdict == UNFINISHED and now - started < _RUNNING:
        return True
    return any(
        (rule.newest is not None and number < rule.newest)
        or (rule.days is not None and now - started <= timedelta(days=rule.days))
        for rule in rules
    )


def remove(root: Path, runs: Iterable[Kept]) -> int:
    """Remove the folders of these runs, each in one step as far as anybody can see; how many there were. The chain
    says before it that those that were sealed go on purpose.

    Also removes what an earlier removal left when it was killed.
    """
    count = 0
    going = [run for run in runs if is_run(root / run.name)]
    bury(root, going)
    for run in going:
        folder = root / run.name
        if is_run(folder):
            os.rename(folder, root / f"{TRASH}{secrets.token_hex(8)}")  # noqa: PTH104  the atomic step is the point
            count += 1
    for rest in root.glob(f"{TRASH}*"):
        shutil.rmtree(rest, ignore_errors=True)  # another removal may be at it
    return count
