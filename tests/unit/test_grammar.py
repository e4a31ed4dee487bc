"""Constrained decoding: what an answer may be, on tiny random backbones; the oracle is the parser of the answers."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from promptbank.engine.decoding import BeamSearch, decode
from promptbank.engine.evaluate import evaluate
from promptbank.engine.grammar import GRAMMARS, IntentSlotsGrammar, chunks, constraint_of
from promptbank.engine.predictor import Prediction, PredictionRequest, Predictor, ServedTask
from promptbank.errors import PromptBankError
from promptbank.model.backbone import Backbone
from promptbank.model.forward import LanguageModel
from promptbank.model.inject import PackedBatch
from promptbank.model.prompt_table import PromptTable
from promptbank.model.render import Renderer, TokenPolicy
from tasks import ANSWER_FORMATS, DataError, Example, TaskCard, parse_intent_slots
from tests import worlds
from tests.tiny import KINDS, Kind, tiny_backbone
from tests.worlds import card_of

TEXT = "wake me (please), at five"
BACKBONES = {kind: tiny_backbone(kind, window=2048) for kind in KINDS}


def asks(template: str = "{utterance}<|VIRTUAL_PROMPT_0|>{label}", **keys: object) -> TaskCard:
    raw = {
        "taskname": "asks",
        "label_space": None,
        "truncate_field": None,
        "answer_format": "intent_slots.v1",
        "intents": ["alarm_set", "alarm_query", "väder"],
        "slot_types": ["time", "date"],
    }
    return card_of(template, **raw | keys)


def task_of(
    card: TaskCard, backbone: Backbone = BACKBONES["llama"], *, seed: int = 0, answer_tokens: int = 96
) -> ServedTask:
    policy = TokenPolicy.of(backbone.tokenizer, answer_tokens=answer_tokens)
    renderer = Renderer(card, backbone.tokenizer, policy, backbone.window)
    table = torch.randn(card.total_virtual_tokens, backbone.hidden_size, generator=torch.Generator().manual_seed(seed))
    return ServedTask(card.taskname, card.lang, 1, "0" * 64, renderer, PromptTable.of_rows(table))


def text_of(result: Prediction | Exception) -> str:
    assert isinstance(result, Prediction)
    assert result.text is not None
    return result.text


def allows(task: ServedTask, utterance: str, answer: str) -> bool:
    return worlds.allows(task.renderer, {"utterance": utterance}, answer)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "template", ["{utterance}<|VIRTUAL_PROMPT_0|>{label}", "{utterance}<|VIRTUAL_PROMPT_0|> \n {label}"]
)
@pytest.mark.parametrize(
    ("slots", "allowed"),
    [
        ("None", True),
        ("time(five)", True),
        ("time(me (please), at), date(wake)", True),
        ("time(please)", True),  # the parenthesis after it is the slot's, not the utterance's
        ("time(please), date(at)", True),
        ("time(please))", True),
        ("time((please))", True),
        ("", False),
        ("time()", False),
        ("time( five)", False),
        ("time(fiv)", False),
        ("time(ive)", False),
        ("time(wake please)", False),
        ("time(six)", False),
        ("place(five)", False),
        ("time(five), ", False),
        ("time(five) date(me)", False),
        ("None, time(five)", False),
    ],
)
def test_allowed_is_what_the_format_and_the_utterance_allow(
    kind: Kind, template: str, slots: str, allowed: bool
) -> None:
    task = task_of(asks(template), BACKBONES[kind])
    assert allows(task, TEXT, f"\nIntent: väder\nSlots: {slots}") is allowed


@pytest.mark.parametrize(
    "answer",
    ["\nIntent: alarm\nSlots: None", "Intent: väder\nSlots: None", "\nIntent: väder\nSlots: None\n", "\nIntent: väder"],
)
def test_other_intents_and_other_text_are_not_allowed(answer: str) -> None:
    assert not allows(task_of(asks()), TEXT, answer)


def test_a_value_of_the_utterance_that_would_start_a_slot_is_not_allowed_as_a_value() -> None:
    task = task_of(asks())
    utterance = "say a), date( and stop"
    assert allows(task, utterance, "\nIntent: väder\nSlots: time(say a), date(stop)")
    assert allows(task, utterance, "\nIntent: väder\nSlots: time(a), date)")
    assert not allows(task, utterance, "\nIntent: väder\nSlots: time(a), date()")  # would be read as an empty date


@pytest.mark.parametrize("utterance", ["", "   ", "\n"])
def test_an_empty_utterance_has_no_slots(utterance: str) -> None:
    assert allows(task_of(asks()), utterance, "\nIntent: väder\nSlots: None")
    assert not allows(task_of(asks()), utterance, f"\nIntent: väder\nSlots: time({utterance})")


UTTERANCES = st.text(alphabet='ab (),"}\\\n', max_size=30) | st.text(
    st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=20
)


@settings(max_examples=40)
@given(UTTERANCES, st.integers(0, 50), st.sampled_from(KINDS), st.integers(40, 120))
def test_a_constrained_answer_is_always_readable_and_grounded(
    utterance: str, seed: int, kind: Kind, answer_tokens: int
) -> None:
    backbone = BACKBONES[kind]
    task = task_of(asks(), backbone, seed=seed, answer_tokens=answer_tokens)
    [result] = Predictor(LanguageModel(backbone.model)).predict([PredictionRequest(task, {"utterance": utterance})])
    read = parse_intent_slots(text_of(result), task.renderer.card.slot_types)
    assert read.intent in (task.renderer.card.intents or ())
    assert all(slot.value in utterance for slot in read.slots)


def test_the_constraint_is_what_makes_it_readable_and_can_be_left_out() -> None:
    backbone = BACKBONES["llama"]
    job = PredictionRequest(task_of(asks()), {"utterance": TEXT})
    lm = LanguageModel(backbone.model)
    with pytest.raises(DataError):
        parse_intent_slots(text_of(Predictor(lm, constrained=False).predict([job])[0]))
    parse_intent_slots(text_of(Predictor(lm).predict([job])[0]))


@pytest.mark.parametrize("kind", KINDS)
def test_rows_of_a_mixed_batch_answer_as_they_do_alone(kind: Kind) -> None:
    backbone = BACKBONES[kind]
    free = card_of("{sentence}<|VIRTUAL_PROMPT_0|> {label}", label_space=None, taskname="gist")
    constrained = [task_of(asks(), backbone, seed=seed) for seed in (1, 2)]
    jobs = [
        PredictionRequest(constrained[0], {"utterance": TEXT}),
        PredictionRequest(task_of(free, backbone, seed=3), {"sentence": "the company said"}),
        PredictionRequest(task_of(card_of(), backbone, seed=4), {"sentence": "the outlook is positive"}),
        PredictionRequest(constrained[1], {"utterance": "stop"}),
    ]
    predictor = Predictor(LanguageModel(backbone.model))
    together = predictor.predict(jobs)
    alone = [predictor.predict([job])[0] for job in jobs]
    assert [getattr(p, "text", 0) for p in together] == [getattr(p, "text", 0) for p in alone]
    assert [getattr(p, "label", 0) for p in together] == [getattr(p, "label", 0) for p in alone]


def test_a_record_without_a_grammar_has_its_error_in_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    lark = IntentSlotsGrammar.lark

    def broken(self: IntentSlotsGrammar, card: TaskCard, text: str, lead: str) -> str:
        return "start: (" if text == "too much" else lark(self, card, text, lead)

    monkeypatch.setattr(IntentSlotsGrammar, "lark", broken)
    jobs = [PredictionRequest(task_of(asks()), {"utterance": text}) for text in ("too much", TEXT, "too much")]
    predictor = Predictor(LanguageModel(BACKBONES["llama"].model))
    first, good, last = predictor.predict(jobs)
    assert [type(first), type(last)] == [PromptBankError, PromptBankError]
    assert "no grammar can be made" in str(first)
    assert text_of(good) == text_of(predictor.predict(jobs[1:2])[0])
    assert [type(error) for error in predictor.predict(jobs[::2])] == [PromptBankError, PromptBankError]


def test_what_was_cut_from_a_text_is_no_value_of_its_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    lark = IntentSlotsGrammar.lark

    def noted(self: IntentSlotsGrammar, card: TaskCard, text: str, lead: str) -> str:
        seen.append(text)
        return lark(self, card, text, lead)

    monkeypatch.setattr(IntentSlotsGrammar, "lark", noted)
    long = "wake me " * 600
    [result] = Predictor(LanguageModel(BACKBONES["llama"].model)).predict(
        [PredictionRequest(task_of(asks(truncate_field="utterance")), {"utterance": long})]
    )
    assert isinstance(result, Prediction)
    assert result.truncated > 0
    assert seen == [long[: -result.truncated]]


class Fixed:
    """Allows what a script says, and notes what was taken."""

    def __init__(self, script: list[list[int]], *, gathers: bool = False) -> None:
        self.script, self.gathers = script, gathers
        self.taken: list[int] = []

    def allowed(self) -> torch.Tensor:
        return torch.tensor(self.script[len(self.taken)])

    def advance(self, token: int) -> None:
        self.taken.append(token)


SCRIPTS = [
    [[30, 40, 50], [9, 299], [1]],
    [[8], [9], [30, 40, 50], [11], [12], [9, 299], [13], [1]],
    [[8], [31, 41], [1, 7], [9, 299], [1]],
    [[8], [9], [1]],
]


@torch.no_grad()
def best_of(backbone: Backbone, prompt: tuple[int, ...], script: list[list[int]]) -> list[int]:
    """Brute force over the whole sequence, no cache."""
    found: list[int] = []
    for ids in script:
        logits = backbone.model(input_ids=torch.tensor([[*prompt, *found]])).logits[0, -1]
        found.append(max(ids, key=lambda token: float(logits[token])))
        if found[-1] == 1:
            break
    return found


@pytest.mark.parametrize("gathers", [[False] * 4, [True] * 4, [True, False, True, False]])
@pytest.mark.parametrize("kind", KINDS)
def test_of_the_allowed_ids_the_most_probable_is_chosen(kind: Kind, gathers: list[bool]) -> None:
    backbone = BACKBONES[kind]
    lm = LanguageModel(backbone.model)
    prompts = [(5, 6, 7), (5, 6), (9, 8, 7, 6), (4,)]
    constraints = [Fixed(script, gathers=own) for script, own in zip(SCRIPTS, gathers, strict=True)]
    *kept, free = decode(lm, [*prompts, (5, 6, 7)], 1, BeamSearch.greedy(9), constraints=[*constraints, None])
    expected = [best_of(backbone, prompt, script) for prompt, script in zip(prompts, SCRIPTS, strict=True)]
    assert [[*one.ids] for one in kept] == [one.taken for one in constraints] == expected
    assert free.ids == decode(lm, [(5, 6, 7)], 1, BeamSearch.greedy(9))[0].ids


def test_a_constraint_goes_with_a_beam_of_one_only() -> None:
    lm = LanguageModel(BACKBONES["llama"].model)
    with pytest.raises(ValueError, match="a constraint follows one hypothesis, and the beam has 2"):
        decode(lm, [(5, 6)], 1, BeamSearch(beam=2), constraints=[Fixed(SCRIPTS[0])])


@pytest.mark.parametrize("gathers", [False, True])
@torch.no_grad()
def test_the_score_under_a_constraint_is_taken_over_what_it_allowed(gathers: bool) -> None:
    lm, prompt, script = LanguageModel(BACKBONES["llama"].model), (5, 6), [[7, 8, 9], [10], [11, 12], [1]]
    (found,) = decode(lm, [prompt], 1, BeamSearch.greedy(9), constraints=[Fixed(script, gathers=gathers)])
    total = 0.0
    for place, ids in enumerate(script):
        logits = lm.model(input_ids=torch.tensor([[*prompt, *found.ids[:place]]])).logits[0, -1, ids]
        total += float(logits.log_softmax(0)[ids.index(found.ids[place])])
    assert found.score == pytest.approx(total / 4, abs=1e-4)


@pytest.mark.parametrize(("script", "passes"), [(SCRIPTS[0], [2, 1]), (SCRIPTS[1], [4, 3]), (SCRIPTS[3], [])])
def test_tokens_without_a_choice_take_no_pass_of_their_own(
    script: list[list[int]], passes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    backbone = BACKBONES["llama"]
    lm = LanguageModel(backbone.model)
    hidden, widths = lm.hidden, []

    def counted(packed: PackedBatch, *arguments: Any) -> torch.Tensor:
        widths.append(packed.ids.shape[1])
        return hidden(packed, *arguments)

    monkeypatch.setattr(lm, "hidden", counted)
    (answer,) = decode(lm, [(5, 6)], 1, BeamSearch.greedy(9), constraints=[Fixed(script)])
    assert widths == passes  # positions of each
    (cut,) = decode(lm, [(5, 6)], 1, BeamSearch.greedy(2), constraints=[Fixed(script)])
    assert cut.ids == answer.ids[:2]


@pytest.mark.parametrize(
    ("cut", "closed"),
    [
        ("", "\nIntent: alarm_set\nSlots: None"),
        ("\nInt", "\nIntent: alarm_set\nSlots: None"),
        ("\nIntent: alarm_q", "\nIntent: alarm_query\nSlots: None"),
        ("\nIntent: väder\nSl", "\nIntent: väder\nSlots: None"),
        ("\nIntent: väder\nSlots: ", "\nIntent: väder\nSlots: None"),
        ("\nIntent: väder\nSlots: No", "\nIntent: väder\nSlots: None"),
        ("\nIntent: väder\nSlots: time(wake", "\nIntent: väder\nSlots: None"),
        ("\nIntent: väder\nSlots: time(me), da", "\nIntent: väder\nSlots: time(me)"),
        ("\nIntent: väder\nSlots: time(me (please), date(at", "\nIntent: väder\nSlots: time(me (please)"),
        ("\nIntent: väder\nSlots: time(me), date(five)", "\nIntent: väder\nSlots: time(me), date(five)"),
        ("\nIntent: väder\nSlots: None", "\nIntent: väder\nSlots: None"),
    ],
)
def test_an_answer_that_was_cut_off_is_closed_after_its_last_whole_slot(cut: str, closed: str) -> None:
    assert GRAMMARS["intent_slots.v1"].closed(asks(), cut) == closed


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("wake  me, o'clock 6.30", ["wake", "  ", "me", ",", " ", "o", "'", "clock", " ", "6", ".", "30"]),
        ("väck_mig", ["väck_mig"]),
        ("明日 the", ["明", "日", " ", "the"]),
        ("हिन्दी में", ["हिन्दी", " ", "में"]),  # marks belong to their words
        ("", []),
    ],
)
def test_pieces_are_words_where_there_are_spaces(text: str, pieces: list[str]) -> None:
    assert chunks(text) == pieces
    assert "".join(pieces) == text


def test_every_answer_format_has_a_grammar() -> None:
    assert GRAMMARS.keys() == ANSWER_FORMATS.keys()


def test_a_card_without_an_answer_format_has_no_constraint() -> None:
    task = task_of(card_of("{sentence}<|VIRTUAL_PROMPT_0|> {label}", label_space=None))
    assert constraint_of(task.renderer, {"sentence": "x"}) is None


def test_a_tokenizer_that_cannot_be_read_is_told_and_leaves_answers_free(caplog: pytest.LogCaptureFixture) -> None:
    class Slow:
        pass

    task = task_of(asks())
    task.renderer.tokenizer = Slow()  # type: ignore[assignment]  # a tokenizer without a fast backend
    with caplog.at_level(logging.WARNING):
        assert constraint_of(task.renderer, {"utterance": "x"}) is None
    assert "answers of Slow cannot be constrained" in caplog.text


def test_a_grammar_that_cannot_be_made_is_an_error_that_names_the_card(monkeypatch: pytest.MonkeyPatch) -> None:
    class Wrong:
        def lark(self, card: TaskCard, text: str, lead: str) -> str:
            return "start: nonsense"

    monkeypatch.setitem(GRAMMARS, "intent_slots.v1", Wrong())
    with pytest.raises(PromptBankError, match="no grammar can be made for an answer of asks:en"):
        constraint_of(task_of(asks()).renderer, {"utterance": "x"})


def example(number: int, utterance: str, answer: str) -> Example:
    fields: Mapping[str, str] = {"utterance": utterance}
    return Example(
        id=str(number),
        group=str(number),
        taskname="asks",
        lang="en",
        fields=fields,
        answer=answer,
        source=f"m:{number}",
    )


def test_evaluation_scores_intents_and_slots() -> None:
    task, lm = task_of(asks()), LanguageModel(BACKBONES["llama"].model)
    said = text_of(Predictor(lm).predict([PredictionRequest(task, {"utterance": TEXT})])[0])
    gold = [example(0, TEXT, said), example(1, TEXT, re.sub("Intent: .*", "Intent: other", said))]
    metrics = evaluate(Predictor(lm), task, gold).metrics
    keys = "n intent_accuracy slot_precision slot_recall slot_f1 span_f1 exact_match grounded parsed"
    assert list(metrics) == [*keys.split(), "collapse"]  # the one intent that it names is right for one of two
    assert (metrics["n"], metrics["intent_accuracy"], metrics["exact_match"]) == (2, 0.5, 0.5)
    assert (metrics["grounded"], metrics["parsed"]) == (1, 1)
    assert evaluate(Predictor(lm, constrained=False), task, gold).metrics["parsed"] == 0


def test_gold_that_cannot_be_read_is_refused_with_its_place() -> None:
    task, lm = task_of(asks()), LanguageModel(BACKBONES["llama"].model)
    with pytest.raises(DataError, match=r"m:1: the answer is no intent_slots.v1: character 0"):
        evaluate(Predictor(lm), task, [example(0, TEXT, "\nIntent: a\nSlots: None"), example(1, TEXT, "positive")])
