"""Figures of a translation: counted by hand on small sets; a copying engine must look bad."""

import doctest
import json
from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.unit.test_translate_pipeline import ARTICLE, SETUP, recorded
from translate import ClassLabel, IntentLabel, Label, Record, SlotLabel, Span
from translate.checks import Flag, FlagPolicy, Status
from translate.engines import CopyEngine
from translate.pipeline.memory import DictMemory
from translate.pipeline.pipeline import translate_records
from translate.pipeline.translated import TranslatedRecord
from translate.records.record import slots_from_spans
from translate.scoring import text_figures
from translate.scoring.summary import Summary, shared_texts, summarise
from translate.scoring.text_figures import Proportion, plain


def outcome(
    row_id: str,
    source: Record | str,
    text: str,
    status: Status = "ok",
    *,
    flags: Sequence[Flag] = (),
    target: Record | None = None,
    label_text: str = "",
) -> TranslatedRecord:
    record = source if isinstance(source, Record) else Record(row_id, row_id, "mood", source)
    made = (target or replace(record, text=text, spans=(), label=_bare(record.label))) if text else None
    return TranslatedRecord(record, made, text, (), label_text, status, tuple(flags), "plain", "engine", "key")


def _bare(label: Label) -> Label:
    """The label without slots, which need not be in the text then."""
    return IntentLabel(label.intent) if isinstance(label, IntentLabel) else label


def figures(
    *outcomes: TranslatedRecord, policy: FlagPolicy | None = None, emitted: Sequence[bool] | None = None
) -> Summary:
    return summarise(outcomes, policy or FlagPolicy(), src="en", tgt="sv", emitted=emitted)


def labelled(row_id: str, label: str, taskname: str = "mood") -> Record:
    return Record(row_id, row_id, taskname, f"text {row_id}", label=ClassLabel(label))


def test_rows_are_counted_by_status_mode_and_flag_under_the_policy() -> None:
    twice = [Flag("slot_value", "review", "a"), Flag("slot_value", "review", "b")]
    found = figures(
        outcome("1", "a", "x"),
        outcome("2", "b", "y", "review", flags=twice),
        outcome("3", "c", "y", "warn", flags=[Flag("copy", "review", "c")]),
        outcome("4", "d", "", "drop", flags=[Flag("empty", "drop", "d")]),
        replace(outcome("5", "e", "z"), mode="human", engine_id=""),
        policy=FlagPolicy({"copy": "warn"}),
    )
    assert found.by_status == {"ok": 2, "unchecked": 0, "warn": 1, "review": 1, "drop": 1}
    assert {mode: count for mode, count in found.by_mode.items() if count} == {"plain": 4, "human": 1}
    assert {name: (f.rows, f.severity) for name, f in found.by_flag.items()} == {
        "copy": (1, "warn"),
        "empty": (1, "drop"),
        "slot_value": (1, "review"),
    }
    assert found.emitted == Proportion(4, 5)
    assert found.by_engine == {"engine": 4}


def test_who_writes_the_rows_says_which_are_written() -> None:
    rows = [outcome("1", "a", "x"), outcome("2", "b", "y", "review")]
    assert figures(*rows, emitted=[True, False]).emitted == Proportion(1, 2)
    with pytest.raises(ValueError, match="shorter"):
        figures(*rows, emitted=[True])


def test_intents_and_slot_types_count_rows_not_slots() -> None:
    def request(row_id: str, intent: str, *types: str) -> Record:
        text = " ".join("abcd"[: len(types)])
        spans = tuple(Span(2 * n, 2 * n + 1, kind) for n, kind in enumerate(types))
        label = IntentLabel(intent, slots_from_spans(text, spans))
        return Record(row_id, row_id, "assistant", text or "x", spans, label)

    lost = IntentLabel("alarm", (SlotLabel("date", "sunday", None),))
    found = figures(
        outcome("1", request("1", "alarm", "time", "time"), "a b"),
        outcome("2", request("2", "alarm", "time", "date"), "", "drop"),
        outcome("3", request("3", "coffee"), "kaffe"),
        outcome("4", Record("4", "4", "assistant", "x", label=lost), "y"),
    )
    assert found.intents == {"alarm": Proportion(2, 3), "coffee": Proportion(1, 1)}
    assert found.slot_types == {"date": Proportion(1, 2), "time": Proportion(1, 2)}
    assert found.slot_rows == Proportion(2, 3)


def test_labels_keep_their_distribution_but_for_drops() -> None:
    names = ["good", "good", "good", "bad"]
    rows = [outcome(str(n), labelled(str(n), name), "x", label_text=f"{name}-sv") for n, name in enumerate(names)]
    balance = figures(*rows, emitted=[True, True, False, True]).labels["mood"]
    assert (balance.before, balance.after) == ({"bad": 1, "good": 3}, {"bad": 1, "good": 2})
    assert balance.intact
    assert balance.shift == pytest.approx(3 / 4 - 2 / 3)  # half of |3/4 - 2/3| + |1/4 - 1/3|


@pytest.mark.parametrize("fault", ["swapped", "one form for two labels"])
def test_a_label_that_changed_its_meaning_is_told(fault: str) -> None:
    good, bad = labelled("1", "good"), labelled("2", "bad")
    if fault == "swapped":
        rows = [outcome("1", good, "x", target=replace(good, label=bad.label))]
        rows += [outcome("2", bad, "y", target=replace(bad, label=good.label))]
    else:
        rows = [outcome("1", good, "x", label_text="så där"), outcome("2", bad, "y", label_text="så där")]
    balance = figures(*rows).labels["mood"]
    assert balance.before == balance.after
    assert not balance.intact


def test_renamed_intents_are_intact_as_long_as_no_two_become_one() -> None:
    def row(row_id: str, intent: str, renamed: str) -> TranslatedRecord:
        source = Record(row_id, row_id, "assistant", "text", label=IntentLabel(intent))
        return outcome(row_id, source, "x", target=replace(source, label=IntentLabel(renamed)))

    assert figures(row("1", "alarm", "larm"), row("2", "coffee", "kaffe")).labels["assistant"].intact
    assert not figures(row("1", "alarm", "larm"), row("2", "coffee", "larm")).labels["assistant"].intact


def test_tasks_with_equal_label_names_are_counted_apart() -> None:
    found = figures(outcome("1", labelled("1", "good"), "x"), outcome("2", labelled("2", "good", "taste"), "y"))
    assert {task: balance.before for task, balance in found.labels.items()} == {
        "mood": {"good": 1},
        "taste": {"good": 1},
    }


def test_values_count_among_the_rows_that_have_some() -> None:
    found = figures(
        outcome("1", "wake me at nine am on friday", "väck mig klockan nio på morgonen på fredag"),
        outcome("2", "wake me at ten am", "väck mig klockan tio på kvällen"),
        outcome("3", "it costs 5 dollars", "det kostar 5 dollar"),
        outcome("4", "up 3 percent", "upp 4 procent"),
        outcome("5", "one of the good ones", "en av de goda"),  # no number is meant
        outcome("6", "on sunday", "", "drop"),  # nothing to compare
    )
    assert found.values == {
        "date": Proportion(1, 1),
        "money": Proportion(1, 1),
        "percent": Proportion(0, 1),
        "time": Proportion(1, 2),
    }
    assert found.values_note == ""


def test_values_agree_with_the_flags_of_the_checks() -> None:
    outcomes = translate_records(ARTICLE, recorded(**{ARTICLE[3].text: "Lloyds betalar 7 gånger"}), DictMemory(), SETUP)
    outcomes += translate_records(ARTICLE, CopyEngine("en", "sv"), DictMemory(), SETUP)
    for name in ("time", "date"):
        share = figures(*outcomes).values[name]
        flagged = sum(flag.name == f"{name}_mismatch" for one in outcomes for flag in one.flags)
        assert share.of - share.count == flagged


def test_a_language_without_values_degrades_to_digits_and_says_so() -> None:
    found = summarise([outcome("1", "at 9 on friday", "ás 9 o venres")], FlagPolicy(), src="en", tgt="gl")
    assert found.values == {"number": Proportion(1, 1)}
    assert "no value module for gl" in found.values_note


def test_protected_strings_count_once_a_row_inflected_ones_included() -> None:
    source = Record("1", "1", "mood", "$TSLA and Tesco and Tesco beat Acme", protected=("Tesco", "Acme"))
    assert figures(outcome("1", source, "$TSLA och Tescos slog bolaget")).protected == Proportion(2, 3)


def test_words_left_are_long_ones_outside_protected_strings() -> None:
    source = Record(
        "1", "1", "mood", "Please call Acme Holding at the hotel now, model8000", protected=("Acme Holding",)
    )
    # please, call and hotel count; "the", "now" are short, "model8000" has digits
    assert figures(outcome("1", source, "Please ring Acme Holding på HOTEL model8000")).left_words == Proportion(2, 3)


def test_words_left_in_lower_case_are_no_names() -> None:
    source = Record("1", "1", "mood", "Shell shares fall after a profit warning from Exxon")
    found = figures(outcome("1", source, "Shell faller efter en profit från Exxon"))
    assert (found.left_words, found.left_lower) == (Proportion(3, 8), Proportion(1, 6))


def test_lengths_and_variety_are_those_of_the_texts() -> None:
    found = figures(outcome("1", "a b a", "x y"), outcome("2", "a", "x"), outcome("3", "bcd", "", "drop")).lengths
    assert found is not None
    assert (found.source_words, found.target_words) == (2.0, 1.5)
    assert (found.source_characters, found.target_characters, found.ratio) == (3.0, 2.0, 4 / 6)
    assert (found.source_types, found.target_types) == (2 / 4, 2 / 3)


def test_language_is_named_on_translations_of_more_than_five_words() -> None:
    swedish, english, short = "jag vill gärna åka till havet", "i would like to go to the sea", "to the sea and back"
    found = figures(outcome("1", "a", swedish), outcome("2", "b", english), outcome("3", "c", short))
    assert found.language == Proportion(1, 2)


@pytest.mark.parametrize(
    ("tgt", "text", "says"),
    [("sv", "kort text", "no translation has 6 words"), ("xx", "a b c d e f g", "does not know")],
)
def test_a_language_that_cannot_be_named_is_none_with_the_reason(tgt: str, text: str, says: str) -> None:
    found = summarise([outcome("1", "a", text)], FlagPolicy(), src="en", tgt=tgt)
    assert found.language is None
    assert says in found.language_note


def test_a_copying_engine_looks_bad_in_every_figure() -> None:
    long = Record("9", "9", "mood", "the weather here will probably become much better after lunch")
    copied = figures(*translate_records([*ARTICLE, long], CopyEngine("en", "sv"), DictMemory(), SETUP))
    said = recorded(**{long.text: "vädret här blir nog mycket bättre efter lunch i dag"})
    good = figures(*translate_records([*ARTICLE, long], said, DictMemory(), SETUP))
    assert copied.left_words.value == 1.0
    assert (good.left_words.value or 0) < 0.2
    assert copied.language is not None
    assert copied.language.value == 0.0
    assert good.language is not None
    assert good.language.value == 1.0
    assert copied.by_status["ok"] == 0
    assert copied.by_flag["copy"].severity == "review"
    assert (copied.by_mode["bracket"], good.by_mode["bracket"]) == (3, 3)


def test_texts_of_several_files_are_counted_once_each() -> None:
    train = [outcome("1", "hello", "hej"), outcome("2", "hello", "hej"), outcome("3", "bye", "hej då")]
    test = [outcome("4", "hello", "hej"), outcome("5", "hi", "hej"), outcome("6", "bye", "", "drop")]
    found = shared_texts([("train", train), ("test", test)])
    assert found.source == Proportion(2, 3)  # hello and bye of hello, bye, hi
    assert found.target == Proportion(1, 2)
    assert shared_texts([("train", train), ("train", test)]).source == Proportion(0, 3)


def test_the_dictionary_is_stable_json_that_does_not_depend_on_the_order_of_rows() -> None:
    outcomes = translate_records(ARTICLE, recorded(), DictMemory(), SETUP)
    one, other = (json.dumps(plain(figures(*rows))) for rows in (outcomes, outcomes[::-1]))
    assert one == other
    assert json.loads(one)["emitted"] == {"count": 4, "of": 4, "share": 1.0}


def test_nothing_has_no_shares() -> None:
    found = figures()
    assert found.emitted.value is None
    assert found.lengths is None
    assert json.loads(json.dumps(plain(found)))["left_words"]["share"] is None


def test_the_examples_of_the_figures_hold() -> None:
    found = doctest.testmod(text_figures)
    assert (found.failed, found.attempted > 0) == (0, True)
