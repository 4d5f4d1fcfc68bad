"""Which legs the faults of a scenario hit, for the legs of one gateway. Pure.

A fault that hits nothing, or that leaves nothing to switch over to, is a problem here and not a surprise in the run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from drills import providers
from drills.legs import Leg, select, values_of
from drills.problems import Problem, UsageProblem, choices
from drills.scenario import FaultUse, Scenario
from drills.yamlsource import shown
from faults.base import Connections

Targets = tuple[tuple[FaultUse, tuple[Leg, ...]], ...]


def resolve(scenario: Scenario, legs: Sequence[Leg], *, hopeless: bool = False) -> Targets:
    """Every fault of the scenario, in the order in which they begin, with the legs that it hits (at least one).

    A fault of the identity service hits those of the selected legs that have one. Raises `UsageProblem` when a selector
    matches no leg, or only legs that no fallback leads to or that have no such service, and when a phase takes every
    leg away although a switchover is expected; unless it may be `hopeless`: then that is what the drill shall show.
    """
    targets = tuple((use, _hit(use, legs)) for use in scenario.faults)
    problems = [
        problem
        for use, hit in targets
        if use.fault.plane != "process"
        for problem in _selector_problems(use, hit, legs)
    ]
    problems += _hidden_connects(targets)
    problems += _until_problems(scenario, legs)
    if not problems and not hopeless and scenario.expect.switchover is not None:
        problems = list(dict.fromkeys(_nothing_left(scenario, {use.id: hit for use, hit in targets}, legs)))
    if problems:
        raise UsageProblem(problems)
    return targets


def notes(targets: Targets, legs: Sequence[Leg]) -> Iterator[str]:
    """What a person should know about the legs that faults of identity services hit and spare."""
    for use, hit in targets:
        if not use.fault.of_identity:
            continue
        names = _names(hit)
        if without := [leg for leg in select(use.selector, legs) if leg not in hit]:
            yield f"{use.id} hits {names} and spares {_names(without)}: a drill has no token endpoint for it"
        clouds = {leg.cloud for leg in hit}
        alike = [leg for leg in legs if leg not in hit and leg.cloud in clouds and providers.has_identity(leg.provider)]
        if alike:
            shared = f"in earnest their tokens come from the same service as those of {names}"
            yield f"{use.id} spares {_names(alike)}, though {shared}; select by cloud to hit all of them"


def _hit(use: FaultUse, legs: Sequence[Leg]) -> tuple[Leg, ...]:
    if use.fault.plane == "process":
        return ()
    hit = select(use.selector, legs)
    return tuple(leg for leg in hit if providers.has_identity(leg.provider)) if use.fault.of_identity else hit


def _names(legs: Sequence[Leg]) -> str:
    return ", ".join(leg.name for leg in legs)


def _hidden_connects(targets: Targets) -> Iterator[Problem]:
    """A leg behind Toxiproxy accepts every connect, so what happens to connects behind it cannot be seen before it."""
    wired = {leg.name: use for use, hit in targets if use.fault.plane == "toxi" for leg in hit}
    for use, hit in targets:
        connects = use.fault.connections() is not Connections.OPEN
        if use.fault.plane == "mitm" and (connects or use.fault.handshake() is not None):
            why = "it accepts all connects; use 'wire_down' or 'hang'" if connects else "whose handshake it is, is lost"
            for leg in hit:
                if leg.name in wired:
                    what = f"fault {use.kind!r} cannot be on {leg.name}, which {wired[leg.name].kind!r} puts behind"
                    yield Problem(f"{what} Toxiproxy: {why}", use.place)
                    break


def _selector_problems(use: FaultUse, hit: Sequence[Leg], legs: Sequence[Leg]) -> Iterator[Problem]:
    if hit:
        if all(leg.role is None for leg in hit):
            names = ", ".join(leg.name for leg in hit)
            on_chain = ", ".join(leg.name for leg in legs if leg.role is not None) or "none"
            what = f"fault {use.kind!r} on {use.selector} hits only legs that no fallback leads to: {names}"
            yield Problem(f"{what}; legs with a role: {on_chain}", use.place)
        return
    if selected := select(use.selector, legs):
        have = ", ".join(f"{leg.name} ({leg.provider})" for leg in selected)
        able = _names([leg for leg in legs if providers.has_identity(leg.provider)])
        dialects = ", ".join(name for name in providers.names() if providers.has_identity(name))
        what = f"fault {use.kind!r} on {use.selector} hits only legs without a token endpoint: {have}"
        has = f"legs with one: {able}" if able else f"no leg has one; the dialects that do: {dialects}"
        yield Problem(f"{what}; {has}", use.place)
        return
    what = f"fault {use.kind!r} on {use.selector} matches no leg"
    given = use.selector.given()
    strangers = {key: value for key, value in given.items() if value not in values_of(key, legs)}
    for key, value in strangers.items():
        tail = choices(value[:60], values_of(key, legs)) if values_of(key, legs) else "no leg has one"
        yield Problem(f"{what}: {key!r} cannot be {shown(value)} with these legs; {tail}", use.place)
    if not strangers:
        have = "; ".join(f"{leg.name} ({_described(leg, given)})" for leg in legs)
        yield Problem(f"{what}: no leg has all of these together; the legs are: {have}", use.place)


def _until_problems(scenario: Scenario, legs: Sequence[Leg]) -> Iterator[Problem]:
    for phase in scenario.timeline:
        if phase.until is not None and (role := phase.until.answered.role) not in values_of("role", legs):
            tail = choices(role[:60], values_of("role", legs))
            yield Problem(
                f"phase {phase.name!r} waits for answers of the {shown(role)}, which is no leg; {tail}", phase.place
            )


def _described(leg: Leg, given: Mapping[str, str]) -> str:
    """The values of one leg under the keys of a selector."""
    fields = {"leg": "name", "cloud_of": "cloud", "region_of": "region"}
    names = dict.fromkeys(fields.get(key, key) for key in given)
    return ", ".join(f"{name}: {getattr(leg, name)}" for name in names)


def _nothing_left(scenario: Scenario, hit_by_id: Mapping[str, Sequence[Leg]], legs: Sequence[Leg]) -> Iterator[Problem]:
    chain = {leg.name for leg in legs if leg.role is not None}
    for phase in scenario.timeline:
        hit = {leg.name for use in phase.faults for leg in hit_by_id[use.id]}
        if phase.faults and chain <= hit:
            latest = max(phase.faults, key=lambda use: use.place)
            names = ", ".join(leg.name for leg in legs if leg.name in chain)
            what = f"phase {phase.name!r} takes away every leg that has a role ({names}), so nothing can take over"
            yield Problem(f"{what}; spare one, or expect no switchover", latest.place)
