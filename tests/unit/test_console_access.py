"""Who may open the console: sessions from API keys, tokens on forms, and what a browser may load and run."""

import hashlib
import json
import re
from http.cookies import SimpleCookie
from unittest.mock import Mock

import pytest
from fastapi.testclient import TestClient

from promptbank.bank.keys import SCOPES, create_key, revoke_key
from promptbank.bank.session import Bank
from promptbank.cli import console
from promptbank.console.app import HEADERS
from promptbank.console.mount import PAGES
from promptbank.errors import BodyFormatError
from promptbank.service import server
from promptbank.service import sessions as access
from promptbank.service.forms import read_form
from tests.conftest import Promptbank
from tests.consoles import HERE, SCOPE, Browser
from tests.stores import ROOT

TASK = {"name": "mood:en", "backbone": SCOPE.fingerprint}
CLOSED = [page for page in PAGES if page.scopes]


def test_without_keys_this_machine_sees_the_bank(browser: Browser) -> None:
    browser.open("/")
    assert browser.answer.status_code == 200
    assert "3 of 3 tasks" in browser.text


def test_without_keys_another_name_is_refused_as_a_page_could_take_one(bank: Bank) -> None:
    browser = Browser(bank, "http://rebound.example")
    browser.open("/tasks")
    assert browser.answer.status_code == 401
    assert "mood" not in browser.text


@pytest.mark.parametrize("page", CLOSED, ids=lambda page: f"{page.method} {page.path}")
def test_every_page_is_refused_without_a_key_when_there_are_keys(bank: Bank, page: object) -> None:
    browser = Browser(bank)
    create_key(bank, "webshop", ["infer"])
    browser.open("/login")
    answer = browser.client.request(page.method, f"/console{page.path}", data={"token": browser.token})
    assert answer.status_code == 401
    assert "mood" not in answer.text


@pytest.mark.parametrize("scope", SCOPES)
def test_a_key_opens_the_pages_of_its_scope_and_no_other(bank: Bank, scope: str) -> None:
    browser = Browser(bank)
    browser.begin(create_key(bank, "one", [scope]))
    for page in CLOSED:
        data = {"token": browser.token}
        answer = browser.client.request(page.method, f"/console{page.path}", data=data, follow_redirects=False)
        assert (answer.status_code == 403) == (scope not in page.scopes), (page, answer.status_code)


def test_a_session_begins_with_a_key_leads_on_and_ends(bank: Bank) -> None:
    browser = Browser(bank)
    key = create_key(bank, "webshop", ["infer"])
    wanted = f"/console/task?name=mood:en&backbone={SCOPE.fingerprint}"
    browser.open("/task", **TASK)
    after = browser.page.find("input", {"name": "after"})["value"]
    browser.send("/login", key="pb_wrong", after=after)
    assert (browser.answer.status_code, "no valid API key" in browser.text) == (401, True)
    browser.send("/login", key=f" {key} ", after=browser.page.find("input", {"name": "after"})["value"])
    assert (browser.answer.status_code, browser.page.h1.text) == (200, "mood:en")
    assert str(browser.answer.url).replace("%3A", ":") == HERE + wanted
    browser.send("/logout")
    browser.open("/tasks")
    assert browser.answer.status_code == 401


@pytest.mark.parametrize(
    "after", ["https://evil.example/", "//evil.example", "/console//evil.example", "/console/\\e", "/v1", ""]
)
def test_a_login_leads_to_no_other_place(bank: Bank, after: str) -> None:
    browser = Browser(bank)
    key = create_key(bank, "webshop", ["infer"])
    browser.open("/login")
    data = {"token": browser.token, "key": key, "after": after}
    answer = browser.client.post("/console/login", data=data, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/")


def test_a_session_ends_with_its_key_and_with_its_time(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    browser = Browser(bank)
    browser.begin(create_key(bank, "first", ["infer"]))
    assert browser.open("/tasks").h1.text == "Bank"
    revoke_key(bank, "first")
    browser.open("/tasks")
    assert browser.answer.status_code == 401
    browser.begin(create_key(bank, "second", ["infer"]))
    assert browser.open("/tasks").h1.text == "Bank"
    now = access.time.time()
    monkeypatch.setattr(access.time, "time", lambda: now + access.SECONDS + 1)
    browser.open("/tasks")
    assert browser.answer.status_code == 401


def test_the_cookie_is_for_this_site_and_out_of_reach_of_scripts(bank: Bank) -> None:
    for base, secure in ((HERE, False), ("https://127.0.0.1", True)):
        found = SimpleCookie(Browser(bank, base).client.get("/console/tasks").headers["set-cookie"])[access.COOKIE]
        assert (found["samesite"], found["httponly"], found["path"]) == ("strict", True, "/console")
        assert bool(found["secure"]) == secure


@pytest.mark.parametrize("cookie", ["", "x", "..", "a.b.c.d", "0123456789abcdef.1.99999999999.00", "\xe5.\xe5"])
def test_a_cookie_that_is_not_ours_is_nothing(bank: Bank, cookie: str) -> None:
    browser = Browser(bank)
    create_key(bank, "webshop", ["infer"])
    answer = browser.client.get("/console/tasks", headers={b"cookie": f"{access.COOKIE}={cookie}".encode("latin-1")})
    assert answer.status_code == 401


@pytest.mark.parametrize("page", [p for p in PAGES if p.method == "POST"], ids=lambda page: page.path)
def test_a_form_without_the_token_of_the_session_changes_nothing(browser: Browser, bank: Bank, page: object) -> None:
    browser.open("/tasks")
    before = bank.store.revision()
    other = Browser(bank)
    other.open("/tasks")
    for data in ({"x": ""}, {"token": ""}, {"token": "0" * 64}, {"token": other.token}):
        assert browser.client.post(f"/console{page.path}", data=data).status_code == 403
    fresh = Browser(bank)  # a form that another site sends carries no cookie
    answer = fresh.client.post(f"/console{page.path}", data={"token": browser.token})
    assert answer.status_code == 403
    assert bank.store.revision() == before


def test_nothing_is_loaded_from_elsewhere_and_no_script_or_style_stands_in_a_page(browser: Browser) -> None:
    for path, query in (("/tasks", {}), ("/task", TASK), ("/login", {}), ("/nothing", {})):
        page = browser.open(path, **query)
        assert browser.answer.headers["content-security-policy"] == HEADERS["content-security-policy"]
        assert "default-src 'self'" in HEADERS["content-security-policy"]
        assert "unsafe" not in HEADERS["content-security-policy"]
        assert [tag for tag in page.find_all("script") if not tag.get("src") or tag.text.strip()] == []
        assert page.find_all("style") == []
        assert [t for t in page.find_all(True) if any(a == "style" or a.startswith("on") for a in t.attrs)] == []
        loaded = [tag.get("src") or tag.get("href") for tag in page.find_all(["script", "link", "img"])]
        assert [one for one in loaded if not one.startswith("/console/static/")] == []
        assert [one for one in loaded if browser.client.get(one).status_code != 200] == []


def test_an_unknown_page_and_an_unknown_task_are_told_as_pages(browser: Browser) -> None:
    browser.open("/nothing")
    assert (browser.answer.status_code, browser.answer.headers["content-type"]) == (404, "text/html; charset=utf-8")
    browser.open("/task", name="mod:en")
    assert (browser.answer.status_code, "did you mean mood?" in browser.text) == (404, True)


def test_forms_are_read_in_both_ways_that_browsers_send_them() -> None:
    plain = read_form(b"a=1&a=%C3%A5&b=", "application/x-www-form-urlencoded; charset=utf-8")
    assert (plain.fields, plain.text("a"), plain.text("c")) == ({"a": ["1", "å"], "b": [""]}, "1", "")
    body = (
        '--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nå\r\nb\r\n'
        '--x\r\nContent-Disposition: form-data; name="f"; filename="<b>.jsonl"\r\nContent-Type: a/b\r\n\r\n{}\n\r\n'
        '--x\r\nContent-Disposition: form-data; name="g"; filename=""\r\n\r\n\r\n--x--\r\n'
    ).encode()
    parts = read_form(body, "multipart/form-data; boundary=x")
    assert (parts.text("a"), parts.files) == ("å\nb", {"f": ("<b>.jsonl", b"{}\n")})
    for body, kind in ((b"{}", "application/json"), (b"&a=1" * 3000, "application/x-www-form-urlencoded")):
        with pytest.raises(BodyFormatError):
            read_form(body, kind)


def test_what_comes_along_is_what_its_manifest_says() -> None:
    folder = ROOT / "promptbank" / "console" / "static" / "vendor"
    manifest = json.loads((folder / "manifest.json").read_text())
    listed = {one["file"]: one["sha256"] for package in manifest for one in package["files"]}
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
    assert listed == {name: sha for name, sha in found.items() if name != "manifest.json"}
    for package in manifest:
        assert package["licence"] in {"0BSD", "MIT"}
        assert any("LICENSE" in one["file"] for one in package["files"])


def test_the_console_is_there_only_where_it_is_asked_for(learnt: Promptbank, monkeypatch: pytest.MonkeyPatch) -> None:
    apps, opened = [], []
    monkeypatch.setattr(server.StoppingServer, "run", lambda self, **_: apps.append(self.config.app))
    monkeypatch.setattr(
        console.threading, "Timer", lambda _after, _open, addresses: opened.append(addresses[0]) or Mock()
    )
    for arguments in (("serve",), ("serve", "--console"), ("console", "--no-browser"), ("console",)):
        done = learnt(*arguments, "--port", "0")
        assert done.exit_code == 0, done.stderr
    statuses = [TestClient(app, base_url=HERE).get("/console/login").status_code for app in apps]
    assert statuses == [404, 200, 200, 200]
    assert "goes with one process" in learnt("serve", "--console", "--workers", "2").stderr
    assert "the console is at http://127.0.0.1:" in done.stderr
    assert [bool(re.fullmatch(r"http://127\.0\.0\.1:\d+/console", address)) for address in opened] == [True]


def test_the_service_itself_stays_as_it_was(browser: Browser) -> None:
    assert browser.client.get("/v1/tasks").status_code == 200
    assert not [path for path in browser.client.get("/openapi.json").json()["paths"] if "console" in path]
    assert re.match(r"default-src 'self'", HEADERS["content-security-policy"])
