"""What the gate keeps of each run, and what the runs of one scenario come to. Pure.

Words come first: which verdict most of a side's runs have. Only where both sides keep what the scenario promises does
one number decide, the recovery time of the slowest switchover, by the two-stage rule of docs/metrics.md. Nothing is
called worse on one run: a verdict that would be is repeated on both sides, and a third pair breaks a tie.
"""

from __future__ import annotations

import enum
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace

from drills.gate.compare import MIN_TRIALS, NEVER, SURE_P, SUSPECT_P, Comparison, compare
from drills.result import Result, Switchover, Verdict

INVALID_AT_MOST = 2
"""Runs of one side that proved nothing, before the scenario is given up; later, as many as there are good ones."""
_JUDGED = (Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE)
_ENOUGH = 2
_TIE_BREAK = 3
_TIES_AT_MOST = 6
"""Pairs after which runs that still do not agree are left at that."""


class Side(enum.StrEnum):
    """Which of the two."""

    BASE = "base"
    HEAD = "head"


class Outcome(enum.StrEnum):
    """What the gate says, of one scenario or of all."""

    SAME = "same"
    BETTER = "better"
    WORSE = "worse"
    FAILS = "fails"
    """The head breaks an expectation, and the base does so too or there is none."""
    INCONCLUSIVE = "inconclusive"
    NOT_RUN = "not run"


EXIT_CODES = {
    Outcome.SAME: 0,
    Outcome.BETTER: 0,
    Outcome.WORSE: 1,
    Outcome.FAILS: 1,
    Outcome.INCONCLUSIVE: 3,
    Outcome.NOT_RUN: 3,
}


@dataclass(frozen=True)
class Trial:
    """One run. recovery_s: of its slowest switchover, `NEVER` when callers were not answered well again, None when no
    fault was met. window_s: how long that was watched. lost, due: requests. said: the first broken expectation.
    """

    verdict: Verdict
    recovery_s: float | None
    resolution_s: float
    window_s: float
    lost: int
    slow: int
    due: int
    said: str
    folder: str

    @property
    def counts(self) -> bool:
        """Whether it says anything about the gateway."""
        return self.verdict in _JUDGED


def trial_of(result: Result, folder: str) -> Trial:
    """What the gate keeps of a result."""
    met = {fault.id for fault in result.faults if fault.touched_requests > 0}
    slowest = max((found for found in result.switchovers if found.fault in met), key=_took, default=None)
    return Trial(
        verdict=result.verdict,
        recovery_s=None if slowest is None else _took(slowest),
        resolution_s=slowest.resolution_s or 0.0 if slowest is not None else 0.0,
        window_s=slowest.window_s if slowest is not None else 0.0,
        lost=result.requests.lost,
        slow=result.requests.slow,
        due=result.requests.due,
        said=result.reasons[0] if result.reasons else "",
        folder=folder,
    )


def _took(found: Switchover) -> float:
    return NEVER if found.recovery_s is None else max(found.recovery_s, 1e-3)


@dataclass(frozen=True)
class Case:
    """One scenario: its trials so far, in the order in which they ran.

    pairs: of how many pairs the first stage consists; 1 when times are not compared. paired: whether base runs too: not
    when its results are stored, or the head is alone. loose: base is stored, and its times decide nothing.
    """

    name: str
    base: tuple[Trial, ...] = ()
    head: tuple[Trial, ...] = ()
    pairs: int = 1
    paired: bool = True
    loose: bool = False

    def with_trial(self, side: Side, trial: Trial) -> Case:
        """The case with one more run."""
        if side is Side.BASE:
            return replace(self, base=(*self.base, trial))
        return replace(self, head=(*self.head, trial))

    def trials(self, side: Side) -> tuple[Trial, ...]:
        """The runs of a side."""
        return self.base if side is Side.BASE else self.head

    def counted(self, side: Side) -> tuple[Trial, ...]:
        """Those that say something about the gateway."""
        return tuple(trial for trial in self.trials(side) if trial.counts)

    def pairs_made(self) -> int:
        """How many whole pairs count; of a head alone, how many runs."""
        head = len(self.counted(Side.HEAD))
        return min(len(self.counted(Side.BASE)), head) if self.paired else head

    def given_up(self) -> Side | None:
        """The side of which too many runs proved nothing."""
        for side in (Side.HEAD, Side.BASE):
            counted = len(self.counted(side))
            if (invalid := len(self.trials(side)) - counted) >= INVALID_AT_MOST and invalid > counted:
                return side
        return None

    def words(self, side: Side) -> Verdict | None:
        """The verdict of most of a side's runs that passed or failed; `inconclusive` for a tie, None without runs."""
        runs = self.counted(side)
        if not runs:
            return None
        passed = sum(trial.verdict is Verdict.PASS for trial in runs)
        failed = sum(trial.verdict is Verdict.FAIL for trial in runs)
        if passed == failed:
            return Verdict.INCONCLUSIVE
        return Verdict.PASS if passed > failed else Verdict.FAIL

    def wanted(self) -> int:
        """How many runs each side must have before the case can be decided; no more than it has when it can be."""
        if self.given_up() is not None:
            return 0
        return max(1, self.for_words(), self._for_times())

    def for_words(self) -> int:
        """Runs that each side needs: a pass is believed at once, anything else only when it comes again."""
        sides = [side for side in Side if self.counted(side) and (side is Side.HEAD or self.paired)]
        if not sides or all(trial.verdict is Verdict.PASS for side in sides for trial in self.counted(side)):
            return 1
        runs = {side: self.counted(side) for side in sides}
        if not any(len({trial.verdict for trial in runs[side]}) > 1 for side in sides):
            return _ENOUGH
        made = self.pairs_made()
        tied = any(self.words(side) is Verdict.INCONCLUSIVE for side in sides)
        return max(_TIE_BREAK, made + 1 if tied and made < _TIES_AT_MOST else min(made, _TIES_AT_MOST))

    def _for_times(self) -> int:
        if self.pairs < MIN_TRIALS or not self.paired or self.loose or not self._both_pass():
            return 1
        if min(len(self.counted(side)) for side in Side) < self.pairs:
            return self.pairs
        return 2 * self.pairs if self.suspected() else self.pairs

    def _both_pass(self) -> bool:
        return all(self.words(side) in {None, Verdict.PASS} for side in Side)

    def suspected(self) -> bool:
        """Whether the first stage says that the head may be slower."""
        base, head = (self.counted(side)[: self.pairs] for side in Side)
        found = _compared(base, head)
        return found is not None and found.slower(SUSPECT_P, resolution_s((*base, *head)))

    def compared(self) -> Comparison | None:
        """Every time of the two sides, compared; None when there are none on one."""
        return _compared(self.counted(Side.BASE), self.counted(Side.HEAD))


def _compared(base: Sequence[Trial], head: Sequence[Trial]) -> Comparison | None:
    times = [[trial.recovery_s for trial in trials if trial.recovery_s is not None] for trials in (base, head)]
    return compare(*times) if all(times) else None


def resolution_s(trials: Sequence[Trial]) -> float:
    """What a difference must exceed: the median resolution of the trials that recovered."""
    found = [trial.resolution_s for trial in trials if trial.recovery_s not in {None, NEVER}]
    return statistics.median(found) if found else 0.0


class Why(enum.StrEnum):
    """On what a judgement rests."""

    WORDS = "verdicts"
    TIMES = "times"
    INVALID = "runs that proved nothing"
    UNDECIDED = "runs that differ, and no time for more"
    UNCONFIRMED = "a suspicion, and no time to repeat it"
    NOTHING = "no runs"


@dataclass(frozen=True)
class Judged:
    """A case, judged. times: what was measured of them, None where there is nothing. timed: whether they counted."""

    case: Case
    outcome: Outcome
    why: Why
    times: Comparison | None
    timed: bool


def judge(case: Case) -> Judged:
    """What the runs of a case come to, as far as they got."""
    times = case.compared()
    outcome, why = _by_words(case) or _by_times(case, times)
    return Judged(case, outcome, why, times, why in {Why.TIMES, Why.UNCONFIRMED})


def _by_words(case: Case) -> tuple[Outcome, Why] | None:
    """What the verdicts decide; None when both sides pass."""
    base, head = case.words(Side.BASE), case.words(Side.HEAD)
    if not case.trials(Side.HEAD) and (not case.base or not case.paired):
        return Outcome.NOT_RUN, Why.NOTHING
    if case.given_up() is not None or head is None or (case.paired and base is None):
        return Outcome.INCONCLUSIVE, Why.INVALID
    if Verdict.INCONCLUSIVE in {base, head} or case.pairs_made() < case.for_words():
        return Outcome.INCONCLUSIVE, Why.UNDECIDED
    if head is Verdict.FAIL:
        return (Outcome.WORSE if base is Verdict.PASS else Outcome.FAILS), Why.WORDS
    return (Outcome.BETTER, Why.WORDS) if base is Verdict.FAIL else None


def _by_times(case: Case, times: Comparison | None) -> tuple[Outcome, Why]:
    """What the recovery times decide, of two sides that pass."""
    have = case.pairs_made()
    if times is None or case.loose or not case.paired or have < MIN_TRIALS:
        return Outcome.SAME, Why.WORDS
    coarse_s = resolution_s((*case.counted(Side.BASE), *case.counted(Side.HEAD)))
    repeated = have >= 2 * case.pairs
    if case.suspected() and not repeated:
        return Outcome.INCONCLUSIVE, Why.UNCONFIRMED
    if repeated and times.slower(SURE_P, coarse_s):
        return Outcome.WORSE, Why.TIMES
    return (Outcome.BETTER if times.faster(SURE_P, coarse_s) else Outcome.SAME), Why.TIMES
