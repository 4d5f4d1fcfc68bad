"""Did every fault prove itself on a probe of each of its legs, and was each leg proven well again after it?

A plane that says that a fault is on is no proof. The probes go past the gateway and are no part of what is measured.
A fault on the gateway itself hits no leg: what the kernel says of the process is its proof, until the gateway is ready
again. That callers met it is for another check.
"""

from __future__ import annotations

from collections.abc import Iterator

from drills.checks.base import Check
from drills.events import THE_GATEWAY
from drills.measure import Measured
from drills.result import CheckPart, FaultPart, ProofPart, Verdict

_NAME = "fault proof"


def _judge(measured: Measured) -> CheckPart | None:
    if not measured.ledger.header.proofs or not measured.faults:
        return None
    problems = [problem for fault in measured.faults for problem in _problems(fault)]
    proofs = [proof for fault in measured.faults for proof in fault.proof]
    hidden = sum(1 for proof in proofs if proof.hidden_by)
    on_gateway = [proof for proof in proofs if proof.leg == THE_GATEWAY]
    at_legs = [proof for proof in proofs if proof.leg != THE_GATEWAY]
    gateway = [
        f"{fault.id} on the gateway, its keeper saw: {proof.during_saw}; after it: {proof.after_saw}"
        for fault in measured.faults
        for proof in fault.proof
        if proof.leg == THE_GATEWAY and proof.before and proof.during and proof.after
    ]
    legs = (
        f"{sum(proof.during for proof in at_legs)} of {len(at_legs)} proved while on"
        f"{f', {hidden} hidden by another fault' if hidden else ''}"
        f", {sum(proof.after for proof in at_legs)} proved gone"
    )
    return CheckPart(
        name=_NAME,
        verdict=Verdict.INVALID if problems else Verdict.PASS,
        expected="on each leg of each fault, a probe past the gateway meets the fault, and after it a well leg"
        + ("; on the gateway itself, the kernel sees its process go, and after it it is ready" if on_gateway else ""),
        observed="; ".join([*([legs] if at_legs else []), *gateway, *problems[:3]]),
        evidence=tuple(problems[:10]),
        advice="A fault that does not do what it says proves nothing. Lengthen the phase of the fault, or the time for "
        "which its square leaves it on, if that is shorter than the answers of its legs take; if it stays, this is a "
        "bug of the tool."
        if problems
        else "",
    )


def _problems(fault: FaultPart) -> Iterator[str]:
    for proof in fault.proof:
        where = f"{fault.id} on {proof.leg}"
        if proof.leg == THE_GATEWAY:
            yield from _gateway_problems(where, proof)
            continue
        if not proof.before:
            yield f"{where}: no probe proved that the leg was well before"
        if not proof.during and not proof.hidden_by:
            yield f"{where}: not proved while it was on{_saw(proof.during_saw)}"
        if not proof.after:
            yield f"{where}: the leg is not proved to be well again{_saw(proof.after_saw)}"


def _gateway_problems(where: str, proof: ProofPart) -> Iterator[str]:
    if not proof.before:
        yield f"{where}: no probe proved that it was well before"
    if not proof.during:
        yield f"{where}: its keeper did not see the process go"
    if not proof.after:
        yield f"{where}: it is not proved to be ready again{f'; {proof.after_saw}' if proof.after_saw else ''}"


def _saw(what: str) -> str:
    return f"; a probe met: {what}" if what else "; no probe of it ended"


CHECK = Check(_NAME, 15, _judge)
