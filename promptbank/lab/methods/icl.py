"""In-context learning with the frozen backbone: zero or more shots in the prompt, nothing trained.

A prompt is ``[BOS][instruction][shot]...[shot][record]``, all but the record followed by a blank line; shots and
records are rendered by the card's template without its virtual tokens. Labels are scored by their whole forms, each
ended by the blank line that ends a shot, in zero-shot too: P(EOS | label) is noise for a model that saw none.
Everything is joined as ids, so the ids of a shot's answer are those of the form that is scored.

The beginning up to the record is the same for all records, so its keys and values are computed once.
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from promptbank.engine.prior import CONTENT_FREE
from promptbank.engine.scoring import ScoringRequest, label_scores, score_forms
from promptbank.errors import ConfigError
from promptbank.lab.methods.classic import label_ids
from promptbank.model.backbone import Backbone
from promptbank.model.forward import LanguageModel, prefill
from promptbank.model.prompt_table import PromptTable
from promptbank.model.render import Form, Renderer, TokenPolicy, encode_plain
from tasks import Example, TaskCard
from tasks.placement import plain_template
from tasks.sampling import sample_key

__all__ = ["SEPARATOR", "InContext", "RecordScores", "draw_shots", "plain_card"]

SEPARATOR = "\n\n"
"""What ends a shot, and every form that is scored."""

BATCH_TOKENS = 4096
"""Most tokens of one forward pass, cached ones included: 0.15 GB of keys and values for gemma-3-270m in float32."""


@dataclass(frozen=True)
class RecordScores:
    """Label scores of one record.

    Attributes:
        scores: log-scores by label id, unnormalised, in the card's order.
        shots: how many stood before it.
        truncated: characters cut from the record because it did not fit even without shots.
    """

    scores: dict[str, float]
    shots: int
    truncated: int = 0


def draw_shots(examples: Sequence[Example], count: int, seed: int) -> list[Example]:
    """Draw shots by hash, balanced over the labels as far as there are examples; return them in prompt order.

    An example's place is decided by sha256 of seed and id. First comes the first example of every label, then the
    second of every label, and so on, each round in order of the hash; so the draw does not depend on the order of the
    examples, fewer shots are the beginning of more, and a single shot has no favourite label.

    Raises:
        ConfigError: there are not so many examples.
    """
    if count > len(examples):
        raise ConfigError(f"{count} shots cannot be drawn from {len(examples)} training rows; ask for fewer")
    seen: Counter[str | None] = Counter()
    places: list[tuple[int, str, Example]] = []
    for key, example in sorted(((sample_key(seed, e.id), e) for e in examples), key=lambda pair: pair[0]):
        places.append((seen[example.answer], key, example))
        seen[example.answer] += 1
    return [example for _, _, example in sorted(places, key=lambda place: place[:2])[:count]]


def plain_card(card: TaskCard) -> TaskCard:
    """Return a card with the same words and no virtual tokens; good for rendering, not for learning."""
    changed = {"prompt_template": plain_template(card), "total_virtual_tokens": 0, "virtual_token_splits": ()}
    return TaskCard.model_validate(card.model_dump() | changed)


@dataclass(frozen=True)
class _Query:
    """A record's ids, how many shots fit before it, and how many of its characters were cut."""

    ids: tuple[int, ...]
    shots: int
    truncated: int


class InContext:
    """A task answered from a prompt of shots.

    Args:
        lm: the backbone, in float32.
        backbone: its tokenizer and window.
        card: a closed card.
        shots: labelled examples in prompt order, the oldest first.
        instruction: begin with the card's description and its label words.

    Raises:
        InputError: the card has no label set.
    """

    def __init__(
        self,
        lm: LanguageModel,
        backbone: Backbone,
        card: TaskCard,
        shots: Sequence[Example],
        *,
        instruction: bool = True,
    ) -> None:
        labels = label_ids(card)
        tokenizer, policy = backbone.tokenizer, TokenPolicy.of(backbone.tokenizer)
        end = tuple(encode_plain(tokenizer, SEPARATOR)) or (policy.eos_id,)
        plain, inner = plain_card(card), replace(policy, bos_id=None)
        self._lm, self._card = lm, card
        self._free = Renderer(plain, tokenizer, inner, sys.maxsize)
        self.forms = tuple(Form(form.label, (*form.ids[:-1], *end)) for form in self._free.forms)
        head: tuple[int, ...] = () if policy.bos_id is None else (policy.bos_id,)
        if instruction:
            words = ", ".join(map(card.form, labels))
            text = f"{card.description}: {words}" if card.description else words
            head = (*head, *encode_plain(tokenizer, text), *end)
        self._begins = _beginnings(head, [self._shot(shot, end) for shot in shots], end)
        self._room = backbone.window - max(len(form.ids) for form in self.forms)
        # the renderer keeps room for forms that end with one token
        self._tight = Renderer(plain, tokenizer, inner, backbone.window - len(self._begins[0]) - len(end) + 1)
        self._caches: dict[int, Tensor] = {}

    def score(
        self, records: Sequence[Mapping[str, str]], *, on_rows: Callable[[int], None] = lambda _: None
    ) -> list[RecordScores]:
        """Score every label for every record, in order.

        Where a prompt does not fit the window, the oldest shots are dropped for that record; where it does not fit
        even without shots, the card's ``truncate_field`` is cut.

        Args:
            records: text fields.
            on_rows: called with the number of records done.

        Raises:
            InputError: a record cannot be rendered, or does not fit.
        """
        queries = [self._query(fields) for fields in records]
        scores = self._scores(queries, on_rows)
        return [RecordScores(s, q.shots, q.truncated) for q, s in zip(queries, scores, strict=True)]

    def content_free(self, shots: int) -> list[dict[str, float]]:
        """Return the label scores of every input of `CONTENT_FREE` after the newest ``shots`` shots.

        The input stands in every text field; the template's own words stay.
        """
        queries = [self._query(dict.fromkeys(self._card.fields, text)) for text in CONTENT_FREE]
        return self._scores([replace(q, shots=min(q.shots, shots)) for q in queries], lambda _: None)

    def prompt(self, fields: Mapping[str, str]) -> tuple[int, ...]:
        """Return the ids of a whole prompt, without its answer."""
        query = self._query(fields)
        return (*self._begins[query.shots], *query.ids)

    def _shot(self, shot: Example, end: tuple[int, ...]) -> tuple[int, ...]:
        answer = self._free.answer(self._card.form(shot.answer or ""))
        return (*self._free.prompt(shot.fields).ids, *answer[:-1], *end)

    def _query(self, fields: Mapping[str, str]) -> _Query:
        ids = self._free.prompt(fields).ids
        for shots in reversed(range(len(self._begins))):
            if len(self._begins[shots]) + len(ids) <= self._room:
                return _Query(ids, shots, 0)
        cut = self._tight.prompt(fields)
        return _Query(cut.ids, 0, cut.truncated)

    def _scores(self, queries: Sequence[_Query], on_rows: Callable[[int], None]) -> list[dict[str, float]]:
        found: dict[int, dict[str, float]] = {}
        for batch in self._batches(queries):
            scored = self._batch(queries[batch[0]].shots, [queries[i].ids for i in batch])
            found.update(zip(batch, scored, strict=True))
            on_rows(len(found))
        return [found[i] for i in range(len(queries))]

    def _batches(self, queries: Sequence[_Query]) -> Iterator[list[int]]:
        """Yield indices of queries that are equally long after the same beginning (see `score_forms`)."""
        alike: dict[tuple[int, int], list[int]] = {}
        for index, query in enumerate(queries):
            alike.setdefault((query.shots, len(query.ids)), []).append(index)
        for (shots, length), group in sorted(alike.items()):
            size = max(1, BATCH_TOKENS // (len(self._begins[shots]) + length))
            yield from (group[start : start + size] for start in range(0, len(group), size))

    def _batch(self, shots: int, sequences: Sequence[tuple[int, ...]]) -> list[dict[str, float]]:
        """Score records after the same beginning, whose last id runs with the record.

        So a record may be empty, and a beginning of one id needs no cache.
        """
        *constant, last = self._begins[shots]
        nothing = PromptTable.empty(self._lm.hidden_size)  # no virtual tokens
        requests = [ScoringRequest((last, *ids), nothing, self.forms) for ids in sequences]
        if constant and shots not in self._caches:
            self._caches[shots] = prefill(self._lm, [constant])[0]
        cached = [self._caches[shots]] * len(sequences) if constant else None
        return [label_scores(self.forms, scores) for scores in score_forms(self._lm, requests, cached)]


def _beginnings(head: tuple[int, ...], shots: Sequence[tuple[int, ...]], end: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Return what stands before a record with the newest 0, 1, ... shots; at least one id, so that forms follow one."""
    newest = [[token for shot in shots[len(shots) - count :] for token in shot] for count in range(len(shots) + 1)]
    return [(*head, *tokens) or end for tokens in newest]
