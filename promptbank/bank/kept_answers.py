"""Which answers are doubtful, and the training records that people make of them (active learning)."""

import json
from collections.abc import Mapping

from promptbank.bank.select import LIVE, find_scope
from promptbank.engine.predictor import Prediction
from promptbank.errors import InputError, UnknownTaskError
from store import AnswerKeeping, KeptAnswer, NewAnswer, Store
from tasks import TaskCard, parse_card, parse_spec

__all__ = ["AnsweredTask", "doubtful"]


def doubtful(
    rule: AnswerKeeping, fields: Mapping[str, str], answer: Prediction, other: Prediction | None
) -> NewAnswer | None:
    """Return what is kept of an answer; None where it is neither improbable nor another version says something else.

    Args:
        rule: what is kept of its task.
        fields: of the record.
        answer: to it.
        other: of the version beside it, if that was asked.
    """
    if answer.label is None or answer.probabilities is None:
        return None
    probability = answer.probabilities[answer.label]
    if probability >= rule.below and (other is None or other.label == answer.label):
        return None
    return NewAnswer(
        taskname=answer.taskname,
        lang=answer.lang,
        version=answer.version,
        fields_json=json.dumps(dict(fields), ensure_ascii=False, sort_keys=True),
        label=answer.label,
        probability=probability,
        other_version=other.version if other else None,
        other_label=other.label if other else None,
    )


class AnsweredTask:
    """A task whose doubtful answers are decided.

    Args:
        store: the bank's store.
        name: ``taskname:lang``.
        backbone: fingerprint of the one whose live row's card says the labels.

    Attributes:
        card: of the live row.

    Raises:
        PromptBankError: no such task.
        InputError: it has no labels.
        UnknownTaskError: no version is live.
    """

    def __init__(self, store: Store, name: str, backbone: str) -> None:
        self._store, scope = store, find_scope(store, parse_spec(name), backbone)
        version = store.aliases.get(scope, LIVE)
        if version is None:
            raise UnknownTaskError(f"no version of {scope.taskname}:{scope.lang} is live, so its labels are not known")
        self.name, self._key = f"{scope.taskname}:{scope.lang}", (scope.taskname, scope.lang)
        self.card: TaskCard = parse_card(json.loads(store.rows.get(scope, version).card_json))
        if self.card.label_space is None:
            raise InputError(f"{self.name} has open answers; people decide about answers with labels")

    def answers(self) -> list[KeptAnswer]:
        """Return what is kept, the most doubtful first."""
        return sorted(self._store.answers.list(*self._key), key=lambda one: (one.probability, one.answer_id))

    def decide(self, answer_id: int, decided: str | None, by: str, *, seen: str | None) -> None:
        """Say which label is right: one of the card's, the empty text for none of them, or None to open it again.

        Raises:
            InputError: the card has no such label.
            StoreError: see `store.answers`.
        """
        if decided and decided not in (self.card.label_space or {}):
            raise InputError(
                f"{decided!r} is no label of {self.name}; labels: {', '.join(self.card.label_space or ())}"
            )
        self._store.answers.decide(answer_id, decided, by, seen=seen)

    def undo(self, by: str) -> int:
        """Open the answer again about which somebody decided last; return its number.

        Raises:
            InputError: nothing that this person decided is left.
        """
        mine = [one for one in self.answers() if one.decided_by == by and one.decided_at is not None]
        if not mine:
            raise InputError("there is nothing left to undo")
        last = max(mine, key=lambda one: (one.decided_at, one.answer_id))
        self.decide(last.answer_id, None, by, seen=last.decided)
        return last.answer_id

    def training_lines(self) -> str:
        """Return what was decided as labelled records, a JSON object a line."""
        decided = sorted((one for one in self.answers() if one.decided), key=lambda one: one.answer_id)
        taskname, lang = self._key
        lines = [
            {"taskname": taskname, "lang": lang, **json.loads(one.fields_json), self.card.answer_field: one.decided}
            for one in decided
        ]
        return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
