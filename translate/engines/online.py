"""Services on the net: LibreTranslate, DeepL, and Google's page through deep-translator.

Texts leave the machine, so nothing here is chosen unasked, and a budget of characters stops a run before it costs more
than was meant. Services ask for patience with status 429 and fail now and then with 5xx; such answers are tried again,
after the wait that they ask for or a growing one (tenacity).
"""

from __future__ import annotations

import importlib.metadata
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from translate.errors import EngineError
from translate.protocols import EngineInfo, Hypothesis, Segment

if TYPE_CHECKING:
    import httpx
    from tenacity import RetryCallState

__all__ = ["SERVICES", "DeepL", "Google", "LibreTranslate", "OnlineEngine", "Service"]

TEXTS, CHARACTERS = 50, 5000
"""Most texts and characters of one request: DeepL takes 50 texts, Google's page 5,000 characters."""
ATTEMPTS = 6
SECONDS = 60.0
"""Longest wait for an answer, and the longest pause between two attempts."""
TOO_MANY = 429
BUSY = frozenset({TOO_MANY, 500, 502, 503, 504, 529})


class _BusyError(EngineError):
    """The service asks for patience.

    Args:
        said: what happened.
        pause: seconds it asks for; None where it does not say.
        taken: whether it may have taken the texts, and count them.
    """

    def __init__(self, said: str, pause: float | None = None, *, taken: bool = True) -> None:
        super().__init__(said)
        self.pause, self.taken = pause, taken


class Service(Protocol):
    """A service that translates a batch, of ``at_once`` texts at most."""

    name: str
    at_once: int

    def translate(self, texts: Sequence[str]) -> list[str]:
        """Return the translations in order.

        Raises:
            _BusyError: worth another attempt.
            EngineError: not worth one.
        """


class OnlineEngine:
    """Translates one direction by a service.

    Args:
        service: of the direction.
        langpair: source and target language.
        characters: budget; a batch that would exceed it is not sent.
        sleep: waits; another function in tests.
    """

    def __init__(
        self,
        service: Service,
        langpair: tuple[str, str],
        *,
        characters: int,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        try:
            import tenacity
        except ImportError as exc:
            raise _missing("tenacity") from exc
        self._service, self._left, self._budget = service, characters, characters
        self._info = EngineInfo(
            service.name, ("-".join(langpair),), "bracket", offline=False, at_once=TEXTS, again=False
        )
        self._retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(_BusyError),
            stop=tenacity.stop_after_attempt(ATTEMPTS),
            wait=_pause,
            reraise=True,
            sleep=sleep,
        )

    def info(self) -> EngineInfo:
        """Say what this engine is; a service changes without telling, so its id is no promise of equal output."""
        return self._info

    def translate(self, segments: Sequence[Segment]) -> list[Hypothesis]:
        """Translate segments, batch by batch; there is no score.

        Raises:
            EngineError: the budget is spent, or the service refuses, stays busy or answers something else.
        """
        found = [text for batch in self._batches([s.text for s in segments]) for text in self._batch(batch)]
        return [Hypothesis(text) for text in found]

    def _batches(self, texts: Sequence[str]) -> Iterator[list[str]]:
        batch: list[str] = []
        for text in texts:
            if batch and (len(batch) == self._service.at_once or sum(map(len, batch)) + len(text) > CHARACTERS):
                yield batch
                batch = []
            batch.append(text)
        if batch:
            yield batch

    def _batch(self, texts: Sequence[str]) -> list[str]:
        try:
            answers: list[str] = self._retrying(self._sent, texts)
        except _BusyError as exc:
            raise EngineError(f"{self._service.name} was tried {ATTEMPTS} times: {exc}; try again later") from exc
        if len(answers) != len(texts):
            raise EngineError(f"{self._service.name} gave back {len(answers)} of {len(texts)} texts")
        return [" ".join(answer.split()) for answer in answers]

    def _sent(self, texts: Sequence[str]) -> list[str]:
        """Send texts once; each attempt counts, unless the service says that it took nothing."""
        size = sum(map(len, texts))
        if size > self._left:
            raise EngineError(
                f"{self._service.name}: {self._budget - self._left} of {self._budget} characters are sent, and the "
                f"next {len(texts)} texts have {size}; allow more with --characters. What was translated before is kept"
            )
        self._left -= size
        try:
            return self._service.translate(texts)
        except _BusyError as exc:
            self._left += 0 if exc.taken else size
            raise


class LibreTranslate:
    """A LibreTranslate server, one's own or a public one (POST /translate).

    Args:
        langpair: source and target language.
        url: of the server, such as http://localhost:5000.
        key: its API key, where it wants one.
    """

    at_once = TEXTS

    def __init__(self, langpair: tuple[str, str], url: str, key: str = "") -> None:
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).netloc:
            raise EngineError(f"libretranslate:{url}: give the server's address, such as http://localhost:5000")
        self._url, self._langpair, self._key = url.rstrip("/"), langpair, key
        self.name = f"libretranslate:{self._url}"

    def translate(self, texts: Sequence[str]) -> list[str]:
        """See `Service`."""
        src, tgt = self._langpair
        body = {"q": list(texts), "source": src, "target": tgt, "format": "text"}
        answer = _post(self.name, f"{self._url}/translate", body | ({"api_key": self._key} if self._key else {}))
        return _texts(self.name, answer.get("translatedText"))


class DeepL:
    """DeepL's API, version 2; keys of free accounts end with ":fx" and have a host of their own.

    Args:
        langpair: source and target language.
        key: of the account.
        url: of the API; the key's own host if empty.
    """

    at_once = TEXTS
    TARGETS: Mapping[str, str] = {"en": "EN-GB", "pt": "PT-PT"}
    """Targets that need a variant."""

    def __init__(self, langpair: tuple[str, str], key: str, url: str = "") -> None:
        if not key:
            raise EngineError("deepl needs a key: set DEEPL_AUTH_KEY")
        self._url = url or ("https://api-free.deepl.com" if key.endswith(":fx") else "https://api.deepl.com")
        self._langpair, self._key = langpair, key
        self.name = f"deepl:{urlsplit(self._url).netloc}"

    def translate(self, texts: Sequence[str]) -> list[str]:
        """See `Service`."""
        src, tgt = self._langpair
        body = {"text": list(texts), "source_lang": src.upper(), "target_lang": self.TARGETS.get(tgt, tgt.upper())}
        headers = {"Authorization": f"DeepL-Auth-Key {self._key}"}
        answer = _post(self.name, f"{self._url}/v2/translate", body, headers)
        found = answer.get("translations")
        return _texts(self.name, [one.get("text") for one in found] if isinstance(found, list) else None)


class Google:
    """Google's translation page, read by deep-translator; a text at a time, and refused after a while.

    Args:
        langpair: source and target language.
        url: of the page; deep-translator's own if empty.
    """

    at_once = 1

    def __init__(self, langpair: tuple[str, str], url: str = "") -> None:
        try:
            from deep_translator import GoogleTranslator
        except ImportError as exc:
            raise _missing("deep-translator") from exc
        src, tgt = langpair
        try:
            self._translator: Any = GoogleTranslator(source=src, target=tgt)
        except Exception as exc:  # deep-translator has an exception for each fault of a language, without a base
            raise EngineError(f"google does not translate {src}-{tgt}: {exc}") from exc
        if url:
            self._translator._base_url = url
        self.name = f"google:deep-translator-{importlib.metadata.version('deep-translator')}"

    def translate(self, texts: Sequence[str]) -> list[str]:
        """See `Service`."""
        return [self._one(text) for text in texts]

    def _one(self, text: str) -> str:
        import requests
        from deep_translator.exceptions import RequestError, TooManyRequests, TranslationNotFound

        try:
            return self._translator.translate(text) or text  # it gives back nothing for a text that stays as it is
        except (TooManyRequests, RequestError, requests.RequestException) as exc:
            taken = not isinstance(exc, TooManyRequests | requests.ConnectTimeout)
            raise _BusyError(str(exc).strip() or type(exc).__name__, taken=taken) from exc
        except TranslationNotFound as exc:
            raise EngineError(f"{self.name}: no translation in the page: {exc}") from exc


def _libretranslate(langpair: tuple[str, str], argument: str, env: Mapping[str, str]) -> Service:
    return LibreTranslate(langpair, argument or "http://localhost:5000", env.get("LIBRETRANSLATE_API_KEY", ""))


def _deepl(langpair: tuple[str, str], argument: str, env: Mapping[str, str]) -> Service:
    return DeepL(langpair, env.get("DEEPL_AUTH_KEY", ""), argument)


def _google(langpair: tuple[str, str], argument: str, _env: Mapping[str, str]) -> Service:
    return Google(langpair, argument)


SERVICES: Mapping[str, Callable[[tuple[str, str], str, Mapping[str, str]], Service]] = {
    "libretranslate": _libretranslate,
    "deepl": _deepl,
    "google": _google,
}
"""Services by name; each takes the language pair, what stands after "name:", and the environment with its keys."""


def _post(name: str, url: str, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return a JSON answer, without ever putting a key into an error."""
    try:
        import httpx
    except ImportError as exc:
        raise _missing("httpx") from exc
    try:
        response = httpx.post(url, json=body, headers=headers, timeout=SECONDS)
    except httpx.TransportError as exc:
        raise _BusyError(f"no answer: {exc}", taken=not isinstance(exc, httpx.ConnectError)) from exc
    if response.status_code in BUSY:
        refused = response.status_code == TOO_MANY
        raise _BusyError(f"status {response.status_code}", _asked(response), taken=not refused)
    if response.is_error:
        raise EngineError(f"{name} refused with status {response.status_code}: {response.text[:200]}")
    try:
        answer = response.json()
    except ValueError as exc:
        raise EngineError(f"{name} answered no JSON: {response.text[:200]}") from exc
    return answer if isinstance(answer, dict) else {}


def _asked(response: httpx.Response) -> float | None:
    """Return the pause that a service asks for in seconds; a date is not read."""
    said = response.headers.get("retry-after", "")
    return float(said) if said.isdigit() else None


def _pause(state: RetryCallState) -> float:
    """Return the pause before the next attempt: 1, 2, 4 ... seconds, or what the service asks for."""
    error = state.outcome.exception() if state.outcome else None
    asked = error.pause if isinstance(error, _BusyError) else None
    return min(SECONDS, 2.0 ** (state.attempt_number - 1) if asked is None else asked)


def _texts(name: str, found: object) -> list[str]:
    if not isinstance(found, list) or not all(isinstance(text, str) for text in found):
        raise EngineError(f"{name} answered without a list of translations")
    return found


def _missing(package: str) -> EngineError:
    return EngineError(f"{package} is not installed; get it with `pip install promptbank[online]`")
