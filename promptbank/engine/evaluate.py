"""An evaluation: predictions of a stored row compared with gold answers, in float32 unless told otherwise."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from promptbank.engine.predictor import Prediction, PredictionRequest, Predictor, ServedTask
from promptbank.errors import InputError, PromptBankError
from tasks import (
    ANSWER_FORMATS,
    DataError,
    Example,
    TaskCard,
    check_answer,
    classification_report,
    collapse_of,
    counted,
    data_sha256,
    exact_match,
    unanswered,
)

__all__ = [
    "TaskScores",
    "answer_examples",
    "evaluate",
    "right_answers",
    "score_answers",
    "score_texts",
    "texts_of",
    "warnings_of",
]

BATCH_EXAMPLES = 64


@dataclass(frozen=True)
class TaskScores:
    """Scores of one task on one set of examples.

    Attributes:
        metrics: of closed answers what `classification_report` gives, of open ones exact_match or the scores of their
            format; collapse where nearly all name one class; where there are any, truncated (examples of which text
            was cut) and rows_with_fewer_shots.
        data_sha256: of the examples, gold answers included.
        predicted: label ids, or texts, in the examples' order.
        probabilities: of the labels that were predicted; empty for open answers, or where they are not known.
    """

    metrics: dict[str, Any]
    data_sha256: str
    predicted: tuple[str, ...]
    probabilities: tuple[float, ...] = ()


def evaluate(
    predictor: Predictor,
    task: ServedTask,
    examples: Sequence[Example],
    *,
    on_rows: Callable[[int], None] = lambda _: None,
) -> TaskScores:
    """Predict every example and compare.

    Args:
        predictor: the engine.
        task: the row to be measured.
        examples: with answers.
        on_rows: called with the number of examples done.

    Raises:
        InputError: an example cannot be rendered; nothing is left out of a score.
        DataError: a gold answer is not of the card's answer format.
    """
    return score_answers(task.renderer.card, examples, answer_examples(predictor, task, examples, on_rows=on_rows))


def answer_examples(
    predictor: Predictor,
    task: ServedTask,
    examples: Sequence[Example],
    *,
    on_rows: Callable[[int], None] = lambda _: None,
) -> list[Prediction]:
    """Predict every example; see `evaluate`."""
    _check_gold(task.renderer.card, examples)
    answers: list[Prediction] = []
    for start in range(0, len(examples), BATCH_EXAMPLES):
        batch = examples[start : start + BATCH_EXAMPLES]
        results = predictor.predict([PredictionRequest(task, example.fields) for example in batch])
        for example, result in zip(batch, results, strict=True):
            if isinstance(result, PromptBankError):
                raise InputError(f"{example.source}: {result}") from result
            answers.append(result)
        on_rows(len(answers))
    return answers


def score_answers(card: TaskCard, examples: Sequence[Example], answers: Sequence[Prediction]) -> TaskScores:
    """Compare answers with the gold ones of the same examples."""
    scored = score_texts(card, examples, texts_of(answers))
    probabilities = tuple(max(answer.probabilities.values()) for answer in answers if answer.probabilities)
    truncated = sum(answer.truncated > 0 for answer in answers)
    metrics = scored.metrics | ({"truncated": truncated} if truncated else {})
    return replace(scored, metrics=metrics, probabilities=probabilities)


def texts_of(answers: Sequence[Prediction]) -> list[str]:
    """Return the label ids or texts of answers."""
    return [answer.label or "" if answer.text is None else answer.text for answer in answers]


def right_answers(card: TaskCard, examples: Sequence[Example], predicted: Sequence[str]) -> list[float]:
    """Return 1 for each right answer and 0 for each wrong one, as the card's own metric compares them.

    Label ids are compared, texts but for white space, or what the card's answer format reads.
    """
    return [_is_right(card, example, answer) for example, answer in zip(examples, predicted, strict=True)]


def _is_right(card: TaskCard, example: Example, predicted: str) -> float:
    gold = example.answer or ""
    if card.answer_format is not None:
        text = example.fields[card.text_field]
        return ANSWER_FORMATS[card.answer_format].scores(card, [text], [gold], [predicted])["exact_match"]
    return exact_match([gold], [predicted]) if card.is_open else float(gold == predicted)


def score_texts(card: TaskCard, examples: Sequence[Example], predicted: Sequence[str]) -> TaskScores:
    """Compare label ids, or texts, with the gold answers of the same examples, whoever gave them."""
    return TaskScores(_metrics(card, examples, predicted), data_sha256(examples), tuple(predicted))


def warnings_of(metrics: Mapping[str, Any]) -> Iterator[str]:
    """Say what a person should know before trusting the metrics of an `TaskScores` on test rows."""
    if metrics.get("truncated"):
        had = counted(metrics["truncated"], "test example had its text", "test examples had their text")
        yield f"{had} cut to fit the window"
    if metrics.get("rows_with_fewer_shots"):
        had = counted(metrics["rows_with_fewer_shots"], "test example", "test examples")
        yield f"{had} had fewer shots before the text, since not all fit the window"
    if metrics.get("collapse"):
        yield f"on test examples: {metrics['collapse']}"
    if missing := unanswered(metrics):
        yield f"on test examples {missing}"


def _check_gold(card: TaskCard, examples: Sequence[Example]) -> None:
    """Refuse unreadable gold answers before anything is predicted."""
    for example in examples:
        try:
            check_answer(card, example.answer or "")
        except DataError as exc:
            raise DataError(f"{example.source}: {exc}") from exc


def _classes(card: TaskCard, answers: Sequence[str]) -> list[str]:
    """Return the class that each formatted answer names; empty where it cannot be read."""
    found = [""] * len(answers)
    for number, answer in enumerate(answers):
        with suppress(DataError):
            found[number] = ANSWER_FORMATS[card.answer_format or ""].read(card, answer).intent
    return found


def _metrics(card: TaskCard, examples: Sequence[Example], predicted: Sequence[str]) -> dict[str, Any]:
    gold = [example.answer or "" for example in examples]
    if card.answer_format is not None:
        texts = [example.fields[card.text_field] for example in examples]
        form = ANSWER_FORMATS[card.answer_format]
        scores = form.scores(card, texts, gold, predicted)
        collapse = collapse_of(_classes(card, gold), _classes(card, predicted)) if form.keys else None
        return {**scores, **({"collapse": collapse} if collapse else {})}
    if card.label_space is None:
        return {"n": len(gold), "exact_match": exact_match(gold, predicted)}
    return classification_report(gold, predicted, tuple(card.label_space)).as_dict()
