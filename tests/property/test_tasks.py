"""Splits and metrics, for any data."""

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks import (
    DataError,
    Example,
    Field,
    InputRecord,
    SplitError,
    Text,
    VirtualBlock,
    builtin_card,
    classification_report,
    crossval_split,
    exact_match,
    example_from,
    fold_of,
    given_split,
    label_shares,
    read_jsonl,
    scan_template,
    split_dev,
)
from tasks.template import Segment


def examples(groups: list[str]) -> list[Example]:
    return [
        Example(id=str(n), group=g, taskname="t", lang="en", fields={"x": g}, answer="ab"[n % 2])
        for n, g in enumerate(groups)
    ]


MANY = examples([f"g{n // 2}" for n in range(400)])


@given(k=st.integers(2, 10), fraction=st.floats(0.1, 0.5))
def test_folds_are_disjoint_complete_and_keep_groups_whole(k: int, fraction: float) -> None:
    tested: list[str] = []
    for fold in range(k):
        split = crossval_split(MANY, k, fold, fraction)
        parts = [{e.id for e in part} for part in (split.train, split.dev, split.test)]
        assert sum(map(len, parts)) == len(MANY) == len(set().union(*parts))
        groups = [{e.group for e in part} for part in (split.train, split.dev, split.test)]
        assert sum(map(len, groups)) == len(set().union(*groups))
        tested += parts[2]
    assert sorted(tested) == sorted(e.id for e in MANY)


@given(dropped=st.sets(st.integers(0, 399), max_size=100))
def test_dropping_rows_moves_no_other(dropped: set[int]) -> None:
    kept = [e for n, e in enumerate(MANY) if n not in dropped]
    train, dev = split_dev(MANY, 0.2)
    train_kept, dev_kept = split_dev(kept, 0.2)
    assert {e.id for e in train_kept} <= {e.id for e in train}
    assert {e.id for e in dev_kept} <= {e.id for e in dev}


def test_folds_are_about_equal_and_fixed_for_ever() -> None:
    sizes = [sum(fold_of(f"group {n}", 5) == fold for n in range(10_000)) for fold in range(5)]
    assert max(sizes) - min(sizes) < 250
    # the salt is part of every published figure: sha256("promptbank.fold.v1\0" + group), first 8 bytes, mod K
    assert [fold_of(group, 10) for group in ("a", "b", "c", "d")] == [_oracle(g, 10) for g in ("a", "b", "c", "d")]


def _oracle(group: str, k: int) -> int:
    import hashlib

    return int(hashlib.sha256(b"promptbank.fold.v1\x00" + group.encode()).hexdigest()[:16], 16) % k


def test_an_empty_part_and_a_wrong_fold_are_errors() -> None:
    with pytest.raises(SplitError, match="no example left for"):
        split_dev(examples(["one", "one"]), 0.5)
    with pytest.raises(SplitError, match="numbered 0 to 4"):
        crossval_split(MANY, 5, 5, 0.1)


def test_test_rows_set_apart_by_others_share_no_group_with_what_is_learnt_from() -> None:
    known, apart = [e for e in MANY if fold_of(e.group, 5)], [e for e in MANY if not fold_of(e.group, 5)]
    assert given_split(known, apart, 0.1) == crossval_split(MANY, 5, 0, 0.1)
    with pytest.raises(SplitError, match=rf"1 of {len(apart) + 1} test examples .* first '{known[0].group}'"):
        given_split(known, [*apart, known[0]], 0.1)
    with pytest.raises(SplitError, match="no example left for test"):
        given_split(known, [], 0.1)


def test_label_shares_add_up() -> None:
    assert label_shares(MANY) == {"a": 0.5, "b": 0.5}


PAIRS = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), min_size=1, max_size=40)


@given(pairs=PAIRS)
@pytest.mark.filterwarnings("ignore")
def test_scores_are_those_of_scikit_learn(pairs: list[tuple[str, str]]) -> None:
    metrics = pytest.importorskip("sklearn.metrics", reason="the extra baseline is not installed")
    gold, predicted = [g for g, _ in pairs], [p for _, p in pairs]
    report = classification_report(gold, predicted, ("a", "b", "c"))
    assert report.accuracy == pytest.approx(metrics.accuracy_score(gold, predicted))
    assert report.macro_f1 == pytest.approx(metrics.f1_score(gold, predicted, average="macro", zero_division=0))
    assert [list(row) for row in report.confusion] == metrics.confusion_matrix(
        gold, predicted, labels=["a", "b", "c"]
    ).tolist()
    precision, recall, f1, support = metrics.precision_recall_fscore_support(
        gold, predicted, labels=["a", "b", "c"], zero_division=0
    )
    for n, label in enumerate("abc"):
        score = report.per_label[label]
        found = (score.precision, score.recall, score.f1, score.support)
        assert found == pytest.approx((precision[n], recall[n], f1[n], support[n]))


@pytest.mark.parametrize(
    ("gold", "predicted", "warned"),
    [
        ("ab" * 20, "a" * 40, True),
        ("a" * 40, "a" * 40, False),
        ("ab" * 20, "ab" * 20, False),
        ("a" * 39 + "b", "a" * 40, False),
    ],
)
def test_a_collapse_onto_one_label_is_told(gold: str, predicted: str, warned: bool) -> None:
    assert (classification_report(list(gold), list(predicted), ("a", "b")).collapse is not None) is warned


@given(texts=st.lists(st.text(), min_size=1))
def test_exact_match_pays_no_heed_to_white_space(texts: list[str]) -> None:
    assert exact_match(texts, [f"  {t}\n" for t in texts]) == 1.0


def test_scores_of_nothing_and_of_strange_labels_are_refused() -> None:
    with pytest.raises(ValueError, match="0 gold and 0 predicted"):
        classification_report([], [], ("a",))
    with pytest.raises(ValueError, match=r"'z' are none of a, b"):
        classification_report(["a"], ["z"], ("a", "b"))
    with pytest.raises(ValueError, match="no rows"):
        exact_match([], [])


NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,5}", fullmatch=True)
PIECES = st.one_of(
    st.text(min_size=1, max_size=8).filter(lambda t: "<" not in t).map(Text),
    NAMES.map(Field),
    st.integers(0, 99).map(VirtualBlock),
)


def written(segment: Segment) -> str:
    """Write a segment as a template has it: the oracle of the scanner."""
    if isinstance(segment, Text):
        return segment.text.replace("{", "{{").replace("}", "}}")
    return f"{{{segment.name}}}" if isinstance(segment, Field) else f"<|VIRTUAL_PROMPT_{segment.index}|>"


@given(pieces=st.lists(PIECES, max_size=8))
def test_written_segments_are_scanned_back(pieces: list[Segment]) -> None:
    merged: list[Segment] = []
    for piece in pieces:
        if isinstance(piece, Text) and merged and isinstance(merged[-1], Text):
            merged[-1] = Text(merged[-1].text + piece.text)
        else:
            merged.append(piece)
    assert scan_template("".join(map(written, merged))) == (tuple(merged), ())


@given(text=st.one_of(st.text(), st.sampled_from(["{label}", "<|VIRTUAL_PROMPT_0|>", "}{", "<prompt_1>", "<eos>"])))
def test_a_fields_text_is_data_and_comes_back_as_it_is(text: str) -> None:
    card = builtin_card("sentiment-task")
    line = json.dumps({"sentence": text, "label": "positive"}).encode()
    (record,) = read_jsonl(io.BytesIO(line), name="f")
    if "\0" in text:
        assert isinstance(record, DataError)
        return
    assert isinstance(record, InputRecord)
    assert example_from(record, card, need_answer=True).fields == {"sentence": text}
    assert card.segments == (Field("sentence"), VirtualBlock(0), Text(" "), Field("label"))


@given(template=st.text(st.sampled_from(list("{}<|VIRTUAL_PROMPT_0|>ab ")), max_size=60))
def test_any_template_is_scanned_without_an_exception(template: str) -> None:
    segments, faults = scan_template(template)
    if "{" not in template and "}" not in template and "<|" not in template:
        assert "".join(s.text for s in segments) == template
        assert faults == ()
