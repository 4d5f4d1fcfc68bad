"""What the gate runs, and what it makes of it: each gate is a play of runs, and no process is started."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from drills.gate.agenda import next_run
from drills.gate.compare import NEVER
from drills.gate.sides import stored
from drills.gate.trials import EXIT_CODES, Case, Outcome, Side, Trial, Why, judge
from drills.history import HISTORY_FILE
from drills.kept import RESULT_FILE
from drills.problems import UsageProblem
from drills.result import Verdict

LETTERS = {"P": Verdict.PASS, "F": Verdict.FAIL, "I": Verdict.INVALID, "?": Verdict.INCONCLUSIVE}
RUN_S = 10.0
PLENTY_S = 1e6


def trial(verdict: Verdict, recovery_s: float | None = 2.0) -> Trial:
    """A run."""
    return Trial(verdict, recovery_s, 0.1, 10.0, 0, 0, 100, "said", "folder")


def play(
    cases: tuple[Case, ...], script: Callable[[Case, Side, int], Trial], budget_s: float, pairs: int = 1
) -> tuple[tuple[Case, ...], str]:
    """Make runs of ten seconds until the agenda has none; the cases, and the order as `b` and `h`."""
    order, left_s = "", budget_s
    while True:
        cases, run = next_run(cases, left_s, {case.name: RUN_S for case in cases}, pairs)
        if run is None:
            return cases, order
        case = cases[run.case]
        done = script(case, run.side, len(case.trials(run.side)))
        cases = (*cases[: run.case], case.with_trial(run.side, done), *cases[run.case + 1 :])
        order += case.name if len(cases) > 1 else ""
        order += "b" if run.side is Side.BASE else "h"
        left_s -= RUN_S


PLAYS = [
    # base's verdicts, head's verdicts, what runs, what it comes to
    ("P", "P", "bh", Outcome.SAME),
    # a head that fails is repeated on both sides before it is worse; the second pair begins with the head
    ("PP", "FF", "bhhb", Outcome.WORSE),
    # one failure of three is a flake
    ("PPP", "FPP", "bhhbbh", Outcome.SAME),
    ("PPP", "FPF", "bhhbbh", Outcome.WORSE),
    # the base's flake is no improvement
    ("FPP", "PPP", "bhhbbh", Outcome.SAME),
    ("FF", "PP", "bhhb", Outcome.BETTER),
    ("FF", "FF", "bhhb", Outcome.FAILS),
    # a run that proved nothing is made again at once, twice at most
    ("IP", "P", "bbh", Outcome.SAME),
    ("P", "II", "bhh", Outcome.INCONCLUSIVE),
    ("II", "", "bb", Outcome.INCONCLUSIVE),
    ("P", "IP", "bhh", Outcome.SAME),
    # a limit that lies in the bracket is no pass and no failure
    ("PP", "??", "bhhb", Outcome.INCONCLUSIVE),
    ("PPP", "?PP", "bhhbbh", Outcome.SAME),
]


@pytest.mark.parametrize(("base", "head", "order", "outcome"), PLAYS)
def test_words(base: str, head: str, order: str, outcome: Outcome) -> None:
    """Verdicts decide first, and never one alone."""
    script = {Side.BASE: base, Side.HEAD: head}
    (case,), seen = play((Case("c"),), lambda _, side, n: trial(LETTERS[script[side][n]]), PLENTY_S)
    assert (seen, judge(case).outcome) == (order, outcome)


@pytest.mark.parametrize(
    ("head", "order", "outcome"), [("P", "h", Outcome.SAME), ("FF", "hh", Outcome.FAILS), ("FPP", "hhh", Outcome.SAME)]
)
def test_a_head_alone(head: str, order: str, outcome: Outcome) -> None:
    """One run in each scenario, repeated before it is red."""
    (case,), seen = play((Case("c", paired=False),), lambda _, __, n: trial(LETTERS[head[n]]), PLENTY_S, pairs=10)
    assert (seen, judge(case).outcome) == (order, outcome)


@pytest.mark.parametrize(("head", "outcome"), [("P", Outcome.SAME), ("FF", Outcome.WORSE), ("FP" + "P", Outcome.SAME)])
def test_a_stored_base(head: str, outcome: Outcome) -> None:
    """Its verdicts count, and its times never: the head takes five times as long here."""
    stored = Case("c", base=tuple(trial(Verdict.PASS, 2.0) for _ in range(10)), paired=False, loose=True)
    (case,), seen = play((stored,), lambda _, __, n: trial(LETTERS[head[n]], 10.0), PLENTY_S, pairs=10)
    assert (set(seen), judge(case).outcome) == ({"h"}, outcome)


def times(base_s: list[float], head_s: list[float]) -> Callable[[Case, Side, int], Trial]:
    """Runs that pass, with these recovery times, over and over."""
    return lambda _, side, n: trial(
        Verdict.PASS, (base_s if side is Side.BASE else head_s)[n % len(base_s if side is Side.BASE else head_s)]
    )


def test_no_difference_takes_one_stage() -> None:
    """Four pairs, with the side that goes first in turn."""
    (case,), seen = play((Case("c"),), times([2.0, 2.1, 1.9, 2.0], [2.0, 1.9, 2.1, 2.0]), PLENTY_S, pairs=4)
    assert seen == "bhhbbhhb"
    found = judge(case)
    assert (found.outcome, found.why, found.timed) == (Outcome.SAME, Why.TIMES, True)


def test_slower_is_repeated_before_it_is_worse() -> None:
    """Both sides again, and then all of them together."""
    (case,), seen = play((Case("c"),), times([2.0, 2.1, 1.9, 2.0], [2.5, 2.6, 2.4, 2.5]), PLENTY_S, pairs=4)
    assert seen == "bhhbbhhb" * 2
    found = judge(case)
    assert (found.outcome, found.why) == (Outcome.WORSE, Why.TIMES)
    assert found.times is not None
    assert found.times.n_head == 8


def test_a_suspicion_that_does_not_come_again() -> None:
    """The second stage clears it."""
    head_s = [2.5, 2.6, 2.4, 2.5, 2.0, 1.9, 2.0, 2.1]
    (case,), seen = play((Case("c"),), times([2.0, 2.1, 1.9, 2.0], head_s), PLENTY_S, pairs=4)
    assert (len(seen), judge(case).outcome) == (16, Outcome.SAME)


def test_faster_is_better() -> None:
    """Six pairs are enough to be sure."""
    (case,), seen = play((Case("c"),), times([2.5, 2.6, 2.4], [2.0, 2.1, 1.9]), PLENTY_S, pairs=6)
    assert (len(seen), judge(case).outcome) == (12, Outcome.BETTER)


def test_runs_without_recovery_are_worst() -> None:
    """They rank behind all that recovered."""
    (case,), _ = play((Case("c"),), times([2.5, 2.6, 2.4], [NEVER, NEVER, NEVER]), PLENTY_S, pairs=6)
    assert judge(case).outcome is Outcome.WORSE


def test_the_budget_first_sees_every_scenario() -> None:
    """Two scenarios, time for two pairs: one each. What does not fit is said to be left out."""
    three = (Case("x"), Case("y"), Case("z"))
    cases, seen = play(three, times([2.0], [2.0]), 4 * RUN_S, pairs=10)
    assert seen == "xbxhybyh"
    assert [judge(case).outcome for case in cases] == [Outcome.SAME, Outcome.SAME, Outcome.NOT_RUN]
    assert judge(cases[0]).why is Why.WORDS  # one pair says nothing about times


@pytest.mark.parametrize(
    ("base", "head", "more"), [("PP", "FF", 2), ("PPP", "FPF", 4), ("FPP", "FPP", 4), ("PPPPPP", "F?P???", 10)]
)
def test_by_how_much_the_budget_is_exceeded(base: str, head: str, more: int) -> None:
    """As docs/ci.md tells whoever sets a job's time limit: one pair, two, and up to six in all while runs are tied."""
    script = {Side.BASE: base, Side.HEAD: head}
    _, seen = play((Case("c"),), lambda _, side, n: trial(LETTERS[script[side][n]]), 2 * RUN_S, pairs=10)
    assert len(seen) == 2 + more


def test_the_first_pair_is_always_run() -> None:
    """However small the budget."""
    (case,), seen = play((Case("x"),), times([2.0], [2.0]), 0.0, pairs=10)
    assert (seen, judge(case).outcome) == ("bh", Outcome.SAME)


def test_what_would_be_red_is_confirmed_over_budget_once() -> None:
    """The first failure is repeated without time for it; after that the gate is red and stops."""
    script = lambda _, side, __: trial(Verdict.PASS if side is Side.BASE else Verdict.FAIL)  # noqa: E731
    cases, seen = play((Case("x"), Case("y")), script, 4 * RUN_S)
    assert seen.startswith("xbxhxhxb")
    assert judge(cases[0]).outcome is Outcome.WORSE
    assert judge(cases[1]).outcome in {Outcome.NOT_RUN, Outcome.INCONCLUSIVE}


def test_times_are_planned_so_that_both_stages_fit() -> None:
    """Time for nineteen more pairs after the first: ten in each stage. For six more: four would not fit twice."""
    slower = times([2.0, 2.1], [3.0, 3.1])
    (case,), seen = play((Case("x"),), slower, 40 * RUN_S, pairs=10)
    assert (case.pairs, len(seen), judge(case).outcome) == (10, 40, Outcome.WORSE)
    (case,), seen = play((Case("x"),), slower, 14 * RUN_S, pairs=10)
    assert (case.pairs, len(seen), judge(case).why) == (1, 2, Why.WORDS)
    (case,), seen = play((Case("x"),), slower, 16 * RUN_S, pairs=10)
    assert (case.pairs, len(seen), judge(case).outcome) == (4, 16, Outcome.WORSE)


def test_exit_codes() -> None:
    """As in docs/architecture.md."""
    assert {outcome.value: code for outcome, code in EXIT_CODES.items()} == {
        "same": 0,
        "better": 0,
        "worse": 1,
        "fails": 1,
        "inconclusive": 3,
        "not run": 3,
    }


def test_a_base_that_cannot_be_read_is_no_smaller_base(tmp_path: Path) -> None:
    """A run that was killed has no result and is no part of it; one with a broken result is named."""
    for name in ("killed", "broken"):
        (tmp_path / name).mkdir()
        (tmp_path / name / HISTORY_FILE).write_text("")
    with pytest.raises(UsageProblem, match="holds no result of litellm"):
        stored(tmp_path, (), "litellm")
    (tmp_path / "broken" / RESULT_FILE).write_text("{")
    with pytest.raises(UsageProblem, match=r"broken/result\.json: cannot be read as a result"):
        stored(tmp_path, (), "litellm")
