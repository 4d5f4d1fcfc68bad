"""The gate's statistics: held against scipy, and the rates of the two-stage rule by simulation."""

from __future__ import annotations

import itertools
import random

import pytest
from scipy import stats

from drills.gate.compare import MIN_EFFECT, MIN_TRIALS, NEVER, SUSPECT_P, compare, p_larger
from drills.gate.trials import Case, Outcome, Side, Trial, judge
from drills.result import Verdict


@pytest.mark.parametrize(("n_base", "n_head", "seed"), [(3, 3, 1), (4, 4, 2), (4, 7, 3), (10, 10, 4), (20, 20, 5)])
def test_without_ties_it_is_scipys_exact_test(n_base: int, n_head: int, seed: int) -> None:
    """The same p, in both directions."""
    rng = random.Random(seed)
    base = [rng.gauss(4, 0.5) for _ in range(n_base)]
    head = [rng.gauss(4.4, 0.5) for _ in range(n_head)]
    found = compare(base, head)
    slower = stats.mannwhitneyu(head, base, alternative="greater", method="exact").pvalue
    faster = stats.mannwhitneyu(head, base, alternative="less", method="exact").pvalue
    assert found.p_slower == pytest.approx(slower, rel=1e-9)
    assert found.p_faster == pytest.approx(faster, rel=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_with_ties_it_is_the_exact_permutation_test(seed: int) -> None:
    """Times come in steps of their resolution, and runs without recovery are all equally bad."""
    rng = random.Random(seed)
    base = [float(rng.randint(1, 4)) for _ in range(6)]
    head = [float(rng.randint(1, 5)) for _ in range(5)]
    ranks = list(stats.rankdata([*head, *base]))
    sums = [sum(chosen) for chosen in itertools.combinations(ranks, len(head))]
    exact = sum(total >= sum(ranks[: len(head)]) for total in sums) / len(sums)
    assert p_larger(head, base) == pytest.approx(exact, rel=1e-9)
    assert p_larger([NEVER if time == 5 else time for time in head], base) == pytest.approx(exact, rel=1e-9)


def test_the_size_is_hodges_and_lehmanns() -> None:
    """The median of all ratios; 4 against 4 has an interval, from the smallest ratio to the largest."""
    found = compare([1.0, 2.0, 4.0, 8.0], [2.0, 4.0, 8.0, 16.0])
    assert found.ratio == 2.0
    assert (found.low, found.high) == (0.25, 16.0)  # 1/70 on each side is below 2.5 %
    assert (found.median_base_s, found.median_head_s, found.shift_s) == (3.0, 6.0, 3.0)
    three = compare([1.0, 2.0, 3.0], [1.0, 2.0, 3.0])
    assert (three.ratio, three.low, three.high) == (1.0, None, None)  # 1/20 is not


def test_the_interval_holds_the_truth() -> None:
    """In at least 95 % of samples."""
    rng = random.Random(7)
    held = 0
    for _ in range(400):
        base = [rng.lognormvariate(1, 0.2) for _ in range(6)]
        head = [1.25 * rng.lognormvariate(1, 0.2) for _ in range(6)]
        found = compare(base, head)
        assert found.low is not None
        assert found.high is not None
        held += found.low <= 1.25 <= found.high
    assert held >= 400 * 0.94


def test_never_is_the_worst_value() -> None:
    """A side that never recovers is slower than any that does; two that never do are equal."""
    found = compare([4.0] * 8, [NEVER] * 8)
    assert found.p_slower == pytest.approx(1 / 12870)
    assert found.slower(0.01, 0.1)
    assert compare([NEVER] * 8, [4.0] * 8).faster(0.01, 0.1)
    both = compare([NEVER] * 8, [NEVER] * 8)
    assert (both.ratio, both.shift_s, both.p_slower) == (1.0, 0.0, 1.0)
    assert not both.slower(0.5, 0.0)
    most = compare([4.0, 4.1, 4.2, NEVER], [4.0, NEVER, NEVER, NEVER])
    assert most.median_head_s == NEVER


def test_what_is_small_is_no_difference() -> None:
    """However sure it is: neither below a ratio of 1.10, nor below the resolution."""
    base = [1.00 + 0.001 * number for number in range(10)]
    assert not compare(base, [time * (MIN_EFFECT - 0.02) for time in base]).slower(0.01, 0.0)
    twice = compare([time / 20 for time in base], [time / 10 for time in base])
    assert twice.slower(0.01, 0.0)
    assert not twice.slower(0.01, 0.1)


@pytest.mark.parametrize(("base", "head"), [([], [1.0]), ([1.0], []), ([1.0], [0.0]), ([float("nan")], [1.0])])
def test_what_are_no_times(base: list[float], head: list[float]) -> None:
    """Nothing is compared with them."""
    with pytest.raises(ValueError, match=r"time|trial"):
        compare(base, head)


def test_the_smallest_sample_can_be_suspected() -> None:
    """With the least number of pairs complete separation is below the first stage's level."""
    base = [float(number) for number in range(1, MIN_TRIALS + 1)]
    assert compare(base, [time + 100 for time in base]).slower(SUSPECT_P, 0.1)


def gates(runs: int, pairs: int, spread: float, effect: float) -> float:
    """Which share of gates says worse, by the code that judges in earnest. Base: 4 s, with this relative spread."""
    rng = random.Random(f"{pairs}{spread}{effect}")

    def more(case: Case) -> Case:
        for side, times in ((Side.BASE, 1.0), (Side.HEAD, effect)):
            took_s = max(0.01, 4.0 * times * rng.gauss(1, spread))
            case = case.with_trial(side, Trial(Verdict.PASS, took_s, 0.1, 10.0, 0, 0, 100, "", ""))
        return case

    red = 0
    for _ in range(runs):
        case = Case("case", pairs=pairs)
        while case.pairs_made() < case.wanted():
            case = more(case)
        outcome = judge(case).outcome
        assert outcome is not Outcome.INCONCLUSIVE
        red += outcome is Outcome.WORSE
    return red / runs


@pytest.mark.parametrize("pairs", [4, 10])
@pytest.mark.parametrize("spread", [0.05, 0.10, 0.20])
def test_false_alarms(pairs: int, spread: float) -> None:
    """Nothing changed: at most 0.8 % of gates say worse."""
    assert gates(2000, pairs, spread, 1.0) <= 0.008


@pytest.mark.parametrize("pairs", [4, 10])
def test_a_quarter_more_is_found(pairs: int) -> None:
    """At a spread of 5 % always."""
    assert gates(300, pairs, 0.05, 1.25) == 1.0


def test_a_quarter_more_in_much_noise() -> None:
    """At a spread of 20 % ten pairs find it in two of three gates, and twice as long always."""
    assert gates(500, 10, 0.20, 1.25) >= 0.63
    assert gates(300, 10, 0.20, 2.0) == 1.0
