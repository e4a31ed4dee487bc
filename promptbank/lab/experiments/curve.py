"""The article's data-reduction experiment: what is left of a score with a half, a tenth, a hundredth of the examples.

Samples are nested (see `tasks.sampling`): the examples at 1 % are among those at 5 %. Each repeat draws its own and has
the next fold as test part, the first again after the last, so the spread is that of examples to learn from and to
answer. TF-IDF is fitted to the same samples and their dev examples. Stored rows of the task itself are never started
from: they may have learnt what is tested. What another language has learnt is started from by learning that first, for
each fold that is tested from the others.

Fractions and starts are no part of the experiment's identity, so others are added to what is there.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from promptbank.bank.start import StartRows
from promptbank.errors import ConfigError
from promptbank.lab.experiments.arms import OtherLanguage, check_groups
from promptbank.lab.experiments.folder import ExperimentFolder, JsonObject, short_hash
from promptbank.lab.experiments.setup import ExperimentSetup
from promptbank.lab.experiments.trials import row_versions, run_trials, trial_notes
from promptbank.lab.methods.classic import classical_part_name, classical_scores, tfidf_settings
from promptbank.training.config import TrainConfig, checked_config
from store import Store
from tasks import BY_HASH, Example, Split, SplitRules, crossval_split
from tasks.sampling import DEV_SAMPLE, balanced_examples, first_share

__all__ = ["CurvePlan", "run_curve"]

LEAST_DEV = 8


@dataclass(frozen=True)
class CurvePlan:
    """What is learnt.

    Attributes:
        fractions: shares of each fold's training examples.
        repeats: trainings of each fraction, at least 1; repeat r has fold r modulo K as its test part, and the seed of
            the settings plus r draws its examples.
        folds: K.
        inits: starts to compare; none means the one of the settings.

    Raises:
        ConfigError: no repeat.
    """

    fractions: tuple[float, ...] = (1.0, 0.5, 0.1, 0.05, 0.01)
    repeats: int = 6
    folds: int = 10
    inits: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.repeats < 1:
            raise ConfigError(f"repeats is {self.repeats}; at least 1 is needed to have a score")


def run_curve(setup: ExperimentSetup, plan: CurvePlan, *, starts: Store, other: OtherLanguage | None = None) -> Path:
    """Learn and score every fraction; return the path of the result file.

    Args:
        setup: its card is closed; with epochs and patience auto, few examples get more of both.
        plan: fractions, repeats and starts.
        starts: the bank whose rows of other tasks may be started from.
        other: the task in another language, if one of the starts is its own (`OtherLanguage.init`).

    Raises:
        ConfigError: a start names a row of the task itself, or none the other language.
        InputError: the card is open, or examples of the other language cannot be kept apart from their counterparts
            (see `check_groups`).
        SplitError: a fraction is no share, or a part of a fold would be empty.
        PromptBankError: scikit-learn is not installed.
        UnknownTaskError: a start names a row that is not there.
    """
    setup.refuse_open("curve")
    inits = plan.inits or (setup.config.init,)
    for init in inits:
        checked_config({"init": init}, of="a start")
    if other:
        check_groups(other.examples, setup.examples)
        if other.init not in inits:
            raise ConfigError(f"{other.card.lang} is learnt to be started from; name it: --start {other.init}")
    rows = StartRows(starts, without=setup.card.taskname)
    hashes = {init: rows.hashes(init, setup.lab.backbone) for init in inits if not other or init != other.init}
    parts = {fraction: _parts(setup, plan, fraction) for fraction in sorted(plan.fractions)}
    identity = {
        "repeats": plan.repeats,
        "folds": plan.folds,
        "least_dev": LEAST_DEV,
        "dev_sample": DEV_SAMPLE,
        "tfidf": tfidf_settings(),
    }
    asked = {"fractions": list(plan.fractions), "inits": list(inits), "rows_to_start_from": hashes}
    with setup.open("curve", identity, asked) as folder:
        found = [_Start(init, _label(init, of), [init] * plan.repeats, rows) for init, of in hashes.items()]
        if other:
            label = _label(other.init, other.identity())
            learnt = _Start(other.init, label, _learn_before(folder, setup, plan, other, label), None)
            found.insert(inits.index(other.init), learnt)
        return folder.finish({"points": [_point(folder, setup, found, share, part) for share, part in parts.items()]})


@dataclass(frozen=True)
class _Start:
    """One of the starts that are compared.

    Attributes:
        init: as it was asked for.
        label: in the names of its parts: with the hash of the rows that it may come from, where it comes from rows.
        inits: the start of each repeat.
        rows: that it may come from; None for those of the experiment's own bank.
    """

    init: str
    label: str
    inits: Sequence[str]
    rows: StartRows | None


def _label(init: str, of: Sequence[str] | JsonObject) -> str:
    """Return a start for the name of a part, with the hash of what decides it beside its name, if anything does."""
    safe = init.replace(":", ".").replace("@", ".v")
    return f"{safe}-{short_hash(of)}" if of else safe


def _learn_before(
    folder: ExperimentFolder, setup: ExperimentSetup, plan: CurvePlan, other: OtherLanguage, label: str
) -> list[str]:
    """Learn the other language for every tested fold, without it; return the start that this gives each repeat."""
    tested = range(min(plan.repeats, plan.folds))
    before, seed = replace(setup, card=other.card), setup.config.seed
    fraction, rules = setup.config.dev_fraction, before.rules()
    splits = [crossval_split(other.examples, plan.folds, fold, fraction, rules=rules) for fold in tested]
    own = "text" if setup.config.starts_from_row else setup.config.init
    trials = [before.trial(f"{label}-{k}", split, init=own, seed=seed + k) for k, split in enumerate(splits)]
    run_trials(folder, setup, trials)
    versions = row_versions(folder, setup, trials)
    return [f"{other.init}@{versions[r % plan.folds]}" for r in range(plan.repeats)]


def _parts(setup: ExperimentSetup, plan: CurvePlan, fraction: float) -> dict[str, Split]:
    """Return each repeat's split at a fraction, by the name of its classical part; refuse what cannot be split."""
    return {
        classical_part_name(f"{fraction:g}-{r}"): _reduced(
            setup.examples, plan.folds, r, fraction, setup.config, setup.rules()
        )
        for r in range(plan.repeats)
    }


def _point(
    folder: ExperimentFolder,
    setup: ExperimentSetup,
    starts: Sequence[_Start],
    fraction: float,
    parts: Mapping[str, Split],
) -> JsonObject:
    """Learn and score one fraction, in every repeat and from every start.

    Args:
        folder: of the experiment.
        setup: its task.
        starts: that are compared.
        fraction: of the training examples.
        parts: what `_parts` gave for it.
    """
    splits = list(parts.values())
    classical = [folder.part(name, partial(classical_scores, setup.card, split)) for name, split in parts.items()]
    point: JsonObject = {
        "fraction": fraction,
        "rows": [len(split.train) for split in splits],
        "dev_rows": [len(split.dev) for split in splits],
        "tfidf_rows": [part["tfidf"]["rows"] for part in classical],
        "tfidf": [part["tfidf"]["test"]["accuracy"] for part in classical],
        "majority": [part["majority"]["test"]["accuracy"] for part in classical],
        "ptuned": {},
        "macro_f1": {},
        "starts": {},
        "trials": list(_classical_notes(fraction, classical)),
    }
    for start in starts:
        trials = [
            setup.trial(f"{fraction:g}-{start.label}-{r}", split, init=init, seed=setup.config.seed + r)
            for r, (split, init) in enumerate(zip(splits, start.inits, strict=True))
        ]
        done = run_trials(folder, setup, trials, starts=start.rows)
        point["ptuned"][start.init] = [one["test"]["accuracy"] for one in done.values()]
        point["macro_f1"][start.init] = [one["test"]["macro_f1"] for one in done.values()]
        point["starts"][start.init] = [one["start"] for one in done.values()]
        point["trials"] += trial_notes(done)
    return point


def _classical_notes(fraction: float, parts: Sequence[JsonObject]) -> Iterator[JsonObject]:
    for r, part in enumerate(parts):
        if part["tfidf"]["warnings"]:
            name = f"TF-IDF, {fraction:g}-{r}"
            yield {"trial": name, "start": None, "warnings": part["tfidf"]["warnings"], "notes": []}


def _reduced(
    examples: Sequence[Example],
    folds: int,
    repeat: int,
    fraction: float,
    config: TrainConfig,
    rules: SplitRules = BY_HASH,
) -> Split:
    """Keep a share of the training examples, and the same share of dev ones by label, but for a least number."""
    split = crossval_split(examples, folds, repeat % folds, config.dev_fraction, rules=rules)
    seed = config.seed + repeat
    dev = balanced_examples(split.dev, max(LEAST_DEV, round(fraction * len(split.dev))), seed=seed)
    return Split(tuple(first_share(split.train, fraction, seed=seed)), tuple(dev), split.test)
