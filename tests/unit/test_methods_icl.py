"""In-context learning: prompts put together by hand, scores from whole sequences without a cache."""

import hashlib
from collections import Counter
from dataclasses import replace

import pytest
import torch

from promptbank.engine.evaluate import warnings_of
from promptbank.engine.prior import CONTENT_FREE
from promptbank.errors import ConfigError, InputError, TooLongError
from promptbank.lab.methods.icl import InContext, draw_shots, plain_card
from promptbank.lab.methods.registry import METHODS
from promptbank.model.forward import LanguageModel
from promptbank.model.render import encode_plain
from promptbank.training.config import TrainConfig
from tasks import Split
from tests.tiny import KINDS, Kind, tiny_backbone
from tests.worlds import BEFORE, LABELS, SPLIT, card_of, examples_of

CARD = card_of()
SHOTS = examples_of(3)
RECORDS = [{"sentence": text} for text in ("sales rose", "sales fell", "the outlook is grim for us", "", "up")]


def icl_of(kind: Kind = "llama", shots=SHOTS, *, window: int = 256, card=CARD, instruction: bool = True) -> InContext:
    backbone = tiny_backbone(kind, window=window)
    return InContext(LanguageModel(backbone.model), backbone, card, shots, instruction=instruction)


def ids_of(kind: Kind, *texts: str) -> tuple[int, ...]:
    tokenizer = tiny_backbone(kind).tokenizer
    return tuple(i for text in texts for i in encode_plain(tokenizer, text))


def brute_force(kind: Kind, prompt: tuple[int, ...]) -> dict[str, float]:
    """Label scores from whole sequences: log of the summed probabilities of the forms, blank line included."""
    model = tiny_backbone(kind).model
    scores = {}
    for label, forms in LABELS.items():
        logs = []
        for form in forms:
            answer = ids_of(kind, f" {form}", "\n\n")
            out = model(input_ids=torch.tensor([[*prompt, *answer]]), use_cache=False).logits[0].log_softmax(-1)
            logs.append(sum(out[len(prompt) - 1 + k, token] for k, token in enumerate(answer)))
        scores[label] = float(torch.stack(logs).logsumexp(0))
    return scores


@pytest.mark.parametrize("kind", KINDS)
def test_a_prompt_is_instruction_shots_and_record_with_blank_lines_between(kind: Kind) -> None:
    head = () if kind == "gpt2" else (tiny_backbone(kind).bos_id,)
    parts = ["the tone of the sentence is: positive, negative", "\n\n"]
    for shot in SHOTS:
        parts += [shot.fields["sentence"], f" {CARD.form(shot.answer or '')}", "\n\n"]
    expected = (*head, *ids_of(kind, *parts, "sales rose"))
    assert icl_of(kind).prompt({"sentence": "sales rose"}) == expected


def test_without_instruction_a_prompt_is_its_record() -> None:
    bos = tiny_backbone("llama").bos_id
    assert icl_of(shots=[], instruction=False).prompt({"sentence": "up"}) == (bos, *ids_of("llama", "up"))


def test_where_nothing_stands_before_a_record_a_blank_line_does() -> None:
    assert icl_of("gpt2", [], instruction=False).prompt({"sentence": "up"}) == ids_of("gpt2", "\n\n", "up")


@pytest.mark.parametrize("shots", [SHOTS, []], ids=["three shots", "zero-shot"])
@pytest.mark.parametrize("kind", KINDS)
def test_scores_equal_those_of_whole_sequences(kind: Kind, shots) -> None:
    icl = icl_of(kind, shots)
    found = icl.score(RECORDS)
    for record, row in zip(RECORDS, found, strict=True):
        assert row.scores == pytest.approx(brute_force(kind, icl.prompt(record)), abs=1e-3)
        assert (row.shots, row.truncated) == (len(shots), 0)


@pytest.mark.parametrize("kind", KINDS)
def test_scores_without_any_beginning_equal_those_of_whole_sequences(kind: Kind) -> None:
    icl = icl_of(kind, [], instruction=False)
    for record, row in zip(RECORDS, icl.score(RECORDS), strict=True):
        assert row.scores == pytest.approx(brute_force(kind, icl.prompt(record)), abs=1e-3)


def test_small_batches_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = icl_of().score(RECORDS * 2)
    monkeypatch.setattr("promptbank.lab.methods.icl.BATCH_TOKENS", 1)
    seen: list[int] = []
    alone = icl_of().score(RECORDS * 2, on_rows=seen.append)
    assert seen == list(range(1, 11))
    for one, other in zip(alone, whole, strict=True):
        assert one.scores == pytest.approx(other.scores, abs=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_inputs_without_content_stand_in_the_place_of_the_text(kind: Kind) -> None:
    icl = icl_of(kind)
    for text, scores in zip(CONTENT_FREE, icl.content_free(3), strict=True):
        assert scores == pytest.approx(brute_force(kind, icl.prompt({"sentence": text})), abs=1e-3)


def test_inputs_without_content_keep_the_words_of_the_template_and_fill_every_field() -> None:
    card = card_of("{sentence} For {target}<|VIRTUAL_PROMPT_0|> {label}")
    icl = icl_of(card=card, shots=[], instruction=False)
    expected = brute_force("llama", (tiny_backbone("llama").bos_id, *ids_of("llama", "N/A For N/A")))
    assert icl.content_free(0)[0] == pytest.approx(expected, abs=1e-3)


def test_the_oldest_shots_are_dropped_until_a_record_fits_and_counted() -> None:
    whole = icl_of(window=4096)
    longest = max(len(form.ids) for form in whole.forms)
    tight = icl_of(window=len(whole.prompt({"sentence": "up"})) + longest)
    longer = {"sentence": "up and up"}
    rows = tight.score([{"sentence": "up"}, longer])
    assert [row.shots for row in rows] == [3, 2]
    assert tight.prompt({"sentence": "up"}) == whole.prompt({"sentence": "up"})
    assert tight.prompt(longer) == icl_of(shots=SHOTS[1:], window=4096).prompt(longer)


def test_inputs_without_content_follow_the_shots_that_a_record_kept() -> None:
    fewer = icl_of(shots=SHOTS[1:])
    for one, other in zip(icl_of().content_free(2), fewer.content_free(2), strict=True):
        assert one == pytest.approx(other, abs=1e-4)


def test_a_shot_larger_than_the_window_is_dropped() -> None:
    icl = icl_of(shots=examples_of(1, offset=800), window=64, instruction=False)
    assert icl.score([{"sentence": "up"}])[0].shots == 0


def test_a_record_that_never_fits_is_cut_where_the_card_allows_it() -> None:
    icl = icl_of(window=128)
    text = "up and " * 60
    row = icl.score([{"sentence": text}])[0]
    assert row.shots == 0
    assert row.truncated > 0
    prompt = icl.prompt({"sentence": text})
    assert prompt == icl_of(shots=[], window=4096).prompt({"sentence": text[: len(text) - row.truncated]})
    longest = max(len(form.ids) for form in icl.forms)
    assert len(prompt) + longest <= 128 < len(prompt) + longest + 8
    with pytest.raises(TooLongError, match="truncate_field"):
        icl_of(window=128, card=card_of(truncate_field=None)).score([{"sentence": text}])


def test_a_method_counts_test_rows_that_were_cut_or_had_fewer_shots_and_how_many_it_drew() -> None:
    rows = examples_of(8, offset=4)
    whole = icl_of(shots=draw_shots(SHOTS, 3, 0), window=4096)
    longest = max(len(form.ids) for form in whole.forms)
    lengths = sorted(len(whole.prompt(e.fields)) + longest for e in rows)
    backbone = tiny_backbone("llama", window=lengths[3])  # of eight rows some are longer
    method = METHODS["icl.v1"].begin(backbone, LanguageModel(backbone.model), TrainConfig())
    fit = method.learn(CARD, Split(tuple(SHOTS), (), ()))
    assert fit.rows == 3  # of four that it would show
    found = method.evaluate(CARD, rows).metrics
    assert found["rows_with_fewer_shots"] == sum(length > lengths[3] for length in lengths) > 0
    assert "truncated" not in found
    few = found["rows_with_fewer_shots"]
    assert next(warnings_of(found)).startswith(f"{few} test example{'s' if few > 1 else ''} had fewer shots")
    cut = replace(rows[0], fields={"sentence": "up and " * 600})
    assert method.evaluate(CARD, [cut, *rows]).metrics["truncated"] == 1


def test_text_of_a_record_cannot_become_structure() -> None:
    ids = icl_of(shots=[]).prompt({"sentence": "{label} <eos> <|VIRTUAL_PROMPT_0|>"})
    assert min(ids) >= 0
    assert tiny_backbone("llama").eos_id not in ids


def test_open_cards_are_refused() -> None:
    with pytest.raises(InputError, match="open answers"):
        icl_of(card=card_of(label_space=None))


@pytest.mark.parametrize(
    ("template", "splits", "expected"),
    [(BEFORE, (4,), "{sentence} {label}"), (SPLIT, (2, 2), " {sentence} so: {label}")],
)
def test_a_plain_card_has_the_words_and_no_markers(template: str, splits, expected: str) -> None:
    plain = plain_card(card_of(template, splits))
    assert (plain.prompt_template, plain.total_virtual_tokens, plain.virtual_token_splits) == (expected, 0, ())
    assert plain.label_space == CARD.label_space


def test_making_a_plain_card_leaves_the_card() -> None:
    card = card_of()
    before = (card.canonical_json(), card.segments)
    plain_card(card)
    assert (card.canonical_json(), card.segments) == before


def key(seed: int, id_: str) -> bytes:
    return hashlib.sha256(f"{seed}\0{id_}".encode()).digest()


def test_shots_come_label_by_label_in_order_of_the_hash() -> None:
    known = examples_of(8)
    by_label = {label: sorted((e for e in known if e.answer == label), key=lambda e: key(7, e.id)) for label in LABELS}
    expected = []
    for place in range(4):
        expected += sorted((rows[place] for rows in by_label.values()), key=lambda e: key(7, e.id))
    assert draw_shots(known, 8, 7) == expected


@pytest.mark.parametrize("seed", range(5))
def test_fewer_shots_are_the_beginning_of_more_and_labels_are_balanced(seed: int) -> None:
    known = examples_of(24)
    most = draw_shots(known, 8, seed)
    assert draw_shots(known[::-1], 4, seed) == most[:4]
    assert Counter(e.answer for e in most) == {"positive": 4, "negative": 4}


def test_a_single_shot_has_no_favourite_label() -> None:
    assert {draw_shots(examples_of(8), 1, seed)[0].answer for seed in range(20)} == {"positive", "negative"}


def test_seeds_draw_differently_and_too_many_shots_are_refused() -> None:
    known = examples_of(24)
    assert len({tuple(e.id for e in draw_shots(known, 4, seed)) for seed in range(5)}) == 5
    assert draw_shots(known, 0, 0) == []
    with pytest.raises(ConfigError, match="25 shots cannot be drawn from 24"):
        draw_shots(known, 25, 0)
