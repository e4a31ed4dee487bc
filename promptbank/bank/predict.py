"""Answer records with frozen tasks."""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from itertools import islice

from promptbank.bank.select import check_known, find_row
from promptbank.bank.session import Bank
from promptbank.bank.task_server import RecordRequest
from promptbank.engine.predictor import Prediction
from promptbank.errors import PromptBankError
from store import StoreError
from tasks import DataError, InputRecord, TaskError, TaskRef, check_record, parse_card, parse_spec, value_of

__all__ = ["answers", "fields_of", "predict", "text_of"]

CHUNK_RECORDS = 256
"""Records answered together: enough to batch by length, and answers appear as the input is read."""


def predict(
    bank: Bank, records: Iterable[Mapping[str, object]], *, task: str | None = None, lang: str | None = None
) -> list[Prediction]:
    """Answer records, in order.

    Args:
        bank: the bank.
        records: with the fields of the task's template, and a "taskname" where ``task`` is absent.
        task: ``taskname[:lang][@version]``.
        lang: language of records that name none.

    Raises:
        PromptBankError: the first record that cannot be answered; also as StoreError or TaskError.
    """
    checked = (check_record(dict(record), f"record {n}") for n, record in enumerate(records, start=1))
    found = []
    for _, answer in answers(bank, checked, task=task, lang=lang):
        if not isinstance(answer, Prediction):
            raise answer
        found.append(answer)
    return found


def answers(
    bank: Bank, records: Iterable[InputRecord | DataError], *, task: str | None, lang: str | None
) -> Iterator[tuple[InputRecord | DataError, Prediction | PromptBankError | TaskError | StoreError]]:
    """Yield each record with its answer as the input is read; one that cannot be answered with its error.

    Raises:
        UnknownTaskError: nothing is frozen under the name of ``task``.
    """
    if task is not None:
        check_known(bank.store, parse_spec(task))
    unread = iter(records)
    while chunk := list(islice(unread, CHUNK_RECORDS)):
        found = bank.server.answer([RecordRequest(record, task, lang) for record in chunk])
        yield from zip(chunk, found, strict=True)


def fields_of(bank: Bank, task: str | None, lang: str | None) -> tuple[str, ...]:
    """Return the fields that a task needs, its text first; none where it is not known, as each answer will say."""
    if task is None:
        return ()
    with suppress(PromptBankError, TaskError, StoreError):
        ref = parse_spec(task)
        row = find_row(bank.store, replace(ref, lang=ref.lang or lang), bank.settings.backbone)
        card = parse_card(json.loads(row.card_json))
        return (card.text_field, *card.fields)
    return ()


def text_of(bank: Bank, record: InputRecord, answer: Prediction) -> str:
    """Return the text that was answered, on one line: the field of the record that its card is about."""
    ref = TaskRef(answer.taskname, answer.lang, answer.version)
    field = bank.server.kept(ref, answer.lang).renderer.card.text_field
    return " ".join(str(value_of(record.data, field) or "").split())
