"""A canary gets its share of requests by their ids, and gives it back when it fails more often than the live row."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from promptbank.bank.keys import create_key
from promptbank.bank.learn import learn_task
from promptbank.bank.session import Bank
from promptbank.config import load_settings
from promptbank.engine.predictor import Prediction, PreparedRequest
from promptbank.errors import ExpiredError, InputError
from promptbank.service.app import create_app
from promptbank.service.canary import CanaryWatch, is_failure
from promptbank.service.polling import PollingTaskServer, share_of
from promptbank.training.config import TrainConfig
from store import InvalidRecordError, Scope, Store, open_store
from tests.tiny import tiny_backbone
from tests.worlds import card_of, examples_of

SCOPE = Scope("mood", "en", tiny_backbone("llama").fingerprint)
RECORD = {"taskname": "mood", "sentence": "profit rose"}
IDS = [f"request-{n}" for n in range(60)]


@pytest.fixture(scope="module")
def frozen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bank with two versions of one task, the second live."""
    home = tmp_path_factory.mktemp("frozen")
    with open_store(str(home / "bank.db")) as store:
        for seed in (0, 1):
            examples, config = examples_of(8), TrainConfig(epochs=1, batch_size=4, lr=0.02, dtype="float32", seed=seed)
            learn_task(store, tiny_backbone("llama"), card_of(), examples[:5], examples[5:], config, home=home)
    return home / "bank.db"


@pytest.fixture
def bank(frozen: Path, tmp_path: Path) -> Iterator[Bank]:
    shutil.copy(frozen, tmp_path / "bank.db")
    with Bank(load_settings({"home": tmp_path}, {})[0]) as opened:
        yield opened


@pytest.fixture
def server(bank: Bank) -> Iterator[PollingTaskServer]:
    made = PollingTaskServer(bank.store, tiny_backbone("llama"), poll_seconds=3600, read_seconds=60)
    made.start()
    yield made
    made.stop()


def give(server: PollingTaskServer, share: float | None, version: int = 1) -> None:
    server.store.aliases.move(SCOPE, version, "canary", reason="try", share=share)
    server.poll()


def versions(client: TestClient, ids: Sequence[str] = IDS) -> dict[str, int]:
    """The version that answered each request, 0 for none."""
    found = {}
    for name in ids:
        answer = client.post("/v1/predict", json=RECORD, headers={"x-request-id": name})
        found[name] = answer.json().get("version", 0)
    return found


def test_the_hash_of_a_requests_id_decides(server: PollingTaskServer) -> None:
    client = TestClient(create_app(server))
    give(server, 0.3)
    found = versions(client)
    assert found == {name: 1 if share_of(name) < 0.3 else 2 for name in IDS}
    assert 5 < list(found.values()).count(1) < 35
    give(server, 0.6)  # who had it keeps it
    assert all(version == 1 for name, version in versions(client).items() if found[name] == 1)
    give(server, None)
    assert set(versions(client, IDS[:9]).values()) == {2}


def test_shares_are_spread_evenly_over_ids() -> None:
    drawn = sorted(share_of(f"{n}") for n in range(20_000))
    assert max(abs(value - n / 20_000) for n, value in enumerate(drawn)) < 1.63 / math.sqrt(20_000)  # Kolmogorov, 1 %
    assert share_of("") == 1


def test_a_version_or_a_whole_list_is_not_torn_apart(server: PollingTaskServer) -> None:
    client = TestClient(create_app(server))
    give(server, 0.5)
    assert client.post("/v1/tasks/mood@2/predict", json=RECORD).json()["version"] == 2
    for name in IDS[:6]:
        found = client.post("/v1/predict", json=[RECORD] * 4, headers={"x-request-id": name}).json()
        assert len({one["version"] for one in found}) == 1
    assert client.get("/v1/models/mood").json()["root"] == "mood:en@2"


def failing(server: PollingTaskServer, version: int) -> None:
    whole = server.predictor.labels

    def labels(batch: Sequence[PreparedRequest]) -> list[Prediction]:
        if any(one.task.version == version for one in batch):
            raise RuntimeError("boom")
        return whole(batch)

    server.predictor.labels = labels  # type: ignore[method-assign]


def test_a_canary_that_fails_gives_its_share_back(server: PollingTaskServer, bank: Bank) -> None:
    client = TestClient(create_app(server), raise_server_exceptions=False)
    give(server, 0.5)
    failing(server, 1)
    found = list(versions(client, [f"{n}" for n in range(120)]).values())
    assert 20 <= found.count(0) <= 25  # none of them after the return
    assert set(found[-40:]) == {2}
    assert "of its 20 answers failed" in client.get("/readyz").json()["refused"]["mood:en@1"]
    server._preparer.submit(lambda: None).result(60)
    last = bank.store.aliases.history(SCOPE, "canary")[-1]
    assert (last.kind, last.to_version, last.reason.startswith("returned by itself: 20 of its 20")) == (
        "retire",
        None,
        True,
    )
    assert bank.store.check() == []


def test_a_live_version_that_fails_as_often_takes_nothing_from_the_canary(server: PollingTaskServer) -> None:
    client = TestClient(create_app(server), raise_server_exceptions=False)
    give(server, 0.5)
    failing(server, 1)
    failing(server, 2)
    assert set(versions(client, [f"{n}" for n in range(80)]).values()) == {0}
    assert client.get("/readyz").json()["refused"] == {}


@pytest.fixture
def comparing(bank: Bank) -> Iterator[PollingTaskServer]:
    made = PollingTaskServer(
        bank.store, tiny_backbone("llama"), poll_seconds=3600, read_seconds=60, least_agreement=0.5
    )
    made.start()
    yield made
    made.stop()


def answering(server: PollingTaskServer, labels: Mapping[int, str]) -> list[int]:
    """Let each version give one label, or fail where it has none; return the versions that are asked, one a batch."""
    whole, asked = server.predictor.labels, list[int]()

    def answer(batch: Sequence[PreparedRequest]) -> list[Prediction]:
        asked.extend(one.task.version for one in batch)
        return [replace(found, label=labels[found.version]) for found in whole(batch)]

    server.predictor.labels = answer  # type: ignore[method-assign]
    return asked


def until(happened: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


def test_a_canary_that_answers_otherwise_gives_its_share_back(comparing: PollingTaskServer, bank: Bank) -> None:
    client = TestClient(create_app(comparing))
    give(comparing, 1.0)
    asked = answering(comparing, {1: "positive", 2: "negative"})
    for n, name in enumerate(IDS[:20]):
        assert versions(client, [name]) == {name: 1}
        until(lambda count=n + 1: asked.count(2) == count)  # type: ignore[misc]
    until(lambda: "mood:en@1" in client.get("/readyz").json()["refused"])
    told = client.get("/readyz").json()["refused"]["mood:en@1"]
    assert told == "0 of 20 answers agree with the live version's, and 50% should"
    comparing._preparer.submit(lambda: None).result(60)
    assert set(versions(client, IDS[:9]).values()) == {2}
    last = bank.store.aliases.history(SCOPE, "canary")[-1]
    assert (last.kind, last.reason) == ("retire", f"returned by itself: {told}")


@pytest.mark.parametrize("labels", [{1: "positive", 2: "positive"}, {1: "positive"}])
def test_a_canary_that_agrees_or_stands_beside_a_live_version_that_fails_keeps_its_share(
    comparing: PollingTaskServer, labels: dict[int, str]
) -> None:
    client = TestClient(create_app(comparing))
    give(comparing, 1.0)
    asked = answering(comparing, labels)
    for n in range(30):
        assert client.post("/v1/predict", json=RECORD, headers={"x-request-id": f"{n}"}).json()["version"] == 1
    until(lambda: asked.count(2) == 30)
    assert client.get("/readyz").json()["refused"] == {}
    assert set(versions(client, IDS[:5]).values()) == {1}


def test_nothing_is_compared_unless_it_is_wanted_and_a_live_versions_own_answers_never(
    server: PollingTaskServer, comparing: PollingTaskServer
) -> None:
    for one, share in ((server, 1.0), (comparing, 1e-9)):
        give(one, share)
        client = TestClient(create_app(one))
        asked = answering(one, {1: "positive", 2: "positive"})
        found = versions(client, IDS[:5])
        assert client.post("/v1/predict", json=RECORD | {"taskname": "mood@2"}).status_code == 200
        assert asked == [*found.values(), 2]


def test_agreement_is_judged_by_wilsons_upper_bound() -> None:
    watch, pair = CanaryWatch(), (1, 2)
    for n in range(40):
        watch.compare(SCOPE, pair, agrees=n % 4 != 0)
    bound = 0.8443  # of 30 of 40
    assert (bound - 0.75) ** 2 == pytest.approx(1.645**2 * bound * (1 - bound) / 40, rel=0.01)
    assert watch.apart(SCOPE, pair, 0.844) == ""
    assert watch.apart(SCOPE, pair, 0.845) == "30 of 40 answers agree with the live version's, and 84% should"
    assert watch.apart(SCOPE, (1, 3), 1.0) == ""  # beside another live version it is counted anew
    for _ in range(19):
        watch.compare(SCOPE, (1, 3), agrees=False)
    assert watch.apart(SCOPE, (1, 3), 1.0) == ""
    watch.compare(SCOPE, (1, 3), agrees=False)
    assert watch.apart(SCOPE, (1, 3), 1.0) != ""


def test_the_bounds_are_wilsons() -> None:
    """Against the quadratic that they solve: (p - k/n)^2 = z^2 p (1 - p) / n."""
    watch = CanaryWatch()
    for n in range(40):
        watch.note(SCOPE, 1, failed=n < 4)
        watch.note(SCOPE, 2, failed=False)
    assert watch.behind(SCOPE, 1, 2) == ""  # 4.6 % at least, and of the live one at most 6.3 %
    for _ in range(60):
        watch.note(SCOPE, 2, failed=False)
    assert watch.behind(SCOPE, 1, 2) == "4 of its 40 answers failed, of the live version's 0 of 100"  # at most 2.6 %
    for share, k in ((0.0458, 4), (0.2052, 4)):
        assert (share - k / 40) ** 2 == pytest.approx(1.645**2 * share * (1 - share) / 40, rel=0.01)
    assert watch.behind(SCOPE, 1, None) == ""


def test_what_is_no_fault_of_a_row_is_no_failure() -> None:
    assert is_failure(ZeroDivisionError())
    assert not any(map(is_failure, (None, ExpiredError("late"), InputError("bad"))))


def test_a_canary_is_not_asked_before_its_check_and_never_if_it_fails_it(
    server: PollingTaskServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = TestClient(create_app(server))
    monkeypatch.setattr(
        "promptbank.service.ready_rows.probe_fault", lambda _lm, task, _row: task.version == 1 and "off"
    )
    give(server, 1.0)
    assert set(versions(client, IDS[:9]).values()) == {2}
    assert "off" in client.get("/readyz").json()["refused"]["mood:en@1"]


def test_a_share_is_given_over_http_and_belongs_to_the_canary(server: PollingTaskServer, bank: Bank) -> None:
    key = create_key(bank, "boss", ["admin", "infer"])
    server.poll()
    client = TestClient(create_app(server), headers={"authorization": f"Bearer {key}"})
    path = "/v1/tasks/mood/aliases/canary"
    assert client.put(path, json={"version": 1, "reason": "try", "share": 1}).status_code == 200
    assert set(versions(client, IDS[:5]).values()) == {1}
    for body in ({"share": 0}, {"share": 1.5}, {"share": -1}):
        assert client.put(path, json={"version": 1, "reason": "try"} | body).status_code == 422
    live = client.put("/v1/tasks/mood/aliases/live", json={"version": 1, "reason": "try", "share": 0.5})
    assert (live.status_code, live.json()["error"]["param"]) == (422, "share")
    assert client.delete(f"{path}?reason=enough").status_code == 200
    assert set(versions(client, IDS[:5]).values()) == {2}


def test_a_share_is_stored_with_its_alias_and_goes_with_it(bank: Bank) -> None:
    store: Store = bank.store
    store.aliases.move(SCOPE, 1, "canary", reason="try", share=0.25)
    revision = store.revision()
    assert [info.share for info in store.rows.list()] == [0.25, 0.0]
    store.aliases.move(SCOPE, 1, "canary", reason="try", share=0.25)
    assert store.revision() == revision  # nothing has changed
    store.aliases.move(SCOPE, 1, "canary", reason="more", share=0.5)
    assert (store.revision(), store.rows.list()[0].share) == (revision + 1, 0.5)
    store.aliases.retire(SCOPE, "canary")
    assert [info.share for info in store.rows.list()] == [0.0, 0.0]
    with pytest.raises(InvalidRecordError, match="the share is 2, not over 0 and up to 1"):
        store.aliases.move(SCOPE, 1, "canary", reason="try", share=2)
