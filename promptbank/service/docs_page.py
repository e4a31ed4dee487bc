"""The page of endpoints at `/docs`, of files that come along: it works where there is no net."""

from collections.abc import Awaitable, Callable
from importlib.resources import files

from fastapi import FastAPI, Request, Response
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import RedirectResponse

__all__ = ["add_docs_page"]

FILES = {"swagger-ui-bundle.js": "text/javascript", "swagger-ui.css": "text/css"}
"""What the page loads, with media types; stored packed."""


def add_docs_page(app: FastAPI) -> None:
    """Add the page and its files; `/redoc`, where FastAPI has a second page, leads to it."""

    @app.get("/docs", include_in_schema=False)
    async def docs(request: Request) -> Response:
        root = request.scope.get("root_path", "").rstrip("/")
        script, style = (f"{root}/docs/{name}" for name in FILES)
        return get_swagger_ui_html(
            openapi_url=f"{root}{app.openapi_url}",
            title=app.title,
            swagger_js_url=script,
            swagger_css_url=style,
            swagger_favicon_url="data:,",
            swagger_ui_parameters={"validatorUrl": None},
        )

    @app.get("/redoc", include_in_schema=False)
    async def redoc(request: Request) -> Response:
        return RedirectResponse(request.scope.get("root_path", "").rstrip("/") + "/docs")

    for name, media_type in FILES.items():
        app.get(f"/docs/{name}", include_in_schema=False)(_file(name, media_type))


def _file(name: str, media_type: str) -> Callable[[], Awaitable[Response]]:
    packed = (files("promptbank.service") / "swagger" / f"{name}.gz").read_bytes()
    headers = {"content-encoding": "gzip", "cache-control": "max-age=86400"}

    async def send() -> Response:
        return Response(packed, headers=headers, media_type=media_type)

    return send
