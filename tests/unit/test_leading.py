"""Kept keys and values of what prompts begin with: the same answers with less read, and never those of another row."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from promptbank.engine.leading import LeadingCache, in_common
from promptbank.engine.predictor import Prediction, PredictionRequest, Predictor, ServedTask
from promptbank.model.forward import Context, LanguageModel
from promptbank.model.inject import PackedBatch
from promptbank.model.prompt_table import PromptTable
from tests.tiny import KINDS, Kind, tiny_backbone
from tests.worlds import AFTER, BEFORE, SENTENCES, SPLIT, card_of, renderer_of

FRAMED = "In one word, the mood of this is<|VIRTUAL_PROMPT_0|> said the company: {sentence}<|VIRTUAL_PROMPT_1|> {label}"


def task_of(kind: Kind, template: str, seed: int, *, deep: bool = False, **keys: object) -> ServedTask:
    backbone = tiny_backbone(kind, window=512)
    splits = (5, 2) if "PROMPT_1" in template else (6,)
    card = card_of(template, splits, taskname=f"task-{seed}", **keys)
    draw = torch.Generator().manual_seed(seed)
    table = PromptTable.of_rows(torch.randn(sum(splits), backbone.hidden_size, generator=draw))
    if deep:
        table = table.of_kind("deep.v1", 2)
        vectors = table.layer_vectors
        assert vectors is not None
        vectors.copy_(torch.randn(vectors.shape, generator=draw))
    return ServedTask(card.taskname, "en", 1, table.sha256, renderer_of(backbone, card), table)


def requests_of(kind: Kind) -> list[PredictionRequest]:
    """Closed and open tasks whose prompts begin with text, with virtual tokens, or with the record's text."""
    tasks = [
        task_of(kind, FRAMED, 1),
        task_of(kind, BEFORE, 2),
        task_of(kind, SPLIT, 3, deep=True),
        task_of(kind, AFTER, 4),
        task_of(kind, FRAMED, 5, label_space=None),
        task_of(kind, AFTER, 6, label_space=None),
    ]
    return [PredictionRequest(tasks[n % 6], {"sentence": SENTENCES[n % 8][0]}) for n in range(24)]


class Reads:
    """A predictor, and the tokens that it reads."""

    def __init__(self, kind: Kind, patch: pytest.MonkeyPatch, most_bytes: int | None = None) -> None:
        self.predictor = Predictor(LanguageModel(tiny_backbone(kind, window=512).model))
        if most_bytes is not None:
            self.predictor.leading = LeadingCache(most_bytes)
        self.tokens = 0
        whole = self.predictor.lm.hidden

        def hidden(packed: PackedBatch, context: Context | None = None, *more: object) -> torch.Tensor:
            self.tokens += int(packed.mask.sum())
            return whole(packed, context, *more)  # type: ignore[arg-type]

        patch.setattr(self.predictor.lm, "hidden", hidden)

    def answers(self, requests: list[PredictionRequest]) -> list[Prediction]:
        found = self.predictor.predict(requests)
        assert all(isinstance(one, Prediction) for one in found)
        return [one for one in found if isinstance(one, Prediction)]


def assert_alike(found: list[Prediction], alone: list[Prediction]) -> None:
    for a, b in zip(found, alone, strict=True):
        assert (a.label, a.text) == (b.label, b.text)
        assert list((a.probabilities or {}).values()) == pytest.approx(list((b.probabilities or {}).values()), abs=1e-4)
        assert a.probability == pytest.approx(b.probability, abs=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_answers_are_the_same_and_less_is_read(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    requests = requests_of(kind)
    plain, kept = Reads(kind, monkeypatch), Reads(kind, monkeypatch, 2**30)
    alone = [plain.answers([request])[0] for request in requests]
    assert_alike(kept.answers(requests), alone)
    leading = kept.predictor.leading
    assert leading is not None
    assert (leading.misses, leading.hits) == (4, 12)  # four tasks begin with something that is kept
    held = [r.task.renderer.leading for r in requests]
    begins = [in_common(one, r.task.renderer.prompt(r.fields).ids) for one, r in zip(held, requests, strict=True)]
    spared = sum(n for n in begins if n >= 4)
    made = sum(len(one) for one in held[:6] if len(one) >= 4)  # for each task once
    assert plain.tokens - kept.tokens == spared - made
    kept.tokens = 0
    assert_alike(kept.answers(requests), alone)
    assert plain.tokens - kept.tokens == spared


def test_a_row_under_the_name_of_another_never_reads_what_that_one_left(monkeypatch: pytest.MonkeyPatch) -> None:
    kept, plain = Reads("llama", monkeypatch, 2**30), Reads("llama", monkeypatch)
    first = task_of("llama", FRAMED, 1)
    second = replace(task_of("llama", FRAMED, 7), taskname=first.taskname)  # the same name, language and version
    fields = {"sentence": SENTENCES[0][0]}
    before = kept.answers([PredictionRequest(first, fields)])
    after = kept.answers([PredictionRequest(second, fields)])
    assert_alike(after, plain.answers([PredictionRequest(second, fields)]))
    assert before[0].probabilities != pytest.approx(after[0].probabilities, abs=1e-3)
    both = kept.answers([PredictionRequest(task, fields) for task in (first, second)])
    assert_alike(both, [*before, *after])


def test_what_was_not_used_for_longest_goes_first() -> None:
    lm = LanguageModel(tiny_backbone("llama").model)
    tables = [task_of("llama", BEFORE, n).table for n in range(3)]
    ids = (2, -1, -2, -3, -4, -5, -6)
    size = LeadingCache(0).of(lm, "0", ids, tables[0]).nbytes
    cache = LeadingCache(2 * size)
    for name in (0, 1, 0, 2, 0, 1):  # 2 drives out 1, and 1 then 2
        cache.of(lm, str(name), ids, tables[name])
    assert (cache.misses, cache.hits, cache.bytes_kept) == (4, 2, 2 * size)
    nothing = LeadingCache(size - 1)
    nothing.of(lm, "0", ids, tables[0])
    assert nothing.bytes_kept == 0


@pytest.mark.parametrize(
    ("beginning", "ids", "count"),
    [((1, 2, 3), (1, 2, 3, 4), 3), ((1, 2, 3), (1, 2, 4), 2), ((1, 2), (1, 2), 1), ((), (1,), 0), ((1,), (2, 3), 0)],
)
def test_of_a_beginning_what_a_prompt_has_in_common_is_taken_and_one_token_is_left(
    beginning: tuple[int, ...], ids: tuple[int, ...], count: int
) -> None:
    assert in_common(beginning, ids) == count


def test_words_that_merge_over_the_border_of_a_field_are_read_again() -> None:
    """ "this" and " this" are one token each; the template ends inside of what the tokenizer joins."""
    task = task_of("llama", "the company said th{sentence}<|VIRTUAL_PROMPT_0|> {label}", 1)
    renderer = task.renderer
    joined = renderer.prompt({"sentence": "is is the year"}).ids
    assert in_common(renderer.leading, joined) < len(renderer.leading)
    lm = LanguageModel(tiny_backbone("llama", window=512).model)
    plain, kept = Predictor(lm), Predictor(lm)
    kept.leading = LeadingCache(2**30)
    request = PredictionRequest(task, {"sentence": "is is the year"})
    (found,), (alone,) = kept.predict([request]), plain.predict([request])
    assert isinstance(found, Prediction)
    assert isinstance(alone, Prediction)
    assert_alike([found], [alone])
    assert kept.leading.misses == 1
