"""Do all upstreams of a gateway that runs already point at the planes? A drill sees nothing of those that do not."""

from __future__ import annotations

from drills.checks.base import Check, cite
from drills.events import Via
from drills.marks import Shape
from drills.measure import Measured
from drills.result import CheckPart, Verdict

_NAME = "upstreams at the planes"


def _judge(measured: Measured) -> CheckPart | None:
    ledger = measured.ledger
    wanted = ledger.header.upstreams
    if not wanted or not ledger.requests:
        return None
    callers = {probe.id for probe in ledger.probes if probe.via is Via.GATEWAY}
    called = {attempt.leg for attempt in ledger.attempts}
    called |= {attempt.leg for attempt in ledger.probe_attempts if attempt.seen.id in callers}
    silent = [leg.name for leg in ledger.header.legs if leg.role is not None and leg.name not in called]
    foreign = [r for r in ledger.requests if r.done is not None and r.done.shape is Shape.FOREIGN and not r.done.legs]
    wrong = bool(foreign and silent)
    observed = f"{len(foreign)} answers came from no leg" + (
        f"; never called: {', '.join(silent)}" if silent else "; every leg was called"
    )
    return CheckPart(
        name=_NAME,
        verdict=Verdict.INVALID if wrong else Verdict.PASS,
        expected="every answer comes from a leg",
        observed=observed,
        evidence=cite(foreign) if wrong else (),
        advice="The upstreams that were never called do not point at the planes: "
        + "; ".join(f"set {leg} to {wanted[leg]}" for leg in silent if leg in wanted)
        if wrong
        else "",
    )


CHECK = Check(_NAME, 25, _judge)
