"""Requests to services on the net. Neither a key nor a password ever stands in a name or an error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from translate.errors import EngineError

if TYPE_CHECKING:
    import httpx

__all__ = ["BusyError", "ServiceUrl", "checked_key", "missing", "post"]

SECONDS = 60.0
"""Longest wait for an answer."""
TOO_MANY = 429
BUSY = frozenset({TOO_MANY, 500, 502, 503, 504, 529})


class BusyError(EngineError):
    """The service is busy.

    Attributes:
        pause: seconds it asks to wait; None where it does not say.
        taken: whether it may have taken the texts, and count them.
    """

    def __init__(self, said: str, pause: float | None = None, *, taken: bool = True) -> None:
        super().__init__(said)
        self.pause, self.taken = pause, taken


@dataclass(frozen=True)
class ServiceUrl:
    """The address of a service.

    Attributes:
        url: for requests; a user's name and password may stand in it.
        host: with its port.
        shown: without user and password.
    """

    url: str
    host: str
    shown: str

    @classmethod
    def parse(cls, url: str, service: str) -> ServiceUrl:
        """Read an address such as http://localhost:5000.

        Raises:
            EngineError: it is no address of HTTP, or has a query.
        """
        try:
            parts = urlsplit(url.strip().rstrip("/"))
            sound = parts.scheme in ("http", "https") and parts.hostname and not (parts.query or parts.fragment)
            _ = parts.port
        except ValueError:
            sound = False
        if not sound:
            told = url.rpartition("@")[2].partition("?")[0]  # what is before an "@" may be a password
            raise EngineError(
                f"{service}:{told}: this is no address; give the server's address without a query, such as "
                "http://localhost:5000"
            )
        host = parts.netloc.rpartition("@")[2]
        return cls(parts.geturl(), host, f"{parts.scheme}://{host}{parts.path}")


def checked_key(key: str, variable: str) -> str:
    """Return a key of an environment variable without the white space around it.

    Raises:
        EngineError: it has characters that no key has.
    """
    clean = key.strip()
    if not (clean.isascii() and clean.isprintable()):
        raise EngineError(
            f"the key in {variable} has characters that no key has; letters, digits and signs of ASCII are allowed: "
            "copy it again"
        )
    return clean


def post(
    name: str,
    address: ServiceUrl,
    path: str,
    body: Mapping[str, object],
    *,
    key: str = "",
    headers: Mapping[str, str] | None = None,
) -> dict[str, object]:
    """Post JSON to a path of a service and return the JSON object that it answers; errors do not quote the key.

    Raises:
        BusyError: another attempt may succeed.
        EngineError: no attempt will.
    """
    try:
        import httpx
    except ImportError as exc:
        raise missing("httpx") from exc
    try:
        response = httpx.post(f"{address.url}{path}", json=body, headers=headers, timeout=SECONDS)
    except (httpx.LocalProtocolError, httpx.UnsupportedProtocol, httpx.InvalidURL):
        # what httpx says quotes the header or the address, and with them the key or the password
        raise EngineError(f"{name}: no request can be made of its address and key; check both") from None
    except httpx.TransportError as exc:
        raise BusyError(f"no answer: {exc}", taken=not isinstance(exc, httpx.ConnectError)) from exc
    except httpx.RequestError as exc:
        raise EngineError(f"{name} answered what cannot be read: {exc}") from exc
    said = (response.text.replace(key, "...") if key else response.text)[:200]
    if response.status_code in BUSY:
        asked = response.headers.get("retry-after", "")
        pause = float(asked) if asked.isdigit() else None  # a date is not read
        raise BusyError(f"status {response.status_code}", pause, taken=response.status_code != TOO_MANY)
    if response.has_redirect_location:
        raise EngineError(f"{name} redirects to {_redirected(response, address, path)}; give that address")
    if response.is_error:
        raise EngineError(f"{name} refused with status {response.status_code}: {said}")
    try:
        answer = response.json()
    except ValueError as exc:
        raise EngineError(f"{name} answered no JSON: {said}") from exc
    return answer if isinstance(answer, dict) else {}


def missing(package: str) -> EngineError:
    """Return the error for a package that is not installed."""
    return EngineError(f"{package} is not installed; get it with `pip install promptbank[online]`")


def _redirected(response: httpx.Response, address: ServiceUrl, path: str) -> str:
    """Return the address that a service redirects to, without the path that is asked below it."""
    parts = urlsplit(urljoin(f"{address.shown}{path}", response.headers["location"]))
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}".removesuffix(path)
