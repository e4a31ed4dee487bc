"""docs/where.md asks twenty questions; the answers in where.json are files that exist."""

from __future__ import annotations

import json
import re

from tests.stores import ROOT

ANSWERS = ROOT / "tests" / "contract" / "where.json"


def test_every_question_has_an_answer_and_no_other_is_kept() -> None:
    text = (ROOT / "docs" / "where.md").read_text(encoding="utf-8")
    asked = re.findall(r"^(\d+)\. (.+)$", text, flags=re.MULTILINE)
    assert [int(number) for number, _ in asked] == list(range(1, 21))
    assert [question for _, question in asked] == list(json.loads(ANSWERS.read_text(encoding="utf-8")))


def test_every_answer_is_a_file_of_the_rooms() -> None:
    answers = json.loads(ANSWERS.read_text(encoding="utf-8"))
    files = [file for given in answers.values() for file in given]
    assert all(1 <= len(given) <= 2 for given in answers.values())
    assert [file for file in files if not (ROOT / file).is_file()] == [], "name the file that decides it now"


def test_the_questions_do_not_give_the_answers_away() -> None:
    text = (ROOT / "docs" / "where.md").read_text(encoding="utf-8")
    assert re.findall(r"[\w/]+\.py", text) == []


def test_every_file_that_the_overview_names_is_there() -> None:
    """A path is written from the root, or from the room that its section is about."""
    text = (ROOT / "docs" / "overview.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:\w+/)+(?:\w+\.py)?)`", text)) - {"runs/"}
    assert len(named) > 60
    rooms = (ROOT, ROOT / "promptbank", ROOT / "translate")
    assert sorted(name for name in named if not any((room / name).exists() for room in rooms)) == []
