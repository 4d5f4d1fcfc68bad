"""The sentences that every report shares: what a verdict means, and how a number is written with its resolution."""

from __future__ import annotations

from drills.events import MORE_HOSTS, Basis
from drills.result import Failback, FaultPart, HostPart, PhasePart, Result, Switchover, Verdict

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


def milliseconds(value: float | None) -> str:
    """A short time with one digit, or `unmeasured`."""
    return "unmeasured" if value is None else f"{value:.1f} ms"


def phase_name(phase: PhasePart) -> str:
    """A phase, with a word when it rests on no published fact."""
    return phase.name if phase.basis in {None, Basis.PUBLISHED} else f"{phase.name} ({phase.basis})"


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


def on_gateway(result: Result, fault: str) -> bool:
    """Whether a fault is on the gateway itself."""
    return any(part.id == fault and not part.legs for part in result.faults)


def way(result: Result, found: Switchover) -> str:
    """From which leg to which the callers went; of a fault on the gateway itself, who answered before and after."""
    before, after = found.from_ or "nobody", found.to or "nobody"
    return f"{before} before, {after} after" if on_gateway(result, found.fault) else f"{before} -> {after}"


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


def shape(fault: FaultPart) -> str:
    """Which requests a fault hits, or how it was switched, and how often that was done."""
    return f"{fault.shape}; switched {fault.switched} times" if fault.switched else fault.shape


def restored(fault: FaultPart) -> str:
    """How long after the fault the last of its legs was proved well again; `never` when one was not."""
    took = [proof.restored_s for proof in fault.proof if proof.restored_s is not None]
    if not fault.proof:
        return "-"
    return seconds(max(took)) if len(took) == len(fault.proof) else "not proved"


def ledger_means(result: Result) -> str:
    """What the ledger of attempts joins, and how."""
    if result.inferred is not None:
        return (
            "Each request, inferred from the application's own calls: attempts with the same text, and the connects "
            "that hung before them. docs/metrics.md has the rule and its limits."
        )
    return "Each request of a caller, with every attempt that it caused on a leg, joined by the id in its text."


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


HOSTS_TRIED = "Hosts that the gateway tried and could not reach"
HOSTS_TRIED_MEANS = "They belong to no leg. Nothing of the gateway's left this machine on the way to them."


def host_tried(part: HostPart) -> str:
    """A host that was tried, with its port when that is known."""
    if part.host == MORE_HOSTS:
        return "others, too many to be written down"
    host = f"[{part.host}]" if part.port and ":" in part.host else part.host
    return f"{host}:{part.port}" if part.port else host


def ledger_sums(result: Result) -> str:
    """How the attempts add up."""
    requests, attempts = result.requests, result.attempts
    return (
        f"{attempts.total} attempts for {requests.due} requests; {attempts.unexplained} attempts unexplained; besides "
        f"them {attempts.probes} by the drill's own probes, {attempts.own_checks} by the gateway's own health checks, "
        f"and {attempts.side_traffic} that were no model calls (tokens and model lists)."
    )


def hung_connects(result: Result) -> str:
    """What was seen of connects that never became requests."""
    hung = [f"{fault.hung_connects} on {', '.join(fault.legs)}" for fault in result.faults if fault.hung_connects]
    lookups = [f"{fault.failed_lookups} for {', '.join(fault.legs)}" for fault in result.faults if fault.failed_lookups]
    failed = f" Lookups of host names that failed: {'; '.join(lookups)}." if lookups else ""
    return (
        f"Connects that hung and so carried no request: {'; '.join(hung) or 'none'}. A refused connect leaves no trace "
        f"at all.{failed}"
    )


SEALED = (
    "manifest.json beside this report has the hash of every file of the run, this one too, and of the run before it. "
    "drill verify compares them, and computes every number again from the history."
)
"""Where the hashes of a report itself are."""

WORDS = (
    ("ok", "a complete answer, written by exactly one leg, before the deadline"),
    ("failed", "an error that the caller could see"),
    ("unknown", "nothing that the caller could read: the deadline passed, or the connection died before a byte came"),
    ("corrupt", "a success that is none: truncated, blended, doubled or empty"),
    ("not started", "the load generator could not send it"),
    ("slow", "ok, but later than the limit"),
    ("first success", ("from the onset to the first good answer of another leg, or of any when the fault is on the "
     "gateway itself; one lucky request is enough")),
    ("recovered", ("from the onset to when callers were answered well for the rest of the fault, at the latest; the "
     "resolution is how much sooner it may have been")),
    ("client outage", "how long callers were without good answers: best estimate and, in brackets, its bounds"),
    ("leg avoided", ("from the onset to the last request that the gateway still sent to the faulted leg; to legs that "
     "other faults were on when the fault is on the gateway itself")),
    ("detour", "how much longer a rescued caller waited for the healthy leg (median)"),
    ("failback", "from the end of the fault to the first good answer of the leg that served before"),
    ("excess outage", "client outage after the fault had been cleared"),
)  # fmt: skip
"""What the words of a report mean, in short; docs/metrics.md has the formulas."""
