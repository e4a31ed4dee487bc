"""On a local Ray cluster: what it answers is what this process answers, to the bit (`make ray`)."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from promptbank.config import load_settings
from promptbank.mt.engines.provider import EngineRequest
from promptbank.mt.engines.providers import choose_engine, open_engine
from tests.conftest import Promptbank
from tests.postgres import free_port
from translate import EngineError, Segment

ray = pytest.importorskip("ray", reason="make ray installs it")
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(1200)]  # warnings of Ray's own

PATIENCE = 900  # seconds, on a busy machine: Ray starts a dozen processes
TASK = ("--task", "sentiment-task", "--data", "data.jsonl")


@pytest.fixture(scope="module", autouse=True)
def _cluster() -> Iterator[None]:
    yield
    ray.shutdown()


def results(home: Path, kind: str) -> list[dict[str, object]]:
    """The results of both experiments of a kind, without what tells where they were made."""
    found = [json.loads(path.read_text()) for path in (home / "runs").glob(f"{kind}-*/result.json")]
    assert sorted(str(one["about"]["together"]) for one in found if "together" in one["about"]) in ([], ["16", "4"])
    return [one["results"] for one in found]


def test_a_cross_validation_on_ray_has_the_results_of_this_process(promptbank: Promptbank, home: Path) -> None:
    for engine in ("local", "ray"):
        done = promptbank("crossval", *TASK, "--folds", "3", "--epochs", "1", "--engine", engine)
        assert done.exit_code == 0, done.stderr
    assert "groups learnt on Ray" not in done.stdout
    local, cluster = results(home, "crossval")
    assert local == cluster
    again = promptbank("crossval", *TASK, "--folds", "3", "--epochs", "1", "--engine", "ray")
    assert again.exit_code == 0  # from its parts, which are here


def test_a_sweep_on_ray_tries_the_settings_that_this_process_tries(promptbank: Promptbank, home: Path) -> None:
    for engine in ("local", "ray"):
        done = promptbank("sweep", *TASK, "--settings", "3", "--rungs", "1", "--epochs", "1", "--engine", engine)
        assert done.exit_code == 0, done.stderr
    drawn = [json.loads(path.read_text())["result"] for path in (home / "runs").glob("sweep-*/cells/settings.json")]
    assert len(drawn) == len(results(home, "sweep")) == 2
    assert drawn[0] == drawn[1]


def test_a_comparison_on_ray_has_the_results_of_this_process(promptbank: Promptbank, home: Path) -> None:
    options = ("--methods", "ptuning,tfidf", "--seeds", "1", "--folds", "2", "--epochs", "1")
    assert promptbank("compare", *TASK, *options).exit_code == 0
    (path,) = (home / "runs").glob("compare-*")
    local = json.loads((path / "result.json").read_text())["results"]
    path.rename(home / "runs" / "local")
    done = promptbank("compare", *TASK, *options, "--engine", "ray")
    assert done.exit_code == 0, done.stderr
    assert json.loads((path / "result.json").read_text())["results"] == local
    assert len(json.loads((path / "measured.json").read_text())) == 2


def test_an_engine_on_ray_translates_in_order_and_tells_what_it_is(home: Path, tmp_path: Path) -> None:
    settings, _ = load_settings({"home": tmp_path / "home"}, {})
    request = EngineRequest("en", "sv", None, settings)
    engine = open_engine(choose_engine("ray:copy", request), request)
    plain = open_engine(choose_engine("copy", request), request)
    assert engine.info() == plain.info()
    segments = [Segment(str(n), "en", "sv", f"text {n}") for n in range(150)]
    assert engine.translate(segments) == plain.translate(segments)
    assert engine.translate([]) == []
    with pytest.raises(EngineError, match="'nonsense' is no engine here"):
        open_engine(choose_engine("ray:nonsense", request), request)


def is_ready(address: str) -> bool:
    try:
        return bool(httpx.get(f"{address}/readyz", timeout=60).json()["status"] == "ready")
    except (httpx.TransportError, ValueError, KeyError):
        return False


def test_the_service_on_ray_answers_as_predict_does(learnt: Promptbank, tmp_path: Path) -> None:
    expected = [json.loads(line) for line in learnt("predict", "--data", "data.jsonl", "--json").stdout.splitlines()]
    records = [json.loads(line) for line in (tmp_path / "data.jsonl").read_text().splitlines()]
    ray.shutdown()  # the cluster of the tests above; the service starts its own
    port = free_port()
    command = [sys.executable, "-m", "promptbank", "serve", "--engine", "ray", "--port", str(port)]
    with (tmp_path / "log").open("w") as log, subprocess.Popen(command, stderr=log, stdout=log) as service:
        try:
            end = time.monotonic() + PATIENCE
            while "serving on Ray" not in (tmp_path / "log").read_text():
                assert time.monotonic() < end
                assert service.poll() is None, (tmp_path / "log").read_text()
                time.sleep(0.5)
            address = f"http://127.0.0.1:{port}"
            while not is_ready(address):
                assert time.monotonic() < end
                time.sleep(0.5)
            found = httpx.post(f"{address}/v1/predict", json=records, timeout=120).json()
            answers = found["predictions"] if isinstance(found, dict) else found
            assert [one["label"] for one in answers] == [one["label"] for one in expected]
            assert httpx.post(f"{address}/v1/tasks/other/predict", json=records[0], timeout=60).status_code == 404
            service.send_signal(signal.SIGTERM)
            assert service.wait(120) == 0
        finally:
            service.kill()


def test_another_engine_than_local_and_ray_is_refused(promptbank: Promptbank) -> None:
    told = promptbank("crossval", *TASK, "--engine", "dask")
    assert "engine is 'dask'; possible: local, ray" in told.stderr
