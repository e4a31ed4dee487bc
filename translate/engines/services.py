"""The services LibreTranslate, DeepL, and Google's page through deep-translator, and their language codes."""

import importlib.metadata
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from translate.engines.request import BusyError, ServiceUrl, checked_key, missing, post
from translate.errors import EngineError
from translate.langcodes import base_code, lookup, wider_codes

__all__ = ["CHARACTERS", "SERVICES", "TEXTS", "DeepL", "Google", "LibreTranslate", "Service"]

TEXTS, CHARACTERS = 50, 5000
"""Most texts and characters of one request: DeepL takes 50 texts, Google's page fewer than 5,000 characters."""


class Service(Protocol):
    """A service that translates batches of at most ``at_once`` texts."""

    name: str
    at_once: int

    def translate(self, texts: Sequence[str]) -> list[str]:
        """Return the translations in order.

        Raises:
            BusyError: another attempt may succeed.
            EngineError: no attempt will.
        """


class LibreTranslate:
    """A LibreTranslate server, one's own or a public one, with its API key where it wants one."""

    at_once = TEXTS

    def __init__(self, langpair: tuple[str, str], url: str, key: str = "") -> None:
        self._address = ServiceUrl.parse(url, "libretranslate")
        self._langpair, self._key = langpair, checked_key(key, "LIBRETRANSLATE_API_KEY")
        self.name = f"libretranslate:{self._address.shown}"

    def translate(self, texts: Sequence[str]) -> list[str]:
        """Post to /translate."""
        src, tgt = self._langpair
        body = {"q": list(texts), "source": src, "target": tgt, "format": "text"}
        whole = body | ({"api_key": self._key} if self._key else {})
        answer = post(self.name, self._address, "/translate", whole, key=self._key)
        return _texts(self.name, answer.get("translatedText"))


class DeepL:
    """DeepL's API, version 2; keys of free accounts end with ":fx" and have a host of their own."""

    at_once = TEXTS
    SOURCES: Mapping[str, str] = {"no": "NB"}
    """Codes of source languages that are not their base code in capitals."""
    TARGETS: Mapping[str, str] = {
        "en": "EN-GB", "en-US": "EN-US", "pt": "PT-PT", "pt-BR": "PT-BR", "es-419": "ES-419", "no": "NB",
        "zh-CN": "ZH-HANS", "zh-SG": "ZH-HANS", "zh-Hans": "ZH-HANS",
        "zh-TW": "ZH-HANT", "zh-HK": "ZH-HANT", "zh-MO": "ZH-HANT", "zh-Hant": "ZH-HANT",
    }  # fmt: skip
    """Codes of target languages that are not their base code in capitals."""

    def __init__(self, langpair: tuple[str, str], key: str, url: str = "") -> None:
        self._key = checked_key(key, "DEEPL_AUTH_KEY")
        if not self._key:
            raise EngineError("deepl needs a key: set DEEPL_AUTH_KEY")
        own = "https://api-free.deepl.com" if self._key.endswith(":fx") else "https://api.deepl.com"
        self._address = ServiceUrl.parse(url or own, "deepl")
        src, tgt = langpair
        self._source = lookup(self.SOURCES, src) or base_code(src).upper()
        self._target = lookup(self.TARGETS, tgt) or base_code(tgt).upper()
        self.name = f"deepl:{self._address.host}"

    def translate(self, texts: Sequence[str]) -> list[str]:
        """Post to /v2/translate."""
        body = {"text": list(texts), "source_lang": self._source, "target_lang": self._target}
        headers = {"Authorization": f"DeepL-Auth-Key {self._key}"}
        answer = post(self.name, self._address, "/v2/translate", body, key=self._key, headers=headers)
        found = answer.get("translations")
        objects = found if isinstance(found, list) else [None]
        return _texts(self.name, [one.get("text") if isinstance(one, dict) else None for one in objects])


class Google:
    """Google's translation page, read by deep-translator; a text at a time, and refused after a while."""

    at_once = 1
    CODES: Mapping[str, str] = {
        "fil": "tl", "he": "iw", "jv": "jw", "nb": "no",
        "zh": "zh-CN", "zh-Hant": "zh-TW", "zh-HK": "zh-TW", "zh-MO": "zh-TW",
    }  # fmt: skip
    """The page's codes, where they differ."""

    def __init__(self, langpair: tuple[str, str], url: str = "") -> None:
        try:
            from deep_translator import GoogleTranslator
        except ImportError as exc:
            raise missing("deep-translator") from exc
        src, tgt = (self._code(lang, langpair) for lang in langpair)
        if src == tgt:
            raise EngineError(f"google does not translate {'-'.join(langpair)}: both are {src!r} to it")
        self._translator = GoogleTranslator(source=src, target=tgt)
        if url:
            self._translator._base_url = ServiceUrl.parse(url, "google").url
        self.name = f"google:deep-translator-{importlib.metadata.version('deep-translator')}"

    def translate(self, texts: Sequence[str]) -> list[str]:
        """Read a page for each text."""
        longest = max(map(len, texts), default=0)
        if longest >= CHARACTERS:
            raise EngineError(f"google takes texts of fewer than {CHARACTERS} characters, not of {longest}; split it")
        return [self._one(text) for text in texts]

    def _code(self, lang: str, langpair: tuple[str, str]) -> str:
        from deep_translator.constants import GOOGLE_LANGUAGES_TO_CODES

        known = set(GOOGLE_LANGUAGES_TO_CODES.values())
        found = next((c for c in (self.CODES.get(code, code) for code in wider_codes(lang)) if c in known), None)
        if found is None:
            raise EngineError(
                f"google does not translate {'-'.join(langpair)}: it does not know {lang!r}; choose another engine"
            )
        return found

    def _one(self, text: str) -> str:
        import requests
        from deep_translator.exceptions import BaseError, RequestError, TooManyRequests

        try:
            return self._translator.translate(text) or text  # it gives back nothing for a text that stays as it is
        except (TooManyRequests, RequestError, requests.RequestException) as exc:
            taken = not isinstance(exc, TooManyRequests | requests.ConnectTimeout)
            raise BusyError(str(exc).strip() or type(exc).__name__, taken=taken) from exc
        except BaseError as exc:  # as text it quotes the whole text
            raise EngineError(f"{self.name}: no translation of {text[:60]!r}: {exc.message}") from exc


SERVICES: Mapping[str, Callable[[tuple[str, str], str, Mapping[str, str]], Service]] = {
    "libretranslate": lambda langpair, url, env: LibreTranslate(
        langpair, url or "http://localhost:5000", env.get("LIBRETRANSLATE_API_KEY", "")
    ),
    "deepl": lambda langpair, url, env: DeepL(langpair, env.get("DEEPL_AUTH_KEY", ""), url),
    "google": lambda langpair, url, _: Google(langpair, url),
}
"""Services by name; each is made of the language pair, the address after "name:", and the environment with its keys."""


def _texts(name: str, found: object) -> list[str]:
    if not isinstance(found, list) or not all(isinstance(text, str) for text in found):
        raise EngineError(f"{name} answered without a list of translations")
    return found
