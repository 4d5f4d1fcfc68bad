"""Were more good answers too late than expected?"""

from __future__ import annotations

from drills.checks.base import Check, cite
from drills.measure import Measured
from drills.result import CheckPart, Verdict

_NAME = "slow answers"


def _judge(measured: Measured) -> CheckPart | None:
    at_most = measured.ledger.header.limits.slow_at_most
    limit_s = measured.ledger.slow_limit_s
    if at_most is None or measured.requests.due == 0:
        return None
    if limit_s is None:
        return CheckPart(
            name=_NAME,
            verdict=Verdict.UNKNOWN,
            expected=f"at most {at_most} slow answers",
            observed="no healthy answer before the fault, so nothing to call slow",
        )
    slow = [r for r in measured.ledger.requests if r.slow]
    failed = len(slow) > at_most
    return CheckPart(
        name=_NAME,
        verdict=Verdict.FAIL if failed else Verdict.PASS,
        expected=f"at most {at_most} answers slower than {limit_s:.2f} s",
        observed=f"{len(slow)} of {measured.requests.ok} good answers were slow",
        evidence=cite(slow),
        advice="Each of these callers paid for a try on a bad leg. Lower the timeouts, or take the leg out of rotation "
        "sooner and for longer."
        if failed
        else "",
    )


CHECK = Check(_NAME, 130, _judge)
