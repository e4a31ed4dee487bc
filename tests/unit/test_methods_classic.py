"""Majority and TF-IDF: hand-made rows, and scikit-learn put together by hand."""

import sys
from collections.abc import Sequence

import pytest

from promptbank.engine.evaluate import score_texts
from promptbank.errors import InputError, PromptBankError, TrainingError
from promptbank.lab.methods.classic import CLASSICAL, Majority, TfidfLogistic
from tasks import Example, IntentSlots, parse_intent_slots
from tests.worlds import card_of, examples_of

CARD = card_of()


def rows(pairs: Sequence[tuple[str, str]]) -> list[Example]:
    return [
        Example(id=f"r{n}", group=f"r{n}", taskname="mood", lang="en", fields={"sentence": text}, answer=label)
        for n, (text, label) in enumerate(pairs)
    ]


def test_majority_answers_the_most_frequent_label() -> None:
    known = rows([("x", "negative"), ("y", "positive"), ("z", "negative")])
    assert Majority.fit(CARD, known).predict(known) == ["negative"] * 3


@pytest.mark.parametrize("order", [1, -1])
def test_majority_breaks_a_tie_by_the_card_whatever_the_order_of_the_rows(order: int) -> None:
    known = rows([("x", "negative"), ("y", "positive")])[::order]
    assert Majority.fit(CARD, known).label == "positive"


def test_tfidf_learns_words_that_tell_the_labels_apart() -> None:
    pytest.importorskip("sklearn")
    known = rows([("profit rose", "positive"), ("profit fell", "negative")] * 4)
    asked = rows([("orders rose", "?"), ("orders fell", "?"), ("rose", "?")])
    assert TfidfLogistic.fit(CARD, known).predict(asked) == ["positive", "negative", "positive"]


def test_tfidf_tells_word_pairs_apart() -> None:
    pytest.importorskip("sklearn")
    known = rows([("not good but bad", "negative"), ("not bad but good", "positive")] * 4)
    assert TfidfLogistic.fit(CARD, known).predict(rows([("not good", "?"), ("not bad", "?")])) == [
        "negative",
        "positive",
    ]


def test_tfidf_is_the_pipeline_of_scikit_learn() -> None:
    text = pytest.importorskip("sklearn.feature_extraction.text")
    linear = pytest.importorskip("sklearn.linear_model")
    known, asked = examples_of(40), examples_of(8, offset=40)  # with words that stand several times in a text
    vectors = text.TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    model = linear.LogisticRegression(C=10, max_iter=1000)
    model.fit(vectors.fit_transform([e.fields["sentence"] for e in known]), [e.answer for e in known])
    texts = [e.fields["sentence"] for e in asked]
    found = TfidfLogistic.fit(CARD, known)
    assert found.pipeline.predict_proba(texts) == pytest.approx(model.predict_proba(vectors.transform(texts)))
    assert found.predict(asked) == model.predict(vectors.transform(texts)).tolist()


def test_tfidf_reads_every_text_field() -> None:
    pytest.importorskip("sklearn")
    card = card_of("{sentence} {target}<|VIRTUAL_PROMPT_0|> {label}")

    def row(n: int, target: str, label: str) -> Example:
        fields = {"sentence": "said", "target": target}
        return Example(id=str(n), group=str(n), taskname="mood", lang="en", fields=fields, answer=label)

    known = [row(0, "acme", "positive"), row(1, "brant", "negative")]
    assert TfidfLogistic.fit(card, known).predict(known) == ["positive", "negative"]


INTENTS = card_of(
    label_space=None, answer_format="intent_slots.v1", intents=["news", "alarm"], slot_types=["time", "date"]
)


def test_tfidf_names_intents_and_no_slots() -> None:
    pytest.importorskip("sklearn")
    asked = [
        ("wake me at six", "time(six)"),
        ("news of today", "date(today)"),
        ("wake me", "None"),
        ("any news", "None"),
    ]
    intents = ["alarm", "news", "alarm", "news"]
    known = rows([(text, f"\nIntent: {i}\nSlots: {slots}") for (text, slots), i in zip(asked, intents, strict=True)])
    as_labels = rows([(text, intent) for (text, _), intent in zip(asked, intents, strict=True)])
    oracle = TfidfLogistic.fit(card_of(label_space={"alarm": ["a"], "news": ["n"]}), as_labels).predict(known)
    assert oracle == intents
    predicted = TfidfLogistic.fit(INTENTS, known).predict(known)
    assert [parse_intent_slots(answer) for answer in predicted] == [IntentSlots(intent) for intent in intents]
    scores = score_texts(INTENTS, known, predicted).metrics
    assert (scores["intent_accuracy"], scores["slot_f1"], scores["exact_match"]) == (1.0, 0.0, 0.5)


def test_tfidf_refuses_free_text() -> None:
    with pytest.raises(InputError, match="mood:en has open answers"):
        TfidfLogistic.fit(card_of(label_space=None), rows([("good", "any"), ("bad", "text")]))


def test_tfidf_refuses_rows_that_teach_nothing() -> None:
    pytest.importorskip("sklearn")
    with pytest.raises(TrainingError, match=r"two labels or more, not only of \['positive'\]"):
        TfidfLogistic.fit(CARD, rows([("good", "positive"), ("better", "positive")]))
    with pytest.raises(TrainingError, match="cannot learn from these 2 rows"):
        TfidfLogistic.fit(CARD, rows([("!", "positive"), ("?", "negative")]))


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.feature_extraction.text", None)
    with pytest.raises(PromptBankError, match=r"pip install 'promptbank\[baseline\]'"):
        TfidfLogistic.fit(CARD, examples_of(4))


@pytest.mark.parametrize("name", CLASSICAL)
def test_open_cards_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="mood:en has open answers"):
        CLASSICAL[name].fit(card_of(label_space=None), examples_of(4))
