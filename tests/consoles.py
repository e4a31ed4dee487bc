"""A small bank and its console for tests: two versions of one task, a second language, and an open task."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from bs4 import BeautifulSoup
from fastapi.testclient import TestClient
from httpx import Response

from promptbank.bank.learn import learn_task
from promptbank.bank.session import Bank
from promptbank.bank.task_server import TaskServer
from promptbank.config import load_settings
from promptbank.training.config import TrainConfig
from store import Scope
from tests.tiny import tiny_backbone
from tests.worlds import BEFORE, card_of, examples_of

if TYPE_CHECKING:
    from fastapi import FastAPI
    from playwright.sync_api import Browser as Chromium
    from playwright.sync_api import Page as BrowserPage
    from playwright.sync_api import Route

CHROMIUM = "/usr/bin/chromium"
HERE = "http://127.0.0.1"
CONFIG = TrainConfig(epochs=2, batch_size=4, lr=0.02, dtype="float32")
SCOPE = Scope("mood", "en", tiny_backbone("llama").fingerprint)


def learn(
    bank: Bank, *, seed: int = 0, init: str = "text", also: Mapping[str, str] | None = None, **keys: object
) -> None:
    """Learn a card of `tests.worlds` on the tiny backbone and make it live."""
    card = card_of(**keys)
    made = examples_of(8, taskname=card.taskname, lang=card.lang)
    examples = [replace(one, fields={**one.fields, **(also or {})}) for one in made]
    config = CONFIG.model_copy(update={"seed": seed, "init": init})
    learn_task(bank.make(), bank.backbone, card, examples[:5], examples[5:], config, home=bank.settings.home)


@pytest.fixture(scope="session")
def learnt_bank_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bank with four rows, to copy; learning them takes some seconds."""
    home = tmp_path_factory.mktemp("learnt")
    with Bank(load_settings({"home": home}, {})[0]) as bank:
        bank.backbone = tiny_backbone("llama")
        learn(bank)
        learn(bank, seed=1, description="the mood of the sentence is")
        learn(bank, lang="sv")
        learn(bank, taskname="gist", template=BEFORE, label_space=None)
    return home / "bank.db"


@pytest.fixture
def bank(learnt_bank_file: Path, tmp_path: Path) -> Iterator[Bank]:
    """The learnt bank, in a home of its own."""
    (tmp_path / "bank.db").write_bytes(learnt_bank_file.read_bytes())
    with Bank(load_settings({"home": tmp_path}, {})[0]) as opened:
        opened.backbone = tiny_backbone("llama")
        yield opened


class Browser:
    """A browser without JavaScript: it follows links and sends forms with the token of the page that it shows."""

    def __init__(self, bank: Bank, base: str = HERE, review: Sequence[Path] = ()) -> None:
        from promptbank.console.mount import add_console
        from promptbank.service.app import create_app

        self.server = TaskServer(bank.store, bank.backbone)
        self.app = create_app(self.server)
        add_console(self.app, bank, review)
        self.client = TestClient(self.app, base_url=base)
        self.answer: Response

    def open(self, path: str, **query: object) -> BeautifulSoup:
        """Open a page of the console."""
        self.answer = self.client.get(f"/console{path}", params=query or None)
        return self.page

    @property
    def page(self) -> BeautifulSoup:
        """The page that is shown."""
        return BeautifulSoup(self.answer.text, "lxml")

    @property
    def text(self) -> str:
        """Its text, white space joined."""
        return " ".join(self.page.get_text(" ").split())

    @property
    def token(self) -> str:
        """The token of its forms."""
        found = self.page.find("input", {"name": "token"})
        assert found is not None
        return str(found["value"])

    def send(self, path: str, fields: Mapping[str, object] | None = None, **more: object) -> BeautifulSoup:
        """Send a form of the page that is shown; redirections are followed."""
        data = {"token": self.token, **(fields or {}), **more}
        self.answer = self.client.post(f"/console{path}", data=data)
        return self.page

    def begin(self, key: str) -> BeautifulSoup:
        """Begin a session with an API key."""
        self.open("/login")
        return self.send("/login", key=key, after="")


@pytest.fixture
def browser(bank: Bank) -> Browser:
    """A browser on this machine, of a bank without API keys."""
    return Browser(bank)


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """Serve an application on a free port of this machine, in a thread; yield its address."""
    import uvicorn

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_config=None))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join(10)


@contextmanager
def chromium() -> Iterator[Chromium]:
    """Start the system's Chromium; skip where there is none."""
    if not Path(CHROMIUM).exists():
        pytest.skip(f"{CHROMIUM} is not there; apt-get install chromium")
    from playwright.sync_api import sync_playwright

    arguments = ["--no-sandbox", "--disable-background-networking"]
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield opened
        opened.close()


@contextmanager
def page_of(opened: Chromium, **options: object) -> Iterator[tuple[BrowserPage, list[str]]]:
    """Open a page that reaches this machine alone; yield it, and what it asked of others or wrote as an error."""
    strays: list[str] = []
    context = opened.new_context(**options)
    context.set_default_timeout(20_000)

    def keep_here(route: Route) -> None:
        if urlsplit(route.request.url).hostname == "127.0.0.1":
            route.continue_()
        else:
            strays.append(route.request.url)
            route.abort()

    context.route("**/*", keep_here)
    page = context.new_page()
    page.on(
        "console", lambda said: strays.append(said.text) if said.type == "error" and "422" not in said.text else None
    )
    page.on("pageerror", lambda error: strays.append(str(error)))
    yield page, strays
    context.close()
