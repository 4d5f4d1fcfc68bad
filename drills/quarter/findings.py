"""The findings of a quarter, joined to the register that people keep. Pure.

Only drills that failed find something about the gateway: what an invalid drill met is about the drill.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from drills.quarter.plan import QuarterPlan
from drills.quarter.register import Entry, Register, Status
from drills.quarter.result import FindingPart, FindingState
from drills.quarter.run import RunOfQuarter
from drills.result import CheckPart, Verdict
from reports.escape import plain

_WHAT_AT_MOST, _NAME_AT_MOST = 300, 200


@dataclass
class _Seen:
    """The drills in which a check failed or held, oldest first."""

    failed: list[tuple[RunOfQuarter, CheckPart]] = field(default_factory=list)
    held: list[RunOfQuarter] = field(default_factory=list)


def findings(runs: Iterable[RunOfQuarter], plan: QuarterPlan, register: Register) -> tuple[FindingPart, ...]:
    """Those of the register in its order, then the new ones in the order in which they were first seen.

    runs: all that are known, oldest first.
    """
    seen = _seen(runs)
    known = [_known(entry, seen.get(entry.id, _Seen()), plan) for entry in register.entries]
    listed = {entry.id for entry in register.entries}
    new = [
        _new(ident, what, plan)
        for ident, what in seen.items()
        if ident not in listed and any(str(run.quarter) == plan.quarter for run, _ in what.failed)
    ]
    return (*known, *sorted(new, key=lambda part: (part.entry.first_day or "", part.entry.id)))


def _seen(runs: Iterable[RunOfQuarter]) -> dict[str, _Seen]:
    seen: dict[str, _Seen] = defaultdict(_Seen)
    for run in runs:
        if run.result is None or not run.counts:
            continue
        for check in run.result.checks:
            if check.verdict is Verdict.FAIL and run.result.verdict is Verdict.FAIL:
                seen[run.finding(check)].failed.append((run, check))
            elif check.verdict is Verdict.PASS:
                seen[run.finding(check)].held.append(run)
    return dict(seen)


def _part(entry: Entry, state: FindingState, seen: _Seen, plan: QuarterPlan) -> FindingPart:
    return FindingPart(
        entry=entry,
        state=state,
        failed_runs=tuple(run.name for run, _ in seen.failed if str(run.quarter) == plan.quarter),
        held_runs=tuple(run.name for run in seen.held if str(run.quarter) == plan.quarter),
        last_failed_day=seen.failed[-1][0].day if seen.failed else "",
        advice=seen.failed[-1][1].advice if seen.failed else "",
    )


def _known(entry: Entry, seen: _Seen, plan: QuarterPlan) -> FindingPart:
    return _part(entry, _state(entry, seen, plan.until[:10]), seen, plan)


def _state(entry: Entry, seen: _Seen, today: str) -> FindingState:
    """Days are compared as text: they are written alike."""
    if entry.status is Status.WONT_FIX:
        return FindingState.WONT_FIX
    if entry.status is Status.ACCEPTED:
        return FindingState.EXPIRED if entry.until is not None and entry.until < today else FindingState.ACCEPTED
    if entry.status is Status.FIXED:
        return _fixed(entry.fixed_on or "", seen)
    return FindingState.OVERDUE if entry.due is not None and entry.due < today else FindingState.OPEN


def _fixed(day: str, seen: _Seen) -> FindingState:
    """Reopened when it failed after the day of the fix. Whether it failed on that day before the fix or after it nobody
    knows: then it is reopened until a drill of a later day holds.
    """
    if any(run.day > day for run, _ in seen.failed):
        return FindingState.REOPENED
    if any(run.day > day for run in seen.held):
        return FindingState.FIXED
    same_day = any(run.day == day for run, _ in seen.failed)
    return FindingState.REOPENED if same_day else FindingState.FIXED_UNPROVED


def _new(ident: str, seen: _Seen, plan: QuarterPlan) -> FindingPart:
    run, check = seen.failed[0]
    what = f"{run.scenario} on {run.gateway}: {check.name}: expected {check.expected}; observed {check.observed}"
    entry = Entry(
        id=ident, what=_line(what, _WHAT_AT_MOST), first_seen=_line(run.name, _NAME_AT_MOST), first_day=run.day or None
    )
    return _part(entry, FindingState.NEW, seen, plan)


def _line(text: str, at_most: int) -> str:
    """A text as a register can keep it: one line, without space around it, and never empty."""
    return plain(text, at_most).strip() or "unnamed"


def new_entries(found: Sequence[FindingPart]) -> tuple[Entry, ...]:
    """What is to be appended to the register."""
    return tuple(part.entry for part in found if part.state is FindingState.NEW)
