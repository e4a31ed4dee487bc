"""Scores against human translations: sacrebleu called directly is the oracle; engines differ or they do not."""

import random

import numpy as np
import pytest
import sacrebleu

from tests.unit.test_translate_pipeline import ARTICLE, SETUP, recorded
from tests.unit.test_translate_summary import outcome
from translate import EngineError, TranslateError
from translate.engines import CopyEngine
from translate.pipeline.memory import DictMemory
from translate.pipeline.pipeline import translate_records
from translate.scoring.bootstrap import EvalSet, paired
from translate.scoring.scores import score_against_references
from translate.scoring.text_figures import Proportion

WORDS = ["kan", "du", "starta", "kaffemaskinen", "åt", "mig", "i", "morgon", "klockan", "sju", "och", "väcka", "barnen"]
TASK = "intent_and_slot"
DRAW = random.Random(7)
REFERENCES = [" ".join(DRAW.sample(WORDS, 8)) for _ in range(40)]


def spoilt(share: float) -> list[str]:
    """Translations in which so large a share of the words is wrong."""
    return [" ".join("fel" if DRAW.random() < share else word for word in text.split()) for text in REFERENCES]


GOOD, POOR = spoilt(0.1), spoilt(0.5)


def test_scores_of_a_run_are_those_of_sacrebleu() -> None:
    rows = [outcome(str(n), f"row {n}", text) for n, text in enumerate(GOOD)]
    references = {("mood", str(n)): (text, {}) for n, text in enumerate(REFERENCES[:30])}
    found = score_against_references(rows, references)
    assert found.rows == Proportion(30, 40)
    assert found.chrf2 == pytest.approx(sacrebleu.corpus_chrf(GOOD[:30], [REFERENCES[:30]]).score)
    assert found.bleu == pytest.approx(sacrebleu.corpus_bleu(GOOD[:30], [REFERENCES[:30]]).score)
    version = sacrebleu.__version__
    assert found.chrf2_signature == f"nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|version:{version}"
    assert found.bleu_signature == f"nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:{version}"
    assert found.slot_types == {}


def test_a_row_without_translation_counts_as_an_empty_one() -> None:
    rows = [outcome("0", "a", GOOD[0]), outcome("1", "b", "", "drop")]
    found = score_against_references(rows, {("mood", str(n)): (REFERENCES[n], {}) for n in range(2)})
    assert found.chrf2 == pytest.approx(sacrebleu.corpus_chrf([GOOD[0], ""], [REFERENCES[:2]]).score)


def test_slot_values_are_equal_or_nearly_so_by_type() -> None:
    # ours: device_type kaffemaskinen; date söndag; date fredag and time nio på morgonen
    outcomes = translate_records(ARTICLE, recorded(), DictMemory(), SETUP)
    references = {
        (TASK, "1"): ("starta kaffemaskin", {"device_type": ["kaffemaskin"]}),  # ratio 2 * 11 / 24 = 91.7
        (TASK, "2"): ("larm på Söndag", {"date": ["Söndag", "på"]}),  # one of ours for two of theirs
        (TASK, "3"): (
            "väck mig fredag nio noll noll",
            {"time": ["nio noll noll"], "date": ["fredag"], "place": ["här"]},
        ),
    }
    found = score_against_references(outcomes, references)
    shares = {kind: (score.exact, score.fuzzy) for kind, score in found.slot_types.items()}
    assert shares == {
        "date": (Proportion(2, 3), Proportion(2, 3)),
        "device_type": (Proportion(0, 1), Proportion(1, 1)),
        "place": (Proportion(0, 1), Proportion(0, 1)),
        "time": (Proportion(0, 1), Proportion(0, 1)),
    }
    assert (found.slots.exact, found.slots.fuzzy) == (Proportion(2, 6), Proportion(3, 6))


def test_each_slot_value_is_matched_once() -> None:
    outcomes = translate_records(ARTICLE[1:2], recorded(), DictMemory(), SETUP)
    found = score_against_references(outcomes, {(TASK, "2"): ("söndag", {"date": ["söndag", "söndagen"]})})
    assert (found.slots.exact, found.slots.fuzzy) == (Proportion(1, 2), Proportion(1, 2))


def test_copies_have_no_slot_value_right() -> None:
    outcomes = translate_records(ARTICLE, CopyEngine("en", "sv"), DictMemory(), SETUP)
    found = score_against_references(outcomes, {(TASK, "2"): ("ställ ett larm på söndag", {"date": ["söndag"]})})
    assert found.slots.exact == Proportion(0, 1)
    assert found.chrf2 < 30


def test_references_of_other_rows_are_refused() -> None:
    with pytest.raises(TranslateError, match="none of the 2 references"):
        score_against_references([outcome("1", "a", "b")], {("mood", "x"): ("b", {}), ("other", "1"): ("b", {})})


def scores(**systems: list[str]) -> dict[tuple[str, str], object]:
    found = paired([EvalSet("dev", REFERENCES, systems)], resamples=200)
    return {(score.engine, score.metric): score for score in found}


def test_a_poorer_engine_is_told_from_the_baseline() -> None:
    found = scores(good=GOOD, poor=POOR)
    assert list(found) == [("good", "chrF2"), ("poor", "chrF2"), ("good", "BLEU"), ("poor", "BLEU")]
    for metric, corpus in (("chrF2", sacrebleu.corpus_chrf), ("BLEU", sacrebleu.corpus_bleu)):
        for name, texts in (("good", GOOD), ("poor", POOR)):
            score = found[name, metric]
            assert score.score == pytest.approx(corpus(texts, [REFERENCES]).score)
            assert score.low < score.mean < score.high
            assert score.low < score.score < score.high
        assert found["good", metric].p is None
        assert found["poor", metric].p == pytest.approx(1 / 201)  # no resample reverses it
        assert found["poor", metric].high < found["good", metric].low
        assert "bs:200|seed:12345" in found["poor", metric].signature


def test_mean_and_interval_are_those_of_corpora_drawn_from_the_rows() -> None:
    drawn = np.random.default_rng(12345).choice(len(GOOD), size=(200, len(GOOD)))  # sacrebleu's seed
    corpora = [([POOR[i] for i in row], [[REFERENCES[i] for i in row]]) for row in drawn]
    by_hand = sorted(sacrebleu.corpus_chrf(texts, humans).score for texts, humans in corpora)
    found = scores(good=GOOD, poor=POOR)["poor", "chrF2"]
    assert found.mean == pytest.approx(sum(by_hand) / 200, abs=1e-3)
    assert found.high - found.low == pytest.approx(by_hand[194] - by_hand[5], abs=1e-3)  # 200 // 40 cut from each end


def test_equal_translations_do_not_differ() -> None:
    # sacrebleu says 1 / (resamples + 1) here, as if the difference of nothing were sure
    found = scores(good=GOOD, again=list(GOOD))
    assert found["again", "chrF2"].p == found["again", "BLEU"].p == 1.0


def test_engines_that_differ_in_luck_alone_are_not_told_apart() -> None:
    half = len(REFERENCES) // 2
    one, other = GOOD[:half] + POOR[half:], POOR[:half] + GOOD[half:]
    assert scores(one=one, other=other)["other", "chrF2"].p > 0.05


def test_the_same_is_drawn_each_time() -> None:
    assert scores(good=GOOD, poor=POOR) == scores(good=GOOD, poor=POOR)


def test_each_set_has_its_engines_and_the_baseline_is_named() -> None:
    sets = [EvalSet("a", REFERENCES, {"x": POOR, "y": GOOD}), EvalSet("b", REFERENCES, {"y": GOOD})]
    found = [(s.set_name, s.engine, s.baseline) for s in paired(sets, baseline="y", resamples=20) if s.metric == "BLEU"]
    assert found == [("a", "y", "y"), ("a", "x", "y"), ("b", "y", "y")]
    with pytest.raises(EngineError, match="has no engine 'x' to compare with; it has y"):
        paired(sets, baseline="x", resamples=20)


@pytest.mark.parametrize(
    ("references", "hypotheses", "says"),
    [
        ([], {"x": []}, "has no references or no engines"),
        (["a"], {}, "has no references or no engines"),
        (["a", "b"], {"x": ["a"]}, "'x' gave 1 translations of the set 'dev'; it has 2 references"),
    ],
)
def test_a_set_that_cannot_be_scored_is_refused(
    references: list[str], hypotheses: dict[str, list[str]], says: str
) -> None:
    with pytest.raises(EngineError, match=says):
        EvalSet("dev", references, hypotheses)
