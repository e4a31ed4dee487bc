"""Answers in the shape of OpenAI's API: completions, chat completions, and the chunks of their streams."""

import math
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field

from promptbank.engine.predictor import Prediction, ServedTask
from promptbank.service.openai_formats import LabelFormat
from promptbank.service.queue import QueuedRequest

__all__ = ["ChatAnswer", "CompletionAnswer", "finish_reason", "usage_of"]

Json = dict[str, object]

IMPOSSIBLE = -9999.0
"""OpenAI's log-probability of what has none."""


def finish_reason(one: QueuedRequest, prediction: Prediction) -> str:
    """Return whether an answer came to its end ("stop") or was cut off at its limit ("length")."""
    ended = prediction.text is None or prediction.ids[-1:] == (one.prepared.task.renderer.policy.eos_id,)
    return "stop" if ended else "length"


def usage_of(queued: Sequence[QueuedRequest], predictions: Sequence[Prediction]) -> Json:
    """Count tokens: of prompts with their virtual ones, of open answers with their end token, one for a label."""
    read = sum(one.prepared.tokens for one in queued)
    written = sum(1 if prediction.text is None else len(prediction.ids) for prediction in predictions)
    return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}


@dataclass(frozen=True)
class CompletionAnswer:
    """Answers to the prompts of one completion request.

    Attributes:
        task: the row that answers.
        form: how labels are written.
        top: how many labels are given with their probabilities; None for no probabilities.
        unread: number of messages that were not read.
    """

    task: ServedTask
    form: LabelFormat
    top: int | None
    unread: int
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    created: int = field(default_factory=lambda: int(time.time()))

    prefix, whole, part = "cmpl-", "text_completion", "text_completion"

    def text(self, prediction: Prediction) -> str:
        """Return what stands as the text of an answer."""
        return self.form.write(prediction.label) if prediction.label is not None else prediction.text or ""

    def choice(self, index: int, prediction: Prediction, finish: str) -> Json:
        """Return the answer to one prompt."""
        text = self.text(prediction)
        return {"index": index, "text": text, "logprobs": self.logprobs(prediction), "finish_reason": finish}

    def body(self, queued: Sequence[QueuedRequest], predictions: Sequence[Prediction]) -> Json:
        """Return the whole answer; with several prompts each choice says about its own."""
        choices = [
            self.choice(n, prediction, finish_reason(one, prediction))
            for n, (one, prediction) in enumerate(zip(queued, predictions, strict=True))
        ]
        about = [self.about(prediction) for prediction in predictions]
        if len(choices) > 1:
            choices = [{**choice, **said} for choice, said in zip(choices, about, strict=True)]
        own = about[0] if len(choices) == 1 else {}
        return {**self._head(self.whole), "choices": choices, "usage": usage_of(queued, predictions), **own}

    def chunk(self, choices: list[Json], **more: object) -> Json:
        """Return a chunk of the stream."""
        return {**self._head(self.part), "choices": choices, **more}

    def first(self, _index: int) -> list[Json]:
        """Return the choices of the chunk before the first text; none for no chunk."""
        return []

    def delta(self, index: int, text: str, logprobs: Json | None = None) -> Json:
        """Return the choice of a chunk with more of the text."""
        return {"index": index, "text": text, "logprobs": logprobs, "finish_reason": None}

    def last(self, index: int, finish: str) -> Json:
        """Return the choice of a chunk at the end of the text."""
        return {**self.delta(index, ""), "finish_reason": finish}

    def logprobs(self, prediction: Prediction) -> Json | None:
        """Return the log-probabilities of labels, the label as the one token; None where they are not asked for."""
        if self.top is None or prediction.label is None:
            return None
        ranked = _ranked(prediction)
        return {
            "tokens": [prediction.label],
            "token_logprobs": [ranked[0][1]],
            "top_logprobs": [dict(ranked[: self.top])],
            "text_offset": [0],
        }

    def about(self, prediction: Prediction) -> Json:
        """Return what OpenAI's API has no place for: the row, all probabilities, what was cut or not read."""
        said: Json = {
            "task": f"{prediction.taskname}:{prediction.lang}",
            "version": prediction.version,
            "sha256": prediction.sha256,
            "probabilities": prediction.probabilities,
            "probability": prediction.probability,
            "messages_not_read": self.unread,
        }
        said |= {"truncated": prediction.truncated} if prediction.truncated else {}
        return {"promptbank": said | ({"asked_lang": prediction.asked_lang} if prediction.asked_lang else {})}

    def _head(self, kind: str) -> Json:
        model = f"{self.task.taskname}:{self.task.lang}@{self.task.version}"
        return {"id": self.prefix + self.id, "object": kind, "created": self.created, "model": model}


class ChatAnswer(CompletionAnswer):
    """The answer to one chat request."""

    prefix, whole, part = "chatcmpl-", "chat.completion", "chat.completion.chunk"

    def choice(self, index: int, prediction: Prediction, finish: str) -> Json:
        """Return the answer."""
        message = {"role": "assistant", "content": self.text(prediction), "refusal": None}
        return {"index": index, "message": message, "logprobs": self.logprobs(prediction), "finish_reason": finish}

    def first(self, index: int) -> list[Json]:
        """Return the choice of the first chunk, which says who speaks."""
        return [_chat_delta(index, {"role": "assistant", "content": "", "refusal": None})]

    def delta(self, index: int, text: str, logprobs: Json | None = None) -> Json:
        """Return the choice of a chunk with more of the text."""
        return {**_chat_delta(index, {"content": text}), "logprobs": logprobs}

    def last(self, index: int, finish: str) -> Json:
        """Return the choice of a chunk at the end of the text."""
        return {**_chat_delta(index, {}), "finish_reason": finish}

    def logprobs(self, prediction: Prediction) -> Json | None:
        """Return the log-probabilities of labels, the label as the one token; None where they are not asked for."""
        if self.top is None or prediction.label is None:
            return None
        ranked = [_token(*pair) for pair in _ranked(prediction)]
        return {"content": [{**ranked[0], "top_logprobs": ranked[: self.top]}], "refusal": None}


def _chat_delta(index: int, delta: Json) -> Json:
    return {"index": index, "delta": delta, "logprobs": None, "finish_reason": None}


def _token(label: str, logprob: float) -> Json:
    return {"token": label, "logprob": logprob, "bytes": list(label.encode())}


def _ranked(prediction: Prediction) -> list[tuple[str, float]]:
    """Return labels with their natural log-probabilities, the most probable first."""
    ranked = sorted((prediction.probabilities or {}).items(), key=lambda pair: -pair[1])
    return [(label, math.log(value) if value > 0 else IMPOSSIBLE) for label, value in ranked]
