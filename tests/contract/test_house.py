"""The house: rooms are ours, importing does nothing, exports are true, every error has its place."""

from __future__ import annotations

import importlib
import pkgutil
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import promptbank
from promptbank.problems import EXPECTED, problem_of
from tests.stores import ROOT

ROOMS = ("promptbank", "store", "tasks", "translate")


RUN_NOT_IMPORTED = ("promptbank.__main__", "store.migrations.env")


def modules() -> list[str]:
    found = list(ROOMS)
    for room in ROOMS:
        package = importlib.import_module(room)
        found += [m.name for m in pkgutil.walk_packages(package.__path__, f"{room}.") if m.name not in RUN_NOT_IMPORTED]
    return found


@pytest.mark.parametrize("room", ROOMS)
def test_each_room_is_ours(room: str) -> None:
    # two distributions on PyPI also install a top-level "translate"
    assert Path(importlib.import_module(room).__file__ or "").is_relative_to(ROOT)


@pytest.mark.parametrize("name", modules())
def test_every_exported_name_exists_once(name: str) -> None:
    module = importlib.import_module(name)
    exported = list(getattr(module, "__all__", []))
    assert [n for n in exported if not hasattr(module, n)] == []
    assert len(set(exported)) == len(exported)
    assert (module.__doc__ or "").strip()


def imported_by(code: str, home: Path) -> set[str]:
    """Names of the modules that a fresh process has after running some code in an empty home."""
    script = f"import sys; {code}; print('\\n'.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": "/usr/bin:/bin", "HOME": str(home), "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
    )
    return set(done.stdout.splitlines())


@pytest.mark.parametrize("room", [*ROOMS, "promptbank.cli", "promptbank.problems", "promptbank.model.backbone"])
def test_importing_a_room_loads_no_torch_and_writes_nothing(room: str, tmp_path: Path) -> None:
    found = imported_by(f"import {room}", tmp_path)
    assert not found & {"torch", "transformers", "datasets"}
    assert list(tmp_path.rglob("*")) == []


def test_help_loads_no_torch(tmp_path: Path) -> None:
    code = "from typer.testing import CliRunner; from promptbank.cli import build_app; "
    code += "assert CliRunner().invoke(build_app(), ['train', '--help']).exit_code == 0"
    assert "torch" not in imported_by(code, tmp_path)


def test_checking_a_card_loads_no_torch_even_when_it_is_faulty(tmp_path: Path) -> None:
    (tmp_path / "card.jsonl").write_text('{"taskname": "mood"}\n')
    code = "from typer.testing import CliRunner; from promptbank.cli import build_app; "
    arguments = ["tasks", "check", str(tmp_path / "card.jsonl")]
    code += f"assert CliRunner().invoke(build_app(), {arguments}).exit_code == 3"
    assert "torch" not in imported_by(code, tmp_path)


@pytest.mark.parametrize(
    "arguments", [["bank", "list"], ["bank", "list", "--all", "--json"], ["tasks", "list"]], ids=" ".join
)
def test_listing_what_there_is_loads_no_torch(arguments: list[str], tmp_path: Path, sqlite_template: Path) -> None:
    (tmp_path / ".promptbank").mkdir()
    shutil.copy(sqlite_template, tmp_path / ".promptbank" / "bank.db")
    code = "from typer.testing import CliRunner; from promptbank.cli import build_app; "
    code += f"assert CliRunner().invoke(build_app(), {arguments}).exit_code == 0"
    assert not imported_by(code, tmp_path) & {"torch", "transformers"}
    assert [path.name for path in (tmp_path / ".promptbank").iterdir()] == ["bank.db"]


@pytest.mark.parametrize("command", ["show", "rollback"])
def test_looking_up_a_row_loads_no_torch(command: str, tmp_path: Path, sqlite_template: Path) -> None:
    arguments = ["bank", command, "mood", "--db", str(sqlite_template)]
    code = "from typer.testing import CliRunner; from promptbank.cli import build_app; "
    code += f"assert 'unknown task' in CliRunner().invoke(build_app(), {arguments}).stderr"
    assert not imported_by(code, tmp_path) & {"torch", "transformers"}


@pytest.mark.parametrize(
    "module", ["promptbank.problems", "promptbank.errors", "promptbank.bank.session", "promptbank.bank.select"]
)
def test_errors_and_an_open_bank_load_no_torch(module: str, tmp_path: Path) -> None:
    assert not imported_by(f"import {module}", tmp_path) & {"torch", "transformers"}


def all_errors() -> list[type[Exception]]:
    for name in modules():
        importlib.import_module(name)

    def below(kind: type[Exception]) -> Iterator[type[Exception]]:
        yield kind
        for child in kind.__subclasses__():
            yield from below(child)

    return sorted({e for base in EXPECTED for e in below(base)}, key=lambda e: e.__qualname__)


@pytest.mark.parametrize("error", all_errors(), ids=lambda e: e.__qualname__)
def test_every_error_of_every_room_has_a_status_and_an_exit_code(error: type[Exception]) -> None:
    made = error.__new__(error)
    Exception.__init__(made, "what was wrong")
    problem = problem_of(made)
    assert 400 <= problem.status < 600
    assert problem.exit_code == 1


def test_every_error_class_of_the_rooms_is_an_expected_one() -> None:
    strays = []
    for name in modules():
        for key, value in vars(importlib.import_module(name)).items():
            ours = isinstance(value, type) and issubclass(value, Exception) and value.__module__ == name
            if ours and not issubclass(value, EXPECTED):
                strays.append(f"{name}.{key}")
    assert strays == []


@pytest.mark.parametrize("name", [name for name in modules() if name.endswith(".errors")])
def test_the_tree_of_errors_draws_every_error(name: str) -> None:
    module = importlib.import_module(name)
    made = [k for k, v in vars(module).items() if isinstance(v, type) and issubclass(v, EXPECTED)]
    here = [k for k in made if getattr(module, k).__module__ == name]
    assert here
    assert [k for k in here if not re.search(rf"\b{k}\b", module.__doc__ or "")] == []


def test_an_error_that_is_not_ours_is_a_bug() -> None:
    with pytest.raises(TypeError, match="not an expected error"):
        problem_of(ValueError("x"))


def test_all_documents_say_the_same_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == promptbank.__version__
    assert f"## [{promptbank.__version__}]" in (ROOT / "CHANGELOG.md").read_text()


def readme_tree() -> dict[str, str]:
    """Every path of the README's tree, and its comment."""
    text = (ROOT / "README.md").read_text().partition("<!-- tree -->")[2].partition("<!-- /tree -->")[0]
    found: dict[str, str] = {}
    folders: list[str] = []
    for line in text.strip().strip("`").strip().splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        name, _, comment = line.strip().partition(" ")
        found["".join(folders[:depth]) + name] = comment.strip()
        folders[depth:] = [name]
    return found


def test_the_readme_tree_is_the_tree_with_one_line_a_file() -> None:
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.splitlines()
    if not listed:
        pytest.skip("not a git checkout, so what belongs to the tree is not known")
    rooms = [path for path in listed if path.partition("/")[0] in ROOMS]
    expected = {path.partition("/")[0] + ("/" if "/" in path else "") for path in listed} - {".gitignore"}
    expected |= {path for path in rooms if path.endswith(".py") and not path.endswith("__init__.py")}
    expected |= {f"{folder}/" for path in rooms for folder in map(str, Path(path).parents) if folder != "."}
    tree = readme_tree()
    assert set(tree) == expected
    assert [path for path, comment in tree.items() if not comment] == []
