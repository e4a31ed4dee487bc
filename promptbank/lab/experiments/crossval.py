"""K-fold cross-validation: the article's protocol, 81/9/10 train, dev and test with ten folds.

A fold is a function of a row's group alone, so a translation that keeps its source's groups has its source's folds.
Majority and TF-IDF with logistic regression run on the same folds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from promptbank.lab.experiments.arms import Arms, arm_split
from promptbank.lab.experiments.classical import classical_cell, classical_name
from promptbank.lab.experiments.ledger import Ledger, open_ledger
from promptbank.lab.experiments.trials import Bench, Trial, row_versions, run_trials
from promptbank.lab.methods.classic import tfidf_settings
from promptbank.training.config import FROM
from tasks import DEV_SALT, FOLD_SALT, Example, Split, crossval_split, data_sha256, label_shares

__all__ = ["fold_splits", "run_crossval"]


def fold_splits(examples: Sequence[Example], folds: int, dev_fraction: float) -> list[Split]:
    """Return every fold's split."""
    return [crossval_split(examples, folds, fold, dev_fraction) for fold in range(folds)]


def run_crossval(bench: Bench, *, folds: int, arms: Arms | None = None) -> Path:
    """Learn and score every fold; return the path of the result file.

    Args:
        bench: task, rows and settings; its ``dev_fraction`` is of the rows that are not in the test part.
        folds: K.
        arms: what else is learnt from and tested on the same rows. Arms of an earlier call stay in the result.

    Raises:
        ConfigError: the settings start from a stored row.
    """
    bench.refuse_stored_start("crossval")
    card, examples, dev_fraction = bench.card, bench.examples, bench.config.dev_fraction
    splits = fold_splits(examples, folds, dev_fraction)
    pools = arms.pools(examples) if arms else {}
    about = bench.about() | {"folds": folds, "salts": [FOLD_SALT, DEV_SALT]}
    classical = [] if card.is_open else [classical_name(str(k)) for k in range(folds)]
    if classical:
        about["tfidf"] = tfidf_settings()
    with open_ledger(bench.home, "crossval", about, bench.aside()) as ledger:
        results: dict[str, Any] = {"ptuned": _learnt(ledger, bench, "fold", splits)}
        earlier = ledger.finished()
        results |= {key: earlier[key] for key in ("arms", "flagged") if key in earlier}
        if arms:
            results["arms"] = results.get("arms", {}) | _arms(ledger, bench, arms, pools, splits)
        if arms and arms.flagged:
            results["flagged"] = sorted(arms.flagged)
        if classical:
            cells = [
                ledger.cell(name, classical_cell(card, split)) for name, split in zip(classical, splits, strict=True)
            ]
            results |= {name: [cell[name] for cell in cells] for name in cells[0]}
            results["label_shares"] = [label_shares(split.test) for split in splits]
        return ledger.finish(results)


def _arms(
    ledger: Ledger, bench: Bench, arms: Arms, pools: Mapping[str, Sequence[Example]], splits: Sequence[Split]
) -> dict[str, Any]:
    """Learn and score every arm; by its name the rows that it learnt from, and its folds.

    The ledger's identity does not name the arms, so that one can be added later.
    """
    card, found = bench.card, dict[str, Any]()
    for name, pool in pools.items():
        digest = data_sha256(pool)
        prefix = f"arm-{digest[:12]}"
        parts = [arm_split(pool, own, len(splits), k, bench.config.dev_fraction) for k, own in enumerate(splits)]
        found[name] = {"data_sha256": digest, "rows": len(pool), "ptuned": _learnt(ledger, bench, prefix, parts)}
        if name == arms.lang:
            versions = row_versions(ledger, bench, _trials(bench, prefix, parts))
            inits = [f"{FROM}{card.taskname}:{card.lang}@{version}" for version in versions]
            learnt = _learnt(ledger, bench, f"then-{digest[:12]}", splits, inits)
            own = {"data_sha256": data_sha256(bench.examples), "rows": len(bench.examples)}
            found[f"{name}, then {card.lang}"] = {**own, "ptuned": learnt}
    return found


def _learnt(
    ledger: Ledger, bench: Bench, prefix: str, splits: Sequence[Split], inits: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """Learn and score one training of each split, from starts of their own where they are given."""
    trials = _trials(bench, prefix, splits, inits)
    found = run_trials(ledger, bench, trials)
    return [found[trial.name] for trial in trials]


def _trials(bench: Bench, prefix: str, splits: Sequence[Split], inits: Sequence[str] = ()) -> list[Trial]:
    starts = inits or [bench.config.init] * len(splits)
    return [
        Trial(f"{prefix}-{k}", bench.card, split, bench.config.model_copy(update={"init": init}))
        for k, (split, init) in enumerate(zip(splits, starts, strict=True))
    ]
