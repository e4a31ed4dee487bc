"""The server: answers records by task name, for the CLI and the service alike.

Rows are read once and kept; the store's revision number, one small query a request, tells when something was added or
moved, so new rows are served without a restart and every replica sees them.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from promptbank.bank.dataset import identified_among
from promptbank.bank.listing import LIVE, RowListing
from promptbank.bank.select import select_info, select_infos
from promptbank.bank.served import served_task
from promptbank.engine.leading import LeadingCache
from promptbank.engine.predictor import Prediction, PredictionRequest, Predictor, ServedTask
from promptbank.errors import InputError, PromptBankError
from promptbank.model.backbone import Backbone
from promptbank.model.forward import LanguageModel
from store import ApiKey, RowInfo, Store, StoreError, StoreUnavailableError
from tasks import DataError, InputRecord, TaskCard, TaskError, TaskRef, example_from, parse_card, parse_spec, value_of

__all__ = ["AUTO", "RecordRequest", "TaskServer", "asked_lang"]

T = TypeVar("T")
AUTO = "auto"
"""Instead of a language: the one of the task's languages that the text looks like."""


@dataclass(frozen=True, eq=False)
class RecordRequest:
    """One record and what the request around it says.

    Attributes:
        record: the JSON object with its place in the input, or the error of a line that is none.
        task: ``taskname[:lang][@version]`` from the path or ``--task``; None to take the record's ``taskname``.
        lang: language for records that name none.
    """

    record: InputRecord | DataError
    task: str | None = None
    lang: str | None = None


class TaskServer:
    """Answers questions with one backbone and one store, one call at a time.

    Args:
        store: the bank's store.
        backbone: float32.
        batch_tokens: padded tokens of one batch.

    Attributes:
        compute: runs work of the model; a service gives it to its model thread.
    """

    def __init__(self, store: Store, backbone: Backbone, *, batch_tokens: int = 4096) -> None:
        self.store, self.backbone = store, backbone
        self.compute: Callable[[Callable[[], str | None]], str | None] = lambda work: work()
        self.predictor = Predictor(LanguageModel(backbone.model), batch_tokens=batch_tokens)
        self.revision = -1
        self._tasks: dict[tuple[TaskRef, str | None], ServedTask] = {}

    def task(self, ref: TaskRef, lang: str | None = None) -> ServedTask:
        """Return the row that a reference means now.

        Raises:
            PromptBankError: unknown, ambiguous, or of another backbone.
            StoreError: the bank cannot be reached, or the row is damaged.
        """
        return _Rows(self).task(ref, lang)

    def answer(self, questions: Sequence[RecordRequest]) -> list[Prediction | PromptBankError | TaskError | StoreError]:
        """Answer every question; one that cannot be answered yields its error in its place."""
        found = self.requests(questions)
        answers = iter(self.predictor.predict([one for one in found if isinstance(one, PredictionRequest)]))
        return [next(answers) if isinstance(one, PredictionRequest) else one for one in found]

    def requests(
        self, questions: Sequence[RecordRequest]
    ) -> list[PredictionRequest | PromptBankError | TaskError | StoreError]:
        """Find the row that each question means; one that cannot be answered yields its error in its place."""
        rows = _Rows(self)
        return [_request_or_error(question, rows) for question in questions]

    def listing(self, taskname: str | None = None) -> RowListing:
        """Return what rows there are: at least those of one task, or all.

        Raises:
            StoreError: the bank cannot be reached.
        """
        return RowListing.of(self.store, taskname)

    def info(self, ref: TaskRef, lang: str | None = None) -> RowInfo:
        """Return which row a reference means now; see `select_info`."""
        return self.found(
            lambda listing: select_info(listing, ref, self.backbone, lang=lang, may_fall_back=True), (ref, lang)
        )

    def infos(self, ref: TaskRef) -> list[RowInfo]:
        """Return all rows that a reference means; see `select_infos`."""
        return self.found(lambda listing: select_infos(listing, ref, self.backbone), (ref, None))

    def spoken(self, ref: TaskRef, lang: str | None, text: Callable[[TaskCard], str]) -> str | None:
        """Return a language; instead of "auto", which of the task's languages a text looks like.

        Args:
            ref: of the task; a language that it names decides.
            lang: of the record or the request.
            text: returns the text that is to be answered, by a card of the task.

        Raises:
            AmbiguousLanguageError: the languages cannot be told apart.
            PromptBankError: see `infos`.
        """
        if lang != AUTO or ref.lang is not None:
            return None if lang == AUTO else lang
        infos = [info for info in self.infos(ref) if ref.version is not None or LIVE in info.aliases]
        langs = sorted({info.scope.lang for info in infos})
        return identified_among(text(self.card(infos[0])), langs) if len(langs) > 1 else None

    def found(self, pick: Callable[[RowListing], T], key: tuple[TaskRef, str | None]) -> T:
        """Return what is picked from the listing of a task."""
        return pick(self.listing(key[0].taskname))

    def card(self, info: RowInfo) -> TaskCard:
        """Return the card of a row.

        Raises:
            StoreError: the bank cannot be reached, or the row is damaged.
            TaskError: the card is faulty.
        """
        return parse_card(json.loads(self.store.rows.get(info.scope, info.version).card_json))

    @property
    def resident(self) -> int:
        """Rows in memory, ready to answer."""
        return len(self._tasks)

    def ready(self) -> list[ServedTask]:
        """Return the rows in memory, ready to answer."""
        return list(dict.fromkeys(self._tasks.values()))

    @property
    def leading(self) -> LeadingCache | None:
        """What is kept of the beginnings of prompts; None where nothing is."""
        return self.predictor.leading

    @property
    def refused(self) -> dict[str, str]:
        """What is wrong with each row that was refused, by its reference; here each request is told."""
        return {}

    @property
    def stale_seconds(self) -> float:
        """Seconds for which answers may be those of an earlier state of the bank; 0 here, as each call asks it."""
        return 0.0

    def known_revision(self) -> int:
        """Return the bank's revision.

        Raises:
            StoreError: the bank cannot be reached.
        """
        return self.store.revision()

    def api_keys(self) -> list[ApiKey]:
        """Return all API keys of the bank, revoked ones too."""
        return self.store.keys.list()

    def answered(self, task: ServedTask, error: BaseException | None) -> None:
        """See what became of a request of a service; here nothing follows from it."""

    def compared_with(self, _task: ServedTask) -> ServedTask | None:
        """Return the row that answers a service's request too, so that the answers can be compared; here none."""
        return None

    def compared(self, task: ServedTask, other: ServedTask, *, agrees: bool) -> None:
        """See whether two rows answered a record alike; here nothing follows from it."""

    def follow(self) -> None:
        """See what was changed just now; each call asks the bank here."""

    def refresh(self) -> None:
        """Forget rows if the bank has another revision than when they were read."""
        revision = self.store.revision()
        if revision != self.revision:
            self._tasks.clear()
            self.revision = revision

    def kept(self, ref: TaskRef, lang: str | None) -> ServedTask:
        """Return a row that was read before, or read it."""
        key = self.key(ref, lang)
        if (task := self._tasks.get(key)) is None:
            task = self._tasks[key] = self.selected(ref, lang)
        return task

    @staticmethod
    def key(ref: TaskRef, lang: str | None) -> tuple[TaskRef, str | None]:
        """Return what a row is kept under: a language that decides nothing keeps no second copy."""
        return ref, None if ref.lang else lang

    def selected(self, ref: TaskRef, lang: str | None) -> ServedTask:
        """Read the row that a reference means now."""
        info = self.info(ref, lang)
        return served_task(self.store.rows.get(info.scope, info.version), info.version, self.backbone)


class _Rows:
    """The rows of one request: the bank is asked once whether anything moved, and not again once it is out of reach.

    Without that, each record of a request would wait for the same connection to time out.
    """

    def __init__(self, server: TaskServer) -> None:
        self._server = server
        self._fresh = False
        self._unreached: StoreUnavailableError | None = None

    def task(self, ref: TaskRef, lang: str | None) -> ServedTask:
        if self._unreached:
            raise self._unreached
        try:
            if not self._fresh:
                self._server.refresh()
                self._fresh = True
            return self._server.kept(ref, lang)
        except StoreUnavailableError as exc:
            self._unreached = exc
            raise

    def spoken(self, ref: TaskRef, lang: str | None, text: Callable[[TaskCard], str]) -> str | None:
        return self._server.spoken(ref, lang, text)


def _request_or_error(
    question: RecordRequest, rows: _Rows
) -> PredictionRequest | PromptBankError | TaskError | StoreError:
    try:
        return _request(question, rows)
    except (PromptBankError, TaskError, StoreError) as exc:
        return exc


def _request(question: RecordRequest, rows: _Rows) -> PredictionRequest:
    record = question.record
    if isinstance(record, DataError):
        raise record
    named = _named_task(record)
    ref = parse_spec(question.task) if question.task is not None else named
    if ref is None:
        raise InputError(
            f'{record.source}: the record names no task; give it a "taskname"',
            cli="or name one with --task",
            http="or ask /v1/tasks/TASKNAME/predict",
        )
    if named is not None and named.version not in (None, ref.version):
        raise InputError(f"{record.source}: the record asks for {named}, but the request for {ref}; name one version")
    own = record.data.get("lang")
    if own is not None and not isinstance(own, str):
        raise InputError(f'{record.source}: "lang" must be a string such as "sv", not {own!r}')
    told, data = (None if own == AUTO else own) or (named.lang if named else None), record.data
    lang = rows.spoken(ref, told or own or question.lang, lambda card: str(value_of(data, card.text_field) or ""))
    task = rows.task(ref, lang)
    asked = asked_lang(task, ref, lang)
    if named is not None or own == AUTO:  # the card's taskname stands alone, and its language is compared below
        name = named.taskname if named is not None else None
        record = replace(record, data={**data, "taskname": name, "lang": told})
    if asked is not None and asked == told:
        record = replace(record, data={**record.data, "lang": None})
    fields = example_from(record, task.renderer.card, need_answer=False).fields
    return PredictionRequest(task, fields, asked_lang=asked)


def asked_lang(task: ServedTask, ref: TaskRef, lang: str | None) -> str | None:
    """Return the language that was named where the task's fallback language answers; None where it is the same."""
    asked = ref.lang or lang
    return asked if asked != task.lang else None


def _named_task(record: InputRecord) -> TaskRef | None:
    name = record.data.get("taskname")
    if name is None:
        return None
    if not isinstance(name, str):
        raise InputError(f'{record.source}: "taskname" must be a string such as "sentiment-task", not {name!r}')
    return parse_spec(name)
