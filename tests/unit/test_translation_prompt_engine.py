"""A task of the bank as an engine: it says what `predict` says, and refuses tasks that do not translate."""

import json
from pathlib import Path

import pytest
from typer.testing import Result

CARD = {
    "taskname": "translate-en-sv",
    "lang": "sv",
    "prompt_template": "{text}<|VIRTUAL_PROMPT_0|>{translation}",
    "total_virtual_tokens": 3,
    "virtual_token_splits": [3],
    "answer_field": "translation",
}


def test_an_open_task_translates_as_predict_answers(promptbank, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "card.jsonl").write_text(json.dumps(CARD))
    pairs = [
        {"text": f"the {a} {b}", "translation": f"{b} {a}"} for a in ("year", "text") for b in ("is", "rose", "of")
    ]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(pair) + "\n" for pair in pairs))
    trained: Result = promptbank(
        "train", "--card", "card.jsonl", "--data", "pairs.jsonl", "--epochs", "1", "--dev-fraction", "0.3"
    )
    assert trained.exit_code == 0, trained.stderr
    asked = json.dumps({"taskname": "translate-en-sv", "text": "the year rose"})
    (tmp_path / "new.jsonl").write_text(asked)
    answer = json.loads(promptbank("predict", "--data", "new.jsonl", "--json").stdout)["text"]
    lines: Result = promptbank("translate", "--engine", "task:translate-en-sv", "--lines", "-", stdin="the year rose\n")
    assert lines.exit_code == 0, lines.stderr
    assert lines.stdout == " ".join(answer.replace("\0", "\ufffd").split()) + "\n"


def test_a_closed_task_is_no_translator(learnt) -> None:  # type: ignore[no-untyped-def]
    done: Result = learnt("translate", "--engine", "task:sentiment-task", "--lines", "-", stdin="a\n")
    assert done.exit_code == 1
    assert "is no translator" in done.stderr
    assert "error" in learnt("translate", "--engine", "task:nothing", "--lines", "-", stdin="a\n").stderr


@pytest.mark.parametrize(
    "path", sorted((Path(__file__).parents[2] / "configs").glob("translate-*.jsonl")), ids=lambda path: path.name
)
def test_the_shipped_card_is_sound(path: Path) -> None:
    from tasks import read_cards

    (card,) = read_cards(path)
    assert card.is_open
