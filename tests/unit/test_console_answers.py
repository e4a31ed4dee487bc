"""Doubtful answers on the console: kept where an admin says so, decided by label, and trained with."""

from __future__ import annotations

import json

import pytest

from promptbank.bank.keys import create_key
from promptbank.bank.session import Bank
from store import AnswerKeeping, NewAnswer
from tests.consoles import SCOPE, Browser

TASK = {"name": "mood:en", "backbone": SCOPE.fingerprint}
HOSTILE = "<script>alert(1)</script>\"'><b>"
RULE = AnswerKeeping(taskname="mood", lang="en", below=0.6, beside=1, days=30)


@pytest.fixture
def kept(bank: Bank) -> Bank:
    """Three answers of mood:en, the second the most doubtful."""
    bank.store.answers.choose(RULE)
    for text, probability in (("first", 0.55), (HOSTILE, 0.51), ("third", 0.59)):
        bank.store.answers.keep(
            NewAnswer(
                taskname="mood", lang="en", version=2, fields_json=json.dumps({"sentence": text}), label="positive",
                probability=probability, other_version=1, other_label="negative",
            )
        )  # fmt: skip
    return bank


def text(browser: Browser) -> str:
    found = browser.page.find("p", class_="text")
    return found.text if found else ""


def decide(browser: Browser, do: str) -> None:
    """Press a button of the answer that is shown."""
    form = next(form for form in browser.page("form") if form["action"].endswith("/review/answers"))
    fields = {field["name"]: field["value"] for field in form.find_all("input")}
    browser.send("/review/answers", fields | {"do": do})


def test_an_admin_says_what_is_kept_and_that_nothing_is_any_more(browser: Browser, bank: Bank) -> None:
    browser.open("/task", **TASK)
    assert "Nothing of what is asked is kept" in browser.text
    browser.send("/task/keep", TASK | {"do": "keep", "below": "60", "beside": "1", "days": "30"})
    assert bank.store.answers.rules() == [RULE]
    assert "those under 60 % or on which @1 differs" in browser.text
    for fields in ({"below": "200"}, {"days": ""}, {"below": "x"}):
        browser.open("/task", **TASK)
        browser.send("/task/keep", TASK | {"do": "keep", "below": "60", "days": "30"} | fields)
        assert browser.answer.status_code == 422
    browser.open("/task", **TASK)
    browser.send("/task/keep", TASK | {"do": "stop"})
    assert bank.store.answers.rules() == []


def test_answers_come_up_on_the_review_page_the_most_doubtful_first(browser: Browser, kept: Bank) -> None:
    page = browser.open("/review")
    assert "mood:en : 3 open of 3" in browser.text
    browser.open(page.find("li").a["href"].removeprefix("/console"))
    assert text(browser) == HOSTILE
    assert browser.page.find("b") is None
    assert "@2 says positive, probability 0.510; @1 says negative" in browser.page.find(class_="card").text
    keys = {button["value"]: button.get("data-key") for button in browser.page("button", {"name": "do"})}
    assert keys == {"label positive": "1", "label negative": "2", "none": "x", "undo": "u"}


def test_labels_are_decided_undone_and_leave_as_training_records(browser: Browser, kept: Bank) -> None:
    browser.open("/review/answers", task="mood:en")
    decide(browser, "label negative")
    assert text(browser) == "first"
    decide(browser, "none")
    assert text(browser) == "third"
    assert "2 of 3 decided" in browser.text
    decide(browser, "undo")
    assert text(browser) == "first"
    decide(browser, "label positive")
    decide(browser, "label positive")
    assert "No answer is left here" in browser.text
    answer = browser.client.get("/console/review/answers/records", params={"task": "mood:en"})
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert [(one["sentence"], one["label"]) for one in lines] == [
        ("first", "positive"), (HOSTILE, "negative"), ("third", "positive"),
    ]  # fmt: skip
    page = browser.open("/train", answers="mood:en", task="mood:en")
    assert page.find("textarea", {"name": "records"}).text == answer.text
    assert page.find("b") is None


def test_of_two_who_decide_at_once_the_second_is_told(kept: Bank) -> None:
    first, second = Browser(kept), Browser(kept)
    for browser in (first, second):
        browser.open("/review/answers", task="mood:en")
    decide(first, "label negative")
    decide(second, "label positive")
    assert (second.answer.status_code, "somebody else decided" in second.text) == (422, True)
    assert kept.store.answers.list("mood", "en")[1].decided == "negative"


@pytest.mark.parametrize("do", ["label glad", "drop", "", "label"])
def test_what_is_no_decision_is_refused(browser: Browser, kept: Bank, do: str) -> None:
    browser.open("/review/answers", task="mood:en")
    decide(browser, do)
    assert browser.answer.status_code == (422 if do != "label" else 200)  # the empty label is none of them
    assert sum(one.decided is not None for one in kept.store.answers.list("mood", "en")) == (do == "label")


def test_a_key_for_reviews_decides_and_changes_nothing_else(kept: Bank) -> None:
    browser = Browser(kept)
    browser.begin(create_key(kept, "anna", ["review"]))
    browser.open("/review/answers", task="mood:en")
    assert "train with it" not in browser.text
    decide(browser, "label negative")
    assert kept.store.answers.list("mood", "en")[1].decided_by == "anna"
    browser.send("/task/keep", TASK | {"do": "stop"})
    assert browser.answer.status_code == 403
    assert kept.store.answers.rules() == [RULE]
