"""Doubtful answers in the bank, on both engines: kept where somebody asked for it, decided, forgotten."""

from dataclasses import replace

import pytest

from store import AnswerKeeping, InvalidRecordError, NewAnswer, RevisionConflictError, Store, UnknownAnswerError
from tests.stores import outside

RULE = AnswerKeeping(taskname="mood", lang="en", below=0.6, beside=None, days=30)
ANSWER = NewAnswer(
    taskname="mood", lang="en", version=2, fields_json='{"text": "<b>å</b> 🙂"}', label="good", probability=0.5
)


def test_nothing_is_kept_until_somebody_asks_for_it(fresh_store: Store) -> None:
    assert not fresh_store.answers.keep(ANSWER)
    before = fresh_store.revision()
    fresh_store.answers.choose(RULE)
    assert fresh_store.revision() == before + 1  # services must see it
    assert fresh_store.answers.keep(ANSWER)
    assert not fresh_store.answers.keep(replace(ANSWER, lang="sv"))
    (found,) = fresh_store.answers.list("mood", "en")
    assert NewAnswer(**{name: getattr(found, name) for name in vars(ANSWER)}) == ANSWER
    assert (found.decided, found.decided_by, found.decided_at) == (None, None, None)


def test_a_record_is_kept_once(fresh_store: Store) -> None:
    fresh_store.answers.choose(RULE)
    assert [fresh_store.answers.keep(one) for one in (ANSWER, replace(ANSWER, version=3))] == [True, False]
    assert [one.version for one in fresh_store.answers.list("mood", "en")] == [2]


def test_a_rule_replaces_the_one_before_and_its_end_forgets_what_was_kept(fresh_store: Store) -> None:
    other = replace(RULE, lang="sv")
    for rule in (RULE, other, replace(RULE, beside=3, below=0.0)):
        fresh_store.answers.choose(rule)
    assert fresh_store.answers.rules() == [replace(RULE, beside=3, below=0.0), other]
    for lang in ("en", "sv"):
        fresh_store.answers.keep(replace(ANSWER, lang=lang))
    fresh_store.answers.stop("mood", "en")
    assert fresh_store.answers.rules() == [other]
    assert [len(fresh_store.answers.list("mood", lang)) for lang in ("en", "sv")] == [0, 1]


def test_what_is_older_than_its_days_is_removed(fresh_store: Store) -> None:
    fresh_store.answers.choose(RULE)
    for text in ("old", "new"):
        fresh_store.answers.keep(replace(ANSWER, fields_json=f'"{text}"'))
    outside(fresh_store.url, "UPDATE kept_answer SET created_at = '2020-01-01 00:00:00' WHERE answer_id = 1")
    assert [one.fields_json for one in fresh_store.answers.list("mood", "en")] == ['"new"']
    assert fresh_store.answers.forget() == 0


def test_of_two_who_decide_at_once_the_second_is_told(fresh_store: Store) -> None:
    fresh_store.answers.choose(RULE)
    fresh_store.answers.keep(ANSWER)
    fresh_store.answers.decide(1, "bad", "anna", seen=None)
    with pytest.raises(RevisionConflictError, match="somebody else decided"):
        fresh_store.answers.decide(1, "good", "björn", seen=None)
    (found,) = fresh_store.answers.list("mood", "en")
    assert (found.decided, found.decided_by) == ("bad", "anna")
    fresh_store.answers.decide(1, None, "björn", seen="bad")
    (found,) = fresh_store.answers.list("mood", "en")
    assert (found.decided, found.decided_at) == (None, None)
    with pytest.raises(UnknownAnswerError, match="answer 9"):
        fresh_store.answers.decide(9, "bad", "anna", seen=None)


@pytest.mark.parametrize(
    ("changes", "says"),
    [({"below": 1.5}, "1.5"), ({"days": 0}, "days is 0"), ({"beside": -1}, "beside"), ({"taskname": ""}, "empty")],
)
def test_a_rule_that_makes_no_sense_is_refused(fresh_store: Store, changes: dict[str, object], says: str) -> None:
    with pytest.raises(InvalidRecordError, match=says):
        fresh_store.answers.choose(replace(RULE, **changes))
