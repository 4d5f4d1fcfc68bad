"""Was there traffic before, during and after every fault?

An application that ended with an error makes no more calls: that is a finding on it (`program.py`), and no fault of the
drill. Traffic counts up to there.
"""

from __future__ import annotations

import math

from drills.checks.base import Check
from drills.measure import Measured
from drills.result import CheckPart, Verdict

_NAME = "traffic before, during and after"
_AT_LEAST = 3
_ADVICE = {
    False: "Lengthen the phases or raise load.rate, and end the timeline with a healthy phase.",
    True: "The application itself has to make calls all the time: let it call more often, or lengthen the phases. A "
    "refused connect leaves no trace: calls that go nowhere else after one are not seen.",
}
"""By whether the requests are an application's own."""


def _judge(measured: Measured) -> CheckPart:
    expected = f"at least {_AT_LEAST} requests in every phase, the healthy first and last one included"
    ledger = measured.ledger
    until_s = math.inf if ledger.died_s is None else ledger.died_s
    thin = [phase for phase in measured.phases if phase.due < _AT_LEAST and phase.end_s <= until_s]
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
        elif cleared_s < until_s and not any(r.sent_s is not None and r.due_s >= cleared_s for r in ledger.requests):
            problems.append(f"no request after {fault.plan.id}")
    return CheckPart(
        name=_NAME,
        verdict=Verdict.INVALID if problems else Verdict.PASS,
        expected=expected,
        observed=observed,
        evidence=tuple(problems),
        advice=_ADVICE[ledger.header.inferred] if problems else "",
    )


CHECK = Check(_NAME, 20, _judge)
