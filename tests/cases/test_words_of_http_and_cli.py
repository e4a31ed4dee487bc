"""A client of the service is told fields and paths, a person at the command line options and commands.

Kind: "error: unrecognized option --lang" in the body of an HTTP answer, known from services that grew out of a script.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

import promptbank as room
from promptbank.bank.learn import learn_task
from promptbank.bank.task_server import TaskServer
from promptbank.errors import AmbiguousLanguageError, PromptBankError
from promptbank.problems import problem_of
from promptbank.service.app import create_app
from promptbank.training.config import TrainConfig
from store import NotFoundError, Scope, Store, StoreError, open_store
from tests.conftest import Promptbank
from tests.tiny import tiny_backbone
from tests.worlds import card_of, examples_of

OF_CLI = re.compile(r"(?<![\w-])--[a-z]|`promptbank |PROMPTBANK_")
"""An option, a command or a variable of the environment."""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A bank with "mood" in English, Swedish and German, of which English is not live; "gist" of another backbone."""
    folder = tmp_path_factory.mktemp("words")
    config = TrainConfig(epochs=1, batch_size=4, dtype="float32")
    llama, other = tiny_backbone("llama"), tiny_backbone("llama", seed=1)
    with open_store(str(folder / "bank.db")) as opened:
        for name, lang, backbone in (
            ("mood", "en", llama),
            ("mood", "sv", llama),
            ("mood", "de", llama),
            ("gist", "en", other),
        ):
            examples = examples_of(8, taskname=name, lang=lang)
            card = card_of(taskname=name, lang=lang)
            learn_task(opened, backbone, card, examples[:5], examples[5:], config, home=folder)
        opened.aliases.retire(Scope("mood", "en", llama.fingerprint))
        yield opened


@pytest.fixture(scope="module")
def client(store: Store) -> Iterator[TestClient]:
    with TestClient(create_app(TaskServer(store, tiny_backbone("llama")))) as opened:
        yield opened


MESSAGE = {"role": "user", "content": "x"}
ASKED = [
    ("/v1/predict", {"taskname": "mood", "sentence": "x"}, 'or as "lang" of the record'),
    ("/v1/predict", {"sentence": "x"}, "or ask /v1/tasks/TASKNAME/predict"),
    ("/v1/predict", {"taskname": "gist", "sentence": "x"}, "/v1/tasks lists what this one answers"),
    ("/v1/predict", {"taskname": "modo", "sentence": "x"}, "did you mean mood?"),
    ("/v1/predict", {"taskname": "mood:sv", "text": "x"}, "field 'sentence' is missing; the record has"),
    ("/v1/predict", {"taskname": "mood:sv@7", "sentence": "x"}, "versions: 1"),
    ("/v1/tasks/mood/predict", {"sentence": "x"}, "name the language, as mood:de"),
    ("/v1/tasks/mood:fr/predict", {"sentence": "x"}, "frozen: de, sv"),
    ("/v1/completions", {"model": "mood", "prompt": "x"}, "name the language, as mood:de"),
    ("/v1/chat/completions", {"model": "gist", "messages": [MESSAGE]}, "is frozen for backbone"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "body", "says"), ASKED)
def test_answers_over_http_name_no_option(client: TestClient, path: str, body: dict[str, object], says: str) -> None:
    answer = client.post(path, json=body)
    assert answer.status_code in {404, 409, 422}
    assert says in answer.json()["detail"]
    assert OF_CLI.search(answer.text) is None


def test_an_empty_bank_names_no_command_over_http(tmp_path: Path) -> None:
    with open_store(str(tmp_path / "empty.db")) as empty:
        client = TestClient(create_app(TaskServer(empty, tiny_backbone("llama"))))
        assert client.post("/v1/predict", json={"taskname": "mood"}).json()["detail"].endswith("frozen: none yet")


def test_the_command_line_names_its_options(learnt: Promptbank, tmp_path: Path) -> None:
    Path("one.jsonl").write_text('{"sentence": "x"}\n')
    told = json.loads(learnt("predict", "--data", "one.jsonl", "--json").stdout)
    assert told["detail"].endswith('give it a "taskname"; or name one with --task')
    other = learnt("bank", "rollback", "sentiment-task")
    assert "has no version before 1 to go back to; see `promptbank bank list`" in other.stderr


def test_one_error_has_words_for_both() -> None:
    made = AmbiguousLanguageError("several", cli="give --lang", http='give "lang"')
    assert (str(made), problem_of(made).detail) == ("several; give --lang", "several; give --lang")
    assert problem_of(made, over_http=True).detail == 'several; give "lang"'
    assert problem_of(PromptBankError("plain"), over_http=True).detail == "plain"
    assert problem_of(StoreError("gone", cli="see --db"), over_http=True).detail == "gone"
    assert problem_of(NotFoundError("gone"), over_http=True).detail == "gone"


REACHED = ("engine/*.py", "service/*.py", "model/render.py", "bank/select.py", "bank/task_server.py", "bank/served.py",
           "bank/row_check.py")  # fmt: skip
"""Files of promptbank whose errors a request can cause."""
STARTS = {"server.py"}
"""Refuses what a person asks on the command line, before there is a service."""


def test_no_error_that_a_request_can_cause_names_an_option_but_for_the_command_line() -> None:
    folder = Path(room.__file__).parent
    files = [path for pattern in REACHED for path in folder.glob(pattern) if path.name not in STARTS]
    files += [*(folder.parent / "store").glob("scopes.py"), *(folder.parent / "tasks").glob("e[xr]*.py")]
    assert len(files) > 25
    assert [
        f"{path.name}: {text}" for path in files for text in _raised(ast.parse(path.read_text())) if OF_CLI.search(text)
    ] == []


def _raised(tree: ast.AST) -> Iterator[str]:
    """Yield the texts in calls of classes named ...Error, without what is said for the command line alone."""
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        if getattr(call.func, "id", "").endswith("Error"):
            parts = [*call.args, *(keyword.value for keyword in call.keywords if keyword.arg != "cli")]
            found = [node for part in parts for node in ast.walk(part) if isinstance(node, ast.Constant)]
            yield from (str(node.value) for node in found)
