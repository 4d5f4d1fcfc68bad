"""Was there traffic before, during and after every fault?"""

from __future__ import annotations

from drills.checks.base import Check
from drills.measure import Measured
from drills.result import CheckPart, Verdict

_NAME = "traffic before, during and after"
_AT_LEAST = 3


def _judge(measured: Measured) -> CheckPart:
    expected = f"at least {_AT_LEAST} requests in every phase, the healthy first and last one included"
    ledger = measured.ledger
    thin = [phase for phase in measured.phases if phase.due < _AT_LEAST]
    observed = ", ".join(f"{phase.name} {phase.due}" for phase in measured.phases) or "the timeline never started"
    problems = [f"phase {phase.name}: {phase.due} requests" for phase in thin]
    if not measured.phases:
        problems.append("the timeline never started")
    for fault in ledger.faults:
        onset_s, cleared_s = fault.effective_s, fault.cleared_s
        if onset_s is None:
            continue
        if not any(r.sent_s is not None and r.due_s < onset_s for r in ledger.requests):
            problems.append(f"no request before {fault.plan.id}")
        if cleared_s is None:
            problems.append(f"{fault.plan.id} was never cleared")
        elif not any(r.sent_s is not None and r.due_s >= cleared_s for r in ledger.requests):
            problems.append(f"no request after {fault.plan.id}")
    return CheckPart(
        name=_NAME,
        verdict=Verdict.INVALID if problems else Verdict.PASS,
        expected=expected,
        observed=observed,
        evidence=tuple(problems),
        advice="Lengthen the phases or raise load.rate, and end the timeline with a healthy phase." if problems else "",
    )


CHECK = Check(_NAME, 20, _judge)
