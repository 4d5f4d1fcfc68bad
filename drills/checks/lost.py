"""Did callers lose more requests than expected? Failed, unknown and corrupt ones all are lost."""

from __future__ import annotations

from drills.checks.base import Check, cite
from drills.measure import Measured
from drills.outcomes import Outcome
from drills.result import CheckPart, Verdict

_NAME = "lost requests"
_ADVICE = {
    Outcome.CORRUPT: "Answers were truncated, doubled or blended and still called a success: the worst kind, since "
    "nobody is told. The gateway ends a broken stream as if it were complete; look for a setting that passes the "
    "error on, or check the end mark in the application.",
    Outcome.UNKNOWN: "Callers waited to their deadline. The gateway waits longer than its callers: set a request "
    "timeout, and one for the first token of streams, far below the callers' deadline.",
    Outcome.FAILED: "The gateway passed the failure on instead of trying the next leg. Does this kind of failure "
    "trigger its fallbacks, and is there one left?",
}


def _judge(measured: Measured) -> CheckPart | None:
    at_most = measured.ledger.header.limits.lost_at_most
    requests = measured.requests
    if at_most is None or requests.due == 0:
        return None
    lost = [r for r in measured.ledger.requests if not r.ok and r.outcome is not Outcome.NOT_STARTED]
    broken, may_break = requests.broken_streams, measured.ledger.header.limits.broken_streams_at_most
    failed = requests.lost - min(broken, may_break) > at_most
    worst_first = sorted(lost, key=lambda r: list(_ADVICE).index(r.outcome))
    kinds = [outcome for outcome in _ADVICE if any(r.outcome is outcome for r in lost)]
    return CheckPart(
        name=_NAME,
        verdict=Verdict.FAIL if failed else Verdict.PASS,
        expected=f"at most {at_most} of the callers' requests lost"
        + (f", and at most {may_break} streams broken that had begun when a fault struck" if may_break else ""),
        observed=f"{requests.lost} of {requests.due} lost: {requests.failed} failed ({broken} of them streams that had "
        f"begun when a fault struck), {requests.unknown} unknown, {requests.corrupt} corrupt",
        evidence=cite(worst_first),
        advice=" ".join(_ADVICE[outcome] for outcome in kinds) if failed else "",
    )


CHECK = Check(_NAME, 120, _judge)
