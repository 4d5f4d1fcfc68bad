"""The sentences that every report shares: what a verdict means, and how a number is written with its resolution."""

from __future__ import annotations

from drills.events import MORE_HOSTS
from drills.result import Failback, FaultPart, HostPart, Result, Switchover, Verdict

MEANING = {
    Verdict.PASS: "every expectation held, and the drill proved itself",
    Verdict.FAIL: "an expectation was broken",
    Verdict.INVALID: "the drill proved nothing about the gateway",
    Verdict.INCONCLUSIVE: "the measurement is too coarse for the limits that were set",
    Verdict.INTERRUPTED: "stopped before its end",
    Verdict.UNKNOWN: "a check crashed",
}


def seconds(value: float | None) -> str:
    """A time with two digits, or `never`."""
    return "never" if value is None else f"{value:.2f} s"


def recovery(found: Switchover) -> str:
    """Recovery with its resolution, or how long it surely took."""
    if found.recovery_s is None or found.resolution_s is None:
        return f"> {found.window_s:.1f} s"
    return f"{found.recovery_s:.2f} s (resolution {found.resolution_s:.2f} s)"


def avoided(found: Switchover) -> str:
    """When the faulted leg was left alone, `never`, or why that is no question."""
    if found.avoidance_s is None and "leaves no trace" in found.reasons.get("avoidance_s", ""):
        return "not seen"
    if "holds no leg" in found.reasons.get("avoidance_s", ""):
        return "no leg was faulted"
    return seconds(found.avoidance_s)


def returned(found: Failback) -> str:
    """Failback with its resolution, `never`, or why none was expected."""
    if not found.expected:
        return "not expected"
    if found.failback_s is None or found.resolution_s is None:
        return f"never within {found.window_s:.1f} s"
    return f"{found.failback_s:.2f} s (resolution {found.resolution_s:.2f} s)"


def proven(fault: FaultPart) -> str:
    """On how many of its legs a probe met the fault."""
    if not fault.proof:
        return "-"
    if not fault.legs:
        return "by its keeper" if all(proof.during for proof in fault.proof) else "not proved"
    return f"{sum(proof.during for proof in fault.proof)} of {len(fault.proof)} legs"


def restored(fault: FaultPart) -> str:
    """How long after the fault the last of its legs was proved well again; `never` when one was not."""
    took = [proof.restored_s for proof in fault.proof if proof.restored_s is not None]
    if not fault.proof:
        return "-"
    return seconds(max(took)) if len(took) == len(fault.proof) else "not proved"


def sentence(result: Result) -> str:
    """The verdict's one sentence: what happened to the callers."""
    requests = result.requests
    lost = requests.failed + requests.unknown + requests.corrupt
    broken = f" ({requests.broken_streams} streams that had begun)" if requests.broken_streams else ""
    head = f"{MEANING[result.verdict]}; {lost} of {requests.due} requests lost{broken}, {requests.slow} slow"
    recovered = [found for found in result.switchovers if found.recovery_s is not None]
    if result.verdict in {Verdict.PASS, Verdict.FAIL} and result.switchovers:
        if len(recovered) == len(result.switchovers):
            slowest = max(recovered, key=lambda found: found.recovery_s or 0.0)
            return f"{head}; callers were answered well again {recovery(slowest)} after the fault"
        return f"{head}; callers were not answered well again while the fault was on"
    return head


def host_tried(part: HostPart) -> str:
    """A host that was tried, with its port when that is known."""
    if part.host == MORE_HOSTS:
        return "others, too many to be written down"
    return f"{part.host}:{part.port}" if part.port else part.host
