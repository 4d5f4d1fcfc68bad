"""The gate's sentences: what was measured, and what of it a change explains. Pure.

A sentence is plain text with names in it that other people chose; whoever shows it escapes it.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from drills.gate.compare import MIN_TRIALS, NEVER
from drills.gate.trials import EXIT_CODES, Case, Judged, Outcome, Side, Trial, Why
from drills.gateways.changes import Change
from drills.result import Verdict

_SAID_AT_MOST = 300


def ended(case: Case, side: Side) -> str:
    """How the runs of a side ended: `2 pass, 1 fail`; empty when there are none."""
    verdicts = [trial.verdict for trial in case.trials(side)]
    return ", ".join(f"{verdicts.count(verdict)} {verdict}" for verdict in Verdict if verdict in verdicts)


def effect(judged: Judged, rto_s: float | None) -> str:
    """What the runs of a scenario came to, in one sentence without its name and without a full stop."""
    case, outcome, why = judged.case, judged.outcome, judged.why
    if outcome is Outcome.NOT_RUN:
        return "not run: the budget was used up"
    if why is Why.INVALID:
        side = case.given_up() or (Side.HEAD if case.words(Side.HEAD) is None else Side.BASE)
        told = next((trial.said for trial in reversed(case.trials(side)) if not trial.counts), "")
        return f"the runs of {side} proved nothing: {_short(told)}"
    if why is Why.UNDECIDED:
        runs = f"head {ended(case, Side.HEAD)}" + (f", base {ended(case, Side.BASE)}" if case.base else "")
        return f"the runs do not agree ({runs}), and there was no time for more"
    if why is Why.UNCONFIRMED:
        return f"{times(judged, rto_s)}{_statistics(judged)}; there was no time to repeat it"
    if why is Why.TIMES:
        same = "" if outcome is not Outcome.SAME else "no difference: "
        told = f"{same}{times(judged, rto_s)}{_statistics(judged)}{_odd_runs(case)}"
    elif outcome is Outcome.SAME:
        told = f"passes{', as base does' if case.base else ''}{_not_compared(judged)}{_odd_runs(case)}"
    else:
        told = times(judged, rto_s)
        told = "; ".join(part for part in (told, _failing(judged, told)) if part)
    return told


def times(judged: Judged, rto_s: float | None) -> str:
    """The recovery times of both sides, as far as there are any."""
    case = judged.case
    head, base = (_median(case.counted(side)) for side in (Side.HEAD, Side.BASE))
    if head is None or (base is None and head == NEVER and not case.base):
        return "callers are not answered well again" + _rto(rto_s) if head == NEVER else ""
    window = max((trial.window_s for trial in case.counted(Side.HEAD)), default=0.0)
    if base is None:
        return f"callers are answered well again after {head:.2f} s{_rto(rto_s)}"
    if head == base == NEVER:
        return f"callers are not answered well again within {window:.1f} s, as before{_rto(rto_s)}"
    if head == NEVER:
        return f"callers are not answered well again within {window:.1f} s instead of after {base:.2f} s{_rto(rto_s)}"
    before = f"not within {window:.1f} s" if base == NEVER else f"{base:.2f} s"
    return f"callers are answered well again after {head:.2f} s instead of {before}{_rto(rto_s)}"


def change_said(change: Change, found: Sequence[tuple[str, Judged, str]], others: int) -> str:
    """A change with what was measured of it. found: scenario, judgement and effect of those that it concerns and that
    are not the same. others: other changes that concern them as well.
    """
    if not found:
        return change.what
    effects = "; ".join(f"in {name}, {said}" for name, _, said in found)
    together = f" (together with {others} other change{'s' * (others > 1)})" if others else ""
    return f"{change.what}{together}: {effects}"


def overall(judged: Sequence[Judged]) -> tuple[Outcome, str]:
    """The outcome of all, and one sentence about it."""
    outcomes = [one.outcome for one in judged]
    ran = [outcome for outcome in outcomes if outcome is not Outcome.NOT_RUN]
    worst = next((one for one in _WORST_FIRST if one in outcomes), Outcome.SAME)
    if not ran:
        return Outcome.INCONCLUSIVE, "no scenario was run"
    count = sum(outcome is worst for outcome in outcomes)
    of = f"in {count} of {len(ran)} scenario{'s' * (len(ran) > 1)}"
    held = sum(bool(one.case.base) for one in judged if one.outcome is worst)
    told = {
        Outcome.WORSE: f"the head is worse than the base {of}",
        Outcome.FAILS: f"the head fails {of}{_of_the_base('as the base does', held, count)}",
        Outcome.INCONCLUSIVE: f"no judgement {of}",
        Outcome.BETTER: f"the head is better than the base {of}, and worse in none",
        Outcome.SAME: f"no difference {of}" if held == count else f"the head passes {of}",
    }
    if worst is Outcome.SAME and 0 < held < count:
        told[Outcome.SAME] += f", with no difference to the base in the {held} that it ran"
    left = len(outcomes) - len(ran)
    return worst, told[worst] + (f"; {left} not run, the budget was used up" if left else "")


def _of_the_base(what: str, held: int, count: int) -> str:
    """What is said of the base, which may have run fewer scenarios than the head, or none."""
    if not held:
        return ""
    return f", {what}" if held == count else f", {what} in {held}, and did not run the other{'s' * (count - held > 1)}"


def red(outcome: Outcome) -> bool:
    """Whether an outcome is one that ends a pull request's way."""
    return EXIT_CODES[outcome] == 1


_WORST_FIRST = (Outcome.WORSE, Outcome.FAILS, Outcome.INCONCLUSIVE, Outcome.BETTER)


def finite(value: float | None) -> float | None:
    """A number for JSON, which has no infinity."""
    return value if value is not None and math.isfinite(value) else None


def _median(trials: Sequence[Trial]) -> float | None:
    found = sorted(trial.recovery_s for trial in trials if trial.recovery_s is not None)
    if not found:
        return None
    high = statistics.median_high(found)
    return high if high == NEVER else statistics.median(found)


def _rto(rto_s: float | None) -> str:
    return "" if rto_s is None else f" (RTO {rto_s:g} s)"


def _statistics(judged: Judged) -> str:
    found = judged.times
    if found is None:
        return ""
    p = min(1.0, 2 * min(found.p_slower, found.p_faster))
    ratio = f"{found.ratio:.2f} times as long" if math.isfinite(found.ratio) else "beyond any ratio"
    spread = "" if found.low is None or found.high is None else f"95 %: {found.low:.2f} to {found.high:.2f}, "
    return f", {ratio} ({spread}p = {p:.2g}, {found.n_base} and {found.n_head} runs)"


def _not_compared(judged: Judged) -> str:
    case, found = judged.case, judged.times
    if found is None or not case.base:
        return ""
    shown = times(judged, None)
    if case.loose:
        return f"; {shown} on whatever machine the base was measured, which proves nothing"
    return f"; times were not judged ({found.n_head} of at least {MIN_TRIALS} pairs): {shown}"


def _odd_runs(case: Case) -> str:
    """Failures among runs that passed: never kept quiet."""
    told = []
    for side in Side:
        runs = case.counted(side)
        if failed := sum(trial.verdict is Verdict.FAIL for trial in runs):
            told.append(f"{failed} of {len(runs)} runs of {side} failed")
    return f"; {', '.join(told)}" if told else ""


def _failing(judged: Judged, told: str) -> str:
    """Which side fails, how often, and its first broken expectation, unless that is told already."""
    case = judged.case
    side = Side.BASE if judged.outcome is Outcome.BETTER else Side.HEAD
    runs = case.counted(side)
    failed = [trial for trial in runs if trial.verdict is Verdict.FAIL]
    counts = f"{side} fails {len(failed)} of {len(runs)} runs"
    other = case.counted(Side.HEAD if side is Side.BASE else Side.BASE)
    if other:
        lost = sum(trial.verdict is Verdict.FAIL for trial in other)
        counts += f", {Side.HEAD if side is Side.BASE else Side.BASE} {lost} of {len(other)}"
    said = next((trial.said for trial in failed if trial.said), "")
    return counts if not said or (told and said.startswith("switchover:")) else f"{counts}: {_short(said)}"


def _short(said: str) -> str:
    return said if len(said) <= _SAID_AT_MOST else f"{said[: _SAID_AT_MOST - 1]}…"
