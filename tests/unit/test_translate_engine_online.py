"""Services on the net, against a local server that speaks as they do and can be busy, rude or wrong."""

import base64
import html
import json
import threading
import traceback
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

pytest.importorskip("tenacity", reason="the extra online is not installed")
pytest.importorskip("deep_translator", reason="the extra online is not installed")

from promptbank.config import Settings
from promptbank.mt.engines.provider import EngineRequest
from promptbank.mt.engines.providers import choose_engine, offers, open_engine
from translate import EngineError, Segment
from translate.engines.online import ATTEMPTS, DeepL, Google, LibreTranslate, OnlineEngine, Service
from translate.engines.request import BusyError, ServiceUrl, post
from translate.pipeline.memory import DictMemory, translate_segments

EN_SV = ("en", "sv")
KEY = "secret-key-of-nobody:fx"


class Fake:
    """Three services at one address: they shout; `answers` are given instead, first to last."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, dict[str, str], bytes]] = []
        self.requests: list[tuple[str, dict[str, Any], dict[str, str]]] = []
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                fake.requests.append((self.path, body, dict(self.headers)))
                texts = body.get("q") or body.get("text")
                upper = [text.upper() for text in texts]
                deepl = {"translations": [{"text": text} for text in upper]}
                self.answer(json.dumps({"translatedText": upper} if "q" in body else deepl).encode())

            def do_GET(self) -> None:
                asked = {key: value[0] for key, value in parse_qs(urlsplit(self.path).query).items()}
                fake.requests.append((urlsplit(self.path).path, asked, dict(self.headers)))
                page = f'<html><div class="result-container">{html.escape(asked["q"].upper())}</div></html>'
                self.answer(page.encode())

            def answer(self, content: bytes) -> None:
                status, headers, said = fake.answers.pop(0) if fake.answers else (200, {}, content)
                self.send_response(status)
                for name, value in {
                    "content-type": "text/html; charset=utf-8",
                    "content-length": str(len(said)),
                    **headers,
                }.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(said)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def fake() -> Iterator[Fake]:
    made = Fake()
    yield made
    made.server.shutdown()
    made.server.server_close()


def services(fake: Fake) -> dict[str, Service]:
    return {
        "libretranslate": LibreTranslate(EN_SV, fake.url + "/", "k"),
        "deepl": DeepL(EN_SV, KEY, fake.url),
        "google": Google(EN_SV, fake.url),
    }


def engine(service: Service, characters: int = 10_000) -> tuple[OnlineEngine, list[float]]:
    slept: list[float] = []
    return OnlineEngine(service, EN_SV, characters=characters, sleep=slept.append), slept


def segments(*texts: str) -> list[Segment]:
    return [Segment(str(n), "en", "sv", text) for n, text in enumerate(texts)]


@pytest.mark.parametrize("name", ["libretranslate", "deepl", "google"])
def test_texts_come_back_in_order(fake: Fake, name: str) -> None:
    online, _ = engine(services(fake)[name])
    found = online.translate(segments("Sales <b> rose", "wake me [at nine]", "åäö & more"))
    assert [hypothesis.text for hypothesis in found] == ["SALES <B> ROSE", "WAKE ME [AT NINE]", "ÅÄÖ & MORE"]
    assert online.info().langpairs == ("en-sv",)
    assert KEY not in online.info().engine_id


def test_each_service_is_asked_in_its_own_words(fake: Fake) -> None:
    for service in services(fake).values():
        engine(service)[0].translate(segments("hello"))
    (path, libre, _), (deepl_path, deepl, headers), (_, google, _) = fake.requests
    assert (path, libre["source"], libre["target"], libre["format"]) == ("/translate", "en", "sv", "text")
    assert libre["api_key"] == "k"
    assert (deepl_path, deepl["source_lang"], deepl["target_lang"]) == ("/v2/translate", "EN", "SV")
    assert {key.lower(): value for key, value in headers.items()}["authorization"] == f"DeepL-Auth-Key {KEY}"
    assert (google["sl"], google["tl"], google["q"]) == ("en", "sv", "hello")


def test_many_texts_are_sent_in_batches_that_a_service_takes(fake: Fake) -> None:
    online, _ = engine(services(fake)["deepl"], characters=10**6)
    texts = [f"text {n}" for n in range(60)] + ["x" * 3000, "y" * 3000]
    assert [h.text for h in online.translate(segments(*texts))] == [text.upper() for text in texts]
    sizes = [len(body["text"]) for _, body, _ in fake.requests]
    assert sizes == [50, 11, 1]


def test_a_busy_service_is_waited_for_as_long_as_it_asks(fake: Fake) -> None:
    fake.answers = [(429, {"retry-after": "7"}, b""), (503, {}, b""), (503, {}, b"")]
    online, slept = engine(services(fake)["libretranslate"])
    assert online.translate(segments("hello"))[0].text == "HELLO"
    assert slept == [7, 2, 4]


def test_a_service_that_stays_busy_is_an_error_after_some_attempts(fake: Fake) -> None:
    fake.answers = [(503, {}, b"")] * 20
    for name in ("deepl", "google"):
        with pytest.raises(EngineError, match=f"tried {ATTEMPTS} times"):
            engine(services(fake)[name])[0].translate(segments("hello"))
    assert len(fake.requests) == 2 * ATTEMPTS


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((403, {}, b"wrong key"), "refused with status 403: wrong key"),
        ((200, {}, b"<html>"), "answered no JSON"),
        ((200, {}, b'{"translations": "x"}'), "without a list"),
        ((200, {}, b'{"translations": ["x"]}'), "without a list"),
        ((200, {"content-encoding": "gzip"}, b"no gzip"), "answered what cannot be read"),
        ((200, {}, b'{"translations": [{"text": "a"}, {"text": "b"}]}'), "gave back 2 of 1 texts"),
    ],
)
def test_what_no_attempt_mends_is_told_at_once_and_without_the_key(fake: Fake, answer: Any, said: str) -> None:
    fake.answers = [answer]
    with pytest.raises(EngineError, match=said) as caught:
        engine(services(fake)["deepl"])[0].translate(segments("hello"))
    assert len(fake.requests) == 1
    assert KEY not in str(caught.value)


def test_the_budget_stops_a_run_before_the_batch_that_exceeds_it(fake: Fake) -> None:
    online, _ = engine(services(fake)["libretranslate"], characters=12)
    online.translate(segments("ten chars!"))
    with pytest.raises(EngineError, match="10 of 12 characters are sent, and the next 1 texts have 3"):
        online.translate(segments("abc"))
    assert len(fake.requests) == 1


@pytest.mark.parametrize(("status", "sent"), [(503, 30), (429, 10)])
def test_each_attempt_counts_for_the_budget_unless_the_service_took_nothing(fake: Fake, status: int, sent: int) -> None:
    fake.answers = [(status, {}, b"")] * 2
    online, _ = engine(services(fake)["deepl"], characters=30)
    online.translate(segments("ten chars!"))
    with pytest.raises(EngineError, match=f"{sent} of 30 characters are sent"):
        online.translate(segments("x" * (31 - sent)))
    fake.answers = [(503, {}, b"")] * 20
    online, _ = engine(services(fake)["google"], characters=25)
    with pytest.raises(EngineError, match="20 of 25 characters are sent"):
        online.translate(segments("ten chars!"))


def test_a_page_that_takes_one_text_at_a_time_is_never_sent_one_twice(fake: Fake) -> None:
    ok = [(200, {}, b'<div class="result-container">A</div>')] * 2
    fake.answers = [*ok, (429, {}, b"")]
    online, _ = engine(services(fake)["google"])
    assert [h.text for h in online.translate(segments("one", "two", "three"))] == ["A", "A", "THREE"]
    assert [body["q"] for _, body, _ in fake.requests] == ["one", "two", "three", "three"]


def test_what_a_service_translated_before_its_budget_ended_is_remembered(fake: Fake) -> None:
    memory, texts = DictMemory(), segments(*(f"text {n:03}" for n in range(150)))
    online, _ = engine(services(fake)["libretranslate"], characters=8 * 120)
    with pytest.raises(EngineError, match="What was translated before is kept"):
        translate_segments(online, memory, texts)
    assert len(memory.recall(online.info().engine_id, [segment.key for segment in texts])) == 100
    more, _ = engine(services(fake)["libretranslate"], characters=8 * 50)
    assert len(translate_segments(more, memory, texts)) == 150


def test_an_address_or_key_that_cannot_be_is_refused() -> None:
    with pytest.raises(EngineError, match="give the server's address"):
        LibreTranslate(EN_SV, "localhost:5000")
    with pytest.raises(EngineError, match="set DEEPL_AUTH_KEY"):
        DeepL(EN_SV, "")
    with pytest.raises(EngineError, match="does not translate en-tlh"):
        Google(("en", "tlh"))
    assert DeepL(EN_SV, KEY).name == "deepl:api-free.deepl.com"
    assert DeepL(EN_SV, "paid").name == "deepl:api.deepl.com"


@pytest.mark.parametrize("end", ["\r", "\n", " \r\n"])
def test_white_space_around_a_key_is_no_part_of_it(fake: Fake, end: str) -> None:
    for service in (DeepL(EN_SV, KEY + end, fake.url), LibreTranslate(EN_SV, fake.url, KEY + end)):
        assert engine(service)[0].translate(segments("hello"))[0].text == "HELLO"
    (_, _, headers), (_, libre, _) = fake.requests
    assert {name.lower(): value for name, value in headers.items()}["authorization"] == f"DeepL-Auth-Key {KEY}"
    assert libre["api_key"] == KEY


@pytest.mark.parametrize("key", ["secr\u00e9t", "secr\net", "secr\x00et"])
def test_a_key_with_other_characters_is_refused_without_showing_it(fake: Fake, key: str) -> None:
    with pytest.raises(EngineError, match="DEEPL_AUTH_KEY has characters that no key has") as caught:
        DeepL(EN_SV, key, fake.url)
    assert "secr" not in str(caught.value)
    with pytest.raises(EngineError, match="LIBRETRANSLATE_API_KEY has characters"):
        LibreTranslate(EN_SV, fake.url, key)


def test_a_header_that_http_forbids_is_told_once_without_the_key(fake: Fake) -> None:
    with pytest.raises(EngineError, match="check both") as caught:
        post("deepl", ServiceUrl.parse(fake.url, "deepl"), "/v2/translate", {}, headers={"Authorization": f"{KEY}\n"})
    assert not isinstance(caught.value, BusyError)
    assert KEY not in "".join(traceback.format_exception(caught.value))


def test_a_key_that_a_service_says_back_is_not_told(fake: Fake) -> None:
    fake.answers = [(403, {}, f"no such key: {KEY}".encode())]
    with pytest.raises(EngineError, match=r"no such key: \.\.\.$"):
        engine(services(fake)["deepl"])[0].translate(segments("hello"))


def test_a_password_in_an_address_is_sent_and_never_shown(fake: Fake) -> None:
    url = fake.url.replace("//", "//bob:pass@")
    host = fake.url.removeprefix("http://")
    online, _ = engine(LibreTranslate(EN_SV, f"{url}/api/"))
    assert online.info().engine_id == f"libretranslate:http://{host}/api"
    assert DeepL(EN_SV, KEY, url).name == f"deepl:{host}"
    fake.answers = [(200, {}, b'{"translatedText": ["A"]}'), (403, {}, b"no"), (301, {"location": "/b/translate"}, b"")]
    online.translate(segments("hello"))
    ((path, _, headers),) = fake.requests
    assert path == "/api/translate"
    assert headers["Authorization"] == f"Basic {base64.b64encode(b'bob:pass').decode()}"
    for said in ("refused with status 403", f"redirects to {fake.url}/b; give that address"):
        with pytest.raises(EngineError, match=said) as caught:
            online.translate(segments("hello"))
        assert "pass" not in str(caught.value)
    asked = EngineRequest("en", "sv", None, Settings(home=Path("nowhere"), db="sqlite://"))
    assert choose_engine(f"libretranslate:{url}", asked).engine == f"libretranslate:{fake.url}"


@pytest.mark.parametrize("url", ["http://bob:pass@localhost:abc", "bob:pass@localhost", "http://h?key=pass", "http://"])
def test_what_is_no_address_is_refused_before_a_request_without_its_password(url: str) -> None:
    for made in (lambda: LibreTranslate(EN_SV, url), lambda: DeepL(EN_SV, KEY, url), lambda: Google(EN_SV, url)):
        with pytest.raises(EngineError, match="give the server's address") as caught:
            made()
        assert "pass" not in str(caught.value)


def test_what_a_page_answered_before_a_request_failed_is_remembered(fake: Fake) -> None:
    ok = [(200, {}, b'<div class="result-container">A</div>')] * 2
    fake.answers = [*ok, *[(503, {}, b"")] * ATTEMPTS]
    memory, texts = DictMemory(), segments("one", "two", "six")
    online, _ = engine(services(fake)["google"])
    assert online.info().at_once == 1
    assert engine(services(fake)["deepl"])[0].info().at_once == 50
    with pytest.raises(EngineError, match="tried 6 times"):
        translate_segments(online, memory, texts)
    assert len(memory.recall(online.info().engine_id, [segment.key for segment in texts])) == 2


@pytest.mark.parametrize(
    ("langpair", "codes"),
    [
        (("en", "nb"), ("en", "no")),
        (("he", "pt-BR"), ("iw", "pt")),
        (("sv-SE", "zh"), ("sv", "zh-CN")),
        (("fil", "zh-Hant-TW"), ("tl", "zh-TW")),
        (("zh-TW", "zh-CN"), ("zh-TW", "zh-CN")),
    ],
)
def test_google_is_asked_in_its_own_codes(fake: Fake, langpair: tuple[str, str], codes: tuple[str, str]) -> None:
    Google(langpair, fake.url).translate(["hello"])
    assert (fake.requests[0][1]["sl"], fake.requests[0][1]["tl"]) == codes


@pytest.mark.parametrize(
    ("langpair", "codes"),
    [
        (("pt-BR", "zh-TW"), ("PT", "ZH-HANT")),
        (("en-GB", "zh-Hant-HK"), ("EN", "ZH-HANT")),
        (("zh-TW", "pt-BR"), ("ZH", "PT-BR")),
        (("sv-SE", "en-AU"), ("SV", "EN-GB")),
        (("en", "zh-CN"), ("EN", "ZH-HANS")),
        (("en", "sv-FI"), ("EN", "SV")),
        (("en", "es-419"), ("EN", "ES-419")),
    ],
)
def test_deepl_is_asked_in_its_own_codes(fake: Fake, langpair: tuple[str, str], codes: tuple[str, str]) -> None:
    DeepL(langpair, KEY, fake.url).translate(["hello"])
    assert (fake.requests[0][1]["source_lang"], fake.requests[0][1]["target_lang"]) == codes


def test_languages_that_are_one_to_google_are_refused_and_unknown_ones_without_its_whole_list() -> None:
    with pytest.raises(EngineError, match="does not translate pt-BR-pt-PT: both are 'pt' to it"):
        Google(("pt-BR", "pt-PT"))
    with pytest.raises(EngineError, match="does not know 'tlh'") as caught:
        Google(("en", "tlh"))
    assert len(str(caught.value)) < 100


def test_a_text_that_is_too_long_for_google_is_refused_before_any_is_sent_and_not_quoted(fake: Fake) -> None:
    google = services(fake)["google"]
    with pytest.raises(EngineError, match="fewer than 5000 characters, not of 5000") as caught:
        google.translate(["short", "x" * 5000])
    assert len(str(caught.value)) < 100
    assert not fake.requests


def test_a_page_without_a_translation_is_an_error_that_quotes_the_beginning_of_the_text(fake: Fake) -> None:
    fake.answers = [(200, {}, b"<html></html>")]
    with pytest.raises(EngineError, match="no translation of 'xxx") as caught:
        services(fake)["google"].translate(["x" * 4000])
    assert len(str(caught.value)) < 300


def test_nothing_leaves_the_machine_unless_a_service_is_named(fake: Fake, tmp_path: Any) -> None:
    asked = EngineRequest("en", "tlh", None, Settings(home=tmp_path, db="sqlite://"))
    online = [offer for offer in offers(asked) if offer.kind == "online"]
    assert {offer.engine for offer in online} == {"libretranslate", "deepl", "google"}
    assert not any(offer.available for offer in online)
    named = choose_engine(f"libretranslate:{fake.url}", asked)
    assert open_engine(named, asked).translate(segments("qapla"))[0].text == "QAPLA"
