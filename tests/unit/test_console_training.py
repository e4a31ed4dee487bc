"""The page that trains: records and cards are checked, put into the queue, stopped, resumed, and followed."""

from __future__ import annotations

import json

import pytest
from bs4 import BeautifulSoup

from promptbank.bank.keys import create_key
from promptbank.bank.session import Bank
from promptbank.bank.training_queue import work_off
from tests.consoles import Browser
from tests.unit.test_training_queue import CARD, RECORDS

HOSTILE = "<script>alert(1)</script>\"'><b>"
FORM = {"card": json.dumps(CARD), "records": RECORDS, "epochs": "2", "live": "always"}


def ask(browser: Browser, do: str, file: tuple[str, str] | None = None, **fields: str) -> None:
    """Send the form as a browser does, with a file if there is one."""
    browser.open("/train")
    data = {"token": browser.token, "do": do, **fields}
    chosen = {"file": (file[0], file[1].encode()) if file else ("", b"")}
    browser.answer = browser.client.post("/console/train", data=data, files=chosen)


def faults(browser: Browser) -> list[str]:
    return [one.text for one in browser.page.find(id="checked")("li")]


def test_records_are_checked_before_anything_waits(browser: Browser, bank: Bank) -> None:
    ask(browser, "check", **FORM)
    assert browser.answer.status_code == 200
    told = " ".join(browser.page.find(id="checked").text.split())
    assert "tone:en can be trained: 24 examples from the records: 16 to train on, 8 for dev." in told
    assert "positive 12" in told
    assert bank.store.trainings.list() == []


def test_what_is_started_waits_and_is_trained_as_it_was_asked_for(browser: Browser, bank: Bank) -> None:
    ask(browser, "start", file=("more.jsonl", RECORDS.replace("positive", "negative", 1)), **FORM)
    assert browser.answer.status_code == 200
    section = browser.page.find("section", {"aria-label": "Training 1"})
    assert [section.strong.text, section.find(class_="tag").text] == ["tone:en", "waiting"]
    new = bank.store.trainings.get(1)
    assert new.records == RECORDS + RECORDS.replace("positive", "negative", 1)
    assert (json.loads(new.settings_json), new.live, new.asked_by) == ({"epochs": 2}, "always", "this machine")
    (done,) = work_off(bank)
    assert done.state == "done"
    section = browser.open("/train").find("section", {"aria-label": "Training 1"})
    assert "tone:en@1 is live" in section.text
    assert section.a["href"].endswith(f"id={done.run_id}")


def test_the_shipped_sample_and_a_known_card_can_be_taken(browser: Browser, bank: Bank) -> None:
    ask(browser, "start", task="sentiment-task", seed="3", live="never")
    new = bank.store.trainings.get(1)
    assert (new.task, new.records, new.settings_json) == ("sentiment-task:en", "", '{"seed": 3}')


@pytest.mark.parametrize(
    ("fields", "file", "says"),
    [
        ({"card": '{"taskname": 1}'}, None, ["taskname", "prompt_template"]),
        ({"card": "{"}, None, ["the card"]),
        ({}, None, ["choose a task, or write a card"]),
        ({"task": "nothing"}, None, ["nothing"]),
        ({"card": FORM["card"], "records": '{"sentence": "a"}\n{"sentence": "b", "label": "odd"}'}, None, [
            "the pasted records:1", "the pasted records:2",
        ]),
        ({"card": FORM["card"]}, ("<b>.jsonl", "{broken\n"), ["<b>.jsonl begins as a JSON object"]),
        ({**FORM, "lr": "9", "epochs": "many"}, None, ["lr"]),
        ({**FORM, "live": "perhaps"}, None, ["live is 'perhaps'"]),
    ],
)  # fmt: skip
def test_faults_are_listed_and_nothing_waits(
    browser: Browser, bank: Bank, fields: dict[str, str], file: tuple[str, str] | None, says: list[str]
) -> None:
    for do in ("check", "start"):
        ask(browser, do, file, **fields)
        found = faults(browser)
        assert browser.answer.status_code == 422
        for one in says:
            assert any(one in fault for fault in found), found
    assert browser.page.find("textarea", {"name": "records"}).text.strip() == fields.get("records", "").strip()
    assert bank.store.trainings.list() == []


def test_a_card_is_checked_while_it_is_written(browser: Browser) -> None:
    ask(browser, "card", card=FORM["card"])
    assert "The card of tone:en is sound." in browser.page.find(id="checked").text
    ask(browser, "card", card=json.dumps(CARD | {"total_virtual_tokens": 5}))
    assert any("total_virtual_tokens" in fault for fault in faults(browser))


def test_a_training_is_stopped_resumed_and_removed(browser: Browser, bank: Bank) -> None:
    ask(browser, "start", **FORM)
    for do, state in (("stop", "stopped"), ("resume", "waiting"), ("stop", "stopped")):
        browser.send("/train/change", id="1", do=do)
        assert browser.page.find(class_="tag").text == state
    browser.send("/train/change", id="1", do="remove")
    assert bank.store.trainings.list() == []
    for fields in ({"id": "1", "do": "stop"}, {"id": "x", "do": "stop"}, {"id": "1", "do": "run"}):
        browser.open("/train")
        browser.send("/train/change", fields)
        assert browser.answer.status_code in (404, 422)


def events(browser: Browser, path: str) -> list[BeautifulSoup]:
    """Read a stream to its end."""
    text = browser.client.get(f"/console{path}").text
    assert text.endswith("event: end\ndata:\n\n")
    blocks = text.split("\n\n")[:-2]
    lines = ["\n".join(line.removeprefix("data: ") for line in block.split("\n")) for block in blocks]
    return [BeautifulSoup(one, "lxml") for one in lines]


def test_the_queue_and_a_run_are_sent_until_they_end(
    browser: Browser, bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(browser, "start", **FORM)
    steps = iter([lambda: None, lambda: list(work_off(bank))])

    async def rest(_seconds: float) -> None:
        next(steps)()

    monkeypatch.setattr("promptbank.console.following.asyncio.sleep", rest)
    first, last = events(browser, "/train/events")  # the look between them shows the same, so it is not sent
    assert [one.find(class_="tag").text for one in (first, last)] == ["waiting", "done"]
    (only,) = events(browser, f"/run/events?id={bank.store.trainings.get(1).run_id}")
    assert len(json.loads(only.find(class_="curve")["data-curves"])[0]["points"]) == 2


def test_a_stream_ends_with_its_session(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    key = create_key(bank, "anna", ["train"])
    browser = Browser(bank)
    browser.begin(key)
    ask(browser, "start", **FORM)
    assert bank.store.trainings.get(1).asked_by == "anna"
    assert "asked for by anna" in browser.text

    async def rest(_seconds: float) -> None:
        bank.store.keys.revoke("anna")
        browser.server.refresh()

    monkeypatch.setattr("promptbank.console.following.asyncio.sleep", rest)
    assert len(events(browser, "/train/events")) == 1


def test_a_stream_ends_when_the_service_stops(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    ask(browser, "start", **FORM)

    async def rest(_seconds: float) -> None:
        browser.app.state.queue.drain()

    monkeypatch.setattr("promptbank.console.following.asyncio.sleep", rest)
    assert len(events(browser, "/train/events")) == 1


@pytest.mark.parametrize("scope", ["infer", "review", "admin"])
def test_only_a_key_for_training_trains(bank: Bank, scope: str) -> None:
    browser = Browser(bank)
    browser.begin(create_key(bank, "other", [scope]))
    token = browser.token if browser.page.find("input", {"name": "token"}) else ""
    for path in ("/train", "/train/events"):
        browser.open(path)
        assert browser.answer.status_code == 403
    for path in ("/train", "/train/change"):
        browser.answer = browser.client.post(f"/console{path}", data={"token": token, **FORM, "do": "start"})
        assert browser.answer.status_code == 403
    assert bank.store.trainings.list() == []


def test_html_in_what_is_asked_for_is_shown_as_text(browser: Browser, bank: Bank) -> None:
    ask(browser, "start", **FORM)
    bank.store.trainings.claim("here")
    bank.store.trainings.end(1, "failed", HOSTILE)
    page = browser.open("/train")
    assert page.find("section", class_="card").find(class_="fault").text == HOSTILE
    assert page.find("b") is None
    ask(browser, "check", card=HOSTILE, records=HOSTILE, epochs=HOSTILE)
    assert browser.page.find("textarea", {"name": "card"}).text == HOSTILE
    assert browser.page.find("b") is None


def test_a_form_that_is_too_large_is_refused(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    ask(browser, "check", file=("big.jsonl", "x" * (8 * 2**20)), **FORM)
    assert browser.answer.status_code == 413
