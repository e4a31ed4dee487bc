"""Help pages and OpenAPI: every command has an example that parses; pages and schema are committed and reviewed."""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main
from typer.testing import CliRunner

from promptbank.bank.task_server import TaskServer
from promptbank.cli import build_app
from promptbank.service.app import create_app
from store import open_store
from tests.stores import ROOT
from tests.tiny import tiny_backbone

GOLDEN = ROOT / "tests" / "golden"
PAGE_WIDTH = {"COLUMNS": "100", "TERMINAL_WIDTH": "100", "NO_COLOR": "1"}


def commands() -> Iterator[tuple[str, ...]]:
    def below(command: object, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        children = getattr(command, "commands", None)
        if children is None:
            yield path
            return
        for name, child in children.items():
            yield from below(child, (*path, name))

    yield from below(typer.main.get_command(build_app()), ())


def page(path: tuple[str, ...]) -> str:
    result = CliRunner().invoke(build_app(), [*path, "--help"], env=PAGE_WIDTH, prog_name="promptbank")
    assert result.exit_code == 0
    return result.stdout


@pytest.mark.parametrize("path", list(commands()), ids=" ".join)
def test_the_example_of_a_command_is_a_valid_call_of_it(path: tuple[str, ...]) -> None:
    command = typer.main.get_command(build_app())
    for name in path:
        command = command.commands[name]
    lines = (command.help or "").strip().splitlines()
    found = re.fullmatch(r"\s*Example: promptbank (.*)", lines[-1])
    assert found is not None, f"the help of {path} does not end with an example"
    words = shlex.split(found[1])
    assert tuple(words[: len(path)]) == path
    command.make_context(" ".join(path), words[len(path) :])


def test_help_pages_are_the_committed_ones() -> None:
    paths = sorted({path[:n] for path in commands() for n in range(len(path) + 1)})
    text = "".join(f"$ promptbank {' '.join((*path, '--help'))}\n{page(path)}\n" for path in paths)
    check(GOLDEN / "help.txt", text)


def test_openapi_is_the_committed_one(tmp_path: Path) -> None:
    with open_store(str(tmp_path / "bank.db")) as store:
        schema = create_app(TaskServer(store, tiny_backbone("llama"))).openapi()
    check(GOLDEN / "openapi.json", json.dumps(schema, indent=1, sort_keys=True) + "\n")
    assert set(schema["paths"]) == {
        "/v1/chat/completions",
        "/v1/completions",
        "/v1/models",
        "/v1/models/{model}",
        "/v1/predict",
        "/v1/score",
        "/v1/tasks",
        "/v1/tasks/{taskname}",
        "/v1/tasks/{taskname}/aliases/{alias}",
        "/v1/tasks/{taskname}/predict",
        "/v1/tasks/{taskname}/versions",
        "/livez",
        "/metrics",
        "/readyz",
        "/startupz",
        "/version",
    }


def check(path: Path, text: str) -> None:
    """Compare with a golden file, or write it when asked to (`make golden`)."""
    if os.environ.get("GOLDEN") == "write":
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8"), f"{path.name} differs; look at the change and run `make golden`"
