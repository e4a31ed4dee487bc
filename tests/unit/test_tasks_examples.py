"""Records: read as a stream, faults named by file, line and field, nothing skipped."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from tasks import (
    DataError,
    InputRecord,
    builtin_card,
    check_record,
    data_sha256,
    example_from,
    parse_card,
    read_examples,
    read_jsonl,
    read_records,
)
from tasks.converters.fiqa import convert_fiqa
from tests.examples import load_dataset_examples
from tests.stores import ROOT

CARD = parse_card(
    {
        "taskname": "mood",
        "prompt_template": "{text} {note}<|VIRTUAL_PROMPT_0|> {label}",
        "total_virtual_tokens": 1,
        "virtual_token_splits": [1],
        "label_space": {"good": ["good"], "bad": ["bad", "awful"]},
    }
)
GOOD = {"taskname": "mood", "text": "a", "note": "b", "label": "awful"}


def read(text: bytes) -> list[InputRecord | DataError]:
    return list(read_jsonl(io.BytesIO(text), name="f"))


def example(**changes: object):
    data = {key: value for key, value in (GOOD | changes).items() if value is not ...}
    return example_from(InputRecord(1, data, "f:1"), CARD, need_answer=True)


def test_good_lines_around_a_broken_one_are_kept_in_their_places() -> None:
    found = read(b'\xef\xbb\xbf{"a": "1"}\n\n{broken\n{"a": "2"}\r\n')
    assert [r.data["a"] if isinstance(r, InputRecord) else None for r in found] == ["1", None, "2"]
    assert str(found[1]).startswith("f:3: broken JSON at column 2")
    assert found[2].source == "f:4"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b'{"a": 1, "a": 2}', "'a' stand twice"),
        (b'{"a": NaN}', "NaN is no JSON"),
        (b"[1]", "a record is a JSON object, not an array"),
        (b'{"a": "x\\u0000"}', "field 'a' holds a NUL character at 1"),
        (b'{"a": "\\ud800"}', "field 'a' holds a lone surrogate"),
        (b'{"a": "\xff"}', "is no UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a": ' + b"1" * 5000 + b"}", "a number cannot be read"),
    ],
)
def test_every_kind_of_broken_line_is_named(line: bytes, says: str) -> None:
    found = read(line)
    assert len(found) == 1
    assert str(found[0]).startswith("f:1: ")
    assert says in str(found[0])


def test_reading_is_lazy() -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield b'{"a": "1"}\n'

    assert len(list(islice(read_jsonl(endless(), name="f"), 5))) == 5


def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"missing\.jsonl cannot be read"):
        list(read_records(tmp_path / "missing.jsonl"))


def test_a_record_becomes_an_example_with_the_labels_id() -> None:
    made = example(id="7", group="g", target="extra keys are left alone")
    assert (made.id, made.group, made.answer, dict(made.fields)) == ("7", "g", "bad", {"text": "a", "note": "b"})
    assert example(text=12).fields["text"] == "12"


def test_ids_and_groups_come_from_the_content() -> None:
    assert example().id == example().id != example(text="x").id
    assert example().group == example(label="good").group != example(text="x").group


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"taskname": "other"}, 'taskname is "other", but the card is mood:en'),
        ({"lang": "sv"}, 'lang is "sv"'),
        ({"lang": True}, "lang is true"),
        ({"text": ...}, "field 'text' is missing; the record has 'taskname', 'note', 'label'"),
        ({"text": None}, "field 'text' is null; the record has 'taskname', 'text', 'note', 'label'"),
        ({"text": {"a": True}}, 'must be text, not {"a": true}'),
        ({"text": [1.5]}, "must be text, not [1.5]"),
        ({"label": ...}, "the answer field 'label' is missing"),
        ({"label": "so-so"}, "unknown label 'so-so'"),
        ({"label": None}, "the answer field 'label' is missing"),
        ({"id": {}}, "field 'id' must be text, not {}"),
        ({"group": [1]}, "field 'group' must be text, not [1]"),
    ],
)
def test_every_fault_of_a_record_is_named(changes: dict[str, object], says: str) -> None:
    with pytest.raises(DataError) as caught:
        example(**changes)
    assert str(caught.value).startswith("f:1: ")
    assert says in str(caught.value)


def test_all_faults_of_a_record_are_told_at_once() -> None:
    with pytest.raises(DataError) as caught:
        example(text=[], note=..., label={}, lang="sv")
    assert str(caught.value).count("; ") == 4  # one of them stands inside the message on the missing field
    assert "unknown label" not in str(caught.value)


def test_keys_that_the_card_does_not_use_change_nothing() -> None:
    more = GOOD | {"colour": "x", "score": [1.5, None]}
    plain, longer = (example_from(InputRecord(1, data, "f:1"), CARD, need_answer=True) for data in (GOOD, more))
    assert longer == plain


def test_at_inference_the_answer_is_not_even_looked_at() -> None:
    assert example_from(InputRecord(1, GOOD | {"label": ["?"]}, "f:1"), CARD, need_answer=False).answer is None


def test_faults_of_a_file_are_gathered_and_limited(tmp_path: Path) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text("\n".join(json.dumps(GOOD | {"label": f"?{n}"}) for n in range(25)) + "\n{")
    with pytest.raises(DataError) as caught:
        read_examples([path], CARD)
    assert "bad.jsonl:1:" in str(caught.value)
    assert str(caught.value).endswith("and 6 more")


def test_a_fault_that_many_lines_have_is_told_once(tmp_path: Path) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text("\n".join(json.dumps(GOOD | {"label": "?"}) for _ in range(25)))
    with pytest.raises(DataError) as caught:
        read_examples([path], CARD)
    assert str(caught.value).count("unknown label") == 1
    assert str(caught.value).startswith(f"{path}:1, {path}:2, {path}:3 and 22 more: unknown label '?'")


def test_answers_that_are_not_of_the_cards_format_are_all_told_when_they_are_read(tmp_path: Path) -> None:
    asked = [
        {"utterance": "wake me at six", "label": "\nIntent: alarm_set\nSlots: time(six)"},
        {"utterance": "wake me", "label": "positive"},
        {"utterance": [1], "label": "\nIntent: alarm_set\nSlots: hour(six)"},
    ]
    path, card = tmp_path / "asked.jsonl", builtin_card("intent_and_slot", "en")
    path.write_text("".join(json.dumps(row) + "\n" for row in asked))
    with pytest.raises(DataError) as caught:
        read_examples([path], card)
    second, third = str(caught.value).split(f"{path}:")[1:]
    assert second.startswith("2: the answer is no intent_slots.v1: character 0")
    assert third.startswith("3: field 'utterance' must be text, not [1]; the answer is no intent_slots.v1: character")
    assert "'hour'" in third
    path.write_text("".join(json.dumps(row) + "\n" for row in asked[:2]))
    assert [e.answer for e in read_examples([path], card, need_answer=False)] == [None, None]


def test_one_id_twice_is_named_with_both_lines(tmp_path: Path) -> None:
    path = tmp_path / "twice.jsonl"
    path.write_text("\n".join(json.dumps(GOOD | {"id": "7"}) for _ in range(2)))
    with pytest.raises(DataError, match=r"twice\.jsonl:2: id '7' stands at .*twice\.jsonl:1 already"):
        read_examples([path], CARD)


def test_equal_rows_without_ids_are_kept_apart(tmp_path: Path) -> None:
    path = tmp_path / "equal.jsonl"
    path.write_text("\n".join(json.dumps(GOOD) for _ in range(3)))
    first, second, third = read_examples([path], CARD)
    assert (second.id, third.id) == (f"{first.id}-2", f"{first.id}-3")
    assert first.group == second.group == third.group


def test_the_data_hash_is_over_content_and_order() -> None:
    one, two = example(id="1"), example(id="2")
    assert data_sha256([one, two]) == data_sha256([one, two]) != data_sha256([two, one])
    assert data_sha256([one]) != data_sha256([example(id="1", label="good")])


def test_check_record_takes_what_is_text() -> None:
    assert check_record({"a": "ü 📈 ربح", "n": 3}, "r").data["n"] == 3


def test_a_datasets_folder_is_read_with_its_label_names(tmp_path: Path) -> None:
    import datasets

    features = datasets.Features(
        {
            "text": datasets.Value("string"),
            "note": datasets.Value("string"),
            "label": datasets.ClassLabel(names=["good", "bad"]),
        }
    )
    rows = {"text": ["a", "b"], "note": ["", ""], "label": [1, 0]}
    datasets.DatasetDict({"train": datasets.Dataset.from_dict(rows, features)}).save_to_disk(str(tmp_path / "set"))
    examples = load_dataset_examples(str(tmp_path / "set"), CARD)
    assert [e.answer for e in examples] == ["bad", "good"]
    assert examples[1].source.endswith("[train]:2")
    with pytest.raises(DataError, match="'nope'"):
        load_dataset_examples(str(tmp_path / "set"), CARD, part="nope")


def test_an_empty_cell_of_a_dataset_is_an_absent_field(tmp_path: Path) -> None:
    import datasets

    names = datasets.ClassLabel(names=["good", "bad"])
    features = datasets.Features({"text": datasets.Value("string"), "note": datasets.Value("string"), "label": names})
    rows = {"text": ["a", "b"], "note": ["", None], "label": [-1, 0]}
    datasets.Dataset.from_dict(rows, features).save_to_disk(str(tmp_path / "set"))
    with pytest.raises(DataError) as caught:
        load_dataset_examples(str(tmp_path / "set"), CARD)
    assert "[train]:1: the answer field 'label' is missing" in str(caught.value)
    assert "[train]:2: field 'note' is missing" in str(caught.value)


def test_a_data_file_that_datasets_cannot_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "train.jsonl").write_text('{"text": "a"}\n{broken\n')
    code = f"from tests.unit.test_tasks_examples import *; load_dataset_examples({str(tmp_path / 'set')!r}, CARD)"
    environment = {**os.environ, "HF_HOME": str(tmp_path / "home"), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert "DataError" in done.stderr
    assert "cannot be loaded as a dataset (part 'train')" in done.stderr


def test_offline_only_the_cache_is_asked_for_a_hub_id(tmp_path: Path) -> None:
    code = "from tests.unit.test_tasks_examples import *; load_dataset_examples('nobody/nothing', CARD)"
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert "DataError: 'nobody/nothing' cannot be loaded as a dataset" in done.stderr


def test_a_hub_that_cannot_be_reached_is_told_without_retries(tmp_path: Path) -> None:
    code = "from tests.unit.test_tasks_examples import *; load_dataset_examples('nobody/nothing', CARD)"
    environment = {**os.environ, "HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert "DataError: 'nobody/nothing' is no file or folder here, and the hub cannot be reached" in done.stderr


def test_fiqa_gives_the_rows_of_the_article() -> None:
    folder = ROOT.parent / "shared" / "data" / "fiqa"
    if not folder.is_dir():
        pytest.skip("FiQA is not part of promptbank; put it into ../shared/data/fiqa to run this")
    converted = convert_fiqa(sorted(folder.glob("*.json")))
    assert len(converted.records) == 1159
    assert "14 neutral targets dropped (score 0)" in converted.notes
    assert len({record["id"] for record in converted.records}) == 1159
    assert all(record["sentence"].endswith(f" Sentiment for {record['target']}") for record in converted.records)


def fiqa_file(folder: Path, score: str, sentence: str = "A {target}  falls", target: str = "{sentence}") -> Path:
    info = [{"target": target, "sentiment_score": score}, {"target": "Z", "sentiment_score": "0.1"}]
    path = folder / "x.json"
    path.write_text(json.dumps({"1": {"sentence": sentence, "info": info}}))
    return path


def test_fiqa_targets_of_a_sentence_share_a_group_and_braces_stay_text(tmp_path: Path) -> None:
    first, second = convert_fiqa([fiqa_file(tmp_path, "-0.2")]).records
    assert first["sentence"] == "A {target}  falls Sentiment for {sentence}"
    assert (first["label"], second["label"]) == ("negative", "positive")
    assert first["group"] == second["group"]
    assert (first["id"], second["id"]) == ("fiqa-1-0", "fiqa-1-1")


@pytest.mark.parametrize("score", ["nan", "2", "x"])
def test_a_score_that_cannot_be_is_named(score: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="item '1' is not in FiQA's format"):
        convert_fiqa([fiqa_file(tmp_path, score)])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"1": {"sentence": "a"}}', "item '1' is not in FiQA's format"),
        ("[1]", "an object of items is needed, not list"),
        ("{", "cannot be read as FiQA JSON"),
    ],
)
def test_a_file_that_is_not_fiqa_is_named(text: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(DataError, match=says):
        convert_fiqa([tmp_path / "x.json"])
