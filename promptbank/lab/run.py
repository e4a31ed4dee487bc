"""Run an experiment on an open bank: find its cards and rows, run it, make the report of its result file."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from promptbank.bank.cards import ExampleSet, chosen_card, examples_of
from promptbank.bank.dataset import look_at
from promptbank.bank.session import Bank
from promptbank.cluster import is_ray
from promptbank.errors import ConfigError
from promptbank.files import read_json
from promptbank.lab.experiments.arms import Arms, OtherLanguage, read_flagged
from promptbank.lab.experiments.baseline import BaselineSettings, run_baseline
from promptbank.lab.experiments.compare import MEASURED, MethodComparison, run_compare
from promptbank.lab.experiments.continual import run_continual
from promptbank.lab.experiments.crossval import run_crossval
from promptbank.lab.experiments.curve import CurvePlan, run_curve
from promptbank.lab.experiments.folder import JsonObject
from promptbank.lab.experiments.setup import ExperimentSetup, Lab
from promptbank.lab.experiments.stream import read_stream
from promptbank.lab.experiments.sweep import SweepPlan, run_sweep
from promptbank.lab.reports.baseline import baseline_report
from promptbank.lab.reports.compare import compare_report
from promptbank.lab.reports.continual import continual_report
from promptbank.lab.reports.crossval import crossval_report, local_parts
from promptbank.lab.reports.curve import curve_report
from promptbank.lab.reports.sweep import sweep_report
from promptbank.report.canvas import need_matplotlib
from promptbank.report.parts import Part, Report
from promptbank.report.write import write_report
from promptbank.training.config import checked_config
from promptbank.training.examples import training_renderer
from tasks import DatasetReport, Split, TaskCard, TaskError, check_labels, crossval_split, fold_of, given_split

__all__ = ["ExperimentResult", "TaskExamples", "baseline", "compare", "continual", "crossval", "curve", "sweep"]

TENTHS = 10
"""Folds of which a sweep may keep one out: those of a ten-fold cross-validation."""


@dataclass(frozen=True)
class TaskExamples:
    """A task and its examples, as a person names them.

    Attributes:
        task: ``taskname[:lang]``; may be None with a card file that holds one task.
        data: files, datasets folders or hub ids; None for the shipped training sample.
        lang: language, where the task names none.
        card: card file or built-in variant.
        test_data: examples to test on; None for a fold of the others.
        columns: the column of all these data that each named field is taken from.
    """

    task: str | None
    data: Sequence[str] | None = None
    lang: str | None = None
    card: str | None = None
    test_data: Sequence[str] | None = None
    columns: Mapping[str, str] | None = None

    def read(self, bank: Bank) -> tuple[TaskCard, ExampleSet]:
        """Find the card and read its examples; see `chosen_card` and `examples_of` for the errors."""
        card = chosen_card(bank.store_if_there(), self.task, self.lang, self.card)
        return card, examples_of(card, self.data, part="train", columns=self.columns)


@dataclass(frozen=True, eq=False)
class ExperimentResult:
    """What an experiment left.

    Attributes:
        path: of the result file.
        result: its content.
        report: made of it, not yet written.
        data: what the set looks like as a whole, where that was looked at.
        local: parts with texts of the data, for the report in the experiment's own folder only.
    """

    path: Path
    result: JsonObject
    report: Report
    local: Sequence[Part] = ()
    data: DatasetReport | None = None

    def write(self, out: Path | None = None) -> list[Path]:
        """Write the report into a folder, the result file's own if absent; return the paths."""
        report = self.report if out else replace(self.report, parts=[*self.report.parts, *self.local])
        return write_report(report, out or self.path.parent, self.result["kind"])


def _finished(path: Path, build: Callable[[JsonObject], Report]) -> ExperimentResult:
    result: JsonObject = read_json(path)
    return ExperimentResult(path, result, build(result))


def _setup(bank: Bank, task: TaskExamples, settings: Mapping[str, object]) -> ExperimentSetup:
    """Find everything that an experiment on one task works with."""
    need_matplotlib()
    config = checked_config(settings)
    card, found = task.read(bank)
    config = config.of_task(card, len(found.examples))  # one kind for all folds and shares
    bank.display.say(found.note)
    check_labels(found.examples, card)
    renderer = training_renderer(bank.backbone, card, config)
    report = look_at(bank.display, card, {"all": found.examples}, renderer=renderer)
    return ExperimentSetup(_lab(bank), card, found.examples, config, report=report)


def _lab(bank: Bank) -> Lab:
    cluster = bank if is_ray(bank.settings) else None
    return Lab(bank.settings.home, bank.backbone, bank.lm, bank.display, cluster)


def crossval(
    bank: Bank,
    task: TaskExamples,
    settings: Mapping[str, object],
    *,
    folds: int,
    fold_rule: str = "even.v1",
    other: Sequence[str] = (),
    provenance: Path | None = None,
) -> ExperimentResult:
    """Learn and score a task on K folds.

    Args:
        bank: the bank.
        task: what is learnt.
        settings: of the trainings, by the names of `TrainConfig`.
        folds: K, by groups.
        fold_rule: how groups are put into folds, see `run_crossval`.
        other: ``LANG=FILE`` of the examples in one other language, which prompts are learnt from too.
        provenance: of examples that were translated; those without a flag are learnt from too.

    Raises:
        ConfigError: a setting is wrong, or ``other`` is not as above.
        InputError: examples or provenance cannot be read.
        TaskError: every fault of the examples.
    """
    setup = _setup(bank, task, settings)
    arms = _arms(bank, task, setup.card, other, provenance)
    path = run_crossval(setup, folds=folds, arms=arms, fold_rule=fold_rule)
    done = _finished(path, lambda result: crossval_report(result, setup.examples))
    return replace(done, local=local_parts(done.result, setup.examples), data=setup.report)


def _arms(bank: Bank, task: TaskExamples, card: TaskCard, given: Sequence[str], provenance: Path | None) -> Arms | None:
    """Read what else a cross-validation learns from; None if there is nothing."""
    other = _other(bank, task, card, given)
    flagged = read_flagged(provenance) if provenance else frozenset()
    if provenance and not flagged:
        bank.display.say(
            f"no row of {provenance} has a flag, so there is nothing to leave out and no arm without flags"
        )
    if other is None and provenance is None:
        return None
    return Arms(other, flagged)


def _other(bank: Bank, task: TaskExamples, card: TaskCard, given: Sequence[str]) -> OtherLanguage | None:
    """Read LANG=FILE of the task's rows in another language; None if there are none."""
    pairs = [text.partition("=")[::2] for text in given]
    langs = sorted({lang for lang, _ in pairs})
    if not all(lang and path for lang, path in pairs) or len(langs) > 1 or card.lang in langs:
        raise ConfigError(
            f"--other {' '.join(given)}: write LANG=FILE, of one language that is not {card.lang}, such as "
            "en=fiqa.jsonl"
        )
    if not pairs:
        return None
    spec = f"{card.taskname}:{langs[0]}"
    try:
        other = chosen_card(bank.store_if_there(), spec, None, task.card)
    except TaskError:  # the card file holds one language only
        other = chosen_card(bank.store_if_there(), spec, None, None)
    found = examples_of(other, [path for _, path in pairs], part="train", columns=task.columns)
    return OtherLanguage(other, found.examples)


def curve(
    bank: Bank, task: TaskExamples, settings: Mapping[str, object], plan: CurvePlan, *, other: Sequence[str] = ()
) -> ExperimentResult:
    """Learn a task from fewer and fewer examples, as the plan says; see `crossval`."""
    setup = _setup(bank, task, settings)
    path = run_curve(setup, plan, starts=bank.make(), other=_other(bank, task, setup.card, other))
    return _finished(path, curve_report)


def sweep(
    bank: Bank, task: TaskExamples, settings: Mapping[str, object], plan: SweepPlan, *, kept_out: int | None = None
) -> ExperimentResult:
    """Try settings, as the plan says but for its seed; see `crossval`. One fold of ten, from 0, can be kept out."""
    setup = _setup(bank, task, settings)
    if kept_out is not None:
        used = [e for e in setup.examples if fold_of(e.group, TENTHS) != kept_out]
        told = f"fold {kept_out} of {TENTHS}"
        bank.display.say(f"{told} is kept out: {len(used)} of {len(setup.examples)} examples are used")
        setup = replace(setup, examples=used, remarks={"kept_out": told})
    return _finished(run_sweep(setup, replace(plan, seed=setup.config.seed)), sweep_report)


def continual(bank: Bank, stream: Path, *, contrast: bool) -> ExperimentResult:
    """Learn the tasks of a TOML file, one after the other, and measure all of them after each.

    With ``contrast`` a copy of the backbone is fine-tuned on the same stream too.
    """
    need_matplotlib()
    tasks = read_stream(stream, bank.store_if_there())
    path = run_continual(_lab(bank), tasks, contrast=contrast, on_stage=bank.display.say)
    return _finished(path, continual_report)


def baseline(
    bank: Bank, task: TaskExamples, settings: BaselineSettings, *, calibrate: Sequence[str]
) -> ExperimentResult:
    """Score a task without training a prompt; the calibrations that are named must be possible."""
    need_matplotlib()
    card, found = task.read(bank)
    bank.display.say(found.note)

    def on_rows(done: int, total: int) -> None:
        bank.display.count(done, total, "examples scored")

    path = run_baseline(_lab(bank), card, found.examples, settings, calibrate=calibrate, on_rows=on_rows)
    return _finished(path, baseline_report)


def compare(
    bank: Bank, tasks: Sequence[TaskExamples], comparison: MethodComparison, *, folds: int, dev_fraction: float
) -> ExperimentResult:
    """Compare methods on one task, and on what a second one, if there is one, makes each of them forget.

    Args:
        bank: the bank.
        tasks: the first task, and the second.
        comparison: methods, seeds, settings.
        folds: one fold of so many is the test part of a task without test examples.
        dev_fraction: share of the other groups kept for dev.
    """
    need_matplotlib()
    display, runs = bank.display, list(comparison.runs())

    def on_run(name: str, seed: int) -> None:
        number = runs.index((name, seed))
        display.part = f"{name}, seed {seed}"
        display.say(f"{display.part}: run {number + 1} of {len(runs)}")
        display.count(number, len(runs), "runs")

    split = [_split(bank, task, folds, dev_fraction) for task in tasks]
    path = run_compare(_lab(bank), comparison, split, on_run=on_run)
    return _finished(path, lambda result: compare_report(result, read_json(path.with_name(MEASURED))))


def _split(bank: Bank, task: TaskExamples, folds: int, dev_fraction: float) -> tuple[TaskCard, Split]:
    card, found = task.read(bank)
    if task.test_data:
        test = examples_of(card, task.test_data, part="test", columns=task.columns)
        split = given_split(found.examples, test.examples, dev_fraction)
    else:
        split = crossval_split(found.examples, folds, 0, dev_fraction)
    sizes = ", ".join(f"{part} {len(examples)}" for part, examples in vars(split).items())
    bank.display.say(f"{card.taskname}:{card.lang}: {found.note}: {sizes}")
    return card, split
