"""From measurements to a verdict. Pure: the same history always gives the same result.

Interrupted outranks everything; invalid outranks any judgement of the gateway, since a drill that proved nothing
says nothing about it; then fail, then inconclusive. A check that crashes is `unknown` and makes the drill invalid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from drills.checks.base import Check, checks
from drills.events import AnyEvent
from drills.history import header
from drills.ledger import Ledger, build
from drills.measure import Measured, measure
from drills.result import (
    EXIT_CODES,
    RESULT_SCHEMA,
    CheckPart,
    GatewayPart,
    HostPart,
    Result,
    ScenarioPart,
    Verdict,
)
from drills.switchover import last_s

_WORST_FIRST = (
    (Verdict.INVALID, Verdict.INVALID),
    (Verdict.UNKNOWN, Verdict.INVALID),
    (Verdict.FAIL, Verdict.FAIL),
    (Verdict.INCONCLUSIVE, Verdict.INCONCLUSIVE),
)


@dataclass(frozen=True)
class Judged:
    """A run, judged: the result, and the ledger from which all of it was computed."""

    result: Result
    ledger: Ledger


def judge(events: Sequence[AnyEvent], source: str) -> Result:
    """The result of a history. Raises `UsageProblem` when it is not one of a drill."""
    return judged(events, source).result


def judged(events: Sequence[AnyEvent], source: str, history_sha256: str = "") -> Judged:
    """The result of a history with the ledger behind it. history_sha256: of its file, if it came from one.

    Raises `UsageProblem` when it is not the history of a drill.
    """
    head = header(events, source)
    ledger = build(head, events)
    measured = measure(ledger)
    parts = tuple(part for check in checks() if (part := _run(check, measured)) is not None)
    verdict, reasons = _verdict(measured, parts)
    result = Result(
        schema=RESULT_SCHEMA,
        tool_version=head.tool_version,
        scenario=ScenarioPart(
            name=head.scenario_name,
            file=head.scenario_file,
            sha256=head.scenario_sha256,
            objective=head.objective,
            id=head.scenario_id,
        ),
        gateway=GatewayPart(
            name=head.gateway,
            version=head.gateway_version,
            config_file=head.config_file,
            config_sha256=head.config_sha256,
            entry_model=head.entry_model,
            route=head.route,
        ),
        seed=head.seed,
        started_at=head.started_at,
        duration_s=last_s(ledger),
        verdict=verdict,
        exit_code=EXIT_CODES[verdict],
        reasons=reasons,
        notes=head.notes,
        legs=head.legs,
        phases=measured.phases,
        faults=measured.faults,
        switchovers=measured.switchovers,
        failbacks=measured.failbacks,
        requests=measured.requests,
        attempts=measured.attempts,
        paths=measured.paths,
        load=measured.load,
        plane=measured.plane,
        slow_limit_s=ledger.slow_limit_s,
        slow_token_limit_s=ledger.slow_token_limit_s,
        checks=parts,
        environment=head.environment,
        people=head.people,
        change=head.change,
        plan=head.phases,
        hosts_tried=tuple(
            HostPart(host=tried.host, port=tried.port, how=tried.how, first_s=tried.at_s)
            for tried in ledger.hosts_tried
        ),
        inferred=measured.inferred,
        health=measured.health,
        history_sha256=history_sha256,
    )
    return Judged(result=result, ledger=ledger)


def _run(check: Check, measured: Measured) -> CheckPart | None:
    try:
        return check.judge(measured)
    except Exception as error:  # noqa: BLE001  a crashed check must never look like a pass
        observed = f"the check crashed: {type(error).__name__}: {error}"
        return CheckPart(name=check.name, verdict=Verdict.UNKNOWN, expected="a check that ends", observed=observed)


def _verdict(measured: Measured, parts: Sequence[CheckPart]) -> tuple[Verdict, tuple[str, ...]]:
    ended = measured.ledger.ended
    if ended is None:
        return Verdict.INTERRUPTED, ("the history breaks off: the drill was killed",)
    if ended.interrupted:
        return Verdict.INTERRUPTED, (ended.interrupted,)
    for of_check, of_drill in _WORST_FIRST:
        found = [part for part in parts if part.verdict is of_check]
        if found:
            return of_drill, tuple(f"{part.name}: {part.observed}" for part in found)
    judged = [part for part in parts if part.verdict is Verdict.PASS]
    return Verdict.PASS, tuple(f"{part.name}: {part.observed}" for part in judged if part.name in _EXPECTATIONS)


_EXPECTATIONS = {check.name for check in checks() if check.order >= 100}
