"""docs/new-language.md: its commands have the options that they are given, and the first steps do what it says."""

from __future__ import annotations

import re
import shlex
import zipfile
from collections.abc import Iterator
from pathlib import Path

import click
import polib
import pytest
import typer

from promptbank.cli import build_app
from tests.conftest import Promptbank
from tests.stores import ROOT

PAGE = (ROOT / "docs" / "new-language.md").read_text(encoding="utf-8")
PAIRS = [(f"Close window number {n} now.", f"Lokaðu glugga númer {n} núna.") for n in range(40)]


def commands() -> Iterator[list[str]]:
    for block in re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL):
        for line in block.splitlines():
            if line.startswith("promptbank "):
                yield shlex.split(line)[1:]


@pytest.mark.parametrize("words", list(commands()), ids=" ".join)
def test_a_command_has_the_options_that_the_page_gives_it(words: list[str]) -> None:
    command, context = typer.main.get_command(build_app()), None
    while isinstance(command, click.Group):
        context = click.Context(command, parent=context)
        name, words = words[0], words[1:]
        found = command.get_command(context, name)
        assert found is not None, name
        command = found
    assert command.make_context(command.name or "", words, parent=context).params


def test_every_step_has_a_heading_and_a_time_that_is_measured_or_says_that_it_is_not() -> None:
    steps = re.findall(r"^\| (\d) [^|]*\| ([^|]*)\|", PAGE, re.MULTILINE)
    assert [int(number) for number, _ in steps] == [int(n) for n in re.findall(r"^## (\d)\. ", PAGE, re.MULTILINE)]
    assert all(re.search("not measured yet|person|seconds", time) for _, time in steps)


def test_the_corpus_commands_of_the_page_run(
    promptbank: Promptbank, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PROMPTBANK_HOME", str(tmp_path / "home"))
    catalog = polib.POFile()
    catalog.metadata = {"Content-Type": "text/plain; charset=UTF-8"}
    catalog.extend(polib.POEntry(msgid=src, msgstr=tgt) for src, tgt in PAIRS)
    folder = tmp_path / "home" / "mt" / "en-is" / "catalogs" / "shop" / "is" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    catalog.save_as_mofile(str(folder / "shop.mo"))
    with zipfile.ZipFile("en-is.txt.zip", "w") as archive:
        for lang, text in (("en", "Wake me at nine am.\n"), ("is", "Vektu mig klukkan níu f. h.\n")):
            archive.writestr(f"Tatoeba.en-is.{lang}", text)
    Path("dev.tsv").write_text("{}\t{}\n".format(*PAIRS[0]))
    run = [words for words in commands() if words[:2] == ["mt", "corpus"] and words[2] != "fetch"]
    results = [promptbank(*words, "--json") for words in run]
    assert [(result.exit_code, result.stderr) for result in results if result.exit_code] == []
    assert [words[2] for words in run] == ["filter", "build", "stats"]
    assert '"catalogs": {"evaluation": 1, "header": 1}' in results[2].stdout
    assert "values.v1" in results[2].stdout
