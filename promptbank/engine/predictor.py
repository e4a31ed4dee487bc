"""Records of any tasks to predictions: batches by length, mixed tasks in one batch, results in the order asked."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property

import torch
from torch import Tensor

from promptbank.engine.decoding import AllTokens, BeamSearch, DecodedSequence, DecodingBatch, Search
from promptbank.engine.grammar import GRAMMARS, TokenConstraint, constraint_of
from promptbank.engine.leading import LEAST_TOKENS, LeadingCache, in_common
from promptbank.engine.scoring import ScoringRequest, label_scores, score_forms
from promptbank.errors import PromptBankError
from promptbank.model.forward import LanguageModel, prefill
from promptbank.model.prompt_table import PromptTable
from promptbank.model.render import RenderedPrompt, Renderer

__all__ = ["Prediction", "PredictionRequest", "Predictor", "PreparedRequest", "ServedTask"]


SHARED_TOKENS = 16
"""Least tokens that several prompts begin with for which a pass of their own pays."""


@dataclass(frozen=True, eq=False)
class ServedTask:
    """A stored row that is ready to answer: its names, the sha256 of its bytes, its renderer and its prompt table."""

    taskname: str
    lang: str
    version: int
    sha256: str
    renderer: Renderer
    table: PromptTable


@dataclass(frozen=True, eq=False)
class PredictionRequest:
    """One record to be answered by one task.

    Attributes:
        labels: those of the task that may be answered, by id; None for all.
        answer_tokens: most tokens of an open answer, the end token included; None for as many as the row's policy says.
        asked_lang: the language that was asked for, where the task's fallback language answers.
    """

    task: ServedTask
    fields: Mapping[str, str]
    labels: frozenset[str] | None = None
    answer_tokens: int | None = None
    asked_lang: str | None = None


@dataclass(frozen=True)
class Prediction:
    """The answer to one record and the row that gave it; the object that CLI and HTTP return.

    Attributes:
        label: most probable label; None for open answers.
        probabilities: p(label | record) over the label set; None for open answers.
        margin: difference of the two highest probabilities; None for open answers or a single label.
        text: generated answer; None for closed tasks.
        probability: p(text | record); of an answer with a format, among the answers that the format allows token by
            token; None for closed tasks.
        truncated: characters cut from the record to fit the window.
        ids: tokens of an open answer, the end token last unless a limit cut it; not shown.
        asked_lang: the language that was asked for, where the task's fallback language answered; ``lang`` is the row's.
    """

    taskname: str
    lang: str
    version: int
    sha256: str
    label: str | None = None
    probabilities: dict[str, float] | None = None
    margin: float | None = None
    text: str | None = None
    probability: float | None = None
    truncated: int = 0
    ids: tuple[int, ...] = ()
    asked_lang: str | None = None

    def as_dict(self) -> dict[str, object]:
        """Return what applies: label fields or text, ``truncated`` only when something was cut, and so on."""
        unused = {"text", "probability"} if self.text is None else {"label", "probabilities", "margin"}
        unused |= {"ids"} if self.truncated else {"ids", "truncated"}
        unused |= set() if self.asked_lang else {"asked_lang"}
        return {name: value for name, value in asdict(self).items() if name not in unused}


@dataclass(frozen=True, eq=False)
class PreparedRequest:
    """A request's task, its prompt as ids, and what its answer is held to; see `PredictionRequest`."""

    task: ServedTask
    prompt: RenderedPrompt
    constraint: TokenConstraint | None
    labels: frozenset[str] | None = None
    answer_tokens: int | None = None
    asked_lang: str | None = None

    @property
    def row(self) -> tuple[str, str, int, str]:
        """What names the row that answers."""
        return self.task.taskname, self.task.lang, self.task.version, self.task.sha256

    @property
    def is_open(self) -> bool:
        """Whether the answer is written token by token; those of closed tasks are scored."""
        return self.task.renderer.card.is_open

    @property
    def tokens(self) -> int:
        """Length of the prompt, virtual tokens included."""
        return len(self.prompt.ids)

    @cached_property
    def beginning(self) -> tuple[int, ...]:
        """What stands before the first virtual token, the same for all tasks that ask about one text in one frame.

        Without virtual tokens that is all but the last token, which is left to be read for the answer.
        """
        return self.prompt.ids[: min(self.prompt.constant, self.tokens - 1)]

    def search(self, place: int = 0) -> Search:
        """Return a new search for an open answer."""
        policy = self.task.renderer.policy
        how = BeamSearch.greedy(min(self.answer_tokens or policy.answer_tokens, policy.answer_tokens))
        return Search(place, self.prompt.ids, how, policy.eos_id, self.constraint and self.constraint.copy())

    def written(self, found: DecodedSequence) -> Prediction:
        """Return the open answer that was found; one that was cut off under a constraint is closed."""
        text, card = self.task.renderer.text(found.ids), self.task.renderer.card
        if self.constraint is not None:
            text = GRAMMARS[card.answer_format or ""].closed(card, text)
        probability = math.exp(found.score * len(found.ids))
        return Prediction(
            *self.row,
            text=text,
            probability=probability,
            truncated=self.prompt.truncated,
            ids=found.ids,
            asked_lang=self.asked_lang,
        )

    def begun(self, ids: Sequence[int]) -> str:
        """Return what further tokens leave as it is of an open answer; under a constraint they may change all of it."""
        return "" if self.constraint else self.task.renderer.begun(ids)


class Predictor:
    """Answers requests in batches.

    Args:
        lm: the backbone.
        batch_tokens: most padded tokens of one batch; one longer prompt still runs alone.
        constrained: whether open answers of a card with an answer format must follow it.

    Attributes:
        leading: keeps what prompts begin with; None, as it is at first, for nothing.
    """

    leading: LeadingCache | None = None

    def __init__(self, lm: LanguageModel, *, batch_tokens: int = 4096, constrained: bool = True) -> None:
        self.lm = lm
        self._batch_tokens = batch_tokens
        self.constrained = constrained

    def predict(self, requests: Sequence[PredictionRequest]) -> list[Prediction | PromptBankError]:
        """Answer every request, in order.

        A record that cannot be rendered, or held to its answer format, yields its error in its place.
        """
        results: list[Prediction | PromptBankError | None] = [None] * len(requests)
        prepared: dict[int, PreparedRequest] = {}
        for index, request in enumerate(requests):
            try:
                prepared[index] = self.prepare(request)
            except PromptBankError as exc:
                results[index] = exc
        for batch in self._batches(prepared):
            chosen = [prepared[i] for i in batch]
            answer = self.texts if chosen[0].is_open else self.labels
            for i, prediction in zip(batch, answer(chosen), strict=True):
                results[i] = prediction
        return [result for result in results if result is not None]

    def prepare(self, request: PredictionRequest) -> PreparedRequest:
        """Render a request.

        Raises:
            PromptBankError: the record cannot be rendered, or not held to its answer format.
        """
        renderer = request.task.renderer
        prompt = renderer.prompt(request.fields)
        held = self.constrained and renderer.card.is_open
        kept = renderer.kept(request.fields, prompt)
        constraint = constraint_of(renderer, kept) if held else None
        return PreparedRequest(
            request.task, prompt, constraint, request.labels, request.answer_tokens, request.asked_lang
        )

    def _batches(self, prepared: Mapping[int, PreparedRequest]) -> list[list[int]]:
        """Group requests of one kind of answer and of like length under the token budget."""
        batches: list[list[int]] = []
        for index in sorted(prepared, key=lambda i: (prepared[i].is_open, prepared[i].tokens, i)):
            fits = batches and (len(batches[-1]) + 1) * prepared[index].tokens <= self._batch_tokens
            if fits and prepared[batches[-1][0]].is_open == prepared[index].is_open:
                batches[-1].append(index)
            else:
                batches.append([index])
        return batches

    def labels(self, batch: Sequence[PreparedRequest]) -> list[Prediction]:
        """Answer requests of closed tasks together; what several prompts begin with is read once."""
        led = self._led(batch)
        texts = self._texts(batch, led)
        led = {n: kv for n, kv in led.items() if n not in texts}
        others = dict.fromkeys(n for n in range(len(batch)) if n not in texts and n not in led)
        found: dict[int, Prediction] = {}
        for part in (texts, led, others):  # what is left to be read is of like length in each part
            held = None if part is others else [kv for kv in part.values() if kv is not None]
            found.update(zip(part, self._closed([batch[n] for n in part], held) if part else (), strict=True))
        return [found[n] for n in range(len(batch))]

    def _texts(self, batch: Sequence[PreparedRequest], led: Mapping[int, Tensor]) -> dict[int, Tensor]:
        """Read once what several prompts begin with before their virtual tokens, the text that many tasks ask about.

        Returns:
            Its keys and values, by places in the batch, where it is longer than what is kept of the task.
        """
        longer = {n: one for n, one in enumerate(batch) if n not in led or led[n].shape[-2] < len(one.beginning)}
        counted = Counter(one.beginning for one in longer.values())
        shared = [ids for ids, count in counted.items() if count > 1 and len(ids) >= SHARED_TOKENS]
        read = dict(zip(shared, prefill(self.lm, shared), strict=True)) if shared else {}
        return {n: read[one.beginning] for n, one in longer.items() if one.beginning in read}

    def _led(self, batch: Sequence[PreparedRequest]) -> dict[int, Tensor]:
        """Return kept keys and values of what prompts begin with, by their places in the batch."""
        found: dict[int, Tensor] = {}
        for n, one in enumerate(batch if self.leading else ()):
            leading = one.task.renderer.leading
            count = in_common(leading, one.prompt.ids)
            if self.leading and count >= LEAST_TOKENS:
                kept = self.leading.of(self.lm, one.task.sha256, leading, one.task.table)
                found[n] = kept[..., :count, :]
        return found

    def led(self, batch: Sequence[PreparedRequest]) -> list[Tensor] | None:
        """Return kept keys and values of what each prompt begins with, of no token for some; None if none has any."""
        found = self._led(batch)
        none = next(iter(found.values()))[..., :0, :] if found else None
        return None if none is None else [found.get(n, none) for n in range(len(batch))]

    def _closed(self, batch: Sequence[PreparedRequest], held: Sequence[Tensor] | None) -> list[Prediction]:
        lengths = [kv.shape[-2] for kv in held] if held else [0] * len(batch)
        requests = [
            ScoringRequest.of(one.prompt.ids[start:], one.task.table, one.task.renderer)
            for one, start in zip(batch, lengths, strict=True)
        ]
        scored = zip(batch, score_forms(self.lm, requests, held), strict=True)
        return [_closed(one, label_scores(one.task.renderer.forms, scores)) for one, scores in scored]

    def texts(self, batch: Sequence[PreparedRequest]) -> list[Prediction]:
        """Answer requests of open tasks in one batch."""
        searches = [one.search(n) for n, one in enumerate(batch)]
        decoding = DecodingBatch(self.lm, AllTokens(self.lm))
        decoding.admit(searches, [one.task.table for one in batch], self.led(batch))
        while decoding.going:
            decoding.step()
        return [one.written(search.best()) for one, search in zip(batch, searches, strict=True)]


def _closed(one: PreparedRequest, scores: Mapping[str, float]) -> Prediction:
    prior = one.task.renderer.policy.log_prior or {}
    scores = {label: score for label, score in scores.items() if one.labels is None or label in one.labels}
    values = torch.tensor([s - prior.get(label, 0.0) for label, s in scores.items()], dtype=torch.float64).softmax(0)
    probabilities = dict(zip(scores, values.tolist(), strict=True))
    ranked = sorted(probabilities.values(), reverse=True)
    return Prediction(
        *one.row,
        label=max(probabilities, key=probabilities.__getitem__),
        probabilities=probabilities,
        margin=ranked[0] - ranked[1] if len(ranked) > 1 else None,
        truncated=one.prompt.truncated,
        asked_lang=one.asked_lang,
    )
