"""Did every fault prove itself on a probe of each of its legs, and was each leg proven well again after it?

A plane that says that a fault is on is no proof. The probes go past the gateway and are no part of what is measured.
"""

from __future__ import annotations

from collections.abc import Iterator

from drills.checks.base import Check
from drills.measure import Measured
from drills.result import CheckPart, FaultPart, Verdict

_NAME = "fault proof"


def _judge(measured: Measured) -> CheckPart | None:
    if not measured.ledger.header.proofs or not measured.faults:
        return None
    problems = [problem for fault in measured.faults for problem in _problems(fault)]
    proofs = [proof for fault in measured.faults for proof in fault.proof]
    hidden = sum(1 for proof in proofs if proof.hidden_by)
    observed = (
        f"{sum(proof.during for proof in proofs)} of {len(proofs)} proved while on"
        f"{f', {hidden} hidden by another fault' if hidden else ''}, {sum(proof.after for proof in proofs)} proved gone"
    )
    return CheckPart(
        name=_NAME,
        verdict=Verdict.INVALID if problems else Verdict.PASS,
        expected="on each leg of each fault, a probe past the gateway meets the fault, and after it a well leg",
        observed="; ".join([observed, *problems[:3]]),
        evidence=tuple(problems[:10]),
        advice="A fault that does not do what it says proves nothing. Lengthen the phase of the fault if it is shorter "
        "than the answers of its legs take; if it stays, this is a bug of the tool."
        if problems
        else "",
    )


def _problems(fault: FaultPart) -> Iterator[str]:
    for proof in fault.proof:
        where = f"{fault.id} on {proof.leg}"
        if not proof.before:
            yield f"{where}: no probe proved that the leg was well before"
        if not proof.during and not proof.hidden_by:
            yield f"{where}: not proved while it was on{_saw(proof.during_saw)}"
        if not proof.after:
            yield f"{where}: the leg is not proved to be well again{_saw(proof.after_saw)}"


def _saw(what: str) -> str:
    return f"; a probe met: {what}" if what else "; no probe of it ended"


CHECK = Check(_NAME, 15, _judge)
