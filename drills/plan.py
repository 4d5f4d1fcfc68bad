"""The plan of a drill: scenario, legs and seed become arrival times and ordered steps. Data; nothing sleeps in it.

The same scenario, legs and seed give the same plan.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from drills.events import FaultPlan, Limits, PhasePlan, UntilAnswered
from drills.legs import Leg
from drills.marks import Mark
from drills.scenario import Scenario
from drills.targets import notes, resolve


@dataclass(frozen=True)
class Arrival:
    """One request of the load. `offset_s` counts from the start of the timeline."""

    seq: int
    offset_s: float
    stream: bool
    mark: Mark


@dataclass(frozen=True)
class Step:
    """Something to do at a time of the timeline: enter a phase, put a fault on, or take it off."""

    at_s: float
    action: str
    name: str


@dataclass(frozen=True)
class Plan:
    """All that a run will do. `warnings` advise; they do not stop it."""

    arrivals: tuple[Arrival, ...]
    steps: tuple[Step, ...]
    phases: tuple[PhasePlan, ...]
    faults: tuple[FaultPlan, ...]
    limits: Limits
    duration_s: float
    warnings: tuple[str, ...]


def make(
    scenario: Scenario,
    legs: Sequence[Leg],
    seed: int,
    nonce: str,
    without_faults: bool = False,
    *,
    hopeless: bool = False,
) -> Plan:
    """The plan of a scenario on these legs.

    nonce: secret of the run, from which the unguessable ids are derived. without_faults: the null drill, which
    keeps everything but the faults. hopeless: a phase may take every leg away. Raises `UsageProblem` for selectors that
    make no sense with these legs.
    """
    resolved = resolve(scenario, legs, hopeless=hopeless)
    targets = {use.id: hit for use, hit in resolved}
    faults = () if without_faults else tuple(_faults(scenario, targets))
    phases = tuple(_phases(scenario, legs, without_faults))
    return Plan(
        arrivals=tuple(_arrivals(scenario, seed, nonce)),
        steps=tuple(_steps(phases, faults)),
        phases=phases,
        faults=faults,
        limits=_limits(scenario),
        duration_s=scenario.duration_s,
        warnings=(*_warnings(scenario), *notes(resolved, legs)),
    )


def _arrivals(scenario: Scenario, seed: int, nonce: str) -> list[Arrival]:
    """Evenly spaced; the first one at a random point of the first interval, so that faults fall anywhere in one.

    Streamed and whole answers alternate as evenly as the share allows, from a random start.
    """
    rng = random.Random(f"{seed}:arrivals")
    ids = random.Random(f"{seed}:{nonce}")
    load = scenario.load
    interval_s = 1 / load.rate_per_s
    first_s, turn = rng.random() * interval_s, rng.random()
    count = math.ceil((scenario.duration_s - first_s) / interval_s)
    return [
        Arrival(
            seq=seq,
            offset_s=first_s + seq * interval_s,
            stream=math.floor((seq + 1) * load.streaming + turn) > math.floor(seq * load.streaming + turn),
            mark=Mark(f"{ids.getrandbits(64):016x}", load.words),
        )
        for seq in range(count)
    ]


def _phases(scenario: Scenario, legs: Sequence[Leg], without_faults: bool) -> list[PhasePlan]:
    found, start_s = [], 0.0
    for phase in scenario.timeline:
        end_s = start_s + phase.duration_s
        ids = () if without_faults else tuple(use.id for use in phase.faults)
        until = None
        if phase.until is not None:
            answered = phase.until.answered
            names = tuple(leg.name for leg in legs if leg.role == answered.role)
            until = UntilAnswered(legs=names, requests=answered.requests)
        planned = PhasePlan(name=phase.name, start_s=start_s, end_s=end_s, faults=ids, until=until, basis=phase.basis)
        found.append(planned)
        start_s = end_s
    return found


def _faults(scenario: Scenario, targets: dict[str, tuple[Leg, ...]]) -> list[FaultPlan]:
    return [
        FaultPlan(
            id=window.use.id,
            kind=window.use.kind,
            legs=tuple(leg.name for leg in targets[window.use.id]),
            start_s=window.start_s,
            end_s=window.end_s,
            selector="the gateway" if window.use.fault.plane == "process" else str(window.use.selector),
            settings=asdict(window.use.fault),
            connections=window.use.fault.connections(),
            lookups=window.use.fault.lookups(),
            shape=window.use.shape,
            plane=window.use.fault.plane,
            of_identity=window.use.fault.of_identity,
            sees_requests=window.use.fault.sees_requests,
            handshake=window.use.fault.handshake(),
        )
        for window in scenario.fault_windows()
    ]


def _steps(phases: Sequence[PhasePlan], faults: Sequence[FaultPlan]) -> list[Step]:
    """In order of time; at one time faults are taken off before others are put on, and the phase is named first."""
    steps = [Step(phase.start_s, "phase", phase.name) for phase in phases]
    steps += [Step(fault.end_s, "clear", fault.id) for fault in faults]
    steps += [Step(fault.start_s, "apply", fault.id) for fault in faults]
    order = {"phase": 0, "clear": 1, "apply": 2}
    return sorted(steps, key=lambda step: (step.at_s, order[step.action]))


def _limits(scenario: Scenario) -> Limits:
    expect = scenario.expect
    return Limits(
        switchover_within_s=expect.switchover.within_s if expect.switchover else None,
        failback_within_s=expect.failback.within_s if expect.failback else None,
        lost_at_most=expect.lost.at_most if expect.lost else None,
        broken_streams_at_most=expect.lost.broken_streams if expect.lost else 0,
        slow_at_most=expect.slow.at_most if expect.slow else None,
        attempts_per_request_at_most=expect.attempts.per_request_at_most if expect.attempts else None,
        detour_at_most_s=expect.detour.at_most_s if expect.detour else None,
    )


def _warnings(scenario: Scenario) -> list[str]:
    interval_s = 1 / scenario.load.rate_per_s
    limits = _limits(scenario)
    found = []
    for name, limit_s in (("switchover", limits.switchover_within_s), ("failback", limits.failback_within_s)):
        if limit_s is not None and interval_s > limit_s / 10:
            found.append(
                f"one arrival every {interval_s:g} s is coarse for a {name} limit of {limit_s:g} s; "
                f"raise load.rate to {math.ceil(10 / limit_s)}/s or more"
            )
    return [*found, *_long_tokens(scenario)]


def _long_tokens(scenario: Scenario) -> Iterator[str]:
    lifetime_s = scenario.providers.token_lifetime_s
    for window in scenario.fault_windows():
        lasts_s = window.end_s - window.start_s
        if window.use.fault.of_identity and lifetime_s >= lasts_s:
            what = f"{window.use.id} lasts {lasts_s:g} s and a token {lifetime_s:g} s"
            yield f"{what}: a gateway that keeps its token needs no other; make providers.token_lifetime shorter"
