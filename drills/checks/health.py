"""Did the application's health URL answer all the time? Whoever looks at it sees each failed poll, as callers would."""

from __future__ import annotations

from drills.checks.base import Check
from drills.measure import Measured
from drills.result import CheckPart, Verdict

_NAME = "health URL"
_ADVICE = "Does the application report a provider's failure as its own, or does it hang while it waits for one?"


def _judge(measured: Measured) -> CheckPart | None:
    at_most, health = measured.ledger.header.limits.lost_at_most, measured.health
    if at_most is None or health is None:
        return None
    if not health.polls:
        return CheckPart(
            name=_NAME, verdict=Verdict.INVALID, expected="polls of the health URL", observed="it was never polled"
        )
    failed, outage = health.failed > at_most, health.outage_s
    return CheckPart(
        name=_NAME,
        verdict=Verdict.FAIL if failed else Verdict.PASS,
        expected=f"at most {at_most} polls of {health.url} fail",
        observed=f"{health.failed} of {health.polls} failed; not healthy for {outage.point:.2f} s (between "
        f"{outage.lower:.2f} and {outage.upper:.2f})",
        evidence=health.errors,
        advice="Does it report a provider's failure as its own, or does it hang while it waits for one?"
        if failed
        else "",
    )


CHECK = Check(_NAME, 125, _judge)
