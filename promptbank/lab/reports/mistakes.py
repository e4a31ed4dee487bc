"""What a method takes for what: scores by label, the confusion matrix, and the examples that it has wrong."""

from collections import Counter
from collections.abc import Mapping, Sequence

from promptbank.report.parts import Cell, Table
from tasks import Example, TaskCard, classification_report

__all__ = ["label_tables", "mistake_table"]

MOST_LABELS = 20
"""Labels of a confusion matrix that can be read; of more, the pairs that are confused most often are listed."""
MOST_SHOWN = 50


def label_tables(
    card: TaskCard, predicted: Mapping[str, str], examples: Mapping[str, Example], *, decimals: int
) -> list[Table]:
    """Return scores by label and what is taken for what, over all folds together; nothing of open answers.

    Args:
        card: the task.
        predicted: label id by example id.
        examples: by id.
        decimals: of the scores.
    """
    if card.label_space is None:
        return []
    gold = [examples[i].answer or "" for i in predicted]
    found = classification_report(gold, list(predicted.values()), tuple(card.label_space))
    rows: list[list[Cell]] = [
        [label, score.support, score.precision, score.recall, score.f1] for label, score in found.per_label.items()
    ]
    note = "Over all examples, each in its fold's test part."
    by_label = Table("P-tuned, by label", ["label", "examples", "precision", "recall", "F1"], rows, note, decimals)
    return [
        by_label,
        _matrix(found.labels, found.confusion) if len(found.labels) <= MOST_LABELS else _pairs(predicted, examples),
    ]


def _matrix(labels: Sequence[str], confusion: Sequence[Sequence[int]]) -> Table:
    rows: list[list[Cell]] = [[label, *counts] for label, counts in zip(labels, confusion, strict=True)]
    note = "A line is a gold label, a column an answer; right answers stand on the diagonal."
    return Table("P-tuned, confusion matrix", ["gold label", *labels], rows, note)


def _pairs(predicted: Mapping[str, str], examples: Mapping[str, Example]) -> Table:
    counts = _confused(predicted, examples).most_common(MOST_SHOWN)
    return Table(
        "P-tuned, confused most often", ["gold label", "answer", "examples"], [[*pair, n] for pair, n in counts]
    )


def mistake_table(card: TaskCard, predicted: Mapping[str, str], examples: Mapping[str, Example]) -> Table:
    """Return the examples of wrong answers with their texts, those first whose labels are confused most often."""
    counts = _confused(predicted, examples)
    wrong = [(examples[i], answer) for i, answer in predicted.items() if answer != examples[i].answer]
    ordered = sorted(wrong, key=lambda pair: (-counts[pair[0].answer or "", pair[1]], pair[0].answer or "", pair[1]))
    rows: list[list[Cell]] = [
        [example.source or example.id, example.fields[card.text_field], example.answer, answer]
        for example, answer in ordered[:MOST_SHOWN]
    ]
    note = f"{len(rows)} of {len(wrong)}; it holds texts of your data, so it is in the report of this folder alone."
    return Table("P-tuned, mistakes", ["example", "text", "gold", "answer"], rows, note)


def _confused(predicted: Mapping[str, str], examples: Mapping[str, Example]) -> Counter[tuple[str, str]]:
    gold = {i: examples[i].answer or "" for i in predicted}
    return Counter((gold[i], answer) for i, answer in predicted.items() if answer != gold[i])
