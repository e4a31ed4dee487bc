"""Once the bank has an API key, everything under /v1 needs one; without keys only this machine may ask."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from promptbank.bank.keys import create_key, key_behind, list_keys, revoke_key
from promptbank.bank.session import Bank
from promptbank.bank.task_server import TaskServer
from promptbank.config import load_settings
from promptbank.errors import ConfigError, InputError
from promptbank.service.app import create_app
from promptbank.service.polling import PollingTaskServer
from promptbank.service.server import _access
from tests.conftest import Promptbank
from tests.tiny import tiny_backbone

PATHS = [("GET", "/v1/tasks"), ("GET", "/v1/models"), ("POST", "/v1/predict"), ("POST", "/v1/score"),
         ("POST", "/v1/completions"), ("POST", "/v1/chat/completions"), ("GET", "/v1/nothing")]  # fmt: skip
OPEN = ("/livez", "/readyz", "/startupz", "/version", "/metrics", "/docs")


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[Bank]:
    with Bank(load_settings({"home": tmp_path}, {})[0]) as opened:
        opened.make()
        yield opened


@pytest.fixture
def client(bank: Bank) -> TestClient:
    return TestClient(create_app(TaskServer(bank.store, tiny_backbone("llama"))))


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def test_without_keys_everything_is_open(client: TestClient) -> None:
    assert client.get("/v1/tasks").status_code == 200


@pytest.mark.parametrize(("method", "path"), PATHS)
def test_every_path_under_v1_needs_a_key(bank: Bank, client: TestClient, method: str, path: str) -> None:
    key = create_key(bank, "webshop", ["infer"])
    answer = client.request(method, path)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.json()["type"], answer.json()["error"]["code"]) == ("no-key", "no-key")
    assert "x-request-id" in answer.headers
    assert client.request(method, path, headers=bearer(key)).status_code not in {401, 403}


@pytest.mark.parametrize("path", OPEN)
def test_health_metrics_and_docs_stay_open(bank: Bank, client: TestClient, path: str) -> None:
    create_key(bank, "webshop", ["infer"])
    assert client.get(path).status_code == 200


def test_what_is_no_valid_key_is_401_and_another_scope_403(bank: Bank, client: TestClient) -> None:
    key, other = create_key(bank, "webshop", ["infer"]), create_key(bank, "jobs", ["train", "admin"])
    for header in ("", key, f"Basic {key}", "Bearer", f"Bearer {key}x", f"Bearer {key[:-1]}", "Bearer \xe5"):
        assert client.get("/v1/tasks", headers={"authorization": header.encode("latin-1")}).status_code == 401
    assert client.get("/v1/tasks", headers={"authorization": f"bearer  {key} "}).status_code == 200
    refused = client.get("/v1/tasks", headers=bearer(other))
    assert (refused.status_code, "has admin, train" in refused.json()["detail"]) == (403, True)


def test_a_bank_whose_keys_are_all_revoked_answers_nobody(bank: Bank, client: TestClient) -> None:
    key = create_key(bank, "webshop", ["infer"])
    assert client.get("/v1/tasks", headers=bearer(key)).status_code == 200
    revoke_key(bank, "webshop")
    assert client.get("/v1/tasks", headers=bearer(key)).status_code == 401


def test_a_polling_server_knows_new_and_revoked_keys_after_a_poll(bank: Bank) -> None:
    server = PollingTaskServer(bank.store, tiny_backbone("llama"), poll_seconds=3600)
    server.start()
    client = TestClient(create_app(server))
    key = create_key(bank, "webshop", ["infer"])
    assert client.get("/v1/tasks").status_code == 200
    server.poll()
    assert client.get("/v1/tasks").status_code == 401
    assert client.get("/v1/tasks", headers=bearer(key)).status_code == 200
    revoke_key(bank, "webshop")
    server.poll()
    assert client.get("/v1/tasks", headers=bearer(key)).status_code == 401
    server.stop()


def test_only_the_hash_of_a_key_is_stored(bank: Bank, tmp_path: Path) -> None:
    key = create_key(bank, "webshop", ["infer"])
    assert len(key) == 3 + 43  # 32 bytes in base64 without padding
    assert key != create_key(bank, "second", ["infer"])
    found = list_keys(bank)
    assert found[0].key_sha256 == hashlib.sha256(key.encode()).hexdigest()
    assert key_behind(key, found) == found[0]
    assert not any(key.encode() in path.read_bytes() for path in tmp_path.rglob("bank.db*"))
    with pytest.raises(InputError, match="unknown scope"):
        create_key(bank, "third", ["root"])


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_without_keys_this_machine_may_ask(host: str) -> None:
    assert _access(host, has_keys=False, insecure=False) == "without API keys, for this machine only"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.168.1.4", "example.org"])  # noqa: S104 - refused
def test_without_keys_other_machines_are_refused_unless_told(host: str) -> None:
    with pytest.raises(ConfigError, match="promptbank keys create"):
        _access(host, has_keys=False, insecure=False)
    assert _access(host, has_keys=False, insecure=True).startswith("INSECURE")
    assert _access(host, has_keys=True, insecure=False) == "with API keys"


def test_the_command_line_makes_lists_and_revokes(promptbank: Promptbank) -> None:
    made = promptbank("keys", "create", "webshop")
    assert (made.exit_code, made.stdout.startswith("pb_")) == (0, True)
    assert "another key has this name" in promptbank("keys", "create", "webshop").stderr
    assert promptbank("keys", "revoke", "webshop").exit_code == 0
    assert "no API key 'nope'" in promptbank("keys", "revoke", "nope").stderr
    listed = promptbank("keys", "list", "--json").stdout
    assert '"scopes": ["infer"]' in listed
    assert made.stdout.strip() not in listed
