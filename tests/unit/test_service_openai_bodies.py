"""What requests in OpenAI's shape may say: honoured, without effect, or refused with the field's name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pydantic import BaseModel

from promptbank.bank.learn import learn_task
from promptbank.bank.task_server import TaskServer
from promptbank.service.app import RequestLimits, create_app
from promptbank.service.models import CompletionModel, ProblemBodyModel, ServedModels
from promptbank.service.openai_bodies import ChatRequest, CompletionRequest
from promptbank.training.config import TrainConfig
from store import Store, StoreUnavailableError, open_store
from tasks import CardError, TaskCard, parse_card
from tests.tiny import tiny_backbone, tiny_tokenizer
from tests.worlds import BEFORE, card_of, examples_of, renderer_of

TEXT = "profit rose"
MESSAGES = [{"role": "user", "content": TEXT}]
THREE = {"up": ["positive"], "down": ["negative"], "flat": ["neutral"]}
TWO_FIELDS = "<|VIRTUAL_PROMPT_0|>{sentence} of {title} {label}"


def learn(store: Store, home: Path, **keys: object) -> None:
    card = card_of(**keys)
    examples = examples_of(8, taskname=card.taskname, lang=card.lang)
    if "title" in card.fields:
        examples = [replace(one, fields={**one.fields, "title": "x"}) for one in examples]
    config = TrainConfig(epochs=1, batch_size=4, lr=0.02, dtype="float32")
    learn_task(store, tiny_backbone("llama"), card, examples[:5], examples[5:], config, home=home)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    home = tmp_path_factory.mktemp("home")
    with open_store(str(home / "bank.db")) as opened:
        learn(opened, home)
        learn(opened, home, taskname="gist", template=BEFORE, label_space=None)
        learn(opened, home, taskname="pair", template=TWO_FIELDS)
        yield opened


@pytest.fixture
def client(store: Store) -> TestClient:
    server = TaskServer(store, tiny_backbone("llama"))
    return TestClient(create_app(server, RequestLimits(records=4, body=20_000)), raise_server_exceptions=False)


def chat(client: TestClient, **fields: object) -> Any:
    return client.post("/v1/chat/completions", json={"model": "mood", "messages": MESSAGES, **fields})


def complete(client: TestClient, **fields: object) -> Any:
    return client.post("/v1/completions", json={"model": "mood", "prompt": TEXT, **fields})


def refused(answer: Any, status: int = 422) -> tuple[str | None, str]:
    """Return field and message of a refusal, which has both shapes."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = ProblemBodyModel.model_validate(answer.json())
    assert (problem.error.message, problem.error.code, problem.status) == (problem.detail, problem.type, status)
    return problem.error.param, problem.detail


def schema(part: object) -> dict[str, object]:
    return {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "strict": True, "schema": part}}}


def choice_of(*labels: object) -> dict[str, object]:
    return {"structured_outputs": {"choice": list(labels)}}


NO_EFFECT = {
    "temperature": 2, "top_p": 0.1, "seed": 7, "user": "ann", "frequency_penalty": 1, "presence_penalty": -1,
}  # fmt: skip


def test_what_has_no_effect_changes_nothing(client: TestClient) -> None:
    for ask in (chat, complete):
        plain, more = ask(client).json(), ask(client, **NO_EFFECT, n=1, stop=None, logit_bias={}).json()
        assert plain["promptbank"] == more["promptbank"]
        CompletionModel.model_validate(plain)


@pytest.mark.parametrize(
    "fields",
    [{"n": 2}, {"n": 0}, {"stop": ["."]}, {"stop": "."}, {"logit_bias": {"5": 1}}, {"stream": "yes"},
     {"max_tokens": 0}, {"max_tokens": "5"}, {"odd": 1}, {"guided_regex": "a"}, {"guided_choice": []}],
)  # fmt: skip
@pytest.mark.parametrize("ask", [chat, complete])
def test_what_cannot_be_honoured_is_refused_by_name(client: TestClient, ask: Any, fields: dict[str, object]) -> None:
    param, detail = refused(ask(client, **fields))
    assert param == next(iter(fields))
    assert detail.startswith(f"{param}: ")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"best_of": 2}, "best_of"),
        ({"echo": True}, "echo"),
        ({"suffix": "x"}, "suffix"),
        ({"logprobs": 21}, "logprobs"),
        ({"prompt": [1, 2]}, "prompt"),
        ({"prompt": [[1, 2]]}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": None}, "prompt"),
        ({"model": "gist", "logprobs": 1}, "logprobs"),
        ({"model": 5}, "model"),
    ],
)
def test_what_completions_refuse(client: TestClient, fields: dict[str, object], param: str) -> None:
    assert refused(complete(client, **fields))[0] == param


IMAGE = {"type": "image_url", "image_url": {"url": "https://x/y.png"}}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tools": [{"type": "function"}]}, "tools"),
        ({"audio": {"voice": "x"}}, "audio"),
        ({"modalities": ["text", "audio"]}, "modalities.1"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"logprobs": 3}, "logprobs"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "system", "content": "x"}]}, "messages"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages.0.role"),
        ({"messages": [*MESSAGES, {"role": "user", "content": [IMAGE]}]}, "messages.1.content"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages.0.content"),
        ({"messages": [{"role": "user"}]}, "messages.0.content"),
        ({"store": True}, "store"),
        ({"response_format": {"type": "json_object"}}, "response_format.type"),
        ({"model": "gist", "logprobs": True}, "logprobs"),
    ],
)
def test_what_chats_refuse(client: TestClient, fields: dict[str, object], param: str) -> None:
    assert refused(chat(client, **fields))[0] == param


def test_an_image_in_a_message_that_is_not_read_does_no_harm(client: TestClient) -> None:
    earlier = {"role": "user", "content": [IMAGE]}
    answer = chat(client, messages=[earlier, {"role": "developer", "content": "x"}, *MESSAGES]).json()
    assert answer["promptbank"] == chat(client).json()["promptbank"] | {"messages_not_read": 2}


@pytest.mark.parametrize(
    ("fields", "content"),
    [
        (choice_of("negative"), "negative"),
        ({"guided_choice": ["negative", "negative"]}, "negative"),
        (schema({"type": "string", "enum": ["negative"]}), '"negative"'),
        (schema({"const": "negative", "title": "Mood", "$schema": "x"}), '"negative"'),
        (
            schema({"type": "object", "properties": {"m": {"enum": ["negative"]}}, "required": ["m"]}),
            '{"m": "negative"}',
        ),
        (
            schema(
                {
                    "type": "object",
                    "properties": {"m": {"$ref": "#/$defs/M"}},
                    "$defs": {"M": {"enum": ["negative"]}},
                    "additionalProperties": False,
                }
            ),
            '{"m": "negative"}',
        ),
        ({"structured_outputs": {"json": {"enum": ["negative"]}}}, '"negative"'),
        ({"response_format": {"type": "text"}}, "positive"),
    ],
)
def test_an_answer_is_held_to_the_labels_that_are_asked_for(
    client: TestClient, fields: dict[str, object], content: str
) -> None:
    assert chat(client).json()["choices"][0]["message"]["content"] == "positive"
    assert chat(client, **fields).json()["choices"][0]["message"]["content"] == content
    assert complete(client, **fields).json()["choices"][0]["text"] == content


def test_probabilities_are_those_among_the_labels_that_may_be_answered(store: Store, tmp_path: Path) -> None:
    with open_store(str(tmp_path / "bank.db")) as opened:
        examples = [
            one.__class__(**{**vars(one), "answer": list(THREE)[n % 3]}) for n, one in enumerate(examples_of(8))
        ]
        config = TrainConfig(epochs=1, batch_size=4, lr=0.02, dtype="float32")
        card = card_of(label_space={label: list(forms) for label, forms in THREE.items()})
        learn_task(opened, tiny_backbone("llama"), card, examples[:5], examples[5:], config, home=tmp_path)
        client = TestClient(create_app(TaskServer(opened, tiny_backbone("llama"))))
        whole = chat(client).json()["promptbank"]["probabilities"]
        some = chat(client, **choice_of("down", "flat"), logprobs=True, top_logprobs=20).json()
    total = whole["down"] + whole["flat"]
    expected = {label: whole[label] / total for label in ("down", "flat")}
    assert some["promptbank"]["probabilities"] == pytest.approx(expected, rel=1e-9)
    (token,) = some["choices"][0]["logprobs"]["content"]
    assert token["token"] == max(expected, key=lambda label: expected[label])
    assert len(token["top_logprobs"]) == 2


@pytest.mark.parametrize(
    "fields",
    [
        choice_of("positive", "odd"),
        {"guided_choice": ["odd"]},
        schema({"enum": ["positive", 5]}),
        schema({"enum": []}),
        schema({"enum": ["odd"]}),
        schema({"type": "string"}),
        schema({"type": "string", "enum": ["positive"], "pattern": "x"}),
        schema({"enum": ["positive"], "const": "positive"}),
        schema({"type": "integer", "enum": ["positive"]}),
        schema({"type": "object"}),
        schema({"type": "object", "properties": {}}),
        schema({"type": "object", "properties": {"a": {"enum": ["positive"]}, "b": {"enum": ["positive"]}}}),
        schema({"type": "object", "properties": {"a": {"enum": ["positive"]}}, "required": ["b"]}),
        schema({"type": "object", "properties": {"a": {"enum": ["positive"]}}, "required": 5}),
        schema({"type": "object", "properties": {"a": 5}}),
        schema({"type": "object", "properties": {"\ud800": {"enum": ["positive"]}}}),
        schema({"$ref": "#/$defs/x"}),
        schema({"$ref": 5}),
        schema({"anyOf": [{"enum": ["positive"]}]}),
        schema(None),
        {"response_format": {"type": "json_schema"}},
        {**choice_of("positive"), "guided_choice": ["positive"]},
        {"structured_outputs": {"regex": "a"}},
        {**choice_of("positive"), "model": "gist"},
        {**schema({"enum": ["positive"]}), "model": "gist"},
    ],
    ids=json.dumps,
)
def test_a_demand_that_the_labels_do_not_meet_is_refused(client: TestClient, fields: dict[str, object]) -> None:
    body = json.dumps({"model": "mood", "messages": MESSAGES, **fields})
    param, _ = refused(client.post("/v1/chat/completions", content=body))
    assert str(param).split(".")[0] in {"structured_outputs", "guided_choice", "response_format"}


def test_a_card_of_several_fields_takes_a_json_object(client: TestClient) -> None:
    record = {"sentence": "profit rose", "title": "news"}
    expected = client.post("/v1/tasks/pair/predict", json=record).json()["probabilities"]
    answer = complete(client, model="pair", prompt=json.dumps(record)).json()
    assert answer["promptbank"]["probabilities"] == pytest.approx(expected, abs=1e-4)
    for text in ("profit rose", "[1]", '{"sentence": "x", "sentence": "y"}'):
        param, detail = refused(complete(client, model="pair", prompt=["{}", text][1:]))
        assert (param, "a JSON object of sentence, title" in detail) == ("prompt.0", True)
    assert "field 'title' is missing" in refused(complete(client, model="pair", prompt='{"sentence": "x"}'))[1]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "no JSON"),
        (b"[]", "must be a JSON object"),
        (b'{"model": NaN}', "NaN"),
        (b'{"model": "mood", "model": "mood"}', "stand twice"),
        (b'{"model": "mood", "prompt": "\\u0000"}', "NUL"),
        (b'{"model": "mood", "prompt": "\\ud800"}', "surrogate"),
        (b'{"model": "a \\ud800", "prompt": "x"}', "is no taskname"),
        (b'{"model": "mood", "prompt": "x", "\\ud800": 1}', "valid string"),
        (b'{"prompt": "x"}', "model: the field is missing"),
        (b'{"model": "mood", "prompt": ' + b"[" * 900 + b"]" * 900 + b"}", "must be a string"),
    ],
)
def test_broken_bodies_are_refused(client: TestClient, body: bytes, says: str) -> None:
    assert says in refused(client.post("/v1/completions", content=body))[1]


def test_limits_hold_here_too(client: TestClient) -> None:
    assert "4 are allowed" in refused(complete(client, prompt=["x"] * 5), 413)[1]
    assert "over 20000 bytes" in refused(complete(client, prompt="x" * 20_000), 413)[1]
    assert "gzip" in refused(client.post("/v1/completions", content=b"x", headers={"content-encoding": "br"}), 415)[1]


def test_one_prompt_that_fails_fails_the_request(client: TestClient) -> None:
    assert "NUL" in refused(complete(client, prompt=["x", "a\x00"]))[1]


def test_each_answer_has_a_request_id(client: TestClient) -> None:
    for path in ("/v1/models", "/livez", "/v1/nope", "/v1/models/nope", "/docs"):
        own = client.get(path, headers={"x-request-id": "a-1"})
        assert own.headers.get_list("x-request-id") == ["a-1"]
        assert len({client.get(path).headers["x-request-id"] for _ in range(3)}) == 3
    for odd in ("", "a b", "x" * 129):
        assert len(client.get("/livez", headers={"x-request-id": odd}).headers["x-request-id"]) == 32


def test_a_bug_has_a_request_id_and_is_not_asked_again(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("promptbank.service.openai._completion", lambda *_: 1 / 0)
    answer = complete(client)
    assert refused(answer, 500)[1].startswith("ZeroDivisionError")
    assert answer.headers["x-should-retry"] == "false"
    assert len(answer.headers["x-request-id"]) == 32


def test_a_row_of_another_backbone_is_not_asked_again(store: Store) -> None:
    client = TestClient(create_app(TaskServer(store, tiny_backbone("gpt2"))))
    for answer in (complete(client), chat(client), client.get("/v1/models/mood")):
        refused(answer, 409)
        assert answer.headers["x-should-retry"] == "false"
    assert client.get("/v1/models").json() == {"object": "list", "data": []}


def test_a_bank_out_of_reach_is_asked_again(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise StoreUnavailableError("the bank is away")

    monkeypatch.setattr("promptbank.bank.task_server.TaskServer.refresh", away)
    answer = complete(client)
    refused(answer, 503)
    assert int(answer.headers["retry-after"]) >= 1
    assert "x-should-retry" not in answer.headers


def test_a_task_that_cannot_be_served_is_no_model(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    models = ServedModels.model_validate(client.get("/v1/models").json())
    assert [model.id for model in models.data] == ["gist:en", "mood:en", "pair:en"]
    monkeypatch.setattr("promptbank.bank.task_server.parse_card", _fails_for_mood)
    models = ServedModels.model_validate(client.get("/v1/models").json())
    assert [model.id for model in models.data] == ["gist:en", "pair:en"]


def _fails_for_mood(raw: dict[str, object]) -> TaskCard:
    if raw["taskname"] == "mood":
        raise CardError("damaged", ())
    return parse_card(raw)


VALUES: list[Any] = [
    None, True, 0, 1, -1, 1.5, "", "mood", "gist", "positive", "text", "json_schema", "user", "\ud800", "a\x00", 10**30,
    [], {}, ["positive"], [[1]], {"enum": ["positive"]}, {"choice": ["negative"]}, {"include_usage": True}, MESSAGES,
    [IMAGE],
    {"type": "json_schema", "json_schema": {"schema": {"enum": ["positive"]}}},
    {"type": "object", "properties": {"a": {"enum": ["positive"]}}},
]  # fmt: skip
KEYS = ["type", "enum", "const", "properties", "$ref", "schema", "json_schema", "json", "choice", "role", "content"]


def value(chance: Random, depth: int = 0) -> Any:
    kind = chance.random()
    if kind < 0.7 or depth > 3:
        return chance.choice(VALUES)
    parts = [value(chance, depth + 1) for _ in range(chance.randrange(4))]
    return parts if kind < 0.85 else dict(zip(chance.sample(KEYS, len(parts)), parts, strict=True))


@pytest.mark.parametrize("kind", [ChatRequest, CompletionRequest])
def test_no_body_is_answered_as_the_documents_do_not_say(client: TestClient, kind: type[BaseModel]) -> None:
    chance = Random(7)
    name, text = ("chat/completions", "messages") if kind is ChatRequest else ("completions", "prompt")
    known = client.get("/openapi.json").json()["paths"][f"/v1/{name}"]["post"]["responses"]
    found: set[int] = set()
    for _ in range(150):
        body: dict[str, Any] = {"model": "mood", text: MESSAGES if kind is ChatRequest else TEXT}
        body |= {field: value(chance) for field in chance.sample(list(kind.model_fields), 2)}
        answer = client.post(f"/v1/{name}", content=json.dumps(body))
        assert '"bug"' not in answer.text, body
        found.add(answer.status_code)
    assert {200, 422} <= found <= set(map(int, known)) - {500}


def test_what_is_sent_of_an_answer_never_splits_a_character() -> None:
    renderer = renderer_of(tiny_backbone("gpt2"), card_of(label_space=None))
    text = "é€😀 ok \ufffd!"
    ids = tiny_tokenizer("gpt2")(" " + text, add_special_tokens=False)["input_ids"]
    parts = [renderer.begun(ids[:n]) for n in range(len(ids) + 1)]
    assert parts[0] == ""
    assert parts[-1] == text == renderer.text(ids)
    assert all(later.startswith(part) for part, later in pairwise(parts))
    assert {"é", "é€", "é€😀"} <= set(parts)
