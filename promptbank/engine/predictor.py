"""Records of any tasks to predictions: batches by length, mixed tasks in one batch, results in the order asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from promptbank.engine.generation import generate
from promptbank.engine.grammar import GRAMMARS, Constraint, constraint_of
from promptbank.engine.scoring import ScoringRequest, label_scores, score_forms
from promptbank.errors import PromptBankError
from promptbank.model.forward import LanguageModel
from promptbank.model.render import RenderedPrompt, Renderer

__all__ = ["Prediction", "PredictionRequest", "Predictor", "ServedTask"]


@dataclass(frozen=True, eq=False)
class ServedTask:
    """A task as it is served: which row, its renderer, its virtual tokens.

    Attributes:
        taskname: of the row.
        lang: of the row.
        version: of the row.
        sha256: of the row's bytes.
        renderer: from the card and policy stored with the row.
        table: float32 (V, H).
    """

    taskname: str
    lang: str
    version: int
    sha256: str
    renderer: Renderer
    table: Tensor


@dataclass(frozen=True, eq=False)
class PredictionRequest:
    """One record to be answered by one task."""

    task: ServedTask
    fields: Mapping[str, str]


@dataclass(frozen=True)
class Prediction:
    """The answer to one record; the object that CLI and HTTP return.

    Attributes:
        taskname: task that answered.
        lang: its language.
        version: version of its row.
        sha256: of the row's bytes.
        label: most probable label; None for open answers.
        probabilities: p(label | record) over the label set; None for open answers.
        margin: difference of the two highest probabilities; None for open answers or a single label.
        text: generated answer; None for closed tasks.
        truncated: characters cut from the record to fit the window.
    """

    taskname: str
    lang: str
    version: int
    sha256: str
    label: str | None = None
    probabilities: dict[str, float] | None = None
    margin: float | None = None
    text: str | None = None
    truncated: int = 0

    def as_dict(self) -> dict[str, object]:
        """Return what applies: label fields or text, and ``truncated`` only when something was cut."""
        out: dict[str, object] = {
            "taskname": self.taskname,
            "lang": self.lang,
            "version": self.version,
            "sha256": self.sha256,
        }
        if self.text is not None:
            out["text"] = self.text
        else:
            out |= {"label": self.label, "probabilities": self.probabilities, "margin": self.margin}
        return out | ({"truncated": self.truncated} if self.truncated else {})


class Predictor:
    """Answers jobs in batches.

    Args:
        lm: the backbone.
        batch_tokens: most padded tokens of one batch; one longer prompt still runs alone.
        constrained: whether open answers of a card with an answer format must follow it.
    """

    def __init__(self, lm: LanguageModel, *, batch_tokens: int = 4096, constrained: bool = True) -> None:
        self.lm = lm
        self._batch_tokens = batch_tokens
        self.constrained = constrained

    def predict(self, jobs: Sequence[PredictionRequest]) -> list[Prediction | PromptBankError]:
        """Answer every job; a record that cannot be rendered, or held to a grammar, yields its error in its place."""
        results: list[Prediction | PromptBankError | None] = [None] * len(jobs)
        rendered: dict[int, RenderedPrompt] = {}
        for index, job in enumerate(jobs):
            try:
                rendered[index] = job.task.renderer.prompt(job.fields)
            except PromptBankError as exc:
                results[index] = exc
        for is_open in (False, True):
            chosen = [i for i in rendered if jobs[i].task.renderer.card.is_open is is_open]
            for batch in self._batches(chosen, rendered, jobs):
                prompts = [rendered[i] for i in batch]
                answer = self._generate if is_open else self._score
                for i, prediction in zip(batch, answer([jobs[i] for i in batch], prompts), strict=True):
                    results[i] = prediction
        return [result for result in results if result is not None]

    def _batches(
        self, chosen: list[int], rendered: Mapping[int, RenderedPrompt], jobs: Sequence[PredictionRequest]
    ) -> list[list[int]]:
        """Group jobs of like length under the token budget; open answers of different policies stay apart."""
        batches: list[list[int]] = []

        def key(i: int) -> tuple[int, int, int]:
            policy = jobs[i].task.renderer.policy
            return (policy.eos_id, policy.answer_tokens, len(rendered[i].ids))

        for index in sorted(chosen, key=lambda i: (key(i), i)):
            fits = batches and (len(batches[-1]) + 1) * len(rendered[index].ids) <= self._batch_tokens
            if fits and key(batches[-1][0])[:2] == key(index)[:2]:
                batches[-1].append(index)
            else:
                batches.append([index])
        return batches

    def _score(self, jobs: Sequence[PredictionRequest], prompts: Sequence[RenderedPrompt]) -> list[Prediction]:
        table, offsets = stack_tables([job.task for job in jobs])
        requests = [
            ScoringRequest(prompt.ids, offset, job.task.renderer.forms)
            for job, prompt, offset in zip(jobs, prompts, offsets, strict=True)
        ]
        scored = score_forms(self.lm, table, requests)
        return [
            _closed(job.task, prompt, label_scores(job.task.renderer.forms, scores))
            for job, prompt, scores in zip(jobs, prompts, scored, strict=True)
        ]

    def _generate(
        self, jobs: Sequence[PredictionRequest], prompts: Sequence[RenderedPrompt]
    ) -> list[Prediction | PromptBankError]:
        found: list[Prediction | PromptBankError | None] = [None] * len(jobs)
        held: dict[int, Constraint | None] = {}
        for n, (job, prompt) in enumerate(zip(jobs, prompts, strict=True)):
            try:
                held[n] = self._constraint(job, prompt)
            except PromptBankError as exc:
                found[n] = exc
        if held:
            answers = self._texts([jobs[n] for n in held], [prompts[n] for n in held], list(held.values()))
            for n, answer in zip(held, answers, strict=True):
                found[n] = answer
        return [one for one in found if one is not None]

    def _constraint(self, job: PredictionRequest, prompt: RenderedPrompt) -> Constraint | None:
        renderer = job.task.renderer
        return constraint_of(renderer, renderer.kept(job.fields, prompt)) if self.constrained else None

    def _texts(
        self,
        jobs: Sequence[PredictionRequest],
        prompts: Sequence[RenderedPrompt],
        constraints: Sequence[Constraint | None],
    ) -> list[Prediction]:
        table, offsets = stack_tables([job.task for job in jobs])
        policy = jobs[0].task.renderer.policy
        answers = generate(
            self.lm,
            table,
            [prompt.ids for prompt in prompts],
            offsets,
            eos_id=policy.eos_id,
            max_tokens=policy.answer_tokens,
            constraints=constraints,
        )
        return [
            Prediction(*_identity(job.task), text=_text(job.task, ids, constraint), truncated=prompt.truncated)
            for job, prompt, ids, constraint in zip(jobs, prompts, answers, constraints, strict=True)
        ]


def stack_tables(tasks: Sequence[ServedTask]) -> tuple[Tensor, list[int]]:
    """Put the tables of a batch's tasks below each other, each once.

    Returns:
        (R, H) table, and for each entry of ``tasks`` where its rows start.
    """
    starts: dict[int, int] = {}
    tables: list[Tensor] = []
    size = 0
    for task in tasks:
        if id(task) not in starts:
            starts[id(task)] = size
            tables.append(task.table)
            size += len(task.table)
    return torch.cat(tables), [starts[id(task)] for task in tasks]


def _identity(task: ServedTask) -> tuple[str, str, int, str]:
    return task.taskname, task.lang, task.version, task.sha256


def _text(task: ServedTask, ids: Sequence[int], constraint: Constraint | None) -> str:
    """Decode an answer; one that was cut off under a constraint is closed."""
    text, card = task.renderer.text(ids), task.renderer.card
    return text if constraint is None or card.answer_format is None else GRAMMARS[card.answer_format].closed(card, text)


def _closed(task: ServedTask, prompt: RenderedPrompt, scores: Mapping[str, float]) -> Prediction:
    prior = task.renderer.policy.log_prior or {}
    values = torch.tensor([s - prior.get(label, 0.0) for label, s in scores.items()], dtype=torch.float64).softmax(0)
    probabilities = dict(zip(scores, values.tolist(), strict=True))
    ranked = sorted(probabilities.values(), reverse=True)
    return Prediction(
        *_identity(task),
        label=max(probabilities, key=probabilities.__getitem__),
        probabilities=probabilities,
        margin=ranked[0] - ranked[1] if len(ranked) > 1 else None,
        truncated=prompt.truncated,
    )
