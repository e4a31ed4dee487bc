"""K-fold cross-validation: the article's protocol, 81/9/10 % train, dev and test with ten folds.

Examples of one group are always in one fold. By the rule "hash.v1" the fold is a function of the group alone, so a
translation that keeps its source's groups has its source's folds; "even.v1" gives each fold as many examples of each
label as groups allow. Majority and TF-IDF with logistic regression run on the same folds.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from promptbank.errors import ConfigError
from promptbank.lab.experiments.arms import Arms, arm_split
from promptbank.lab.experiments.folder import ExperimentFolder, JsonObject
from promptbank.lab.experiments.setup import ExperimentSetup, Trial
from promptbank.lab.experiments.trials import row_versions, run_trials
from promptbank.lab.methods.classic import classical_part_name, classical_scores, tfidf_settings
from promptbank.training.config import FROM
from tasks import (
    BY_HASH,
    DEV_SALT,
    FOLD_RULES,
    FOLD_SALT,
    Example,
    Split,
    SplitRules,
    crossval_split,
    data_sha256,
    label_shares,
)

__all__ = ["run_crossval"]


def run_crossval(setup: ExperimentSetup, *, folds: int, arms: Arms | None = None, fold_rule: str = "even.v1") -> Path:
    """Learn and score every fold; return the path of the result file.

    Args:
        setup: its ``dev_fraction`` is of the examples that are not in the test part.
        folds: K.
        arms: what else is learnt from and tested on the same examples. Arms of an earlier call stay in the result.
        fold_rule: how groups are put into folds, a key of `tasks.splits.FOLD_RULES`.

    Raises:
        ConfigError: the settings start from a stored row, or there is no such rule.
    """
    setup.refuse_stored_start("crossval")
    if fold_rule not in FOLD_RULES:
        raise ConfigError(f"fold rule {fold_rule!r} is none of {', '.join(FOLD_RULES)}")
    rules, fraction = setup.rules(fold_rule), setup.config.dev_fraction
    splits = [crossval_split(setup.examples, folds, k, fraction, rules=rules) for k in range(folds)]
    pools = arms.pools(setup.examples) if arms else {}
    identity: JsonObject = {"folds": folds, "salts": [FOLD_SALT, DEV_SALT]}
    if fold_rule != BY_HASH.folds:  # the only rule there was, so that experiments of that time keep their identity
        identity["fold_rule"] = fold_rule
    classical = [] if setup.card.is_open else [classical_part_name(str(k)) for k in range(folds)]
    if classical:
        identity["tfidf"] = tfidf_settings()
    with setup.open("crossval", identity) as folder:
        results: JsonObject = {"ptuned": _learnt(folder, setup, _trials(setup, "fold", splits))}
        earlier = folder.finished()
        results |= {key: earlier[key] for key in ("arms", "flagged") if key in earlier}
        if arms:
            results["arms"] = results.get("arms", {}) | _arms(folder, setup, arms, pools, splits, rules)
        if arms and arms.flagged:
            results["flagged"] = sorted(arms.flagged)
        if classical:
            named = zip(classical, splits, strict=True)
            parts = [folder.part(name, partial(classical_scores, setup.card, split)) for name, split in named]
            results |= {name: [part[name] for part in parts] for name in parts[0]}
            results["label_shares"] = [label_shares(split.test) for split in splits]
        return folder.finish(results)


def _arms(
    folder: ExperimentFolder,
    setup: ExperimentSetup,
    arms: Arms,
    pools: Mapping[str, Sequence[Example]],
    splits: Sequence[Split],
    rules: SplitRules,
) -> JsonObject:
    """Learn and score every arm; return by its name the examples that it learnt from, and its folds.

    The experiment's identity does not name the arms, so that one can be added later.
    """
    card, found = setup.card, JsonObject()
    for name, pool in pools.items():
        digest = data_sha256(pool)
        fraction = setup.config.dev_fraction
        parts = [arm_split(pool, own, len(splits), k, fraction, rules) for k, own in enumerate(splits)]
        trials = _trials(setup, f"arm-{digest[:12]}", parts)
        found[name] = {"data_sha256": digest, "rows": len(pool), "ptuned": _learnt(folder, setup, trials)}
        if arms.other and name == arms.other.card.lang:
            inits = [f"{FROM}{card.taskname}:{card.lang}@{v}" for v in row_versions(folder, setup, trials)]
            learnt = _learnt(folder, setup, _trials(setup, f"then-{digest[:12]}", splits, inits))
            own = {"data_sha256": data_sha256(setup.examples), "rows": len(setup.examples)}
            found[f"{name}, then {card.lang}"] = {**own, "ptuned": learnt}
    return found


def _learnt(folder: ExperimentFolder, setup: ExperimentSetup, trials: Sequence[Trial]) -> list[JsonObject]:
    return list(run_trials(folder, setup, trials).values())


def _trials(setup: ExperimentSetup, prefix: str, splits: Sequence[Split], inits: Sequence[str] = ()) -> list[Trial]:
    """Return one training of each split, from starts of their own where they are given."""
    starts = inits or [setup.config.init] * len(splits)
    return [
        setup.trial(f"{prefix}-{k}", split, init=init)
        for k, (split, init) in enumerate(zip(splits, starts, strict=True))
    ]
