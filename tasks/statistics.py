"""Means with their spread, confidence intervals, and a paired bootstrap test: is a difference more than luck?

Outcomes are kept by example id: two methods are compared on the very same examples, and an example that only one of
them answered is an error, never skipped. scipy and numpy are imported when they are first needed.
"""

import math
import random
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tasks.errors import DataError, TaskError
from tasks.wording import counted

__all__ = [
    "Interval",
    "MeanSd",
    "PairedDifference",
    "grouped_interval",
    "mean_sd",
    "paired_bootstrap",
    "share_error",
    "share_interval",
    "student_interval",
]

NO_DIFFERENCE = 1e-12
"""Sums of shares that should cancel, such as 0.1 + 0.2 - 0.3, miss zero by less than this."""


@dataclass(frozen=True)
class MeanSd:
    """A mean, its sample standard deviation (n - 1; None for one value alone), and the number of values."""

    mean: float
    sd: float | None
    n: int


@dataclass(frozen=True)
class Interval:
    """A mean and its confidence interval."""

    mean: float
    low: float
    high: float
    level: float


@dataclass(frozen=True)
class PairedDifference:
    """How two methods differ on the same examples.

    Attributes:
        examples: number compared.
        groups: number of groups that were resampled; as many as examples where each is a group of its own.
        a: mean outcome of the first.
        b: mean outcome of the second.
        difference: a - b.
        low: lower end of the difference's interval.
        high: upper end.
        level: of the interval.
        p: two-sided: how often luck alone gives a difference as far from zero. Never below 2 / (resamples + 1).
    """

    examples: int
    groups: int
    a: float
    b: float
    difference: float
    low: float
    high: float
    level: float
    p: float


def mean_sd(values: Sequence[float]) -> MeanSd:
    """Return the mean and the sample standard deviation.

    Args:
        values: at least one; the scores of folds or seeds, say.

    Raises:
        DataError: no values, or one that is no finite number.

    >>> mean_sd([1.0, 2.0, 3.0])
    MeanSd(mean=2.0, sd=1.0, n=3)
    """
    _check_numbers(values, least=1)
    return MeanSd(statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None, len(values))


def share_error(share: float, n: int) -> float:
    """Return the standard error of a share of n, with two successes and two failures added.

    So it is not 0 where all or none are right (Agresti and Coull 1998, "Approximate is better than 'exact'").

    >>> round(share_error(1.0, 5), 3), round(share_error(0.5, 96), 3)
    (0.139, 0.05)
    """
    plus_four = (share * n + 2) / (n + 4)
    return math.sqrt(plus_four * (1 - plus_four) / (n + 4))


def share_interval(share: float, n: int) -> Interval:
    """Return the 95 % interval of a share of n (Agresti and Coull 1998), within 0 to 1.

    >>> found = share_interval(0.5, 96)
    >>> round(found.low, 3), round(found.high, 3)
    (0.402, 0.598)
    """
    middle, half = (share * n + 2) / (n + 4), 1.96 * share_error(share, n)
    return Interval(share, max(0.0, middle - half), min(1.0, middle + half), 0.95)


def student_interval(values: Sequence[float], *, level: float = 0.95) -> Interval:
    """Return Student's t interval of the mean: mean +- t * sd / sqrt(n), with n - 1 degrees of freedom.

    For a handful of values, such as the scores of folds, where a bootstrap is too narrow: its 95 % interval of ten
    values holds the mean in 89 % of all cases, this one in 95 % where the values are normal. Folds share most of their
    training examples, so their scores are less independent than this takes them to be.

    Args:
        values: at least two.
        level: of confidence, between 0 and 1.

    Raises:
        DataError: too few values, or one that is no finite number.
        TaskError: the level is out of range.
    """
    from scipy.special import stdtrit  # scipy.stats takes ten times as long to import

    _check_numbers(values, least=2)
    _check_level(level)
    mean = statistics.fmean(values)
    half = float(stdtrit(len(values) - 1, (1 + level) / 2)) * statistics.stdev(values) / math.sqrt(len(values))
    return Interval(mean, mean - half, mean + half, level)


def grouped_interval(
    outcomes: Mapping[str, float],
    *,
    groups: Mapping[str, str] | None = None,
    level: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> Interval:
    """Return the mean over examples and its percentile bootstrap interval, whole groups of examples drawn.

    With n groups it is too narrow by about a factor sqrt((n - 1) / n): trust it from some tens of groups on.
    Arguments and errors are those of `paired_bootstrap`, for one method.
    """
    nothing = dict.fromkeys(outcomes, 0.0)
    found = paired_bootstrap(outcomes, nothing, groups=groups, level=level, resamples=resamples, seed=seed)
    return Interval(found.difference, found.low, found.high, level)


def paired_bootstrap(
    a: Mapping[str, float],
    b: Mapping[str, float],
    *,
    groups: Mapping[str, str] | None = None,
    level: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> PairedDifference:
    """Compare two methods on the same examples by resampling groups of examples.

    Examples of one group (one headline with two targets) are no independent evidence, so a group is drawn as a whole
    (Field and Welsh 2007, "Bootstrapping clustered data"). The p inverts the percentile interval: it is twice the
    share of resamples on the far side of zero, one resample added (Davison and Hinkley 1997, section 4.2), so p and
    interval agree about zero.

    Args:
        a: outcome by example id: 1 for right and 0 for wrong, or a share of seeds that were right.
        b: outcomes of the same examples.
        groups: group by example id, ids without an outcome ignored; None makes each example a group.
        level: of confidence, between 0 and 1.
        resamples: number of resamples; 10,000 of 1,100 groups take 2 to 5 seconds on one core.
        seed: equal seeds give equal results.

    Raises:
        DataError: no examples, other ids in ``a`` than in ``b``, an example without a group, fewer than two groups, or
            an outcome that is no finite number.
        TaskError: level or resamples are out of range.
    """
    import numpy as np

    ids = _paired(a, b)
    _check_level(level)
    if resamples < 100:
        raise TaskError(f"resamples is {resamples}; at least 100 are needed, 10,000 for a stable interval")
    sums, sizes = _by_group(a, b, ids, groups)
    drawn = list(_drawn(sums, sizes, resamples, seed))
    below, above = sum(d <= NO_DIFFERENCE for d in drawn), sum(d >= -NO_DIFFERENCE for d in drawn)
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2]).tolist()
    means = [statistics.fmean([side[i] for i in ids]) for side in (a, b)]
    return PairedDifference(
        examples=len(ids),
        groups=len(sizes),
        a=means[0],
        b=means[1],
        difference=math.fsum(sums) / len(ids),
        low=low,
        high=high,
        level=level,
        p=min(1.0, 2 * (min(below, above) + 1) / (resamples + 1)),
    )


def _paired(a: Mapping[str, float], b: Mapping[str, float]) -> list[str]:
    """Return the ids that both have, in an order that does not depend on the mappings'."""
    alone = sorted(a.keys() ^ b.keys())
    if alone:
        raise DataError(
            f"{counted(len(alone), 'example has', 'examples have')} an outcome in one of the two only, first "
            f"{alone[0]!r} in {'a' if alone[0] in a else 'b'}; compare methods on the same examples"
        )
    _check_numbers([*a.values(), *b.values()], least=1)
    return sorted(a)


def _by_group(
    a: Mapping[str, float], b: Mapping[str, float], ids: Sequence[str], groups: Mapping[str, str] | None
) -> tuple[list[float], list[int]]:
    """Return the sum of differences and the number of examples of each group."""
    sums: dict[str, float] = {}
    sizes: dict[str, int] = {}
    for i in ids:
        if groups is not None and i not in groups:
            raise DataError(f"example {i!r} has no group; give the group of every example, or no groups at all")
        group = i if groups is None else groups[i]
        sums[group] = sums.get(group, 0.0) + a[i] - b[i]
        sizes[group] = sizes.get(group, 0) + 1
    if len(sizes) < 2:
        raise DataError(
            f"{counted(len(ids), 'example', 'examples')} in one group cannot be resampled; at least 2 groups are needed"
        )
    return list(sums.values()), list(sizes.values())


def _drawn(sums: Sequence[float], sizes: Sequence[int], resamples: int, seed: int) -> Iterator[float]:
    """Yield the mean difference of each resample: its sum over its examples, whose number varies with the groups."""
    rng, places = random.Random(seed), range(len(sums))  # noqa: S311 - statistics, no secret
    for _ in range(resamples):
        drawn = rng.choices(places, k=len(places))
        yield sum(map(sums.__getitem__, drawn)) / sum(map(sizes.__getitem__, drawn))


def _check_numbers(values: Sequence[float], *, least: int) -> None:
    if len(values) < least:
        raise DataError(f"{counted(len(values), 'value', 'values')}; at least {least} are needed")
    strange = next((v for v in values if not math.isfinite(v)), None)
    if strange is not None:
        raise DataError(f"a value is {strange}; finite numbers are needed")


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise TaskError(f"level is {level}; a share between 0 and 1 is needed, such as 0.95")
