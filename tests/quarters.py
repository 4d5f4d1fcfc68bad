"""Quarters of runs that were never run: stories of three gateways, dated over two quarters.

The runs are made with the tool's own types: a history, judged, in a folder of its own. Only the first event differs
from the story's: its date, gateway, scenario and limits.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import msgspec
from calibration.story import history

from drills.events import AnyEvent, FaultPlan, Limits, RunStarted
from drills.quarter.plan import QuarterPlan
from drills.quarter.run import RunOfQuarter
from drills.result import encode
from drills.verdict import judged

GATEWAYS = (("litellm", "1.89.2"), ("portkey", "1.15.2"), ("tensorzero", "2026.6.0"))
SCENARIOS = (("primary-down", "role: primary"), ("cloud-outage", "cloud_of: primary"))
BEGIN = datetime(2025, 7, 6, 9, 0, tzinfo=UTC)
UNTIL = "2026-01-01T00:00:00+00:00"
LIMITS = Limits(switchover_within_s=1.5, failback_within_s=1.0, lost_at_most=12)


class Told(NamedTuple):
    """One run to be made."""

    name: str
    story: str
    gateway: str
    version: str
    scenario: str
    selector: str
    started: datetime
    limits: Limits = LIMITS


def events(told: Told) -> tuple[AnyEvent, ...]:
    """The history of a run."""
    first, *rest = history(told.story, told.limits)
    assert isinstance(first, RunStarted)
    faults: tuple[FaultPlan, ...] = tuple(msgspec.structs.replace(one, selector=told.selector) for one in first.faults)
    head = msgspec.structs.replace(
        first,
        started_at=told.started.isoformat(),
        seed=int(told.started.timestamp()) % 100_000,
        gateway=told.gateway,
        gateway_version=told.version,
        config_file="config.yaml",
        config_sha256="c0ffee" * 10 + "0000",
        scenario_name=f"The story of {told.scenario}",
        scenario_file=f"scenarios/{told.scenario}.yaml",
        scenario_sha256="5ce4a510" * 8,
        objective="Callers keep getting answers.",
        faults=faults,
    )
    return (head, *rest)


def write(root: Path, told: Told) -> Path:
    """A run's folder, with its history and its result."""
    folder = root / told.name
    folder.mkdir(parents=True)
    happened = events(told)
    encoder = msgspec.json.Encoder()
    (folder / "history.jsonl").write_bytes(b"".join(encoder.encode(event) + b"\n" for event in happened))
    (folder / "result.json").write_bytes(encode(judged(happened, told.name).result))
    return folder


def run(told: Told) -> RunOfQuarter:
    """The same, not written anywhere."""
    happened = events(told)
    head = happened[0]
    assert isinstance(head, RunStarted)
    return RunOfQuarter(
        name=told.name,
        started_at=head.started_at,
        history_sha256="0" * 64,
        result=judged(happened, told.name).result,
        head=head,
    )


def one(number: int, story: str = "ppp[xxsss]spp", *, day: str = "2025-11-02", **also: object) -> RunOfQuarter:
    """One run of a day, LiteLLM's loss of its primary unless said otherwise."""
    started = datetime.fromisoformat(f"{day}T10:00:00+00:00") + timedelta(minutes=number)
    name = f"{started:%Y%m%dT%H%M%SZ}-primary-down-{number}"
    told = Told(name, story, *GATEWAYS[0], *SCENARIOS[0], started)
    return run(told._replace(**also))


def plan(**also: object) -> QuarterPlan:
    """A plan of the last quarter of 2025, as it stood at its end."""
    return QuarterPlan(**{"quarter": "2025Q4", "until": UNTIL, **also})  # type: ignore[arg-type]


def two_quarters(count: int = 66) -> Iterator[Told]:
    """Runs of three gateways, three days apart from July to December: most recover, some late, some never, some that
    prove nothing.
    """
    rng = random.Random(7)
    for number in range(count):
        started = BEGIN + timedelta(days=number * 176 // count, minutes=7 * number)
        gateway, version = GATEWAYS[number % 3]
        scenario, selector = SCENARIOS[number // 3 % 2]
        name = f"{started:%Y%m%dT%H%M%SZ}-{scenario}-{gateway}"
        yield Told(name, _story(number, rng), gateway, version, scenario, selector, started)


def _story(number: int, rng: random.Random) -> str:
    bad = "x" * rng.randint(1, 7)
    if number % 23 == 22:
        return "ppppp[" + "x" * 20 + "]xppppp"  # never recovered while the fault was on
    if number % 17 == 16:
        return "ppppp[sss]ppppp"  # the fault met nobody: the drill is invalid
    if number % 11 == 10:
        return "ppppp[" + "x" * 18 + "ssssssssss]sspppp"  # too late
    return f"ppppp[{bad}dd{'s' * 14}]{'s' * rng.randint(0, 4)}ppppp"
