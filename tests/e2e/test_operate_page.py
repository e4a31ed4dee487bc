"""docs/operate.md and deploy/: the boxes run as they stand, and names, options, settings and metrics are there."""

from __future__ import annotations

import configparser
import os
import re
import shlex
import shutil
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

from promptbank.bank.task_server import TaskServer
from promptbank.cli import build_app
from promptbank.config import _NUMBERS, Settings
from promptbank.service.limits import RequestLimits
from promptbank.service.metrics import ServiceMetrics
from promptbank.service.queue import QueueLimits, RequestQueue
from store import open_store
from tests.conftest import Promptbank
from tests.documented import run_as_reader
from tests.postgres import Server, free_port
from tests.stores import ROOT
from tests.tiny import tiny_backbone

PAGE = (ROOT / "docs" / "operate.md").read_text(encoding="utf-8")
DEPLOY = ROOT / "deploy"
POSTGRESQL = "postgresql://promptbank@localhost/promptbank"
OUTSIDE = {"PROMPTBANK_HOME", "PROMPTBANK_CONFIG", "PROMPTBANK_CACHE"}


@pytest.mark.new_process
def test_the_boxes_of_the_page_run_one_after_the_other(
    learnt: Promptbank, tmp_path: Path, postgres_server: Server
) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    learnt("bank", "export", "sentiment-task", "--out", "sentiment-task.safetensors")
    script = "\n".join(re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL))
    assert script.count(POSTGRESQL) == 2
    script = script.replace(POSTGRESQL, postgres_server.empty())
    done = run_as_reader(
        tmp_path,
        ["bash", "-eumc", f"trap 'kill %1 2>/dev/null || true' EXIT\n{script}"],
        PROMPTBANK_BACKBONE=os.environ["PROMPTBANK_BACKBONE"],
        PROMPTBANK_HOME=str(tmp_path / "new-home"),
        PROMPTBANK_PORT=str(free_port()),
    )
    log = (tmp_path / "service.log").read_text() if (tmp_path / "service.log").exists() else ""
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-3000:]}\n{log[-2000:]}"
    assert '"status":"ready"' in done.stdout
    assert "promptbank_bank_stale_seconds 0.0" in done.stdout
    assert '"label"' in done.stdout
    assert done.stderr.count("1 row checked, 0 faults") == 3
    assert "1 in prompt_row" in done.stderr
    assert "1 in api_key" in done.stderr


def rows_of(header: str) -> list[list[str]]:
    """The cells of the table of the page that begins with a header."""
    lines = PAGE[PAGE.index(header) :].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip().strip("`") for cell in line.strip("| ").split("|")] for line in lines]


def test_every_setting_stands_in_the_table_with_its_default_and_range() -> None:
    found = {variable: (key, default, span) for key, variable, default, span, _ in rows_of("| key in the file")}
    assert found.pop("PROMPTBANK_HOME")[0] == "-"
    assert found.keys() == {f"PROMPTBANK_{field.name.upper()}" for field in fields(Settings)} - OUTSIDE
    for field in (field for field in fields(Settings) if field.name != "home"):
        key, default, span = found[f"PROMPTBANK_{field.name.upper()}"]
        assert key == field.name
        assert default == ("bank.db` in the home" if field.name == "db" else str(field.default))
        assert span == (" to ".join(map(str, _NUMBERS[field.name])) if field.name in _NUMBERS else "")


@pytest.fixture(scope="module")
def metrics(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The names of all series of a service."""
    with open_store(str(tmp_path_factory.mktemp("metrics") / "bank.db")) as store:
        queue = RequestQueue(QueueLimits())
        text = ServiceMetrics(queue, TaskServer(store, tiny_backbone("llama"))).text().decode()
    names = set(re.findall(r"^# TYPE (\w+) ", text, re.MULTILINE))
    return names | {f"{name}_bucket" for name in names}


def test_every_metric_stands_in_the_table_and_no_other(metrics: set[str]) -> None:
    told = set(re.findall(r"promptbank_[a-z_]+", " ".join(row[0] for row in rows_of("| metric |"))))
    assert {name for name in metrics if not name.endswith(("_created", "_bucket"))} == told


def test_the_rules_ask_for_metrics_that_are_there_and_each_alert_is_explained(metrics: set[str]) -> None:
    (group,) = yaml.safe_load((DEPLOY / "prometheus-rules.yaml").read_text())["groups"]
    for rule in group["rules"]:
        assert set(re.findall(r"promptbank_[a-z_]+", rule["expr"])) <= metrics, rule["alert"]
        assert rule["annotations"]["summary"]
    explained = re.findall(r"Promptbank\w+", " ".join(row[0] for row in rows_of("| alert |")))
    assert explained == [rule["alert"] for rule in group["rules"]]


def parsed(words: list[str]) -> None:
    """Refuse a call of promptbank that its command line would refuse."""
    command: Any = typer.main.get_command(build_app())
    path = []
    while hasattr(command, "commands"):
        path.append(words[len(path)])
        command = command.commands[path[-1]]
    command.make_context(" ".join(path), words[len(path) :])


def test_every_command_in_the_text_is_one() -> None:
    known = typer.main.get_command(build_app()).commands  # type: ignore[attr-defined]
    for found in re.findall(r"(?:`|^)promptbank ([a-z]+(?: [a-z]+)?)", PAGE, re.MULTILINE):
        first, *rest = found.split()
        assert first in known, found
        if hasattr(known[first], "commands"):
            assert rest, found
            assert rest[0] in known[first].commands, found


def test_settings_in_deploy_are_settings() -> None:
    known = {f"PROMPTBANK_{field.name.upper()}" for field in fields(Settings)} | OUTSIDE
    for path in DEPLOY.iterdir():
        assert set(re.findall(r"PROMPTBANK_[A-Z_]+", path.read_text())) <= known, path


def test_the_unit_starts_a_command_that_is_there_and_waits_for_its_stop() -> None:
    unit = configparser.ConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string((DEPLOY / "promptbank.service").read_text())
    program, *words = shlex.split(unit["Service"]["ExecStart"])
    assert program.endswith("/bin/promptbank")
    parsed(words)
    assert int(unit["Service"]["TimeoutStopSec"]) > RequestLimits().seconds
    assert "/opt/promptbank" in PAGE
    assert unit["Service"]["User"] in PAGE


def test_the_image_installs_what_there_is_and_starts_a_command() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    extras = re.search(r'"\.\[([\w,]+)\]"', text)
    assert extras
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert set(extras[1].split(",")) <= project["optional-dependencies"].keys()
    torch = re.search(r'"(torch==[\d.]+)"', text)
    assert torch
    assert torch[1] in (ROOT / "constraints.txt").read_text().split()
    for line in re.findall(r"^(?:CMD|ENTRYPOINT) (\[.*\])$", text, re.MULTILINE):
        assert all(isinstance(word, str) for word in yaml.safe_load(line))
    parsed(yaml.safe_load(re.findall(r"^CMD (\[.*\])$", text, re.MULTILINE)[0]))
    assert "/livez" in text


def test_compose_names_what_it_has_and_starts_commands_in_order() -> None:
    text = (DEPLOY / "compose.yaml").read_text()
    compose = yaml.safe_load(text)
    services = compose["services"]
    for name, service in services.items():
        for needed, condition in service.get("depends_on", {}).items():
            assert needed in services
            is_healthy = condition["condition"] == "service_healthy"
            assert ("healthcheck" in services[needed]) >= is_healthy
        assert {volume.split(":")[0] for volume in service["volumes"]} <= compose["volumes"].keys()
        if name != "database":
            parsed(service["command"])
            assert (DEPLOY.parent / service["build"]["dockerfile"]).is_file()
    assert services["service"]["depends_on"].keys() == {"migrate"}
    assert int(services["service"]["stop_grace_period"].removesuffix("s")) > RequestLimits().seconds
    parsed(shlex.split(re.findall(r"run --rm service (.*)", text)[0]))
