"""Measures a failback: from the end of a fault to the leg that served before serving again. Pure.

Definitions: docs/metrics.md.
"""

from __future__ import annotations

from collections.abc import Sequence

from drills.faultrecord import FaultRecord
from drills.ledger import Ledger
from drills.outage import client_outage
from drills.outcomes import Outcome
from drills.request import Request
from drills.result import Failback
from drills.switchover import last_s, served_before, with_its_end

_TOGETHER_S = 1.0
"""Faults that end within this time of each other end together."""


def measure(ledger: Ledger, fault: FaultRecord) -> Failback | None:
    """The failback of one fault, or None when the fault never became effective.

    The instant of return lies between `sent_s` of the last request before it that another leg answered (the end of
    the fault when there is none) and `done_s` of the first that the leg itself answered.
    """
    if fault.effective_s is None:
        return None
    reasons: dict[str, str] = {}
    cleared_s = fault.cleared_s
    if cleared_s is None:
        reasons["failback_s"] = "the fault was never cleared"
        return _never(fault, reasons)
    end_s = _window_end_s(ledger, cleared_s)
    home = _home(ledger, cleared_s, fault.plan.legs)
    expected = home is not None and home in fault.plan.legs
    window = [r for r in ledger.requests if cleared_s <= r.due_s < end_s and r.outcome is not Outcome.NOT_STARTED]
    if not expected:
        reasons["failback_s"] = (
            f"{home} serves first once the faults have ended, and it is not a leg of this fault"
            if home is not None
            else "nobody served before the fault"
        )
    first = next((i for i, r in enumerate(window) if r.served_by == home and r.done_s is not None), None)
    if expected and first is None:
        reasons["failback_s"] = f"{home} did not answer again within {end_s - cleared_s:.1f} s"
    back = window[first] if expected and first is not None else None
    elsewhere = [r.sent_s for r in window[:first] if r.ok and r.sent_s is not None]
    lower_s = max([cleared_s, *elsewhere])
    asked = with_its_end(ledger, ledger.requests, cleared_s, end_s)
    return Failback(
        fault=fault.plan.id,
        to=home,
        expected=expected,
        cleared_s=cleared_s,
        window_s=end_s - cleared_s,
        first_success_s=back.done_s if back else None,
        failback_s=None if back is None or back.done_s is None else back.done_s - cleared_s,
        resolution_s=None if back is None or back.done_s is None else back.done_s - lower_s,
        excess_outage_s=client_outage(asked, cleared_s, end_s, 1 / ledger.header.rate_per_s).point,
        flaps=_flaps_per_hour(ledger, fault, end_s),
        bad=sum(1 for r in window if not r.ok),
        slow=sum(1 for r in window if r.slow),
        reasons=reasons,
    )


def _never(fault: FaultRecord, reasons: dict[str, str]) -> Failback:
    return Failback(
        fault=fault.plan.id,
        to=None,
        expected=True,
        cleared_s=None,
        window_s=0.0,
        first_success_s=None,
        failback_s=None,
        resolution_s=None,
        excess_outage_s=0.0,
        flaps=0.0,
        bad=0,
        slow=0,
        reasons=reasons,
    )


def _window_end_s(ledger: Ledger, cleared_s: float) -> float:
    """The next onset after the fault was cleared, or the end of the history."""
    later = [f.effective.began_s for f in ledger.faults if f.effective is not None and f.effective.began_s > cleared_s]
    return min(later, default=last_s(ledger))


def _home(ledger: Ledger, cleared_s: float, of: Sequence[str]) -> str | None:
    """Who should serve once a fault has ended: who served before the first fault that is over by then.

    While another fault still holds that leg, it is who served before that other fault's own predecessor ended, which
    is the first leg in the chain that no fault holds.
    """
    onsets = [f.effective_s for f in ledger.faults if f.effective_s is not None]
    first = served_before(ledger, min(onsets), of) if onsets else None
    held = {
        leg
        for f in ledger.faults
        if f.effective_s is not None
        and f.effective_s <= cleared_s
        and (f.cleared_s is None or f.cleared_s > cleared_s + _TOGETHER_S)
        for leg in f.plan.legs
    }
    if first is not None and first not in held:
        return first
    return next((leg.name for leg in ledger.header.legs if leg.role is not None and leg.name not in held), None)


def _flaps_per_hour(ledger: Ledger, fault: FaultRecord, end_s: float) -> float:
    onset_s = fault.effective_s or 0.0
    served = [r.served_by for r in _in(ledger.requests, onset_s, end_s) if r.ok]
    before = served_before(ledger, onset_s, fault.plan.legs)
    changes = sum(1 for left, right in zip([before, *served], served, strict=False) if left != right)
    hours = (end_s - onset_s) / 3600
    return max(0, changes - 2) / hours if hours > 0 else 0.0


def _in(requests: Sequence[Request], start_s: float, end_s: float) -> list[Request]:
    return [r for r in requests if start_s <= r.due_s < end_s]
