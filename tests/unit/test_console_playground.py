"""The playground: the form of a card, answers as the service gives them, tokens as the model reads them, snippets."""

import ast
import json
import shlex
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from promptbank.bank.keys import create_key
from promptbank.bank.session import Bank
from promptbank.model.render import Renderer
from tests.consoles import Browser, learn, served
from tests.worlds import SPLIT

HOSTILE = "profit <b>rose</b> {label} <eos> \"'&amp; مرحبا"


def ask(browser: Browser, task: str = "mood:en", text: str = "profit rose", **more: str) -> None:
    browser.open("/play", task=task)
    browser.send("/play", {"task": task, "field sentence": text, **more})
    assert browser.answer.status_code == 200, browser.text


def answers_of(browser: Browser) -> list[tuple[str, dict[str, float]]]:
    found = []
    for one in browser.page.find_all("article"):
        bars = {row.th.text: float(row.meter["value"]) for row in one("tr")}
        found.append((one.h3.text, bars))
    return found


def test_the_form_is_made_of_the_fields_of_the_card(browser: Browser, bank: Bank) -> None:
    page = browser.open("/play", task="mood:sv")
    areas = page.find_all("textarea")
    assert [(area["name"], area["lang"], area["dir"]) for area in areas] == [("field sentence", "sv", "auto")]
    choices = [option["value"] for option in page.find("datalist")("option")]
    assert choices == ["gist:en", "mood:en", "mood:sv", "gist:en@1", "mood:en@1", "mood:en@2", "mood:sv@1"]
    assert "unknown task" in browser.open("/play", task="nope").text


def test_an_answer_is_what_the_service_answers(browser: Browser) -> None:
    ask(browser, text=HOSTILE)
    wanted = browser.client.post("/v1/tasks/mood:en/predict", json={"sentence": HOSTILE}).json()
    assert answers_of(browser) == [("mood:en@2", pytest.approx(wanted["probabilities"]))]
    article = browser.page.article
    assert article.strong.text == wanted["label"]
    assert f"margin {wanted['margin']:.3f}" in browser.text
    assert browser.page.find("textarea").text == HOSTILE
    assert browser.page.find("main").find("b") is None


def test_two_versions_stand_side_by_side_and_all_tasks_below(browser: Browser) -> None:
    ask(browser, task="mood:en@1", other="mood:en@2", all="1")
    named, rest = (block.find_all("article") for block in browser.page.find_all(class_="side"))
    assert [one.h3.text for one in named] == ["mood:en@1", "mood:en@2"]
    assert [one.h3.text for one in rest] == ["mood:en@2", "mood:sv@1"]
    scored = browser.client.post("/v1/score", json={"text": "profit rose"}).json()
    shown = answers_of(browser)[2:]
    assert [bars for _, bars in shown] == [pytest.approx(one["probabilities"], abs=1e-4) for one in scored]


def test_an_open_answer_and_a_problem_are_shown(browser: Browser) -> None:
    ask(browser, task="gist:en", other="mood:en@9")
    wanted = browser.client.post("/v1/tasks/gist:en/predict", json={"sentence": "profit rose"}).json()
    good, bad = browser.page.find_all("article")
    assert (good.pre.text, good.pre["lang"]) == (wanted["text"], "en")
    assert "has no version 9" in bad.find(attrs={"role": "alert"}).text


def test_the_token_view_is_what_the_model_reads(browser: Browser, bank: Bank) -> None:
    ask(browser, text=HOSTILE)
    renderer = browser_renderer(browser)
    ids = renderer.prompt({"sentence": HOSTILE}).ids
    spans = browser.page.find(class_="tokens").find_all("span")
    assert len(spans) == len(ids)
    virtual = [span.text for span in spans if "virtual" in span["class"]]
    assert virtual == ["v1", "v2", "v3", "v4"]
    titles = [span["title"] for span in spans]
    assert titles == ["virtual token" if one < 0 else f"id {one}" for one in ids]
    long = "profit rose " * 200
    ask(browser, text=long)
    cut = renderer.prompt({"sentence": long}).truncated
    assert cut > 0
    assert browser.page.find("del").text == long[-cut:]
    assert f"{cut} characters of the text were cut" in browser.text


def browser_renderer(browser: Browser) -> Renderer:
    from tasks import parse_spec

    return browser.server.task(parse_spec("mood:en")).renderer


@pytest.mark.parametrize("template", ["{sentence}", "{first}"])
def test_the_snippets_ask_the_same(browser: Browser, bank: Bank, template: str) -> None:
    task, fields = "mood:en", {"sentence": HOSTILE}
    if template == "{first}":
        learn(bank, taskname="pair", template=SPLIT.replace("so:", "{second}"), splits=(2, 2), also={"second": "x"})
        task, fields = "pair:en", {"sentence": HOSTILE, "second": "x'y"}
    browser.open("/play", task=task)
    browser.send("/play", {"task": task, **{f"field {name}": value for name, value in fields.items()}})
    curl, python = (block.text for block in browser.page.find_all("pre")[-2:])
    words = shlex.split(curl)
    assert words[:3] == ["curl", "-s", f"http://127.0.0.1/v1/tasks/{task}/predict"]
    answer = browser.client.post(
        words[2], content=words[words.index("-d") + 1], headers={"content-type": "application/json"}
    )
    label = browser.page.article.strong.text
    assert answer.json()["label"] == label
    assigned = {n.targets[0].id: n.value for n in ast.parse(python).body if isinstance(n, ast.Assign)}
    messages = ast.literal_eval(assigned["messages"])
    model = next(k.value.value for k in assigned["answer"].keywords if k.arg == "model")
    chat = browser.client.post("/v1/chat/completions", json={"model": model, "messages": messages})
    assert chat.json()["choices"][0]["message"]["content"] == label
    assert json.loads(answer.request.content) == fields


def test_rows_are_looked_up_one_request_at_a_time(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    looking, most, task = [], [], browser.server.task

    def slow(*arguments: object) -> object:
        looking.append(1)
        most.append(len(looking))
        time.sleep(0.05)
        looking.pop()
        return task(*arguments)

    monkeypatch.setattr(browser.server, "task", slow)
    with served(browser.app) as address, ThreadPoolExecutor(4) as pool:
        found = list(pool.map(httpx.get, [f"{address}/console/play?task=mood:en"] * 4))
    assert [one.status_code for one in found] == [200] * 4
    assert (len(most), max(most)) == (4, 1)


def test_snippets_name_the_key_where_there_is_one(bank: Bank) -> None:
    browser = Browser(bank)
    key = create_key(bank, "webshop", ["infer"])
    browser.begin(key)
    ask(browser)
    assert browser.text.count("PROMPTBANK_KEY") == 2
    assert key not in browser.answer.text


def test_a_form_without_a_task_or_a_text_is_refused(browser: Browser) -> None:
    for fields in ({}, {"task": "mood:en"}):
        browser.open("/play", task="mood:en")
        browser.send("/play", fields)
        assert (browser.answer.status_code, "choose a task" in browser.text) == (422, True)
    browser.open("/play", task="mood:en")
    browser.send("/play", {"task": "mood:en", "field other": "x"})
    assert "field 'sentence' is missing" in browser.page.find("article").find(attrs={"role": "alert"}).text
