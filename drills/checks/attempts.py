"""Did the gateway try more often than expected? Retries multiply load on legs that are already in trouble."""

from __future__ import annotations

from drills.checks.base import Check
from drills.measure import Measured
from drills.result import CheckPart, Verdict

_NAME = "attempts per request"


def _judge(measured: Measured) -> CheckPart | None:
    at_most = measured.ledger.header.limits.attempts_per_request_at_most
    if at_most is None or measured.requests.due == 0:
        return None
    observed = measured.attempts.per_request
    failed = observed > at_most
    return CheckPart(
        name=_NAME,
        verdict=Verdict.FAIL if failed else Verdict.PASS,
        expected=f"at most {at_most:g} attempts per request on average",
        observed=f"{observed:.2f}: {measured.attempts.total} attempts for {measured.requests.due} requests",
        advice="Retries of the gateway and of the SDK inside it multiply. Set one of them to zero." if failed else "",
    )


CHECK = Check(_NAME, 140, _judge)
