"""Score a frozen task on labelled rows, from its stored bytes, and keep the score with the row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from promptbank.bank.cards import examples_of
from promptbank.bank.dataset import look_at
from promptbank.bank.freeze import record_evaluation
from promptbank.bank.select import select_row
from promptbank.bank.served import served_task
from promptbank.bank.session import Bank
from promptbank.engine.predictor import Predictor
from promptbank.training.precision import training_copy
from store import Row
from tasks import DatasetReport, parse_spec

__all__ = ["TaskScore", "evaluate"]


@dataclass(frozen=True)
class TaskScore:
    """The score of a row on a set, and a report on the set; for metrics and hash see `TaskScores`."""

    row: Row
    metrics: dict[str, object]
    data_sha256: str
    report: DatasetReport


def evaluate(
    bank: Bank,
    task: str,
    data: Sequence[str] | None = None,
    *,
    lang: str | None = None,
    columns: Mapping[str, str] | None = None,
    constrained: bool = True,
    dtype: str = "float32",
) -> TaskScore:
    """Score a frozen task.

    Args:
        bank: the bank.
        task: ``taskname[:lang][@version]``; the live version if none is named.
        data: files, datasets folders or hub ids; the test part of the shipped sample if absent.
        lang: language, where the task names none.
        columns: the column of the data that each named field is taken from.
        constrained: hold open answers to the card's answer format.
        dtype: number format of the backbone, float32 or bfloat16; what `check_precision` compares.

    Raises:
        PromptBankError: see `select_row`; no rows.
        TaskError: every fault of the rows.
    """
    row = select_row(bank.store, parse_spec(task), bank.backbone, lang=lang)
    served = served_task(row, row.version, bank.backbone)
    found = examples_of(served.renderer.card, data, part="test", columns=columns)
    bank.display.say(found.note)
    report = look_at(bank.display, served.renderer.card, {"test": found.examples}, renderer=served.renderer)
    lm = training_copy(bank.lm, dtype)
    predictor = Predictor(lm, batch_tokens=bank.settings.batch_tokens, constrained=constrained)
    total = len(found.examples)
    result = record_evaluation(
        bank.store,
        predictor,
        row,
        served,
        found.examples,
        split="test",
        on_rows=lambda done: bank.display.count(done, total, "rows evaluated"),
    )
    return TaskScore(row, result.metrics, result.data_sha256, report)
