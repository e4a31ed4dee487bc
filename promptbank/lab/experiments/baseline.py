"""How well a task is solved without training a prompt: majority, TF-IDF and in-context learning on grouped folds.

A part of the result is one fold (classic methods) or one fold, number of shots and seed (in-context learning). It keeps
the label scores of every example, so that all calibrations come from one pass over the backbone; every prediction is
stored by example id, so that methods can be compared on each example.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import fmean

from promptbank.engine.prior import CONTENT_FREE, prior_of
from promptbank.errors import ConfigError, InputError
from promptbank.lab.experiments.folder import ExperimentFolder, JsonObject
from promptbank.lab.experiments.setup import Lab
from promptbank.lab.methods.calibration import CALIBRATIONS, LEAST_EXAMPLES, calibrated, check_calibration
from promptbank.lab.methods.classic import CLASSICAL, TfidfLogistic, classical_part_name, label_ids, tfidf_settings
from promptbank.lab.methods.icl import SEPARATOR, InContext, draw_shots
from tasks import (
    BY_HASH,
    FOLD_RULES,
    Example,
    Split,
    SplitRules,
    TaskCard,
    classification_report,
    crossval_split,
    data_sha256,
    label_of,
)
from tasks.statistics import mean_sd

__all__ = ["BaselineSettings", "run_baseline"]

VERSION = "baseline.v1"
METRICS = ("accuracy", "macro_f1")


@dataclass(frozen=True)
class BaselineSettings:
    """What is run.

    Attributes:
        folds: K, at least 2.
        shots: numbers of shots; 0 is zero-shot.
        seeds: draws of shots for each fold and number, seeds 0 to ``seeds - 1``. Zero-shot has nothing to draw: one.
        instruction: begin prompts with the card's description and label words.
        dev_fraction: share of the other folds' groups kept from training, as for a prompt.
        fold_rule: how groups are put into folds, a key of `tasks.splits.FOLD_RULES`.

    Raises:
        ConfigError: a value is out of range.
    """

    folds: int = 10
    shots: tuple[int, ...] = (0, 1, 4)
    seeds: int = 5
    instruction: bool = True
    dev_fraction: float = 0.1
    fold_rule: str = BY_HASH.folds

    def rules(self, card: TaskCard) -> SplitRules:
        """Return how groups are divided: by the hash alone, or as in a cross-validation with its default settings."""
        by_hash = self.fold_rule == BY_HASH.folds
        return BY_HASH if by_hash else SplitRules(self.fold_rule, "stratified.v1", label_of(card))

    def decisive(self) -> JsonObject:
        """Return what decides the result; the rule is left out where it is the one that there was before others."""
        plain = {key: value for key, value in asdict(self).items() if key not in {"shots", "seeds"}}
        return plain if self.fold_rule != BY_HASH.folds else {k: v for k, v in plain.items() if k != "fold_rule"}

    def __post_init__(self) -> None:
        if self.fold_rule not in FOLD_RULES:
            raise ConfigError(f"fold rule {self.fold_rule!r} is none of {', '.join(FOLD_RULES)}")
        if self.folds < 2:
            raise ConfigError(f"folds is {self.folds}; at least 2 are needed, one to test on and one to learn from")
        if self.seeds < 1:
            raise ConfigError(f"seeds is {self.seeds}; at least 1 is needed")
        if any(count < 0 for count in self.shots) or len(set(self.shots)) < len(self.shots):
            raise ConfigError(f"shots is {list(self.shots)}; give different numbers of 0 or more")


def run_baseline(
    lab: Lab,
    card: TaskCard,
    examples: Sequence[Example],
    settings: BaselineSettings,
    *,
    calibrate: Sequence[str] = ("none",),
    on_rows: Callable[[int, int], None] = lambda *_: None,
) -> Path:
    """Run every baseline on every fold; a killed run goes on from its last finished part.

    Args:
        lab: home and backbone.
        card: a closed card.
        examples: with answers, told apart by their ids.
        settings: what is run.
        calibrate: calibrations that must be possible; all that are possible are in the result, so they decide nothing
            of it.
        on_rows: called with the number of examples scored, over all folds, shots and seeds, and their total.

    Returns:
        The path of the result file. Its ``results`` are ``examples`` (fold, group and gold label by id) and
        ``methods``, each with ``method``, ``shots``, ``calibration``, both metrics (``mean``; ``sd_folds``, the sample
        standard deviation over folds of the mean over seeds; ``sd_seeds``, the other way round) and ``seeds``, each
        with its ``folds`` and ``predicted`` labels by id.

    Raises:
        ConfigError: no such calibration, folds too small for it, or more shots than training examples.
        InputError: an open card, an id that stands twice, or an example that does not fit the window.
        PromptBankError: scikit-learn is not installed.
        SplitError: a part of a fold would be empty.
        TrainingError: the same experiment is under way, or a fold's training examples have one label only.
    """
    label_ids(card)
    if len({e.id for e in examples}) < len(examples):
        raise InputError("an id stands twice among the examples; predictions are kept by id, so give each its own")
    rules, fraction = settings.rules(card), settings.dev_fraction
    splits = [crossval_split(examples, settings.folds, k, fraction, rules=rules) for k in range(settings.folds)]
    _check(splits, settings, calibrate)
    notes = {"shots": list(settings.shots), "seeds": settings.seeds}
    identity = {
        "scores": str(lab.lm.dtype).removeprefix("torch."),
        "version": VERSION,
        "data_sha256": data_sha256(examples),
        "rows": len(examples),
        "tfidf": tfidf_settings(),
        "separator": SEPARATOR,
        "content_free": list(CONTENT_FREE),
        "settings": settings.decisive(),
    }
    with lab.open("baseline", [card], identity, notes) as folder:
        return folder.finish(_Run(lab, card, splits, settings).results(folder, on_rows))


def _check(splits: Sequence[Split], settings: BaselineSettings, calibrate: Sequence[str]) -> None:
    """Refuse at once what would fail after hours."""
    for name in calibrate:
        check_calibration(name, min(len(split.test) for split in splits))
    smallest, most = min(len(split.train) for split in splits), max(settings.shots, default=0)
    if most > smallest:
        raise ConfigError(f"{most} shots cannot be drawn from a fold's {smallest} training rows; ask for fewer")


@dataclass(frozen=True, eq=False)
class _Run:
    """One experiment: its parts, and what is computed from them."""

    lab: Lab
    card: TaskCard
    splits: Sequence[Split]
    settings: BaselineSettings

    def results(self, folder: ExperimentFolder, on_rows: Callable[[int, int], None]) -> JsonObject:
        classic = [
            folder.part(classical_part_name(f"fold-{k}"), partial(_classic, self.card, split))
            for k, split in enumerate(self.splits)
        ]
        methods = [self._entry(name, {None: [part[name] for part in classic]}) for name in classic[0]]
        for shots, parts in self._scored(folder, on_rows).items():
            methods += self._icl_entries(shots, parts)
        examples = {
            e.id: {"fold": k, "group": e.group, "gold": e.answer}
            for k, split in enumerate(self.splits)
            for e in split.test
        }
        return {"rows": len(examples), "examples": examples, "methods": methods}

    def _scored(
        self, folder: ExperimentFolder, on_rows: Callable[[int, int], None]
    ) -> dict[int, dict[int, list[JsonObject]]]:
        """Return the parts of in-context learning by shots and seed, one for each fold."""
        found: dict[int, dict[int, list[JsonObject]]] = {}
        runs = [(shots, seed) for shots in self.settings.shots for seed in range(self.settings.seeds if shots else 1)]
        done, total = 0, len(runs) * sum(len(split.test) for split in self.splits)
        for shots, seed in runs:
            for k, split in enumerate(self.splits):
                make = partial(self._score, split, shots, seed, partial(_report, on_rows, done, total))
                part = folder.part(f"fold-{k}.shots-{shots}.seed-{seed}", make)
                found.setdefault(shots, {}).setdefault(seed, []).append(part)
                done += len(split.test)
                on_rows(done, total)
        return found

    def _score(self, split: Split, shots: int, seed: int, on_rows: Callable[[int], None]) -> JsonObject:
        """Return the label scores of a fold's test examples, and of inputs without content."""
        drawn = draw_shots(split.train, shots, seed)
        icl = InContext(self.lab.lm, self.lab.backbone, self.card, drawn, instruction=self.settings.instruction)
        scores = icl.score([e.fields for e in split.test], on_rows=on_rows)
        return {
            "shots": [e.id for e in drawn],
            "rows": {e.id: asdict(one) for e, one in zip(split.test, scores, strict=True)},
            "content_free": {str(n): icl.content_free(n) for n in sorted({one.shots for one in scores})},
        }

    def _icl_entries(self, shots: int, parts: Mapping[int, Sequence[JsonObject]]) -> Iterator[JsonObject]:
        scored = [one for folds in parts.values() for part in folds for one in part["rows"].values()]
        counts = {
            "rows_with_fewer_shots": sum(one["shots"] < shots for one in scored),
            "rows_truncated": sum(one["truncated"] > 0 for one in scored),
        }
        smallest = min(len(split.test) for split in self.splits)
        for name in CALIBRATIONS:
            if smallest >= LEAST_EXAMPLES.get(name, 1):
                runs = {seed: [_calibrated(name, part) for part in folds] for seed, folds in parts.items()}
                yield self._entry("icl", runs, shots=shots, calibration=name) | counts

    def _entry(
        self,
        method: str,
        runs: Mapping[int, Sequence[Mapping[str, str]]] | Mapping[None, Sequence[Mapping[str, str]]],
        *,
        shots: int | None = None,
        calibration: str | None = None,
    ) -> JsonObject:
        """Return a method's metrics over seeds and folds, and every prediction.

        Args:
            method: its name.
            runs: for each seed the predictions of every fold, by example id; of a method without seeds, for None.
            shots: number of shots in the prompt.
            calibration: of the scores.
        """
        seeds = [
            {
                "seed": seed,
                "folds": [self._fold(k, predicted) for k, predicted in enumerate(folds)],
                "predicted": {i: label for fold in folds for i, label in fold.items()},
            }
            for seed, folds in runs.items()
        ]
        about = {"method": method, "shots": shots, "calibration": calibration}
        return about | {metric: _spread(metric, seeds) for metric in METRICS} | {"seeds": seeds}

    def _fold(self, k: int, predicted: Mapping[str, str]) -> JsonObject:
        test = self.splits[k].test
        report = classification_report(
            [e.answer or "" for e in test], [predicted[e.id] for e in test], label_ids(self.card)
        )
        return {"fold": k, "n": len(test), "accuracy": report.accuracy, "macro_f1": report.macro_f1}


def _report(on_rows: Callable[[int, int], None], before: int, total: int, done: int) -> None:
    on_rows(before + done, total)


def _classic(card: TaskCard, split: Split) -> JsonObject:
    """Return predictions by method and example id. TF-IDF needs no dev set, so one learns from its examples too."""
    known = (*split.train, *split.dev)
    fitted = {name: method.fit(card, known) for name, method in CLASSICAL.items()}
    fitted["tfidf_train"] = TfidfLogistic.fit(card, split.train)
    ids = [e.id for e in split.test]
    return {name: dict(zip(ids, method.predict(split.test), strict=True)) for name, method in fitted.items()}


def _calibrated(name: str, part: JsonObject) -> dict[str, str]:
    """Return the calibrated predictions of a part by example id."""
    priors = {shots: prior_of(scores) for shots, scores in part["content_free"].items()}
    rows = part["rows"]
    values = calibrated(name, [r["scores"] for r in rows.values()], [priors[str(r["shots"])] for r in rows.values()])
    return {i: max(v, key=v.__getitem__) for i, v in zip(rows, values, strict=True)}


def _spread(metric: str, seeds: Sequence[JsonObject]) -> dict[str, float | None]:
    """Return the mean of a metric, and its sample standard deviations over folds and over seeds; None for one alone."""
    table = [[fold[metric] for fold in seed["folds"]] for seed in seeds]  # (seeds, K)
    by_fold = mean_sd([fmean(column) for column in zip(*table, strict=True)])
    by_seed = mean_sd([fmean(row) for row in table])
    return {"mean": by_fold.mean, "sd_folds": by_fold.sd, "sd_seeds": by_seed.sd}
