"""The first page: where a session leads to, and the form for an API key."""

from starlette.responses import Response

from promptbank.console.app import ANYONE, Console, Page, Visit
from promptbank.errors import NoApiKeyError
from promptbank.service.sessions import COOKIE

__all__ = ["PAGES"]


def home(_console: Console, visit: Visit) -> Response:
    """Lead to the first page that the session may open."""
    if visit.session.scopes == {"review"}:
        return visit.go("/review")
    return visit.go("/tasks") if visit.session.scopes else visit.go("/login")


def ask(console: Console, visit: Visit) -> Response:
    """Show the form for a key."""
    return console.show(visit, "login.html", {"told": "", "after": ""})


def begin(console: Console, visit: Visit) -> Response:
    """Begin a session, and go where the person wanted to go."""
    wanted, base = visit.form.text("after"), visit.url("/")
    path = wanted.removeprefix(base)
    inside = wanted.startswith(base) and path[:1] not in ("/", "\\")
    try:
        return console.begin(visit, visit.form.text("key"), wanted if inside else base)
    except NoApiKeyError as exc:
        return console.show(visit, "login.html", {"told": str(exc), "after": wanted}, 401)


def end(_console: Console, visit: Visit) -> Response:
    """End the session."""
    answer = visit.go("/login")
    answer.delete_cookie(COOKIE, path=visit.request.scope.get("root_path", "") or "/")
    return answer


PAGES = (
    Page("/", home, ANYONE),
    Page("/login", ask, ANYONE),
    Page("/login", begin, ANYONE, "POST"),
    Page("/logout", end, ANYONE, "POST"),
)
