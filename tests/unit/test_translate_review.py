"""Review: the worst first, decisions checked all together, edits kept by what the source says."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.test_translate_pipeline import ARTICLE, SETUP, Spy, recorded, request, shown
from translate import Hypothesis, ReviewError, Span, source_hash
from translate.checks import FlagPolicy
from translate.engines import CopyEngine, RecordedEngine
from translate.pipeline.memory import DictMemory
from translate.pipeline.pipeline import translate_records
from translate.pipeline.translated import Override
from translate.review.decisions import Answer, validated
from translate.review.items import ReviewItem, annotate, flagged, parse_annotated, review_items
from translate.review.lines import dump_overrides, parse_overrides
from translate.review.table import COLUMNS, read_answers, write_items

COPIED = translate_records(ARTICLE, CopyEngine("en", "sv"), DictMemory(), SETUP)
ITEMS = review_items(COPIED, FlagPolicy())
ALARM = source_hash(ARTICLE[1])


def item(row_id: str, severity: str = "review", flags: int = 1, agreement: float | None = None) -> ReviewItem:
    base = ITEMS[0]
    return replace(base, row_id=row_id, severity=severity, flags=("x: y",) * flags, agreement=agreement)


def test_only_rows_for_review_are_shown_each_source_once() -> None:
    good = translate_records(ARTICLE, recorded(), DictMemory(), SETUP)
    assert flagged(review_items(good, FlagPolicy())) == []
    twin = replace(COPIED[1], source=replace(COPIED[1].source, id="twin"))
    assert len(review_items([*COPIED, twin], FlagPolicy())) == len(ITEMS) == 4


def test_the_worst_come_first_and_the_least_agreed_on_among_equals() -> None:
    def outcome(row_id: str, others: tuple[str, ...]) -> object:
        source = replace(COPIED[1].source, id=row_id, text=f"{COPIED[1].source.text} {row_id}")
        return replace(COPIED[1], source=source, others=others)

    same, unlike = (COPIED[1].text,), ("zzzz",)
    items = review_items([outcome("a", ()), outcome("b", same), outcome("c", unlike)], FlagPolicy())
    assert [i.row_id for i in items] == ["c", "b", "a"]
    assert items[0].severity == "review"


def test_an_edit_becomes_an_override_that_holds_for_another_engine() -> None:
    overrides = validated(ITEMS, [Answer(ALARM, " Edit ", "larma på [date : söndag]", "better")])
    assert overrides == {ALARM: Override(ALARM, text="larma på söndag", spans=(Span(9, 15, "date"),), note="better")}
    spy = Spy(recorded())
    (outcome,) = translate_records(ARTICLE[1:2], spy, DictMemory(), replace(SETUP, overrides=overrides))
    assert shown(outcome).startswith("larma på söndag\n")
    assert spy.asked == []


def test_ok_keeps_what_was_shown_and_drop_leaves_out_and_nothing_stays_open() -> None:
    shown_item = next(i for i in ITEMS if i.source_hash == ALARM)
    ok = validated(ITEMS, [Answer(ALARM, "ok")])[ALARM]
    assert (ok.text, ok.spans) == (shown_item.text, shown_item.spans)
    assert validated(ITEMS, [Answer(ALARM, "drop")])[ALARM].drop
    assert validated(ITEMS, [Answer(ALARM, "", " ", note="ask Kim")]) == {}
    assert validated(ITEMS, [Answer(ALARM, "ok", f"{shown_item.translation}\n")])[ALARM] == ok


def test_two_stretches_of_one_type_stay_with_their_slots() -> None:
    source = request("9", "from [date : monday] to [date : friday]", "calendar_query")
    engine = recorded(**{"from [monday] to [friday]": "till [fredag] från [måndag]"})
    (made,) = translate_records([source], engine, DictMemory(), SETUP)
    assert shown(made).endswith("Slots: date(måndag), date(fredag)")
    (shown_item,) = review_items([made], FlagPolicy())
    edit = "fram till [date : fredag] från [date : måndag]"
    for answer in (Answer(shown_item.source_hash, "ok"), Answer(shown_item.source_hash, "edit", edit)):
        setup = replace(SETUP, overrides=validated([shown_item], [answer]))
        (kept,) = translate_records([source], engine, DictMemory(), setup)
        assert shown(kept).endswith("Slots: date(måndag), date(fredag)")


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (Answer("f" * 64, "ok"), "no item has the source hash"),
        (Answer(ALARM, "maybe"), "'maybe' is none of ok, edit, edit!, drop, undo"),
        (Answer(ALARM, "edit", " "), "there is no text"),
        (Answer(ALARM, "edit", "larma på söndag"), "no stretch is marked as date"),
        (Answer(ALARM, "edit", "[time : nio] [date : söndag]"), r"\[time : nio\] is marked once too often"),
        (Answer(ALARM, "edit", "larma på [date söndag]"), "no stretch is marked as date"),
        (Answer(ALARM, "edit", "larma på [date : ]"), "is empty"),
        (Answer(ALARM, "", "larma på [date : söndag]"), "'larma på .*' without a decision; write edit to keep it"),
        (Answer(ALARM, "OK", "larma på [date : söndag]"), "'larma på .*' with the decision ok; write edit to keep it"),
    ],
)
def test_a_faulty_decision_is_refused_with_the_reason(answer: Answer, says: str) -> None:
    with pytest.raises(ReviewError, match=says):
        validated(ITEMS, [answer])


def test_one_faulty_decision_applies_none_and_all_faults_are_told() -> None:
    answers = [Answer(ALARM, "drop"), Answer("0" * 64, "ok"), Answer(ITEMS[0].source_hash, "?")]
    with pytest.raises(ReviewError) as caught:
        validated(ITEMS, answers)
    assert len(caught.value.faults) == 2


def test_overrides_come_back_from_their_lines_and_the_last_word_counts() -> None:
    first = Override("a" * 64, text="söndag", spans=(Span(0, 6, "date"),))
    made = {o.source_hash: o for o in (first, Override("b" * 64, drop=True))}
    assert parse_overrides(dump_overrides(made), "x") == made
    later = dump_overrides({first.source_hash: replace(first, note="again")})
    assert parse_overrides(dump_overrides(made) + later, "x")[first.source_hash].note == "again"
    with pytest.raises(ReviewError, match="line 2"):
        parse_overrides(dump_overrides(made).splitlines()[0] + "\n{}\n", "x")


@given(text=st.text("ab å:", min_size=1, max_size=12), start=st.integers(0, 11), length=st.integers(1, 5))
def test_an_annotated_text_comes_back(text: str, start: int, length: int) -> None:
    span = Span(min(start, len(text) - 1), min(start + length, len(text)), "date")
    value = span.of(text)
    if not value or value != value.strip():
        return
    assert parse_annotated(annotate(text, [span]), [span.type]) == (text, (span,))


def test_brackets_of_a_text_are_its_own() -> None:
    key = "f" * 64
    listed = replace(item("r"), source_hash=key, source="[06/25] sell [BUY: AAPL]", slot_types=("date",))
    edited = validated([listed], [Answer(key, "edit", "[06/25] sälj [BUY: AAPL] på [date : söndag]")])[key]
    assert edited.text == "[06/25] sälj [BUY: AAPL] på söndag"
    assert [span.of(edited.text) for span in edited.spans] == ["söndag"]


def test_line_ends_of_other_kinds_in_an_edit_stay_inside_their_line() -> None:
    edit = validated(ITEMS, [Answer(ALARM, "edit", "larma\u2028på\x85 [date : söndag]", note="a\u2028b")])
    assert edit[ALARM].text == "larma på söndag"
    assert parse_overrides(dump_overrides(edit), "x") == edit


def test_dropped_rows_are_shown_and_what_a_person_dropped_is_not() -> None:
    texts = ("set an alarm for [sunday]", "set an alarm for sunday", "sunday")
    nothing = RecordedEngine("test", "en", "sv", dict.fromkeys(texts, Hypothesis("")))
    (empty,) = translate_records(ARTICLE[1:2], nothing, DictMemory(), SETUP)
    assert [one.severity for one in flagged(review_items([empty], FlagPolicy()))] == ["drop"]
    assert flagged(review_items([replace(empty, mode="human")], FlagPolicy())) == []


def test_a_csv_goes_out_and_its_decisions_come_back() -> None:
    lines = write_items(ITEMS)
    assert lines.splitlines()[0] == ",".join(COLUMNS)
    answers = read_answers("\ufeff" + lines, "review.csv")
    assert [a.source_hash for a in answers] == [i.source_hash for i in ITEMS]
    assert validated(ITEMS, answers) == {}


def test_a_cell_is_no_formula_and_loses_nothing() -> None:
    odd = replace(item("r"), source="=1+1", translation="@x")
    assert "'=1+1,'@x" in write_items([odd])
    back = read_answers("source_hash,decision,edited_text\nf,edit,'=1+1\n", "x")
    assert back == [Answer("f", "edit", "=1+1", place="line 2")]


def test_a_csv_without_its_columns_is_refused() -> None:
    with pytest.raises(ReviewError, match="decision, edited_text is missing"):
        read_answers("source_hash\nx\n", "review.csv")


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("begin", ["", "\ufeff", "sep={}\n", '"sep={}"\r\n'])
def test_cells_are_separated_as_the_spreadsheet_of_any_country_does(delimiter: str, begin: str) -> None:
    cells = [["decision", "source_hash", "edited_text"], ["edit", ALARM, '"larma; på, [date : söndag]"']]
    text = begin.format(delimiter) + "\r\n".join(map(delimiter.join, cells))
    assert [(one.decision, one.text) for one in read_answers(text, "x")] == [("edit", "larma; på, [date : söndag]")]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("decision,edited_text,source_hash\ndrop,,h\ndrop,x\n", "line 3 has 2 cells, the head 3"),
        ("source_hash,decision,edited_text\nh,edit,han sade hej, och gick\n", "line 2 has 4 cells, the head 3"),
        ('decision,edited_text,source_hash\n,"play it,h\ndrop,,i\n', "is a quote not closed?"),
        ("source_hash,decision,decision,edited_text\nh,drop,,\n", "the column decision is there twice"),
        ("source_hash|decision|edited_text\n", "the first line has 'source_hash|decision|edited_text'"),
        ("", "the first line has none"),
        ("source_hash,decision,edited_text\n,drop,\n", "line 2 has no source_hash"),
    ],
)
def test_a_damaged_csv_is_refused_and_says_where(text: str, fault: str) -> None:
    with pytest.raises(ReviewError) as caught:
        read_answers(text, "review.csv")
    assert fault in str(caught.value)


def test_rows_of_empty_cells_are_none() -> None:
    assert read_answers("source_hash,decision,edited_text\n,,\n\n,\n", "x") == [Answer("", "", place="line 2")]
    assert validated(ITEMS, [Answer("", "", place="line 2")]) == {}


@given(st.text(alphabet="'=+-@\t ax", max_size=8))
def test_every_cell_is_read_as_it_was(text: str) -> None:
    lines = write_items([replace(ITEMS[0], translation=text)])
    assert read_answers(lines, "x")[0].shown == text


def test_a_translation_that_is_not_the_runs_is_not_ok() -> None:
    def fault(answer: Answer) -> str:
        with pytest.raises(ReviewError) as caught:
            validated(ITEMS, [answer])
        return str(caught.value)

    shown_text = next(one.translation for one in ITEMS if one.source_hash == ALARM)
    assert validated(ITEMS, [Answer(ALARM, "ok", shown=f" {shown_text}\n")])[ALARM].text == "set an alarm for sunday"
    for decision in ("ok", ""):
        said = fault(Answer(ALARM, decision, shown="larma på [date : söndag]"))
        assert "the translation beside it is 'larma på [date : söndag]', the run's is 'set an alarm" in said
    assert validated(ITEMS, [Answer(ALARM, "drop", shown="något annat")])[ALARM].drop


def test_two_decisions_about_one_row_are_refused_and_one_that_is_said_twice_is_not() -> None:
    drop, keep = Answer(ALARM, "drop", place="line 2"), Answer(ALARM, "ok", place="line 3")
    assert len(validated(ITEMS, [drop, replace(drop, place="line 9")])) == 1
    with pytest.raises(ReviewError, match="there are two decisions about it, the second on line 3; keep one"):
        validated(ITEMS, [drop, keep])


def test_a_text_beside_drop_is_not_thrown_away() -> None:
    with pytest.raises(ReviewError, match="with the decision drop; write edit to keep it, or clear it"):
        validated(ITEMS, [Answer(ALARM, "drop", "larma på [date : söndag]")])


def test_a_decision_that_could_not_be_done_is_shown_again() -> None:
    undone = replace(COPIED[1], mode="human", status="review", flags=COPIED[1].flags)
    assert [one.source_hash for one in flagged(review_items([undone], FlagPolicy()))] == [ALARM]
