"""`GET /v1/tasks`: which tasks can be asked, and their versions; a service tells it from memory."""

from fastapi import FastAPI

from promptbank.bank.listing import LIVE
from promptbank.bank.task_server import TaskServer
from promptbank.errors import PromptBankError, UnknownTaskError
from promptbank.service.models import ProblemModel, TaskModel, VersionModel
from promptbank.service.problem_answers import problem_behind
from promptbank.service.statuses import LISTING, problems
from store import RowInfo, StoreError
from tasks import TaskError, TaskRef, parse_spec

__all__ = ["add_task_list", "version_model"]


def add_task_list(app: FastAPI, server: TaskServer) -> None:
    """Add the endpoints."""

    @app.get("/v1/tasks", summary="Tasks that can be asked", responses=problems(401, 403, 500, 503), tags=["tasks"])
    def tasks() -> list[TaskModel | ProblemModel]:
        """Return all live tasks of the backbone that is loaded; one that cannot be served is a problem in its place."""
        return [_task_or_problem(server, info) for info in server.listing().live(server.backbone.fingerprint)]

    @app.get(
        "/v1/tasks/{taskname}",
        summary="One task, in each of its languages",
        responses=problems(*LISTING),
        tags=["tasks"],
    )
    def task(taskname: str) -> list[TaskModel]:
        """Return the live rows of one taskname; `taskname[:lang][@version]` asks for less, or for another version."""
        return [_task(server, info) for info in _servable(server, parse_spec(taskname))]

    @app.get(
        "/v1/tasks/{taskname}/versions", summary="Versions of one task", responses=problems(*LISTING), tags=["tasks"]
    )
    def versions(taskname: str) -> list[VersionModel]:
        """Return every version with its aliases, oldest first."""
        return [version_model(info) for info in server.infos(parse_spec(taskname))]


def _servable(server: TaskServer, ref: TaskRef) -> list[RowInfo]:
    found = [info for info in server.infos(ref) if ref.version is not None or LIVE in info.aliases]
    if not found:
        raise UnknownTaskError(f"task {ref.taskname!r} has no live version; name one as {ref.taskname}@VERSION")
    return found


def _task_or_problem(server: TaskServer, info: RowInfo) -> TaskModel | ProblemModel:
    try:
        return _task(server, info)
    except (PromptBankError, StoreError, TaskError) as exc:
        return ProblemModel.model_validate(problem_behind(exc).as_dict())


def _task(server: TaskServer, info: RowInfo) -> TaskModel:
    card = server.card(info)
    labels = list(card.label_space) if card.label_space is not None else None
    return TaskModel(
        taskname=info.scope.taskname,
        lang=info.scope.lang,
        version=info.version,
        sha256=info.sha256,
        labels=labels,
        fields=list(card.fields),
        prompt_template=card.prompt_template,
        total_virtual_tokens=card.total_virtual_tokens,
        created_at=info.created_at,
    )


def version_model(info: RowInfo) -> VersionModel:
    """Return what a list tells of a version."""
    return VersionModel(
        taskname=info.scope.taskname,
        lang=info.scope.lang,
        version=info.version,
        sha256=info.sha256,
        aliases=list(info.aliases),
        created_at=info.created_at,
    )
