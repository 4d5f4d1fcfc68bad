"""Were all legs and the gateway healthy before the fault, and the legs again after it?"""

from __future__ import annotations

from drills.checks.base import Check, cite
from drills.events import Probe, Via
from drills.measure import Measured
from drills.result import CheckPart, Verdict

_NAME = "healthy before the fault"


def _judge(measured: Measured) -> CheckPart:
    ledger = measured.ledger
    tested = "application" if ledger.header.inferred else "gateway"
    start_s = ledger.timeline_s if ledger.timeline_s is not None else float("inf")
    # A request may meet the fault while it is being put on: healthy is what ended before that began.
    onset_s = min((fault.effective.began_s for fault in ledger.faults if fault.effective is not None), default=start_s)
    problems = [
        f"probe of {_whom(probe, tested)} ({probe.via}): {probe.error}"
        for probe in ledger.probes
        if probe.error and probe.sent_s < start_s
    ]
    bad = [r for r in ledger.requests if r.done_s is not None and r.done_s < onset_s and not r.ok]
    restored = [
        f"after the drill, probe of {_whom(probe, tested)} ({probe.via}): {probe.error}"
        for probe in ledger.probes
        if probe.error and probe.sent_s >= start_s
    ]
    if not ledger.probes:
        problems.append("no leg was probed")
    healthy = not problems and not bad and not restored
    return CheckPart(
        name=_NAME,
        verdict=Verdict.PASS if healthy else Verdict.INVALID,
        expected=f"every leg and the {tested} answer before the first fault, every leg again after the last",
        observed=f"{len(ledger.probes)} probes, {len(problems) + len(restored)} failed; "
        f"{len(bad)} requests failed before the first fault",
        evidence=(*problems[:10], *restored[:10], *cite(bad)),
        advice=""
        if healthy
        else f"Make the {tested} work without any fault first; {_log(measured)} says what it thinks.",
    )


def _log(measured: Measured) -> str:
    """Where the words of what was tested are: of a gateway that ran before the drill, not in the run's folder."""
    return "gateway.log" if any(line.what == "starting" for line in measured.ledger.gateway) else "its own log"


def _whom(probe: Probe, tested: str) -> str:
    if probe.via is Via.GATEWAY:
        return f"the {tested}"
    return f"{probe.leg}'s identity service" if probe.identity else str(probe.leg)


CHECK = Check(_NAME, 30, _judge)
