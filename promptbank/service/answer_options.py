"""What of an answer a client wants to have: its label, all scores or its text; and from which probability on."""

import math
from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import Query

from promptbank.engine.predictor import Prediction, PredictionRequest
from promptbank.errors import BodyFieldError
from tasks import TaskCard

__all__ = ["RETURN_TEXT", "THRESHOLD_TEXT", "AnswerOptions", "Wanted", "answer_options"]

Wanted = Literal["label", "scores", "text"]
RETURN_TEXT = "the label's id alone, the scores too (the default), or the answer as text, of a label its first form"
THRESHOLD_TEXT = "an answer with a lower probability is left out and `abstained` is true"


@dataclass(frozen=True)
class AnswerOptions:
    """What a client wants of each answer.

    Attributes:
        wanted: parts of the answer; None for all that there is.
        threshold: least probability with which an answer is given; None for any.
    """

    wanted: Wanted | None = None
    threshold: float | None = None

    def checked(self, asked: PredictionRequest | Exception) -> PredictionRequest | Exception:
        """Return a request, or the error of one whose answer has no such part."""
        if not isinstance(asked, PredictionRequest) or self.wanted != "label" or not asked.task.renderer.card.is_open:
            return asked
        name = f"{asked.task.taskname}:{asked.task.lang}"
        return BodyFieldError("return", f"{name} writes open answers, which have no label; ask for text or scores")

    def plain(self, answer: Prediction, card: TaskCard) -> dict[str, object]:
        """Return the parts of an answer as JSON values."""
        plain = answer.as_dict()
        if self.wanted in ("label", "text"):
            for name in ("probabilities", "margin", "probability"):
                plain.pop(name, None)
        if self.wanted == "text" and answer.label is not None and card.label_space:
            del plain["label"]
            plain["text"] = card.label_space[answer.label][0]
        if self.threshold is None:
            return plain
        sure = max(answer.probabilities.values()) if answer.probabilities else answer.probability or 0.0
        abstained = sure < self.threshold and not math.isclose(sure, self.threshold, abs_tol=1e-9)
        left_out = {"label", "text"} if abstained else set()
        return {name: value for name, value in plain.items() if name not in left_out} | {"abstained": abstained}


def answer_options(
    wanted: Annotated[Wanted | None, Query(alias="return", description=RETURN_TEXT)] = None,
    threshold: Annotated[float | None, Query(ge=0, le=1, description=THRESHOLD_TEXT)] = None,
) -> AnswerOptions:
    """Return the options that the parameters of a request name."""
    return AnswerOptions(wanted, threshold)
