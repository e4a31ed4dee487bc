"""Bodies of any kind: what JSON lines refuse, JSON refuses too, and every refusal is a problem with its status."""

import json
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import anyio
import httpx
import pytest
from fastapi.testclient import TestClient

from promptbank.bank.learn import learn_task
from promptbank.bank.select import scope_of
from promptbank.bank.task_server import TaskServer
from promptbank.engine.predictor import Prediction, PreparedRequest
from promptbank.errors import BodyTooLargeError, InputError
from promptbank.service.app import RequestLimits, create_app
from promptbank.service.body import read_records
from promptbank.service.models import PredictionModel, ProblemModel, ReadyModel, TaskModel, VersionModel
from promptbank.training.config import TrainConfig
from store import Store, open_store
from tasks import DataError, InputRecord
from tests.conftest import Promptbank
from tests.tiny import tiny_backbone
from tests.worlds import BEFORE, card_of, examples_of

CONFIG = TrainConfig(epochs=1, batch_size=4, lr=0.02, dtype="float32")
RECORD = {"taskname": "mood", "sentence": "profit rose"}
LINE = json.dumps(RECORD).encode()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(str(tmp_path / "bank.db")) as opened:
        yield opened


def learn(store: Store, home: Path, *, seed: int = 0, **keys: object) -> None:
    card = card_of(**keys)
    examples = examples_of(6, taskname=card.taskname, lang=card.lang)
    config = CONFIG.model_copy(update={"seed": seed})
    learn_task(store, tiny_backbone("llama"), card, examples[:4], examples[4:], config, home=home)


@pytest.fixture
def client(store: Store, tmp_path: Path) -> TestClient:
    learn(store, tmp_path)
    return TestClient(create_app(TaskServer(store, tiny_backbone("llama")), RequestLimits(records=8, body=20_000)))


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b'{"a": 1, "b": 2, "a": 3}', "of its keys, 'a' stand twice"),
        (b'[{"a": {"b": 1, "b": 1}}]', "of its keys, 'b' stand twice"),
        (b'{"a": NaN}', "NaN is no JSON value"),
        (b'{"a": -Infinity}', "-Infinity is no JSON value"),
        (b'{"a": ' + b"7" * 5000 + b"}", "no JSON"),
        (b"", "no JSON"),
        (b"\xff", "no JSON"),
        (LINE[:-1] + b"\n" + LINE, "JSON lines"),
        (b"[]", "a record or a list of records, not []"),
        (b"null", "not null"),
        (b'"\\ud800"', "a record or a list"),
    ],
)
def test_a_body_that_is_no_record_is_refused_as_a_whole(body: bytes, says: str) -> None:
    with pytest.raises(InputError) as told:
        read_records(body, "application/json", 8)
    assert says in str(told.value)
    str(told.value).encode()  # a lone surrogate in the message would break the response


def test_one_record_is_single_and_a_list_of_one_is_not() -> None:
    alone, listed = read_records(LINE, "", 8), read_records(b"[" + LINE + b"]", "", 8)
    assert (alone.single, listed.single) == (True, False)
    for read in (alone, listed):
        assert [record.data for record in read.records if isinstance(record, InputRecord)] == [RECORD]


@pytest.mark.parametrize(
    "content_type",
    ["application/jsonl", "application/x-ndjson", "application/x-jsonlines", "Application/X-NDJSON ; charset=utf-8"],
)
def test_json_lines_are_known_by_their_content_type(content_type: str) -> None:
    read = read_records(LINE + b"\n\n{broken\n" + LINE, content_type, 3)
    assert not read.single
    assert [isinstance(record, DataError) for record in read.records] == [False, True, False]
    assert "body:3" in str(read.records[1])
    with pytest.raises(BodyTooLargeError, match="over 2 records in one request; 2 are allowed"):
        read_records(LINE + b"\n{broken\n" + LINE, content_type, 2)
    assert isinstance(read_records(b'{"a": ' + b"7" * 5000 + b"}", content_type, 2).records[0], DataError)
    with pytest.raises(InputError, match="holds no records"):
        read_records(b"\n \n", content_type, 2)


def test_items_that_are_no_records_have_their_errors_in_their_places() -> None:
    read = read_records(b'[1, {"a": "\\ud800"}, null, [], {"a": "\\u0000"}, ' + LINE + b"]", "", 8)
    assert [isinstance(record, DataError) for record in read.records] == [True] * 5 + [False]
    assert [str(record).partition(":")[0] for record in read.records[:5]] == [f"record {n}" for n in range(1, 6)]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/v1/nope", 404), ("POST", "/", 404), ("GET", "/v1/predict", 405), ("DELETE", "/v1/tasks/mood", 405)],
)
def test_an_unknown_path_or_method_is_a_problem_too(client: TestClient, method: str, path: str, status: int) -> None:
    answer = client.request(method, path)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    problem = ProblemModel.model_validate(answer.json())
    assert problem.status == status
    assert f"{method} {path}" in problem.detail
    assert ("allow" in answer.headers) == (status == 405)


def test_answers_have_the_shapes_that_openapi_promises(client: TestClient, store: Store, tmp_path: Path) -> None:
    learn(store, tmp_path, taskname="gist", template=BEFORE, label_space=None)
    records = [RECORD, RECORD | {"taskname": "gist"}, RECORD | {"taskname": "mod"}, {"taskname": "mood"}]
    items = client.post("/v1/predict", json=records).json()
    for item in items[:2]:
        assert set(PredictionModel.model_validate(item).model_fields_set) == set(item)
    for item in items[2:]:
        assert ProblemModel.model_validate(item).model_dump(exclude_unset=True) == item
    for path, model in (
        ("/v1/tasks", TaskModel),
        ("/v1/tasks/mood", TaskModel),
        ("/v1/tasks/mood/versions", VersionModel),
    ):
        assert [set(model.model_validate(item).model_fields_set) == set(item) for item in client.get(path).json()]
    ReadyModel.model_validate(client.get("/readyz").json())


def test_one_bad_record_in_a_list_harms_no_other(client: TestClient, store: Store, tmp_path: Path) -> None:
    learn(store, tmp_path, taskname="strict", truncate_field=None)
    alone = client.post("/v1/predict", json=RECORD).json()
    records = [RECORD, {"taskname": "strict", "sentence": "q" * 2000}, RECORD, {"taskname": "mood@7", "sentence": ""}]
    items = client.post("/v1/predict", json=records).json()
    assert [item.get("status", 200) for item in items] == [200, 422, 200, 404]
    for item in (items[0], items[2]):
        assert item["probabilities"] == pytest.approx(alone["probabilities"], abs=1e-4)


def test_the_version_in_the_path_is_the_one_that_answers(client: TestClient, store: Store, tmp_path: Path) -> None:
    learn(store, tmp_path, seed=1)
    hashes = {v["version"]: v["sha256"] for v in client.get("/v1/tasks/mood/versions").json()}
    assert len(set(hashes.values())) == 2
    for version, digest in hashes.items():
        answer = client.post(f"/v1/tasks/mood@{version}/predict", json={"sentence": "x"}).json()
        assert (answer["version"], answer["sha256"]) == (version, digest)
        asked = client.get(f"/v1/tasks/mood:en@{version}").json()
        assert [(task["version"], task["sha256"]) for task in asked] == [(version, digest)]
        assert len(client.get(f"/v1/tasks/mood@{version}/versions").json()) == 1
    assert [task["version"] for task in client.get("/v1/tasks/mood").json()] == [2]
    for path in ("/v1/tasks/mood@9", "/v1/tasks/mood@9/versions"):
        assert client.get(path).status_code == 404
        assert "has no version 9; versions: 1, 2" in client.get(path).json()["detail"]


def test_rollback_and_retirement_are_seen_at_once(client: TestClient, store: Store, tmp_path: Path) -> None:
    learn(store, tmp_path, seed=1)
    scope = scope_of("mood", "en", tiny_backbone("llama"))
    assert client.post("/v1/predict", json=RECORD).json()["version"] == 2
    store.aliases.rollback(scope)
    assert client.post("/v1/predict", json=RECORD).json()["version"] == 1
    store.aliases.retire(scope)
    for answer in (client.post("/v1/predict", json=RECORD), client.get("/v1/tasks/mood")):
        assert answer.status_code == 404
        assert answer.json()["type"] == "unknown-task"
    assert "has no live version" in client.get("/v1/tasks/mood").json()["detail"]
    assert client.get("/v1/tasks").json() == []
    assert [v["aliases"] for v in client.get("/v1/tasks/mood/versions").json()] == [[], []]
    assert client.post("/v1/predict", json=RECORD | {"taskname": "mood@2"}).json()["version"] == 2


def test_requests_at_the_same_time_get_the_answers_they_get_alone(client: TestClient) -> None:
    records = [RECORD | {"sentence": text} for text in ("bad", "profit rose and the outlook is good", "x", "")] * 3
    alone = [client.post("/v1/predict", json=record).json() for record in records]
    with client, ThreadPoolExecutor(4) as pool:  # one event loop, as a server has
        together = list(pool.map(lambda record: client.post("/v1/predict", json=record).json(), records))
    for ours, theirs in zip(together, alone, strict=True):
        assert ours["probabilities"] == pytest.approx(theirs["probabilities"], abs=1e-4)
        assert ours["label"] == theirs["label"]


def test_a_process_is_alive_and_ready_however_many_requests_wait_for_their_turn(store: Store, tmp_path: Path) -> None:
    learn(store, tmp_path)
    server, go, running = TaskServer(store, tiny_backbone("llama")), threading.Event(), list[int]()
    labels = server.predictor.labels

    def slow(batch: Sequence[PreparedRequest]) -> list[Prediction]:
        running.append(threading.get_ident())
        assert go.wait(60)
        return labels(batch)

    server.predictor.labels = slow  # type: ignore[method-assign]

    async def crowd() -> list[int]:
        statuses: list[int] = []
        async with httpx.AsyncClient(transport=httpx.ASGITransport(create_app(server)), base_url="http://x") as client:

            async def ask() -> None:
                statuses.append((await client.post("/v1/predict", json=RECORD, timeout=None)).status_code)

            with anyio.fail_after(60):
                async with anyio.create_task_group() as group:
                    for _ in range(60):  # more than the threads that an event loop lends
                        group.start_soon(ask)
                    while not running:
                        await anyio.sleep(0.01)
                    seen = [(await client.get(path)).status_code for path in ("/livez", "/readyz", "/v1/tasks")]
                    assert (seen, len(running)) == ([200, 200, 200], 1)  # one batch at a time
                    go.set()
        return statuses

    assert anyio.run(crowd) == [200] * 60


def test_cli_and_http_tell_the_same_errors(learnt: Promptbank, home: Path) -> None:
    from promptbank.model.backbone import load_backbone

    bad = [
        '{"taskname": "sentimnt-task", "sentence": "x"}',
        '{"taskname": "sentiment-task:sv", "sentence": "x"}',
        '{"taskname": "sentiment-task@4", "sentence": "x"}',
        '{"sentence": "x"}',
    ]
    by_cli = learnt("predict", "--data", "-", "--json", stdin="\n".join(bad)).stdout.splitlines()
    with open_store(str(home / "bank.db")) as store:
        client = TestClient(create_app(TaskServer(store, load_backbone(str(home.parent / "tiny"), home=home))))
        by_http = client.post("/v1/predict", content="\n".join(bad), headers={"content-type": "application/jsonl"})
    told = [json.loads(line) for line in by_cli]
    assert [problem["status"] for problem in told] == [404, 404, 404, 422]
    for ours, theirs in zip(told, by_http.json(), strict=True):  # what to do instead differs, as options and paths do
        said = [
            detail.partition("; or ")[0] for detail in (ours["detail"], theirs["detail"].replace("body:", "stdin:"))
        ]
        assert said[0] == said[1]
        assert ours == theirs | {"detail": ours["detail"]}
