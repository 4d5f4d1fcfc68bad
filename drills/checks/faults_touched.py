"""Did every fault meet at least one request? A fault that touched nothing proves nothing."""

from __future__ import annotations

from collections import Counter

from drills.checks.base import Check
from drills.measure import Measured
from drills.providers.base import Surface
from drills.result import CheckPart, FaultPart, Verdict

_NAME = "faults reached requests"
_MANY = 10


def _judge(measured: Measured) -> CheckPart:
    expected = "at least one fault; each meets at least one request, on a leg that served just before"
    if not measured.faults:
        return CheckPart(
            name=_NAME,
            verdict=Verdict.INVALID,
            expected=expected,
            observed="no fault was injected: nothing was tested",
            advice="Run a scenario with faults. A null drill is for testing the tool, not the gateway.",
        )
    missed = [
        fault
        for fault in measured.faults
        if not _stuck_before(measured, fault)
        and (fault.effective_s is None or fault.touched_requests == 0 or not _served(measured, fault))
    ]
    observed = "; ".join(
        f"{fault.id}: "
        + (_touched(measured, fault) if fault.effective_s is not None else "never became effective")
        + (f", {_stuck_before(measured, fault)}" if _stuck_before(measured, fault) else "")
        + ("" if _served(measured, fault) else ", none of its legs gave an answer just before")
        for fault in measured.faults
    )
    if not missed:
        return CheckPart(name=_NAME, verdict=Verdict.PASS, expected=expected, observed=observed)
    return CheckPart(
        name=_NAME,
        verdict=Verdict.INVALID,
        expected=expected,
        observed=observed,
        evidence=(
            *(f"fault {fault.id} on {', '.join(fault.legs) or 'the gateway'}" for fault in missed),
            *_strange(measured),
        ),
        advice=" ".join(dict.fromkeys(_advice(measured, fault) for fault in missed)),
    )


def _touched(measured: Measured, fault: FaultPart) -> str:
    asked = f" ({fault.touched_tokens} requests for tokens met it)" if _of_identity(measured, fault) else ""
    return f"{fault.touched_requests} requests{asked}"


def _advice(measured: Measured, fault: FaultPart) -> str:
    if fault.effective_s is not None and _of_identity(measured, fault) and _served(measured, fault):
        return (
            "No caller had to do without a token: the gateway held one that outlived the fault, or asks elsewhere. "
            "Make providers.token_lifetime shorter than the phase of the fault."
        )
    if fault.effective_s is not None and _served(measured, fault):
        return (
            "Callers came by while it was on, and it changed nothing for any of them: look at its settings and its "
            "shape, at what else was on then, and at whether its phase is long enough."
        )
    if fault.effective_s is None:
        return "The fault was never put on: what the planes and the gateway said of it is among the findings."
    select = (
        "Callers were not served from these legs when the fault began. Select legs that carry traffic then; a fault on "
        "the next leg belongs into a later phase, when callers are there."
    )
    asked = measured.ledger.attempts_by_leg()
    idle = [leg for leg in fault.legs if not asked[leg]]
    if not idle:
        return select
    tested = "application" if measured.ledger.header.inferred else "gateway"
    return (
        f"{select} No request reached {', '.join(idle)} in the whole drill: if callers should be served there, look at "
        f"the order in which the {tested} asks, and at the address that it has for it."
    )


def _of_identity(measured: Measured, fault: FaultPart) -> bool:
    return any(plan.id == fault.id and plan.of_identity for plan in measured.ledger.header.faults)


def _strange(measured: Measured) -> list[str]:
    """Calls that are no model calls in their leg's dialect, where they are many: the gateway speaks another one."""
    counts = Counter(attempt.leg for attempt in measured.ledger.side_attempts if attempt.seen.surface == Surface.OTHER)
    dialects = {leg.name: leg.provider for leg in measured.ledger.header.legs}
    return [
        f"{count} calls on {leg} are no model calls in the dialect {dialects[leg]!r}"
        for leg, count in counts.items()
        if count >= _MANY
    ]


def _served(measured: Measured, fault: FaultPart) -> bool:
    """Whether a leg of the fault gave answers before it. A gateway that only calls a leg, and serves from another, has
    nothing to switch over from.
    """
    if not fault.legs:
        return True  # whoever serves, serves through it
    return any(found.fault == fault.id and found.from_ in fault.legs for found in measured.switchovers)


def _stuck_before(measured: Measured, fault: FaultPart) -> str:
    """Why the gateway never came to the fault's legs, when an earlier fault that is still on held it; else empty.

    No other leg answered while that one was on: the failed switchover is then what the drill has shown. So is an
    application that an earlier fault had ended.
    """
    onset_s = fault.effective_s or 0.0
    died_s = measured.ledger.died_s
    if died_s is not None and died_s <= onset_s:
        return "the application had ended before"
    if not fault.legs:
        return ""  # a fault on the gateway itself needs no way through the gateway
    never = {found.fault for found in measured.switchovers if found.first_success_s is None}
    stuck = any(
        other.id in never
        and other.touched_requests > 0
        and other.effective_s is not None
        and other.effective_s < onset_s
        and (other.cleared_s is None or other.cleared_s > onset_s)
        for other in measured.faults
    )
    return "the gateway was stuck on an earlier fault" if stuck else ""


CHECK = Check(_NAME, 10, _judge)
