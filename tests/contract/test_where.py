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
