"""Does the gateway say truly which leg answered? Dashboards are built on what it says, and read in outages."""

from __future__ import annotations

from drills.checks.base import Check
from drills.measure import Measured
from drills.request import Request
from drills.result import CheckPart, Verdict

_NAME = "who the gateway says answered"
_AT_MOST = 10
_ADVICE = (
    "Do not build on this header: the gateway sends it before it knows, or counts its legs differently. If it is wrong "
    "without any fault as well, the drill may have mixed up two legs; please report it."
)


def _judge(measured: Measured) -> CheckPart | None:
    """Only of good answers: their leg is proved by each word of them. A gateway that names no leg is not judged."""
    answered = [r for r in measured.ledger.requests if r.served_by is not None]
    named = [r for r in answered if _claim(r)]
    if not named:
        return None
    wrong = [r for r in named if _claim(r) != r.served_by]
    evidence = [f"request {r.seq}: {r.served_by} answered, the gateway says {_claim(r)}" for r in wrong[:_AT_MOST]]
    if len(wrong) > _AT_MOST:
        evidence.append(f"and {len(wrong) - _AT_MOST} more")
    return CheckPart(
        name=_NAME,
        verdict=Verdict.FAIL if wrong else Verdict.PASS,
        expected="the leg that the gateway's headers name is the leg that answered",
        observed=f"{len(wrong)} of {len(named)} answers that name a leg name another one than answered; "
        f"{len(answered) - len(named)} name none",
        evidence=tuple(evidence),
        advice=_ADVICE if wrong else "",
    )


def _claim(request: Request) -> str:
    return request.done.claimed if request.done is not None else ""


CHECK = Check(_NAME, 160, _judge)
