"""FiQA: every target becomes one record, and what is no text or stands twice is told, not written."""

import json
from pathlib import Path
from typing import Any

import pytest

from tasks import DataError, builtin_card, read_examples
from tasks.converters.fiqa import convert_fiqa


def info(target: object, score: object) -> dict[str, object]:
    return {"target": target, "sentiment_score": score}


def item(sentence: object, *targets: dict[str, object]) -> dict[str, Any]:
    return {"sentence": sentence, "info": list(targets)}


HEADLINES = {
    "10": item("Shell up,  BP down", info("Shell", "0.4"), info("BP", "-0.3")),
    "11": item("Tesco flat", info("Tesco", "0")),
}
POSTS = {
    "20": item(" Shell up, BP\tdown ", info("BP", "-0.1")),
    "21": item("$AAPL long “calls” 📈", info("$AAPL", "1"), info("calls", "0.0")),
}


def write(folder: Path, **files: object) -> list[Path]:
    paths = []
    for name, content in files.items():
        paths.append(folder / f"{name}.json")
        paths[-1].write_text(json.dumps(content))
    return paths


def test_every_target_is_a_record_in_the_order_of_the_files(tmp_path: Path) -> None:
    converted = convert_fiqa(write(tmp_path, headlines=HEADLINES, posts=POSTS))
    assert [(r["id"], r["label"], r["target"]) for r in converted.records] == [
        ("fiqa-10-0", "positive", "Shell"),
        ("fiqa-10-1", "negative", "BP"),
        ("fiqa-20-0", "negative", "BP"),
        ("fiqa-21-0", "positive", "$AAPL"),
    ]
    assert converted.records[0]["sentence"] == "Shell up,  BP down Sentiment for Shell"
    assert {r["taskname"] for r in converted.records} == {"sentiment-task"}


def test_dropped_neutral_rows_are_counted_over_all_files(tmp_path: Path) -> None:
    assert "2 neutral targets dropped (score 0)" in convert_fiqa(write(tmp_path, a=HEADLINES, b=POSTS)).notes
    only = convert_fiqa(write(tmp_path, c={"1": item("x", info("y", "0.5"))}))
    assert not any("neutral" in note for note in only.notes)


def test_a_group_is_the_sentence_but_for_white_space_and_target(tmp_path: Path) -> None:
    shell, bp, again, other = convert_fiqa(write(tmp_path, headlines=HEADLINES, posts=POSTS)).records
    assert shell["group"] == bp["group"] == again["group"] != other["group"]


def test_converted_records_are_read_back_under_the_card(tmp_path: Path) -> None:
    converted = convert_fiqa(write(tmp_path, headlines=HEADLINES, posts=POSTS))
    path = tmp_path / "fiqa.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in converted.records))
    examples = read_examples([path], builtin_card("sentiment-task"))
    expected = [(r["id"], r["group"], r["sentence"], r["label"]) for r in converted.records]
    assert [(e.id, e.group, e.fields["sentence"], e.answer) for e in examples] == expected


@pytest.mark.parametrize(
    ("sentence", "target"),
    [(None, "t"), (7, "t"), ("s", None), ("s", ["t"]), ("s\ud800", "t"), ("s", "\udfff"), ("s\0", "t"), ("s", "t\0")],
)
def test_what_is_no_text_is_no_record(sentence: object, target: object, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="item '5'"):
        convert_fiqa(write(tmp_path, x={"5": item(sentence, info(target, "0.5"))}))


def test_a_key_that_stands_twice_loses_no_item(tmp_path: Path) -> None:
    first, second = (json.dumps(item(text, info("t", "1"))) for text in ("one", "two"))
    path = tmp_path / "x.json"
    path.write_text(f'{{"5": {first}, "5": {second}}}')
    with pytest.raises(DataError, match="'5'"):
        convert_fiqa([path])


def test_one_key_in_two_files_is_told_before_the_ids_collide(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="'10'"):
        convert_fiqa(write(tmp_path, a=HEADLINES, b=HEADLINES))
