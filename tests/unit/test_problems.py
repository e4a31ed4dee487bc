"""Errors to statuses and exit codes, against the statuses that the service promises."""

import pytest

from promptbank import errors
from promptbank.problems import _TABLE, EXPECTED, problem_of
from store import NotFoundError, StoreError, StoreUnavailableError, TamperedRowError
from tasks import DataError, SpecError, TaskError, UnknownLabelError
from translate.errors import TranslateError


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.UnknownTaskError, 404),
        (errors.BackboneMismatchError, 409),
        (errors.AmbiguousLanguageError, 422),
        (errors.TooLongError, 422),
        (errors.FullQueueError, 429),
        (errors.ExpiredError, 503),
        (errors.DrainingError, 503),
        (errors.InputError, 422),
        (DataError, 422),
        (SpecError, 422),
        (UnknownLabelError, 422),
        (NotFoundError, 404),
        (StoreUnavailableError, 503),
        (TamperedRowError, 500),
        (StoreError, 500),
        (errors.ConfigError, 500),
        (errors.TrainingError, 500),
        (errors.BackboneError, 500),
        (TranslateError, 500),
    ],
)
def test_an_error_has_the_promised_status(error: type[Exception], status: int) -> None:
    made = error.__new__(error)
    Exception.__init__(made, "what was wrong")
    assert problem_of(made).status == status


def test_no_entry_of_the_table_is_hidden_by_one_before_it() -> None:
    kinds = [kind for kind, *_ in _TABLE]
    hidden = [(b, a) for n, a in enumerate(kinds) for b in kinds[:n] if issubclass(a, b)]
    assert hidden == []


def test_every_base_is_in_the_table() -> None:
    assert {kind for kind, *_ in _TABLE} >= set(EXPECTED)
    assert (errors.PromptBankError, TaskError, StoreError, TranslateError) == EXPECTED


def test_a_type_means_one_status_and_one_title() -> None:
    facts: dict[str, set[tuple[int, str]]] = {}
    for _, status, name, title in _TABLE:
        facts.setdefault(name, set()).add((status, title))
    assert [name for name, seen in facts.items() if len(seen) > 1] == []


def test_a_problem_is_told_in_four_members_and_its_detail_is_the_message() -> None:
    problem = problem_of(errors.UnknownTaskError("unknown task 'x'"))
    assert problem.as_dict() == {
        "type": "unknown-task",
        "title": "Nothing is frozen under this name",
        "status": 404,
        "detail": "unknown task 'x'",
    }
    assert problem.exit_code == 1


@pytest.mark.parametrize("bug", [ValueError("x"), KeyError("x"), AssertionError(), OSError(5, "x")])
def test_a_bug_is_no_problem_of_the_user(bug: Exception) -> None:
    with pytest.raises(TypeError, match="is not an expected error") as told:
        problem_of(bug)
    assert told.value.__cause__ is bug
