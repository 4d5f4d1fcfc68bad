"""Which callers met a fault: the number that says whether a drill has shown anything. Pure.

Definitions: docs/metrics.md.
"""

from __future__ import annotations

import bisect
import math

from drills import switchover
from drills.faultrecord import FaultRecord
from drills.ledger import Ledger
from drills.request import Attempt, Request
from faults.base import Connections, Lookups
from faults.proof import CLEARLY_LATE_S


def touched_requests(ledger: Ledger, fault: FaultRecord) -> int:
    """Attempts, hung connects and TLS handshakes that met the fault.

    A refused connect is answered by the kernel and seen by no plane. For such a fault the arrivals count that were
    due while it was on and of which no attempt reached its legs, if one of its legs served before; and an application
    that ended with an error while it was on. A lookup serves any number of requests, so for a fault of names the same
    arrivals count, from the first lookup that failed on.
    """
    if fault.plan.plane == "process":
        return _at_the_gateway(ledger, fault)
    if fault.plan.of_identity:
        return _for_want_of_a_token(ledger, fault)
    attempts = sum(1 for attempt in ledger.attempts if fault.plan.id in attempt.faults)
    touched = attempts + len(fault.hung_connects) + len(fault.handshakes)
    onset_s = fault.effective_s
    of_names = fault.plan.lookups is not Lookups.ANSWERED
    if onset_s is None or not (of_names or fault.plan.connections is Connections.REFUSED):
        return touched
    since_s = min((seen.seen_s for seen in fault.failed_lookups), default=math.inf) if of_names else onset_s
    if switchover.served_before(ledger, onset_s, fault.plan.legs) not in fault.plan.legs:
        return touched
    end_s = switchover.window_end_s(ledger, fault)
    windows = fault.on_windows

    def on(time_s: float) -> bool:
        last = bisect.bisect_right(windows, time_s, key=lambda window: window.on_s) - 1
        return last >= 0 and time_s < min(windows[last].off_s, end_s)

    turned_away = [r for r in ledger.requests if r.sent_s is not None and on(r.due_s) and _until_s(r) >= since_s]
    died_of_it = ledger.died_s is not None and on(ledger.died_s)
    return touched + died_of_it + sum(1 for r in turned_away if not any(a.leg in fault.plan.legs for a in r.attempts))


def _until_s(request: Request) -> float:
    return math.inf if request.done_s is None else request.done_s


def _for_want_of_a_token(ledger: Ledger, fault: FaultRecord) -> int:
    """Of a fault of the identity service, since the gateway's first request for a token that met it: requests due while
    it was on of which nothing reached its legs, if one of its legs served before, or that reached them clearly late.

    A token that the gateway still holds hides such a fault from callers: then none was touched.
    """
    onset_s, met = fault.effective_s, tokens_that_met(ledger, fault)
    if onset_s is None or not met:
        return 0
    legs, end_s = fault.plan.legs, switchover.window_end_s(ledger, fault)
    served = switchover.served_before(ledger, onset_s, legs) in legs
    late_s = switchover.usual_way_s(ledger, onset_s) + CLEARLY_LATE_S
    ends_s = sorted(token.done.done_s for token in met if token.done is not None)

    def touched(request: Request, sent_s: float) -> bool:
        reached_s = next((a.received_s for a in request.attempts if a.leg in legs), None)
        if reached_s is None:
            return served and (request.done_s is None or request.done_s >= met[0].received_s)
        next_one = bisect.bisect_left(ends_s, sent_s)
        return reached_s - sent_s >= late_s and next_one < len(ends_s) and ends_s[next_one] <= reached_s

    window = [(r, r.sent_s) for r in ledger.requests if r.sent_s is not None and onset_s <= r.due_s < end_s]
    return sum(touched(request, sent_s) for request, sent_s in window)


def tokens_that_met(ledger: Ledger, fault: FaultRecord) -> list[Attempt]:
    """The gateway's requests for tokens that a fault of the identity service met, in order."""
    return [token for token in ledger.tokens_asked(fault.plan.legs) if fault.plan.id in token.faults]


def _at_the_gateway(ledger: Ledger, fault: FaultRecord) -> int:
    """Of a fault on the gateway itself: requests due while it was on that were not answered well, or that the gateway
    began to work on only when it was over.
    """
    windows, last_s = fault.on_windows, switchover.last_s(ledger)

    def touched(request: Request) -> bool:
        last = bisect.bisect_right(windows, request.due_s, key=lambda window: window.began_s) - 1
        # Not `off_s`: a gateway goes on with the signal, and has begun with what waited before that is confirmed.
        end_s = min(windows[last].ends_s, last_s) if last >= 0 else 0.0
        if request.due_s >= end_s:
            return False
        return not request.good or (request.due_s < end_s - _HELD_AT_LEAST_S and _begun_after(request, end_s))

    return sum(touched(request) for request in ledger.requests if request.sent_s is not None)


_HELD_AT_LEAST_S = 0.05


def _begun_after(request: Request, time_s: float) -> bool:
    return bool(request.attempts) and request.attempts[0].received_s >= time_s
