"""What clients of an HTTP service send and expect: curl, load balancers, browsers, libraries that pack their bodies.

Kinds are known from the trackers of FastAPI, Starlette, httpx and of OpenAI-like servers: a file posted with curl's
default content type, gzip bodies, health checks by HEAD, pages of another origin, answers matched to questions by id,
one record that is too long for everybody else.
"""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from promptbank.bank.learn import learn_task
from promptbank.bank.task_server import TaskServer
from promptbank.errors import ConfigError
from promptbank.service.app import RequestLimits, create_app
from promptbank.service.server import serve
from promptbank.training.config import TrainConfig
from store import Store, open_store
from tests.conftest import Promptbank
from tests.tiny import tiny_backbone
from tests.worlds import card_of, examples_of

LIMITS = RequestLimits(records=8, body=4000, tokens=64)
RECORD = {"taskname": "mood", "sentence": "profit rose"}
LINE = json.dumps(RECORD).encode()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A bank with the task "mood"."""
    folder = tmp_path_factory.mktemp("served")
    config = TrainConfig(epochs=1, batch_size=4, dtype="float32")
    examples = examples_of(8)
    with open_store(str(folder / "bank.db")) as opened:
        learn_task(opened, tiny_backbone("llama"), card_of(), examples[:5], examples[5:], config, home=folder)
        yield opened


@pytest.fixture(scope="module")
def client(store: Store) -> Iterator[TestClient]:
    with TestClient(create_app(TaskServer(store, tiny_backbone("llama")), LIMITS)) as opened:
        yield opened


# What a body is


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "application/json",
        "application/x-www-form-urlencoded",
        "text/plain; charset=utf-8",
        "binary/octet-stream",
    ],
)
@pytest.mark.parametrize(
    ("body", "count"),
    [
        (LINE + b"\n" + LINE, 2),
        (b"\n\n" + LINE + b"\r\n" + LINE + b"\r\n\n", 2),
        (b"[" + LINE + b"," + LINE + b"," + LINE + b"]", 3),
        (json.dumps(RECORD, indent=2).encode() * 2, 2),
        ("\ufeff".encode() + LINE + b"\n" + LINE, 2),
        ((LINE + b"\n" + LINE).decode().encode("utf-16"), 2),
    ],
)
def test_the_content_says_what_a_body_is(client: TestClient, content_type: str, body: bytes, count: int) -> None:
    answer = client.post("/v1/predict", content=body, headers={"content-type": content_type})
    assert answer.status_code == 200
    assert [item["taskname"] for item in answer.json()] == ["mood"] * count


def test_a_line_that_is_broken_is_told_in_its_place(client: TestClient) -> None:
    answer = client.post("/v1/predict", content=LINE + b"\n{broken\n" + LINE, headers={"content-type": "text/plain"})
    assert [item.get("status", 200) for item in answer.json()] == [200, 422, 200]


def test_a_table_is_read_where_the_content_type_names_one(client: TestClient) -> None:
    body = "taskname,sentence\nmood,profit rose\nmood,losses\n"
    answer = client.post("/v1/predict", content=body, headers={"content-type": "text/csv; charset=utf-8"})
    assert [item.get("status", 200) for item in answer.json()] == [200, 200]
    assert client.post("/v1/predict", content=body, headers={"content-type": "application/json"}).status_code == 422


@pytest.mark.parametrize(
    "content_type",
    ["multipart/form-data; boundary=x", "image/png", "application/xml", "text/html", "Audio/WAV", "application/pdf"],
)
def test_a_content_type_that_contradicts_is_415(client: TestClient, content_type: str) -> None:
    answer = client.post("/v1/predict", content=LINE, headers={"content-type": content_type})
    assert (answer.status_code, answer.json()["type"]) == (415, "unread-format")
    assert content_type.partition(";")[0].lower() in answer.json()["detail"]


@pytest.mark.parametrize("body", [LINE * 200, (LINE + b"\n") * 9, b"[" + b",".join([LINE] * 9) + b"]"])
def test_too_many_records_are_413_in_every_form(client: TestClient, body: bytes) -> None:
    assert client.post("/v1/predict", content=body, headers={"content-type": "text/plain"}).status_code == 413


# Packed bodies


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "GZIP"])
def test_a_gzip_body_is_read(client: TestClient, encoding: str) -> None:
    headers = {"content-encoding": encoding, "content-type": "application/json"}
    answer = client.post("/v1/predict", content=gzip.compress(LINE, mtime=0), headers=headers)
    assert (answer.status_code, answer.json()["taskname"]) == (200, "mood")
    several = gzip.compress(LINE + b"\n", mtime=0) + gzip.compress(LINE, mtime=0)  # two members, as cat a.gz b.gz makes
    assert len(client.post("/v1/predict", content=several, headers=headers).json()) == 2


def test_a_gzip_bomb_is_413_and_is_not_unpacked(client: TestClient) -> None:
    bomb = gzip.compress(b"[" + b" " * 3_000_000, mtime=0)
    assert len(bomb) < LIMITS.body
    answer = client.post("/v1/predict", content=bomb, headers={"content-encoding": "gzip"})
    assert answer.status_code == 413
    assert str(LIMITS.body) in answer.json()["detail"]


@pytest.mark.parametrize(
    "body", [LINE, gzip.compress(LINE, mtime=0)[:-9], gzip.compress(LINE, mtime=0)[:5], b"\x1f\x8b" * 40]
)
def test_a_body_that_is_no_sound_gzip_is_422(client: TestClient, body: bytes) -> None:
    answer = client.post("/v1/predict", content=body, headers={"content-encoding": "gzip"})
    assert answer.status_code == 422
    assert "gzip" in answer.json()["detail"]


@pytest.mark.parametrize("encoding", ["br", "deflate", "zstd", "gzip, gzip", "compress"])
def test_another_encoding_is_415(client: TestClient, encoding: str) -> None:
    answer = client.post("/v1/predict", content=LINE, headers={"content-encoding": encoding})
    assert answer.status_code == 415
    assert "gzip and none are read" in answer.json()["detail"]


@pytest.mark.parametrize("body", [gzip.compress(LINE, mtime=0), b"BZh91AY", b"\xfd7zXZ\0\0", b"PK\x03\x04xl/workbook"])
def test_packed_content_without_an_encoding_is_not_unpacked(client: TestClient, body: bytes) -> None:
    assert client.post("/v1/predict", content=body).status_code == 422


# Ids


@pytest.mark.parametrize("own", ["a-1", 17, 17.5, "", "ö"])
def test_the_records_own_id_is_in_its_answer(client: TestClient, own: object) -> None:
    assert client.post("/v1/predict", json=RECORD | {"id": own}).json()["id"] == own


def test_ids_stand_at_answers_and_problems_and_only_where_they_were_given(client: TestClient) -> None:
    records = [RECORD | {"id": "x"}, RECORD, RECORD | {"id": None}, {"taskname": "nope", "id": 4}, 7]
    items = client.post("/v1/predict", json=records).json()
    assert [item.get("id") for item in items] == ["x", None, None, 4, None]
    assert ["id" in item for item in items] == [True, False, False, True, False]
    assert [item.get("status", 200) for item in items] == [200, 200, 200, 404, 422]


# Health, browsers, limits


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
def test_health_is_told_to_head_too(client: TestClient, path: str) -> None:
    answer = client.head(path)
    assert (answer.status_code, answer.content) == (200, b"")
    assert client.get(path).status_code == 200


ASK = {"access-control-request-method": "POST", "access-control-request-headers": "content-type"}


def test_no_page_of_another_origin_is_let_in_unless_it_is_named(store: Store, client: TestClient) -> None:
    page = {"origin": "https://app.example"}
    assert "access-control-allow-origin" not in client.post("/v1/predict", json=RECORD, headers=page).headers
    assert client.options("/v1/predict", headers=page | ASK).status_code == 405
    server = TaskServer(store, tiny_backbone("llama"))
    with TestClient(create_app(server, LIMITS, cors_origins=["https://app.example"])) as opened:
        answer = opened.post("/v1/predict", json=RECORD, headers=page)
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, "https://app.example")
        assert opened.options("/v1/predict", headers=page | ASK).status_code == 200
        for origin in ("https://evil.example", "https://app.example.evil", "http://app.example", "null"):
            found = opened.post("/v1/predict", json=RECORD, headers={"origin": origin})
            assert "access-control-allow-origin" not in found.headers
            assert opened.options("/v1/predict", headers={"origin": origin} | ASK).status_code == 400


@pytest.mark.parametrize("origin", ["app.example", "https://app.example/", "https://a b", "ftp://x", "", "https://u@h"])
def test_an_origin_that_no_browser_sends_is_refused(promptbank: Promptbank, origin: str) -> None:
    result = promptbank("serve", "--port", "0", "--cors-origin", origin)
    assert result.exit_code == 1
    assert "give scheme, host and port" in result.stderr
    with pytest.raises(ConfigError):
        serve(None, "127.0.0.1", 0, ["https://fine.example", origin])  # type: ignore[arg-type]  # not used before


def test_a_record_over_the_limit_of_tokens_is_413_with_both_numbers_and_harms_no_other(client: TestClient) -> None:
    long = RECORD | {"sentence": "profit rose and " * 60}
    alone = client.post("/v1/predict", json=long)
    assert (alone.status_code, alone.json()["type"]) == (413, "too-large")
    words = alone.json()["detail"].split()
    assert int(words[words.index("tokens;") - 1]) > 64
    assert "64 are allowed" in alone.json()["detail"]
    items = client.post("/v1/predict", json=[RECORD, long | {"id": 2}, RECORD]).json()
    assert [item.get("status", 200) for item in items] == [200, 413, 200]


def test_a_prompt_of_just_the_limit_is_answered(store: Store, tmp_path: Path) -> None:
    server = TaskServer(store, tiny_backbone("llama"))
    from promptbank.engine.predictor import PredictionRequest
    from tasks import parse_spec

    tokens = server.predictor.prepare(PredictionRequest(server.task(parse_spec("mood")), {"sentence": "profit"})).tokens
    for limit, status in ((tokens, 200), (tokens - 1, 413)):
        with TestClient(create_app(server, RequestLimits(tokens=limit))) as opened:
            assert opened.post("/v1/predict", json=RECORD | {"sentence": "profit"}).status_code == status


def test_both_health_checks_are_documented(client: TestClient) -> None:
    page = (Path(__file__).parents[2] / "docs" / "serving.md").read_text()
    assert all(f"`{path}`" in page for path in ("/livez", "/readyz", "/metrics"))
    assert all(f"`{key}`" in page for key in client.get("/readyz").json())
