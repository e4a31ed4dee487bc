"""Records, labels, references and folds, for any input."""

import io
import json
import math
from collections import Counter

import pytest
from hypothesis import example as also
from hypothesis import given
from hypothesis import strategies as st

from tasks import (
    DataError,
    Example,
    InputRecord,
    SpecError,
    TaskRef,
    classification_report,
    crossval_split,
    data_sha256,
    example_from,
    parse_card,
    parse_spec,
    read_jsonl,
    split_dev,
)
from tasks.splits import in_dev

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
VALUES = st.one_of(TEXT, st.integers(-(10**30), 10**30), st.booleans(), st.none(), st.lists(TEXT, max_size=2))
OBJECTS = st.dictionaries(TEXT, VALUES, max_size=4)
CARD = parse_card(
    {
        "taskname": "mood",
        "prompt_template": "{text}<|VIRTUAL_PROMPT_0|>{note} {label}",
        "total_virtual_tokens": 1,
        "virtual_token_splits": [1],
        "label_space": {"good": ["good", "Straße", "fine"], "bad": ["bad", "ikke god"]},
    }
)
FORMS = [("good", "good"), ("Straße", "good"), ("fine", "good"), ("bad", "bad"), ("ikke god", "bad")]


@given(objects=st.lists(OBJECTS, max_size=5), ascii_only=st.booleans(), ending=st.sampled_from(["\n", "\r\n", "\n\n"]))
def test_objects_written_as_lines_are_read_back_in_order(
    objects: list[dict[str, object]], ascii_only: bool, ending: str
) -> None:
    content = "".join(json.dumps(one, ensure_ascii=ascii_only) + ending for one in objects).encode()
    found = list(read_jsonl(io.BytesIO(content), name="f"))
    assert [r.data for r in found if isinstance(r, InputRecord)] == objects
    step = ending.count("\n")
    assert [r.source for r in found if isinstance(r, InputRecord)] == [f"f:{1 + n * step}" for n in range(len(objects))]


@given(lines=st.lists(st.binary(max_size=30).filter(lambda line: b"\n" not in line), max_size=6))
@also(lines=[b"\xef\xbb\xbf", b'{"a": 1e999}', b"\xef\xbb\xbf{}", b'{"a": {"b": 1, "b": 2}}'])
def test_any_bytes_give_one_outcome_for_each_line_that_is_not_blank(lines: list[bytes]) -> None:
    found = list(read_jsonl(io.BytesIO(b"\n".join(lines)), name="f"))
    filled = [n for n, line in enumerate(lines, 1) if line.removeprefix(b"\xef\xbb\xbf" if n == 1 else b"").strip()]
    assert len(found) == len(filled)
    for number, outcome in zip(filled, found, strict=True):
        told = outcome.source if isinstance(outcome, InputRecord) else str(outcome)
        assert told.startswith(f"f:{number}")


def made_or_error(record: InputRecord, **options: bool) -> Example | DataError:
    try:
        return example_from(record, CARD, **options)
    except DataError as exc:
        return exc


@given(data=OBJECTS, text=VALUES, need_answer=st.booleans())
def test_any_object_is_an_example_or_a_data_error_with_its_place(
    data: dict[str, object], text: object, need_answer: bool
) -> None:
    record = InputRecord(1, {"text": text, "note": "n", "label": "good", **data}, "f:1")
    outcome = made_or_error(record, need_answer=need_answer)
    if isinstance(outcome, DataError):
        assert str(outcome).startswith("f:1: ")
    else:
        said = {name: record.data[name] for name in ("text", "note")}
        assert outcome.fields == {name: v if isinstance(v, str) else json.dumps(v) for name, v in said.items()}
        assert outcome.answer in (CARD.label_space if need_answer else [None])


@given(first=st.tuples(TEXT, TEXT), second=st.tuples(TEXT, TEXT))
@also(first=("a", "bc"), second=("ab", "c"))
@also(first=('a", "b', ""), second=("a", 'b", "'))
def test_groups_are_equal_exactly_when_the_text_fields_are(first: tuple[str, str], second: tuple[str, str]) -> None:
    one, two = (
        example_from(InputRecord(1, {"text": t, "note": n, "label": label}, "f:1"), CARD, need_answer=True)
        for (t, n), label in ((first, "good"), (second, "bad"))
    )
    assert (one.group == two.group) is (first == second)
    assert one.id != two.id


@given(form=st.sampled_from(FORMS), before=st.sampled_from(["", " ", "\n\t"]), change=st.sampled_from([str, str.upper]))
def test_a_form_in_any_case_is_its_label(form: tuple[str, str], before: str, change: type[str]) -> None:
    assert CARD.label_id(before + change(form[0]) + before) == form[1]


NAMES = st.from_regex(r"[^\s:@./\\\x00\ud800-\udfff]{1,8}", fullmatch=True)
LANGS = st.from_regex(r"[a-z]{2,3}(-[A-Za-z0-9]{1,8}){0,2}", fullmatch=True)


@given(name=NAMES, lang=st.none() | LANGS, version=st.none() | st.integers(1, 999_999_999))
def test_references_come_back_from_their_text(name: str, lang: str | None, version: int | None) -> None:
    ref = TaskRef(name, lang, version)
    assert parse_spec(str(ref)) == ref


@given(text=st.text(st.sampled_from("ab:@./ \n3-S\0"), max_size=12))
def test_what_is_taken_as_a_reference_is_written_the_same_way(text: str) -> None:
    try:
        ref = parse_spec(text)
    except SpecError:
        return
    assert str(ref) == text


def examples(groups: list[str]) -> list[Example]:
    return [
        Example(id=str(n), group=g, taskname="t", lang="en", fields={"x": g}, answer="a") for n, g in enumerate(groups)
    ]


MANY = examples([f"g{n // 2}" for n in range(300)])


@given(dropped=st.sets(st.integers(0, 299), max_size=100), fold=st.integers(0, 4))
def test_dropping_rows_moves_no_other_between_the_parts_of_a_fold(dropped: set[int], fold: int) -> None:
    whole = crossval_split(MANY, 5, fold, 0.2)
    kept = crossval_split([e for n, e in enumerate(MANY) if n not in dropped], 5, fold, 0.2)
    for part in ("train", "dev", "test"):
        expected = [e for e in getattr(whole, part) if int(e.id) not in dropped]
        assert list(getattr(kept, part)) == expected


@given(order=st.permutations(range(300)), answers=st.lists(st.sampled_from("ab"), min_size=300, max_size=300))
def test_parts_depend_on_the_group_alone(order: list[int], answers: list[str]) -> None:
    other = [
        Example(id=f"new {n}", group=MANY[n].group, taskname="u", lang="sv", fields={}, answer=answers[n])
        for n in order
    ]
    for before, after in zip(split_dev(MANY, 0.2), split_dev(other, 0.2), strict=True):
        assert {e.group for e in before} == {e.group for e in after}


@given(group=st.text(st.characters(exclude_categories=["Cs"])), small=st.floats(0, 1), large=st.floats(0, 1))
def test_a_larger_dev_share_keeps_the_smaller_ones_groups(group: str, small: float, large: float) -> None:
    small, large = sorted((small, large))
    assert in_dev(group, small) <= in_dev(group, large)
    assert not in_dev(group, 0)
    assert in_dev(group, 1)


def test_the_dev_share_is_about_the_one_asked_for_within_and_outside_a_fold() -> None:
    many = examples([f"group {n}" for n in range(5000)])
    split = crossval_split(many, 5, 0, 0.1)
    # four standard deviations of a binomial share
    for part, size, share in ((split.test, 5000, 0.2), (split.dev, 5000 - len(split.test), 0.1)):
        assert abs(len(part) - size * share) < 4 * math.sqrt(size * share * (1 - share))


@given(rows=st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=4), moved=st.data())
def test_the_data_hash_sees_every_part_of_an_example(rows: list[tuple[str, str]], moved: st.DataObject) -> None:
    made = [
        Example(id=str(n), group=g, taskname="t", lang="en", fields={"x": x}, answer="a")
        for n, (g, x) in enumerate(rows)
    ]
    n = moved.draw(st.integers(0, len(made) - 1))
    key = moved.draw(st.sampled_from(["id", "group", "taskname", "lang", "fields", "answer"]))
    value = {"x": rows[n][1] + "!"} if key == "fields" else f"{getattr(made[n], key)}!"
    changed = [*made[:n], Example(**{**vars(made[n]), key: value}), *made[n + 1 :]]
    assert data_sha256(changed) != data_sha256(made) == data_sha256(iter(made))
    assert data_sha256([Example(**{**vars(e), "source": "elsewhere:1"}) for e in made]) == data_sha256(made)


@given(pairs=st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), min_size=1, max_size=60))
def test_a_warning_of_collapse_names_the_label_and_is_never_given_for_good_predictions(
    pairs: list[tuple[str, str]],
) -> None:
    gold, predicted = [g for g, _ in pairs], [p for _, p in pairs]
    report = classification_report(gold, predicted, ("a", "b", "c", "never used"))
    label, count = Counter(predicted).most_common(1)[0]
    assert report.majority_share == max(Counter(gold).values()) / len(gold)
    assert report.per_label["never used"].support == 0
    if report.collapse is not None:
        assert count >= 0.95 * len(pairs)
        assert repr(label) in report.collapse
    if gold == predicted or count < 0.95 * len(pairs):
        assert report.collapse is None


@pytest.mark.parametrize(("n", "warned"), [(19, True), (18, False)])
def test_the_warning_of_collapse_starts_at_95_of_100(n: int, warned: bool) -> None:
    predicted = ["a"] * n + ["b"] * (20 - n)
    report = classification_report(["a", "b"] * 10, predicted, ("a", "b"))
    assert (report.collapse is not None) is warned
    if warned:
        assert "95% of the predictions are 'a'" in str(report.collapse)
        assert "right for 50%" in str(report.collapse)
