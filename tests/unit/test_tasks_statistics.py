"""Means, bootstrap intervals and paired tests against exact enumeration, numpy and scipy."""

from __future__ import annotations

import itertools
import math
import random
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import DataError, TaskError
from tasks.statistics import grouped_interval, mean_sd, paired_bootstrap, student_interval


def outcomes(*values: float) -> dict[str, float]:
    return {f"row-{n:05}": value for n, value in enumerate(values)}


def drawn_outcomes(share: float, n: int, seed: int) -> dict[str, float]:
    rng = random.Random(seed)
    return outcomes(*(float(rng.random() < share) for _ in range(n)))


pairs = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=2, max_size=12)


def test_the_standard_deviation_is_the_samples() -> None:
    found = mean_sd([2, 4, 4, 4, 5, 5, 7, 9])
    assert (found.mean, found.n) == (5.0, 8)
    assert found.sd == pytest.approx(math.sqrt(32 / 7))


def test_one_value_has_a_mean_and_no_spread() -> None:
    assert mean_sd([0.8]).sd is None


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=20))
def test_mean_and_spread_are_those_of_numpy(values: list[float]) -> None:
    found = mean_sd(values)
    assert found.mean == pytest.approx(np.mean(values), abs=1e-6)
    assert found.sd == pytest.approx(np.std(values, ddof=1), abs=1e-6)


def test_the_interval_of_rows_is_that_of_all_possible_resamples_of_groups() -> None:
    values = [(1.0, 0.0), (1.0,), (0.0,), (1.0, 1.0), (0.0,)]
    rows = {f"{g}-{n}": value for g, group in enumerate(values) for n, value in enumerate(group)}
    means = [statistics.fmean(v for group in drawn for v in group) for drawn in itertools.product(values, repeat=5)]
    groups = {row: row[0] for row in rows}
    found = grouped_interval(rows, groups=groups, level=0.9, resamples=20_000)
    assert found.mean == pytest.approx(statistics.fmean(rows.values()))
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(means, [0.05, 0.95])), abs=0.01)


def test_the_interval_of_many_rows_is_that_of_the_central_limit() -> None:
    rng = random.Random(3)
    values = [rng.gauss(0, 1) for _ in range(500)]
    half = 1.96 * float(np.std(values)) / math.sqrt(500)
    found = grouped_interval(outcomes(*values), resamples=4_000)
    assert found.low == pytest.approx(found.mean - half, abs=0.05 * 2 * half)
    assert found.high == pytest.approx(found.mean + half, abs=0.05 * 2 * half)


def test_rows_of_one_group_widen_the_interval() -> None:
    rows = outcomes(*[1.0, 1.0, 0.0, 0.0] * 25)
    pairs_of = {row: f"g{n // 2}" for n, row in enumerate(rows)}
    alone, paired = grouped_interval(rows, resamples=2_000), grouped_interval(rows, groups=pairs_of, resamples=2_000)
    ratio = (paired.high - paired.low) / (alone.high - alone.low)
    assert ratio == pytest.approx(math.sqrt(2), rel=0.1)  # half as many independent pieces of evidence


def test_a_higher_level_gives_a_wider_interval_and_equal_seeds_equal_ones() -> None:
    values = outcomes(*((n * 37 % 101) / 101 for n in range(30)))
    wide, narrow = (grouped_interval(values, level=level, resamples=500) for level in (0.99, 0.8))
    assert wide.low < narrow.low < narrow.high < wide.high
    assert grouped_interval(values, level=0.8, resamples=500) == narrow
    assert grouped_interval(values, level=0.8, resamples=500, seed=1) != narrow


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=40), st.floats(0.01, 0.999))
def test_the_interval_of_a_few_values_is_that_of_scipy(values: list[float], level: float) -> None:
    stats = pytest.importorskip("scipy.stats")
    found = student_interval(values, level=level)
    half = stats.t.ppf((1 + level) / 2, len(values) - 1) * np.std(values, ddof=1) / math.sqrt(len(values))
    assert (found.low, found.high) == pytest.approx((found.mean - half, found.mean + half), rel=1e-6, abs=1e-6)


@pytest.mark.parametrize(("n", "t"), [(2, 12.706), (3, 4.303), (5, 2.776), (10, 2.262), (31, 2.042)])
def test_the_interval_of_a_few_values_has_the_t_of_the_printed_table(n: int, t: float) -> None:
    values = [float(v) for v in range(n)]
    found = student_interval(values)
    half = t * statistics.stdev(values) / math.sqrt(n)
    assert (found.mean - found.low, found.high - found.mean) == pytest.approx((half, half), rel=1e-3)


def student_within(t: float, freedom: int) -> float:
    """P(|T| < t) for whole degrees of freedom (Abramowitz and Stegun 26.7.3 and 26.7.4)."""
    angle = math.atan(t / math.sqrt(freedom))
    odd, cosine = freedom % 2, math.cos(angle)
    term = total = cosine if odd else 1.0
    for k in range(1 + odd, freedom - 2, 2):
        term *= cosine * cosine * k / (k + 1)
        total += term
    if freedom == 1:
        return 2 * angle / math.pi
    return 2 / math.pi * (angle + math.sin(angle) * total) if odd else math.sin(angle) * total


@given(st.integers(2, 60), st.floats(0.01, 0.999))
def test_the_interval_has_the_t_that_the_finite_series_gives_its_level(n: int, level: float) -> None:
    values = [float(v) for v in range(n)]
    found = student_interval(values, level=level)
    t = (found.high - found.mean) / (statistics.stdev(values) / math.sqrt(n))
    assert student_within(t, n - 1) == pytest.approx(level, abs=1e-9)


@pytest.mark.parametrize("folds", [3, 10])
def test_the_interval_of_a_few_folds_covers_the_mean_as_often_as_it_says(folds: int) -> None:
    rng = random.Random(1)
    found = [student_interval([rng.gauss(0, 1) for _ in range(folds)]) for _ in range(2_000)]
    assert sum(i.low <= 0 <= i.high for i in found) / 2_000 == pytest.approx(0.95, abs=0.015)


def test_equal_values_have_an_interval_without_width() -> None:
    rows, folds = grouped_interval(outcomes(*[0.7] * 5), resamples=100), student_interval([0.7] * 5)
    assert (rows.low, rows.high) == (folds.low, folds.high) == pytest.approx((0.7, 0.7))


def test_interval_and_p_of_a_difference_are_those_of_all_possible_resamples_of_groups() -> None:
    a, b = outcomes(1, 1, 1, 0, 1, 1, 0, 1, 0), outcomes(0, 1, 0, 0, 0, 1, 1, 1, 0)
    members = [(0, 1, 2), (3,), (4,), (5, 6), (7,), (8,)]
    groups = {f"row-{row:05}": f"group {g}" for g, rows in enumerate(members) for row in rows}
    difference = [x - y for x, y in zip(a.values(), b.values(), strict=True)]
    resampled = []
    for picked in itertools.product(members, repeat=len(members)):
        rows = [row for group in picked for row in group]
        resampled.append(sum(difference[row] for row in rows) / len(rows))
    found = paired_bootstrap(a, b, groups=groups, resamples=20_000)
    assert (found.examples, found.groups) == (9, 6)
    assert (found.a, found.b, found.difference) == pytest.approx((6 / 9, 4 / 9, 2 / 9))
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(resampled, [0.025, 0.975])), abs=0.03)
    assert found.p == pytest.approx(2 * float(np.mean(np.array(resampled) <= 1e-9)), abs=0.02)


def test_rows_that_always_move_together_count_once() -> None:
    a, b = drawn_outcomes(0.8, 60, seed=1), drawn_outcomes(0.6, 60, seed=2)
    copies = [(f"{i}/{n}", i) for i in a for n in range(3)]
    tripled = [{new: side[old] for new, old in copies} for side in (a, b)]
    once = paired_bootstrap(a, b, resamples=1_000)
    together = paired_bootstrap(*tripled, groups=dict(copies), resamples=1_000)
    apart = paired_bootstrap(*tripled, resamples=1_000)
    assert (together.low, together.high, together.p) == pytest.approx((once.low, once.high, once.p))
    assert apart.high - apart.low == pytest.approx((once.high - once.low) / math.sqrt(3), rel=0.15)


@given(pairs)
def test_changing_sides_changes_the_sign_and_not_the_p(both: list[tuple[int, int]]) -> None:
    a, b = outcomes(*(x for x, _ in both)), outcomes(*(y for _, y in both))
    there, back = paired_bootstrap(a, b, resamples=100), paired_bootstrap(b, a, resamples=100)
    assert back.p == there.p
    assert (-back.high, -back.difference, -back.low) == pytest.approx((there.low, there.difference, there.high))


@given(pairs, st.randoms())
def test_the_order_of_the_rows_decides_nothing(both: list[tuple[int, int]], rng: random.Random) -> None:
    a, b = outcomes(*(x for x, _ in both)), outcomes(*(y for _, y in both))
    order = list(a)
    rng.shuffle(order)
    assert paired_bootstrap({i: a[i] for i in order}, b, resamples=100) == paired_bootstrap(a, b, resamples=100)


def test_equal_outcomes_differ_by_nothing() -> None:
    a = drawn_outcomes(0.5, 20, seed=0)
    found = paired_bootstrap(a, a, resamples=100)
    assert (found.difference, found.low, found.high, found.p) == (0, 0, 0, 1)


def test_shares_that_cancel_but_for_rounding_are_no_difference() -> None:
    a, b = outcomes(0.1, 0.2), outcomes(0.3, 0.0)
    groups = dict.fromkeys(list(a), "one") | {"row-9": "two"}
    assert 0.1 - 0.3 + 0.2 - 0.0 != 0
    found = paired_bootstrap(a | {"row-9": 1}, b | {"row-9": 1}, groups=groups, resamples=100)
    assert found.p == 1


def test_a_difference_in_every_row_has_the_least_p_that_the_resamples_allow() -> None:
    assert paired_bootstrap(outcomes(1, 1, 1), outcomes(0, 0, 0), resamples=999).p == pytest.approx(2 / 1000)


def test_without_a_difference_one_comparison_in_twenty_is_significant() -> None:
    found = [
        paired_bootstrap(drawn_outcomes(0.7, 80, seed), drawn_outcomes(0.7, 80, seed + 10_000), resamples=200).p
        for seed in range(200)
    ]
    assert 0.015 <= statistics.fmean(p < 0.05 for p in found) <= 0.10


def test_the_bootstrap_says_much_the_same_as_the_binomial_test_on_many_single_rows() -> None:
    scipy_stats = pytest.importorskip("scipy.stats")
    a, b = drawn_outcomes(0.82, 600, seed=5), drawn_outcomes(0.78, 600, seed=6)
    only_a, only_b = sum(a[i] > b[i] for i in a), sum(b[i] > a[i] for i in a)
    expected = scipy_stats.binomtest(only_a, only_a + only_b).pvalue  # McNemar's test, exact
    assert paired_bootstrap(a, b, resamples=2_000).p == pytest.approx(expected, abs=0.05)


def test_other_rows_are_refused_by_name() -> None:
    with pytest.raises(DataError, match=r"1 example has .* first 'row-00002' in b"):
        paired_bootstrap(outcomes(1, 0), outcomes(1, 0, 1))
    with pytest.raises(DataError, match="at least 1"):
        paired_bootstrap({}, {})
    with pytest.raises(DataError, match="nan"):
        paired_bootstrap(outcomes(1, math.nan), outcomes(1, 0))


def test_what_cannot_be_resampled_is_refused() -> None:
    a = outcomes(1, 0)
    with pytest.raises(DataError, match="'row-00001' has no group"):
        paired_bootstrap(a, a, groups={"row-00000": "g"})
    with pytest.raises(DataError, match="in one group"):
        paired_bootstrap(a, a, groups=dict.fromkeys(a, "g"))
    with pytest.raises(DataError, match="at least 2"):
        student_interval([0.5])
    with pytest.raises(DataError, match="in one group"):
        grouped_interval(a, groups=dict.fromkeys(a, "g"))
    with pytest.raises(DataError, match="at least 1"):
        mean_sd([])
    with pytest.raises(TaskError, match=r"level is 1\.0"):
        student_interval([0.1, 0.2], level=1.0)


@pytest.mark.parametrize(("settings", "match"), [({"level": 1.0}, "level is 1.0"), ({"resamples": 99}, "is 99")])
def test_settings_out_of_range_are_refused(settings: dict[str, float], match: str) -> None:
    with pytest.raises(TaskError, match=match):
        grouped_interval(outcomes(1, 0), **settings)
    with pytest.raises(TaskError, match=match):
        paired_bootstrap(outcomes(1, 0), outcomes(1, 0), **settings)
