"""The console in a real Chromium that reaches this machine alone: by keys, by buttons, and read by axe."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from promptbank.bank.session import Bank
from promptbank.mt.review_log import ReviewLog
from promptbank.service.training_process import TrainingProcess
from store import AnswerKeeping, NewAnswer, NewTraining
from tests.consoles import SCOPE, Browser, chromium, page_of, served
from tests.tiny import save_tiny
from tests.unit.test_console_bank import evaluated
from tests.unit.test_console_review import item, written

if TYPE_CHECKING:
    from playwright.sync_api import Browser as Chromium
    from playwright.sync_api import Page

DOUBTFUL = NewAnswer(
    taskname="mood",
    lang="en",
    version=2,
    fields_json='{"sentence": "it could be worse"}',
    label="positive",
    probability=0.51,
    other_version=1,
    other_label="negative",
)
QUEUED = NewTraining(
    task="mood:en", card_json="{}", records="", settings_json='{"epochs": 3}', live="gated", asked_by="anna"
)
TASK = f"name=mood%3Aen&backbone={SCOPE.fingerprint}"


@pytest.fixture(scope="module")
def opened() -> Iterator[Chromium]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return written(tmp_path / "translated" / "sv", [item(n) for n in range(1, 31)])


@pytest.fixture
def address(bank: Bank, folder: Path) -> Iterator[str]:
    """A running service with the console; some versions are evaluated."""
    evaluated(bank, 1, 0.75, 8)
    evaluated(bank, 2, 0.5, 8)
    bank.store.answers.choose(AnswerKeeping(taskname="mood", lang="en", below=0.6, beside=1, days=30))
    bank.store.answers.keep(DOUBTFUL)
    bank.store.trainings.add(QUEUED)
    bank.store.trainings.stop(1)
    with served(Browser(bank, review=[folder.parent]).app) as found:
        yield f"{found}/console"


@pytest.fixture
def page(opened: Chromium) -> Iterator[Page]:
    with page_of(opened, viewport={"width": 1280, "height": 800}) as (page, strays):
        yield page
        assert strays == []


def record(page: Page, name: str) -> None:
    """Wait until a record is shown."""
    page.wait_for_selector(f'#record[aria-label="Record {name}"]')


def test_a_reviewer_goes_through_twenty_records_by_keys_alone(page: Page, address: str, folder: Path) -> None:
    page.goto(f"{address}/review/record?set=sv")
    keys = ["a", "d", "2", "x", "edit"] * 4
    for number, key in enumerate(keys, start=1):
        record(page, f"r{number}")
        page.keyboard.press("e" if key == "edit" else key)
        if key == "edit":
            page.wait_for_selector("#text:focus")
            page.keyboard.press("Control+a")
            page.keyboard.type(f"hon kom på [date : måndag] {number}")
            page.keyboard.press("Control+Enter")
    record(page, "r21")
    assert page.url.endswith(f"at={21:064x}")
    decisions = [ReviewLog(folder).state().of(f"{n:064x}").decision for n in range(1, 21)]
    assert decisions == ["ok", "drop", "edit", "ok", "edit"] * 4
    page.keyboard.press("k")
    record(page, "r30")
    page.keyboard.press("j")
    record(page, "r21")
    page.keyboard.press("/")
    page.keyboard.type("] 23")
    page.keyboard.press("Enter")
    record(page, "r23")
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    assert page.locator("#help").get_attribute("open") is not None
    page.keyboard.press("u")
    record(page, "r20")


def test_an_edit_that_is_refused_keeps_its_text_in_the_editor(page: Page, address: str) -> None:
    page.goto(f"{address}/review/record?set=sv")
    page.keyboard.press("e")
    page.wait_for_selector("#text:focus")
    page.fill("#text", "utan märke")
    page.keyboard.press("Control+Enter")
    page.wait_for_selector('[role="alert"]')
    assert "no stretch is marked as date" in page.inner_text('[role="alert"]')
    assert page.input_value("#text") == "utan märke"


def test_an_operator_rolls_an_alias_back(page: Page, address: str, bank: Bank) -> None:
    page.goto(f"{address}/tasks")
    page.fill("input[name=q]", "mood en")
    page.wait_for_selector("tbody tr:only-child")
    assert "q=mood" in page.url
    page.click("tbody a")
    page.fill("input[name=reason]", "worse on the new texts")
    page.click("button[value=rollback]")
    page.wait_for_selector(".history li:has-text('worse on the new texts')")
    assert bank.store.aliases.get(SCOPE) == 1
    page.click("summary:has-text('Learning curve of @2')")
    page.wait_for_selector(".curve canvas")


def test_a_doubtful_answer_is_decided_by_a_key(page: Page, address: str, bank: Bank) -> None:
    page.goto(f"{address}/review")
    page.click("a:has-text('mood:en')")
    page.wait_for_selector("#record")
    page.wait_for_load_state("load")
    page.keyboard.press("2")
    page.wait_for_selector("#main:has-text('1 of 1 decided')")
    assert bank.store.answers.list("mood", "en")[0].decided == "negative"
    page.keyboard.press("u")
    page.wait_for_selector("#record")
    assert bank.store.answers.list("mood", "en")[0].decided is None


def test_the_playground_answers_without_leaving_the_page(page: Page, address: str) -> None:
    page.goto(f"{address}/play?task=mood:en%401&other=mood:en%402")
    page.fill("textarea", "profit rose")
    page.click("button:has-text('Ask')")
    page.wait_for_selector("article:nth-of-type(2) meter")
    assert page.input_value("textarea") == "profit rose"


CARD = {
    "taskname": "sentiment-task",
    "lang": "en",
    "prompt_template": "{sentence}<|VIRTUAL_PROMPT_0|> {label}",
    "total_virtual_tokens": 4,
    "virtual_token_splits": [4],
    "truncate_field": "sentence",
    "label_space": {"positive": ["positive"], "negative": ["negative"], "neutral": ["neutral"]},
}


@pytest.fixture
def training_address(bank: Bank, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A running service with the console, and the process that trains beside it."""
    monkeypatch.setattr("promptbank.service.training_process.LOOK_SECONDS", 0.1)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    save_tiny("llama", tmp_path / "tiny")
    bank.settings = replace(bank.settings, backbone=str(tmp_path / "tiny"), threads=1)
    del bank.backbone  # the process beside it loads this one from the folder
    process = TrainingProcess(bank)
    with served(Browser(bank, review=[folder.parent]).app) as found:
        process.start()
        yield f"{found}/console"
        process.stop()


def test_an_engineer_writes_a_card_trains_it_tries_it_and_compares_two_versions(
    page: Page, training_address: str, bank: Bank
) -> None:
    page.set_default_timeout(90_000)
    for number, seed in enumerate(("0", "1"), start=1):
        page.goto(f"{training_address}/train")
        page.click("summary:has-text('Write a card')")
        page.fill("textarea[name=card]", json.dumps(CARD | {"total_virtual_tokens": 5}))
        page.wait_for_selector("#card-checked .fault:has-text('total_virtual_tokens')")
        page.fill("textarea[name=card]", json.dumps(CARD))
        page.wait_for_selector("#card-checked:has-text('sentiment-task:en is sound')")
        page.click("summary:has-text('Settings')")
        page.fill("input[name=epochs]", "2")
        page.fill("input[name=seed]", seed)
        page.select_option("select[name=live]", "always")
        page.click("button[value=check]")
        page.wait_for_selector("#checked:has-text('can be trained')")
        page.click("button[value=start]")
        page.wait_for_selector(f"section[aria-label='Training {number}'] .tag:has-text('done')")
        page.wait_for_selector(
            f"section[aria-label='Training {number}']:has-text('sentiment-task:en@{number} is live')"
        )
    page.goto(f"{training_address}/play?task=sentiment-task:en%401&other=sentiment-task:en%402")
    page.fill("textarea", "Orders doubled this year")
    page.click("button:has-text('Ask')")
    page.wait_for_selector("article:nth-of-type(2) meter")
    page.click("nav a:has-text('Runs')")
    for box in page.locator("tbody tr:has-text('sentiment-task') input").all():
        box.check()
    page.click("button:has-text('Compare the ticked runs')")
    page.wait_for_selector(".curve canvas")
    assert sorted(page.locator("[aria-label=Differences] tbody tr:last-child > *").all_inner_texts()) == [
        "0",
        "1",
        "seed",
    ]
    assert bank.store.trainings.get(1).records == ""


PAGES = (
    "/tasks",
    f"/task?{TASK}&to=1&a=1&b=2",
    "/play?task=mood:en",
    "/review",
    "/review/record?set=sv",
    "/login",
    "/runs",
    "/train",
    "/review/answers?task=mood:en",
    "/x",
)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_on_any_page(opened: Chromium, address: str, scheme: str) -> None:
    axe = (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
    with page_of(opened, color_scheme=scheme, viewport={"width": 1280, "height": 800}) as (page, _):
        for path in PAGES:
            page.goto(address + path)
            page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true })")
            page.evaluate(axe)
            found = page.evaluate("axe.run()")["violations"]
            serious = [
                (path, one["id"], node["html"][:200], node["failureSummary"][:300])
                for one in found if one["impact"] in ("serious", "critical") for node in one["nodes"]
            ]  # fmt: skip
            assert serious == []


@pytest.mark.parametrize("width", [400, 1280])
def test_no_page_is_wider_than_the_window(opened: Chromium, address: str, width: int) -> None:
    with page_of(opened, viewport={"width": width, "height": 800}) as (page, _):
        for path in PAGES:
            page.goto(address + path)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, path


def test_pages_can_be_read_and_used_without_javascript(opened: Chromium, address: str, bank: Bank) -> None:
    with page_of(opened, java_script_enabled=False) as (page, strays):
        page.goto(f"{address}/tasks")
        page.fill("input[name=q]", "sv")
        page.click("button:has-text('Show')")
        assert page.locator("tbody tr").count() == 1
        page.goto(f"{address}/review/record?set=sv")
        page.click("#ok")
        record(page, "r2")
        page.goto(f"{address}/play?task=mood:en")
        page.fill("textarea", "profit rose")
        page.click("button:has-text('Ask')")
        assert page.locator("article meter").count() == 2
        assert strays == []
