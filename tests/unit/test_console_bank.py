"""The console's pages of the bank: the table, a task with its versions, evaluations, aliases and cards."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from promptbank.bank.exchange import export_row, read_row
from promptbank.bank.overview import RowScore, TaskVersion, VersionTree, lineage, move_alias, task_summaries
from promptbank.bank.session import Bank
from promptbank.errors import InputError
from store import NewEvaluation, NewTraining
from tests.consoles import SCOPE, Browser, learn

TASK = {"name": "mood:en", "backbone": SCOPE.fingerprint}
HOSTILE = "<script>alert(1)</script>\"'><b>&amp;"


def evaluated(bank: Bank, version: int, accuracy: float, n: int, split: str = "test") -> None:
    row = bank.store.rows.get(SCOPE, version)
    metrics = json.dumps({"accuracy": accuracy, "n": n})
    new = NewEvaluation(data_sha256="d" * 64, split=split, metrics_json=metrics, dtype="float32", details_json="{}")
    bank.store.evaluations.add(row.row_id, new)


def rows_of(browser: Browser) -> list[list[str]]:
    return [[" ".join(cell.text.split()) for cell in row.find_all(["th", "td"])] for row in browser.page.tbody("tr")]


def test_the_table_shows_each_task_with_its_live_version_and_its_interval(browser: Browser, bank: Bank) -> None:
    evaluated(bank, 2, 0.5, 96)
    browser.open("/tasks")
    assert [row[:3] for row in rows_of(browser)] == [
        ["gist", "en", "@1 of 1"], ["mood", "en", "@2 of 2"], ["mood", "sv", "@1 of 1"],
    ]  # fmt: skip
    mood = rows_of(browser)[1]
    assert mood[3] == "accuracy 0.500 0.402–0.598, test"  # 0.5 ± 1.96 * sqrt(0.25 / 100), by hand
    assert mood[4:7] == ["0", "512 B", "rows.v1"]  # 4 virtual tokens of 32 float32 numbers
    assert mood[8].endswith((" s", " min", " h"))


def test_filter_and_columns_stand_in_the_address(browser: Browser) -> None:
    browser.open("/tasks", q="MOOD sv", c=["language", "age"])
    assert [row[:2] for row in rows_of(browser)] == [["mood", "sv"]]
    assert [th.text for th in browser.page.thead("th")] == ["task", "language", "age"]
    assert "1 of 3 tasks" in browser.page.find(attrs={"aria-live": "polite"}).text
    assert browser.page.find("input", {"name": "q"})["value"] == "MOOD sv"
    checked = [box["value"] for box in browser.page.find_all("input", {"name": "c"}) if box.has_attr("checked")]
    assert checked == ["language", "age"]


def test_an_empty_bank_says_what_to_do(bank: Bank, tmp_path: Path) -> None:
    (tmp_path / "bank.db").unlink()
    bank.make()
    browser = Browser(bank)
    browser.open("/tasks")
    assert "The bank is empty" in browser.text


def test_a_task_shows_its_versions_where_they_are_from_and_how_good(browser: Browser, bank: Bank) -> None:
    evaluated(bank, 1, 0.75, 8)
    page = browser.open("/task", **TASK)
    versions = page.find("ol", class_="versions").find_all("li", recursive=False)
    assert [one["value"] for one in versions] == ["2", "1"]
    assert [one.find(class_="tag").text if one.find(class_="tag") else None for one in versions] == ["live", None]
    row = bank.store.rows.get(SCOPE, 1)
    assert row.data_sha256[:12] in versions[1].text
    assert json.loads(row.training_json)["run"] in versions[1].text
    assert "accuracy 0.750" in " ".join(versions[1].text.split())
    heads = [th.text for th in page.find(attrs={"aria-label": "Evaluations"}).thead("th")]
    assert heads == ["set", "metric", "@2 live", "@1"]
    lines = [[td.text for td in tr("td")] for tr in page.find(attrs={"aria-label": "Evaluations"}).tbody("tr")]
    assert ["test dddddddd", "accuracy", "-", "0.750"] in lines
    curve = json.loads(versions[0].find(class_="curve")["data-curves"])
    assert curve[0]["points"] == json.loads(bank.store.rows.get(SCOPE, 2).training_json)["epochs"]


def test_an_alias_moves_for_a_reason_with_both_evaluations_in_view(browser: Browser, bank: Bank) -> None:
    evaluated(bank, 1, 0.75, 8)
    evaluated(bank, 2, 0.25, 8)
    page = browser.open("/task", **TASK, to=1)
    move = page.find(id="move")
    assert "@2 is live, @1 would be" in move.text
    assert [[td.text for td in tr("td")][1:] for tr in move.tbody("tr")][-2:] == [
        ["accuracy", "0.250", "0.750"],
        ["n", "8", "8"],
    ]
    assert move.find("input", {"name": "reason"}).has_attr("required")
    fields = {field["name"]: field.get("value", "") for field in move.form.find_all("input")}
    browser.send("/task/move", fields | {"reason": "better on test", "kind": "move"})
    assert bank.store.aliases.get(SCOPE) == 1
    assert bank.store.aliases.history(SCOPE)[-1].reason == "better on test"
    assert "better on test" in browser.page.find(class_="history").li.text


def test_a_rollback_keeps_its_reason(browser: Browser, bank: Bank) -> None:
    browser.open("/task", **TASK)
    browser.send("/task/move", TASK | {"seen_live": "2", "kind": "rollback", "reason": HOSTILE})
    assert bank.store.aliases.get(SCOPE) == 1
    assert bank.store.aliases.history(SCOPE)[-1].reason == f"rollback from version 2: {HOSTILE}"
    assert browser.page.find("script", string=True) is None
    assert HOSTILE in browser.page.find(class_="history").li.text


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"seen_live": "2", "to": "1", "reason": " "}, "give a reason"),
        ({"seen_live": "1", "to": "1", "reason": "x"}, "somebody moved it"),
        ({"seen_live": "2", "to": "", "reason": "x"}, "choose a version"),
        ({"seen_live": "2", "to": "9", "reason": "x"}, "no version 9"),
    ],
)
def test_a_move_that_cannot_be_made_is_refused_with_the_reason(
    browser: Browser, bank: Bank, fields: dict[str, str], says: str
) -> None:
    browser.open("/task", **TASK)
    browser.send("/task/move", TASK | fields | {"kind": "move"})
    assert (browser.answer.status_code in (404, 422), says in browser.text) == (True, True)
    assert bank.store.aliases.get(SCOPE) == 2


def test_of_two_who_move_at_once_one_is_told(bank: Bank) -> None:
    move_alias(bank.store, SCOPE, "live", to=1, seen=2, reason="first")
    with pytest.raises(InputError, match="somebody moved it"):
        move_alias(bank.store, SCOPE, "live", to=1, seen=2, reason="second")


def test_a_share_of_the_requests_is_given_to_a_version_and_taken_back(browser: Browser, bank: Bank) -> None:
    page = browser.open("/task", **TASK, to=1)
    fields = {field["name"]: field.get("value", "") for field in page.find(id="move").form.find_all("input")}
    browser.send("/task/move", fields | {"share": "12.5", "reason": "try it", "kind": "canary"})
    assert bank.store.aliases.get(SCOPE, "canary") == 1
    assert bank.store.aliases.get(SCOPE) == 2
    assert bank.store.rows.versions(SCOPE)[0].share == 0.125
    assert "gets 12.5 % of the requests" in browser.text
    browser.send("/task/move", TASK | {"seen_canary": "", "kind": "retire", "reason": "x"})
    assert "somebody moved it" in browser.text
    browser.open("/task", **TASK)
    browser.send("/task/move", TASK | {"seen_canary": "1", "kind": "retire", "reason": "worse"})
    assert bank.store.aliases.get(SCOPE, "canary") is None
    for share, says in (("0", "share is 0"), ("many", "per cent"), ("101", "share is 1.01")):
        browser.open("/task", **TASK, to=1)
        browser.send(
            "/task/move", TASK | {"to": "1", "seen_canary": "", "kind": "canary", "share": share, "reason": "x"}
        )
        assert (browser.answer.status_code, says in browser.text) == (422, True), browser.text


def test_versions_are_drawn_as_a_tree_of_what_was_started_from_what(browser: Browser, bank: Bank) -> None:
    def version(number: int, parent: int | None) -> TaskVersion:
        row = replace(bank.store.rows.get(SCOPE, 1), version=number, parent_version=parent)
        info = replace(bank.store.rows.versions(SCOPE)[0], version=number)
        return TaskVersion(info, row, "", ())

    def drawn(tree: list[VersionTree]) -> dict[int, object]:
        return {node.info.version: drawn(list(node.children)) for node in tree}

    versions = [version(1, None), version(2, 1), version(3, 1), version(4, 3), version(5, 9)]
    versions.append(TaskVersion(replace(versions[0].info, version=6), None, "damaged", ()))
    assert drawn(lineage(versions[::-1])) == {1: {2: {}, 3: {4: {}}}, 5: {}, 6: {}}
    tree = browser.open("/task", **TASK).find(class_="tree")
    assert [link["href"] for link in tree("a")] == ["#v1", "#v2"]


def test_the_table_tells_how_many_requests_each_task_has_answered_well(browser: Browser) -> None:
    for task, field in (
        ("mood:en", "sentence"),
        ("mood:en", "sentence"),
        ("mood:en", "nothing"),
        ("mood:sv", "sentence"),
    ):
        browser.client.post("/v1/predict", json={"taskname": task, field: "profit rose"})
    browser.open("/tasks", c=["language", "requests"])
    assert rows_of(browser) == [["gist", "en", "0"], ["mood", "en", "2"], ["mood", "sv", "1"]]


def test_a_training_of_the_task_is_shown_while_it_goes_on(browser: Browser, bank: Bank) -> None:
    new = NewTraining(task="mood:en", card_json="{}", records="", settings_json="{}", live="gated", asked_by="anna")
    for _ in range(2):
        bank.store.trainings.add(new)
    bank.store.trainings.add(replace(new, task="mood:sv"))
    bank.store.trainings.claim("here")
    bank.store.trainings.begun(1, "run1")
    sections = browser.open("/task", **TASK).find_all("section", class_="card")
    assert [" ".join(one.p.text.split()) for one in sections] == [
        "Training 1 is running: the queue", "Training 2 is waiting: the queue",
    ]  # fmt: skip
    assert sections[0].div["data-follow"].endswith("/run/events?id=run1")
    bank.store.trainings.end(1, "done", "")
    bank.store.trainings.stop(2)
    assert browser.open("/task", **TASK).find("section", class_="card") is None


def test_cards_are_shown_and_compared(browser: Browser) -> None:
    page = browser.open("/task", **TASK, a=1, b=2)
    diff = page.find("pre", class_="diff")
    assert [line.text.strip() for line in diff.find_all(class_="gone")] == [
        '- "description": "the tone of the sentence is",'
    ]
    assert [line.text.strip() for line in diff.find_all(class_="added")] == [
        '+ "description": "the mood of the sentence is",'
    ]
    assert "are the same" in browser.open("/task", **TASK, a=1, b=1).text


def test_html_in_a_card_is_shown_as_text(bank: Bank) -> None:
    learn(bank, taskname="odd", description=HOSTILE, label_space={"positive": ["<i>"], "negative": ["<img/src=x>"]})
    browser = Browser(bank)
    page = browser.open("/task", name="odd:en")
    assert page.find("img") is page.find("i") is page.find("b") is None
    assert json.loads(page.find("pre").text)["description"] == HOSTILE


def test_a_row_is_downloaded_as_it_is_exported(browser: Browser, bank: Bank, tmp_path: Path) -> None:
    link = browser.open("/task", **TASK).find("a", attrs={"download": True})
    answer = browser.client.get(link["href"])
    assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''mood.en.v2.safetensors"
    (tmp_path / "got.safetensors").write_bytes(answer.content)
    path, row = tmp_path / "wanted.safetensors", bank.store.rows.get(SCOPE, 2)
    export_row(row, path)
    assert read_row(tmp_path / "got.safetensors") == read_row(path)
    assert replace(read_row(path), row_id=row.row_id) == row


def test_verify_tells_what_is_wrong(browser: Browser, bank: Bank, tmp_path: Path) -> None:
    browser.open("/tasks")
    browser.send("/verify")
    assert "4 rows checked" in browser.text
    from sqlalchemy import text

    with bank.store._database.engine.begin() as connection:
        connection.execute(text("DROP TRIGGER prompt_row_no_update"))
        connection.execute(text("UPDATE prompt_row SET data = zeroblob(512) WHERE row_id = 1"))
    browser.open("/tasks")
    page = browser.send("/verify")
    assert page.find(attrs={"role": "alert"}).text == "2 faults in 4 rows:"
    assert "mood:en" in browser.text
    assert "tampered" in browser.open("/task", **TASK).find(class_="versions").text


def test_a_score_is_the_tested_one_where_there_is_one(bank: Bank) -> None:
    evaluated(bank, 2, 1.0, 8)
    evaluated(bank, 2, 0.0, 8, split="dev")
    scores = {one.row.scope: one.score for one in task_summaries(bank.store)}
    assert scores[SCOPE] == RowScore.of(bank.store.evaluations.of(2)[-2])
    assert scores[SCOPE].split == "test"
