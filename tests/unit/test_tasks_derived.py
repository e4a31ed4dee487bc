"""Small tasks from real sets: labels from where they stand, groups that keep equal texts together."""

import json
from pathlib import Path

import pytest

from tasks import CONVERTERS, DataError, InputRecord, example_from, read_cards
from tasks.converters.fiqa import convert_headline_or_post
from tests.stores import ROOT

ASSISTANT = [
    {"answerid": "1", "text": "What time is it", "scenario": "datetime", "intent": "datetime_query"},
    {"answerid": "2", "text": "what  time is it", "scenario": "datetime", "intent": "datetime_query"},
    *({"answerid": str(n), "text": f"play song {n}", "scenario": "play", "intent": "play_music"} for n in range(3, 12)),
]


@pytest.fixture
def assistant(tmp_path: Path) -> list[Path]:
    path = tmp_path / "kfold.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ASSISTANT))
    return [path]


def test_scenarios_are_labels_and_equal_texts_one_group(assistant: list[Path]) -> None:
    records = CONVERTERS["assistant-scenario"](assistant).records
    assert [r["label"] for r in records] == [row["scenario"] for row in ASSISTANT]
    assert [r["id"].rpartition("-")[0] for r in records] == [f"assistant-{row['answerid']}" for row in ASSISTANT]
    assert len({r["id"] for r in records}) == len(ASSISTANT)
    assert records[0]["group"] == records[1]["group"] != records[2]["group"]


def test_all_clock_questions_are_kept_and_three_others_for_each(assistant: list[Path]) -> None:
    found = CONVERTERS["assistant-clock"](assistant)
    assert [r["label"] for r in found.records].count("yes") == 2
    assert [r["label"] for r in found.records].count("no") == 6
    assert found.notes == ("8 records, 2 of them yes", "3 left out")


def test_a_sentence_is_a_headline_or_a_post_by_its_file(tmp_path: Path) -> None:
    for kind, sentence in (("headline", "Shell up"), ("post", "$SHEL to the moon")):
        content = {"1" if kind == "headline" else "2": {"sentence": sentence, "info": []}}
        (tmp_path / f"task1_{kind}.json").write_text(json.dumps(content))
    records = convert_headline_or_post(sorted(tmp_path.glob("*.json"))).records
    assert [(r["sentence"], r["label"]) for r in records] == [("Shell up", "headline"), ("$SHEL to the moon", "post")]
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(DataError, match="'headline' or 'post'"):
        convert_headline_or_post([tmp_path / "other.json"])


@pytest.mark.parametrize("row", [{"text": "a"}, {"answerid": "1", "text": 3, "scenario": "x"}])
def test_a_row_of_another_format_is_told(tmp_path: Path, row: dict[str, object]) -> None:
    (tmp_path / "x.jsonl").write_text(json.dumps(row))
    with pytest.raises(DataError, match=r"x\.jsonl:1"):
        CONVERTERS["assistant-scenario"]([tmp_path / "x.jsonl"])


def test_the_cards_of_the_stream_take_the_records(assistant: list[Path]) -> None:
    cards = {card.taskname: card for card in read_cards(ROOT / "configs" / "stream" / "cards.jsonl")}
    for name in ("assistant-scenario", "assistant-clock"):
        for n, record in enumerate(CONVERTERS[name](assistant).records, start=1):
            example = example_from(InputRecord(n, record, f"x:{n}"), cards[record["taskname"]], need_answer=True)
            assert example.answer == record["label"]
