"""Changes of the bank over HTTP, for keys with the scope admin: aliases are moved and retired, rows are added.

A client names versions and sends bytes, never a path. Every change is logged in the bank with a reason and the key.
"""

import tempfile
from pathlib import Path
from typing import Annotated, Any, Literal

from anyio import to_thread
from fastapi import FastAPI, Query, Request
from fastapi import Path as PathParameter
from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from promptbank.bank.exchange import add_row, read_row
from promptbank.bank.task_server import TaskServer
from promptbank.errors import AmbiguousLanguageError, BackboneMismatchError, BodyFieldError, InputError
from promptbank.service.body import read_body
from promptbank.service.canary import CANARY
from promptbank.service.limits import RequestLimits
from promptbank.service.models import AliasModel, VersionModel
from promptbank.service.openai_bodies import body_schema, read_request
from promptbank.service.statuses import ADMIN, problems
from promptbank.service.task_list import version_model
from store import Row, Scope
from tasks import parse_spec

__all__ = ["add_admin"]

Alias = Annotated[str, PathParameter(pattern=r"^[a-z][a-z0-9_-]{0,63}$", description="such as `live`")]
Reason = Annotated[str, Query(min_length=1, max_length=500, description="kept in the alias's history")]
Live = Annotated[
    Literal["gated", "always", "never"],
    Query(description="whether `live` moves to the row; gated: only where none is live"),
]
Revision = Annotated[
    int | None, Query(description="of the bank, as `/readyz` tells it: 409 if the bank has changed since")
]


class AliasMoveRequest(BaseModel):
    """Where an alias is to point, and why."""

    model_config = ConfigDict(extra="forbid", strict=True)

    version: PositiveInt
    reason: str = Field(min_length=1, max_length=500, description="kept in the alias's history")
    share: float | None = Field(
        None, gt=0, le=1, strict=False, description="of `canary`: the part of requests without a version that it gets"
    )
    if_revision: int | None = Field(
        None, description="of the bank, as `/readyz` tells it: 409 if the bank has changed since"
    )


def add_admin(app: FastAPI, server: TaskServer, limits: RequestLimits) -> None:
    """Add the endpoints; the arguments are those of `promptbank.service.openai.add_openai`."""
    about: dict[str, Any] = {"responses": problems(*ADMIN), "tags": ["admin"]}
    path = "/v1/tasks/{taskname}/aliases/{alias}"

    @app.put(path, summary="Move an alias", openapi_extra={"requestBody": body_schema(AliasMoveRequest)}, **about)
    async def move(request: Request, taskname: str, alias: Alias) -> AliasModel:
        """Point an alias of `taskname[:lang]` at a version; this process honours it before it answers.

        Others do so within about a second. A row that fails its check is told in `refused`.
        """
        asked = read_request(await read_body(request, limits.body, limits.body_seconds), AliasMoveRequest)

        def moved() -> AliasModel:
            if asked.share is not None and alias != CANARY:
                raise BodyFieldError("share", f"only the alias {CANARY} has a share of the requests")
            scope, told = _scope(server, taskname), _told(request, asked.reason)
            server.store.aliases.move(
                scope, asked.version, alias, reason=told, if_revision=asked.if_revision, share=asked.share
            )
            return _alias(server, scope, alias, asked.version)

        return await to_thread.run_sync(moved)

    @app.delete(path, summary="Retire an alias", **about)
    async def retire(
        request: Request, taskname: str, alias: Alias, reason: Reason, if_revision: Revision = None
    ) -> AliasModel:
        """Let an alias of `taskname[:lang]` point nowhere; its history and all rows stay."""

        def retired() -> AliasModel:
            scope, aliases = _scope(server, taskname), server.store.aliases
            aliases.retire(scope, alias, reason=_told(request, reason), if_revision=if_revision)
            return _alias(server, scope, alias, None)

        return await to_thread.run_sync(retired)

    @app.post("/v1/tasks/{taskname}/versions", summary="Add a row", openapi_extra=_ROW_BODY, status_code=201, **about)
    async def add(request: Request, taskname: str, live: Live = "gated") -> VersionModel:
        """Add the row that `promptbank bank export` wrote to `taskname[:lang]`, under its next version.

        It is checked as `bank import` checks it, and must be of the backbone that is loaded; a row that is there
        already is found again.
        """
        body = await read_body(request, limits.row_bytes, limits.body_seconds)
        return await to_thread.run_sync(lambda: _added(server, body, taskname, live, _told(request, "sent over HTTP")))


_ROW_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


def _told(request: Request, reason: str) -> str:
    return f"{reason} (key {request.state.api_key.name})"


def _scope(server: TaskServer, taskname: str) -> Scope:
    ref = parse_spec(taskname)
    if ref.version is not None:
        raise BodyFieldError("taskname", f"{taskname!r} names a version; an alias belongs to taskname[:lang]")
    scopes = sorted({info.scope for info in server.infos(ref)})
    if len(scopes) > 1:
        raise AmbiguousLanguageError(
            f"{taskname!r} is frozen in {', '.join(s.lang for s in scopes)}; name the language"
        )
    return scopes[0]


def _alias(server: TaskServer, scope: Scope, alias: str, version: int | None) -> AliasModel:
    server.follow()
    name = f"{scope.taskname}:{scope.lang}@{version}"
    return AliasModel(
        taskname=scope.taskname,
        lang=scope.lang,
        alias=alias,
        version=version,
        revision=server.known_revision(),
        refused=server.refused.get(name),
    )


def _added(server: TaskServer, body: bytes, taskname: str, live: str, reason: str) -> VersionModel:
    row = add_row(server.store, _row(server, body, taskname), source="the body", live=live, reason=reason,
                  sizes={server.backbone.fingerprint: server.backbone})  # fmt: skip
    server.follow()
    infos = server.infos(parse_spec(f"{row.scope.taskname}:{row.scope.lang}@{row.version}"))
    return version_model(infos[0])


def _row(server: TaskServer, body: bytes, taskname: str) -> Row:
    """Read a row from a body, which must be of the task that is named and of the backbone that is loaded."""
    ref = parse_spec(taskname)
    with tempfile.TemporaryDirectory(prefix="promptbank-") as folder:
        path = Path(folder) / "row.safetensors"
        path.write_bytes(body)
        try:
            row = read_row(path)
        except InputError as exc:
            raise InputError(str(exc).replace(str(path), "the body")) from exc
    scope = row.scope
    if ref.version is not None or scope.taskname != ref.taskname or ref.lang not in (None, scope.lang):
        raise InputError(f"the body holds a row of {scope.taskname}:{scope.lang}, but the path names {taskname}")
    if scope.fingerprint != server.backbone.fingerprint:
        raise BackboneMismatchError(
            f"the row was made for {row.backbone_name} ({scope.fingerprint[:12]}); this service has "
            f"{server.backbone.name} ({server.backbone.fingerprint[:12]})"
        )
    return row
