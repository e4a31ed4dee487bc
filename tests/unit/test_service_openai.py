"""OpenAI's own client against a real server: list, completions, chat, streams, errors; a client that leaves."""

from __future__ import annotations

import asyncio
import enum
import json
import math
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import httpx
import openai
import pytest
import uvicorn
from pydantic import BaseModel

from promptbank.bank.learn import learn_task
from promptbank.bank.task_server import TaskServer
from promptbank.model.forward import Context, LanguageModel
from promptbank.service.app import create_app
from promptbank.training.config import TrainConfig
from store import Store, open_store
from tests.tiny import tiny_backbone
from tests.worlds import BEFORE, card_of, examples_of

CONFIG = TrainConfig(epochs=1, batch_size=4, lr=0.02, dtype="float32")
TEXT = "profit rose"
ASKED: Any = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": TEXT}]


def learn(store: Store, home: Path, **keys: object) -> None:
    card = card_of(**keys)
    examples = examples_of(8, taskname=card.taskname, lang=card.lang)
    learn_task(store, tiny_backbone("llama"), card, examples[:5], examples[5:], CONFIG, home=home)


def learn_slots(store: Store, home: Path) -> None:
    keys: Any = {"answer_format": "intent_slots.v1", "intents": ["news", "alarm"], "slot_types": ["time"]}
    card = card_of(taskname="slots", template=BEFORE, label_space=None, **keys)
    examples = [replace(one, answer="\nIntent: news\nSlots: None") for one in examples_of(8, taskname="slots")]
    learn_task(store, tiny_backbone("llama"), card, examples[:5], examples[5:], CONFIG, home=home)


class Service:
    """A running server and where it listens."""

    def __init__(self, server: TaskServer) -> None:
        self.tasks, self.app = server, create_app(server)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._server = uvicorn.Server(uvicorn.Config(self.app, log_config=None))
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._listener]})
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(60)
        self._listener.close()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    home = tmp_path_factory.mktemp("home")
    with open_store(str(home / "bank.db")) as store:
        learn(store, home)
        learn(store, home, taskname="gist", template=BEFORE, label_space=None)
        learn_slots(store, home)
        running = Service(TaskServer(store, tiny_backbone("llama")))
        yield running
        running.stop()


@pytest.fixture
def client(service: Service) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{service.url}/v1", api_key="none") as opened:
        yield opened


def native(service: Service, task: str = "mood") -> dict[str, Any]:
    answer: dict[str, Any] = httpx.post(f"{service.url}/v1/tasks/{task}/predict", json={"sentence": TEXT}).json()
    return answer


def test_models_are_the_tasks(client: openai.OpenAI) -> None:
    listed = client.models.list()
    assert [model.id for model in listed] == ["gist:en", "mood:en", "slots:en"]
    assert {model.object for model in listed} == {"model"}
    assert all(abs(model.created - time.time()) < 3600 for model in listed)
    assert {model.parent for model in listed} == {"tiny-llama"}  # type: ignore[attr-defined]
    for name, found in (("mood", "mood:en"), ("mood:en", "mood:en"), ("mood:en@1", "mood:en@1")):
        assert client.models.retrieve(name).id == found
    with pytest.raises(openai.NotFoundError, match="did you mean mood"):
        client.models.retrieve("moo")


def test_a_chat_answers_with_the_label_and_its_probabilities(service: Service, client: openai.OpenAI) -> None:
    expected = native(service)
    answer = client.chat.completions.create(model="mood", messages=ASKED, logprobs=True, top_logprobs=2, temperature=0)
    (choice,) = answer.choices
    assert (choice.message.content, choice.finish_reason) == (expected["label"], "stop")
    assert (choice.message.role, choice.message.refusal) == ("assistant", None)
    (token,) = choice.logprobs.content
    assert (token.token, bytes(token.bytes).decode()) == (expected["label"], expected["label"])
    found = {one.token: math.exp(one.logprob) for one in token.top_logprobs}
    assert found == pytest.approx(expected["probabilities"], abs=1e-4)
    assert answer.model == "mood:en@1"
    assert answer.usage.completion_tokens == 1
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + 1
    extra = answer.promptbank  # type: ignore[attr-defined]
    assert (extra["task"], extra["version"], extra["sha256"]) == ("mood:en", 1, expected["sha256"])
    assert (extra["probabilities"], extra["messages_not_read"]) == (
        pytest.approx(expected["probabilities"], abs=1e-4),
        1,
    )


def test_the_last_user_message_is_the_text_in_parts_too(service: Service, client: openai.OpenAI) -> None:
    parts: Any = [{"type": "text", "text": "profit "}, {"type": "text", "text": "rose"}]
    messages: Any = [
        {"role": "user", "content": "losses"},
        {"role": "assistant", "content": "negative"},
        {"role": "user", "content": parts, "name": "ann"},
    ]
    answer = client.chat.completions.create(model="gist", messages=messages)
    assert answer.choices[0].message.content == native(service, "gist")["text"]


def test_completions_answer_each_prompt(service: Service, client: openai.OpenAI) -> None:
    expected = native(service)
    answer = client.completions.create(model="mood:en@1", prompt=[TEXT, "bad", TEXT], logprobs=1)
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    first, _, third = answer.choices
    assert first.text == third.text == expected["label"]
    assert math.exp(first.logprobs.token_logprobs[0]) == pytest.approx(
        expected["probabilities"][expected["label"]], abs=1e-4
    )
    assert [list(one) for one in first.logprobs.top_logprobs] == [[expected["label"]]]
    assert answer.usage.completion_tokens == 3
    assert all(choice.promptbank["probabilities"] for choice in answer.choices)  # type: ignore[attr-defined]
    alone = client.completions.create(model="gist", prompt=TEXT)
    assert alone.choices[0].text == native(service, "gist")["text"]
    assert alone.promptbank["task"] == "gist:en"  # type: ignore[attr-defined]


class Mood(enum.Enum):
    POSITIVE = "positive"
    NEGATIVE = "negative"


class ByLiteral(BaseModel):
    mood: Literal["negative"]


class ByEnum(BaseModel):
    mood: Mood


def test_a_schema_of_labels_is_parsed_by_the_client(service: Service, client: openai.OpenAI) -> None:
    only = client.chat.completions.parse(model="mood", messages=ASKED, response_format=ByLiteral)
    assert only.choices[0].message.parsed == ByLiteral(mood="negative")
    assert only.promptbank["probabilities"] == {"negative": 1.0}  # type: ignore[attr-defined]
    either = client.chat.completions.parse(model="mood", messages=ASKED, response_format=ByEnum)
    assert either.choices[0].message.parsed == ByEnum(mood=Mood(native(service)["label"]))


@pytest.mark.parametrize("most", [None, 1, 3, 5])
def test_a_stream_says_what_the_plain_answer_says(client: openai.OpenAI, most: int | None) -> None:
    limit: Any = {"max_tokens": most} if most else {}
    plain = client.chat.completions.create(model="gist", messages=ASKED, **limit)
    stream = client.chat.completions.create(
        model="gist", messages=ASKED, stream=True, stream_options={"include_usage": True}, **limit
    )
    first, *chunks, last = list(stream)
    assert (first.choices[0].delta.role, first.choices[0].delta.content) == ("assistant", "")
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == plain.choices[0].message.content
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices[0].finish_reason] == [
        plain.choices[0].finish_reason
    ]
    assert (last.choices, last.usage) == ([], plain.usage)
    assert {chunk.object for chunk in (first, *chunks, last)} == {"chat.completion.chunk"}
    assert len({chunk.id for chunk in (first, *chunks, last)}) == 1
    if most:
        assert (plain.usage.completion_tokens, plain.choices[0].finish_reason) == (most, "length")


@pytest.mark.parametrize("most", [None, 4])
def test_an_answer_with_a_format_comes_at_its_end_as_it_is_closed(client: openai.OpenAI, most: int | None) -> None:
    limit: Any = {"max_tokens": most} if most else {}
    plain = client.completions.create(model="slots", prompt=TEXT, **limit)
    assert plain.choices[0].text.startswith("\nIntent: ")
    text, end = list(client.completions.create(model="slots", prompt=TEXT, stream=True, **limit))
    assert text.choices[0].text == plain.choices[0].text
    assert end.choices[0].finish_reason == plain.choices[0].finish_reason
    assert end.promptbank["probability"] == pytest.approx(plain.promptbank["probability"], rel=1e-3)  # type: ignore[attr-defined]


def test_streams_of_several_prompts_and_of_labels(service: Service, client: openai.OpenAI) -> None:
    plain = client.completions.create(model="gist", prompt=[TEXT, "bad"], max_tokens=4)
    texts = ["", ""]
    for chunk in client.completions.create(model="gist", prompt=[TEXT, "bad"], max_tokens=4, stream=True):
        assert chunk.usage is None
        texts[chunk.choices[0].index] += chunk.choices[0].text
    assert texts == [choice.text for choice in plain.choices]
    label, end = list(client.completions.create(model="mood", prompt=TEXT, stream=True, logprobs=2))
    assert label.choices[0].text == native(service)["label"]
    assert len(label.choices[0].logprobs.top_logprobs[0]) == 2
    assert end.choices[0].finish_reason == "stop"
    assert end.promptbank["task"] == "mood:en"  # type: ignore[attr-defined]


def test_the_asynchronous_client_works_as_well(service: Service) -> None:
    async def talk() -> tuple[str, str]:
        async with openai.AsyncOpenAI(base_url=f"{service.url}/v1", api_key="none") as client:
            plain = await client.chat.completions.create(model="gist", messages=ASKED)
            stream = await client.chat.completions.create(model="gist", messages=ASKED, stream=True)
            parts = [chunk.choices[0].delta.content or "" async for chunk in stream]
            return plain.choices[0].message.content or "", "".join(parts)

    plain, streamed = asyncio.run(talk())
    assert plain == streamed == native(service, "gist")["text"]


def test_errors_reach_the_client_with_all_their_fields(client: openai.OpenAI) -> None:
    with pytest.raises(openai.UnprocessableEntityError) as refused:
        client.completions.create(model="mood", prompt=TEXT, n=2, extra_headers={"x-request-id": "mine-1"})
    error = refused.value
    assert (error.param, error.code, error.type, error.request_id) == (
        "n",
        "bad-field",
        "invalid_request_error",
        "mine-1",
    )
    assert "it is 2" in error.message
    with pytest.raises(openai.NotFoundError) as unknown:
        client.chat.completions.create(model="moo", messages=ASKED, stream=True)
    assert (unknown.value.code, len(unknown.value.request_id or "")) == ("unknown-task", 32)
    with pytest.raises(openai.UnprocessableEntityError, match="is no label of mood:en"):
        client.completions.create(
            model="mood", prompt=TEXT, extra_body={"structured_outputs": {"choice": ["positive", "odd"]}}
        )


def test_what_asking_again_cannot_change_is_asked_once(service: Service) -> None:
    asked: list[str] = []
    other = Service(TaskServer(service.tasks.store, tiny_backbone("gpt2")))
    hooks: Any = {"request": [lambda request: asked.append(request.url.path)]}
    try:
        http = openai.DefaultHttpxClient(event_hooks=hooks)
        with openai.OpenAI(base_url=f"{other.url}/v1", api_key="none", http_client=http) as client:
            assert list(client.models.list()) == []
            with pytest.raises(openai.ConflictError, match="is frozen for backbone tiny-llama"):
                client.completions.create(model="mood", prompt=TEXT)
    finally:
        other.stop()
    assert asked == ["/v1/models", "/v1/completions"]


def slowed(service: Service, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Make steps of the model slow, and return a list that grows by the sequences of each."""
    lm, sizes = service.tasks.predictor.lm, list[int]()
    whole = lm.hidden

    def hidden(packed: Any, context: Context | None = None) -> Any:
        sizes.append(len(packed.ids))
        time.sleep(0.1)
        return whole(packed, context)

    monkeypatch.setattr(lm, "hidden", hidden)
    return sizes


def test_tokens_arrive_while_the_answer_is_written_and_work_ends_when_the_client_leaves(
    service: Service, client: openai.OpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = client.completions.create(model="gist", prompt=TEXT)
    steps = slowed(service, monkeypatch)
    stream = client.completions.create(model="gist", prompt=TEXT, stream=True)
    next(iter(stream))
    begun = len(steps)
    assert begun < plain.usage.completion_tokens - 5  # of about 96
    stream.close()
    time.sleep(0.5)
    after = len(steps)
    time.sleep(0.5)
    assert len(steps) == after <= begun + 5


def test_an_error_inside_a_stream_is_raised_by_the_client(
    service: Service, client: openai.OpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor = service.tasks.predictor
    whole, calls = LanguageModel.hidden, 0

    def hidden(packed: Any, context: Context | None = None) -> Any:
        nonlocal calls
        calls += 1
        if calls > 8:
            raise RuntimeError("not enough memory")
        return whole(predictor.lm, packed, context)

    monkeypatch.setattr(predictor.lm, "hidden", hidden)
    stream = client.completions.create(model="gist", prompt=TEXT, stream=True)
    with pytest.raises(openai.APIError, match="RuntimeError; this is a bug"):
        list(stream)
    body = httpx.post(
        f"{service.url}/v1/completions", json={"model": "gist", "prompt": TEXT, "stream": True}, timeout=60
    )
    *_, failed, done = [line for line in body.text.split("\n\n") if line]
    assert done == "data: [DONE]"
    assert json.loads(failed.removeprefix("data: "))["error"]["type"] == "server_error"
