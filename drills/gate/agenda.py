"""Which run comes next, within a budget. Pure: no clock, the time that is left is an argument.

1. Every scenario once on both sides, in the order given: what the change touches comes first. One that no longer
   fits is left out and said to be.
2. What would be red is repeated at once. For the first such case the budget may be exceeded: a gate that cannot
   confirm what it saw says nothing.
3. What is left goes into the times: the first scenario whose both stages fit gets its pairs, then the next.

Within a pair the side that goes first alternates, so that neither always meets the warmer machine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from drills.gate.compare import MIN_TRIALS
from drills.gate.trials import EXIT_CODES, Case, Outcome, Side, judge
from drills.result import Verdict

_RED = 1


@dataclass(frozen=True)
class Run:
    """A run to be made. case: its index. pair: both sides of a pair have the same seed."""

    case: int
    side: Side
    pair: int


def next_run(
    cases: Sequence[Case], left_s: float, costs_s: Mapping[str, float], at_most: int
) -> tuple[tuple[Case, ...], Run | None]:
    """The next run, None when all is done or no time is left; and the cases, with the pairs that were decided on.

    costs_s: by case, how long one run takes. at_most: pairs of one stage.
    """
    for index, case in enumerate(cases):
        short = min(case.wanted(), case.for_words()) - case.pairs_made()
        if short > 0 and _may(cases, index, left_s, costs_s):
            return tuple(cases), _run(index, case)
    for index, case in enumerate(cases):
        planned = _planned(case, left_s, costs_s[case.name], at_most)
        if planned.wanted() > planned.pairs_made() and (_begun(planned) or _fits(planned, left_s, costs_s)):
            return (*cases[:index], planned, *cases[index + 1 :]), _run(index, planned)
    return tuple(cases), None


def _may(cases: Sequence[Case], index: int, left_s: float, costs_s: Mapping[str, float]) -> bool:
    """Whether a run for the words may be made: the very first, the other half of a pair, what fits, what confirms."""
    case = cases[index]
    nothing_yet = not any(one.trials(side) for one in cases for side in Side if one.paired or side is Side.HEAD)
    if nothing_yet or _begun(case) or _fits(case, left_s, costs_s):
        return True
    red = any(EXIT_CODES[judge(one).outcome] == _RED for one in cases)
    return not red and any(trial.verdict is Verdict.FAIL for trial in case.counted(Side.HEAD))


def _planned(case: Case, left_s: float, cost_s: float, at_most: int) -> Case:
    """The case with as many pairs as both stages of it have time for; as it is when it has some, or wants none."""
    if case.pairs > 1 or case.loose or not case.paired or judge(case).outcome is not Outcome.SAME:
        return case
    pairs = min(at_most, int((left_s / (2 * cost_s) + case.pairs_made()) / 2))
    return replace(case, pairs=pairs) if pairs >= MIN_TRIALS else case


def _fits(case: Case, left_s: float, costs_s: Mapping[str, float]) -> bool:
    return left_s >= costs_s[case.name] * (2 if case.paired else 1)


def _begun(case: Case) -> bool:
    """Whether one half of a pair is missing, or a first run must be made again because it proved nothing."""
    if case.paired and len(case.counted(Side.BASE)) != len(case.counted(Side.HEAD)):
        return True
    return case.pairs_made() == 0 and any(case.trials(side) for side in Side if case.paired or side is Side.HEAD)


def _run(index: int, case: Case) -> Run:
    pair = case.pairs_made()
    if not case.paired:
        return Run(index, Side.HEAD, pair)
    order = (Side.BASE, Side.HEAD) if pair % 2 == 0 else (Side.HEAD, Side.BASE)
    side = next(side for side in order if len(case.counted(side)) == pair)
    return Run(index, side, pair)
