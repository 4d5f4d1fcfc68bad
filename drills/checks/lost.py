"""Did callers lose more requests than expected? Failed, unknown and corrupt ones all are lost."""

from __future__ import annotations

from collections.abc import Mapping

from drills.checks.base import Check, cite
from drills.measure import Measured
from drills.outcomes import Outcome
from drills.result import CheckPart, Verdict
from drills.routes import Route

_NAME = "lost requests"
_WORST_FIRST = (Outcome.CORRUPT, Outcome.UNKNOWN, Outcome.FAILED)
_GATEWAY = {
    Outcome.CORRUPT: "Answers were truncated, doubled or blended and still called a success: the worst kind, since "
    "nobody is told. The gateway ends a broken stream as if it were complete; look for a setting that passes the "
    "error on, or check the end mark in the application.",
    Outcome.UNKNOWN: "Callers waited to their deadline. The gateway waits longer than its callers: set a request "
    "timeout, and one for the first token of streams, far below the callers' deadline.",
    Outcome.FAILED: "The gateway passed the failure on instead of trying the next leg. Does this kind of failure "
    "trigger its fallbacks, and is there one left?",
}
_APPLICATION = {
    Outcome.CORRUPT: "Answers were truncated, doubled or blended and taken for a success: the worst kind, since nobody "
    "is told. Check the end mark of every stream in the application, and ask again when it is missing.",
    Outcome.UNKNOWN: "Requests ran to their deadline. The application waits too long for a leg that is silent: set the "
    "SDK's timeout far below that deadline, and its retries low.",
    Outcome.FAILED: "The application gave up instead of trying the next leg. Does it catch this kind of failure, and "
    "is there a leg left to ask?",
}
_FRONT = {
    Outcome.CORRUPT: "Answers were broken off and still called a success. The fault struck between the callers and the "
    "gateway, so only the callers can notice: check the end mark of every stream there.",
    Outcome.UNKNOWN: "Callers waited to their deadline for a gateway that was silent, and no setting of the gateway "
    "helps against that. Give the callers a timeout far below their deadline, and a second gateway to ask.",
    Outcome.FAILED: "The gateway was gone or sick for its callers, and no fallback of its own helps against that. "
    "A retry in the callers helps against a short loss, a second gateway against a long one; "
    "`lost` says how many you accept.",
}
"""Here the gateway itself is what is faulted: it has no chance to do better."""


def _judge(measured: Measured) -> CheckPart | None:
    at_most = measured.ledger.header.limits.lost_at_most
    requests = measured.requests
    if at_most is None or requests.due == 0:
        return None
    lost = [r for r in measured.ledger.requests if not r.ok and r.outcome is not Outcome.NOT_STARTED]
    broken, may_break = requests.broken_streams, measured.ledger.header.limits.broken_streams_at_most
    failed = requests.lost - min(broken, may_break) > at_most
    worst_first = sorted(lost, key=lambda r: _WORST_FIRST.index(r.outcome))
    kinds = [outcome for outcome in _WORST_FIRST if any(r.outcome is outcome for r in lost)]
    return CheckPart(
        name=_NAME,
        verdict=Verdict.FAIL if failed else Verdict.PASS,
        expected=f"at most {at_most} of the callers' requests lost"
        + (f", and at most {may_break} streams broken that had begun when a fault struck" if may_break else ""),
        observed=f"{requests.lost} of {requests.due} lost: {requests.failed} failed ({broken} of them streams that had "
        f"begun when a fault struck), {requests.unknown} unknown, {requests.corrupt} corrupt",
        evidence=cite(worst_first),
        advice=" ".join(_advice(measured)[outcome] for outcome in kinds) if failed else "",
    )


def _advice(measured: Measured) -> Mapping[Outcome, str]:
    """What to do about each kind of loss, to whoever was under test."""
    header = measured.ledger.header
    if header.inferred:
        return _APPLICATION
    return _FRONT if header.route is Route.FRONT else _GATEWAY


CHECK = Check(_NAME, 120, _judge)
