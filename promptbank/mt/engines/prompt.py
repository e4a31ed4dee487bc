"""The engine of a task in the bank: the frozen backbone translates with a prompt of some kilobytes.

The task's free answer is the translation, as with the card in ``configs/translate-en-sv.jsonl``, which takes the pairs
of a corpus as they are: ``promptbank train --card configs/translate-en-sv.jsonl --data train.jsonl``.
"""

import hashlib
from collections.abc import Sequence

from promptbank.bank.task_server import RecordRequest, TaskServer
from promptbank.engine.predictor import Prediction
from tasks import InputRecord, parse_spec
from translate import EngineError, EngineInfo, Hypothesis, Segment

__all__ = ["PromptTranslator"]


class PromptTranslator:
    """Translates with a frozen task; satisfies ``translate.Engine``.

    Args:
        server: answers records by task.
        task: ``taskname[:lang][@version]``.
        langpair: what the task translates, such as ("en", "sv").

    Raises:
        PromptBankError: nothing is frozen under the name, for this backbone.
        EngineError: the task does not answer one text with another.
    """

    def __init__(self, server: TaskServer, task: str, langpair: tuple[str, str]) -> None:
        self._server, self._task, self._langpair = server, task, langpair
        served = server.task(parse_spec(task))
        card = served.renderer.card
        if not card.is_open or card.answer_format is not None or len(card.fields) != 1:
            raise EngineError(f"the task {task!r} is no translator: it must answer its one text field with free text")
        self._field = card.text_field
        said = f"{served.sha256} {card.template_sha256} {server.backbone.fingerprint}"
        digest = hashlib.sha256(said.encode()).hexdigest()
        self._info = EngineInfo(f"task:{task}:{digest}", ("-".join(langpair),), "trained")

    def info(self) -> EngineInfo:
        """Say what this engine is; its id changes with the row, its template and the backbone."""
        return self._info

    def translate(self, segments: Sequence[Segment]) -> list[Hypothesis]:
        """Translate segments; there is no score.

        Raises:
            EngineError: a text does not fit the backbone's window.
        """
        records = [InputRecord(n, {self._field: s.text}, f"segment {n}") for n, s in enumerate(segments, start=1)]
        answers = self._server.answer([RecordRequest(record, task=self._task) for record in records])
        return [self._hypothesis(segment, answer) for segment, answer in zip(segments, answers, strict=True)]

    def _hypothesis(self, segment: Segment, answer: Prediction | Exception) -> Hypothesis:
        if not isinstance(answer, Prediction):
            raise EngineError(f"the text {segment.text[:60]!r} cannot be translated: {answer}")
        if answer.truncated:
            raise EngineError(f"the text {segment.text[:60]!r} is too long for the window; split it into sentences")
        return Hypothesis((answer.text or "").strip())
