"""Aliases and rows over HTTP: with the scope admin, at a known revision, from bytes and never from a path."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from promptbank.bank.exchange import export_row
from promptbank.bank.keys import create_key
from promptbank.bank.learn import learn_task
from promptbank.bank.session import Bank
from promptbank.config import load_settings
from promptbank.service.app import RequestLimits, create_app
from promptbank.service.polling import PollingTaskServer
from promptbank.training.config import TrainConfig
from store import Scope, Store, open_store
from tests.tiny import tiny_backbone
from tests.worlds import card_of, examples_of

LIVE = "/v1/tasks/mood/aliases/live"
RECORD = {"taskname": "mood", "sentence": "profit rose"}


def learn(
    store: Store, home: Path, taskname: str = "mood", *, lang: str = "en", seed: int = 0, backbone: int = 0
) -> None:
    examples = examples_of(8, taskname=taskname, lang=lang)
    config = TrainConfig(epochs=1, batch_size=4, lr=0.02, dtype="float32", seed=seed)
    card, model = card_of(taskname=taskname, lang=lang), tiny_backbone("llama", seed=backbone)
    learn_task(store, model, card, examples[:5], examples[5:], config, home=home)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bank with two versions of "mood", and files of rows: one of it, of another task and of another backbone."""
    home = tmp_path_factory.mktemp("made")
    with open_store(str(home / "bank.db")) as store:
        learn(store, home)
        learn(store, home, seed=1)
    with open_store(str(home / "other.db")) as store:
        learn(store, home, seed=2)
        learn(store, home, "tone")
        learn(store, home, "mood", lang="sv", backbone=1)
        for info in store.rows.list():
            export_row(store.rows.get(info.scope, info.version), home / f"{info.scope.taskname}-{info.scope.lang}.st")
    return home


@pytest.fixture
def bank(made: Path, tmp_path: Path) -> Iterator[Bank]:
    shutil.copy(made / "bank.db", tmp_path / "bank.db")
    with Bank(load_settings({"home": tmp_path}, {})[0]) as opened:
        yield opened


@pytest.fixture
def client(bank: Bank) -> Iterator[TestClient]:
    """A client with a key of the scopes admin and infer."""
    key = create_key(bank, "boss", ["admin", "infer"])
    server = PollingTaskServer(bank.store, tiny_backbone("llama"), poll_seconds=3600, read_seconds=60)
    server.start()
    with TestClient(create_app(server, RequestLimits(row_bytes=20_000))) as opened:
        opened.headers["authorization"] = f"Bearer {key}"
        yield opened
    server.stop()


def scope() -> Scope:
    return Scope("mood", "en", tiny_backbone("llama").fingerprint)


def test_an_alias_is_moved_and_honoured_at_once(client: TestClient, bank: Bank) -> None:
    assert client.post("/v1/predict", json=RECORD).json()["version"] == 2
    revision = client.get("/readyz").json()["revision"]
    moved = client.put(LIVE, json={"version": 1, "reason": "worse on mondays", "if_revision": revision})
    assert moved.status_code == 200
    assert moved.json() == {"taskname": "mood", "lang": "en", "alias": "live", "version": 1, "revision": revision + 1,
                            "refused": None}  # fmt: skip
    assert client.post("/v1/predict", json=RECORD).json()["version"] == 1
    assert bank.store.aliases.history(scope())[-1].reason == "worse on mondays (key boss)"


def test_a_move_after_somebody_elses_is_refused_and_changes_nothing(client: TestClient, bank: Bank) -> None:
    revision = client.get("/readyz").json()["revision"]
    bank.store.aliases.move(scope(), 1, "best", reason="another one looked too")
    answer = client.put(LIVE, json={"version": 1, "reason": "worse", "if_revision": revision})
    assert (answer.status_code, answer.json()["type"]) == (409, "revision-conflict")
    assert answer.headers["x-should-retry"] == "false"
    assert client.delete(f"{LIVE}?reason=x&if_revision={revision}").status_code == 409
    assert bank.store.aliases.get(scope()) == 2


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        (LIVE, {"version": 9, "reason": "x"}, 404),
        (LIVE, {"version": 1}, 422),
        (LIVE, {"version": 1, "reason": ""}, 422),
        (LIVE, {"version": "1", "reason": "x"}, 422),
        (LIVE, {"version": 1, "reason": "x", "path": "/etc/passwd"}, 422),
        (LIVE, {"version": 1, "reason": "a\ud800b"}, 422),
        ("/v1/tasks/mod/aliases/live", {"version": 1, "reason": "x"}, 404),
        ("/v1/tasks/mood@1/aliases/live", {"version": 1, "reason": "x"}, 422),
        ("/v1/tasks/mood/aliases/a.b", {"version": 1, "reason": "x"}, 422),
        ("/v1/tasks/a b/aliases/live", {"version": 1, "reason": "x"}, 422),
    ],
)
def test_what_cannot_be_moved_is_told(client: TestClient, path: str, body: object, status: int) -> None:
    answer = client.put(path, content=json.dumps(body))
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


def test_an_alias_is_retired_and_comes_back(client: TestClient) -> None:
    assert client.delete(f"{LIVE}?reason=broken").json()["version"] is None
    assert client.post("/v1/predict", json=RECORD).status_code == 404
    assert client.get("/v1/tasks/mood/versions").status_code == 200
    assert client.delete(f"{LIVE}?reason=broken").status_code == 404
    assert client.delete(LIVE).status_code == 422
    assert client.put(LIVE, json={"version": 2, "reason": "mended"}).status_code == 200
    assert client.post("/v1/predict", json=RECORD).json()["version"] == 2


def test_a_row_is_added_once_and_goes_live_as_it_is_told(client: TestClient, made: Path) -> None:
    body = (made / "mood-en.st").read_bytes()
    added = client.post("/v1/tasks/mood/versions", content=body)
    assert (added.status_code, added.json()["version"], added.json()["aliases"]) == (201, 3, [])
    assert client.post("/v1/tasks/mood:en/versions", content=body).json()["version"] == 3
    assert client.post("/v1/tasks/mood/versions?live=always", content=body).json()["aliases"] == ["live"]
    answered = client.post("/v1/predict", json=RECORD)
    assert answered.json()["version"] == 3
    assert answered.json()["sha256"] == added.json()["sha256"]
    assert client.post("/v1/tasks/tone/versions", content=(made / "tone-en.st").read_bytes()).json()["aliases"] == [
        "live"
    ]


def changed(body: bytes, was: bytes, now: bytes) -> bytes:
    assert body.count(was) == 1
    assert len(was) == len(now)
    return body.replace(was, now)


@pytest.mark.parametrize(
    ("what", "status", "says"),
    [
        ("nothing", 422, "the body is empty"),
        ("pickle", 422, "PyTorch checkpoint"),
        ("text", 422, "no safetensors file"),
        ("cut", 422, "no safetensors file"),
        ("other numbers", 422, "sha256"),
        ("other task", 422, "holds a row of tone:en, but the path names mood"),
        ("other backbone", 409, "the row was made for"),
        ("long", 413, "bytes"),
    ],
)
def test_a_body_that_is_no_sound_row_of_this_task_is_refused(
    client: TestClient, bank: Bank, made: Path, what: str, status: int, says: str
) -> None:
    whole = (made / "mood-en.st").read_bytes()
    bodies = {
        "nothing": b"",
        "pickle": b"PK\x03\x04" + bytes(100),
        "text": b"hello, row",
        "cut": whole[:-8],
        "other numbers": whole[:-8] + bytes(8),
        "other task": (made / "tone-en.st").read_bytes(),
        "other backbone": (made / "mood-sv.st").read_bytes(),
        "long": whole + bytes(20_000),
    }
    before = bank.store.revision()
    answer = client.post("/v1/tasks/mood/versions", content=bodies[what])
    assert (answer.status_code, says in answer.json()["detail"]) == (status, True), answer.json()["detail"]
    assert "/tmp" not in answer.text  # noqa: S108 - no path of the server is told
    assert bank.store.revision() == before


CHANGES = [("PUT", LIVE), ("DELETE", f"{LIVE}?reason=x"), ("POST", "/v1/tasks/mood/versions")]


@pytest.mark.parametrize(("method", "path"), CHANGES)
def test_every_change_needs_the_scope_admin_even_without_keys(bank: Bank, method: str, path: str) -> None:
    """sglang #29607: the upload route had no admin level."""
    server = PollingTaskServer(bank.store, tiny_backbone("llama"), poll_seconds=3600)
    server.start()
    client = TestClient(create_app(server))
    assert client.get("/v1/tasks").status_code == 200
    assert client.request(method, path, json={"version": 1, "reason": "x"}).status_code == 401
    key = create_key(bank, "webshop", ["infer", "train"])
    server.poll()
    refused = client.request(method, path, json={}, headers={"authorization": f"Bearer {key}"})
    assert (refused.status_code, "scope admin" in refused.json()["detail"]) == (403, True)
    admin = create_key(bank, "robot", ["admin"])
    server.poll()
    assert client.get("/v1/tasks", headers={"authorization": f"Bearer {admin}"}).status_code == 403
    server.stop()


def test_every_operation_but_asking_needs_the_scope_admin(bank: Bank) -> None:
    """Without keys everything that only asks is open; whatever else the schema lists must not be."""
    server = PollingTaskServer(bank.store, tiny_backbone("llama"), poll_seconds=3600)
    server.start()
    client = TestClient(create_app(server))
    asking = {"/v1/predict", "/v1/score", "/v1/completions", "/v1/chat/completions", "/v1/tasks/{taskname}/predict"}
    refused = set()
    for path, operations in client.get("/openapi.json").json()["paths"].items():
        for method in operations.keys() - {"get"} if path not in asking else ():
            asked = client.request(method.upper(), path.replace("{taskname}", "mood").replace("{alias}", "live"))
            assert asked.status_code == 401, (method, path)
            refused.add((method, path.rpartition("/")[2]))
    assert refused == {("put", "{alias}"), ("delete", "{alias}"), ("post", "versions")}
    server.stop()


def test_every_operation_that_changes_something_is_documented_with_401_and_403(client: TestClient) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    for path, operations in paths.items():
        for operation in operations.values():
            if path.startswith("/v1"):
                assert {"401", "403", "503"} <= set(operation["responses"]), path
