"""A stream of tasks, learnt one after the other: what the bank forgets, and what full fine-tuning of the backbone does.

After each task a new process opens the bank and answers the test examples of every task so far. Under a frozen backbone
forgetting is 0 by construction; here it is measured, down to the bits of the answers, so that a byte that changed or
an alias that moved would show.
"""

import shutil
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import torch
from safetensors.torch import load_file

from promptbank.bank.learn import TrainingRequest, learn_trials
from promptbank.bank.start import StartRows
from promptbank.engine.evaluate import warnings_of
from promptbank.errors import PromptBankError
from promptbank.lab.experiments.folder import ExperimentFolder, JsonObject, short_hash
from promptbank.lab.experiments.fresh_process import score_in_new_process
from promptbank.lab.experiments.setup import Lab
from promptbank.lab.experiments.stream import Stage, Stream
from promptbank.lab.experiments.trials import training_record, trial_notes
from promptbank.lab.methods.learner import score_of
from promptbank.lab.methods.registry import METHODS
from promptbank.lab.methods.tuning import WeightTuning
from promptbank.training.checkpoint import write_tensors
from promptbank.training.examples import check_prompts, training_renderer
from promptbank.training.precision import training_dtype
from store import open_store
from tasks import TaskError, counted, data_sha256
from tasks.continual import stream_scores

__all__ = ["run_continual"]

BANK = "bank.db"


def run_continual(
    lab: Lab, stream: Stream, *, contrast: bool, on_stage: Callable[[str], None] = lambda _: None
) -> Path:
    """Learn a stream and measure all tasks after each one; return the path of the result file.

    Args:
        lab: home and backbone; the experiment's own bank lies in its folder.
        stream: the tasks in order.
        contrast: whether the same stream is learnt by fine-tuning all weights of a copy too.
        on_stage: called with a sentence that says what is done next.

    Raises:
        InputError: test examples cannot be rendered; raised before the first task is learnt.
        TrainingError: the same stream is under way in another process; see `learn_trials`.
    """
    for stage in stream.stages:
        check_prompts(training_renderer(lab.backbone, stage.card, stage.config), stage.split.test)
    cards, identity = [s.card for s in stream.stages], {"stages": [_stage_identity(s) for s in stream.stages]}
    with lab.open("continual", cards, identity, {"stream": stream.name}) as folder:
        results = {
            "tasks": [stage.name for stage in stream.stages],
            "bank": _learn_in_bank(folder, lab, stream.stages, on_stage),
        }
        results |= {key: found for key, found in folder.finished().items() if key == "full"}
        path = folder.finish(results)  # what was learnt stays, whatever becomes of the contrast
        if contrast:
            on_stage(f"contrast: the same stream by fine-tuning of a copy ({stream.method})")
            try:
                results["full"] = _contrast(folder, lab, stream)
            except (PromptBankError, TaskError) as exc:
                results["full"] = {"method": stream.method, "reason": str(exc)}
            path = folder.finish(results)
        return path


def _stage_identity(stage: Stage) -> JsonObject:
    split = stage.split
    return {
        "task": stage.name,
        "config": stage.config.decisive(),
        "trained_in": training_dtype(stage.config.dtype),
        "rows": {part: len(examples) for part, examples in vars(split).items()},
        "data_sha256": data_sha256([*split.train, *split.dev, *split.test]),
    }


def _learn_in_bank(
    folder: ExperimentFolder, lab: Lab, stages: Sequence[Stage], on_stage: Callable[[str], None]
) -> JsonObject:
    """Learn the tasks into the experiment's bank, each measured together with all before it."""
    learnt, measured = {}, []
    for i, stage in enumerate(stages):
        on_stage(f"task {i + 1} of {len(stages)}: {stage.name}")
        learnt[stage.name] = folder.part(f"learn-{i}", partial(_learn, folder, lab, stage))
        shutil.rmtree(folder.path / "runs", ignore_errors=True)  # not before: a killed call finds its finished run
        on_stage(f"a new process answers {counted(i + 1, 'task', 'tasks')}")
        tests = {seen.name: seen.split.test for seen in stages[: i + 1]}
        measure = partial(score_in_new_process, folder.path / BANK, lab.home, str(lab.backbone.path), tests)
        measured.append(folder.part(f"measure-{i}", measure))
    return _bank_results(stages, measured, trial_notes(learnt))


def _learn(folder: ExperimentFolder, lab: Lab, stage: Stage) -> JsonObject:
    request = TrainingRequest(stage.card, stage.split.train, stage.split.dev, stage.config)
    with open_store(f"sqlite:///{folder.path / BANK}") as store:
        (learnt,) = learn_trials(
            store, lab.backbone, [request], home=folder.path, progress=lab.progress, lm=lab.lm, starts=StartRows(store)
        )
    return training_record(learnt)


def _bank_results(
    stages: Sequence[Stage], measured: Sequence[Mapping[str, JsonObject]], trials: Sequence[JsonObject]
) -> JsonObject:
    """Return the accuracy matrix, its scores, whose answers changed after they were first given, and all warnings.

    A score can stay where answers do not, so forgetting is read with ``answers_moved`` beside it.
    """
    last = measured[-1]["tasks"]
    matrix = [[after["tasks"][stage.name]["score"] for stage in stages[: i + 1]] for i, after in enumerate(measured)]
    first = {stage.name: measured[i]["tasks"][stage.name] for i, stage in enumerate(stages)}
    moved = [
        f"{name} after task {i + 1}"
        for i, after in enumerate(measured)
        for name, found in after["tasks"].items()
        if found["answers_sha256"] != first[name]["answers_sha256"]
    ]
    return {
        "matrix": matrix,
        "scores": stream_scores(matrix).as_dict(),
        "answers_moved": moved,
        "faults": [fault for after in measured for fault in after["faults"]],
        "metrics": last,
        "trials": [
            one | {"warnings": [*one["warnings"], *warnings_of(last[one["trial"]]["metrics"])]} for one in trials
        ],
    }


def _contrast(folder: ExperimentFolder, lab: Lab, stream: Stream) -> JsonObject:
    """Fine-tune one copy of the backbone on each task in turn; its weights go when the last task is measured.

    The settings are in the names of the parts and not in the experiment's identity, so that a contrast can be added to
    a stream that is learnt, or changed.
    """
    tuned, count = _TunedCopy(folder.path, lab, stream), len(stream.stages)
    parts = [folder.part(f"{tuned.name}-{i}", partial(tuned.after, i)) for i in range(count)]
    tuned.remove()
    matrix = [part["scores"] for part in parts]
    trials = trial_notes({stage.name: part for stage, part in zip(stream.stages, parts, strict=True)})
    return {**tuned.about, "matrix": matrix, "scores": stream_scores(matrix).as_dict(), "trials": trials}


class _TunedCopy:
    """A copy of the backbone that learns task after task; its weights are kept between tasks, for a killed command.

    Attributes:
        about: method and settings.
        name: of its parts and files, by what decides them.
    """

    def __init__(self, folder: Path, lab: Lab, stream: Stream) -> None:
        self._folder, self._stages, self._progress = folder, stream.stages, lab.progress
        method = METHODS[stream.method]
        config = stream.stages[0].config.model_copy(update={**method.training, **stream.contrast})
        self.about = {
            "method": stream.method,
            "settings": method.settings(),
            "config": config.decisive(),
            "trained_in": training_dtype(config.dtype),
        }
        self.name = f"contrast-{short_hash(self.about)}"
        self._begin = partial(method.begin, lab.backbone, lab.lm, config)
        self._learner: WeightTuning | None = None

    def after(self, i: int) -> JsonObject:
        """Learn task i on top of those before it, and score tasks 0 to i."""
        self._path(i - 2).unlink(missing_ok=True)  # those of i - 1 are needed until the part of i is written
        learner = self._learner = self._learner or self._restored(i - 1)
        for stage in self._stages if i == 0 else ():
            learner.check(stage.card, stage.split.test)
        fit = learner.learn(self._stages[i].card, self._stages[i].split, self._progress)
        scored = [learner.evaluate(stage.card, stage.split.test) for stage in self._stages[: i + 1]]
        write_tensors(self._path(i), {name: p.detach() for name, p in learner.state.items()}, {})
        warnings = [*fit.warnings, *warnings_of(scored[-1].metrics)]
        return {"scores": [*map(score_of, scored)], "warnings": warnings, "notes": list(fit.notes)}

    def remove(self) -> None:
        """Delete the weights, a half-written file too."""
        for path in self._folder.glob(f"{self.name}-*"):
            path.unlink()

    @torch.no_grad()
    def _restored(self, i: int) -> WeightTuning:
        learner = self._begin()
        assert isinstance(learner, WeightTuning)  # noqa: S101 - the contrast tunes weights
        if i >= 0:
            held = load_file(self._path(i))
            for name, parameter in learner.state.items():
                parameter.copy_(held[name])
        return learner

    def _path(self, i: int) -> Path:
        return self._folder / f"{self.name}-{i}.safetensors"
