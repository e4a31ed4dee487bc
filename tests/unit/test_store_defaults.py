from concurrent.futures import ThreadPoolExecutor

import pytest

from store import InvalidRecordError, Store, UnknownRowError
from tests.conftest import Promptbank
from tests.stores import OTHER, SCOPE, new_row, outside


@pytest.fixture
def two_languages(fresh_store: Store) -> Store:
    fresh_store.rows.freeze(new_row(SCOPE))
    fresh_store.rows.freeze(new_row(OTHER))
    return fresh_store


def test_nothing_is_chosen_until_someone_does_and_the_newest_choice_counts(two_languages: Store) -> None:
    defaults = two_languages.defaults
    assert (defaults.get("sentiment-task"), defaults.history("sentiment-task")) == (None, [])
    for lang in ("sv", "en", "sv"):
        defaults.choose("sentiment-task", lang, reason=f"to {lang}")
    assert defaults.get("sentiment-task") == "sv"
    assert [(c.lang, c.reason) for c in defaults.history("sentiment-task")] == [
        ("sv", "to sv"),
        ("en", "to en"),
        ("sv", "to sv"),
    ]
    assert defaults.get("another") is None


def test_the_same_choice_again_logs_nothing_and_another_raises_the_revision(two_languages: Store) -> None:
    before = two_languages.revision()
    for _ in range(2):
        two_languages.defaults.choose("sentiment-task", "sv", reason="x")
    assert two_languages.revision() == before + 1
    assert len(two_languages.defaults.history("sentiment-task")) == 1


@pytest.mark.parametrize(
    ("taskname", "lang", "says"),
    [("sentiment-task", "gl", "it is frozen in en, sv"), ("nope", "en", "nothing is frozen under this name")],
)
def test_only_a_language_that_is_frozen_is_chosen(two_languages: Store, taskname: str, lang: str, says: str) -> None:
    with pytest.raises(UnknownRowError, match=says):
        two_languages.defaults.choose(taskname, lang, reason="x")
    assert two_languages.defaults.history(taskname) == []


def test_what_cannot_be_stored_is_refused_and_is_nowhere(two_languages: Store) -> None:
    with pytest.raises(InvalidRecordError, match="lang is empty"):
        two_languages.defaults.choose("sentiment-task", "", reason="x")
    with pytest.raises(InvalidRecordError, match="NUL"):
        two_languages.defaults.choose("a\0b", "en", reason="x")
    assert two_languages.defaults.get("a\0b") is None


def test_choices_stay_as_they_were_made(two_languages: Store) -> None:
    two_languages.defaults.choose("sentiment-task", "sv", reason="x")
    for statement in ("UPDATE default_language SET lang = 'en'", "DELETE FROM default_language"):
        with pytest.raises(Exception, match="keeps what was written"):
            outside(two_languages.url, statement)
    assert two_languages.check() == []


def test_two_at_once_leave_one_choice_each(two_languages: Store) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: two_languages.defaults.choose("sentiment-task", "sv", reason="x"), range(4)))
    assert len(two_languages.defaults.history("sentiment-task")) == 1


def test_the_command_line_chooses_and_lists(learnt: Promptbank) -> None:
    assert "nothing yet" in learnt("bank", "default", "sentiment-task").stderr
    assert "is not frozen in 'sv'; it is frozen in en" in learnt("bank", "default", "sentiment-task", "sv").stderr
    chosen = learnt("bank", "default", "sentiment-task", "en", "--json")
    assert (chosen.exit_code, '"lang": "en"' in chosen.stdout) == (0, True)
