"""The service: the records as they are, selected by name; every error with its own status."""

import hashlib
import json
import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from promptbank.bank.learn import learn_task
from promptbank.bank.task_server import TaskServer
from promptbank.service.app import RequestLimits, create_app
from promptbank.training.config import TrainConfig
from store import Scope, Store, StoreUnavailableError, TamperedRowError, open_store
from tests.conftest import Promptbank
from tests.tiny import tiny_backbone
from tests.worlds import BEFORE, card_of, examples_of

CONFIG = TrainConfig(epochs=1, batch_size=4, lr=0.02, dtype="float32")
RECORD = {"taskname": "mood", "sentence": "profit rose"}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(str(tmp_path / "bank.db")) as opened:
        yield opened


def learn(store: Store, home: Path, **keys: object) -> None:
    card = card_of(**keys)
    examples = examples_of(8, taskname=card.taskname, lang=card.lang)
    learn_task(store, tiny_backbone("llama"), card, examples[:5], examples[5:], CONFIG, home=home)


@pytest.fixture
def client(store: Store, tmp_path: Path) -> TestClient:
    learn(store, tmp_path)
    learn(store, tmp_path, taskname="gist", template=BEFORE, label_space=None)
    return TestClient(create_app(TaskServer(store, tiny_backbone("llama")), RequestLimits(records=8, body=4000)))


def test_a_single_record_answers_with_its_own_status(client: TestClient) -> None:
    answer = client.post("/v1/predict", json=RECORD)
    assert answer.status_code == 200
    assert set(answer.json()) == {"taskname", "lang", "version", "sha256", "label", "probabilities", "margin"}
    opened = client.post("/v1/predict", json=RECORD | {"taskname": "gist"}).json()
    assert set(opened) == {"taskname", "lang", "version", "sha256", "text", "probability"}


def test_a_list_answers_200_with_one_item_a_record(client: TestClient) -> None:
    answer = client.post("/v1/predict", json=[RECORD, {"taskname": "mod", "sentence": "x"}, 7, RECORD])
    assert answer.status_code == 200
    assert [item.get("status", 200) for item in answer.json()] == [200, 404, 422, 200]
    assert "did you mean mood?" in answer.json()[1]["detail"]


def test_json_lines_are_taken_as_they_are(client: TestClient) -> None:
    body = json.dumps(RECORD) + "\n{broken\n" + json.dumps(RECORD) + "\n"
    answer = client.post("/v1/predict", content=body, headers={"content-type": "application/x-ndjson"})
    assert [item.get("status", 200) for item in answer.json()] == [200, 422, 200]
    assert "body:2" in answer.json()[1]["detail"]


@pytest.mark.parametrize(
    ("record", "status", "says"),
    [
        ({"taskname": "mod", "sentence": "x"}, 404, "did you mean mood?"),
        ({"taskname": "mood", "sentence": "x", "lang": "sv"}, 404, "not frozen in language 'sv'"),
        ({"taskname": "mood@9", "sentence": "x"}, 404, "has no version 9"),
        ({"taskname": "mood"}, 422, "field 'sentence' is missing"),
        ({"taskname": "mood", "sentence": ["x"]}, 422, "must be text"),
        ({"taskname": "mood", "sentence": "a\x00b"}, 422, "NUL"),
        ({"sentence": "x"}, 422, "names no task"),
        ({"taskname": "a b", "sentence": "x"}, 422, "is no taskname"),
        ({"taskname": "mood", "sentence": "x", "lang": 5}, 422, "must be a string"),
    ],
)
def test_a_bad_record_has_a_status_and_a_helpful_detail(
    client: TestClient, record: dict, status: int, says: str
) -> None:
    answer = client.post("/v1/predict", json=record)
    assert answer.status_code == status
    assert says in answer.json()["detail"]
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"{broken", "no JSON"),
        (b"[]", "a record or a list"),
        (b"3", "a record or a list"),
        (b'{"taskname": "mood", "sentence": "\\ud800"}', "lone surrogate"),
        (b"\xff\xfe", "no JSON"),
        (b"[" * 3000, "no JSON"),
    ],
)
def test_a_bad_body_is_unprocessable(client: TestClient, body: bytes, says: str) -> None:
    answer = client.post("/v1/predict", content=body)
    assert answer.status_code == 422
    assert says in answer.json()["detail"]


def test_over_a_limit_is_413(client: TestClient) -> None:
    assert client.post("/v1/predict", json=[RECORD] * 9).status_code == 413
    assert client.post("/v1/predict", json=RECORD | {"sentence": "x" * 5000}).status_code == 413
    assert client.post("/v1/predict", json=[RECORD] * 8).status_code == 200


def test_text_over_the_window_is_cut_and_says_so_or_is_refused(store: Store, tmp_path: Path) -> None:
    learn(store, tmp_path)
    learn(store, tmp_path, taskname="strict", truncate_field=None)
    client = TestClient(create_app(TaskServer(store, tiny_backbone("llama"))))
    long = {"sentence": "q" * 2000}
    assert 1700 < client.post("/v1/predict", json=long | {"taskname": "mood"}).json()["truncated"] < 2000
    refused = client.post("/v1/predict", json=long | {"taskname": "strict"})
    assert (refused.status_code, refused.json()["type"]) == (422, "too-long")


def test_another_backbones_row_is_a_conflict(store: Store, tmp_path: Path) -> None:
    learn(store, tmp_path)
    client = TestClient(create_app(TaskServer(store, tiny_backbone("llama", seed=1))))
    assert client.post("/v1/predict", json=RECORD).status_code == 409
    assert client.get("/v1/tasks").json() == []


def test_a_language_that_is_added_changes_no_answer_until_someone_chooses_it(store: Store, tmp_path: Path) -> None:
    learn(store, tmp_path)
    client = TestClient(create_app(TaskServer(store, tiny_backbone("llama"))))
    before = client.post("/v1/predict", json=RECORD).json()
    learn(store, tmp_path, lang="sv")
    assert client.post("/v1/predict", json=RECORD).json() == before
    assert client.post("/v1/tasks/mood/predict", json={"sentence": RECORD["sentence"]}).json() == before
    store.defaults.choose("mood", "sv", reason="test")
    assert client.post("/v1/predict", json=RECORD).json()["lang"] == "sv"
    assert client.post("/v1/predict", json=RECORD | {"lang": "en"}).json() == before
    store.aliases.retire(Scope("mood", "sv", tiny_backbone("llama").fingerprint))
    assert client.post("/v1/predict", json=RECORD).json() == before
    store.aliases.move(Scope("mood", "sv", tiny_backbone("llama").fingerprint), 1, reason="back")
    assert client.post("/v1/predict?lang=sv", json=RECORD).json()["lang"] == "sv"
    assert client.post("/v1/predict?lang=sv", json=RECORD | {"lang": "en"}).json()["lang"] == "en"
    assert client.post("/v1/tasks/mood:sv/predict", json={"sentence": "x"}).json()["lang"] == "sv"


def test_the_path_names_the_task_and_its_version(client: TestClient) -> None:
    assert client.post("/v1/tasks/mood/predict", json={"sentence": "x"}).json()["version"] == 1
    assert client.post("/v1/tasks/mood:en@1/predict", json={"sentence": "x"}).status_code == 200
    assert client.post("/v1/tasks/mood/predict", json=RECORD | {"taskname": "gist"}).status_code == 422


@pytest.mark.parametrize(
    ("path", "record", "status"),
    [
        ("/v1/tasks/mood/predict", {"taskname": "mood:en"}, 200),
        ("/v1/tasks/mood@1/predict", {"taskname": "mood:en@1"}, 200),
        ("/v1/tasks/mood/predict", {"taskname": "mood", "lang": None}, 200),
        ("/v1/tasks/mood/predict", {"taskname": None}, 200),
        ("/v1/tasks/mood/predict", {"taskname": "mood:sv"}, 404),
        ("/v1/tasks/mood:en/predict", {"taskname": "mood:sv"}, 422),
        ("/v1/tasks/mood/predict", {"taskname": "mood@1"}, 422),
        ("/v1/predict", {"taskname": "mood:en", "lang": "sv"}, 422),
        ("/v1/predict", {"taskname": 3}, 422),
    ],
)
def test_what_record_and_request_say_must_agree(
    client: TestClient, path: str, record: dict[str, object], status: int
) -> None:
    assert client.post(path, json={"sentence": "x"} | record).status_code == status


def test_a_damaged_row_is_told_beside_the_sound_ones(client: TestClient, store: Store, tmp_path: Path) -> None:
    rows = type(store.rows)
    with pytest.MonkeyPatch.context() as patch:
        get = rows.get

        def damaged(self: object, scope: object, version: int) -> object:
            if getattr(scope, "taskname", None) == "gist":
                raise TamperedRowError("gist:en@1 is not what was frozen")
            return get(self, scope, version)

        patch.setattr(rows, "get", damaged)
        listed = client.get("/v1/tasks")
    assert listed.status_code == 200
    assert [item.get("taskname", item.get("type")) for item in listed.json()] == ["tampered-row", "mood"]


def test_a_bug_is_a_problem_that_tells_no_insides(store: Store, tmp_path: Path) -> None:
    learn(store, tmp_path)
    server = TaskServer(store, tiny_backbone("llama"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server.predictor, "labels", lambda _batch: 1 / 0)
        answer = TestClient(create_app(server), raise_server_exceptions=False).post("/v1/predict", json=RECORD)
    assert (answer.status_code, answer.json()["type"]) == (500, "bug")
    assert "division" not in answer.text


def test_the_gold_answer_is_ignored(client: TestClient) -> None:
    plain = client.post("/v1/predict", json=RECORD).json()
    for gold in ("positive", "negative", "nonsense", 3):
        assert client.post("/v1/predict", json=RECORD | {"label": gold}).json() == plain


@pytest.mark.parametrize(
    "text", ["{label}", "<|VIRTUAL_PROMPT_0|>", "<prompt_1>", "<eos>", "<end_of_turn>", "ربح 📈", ""]
)
def test_no_text_is_structure(client: TestClient, text: str) -> None:
    assert client.post("/v1/predict", json=RECORD | {"sentence": text}).json()["label"] in ("positive", "negative")


def test_new_rows_are_served_without_a_restart(client: TestClient, store: Store, tmp_path: Path) -> None:
    record = {"taskname": "tone", "sentence": "x"}
    assert client.post("/v1/predict", json=record).status_code == 404
    learn(store, tmp_path, taskname="tone")
    assert client.post("/v1/predict", json=record).status_code == 200
    assert [task["taskname"] for task in client.get("/v1/tasks").json()] == ["gist", "mood", "tone"]


def test_tasks_and_versions_are_told(client: TestClient) -> None:
    task = client.get("/v1/tasks/mood").json()[0]
    assert (task["labels"], task["fields"], task["total_virtual_tokens"]) == (["positive", "negative"], ["sentence"], 4)
    assert client.get("/v1/tasks/gist").json()[0]["labels"] is None
    assert [(v["version"], v["aliases"]) for v in client.get("/v1/tasks/mood/versions").json()] == [(1, ["live"])]
    assert client.get("/v1/tasks/mod").status_code == 404
    assert client.get("/v1/tasks/mood:sv").status_code == 404


def test_health_is_told_and_a_bank_out_of_reach_is_503(
    client: TestClient, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert client.get("/livez").json() == {"status": "ok"}
    assert client.get("/readyz").json()["status"] == "ready"

    def gone(_self: object) -> int:
        raise StoreUnavailableError("the database is gone")

    monkeypatch.setattr(type(store), "revision", gone)
    assert client.get("/readyz").status_code == 503
    assert client.get("/livez").status_code == 200


def test_a_line_posted_as_it_is_gets_the_answer_of_the_command_line(learnt: Promptbank, home: Path) -> None:
    from promptbank.model.backbone import load_backbone

    line = Path("data.jsonl").read_text().splitlines()[3]
    by_cli = json.loads(learnt("predict", "--data", "-", "--json", stdin=line).stdout)
    with open_store(str(home / "bank.db")) as store:
        server = TaskServer(store, load_backbone(str(home.parent / "tiny"), home=home))
        posted = TestClient(create_app(server)).post("/v1/predict", content=line).json()
    assert posted == by_cli
    assert posted["id"] == "0-3"


def test_the_page_of_endpoints_needs_no_net(client: TestClient) -> None:
    page = client.get("/docs")
    assert page.status_code == 200
    assert re.findall(r"https?://|//", page.text.replace("// `SwaggerUIBundle`", "").replace("<!-- `Swag", "")) == []
    loaded = re.findall(r'(?:src|href)="(/[^"]+)"', page.text)
    assert loaded == ["/docs/swagger-ui.css", "/docs/swagger-ui-bundle.js"]
    said = (files("promptbank.service") / "swagger" / "README.md").read_text()
    for path in loaded:
        answer = client.get(path)  # httpx unpacks it
        assert f"| {path.removeprefix('/docs/')} | {hashlib.sha256(answer.content).hexdigest()} |" in said
    assert client.get("/openapi.json").json()["info"]["title"] == "promptbank"
    assert client.get("/redoc", follow_redirects=False).headers["location"] == "/docs"
    behind = TestClient(client.app, root_path="/bank").get("/docs").text
    assert 'src="/bank/docs/swagger-ui-bundle.js"' in behind
    assert "url: '/bank/openapi.json'" in behind
