"""K-fold cross-validation: the article's protocol, 81/9/10 train, dev and test with ten folds.

A fold is a function of a row's group alone, so a translation that keeps its source's groups has its source's folds.
Majority and TF-IDF with logistic regression run on the same folds.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from promptbank.backbone import Backbone
from promptbank.experiments.arms import Arms, arm_split
from promptbank.experiments.classical import classical_cell
from promptbank.experiments.ledger import Ledger, open_ledger
from promptbank.experiments.trials import TOGETHER, Trial, origin, run_trials
from promptbank.forward import LanguageModel
from promptbank.train.config import TrainConfig
from promptbank.train.listen import Listener
from tasks import DEV_SALT, FOLD_SALT, Example, Split, TaskCard, crossval_split, data_sha256, label_shares

__all__ = ["fold_splits", "run_crossval"]


def fold_splits(examples: Sequence[Example], folds: int, dev_fraction: float) -> list[Split]:
    """Return every fold's split."""
    return [crossval_split(examples, folds, fold, dev_fraction) for fold in range(folds)]


def run_crossval(
    home: Path,
    backbone: Backbone,
    lm: LanguageModel,
    card: TaskCard,
    examples: Sequence[Example],
    config: TrainConfig,
    *,
    folds: int,
    listener: Listener,
    arms: Arms | None = None,
) -> Path:
    """Learn and score every fold; return the path of the result file.

    Args:
        home: of the bank; the experiment's folder lies in its ``runs/``.
        backbone: float32.
        lm: its forward passes.
        card: the task.
        examples: the whole set.
        config: of every fold; its ``dev_fraction`` is of the rows that are not in the test part.
        folds: K.
        listener: hears of progress.
        arms: what else is learnt from and tested on the same rows.
    """
    splits = fold_splits(examples, folds, config.dev_fraction)
    pools = arms.pools(examples) if arms else {}
    about = {
        **origin(backbone, lm, [card]),
        "data_sha256": data_sha256(examples),
        "rows": len(examples),
        "folds": folds,
        "salts": [FOLD_SALT, DEV_SALT],
        "config": config.model_dump(mode="json"),
        "together": TOGETHER,
    }
    with open_ledger(home, "crossval", about) as ledger:
        learn = partial(_learnt, ledger, backbone, lm, card, config, listener)
        results: dict[str, Any] = {"ptuned": learn("fold", splits)}
        for name, pool in pools.items():
            digest = data_sha256(pool)
            parts = [arm_split(pool, own, folds, k, config.dev_fraction) for k, own in enumerate(splits)]
            learnt = learn(f"arm-{digest[:12]}", parts)  # not in the ledger's identity: an arm can be added later
            results.setdefault("arms", {})[name] = {"data_sha256": digest, "rows": len(pool), "ptuned": learnt}
        if arms and arms.flagged:
            results["flagged"] = sorted(arms.flagged)
        if not card.is_open:
            cells = [ledger.cell(f"classical-{k}", classical_cell(card, split)) for k, split in enumerate(splits)]
            results |= {name: [cell[name] for cell in cells] for name in cells[0]}
            results["label_shares"] = [label_shares(split.test) for split in splits]
        return ledger.finish(results)


def _learnt(
    ledger: Ledger,
    backbone: Backbone,
    lm: LanguageModel,
    card: TaskCard,
    config: TrainConfig,
    listener: Listener,
    prefix: str,
    splits: Sequence[Split],
) -> list[dict[str, Any]]:
    """Learn and score one training of each split."""
    trials = [Trial(f"{prefix}-{k}", card, split, config) for k, split in enumerate(splits)]
    found = run_trials(ledger, backbone, lm, trials, listener=listener)
    return [found[trial.name] for trial in trials]
