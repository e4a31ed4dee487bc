"""Models of the hub, against a small server that speaks as much of its protocol as is needed."""

import hashlib
import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest
import torch
from huggingface_hub import constants

from promptbank.errors import FetchError, HubUnreachableError, UnknownBackboneError, UnusableBackboneError
from promptbank.model.backbone import hub as hub_module
from promptbank.model.backbone import load_backbone, pull_backbone
from tests.tiny import save_tiny, tiny_model

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class FakeHub(ThreadingHTTPServer):
    """Serves one repository, "owner/tiny", from a folder."""

    def __init__(self, folder):
        super().__init__(("127.0.0.1", 0), Handler)
        self.folder = folder
        self.asked = []
        self.error = None  # (status, X-Error-Code)
        self.broken = ""  # a file that is listed and cannot be had

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def files(self):
        return sorted(str(file.relative_to(self.folder)) for file in self.folder.rglob("*") if file.is_file())


class Handler(BaseHTTPRequestHandler):
    server: FakeHub
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_HEAD(self):
        self.do_GET(body=False)

    def do_GET(self, body=True):
        path = urlsplit(self.path).path
        self.server.asked.append(path)
        if self.server.error is not None:
            status, code = self.server.error
            return self.reply(status, b"", body, {"X-Error-Code": code})
        if "/resolve/" in path:
            return self.send_file(path.split(f"/resolve/{COMMIT}/")[1], body)
        if "/tree/" in path:
            entries = [{"type": "file", "path": name, **self.facts(name)} for name in self.server.files]
            return self.reply(200, json.dumps(entries).encode(), body)
        siblings = [{"rfilename": name} for name in self.server.files]
        info = {"id": "owner/tiny", "sha": COMMIT, "siblings": siblings, "cardData": {"license": "mit"}, "tags": []}
        return self.reply(200, json.dumps(info).encode(), body)

    def facts(self, name):
        content = (self.server.folder / name).read_bytes()
        return {"size": len(content), "oid": hashlib.sha256(content).hexdigest()[:40]}

    def send_file(self, name, body):
        if name == self.server.broken:
            return self.reply(404, b"", body, {"X-Error-Code": "EntryNotFound"})
        content = (self.server.folder / name).read_bytes()
        return self.reply(200, content, body, {"X-Repo-Commit": COMMIT, "ETag": f'"{self.facts(name)["oid"]}"'})

    def reply(self, status, content, body, headers=None):
        self.send_response(status)
        for key, value in {**(headers or {}), "Content-Length": str(len(content))}.items():
            self.send_header(key, value)
        self.end_headers()
        if body:
            self.wfile.write(content)


@pytest.fixture
def repository(tmp_path):
    return save_tiny("llama", tmp_path / "repository")


@pytest.fixture(autouse=True)
def _own_hub_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub-cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)


@pytest.fixture
def server(repository, monkeypatch):
    with FakeHub(repository) as fake:
        thread = threading.Thread(target=fake.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        monkeypatch.setattr(constants, "ENDPOINT", fake.url)
        files = fake.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", files)
        yield fake
        fake.shutdown()
        thread.join()


def test_a_repository_is_fetched_once_with_its_licence_and_then_used_offline(tmp_path, server, monkeypatch):
    (server.folder / "onnx").mkdir()
    (server.folder / "onnx" / "config.json").write_text("{}")
    (server.folder / "pytorch_model.bin").touch()
    stages = []
    backbone = load_backbone("owner/tiny", home=tmp_path, progress=stages.append)
    assert stages == ["owner/tiny (licence: mit): see https://huggingface.co/owner/tiny", "downloading owner/tiny"]
    assert backbone.path == tmp_path / "backbones" / "owner--tiny"
    assert not [path for path in server.asked if path.endswith(".bin") or "onnx" in path]
    ids = torch.tensor([[4, 5, 6]])
    assert torch.equal(backbone.model(ids).logits, tiny_model("llama").eval()(ids).logits)
    server.asked.clear()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    again = load_backbone("owner/tiny", home=tmp_path)
    assert again.fingerprint == backbone.fingerprint
    assert server.asked == []


def test_a_model_in_the_hub_clients_own_cache_is_used_where_it_is(tmp_path, repository, monkeypatch):
    cached = tmp_path / "hub-cache" / "models--owner--tiny"
    (cached / "refs").mkdir(parents=True)
    (cached / "refs" / "main").write_text(COMMIT)
    (cached / "snapshots").mkdir()
    repository.rename(cached / "snapshots" / COMMIT)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert pull_backbone("owner/tiny", home=tmp_path).path == cached / "snapshots" / COMMIT


def test_offline_mode_is_an_error_at_once_that_names_the_other_ways(tmp_path, server, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(HubUnreachableError) as caught:
        load_backbone("owner/tiny", home=tmp_path)
    for word in ("'owner/tiny'", "HF_HUB_OFFLINE is set", "a model folder", ".gguf file", "gemma-3-270m, smollm2-135m"):
        assert word in str(caught.value)
    assert server.asked == []


def test_a_closed_port_is_asked_once(tmp_path, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{port}")
    with pytest.raises(HubUnreachableError, match="cannot get 'owner/tiny'"):
        load_backbone("owner/tiny", home=tmp_path)


def test_a_hub_that_never_answers_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(hub_module, "PROBE_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(HubUnreachableError, match=r"no answer within 0\.2 s"):
            load_backbone("owner/tiny", home=tmp_path)


@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        ((404, "RepoNotFound"), UnknownBackboneError, "the hub has no public model 'owner/tiny'"),
        ((403, "GatedRepo"), FetchError, "asks you to accept its terms"),
        ((503, "Busy"), HubUnreachableError, "503"),
    ],
)
def test_a_refusal_of_the_hub_is_told_as_what_it_is(tmp_path, server, answer, error, message):
    server.error = answer
    with pytest.raises(error, match=message):
        load_backbone("owner/tiny", home=tmp_path)
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("instead", "message"), [("pytorch_model.bin", "can run code when read"), ("m.gguf", "m.gguf: download that file")]
)
def test_a_repository_without_safetensors_is_refused_before_the_download(tmp_path, server, instead, message):
    (server.folder / "model.safetensors").rename(server.folder / instead)
    with pytest.raises(UnusableBackboneError, match=message):
        load_backbone("owner/tiny", home=tmp_path)
    assert not [path for path in server.asked if "/resolve/" in path]


def test_a_download_that_breaks_off_leaves_nothing(tmp_path, server):
    server.broken = "model.safetensors"
    with pytest.raises(HubUnreachableError, match="the download broke off"):
        load_backbone("owner/tiny", home=tmp_path)
    assert not (tmp_path / "backbones" / "owner--tiny").exists()
