"""The runs: all of them with curve and settings; two to five beside each other, compared on the same examples."""

import json

import pytest

from promptbank.bank.session import Bank
from tasks import counted
from tasks.statistics import paired_bootstrap
from tests.consoles import SCOPE, Browser
from tests.worlds import SENTENCES

HOSTILE = "<script>x</script>"


def run_of(bank: Bank, version: int) -> str:
    return str(json.loads(bank.store.rows.get(SCOPE, version).training_json)["run"])


def send_file(browser: Browser, ids: list[str], text: str, name: str = "gold.jsonl") -> None:
    data = {"token": browser.token, "id": ids}
    browser.answer = browser.client.post("/console/runs/compare", data=data, files={"examples": (name, text.encode())})


def test_every_run_is_listed_the_newest_first(browser: Browser, bank: Bank) -> None:
    page = browser.open("/runs")
    ids = [box["value"] for box in page.find_all("input", {"name": "id"})]
    assert ids == [one.run_id for one in bank.store.runs.list()][::-1]
    assert len(ids) == 4
    assert {a.text for a in page.tbody("a") if "@" in a.text} == {"mood:en@1", "mood:en@2", "mood:sv@1", "gist:en@1"}


def test_a_run_shows_its_curve_its_result_and_its_settings(browser: Browser, bank: Bank) -> None:
    run_id = run_of(bank, 1)
    page = browser.open("/run", id=run_id)
    points = json.loads(page.find(class_="curve")["data-curves"])[0]["points"]
    training = json.loads(bank.store.rows.get(SCOPE, 1).training_json)
    stored = [{name: one[name] for name in ("epoch", "train_loss", "loss", "accuracy")} for one in training["epochs"]]
    assert points == stored
    settings = json.loads(bank.store.runs.get(run_id).config_json)
    assert [term.text for term in page.find_all("dl")[-1]("dt")] == list(settings)
    assert "froze mood:en@1" in browser.text
    browser.open("/run", id="nope")
    assert browser.answer.status_code == 404


def test_a_run_that_failed_or_goes_on_is_shown(browser: Browser, bank: Bank) -> None:
    bank.store.runs.start("failing", "train", json.dumps({"note": HOSTILE}), "d" * 64)
    bank.store.runs.record("failing", [(3, {"epoch": 1, "train_loss": 2.0, "dev_loss": float("nan")})])
    page = browser.open("/run", id="failing")
    points = json.loads(page.find(class_="curve")["data-curves"])[0]["points"]
    assert points == [{"epoch": 1.0, "train_loss": 2.0, "loss": None, "accuracy": None}]
    assert page.find("dd").text == HOSTILE
    bank.store.runs.finish("failing", "failed", json.dumps({"reason": HOSTILE}))
    assert HOSTILE in browser.open("/run", id="failing").find(class_="fault").text
    assert "failed" in browser.open("/runs").text


def test_only_what_differs_is_shown_beside_each_other(browser: Browser, bank: Bank) -> None:
    ids = [run_of(bank, 1), run_of(bank, 2)]
    page = browser.open("/runs/compare", id=ids)
    heads = [row.th.text for row in page.tbody("tr")]
    settings = [json.loads(bank.store.runs.get(one).config_json) for one in ids]
    differing = [name for name in sorted(settings[0]) if settings[0][name] != settings[1][name]]
    assert differing == ["seed"]
    assert heads[-1] == "seed"
    assert [cell.text for cell in page.tbody("tr")[-1]("td")] == ["0", "1"]
    assert f"{len(settings[0]) - 1} settings are the same" in browser.text
    assert len(json.loads(page.find(class_="curve")["data-curves"])) == 2


@pytest.mark.parametrize("count", [0, 1, 6])
def test_fewer_than_two_or_more_than_five_are_refused(browser: Browser, bank: Bank, count: int) -> None:
    for n in range(count):
        bank.store.runs.start(f"r{n}", "train", "{}", "d" * 64)
    browser.open("/runs/compare", id=[f"r{n}" for n in range(count)])
    assert (browser.answer.status_code, f"{counted(count, 'run is', 'runs are')} ticked" in browser.text) == (422, True)


def test_rows_are_compared_on_the_same_examples_with_an_interval(browser: Browser, bank: Bank) -> None:
    ids = [run_of(bank, 1), run_of(bank, 2)]
    records = [
        {"taskname": "mood", "sentence": s, "label": label, "id": f"{n}"} for n, (s, label) in enumerate(SENTENCES)
    ]
    browser.open("/runs/compare", id=ids)
    send_file(browser, ids, "".join(json.dumps(one) + "\n" for one in records), f"{HOSTILE}.jsonl")
    right = []
    for version in (1, 2):
        asked = [{key: one[key] for key in ("sentence", "id")} | {"taskname": f"mood@{version}"} for one in records]
        answers = browser.client.post("/v1/predict", json=asked).json()
        right.append({one["id"]: float(a["label"] == one["label"]) for one, a in zip(records, answers, strict=True)})
    wanted = paired_bootstrap(right[1], right[0])
    assert f"{wanted.difference:+.3f} , 95 % interval {wanted.low:+.3f} to {wanted.high:+.3f}" in browser.text
    assert "8 examples" in browser.text
    assert HOSTILE in browser.page.find_all("h2")[0].text


def test_faults_of_the_examples_are_told(browser: Browser, bank: Bank) -> None:
    ids = [run_of(bank, 1), run_of(bank, 2)]
    for text, says in (("", "choose a file"), ('{"sentence": "x", "label": "glad"}\n{broken\n', "gold.jsonl:2")):
        browser.open("/runs/compare", id=ids)
        send_file(browser, ids, text)
        assert (browser.answer.status_code, says in browser.text) == (422, True), browser.text
    browser.open("/runs/compare", id=ids)
    many = "".join(json.dumps({"sentence": f"x {n}", "label": "positive"}) + "\n" for n in range(129))
    send_file(browser, ids, many)
    assert "128 may be asked at once" in browser.text


def test_experiments_are_listed_with_their_reports_which_can_do_nothing(browser: Browser, bank: Bank) -> None:
    folder = bank.settings.home / "runs" / "crossval-1234"
    folder.mkdir(parents=True)
    (folder / "secret.json").write_text("{}")
    (folder / "crossval.html").write_text(f"<html>{HOSTILE}</html>")
    assert "Experiments" not in browser.open("/runs").text
    (folder / "result.json").write_text(json.dumps({"kind": "crossval", "about": {"task": HOSTILE}}))
    other = bank.settings.home / "runs" / "other"
    other.mkdir()
    (other / "result.json").write_text("{cut off")
    table = browser.open("/runs").find(attrs={"aria-label": "Experiments"})
    assert [cell.text.strip() for cell in table.tbody.tr(["th", "td"])][:2] == ["crossval-1234", HOSTILE]
    answer = browser.client.get(table.tbody.a["href"])
    assert (answer.text, answer.headers["content-type"]) == (f"<html>{HOSTILE}</html>", "text/html; charset=utf-8")
    assert answer.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    for file in ("secret.json", "../other/result.json", "result.json", ""):
        browser.open("/runs/report", experiment="crossval-1234", file=file)
        assert browser.answer.status_code == 422
