"""Commands read whatever `tasks.reading` reads: one reader behind every `--data`, and columns under other names.

Kinds of file as people have them: banking77's CSV (text, category), UTF-16 as spreadsheets write "Unicode text",
Stack Overflow's "Is a directory" and "Expecting value: line 1 column 1", SemEval's TSV, jq's pretty-printed objects.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Promptbank

SMALL = ("--epochs", "1", "--dev-fraction", "0.3")
COLUMNS = ("--columns", "sentence=Message text,label=Tone")


def rows() -> list[dict[str, str]]:
    return [json.loads(line) for line in Path("data.jsonl").read_text().splitlines()]


def table(separator: str, named: dict[str, str] | None = None) -> str:
    out = io.StringIO()
    keys = ["sentence", "label", "id"]
    writer = csv.writer(out, delimiter=separator, lineterminator="\n")
    writer.writerow([(named or {}).get(key, key) for key in keys])
    writer.writerows([row[key] for key in keys] for row in rows())
    return out.getvalue()


def folder() -> str:
    import datasets

    parts = {"train": rows()[:9], "test": rows()[9:]}
    saved = datasets.DatasetDict({name: datasets.Dataset.from_list(part) for name, part in parts.items()})
    saved.save_to_disk("saved")
    return "saved"


def file(name: str, content: bytes) -> str:
    Path(name).write_bytes(content)
    return name


FORMATS: dict[str, Callable[[], str]] = {
    "json array": lambda: file("a.json", json.dumps(rows()).encode()),
    "pretty-printed": lambda: file("p.json", "\n".join(json.dumps(row, indent=2) for row in rows()).encode()),
    "csv": lambda: file("c.csv", table(",").encode()),
    "semicolons": lambda: file("s.csv", b"sep=;\n" + table(";").encode()),
    "tsv": lambda: file("t.tsv", table("\t").encode()),
    "no ending": lambda: file("data", table(",").encode()),
    "gzip": lambda: file("g.csv.gz", gzip.compress(table(",").encode())),
    "utf-16": lambda: file("u.txt", table("\t").encode("utf-16")),
    "byte-order mark": lambda: file("b.csv", table(",").encode("utf-8-sig")),
    "folder": folder,
}


@pytest.mark.parametrize("name", FORMATS)
def test_predict_reads_every_format_to_the_same_answers(learnt: Promptbank, name: str) -> None:
    wanted = learnt("predict", "--data", "data.jsonl", "--task", "sentiment-task", "--json")
    found = learnt("predict", "--data", FORMATS[name](), "--task", "sentiment-task", "--json")
    assert (found.exit_code, found.stdout) == (0, wanted.stdout), found.stderr


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "folder"])
def test_stdin_is_read_in_every_format_too(learnt: Promptbank, name: str) -> None:
    from typer.testing import CliRunner

    from promptbank.cli import build_app

    wanted = learnt("predict", "--data", "data.jsonl", "--task", "sentiment-task", "--json")
    given, command = (
        Path(FORMATS[name]()).read_bytes(),
        ["predict", "--data", "-", "--task", "sentiment-task", "--json"],
    )
    found = CliRunner().invoke(build_app(), command, input=given)
    assert (found.exit_code, found.stdout) == (0, wanted.stdout), found.stderr


@pytest.mark.parametrize("column", ["sentence", "Message text"])
def test_one_column_is_read_by_the_field_that_the_task_needs(learnt: Promptbank, column: str) -> None:
    from typer.testing import CliRunner

    from promptbank.cli import build_app

    content = "\n".join([column, *(f'"{row["sentence"]}"' for row in rows())]).encode()
    named = () if column == "sentence" else ("--columns", f"sentence={column}")
    given = ("predict", "--task", "sentiment-task", *named, "--data")
    wanted = learnt(*given, file("q.csv", content))
    assert len(wanted.stdout.splitlines()) == 16
    assert learnt(*given, file("q.txt", content)).stdout == wanted.stdout
    assert CliRunner().invoke(build_app(), [*given, "-"], input=content).stdout == wanted.stdout
    told = learnt(*given, file("lines.txt", b"So it is. Or not.\n"))
    key = "sentence" if column == "sentence" else f'"{column}"'
    assert (told.exit_code, f"jq -Rc '{{{key}: .}}' lines.txt" in told.stdout + told.stderr) == (1, True)


@pytest.mark.parametrize("name", ["json array", "semicolons", "gzip", "utf-16"])
def test_training_on_another_format_is_the_training_on_json_lines(learnt: Promptbank, name: str) -> None:
    Path("lines.jsonl").write_text(
        "".join(json.dumps({k: v for k, v in r.items() if k != "taskname"}) + "\n" for r in rows())
    )
    for data in ("lines.jsonl", FORMATS[name]()):
        done = learnt("train", "--task", "sentiment-task", "--data", data, *SMALL, "--json")
        assert done.exit_code == 0, done.stderr
    listed = [json.loads(line) for line in learnt("bank", "list", "--all", "--json").stdout.splitlines()]
    assert len({row["sha256"] for row in listed}) == 1


def test_columns_under_other_names_are_read_by_every_command(learnt: Promptbank) -> None:
    data = file("own.csv", table(";", {"sentence": "Message text", "label": "Tone"}).encode())
    wanted = json.loads(learnt("evaluate", "--task", "sentiment-task", "--data", "data.jsonl", "--json").stdout)
    found = learnt("evaluate", "--task", "sentiment-task", "--data", data, *COLUMNS, "--json")
    assert found.exit_code == 0, found.stderr
    assert json.loads(found.stdout)["accuracy"] == wanted["accuracy"]
    assert learnt("train", "--task", "sentiment-task", "--data", data, *COLUMNS, *SMALL).exit_code == 0
    drawn = learnt("tasks", "sample", "--task", "sentiment-task", "--data", data, *COLUMNS, "--per-class", "2")
    assert [json.loads(line)["label"] for line in drawn.stdout.splitlines()].count("positive") == 2
    told = learnt("predict", "--data", data, "--columns", "sentence=Message text", "--task", "sentiment-task")
    assert len(told.stdout.splitlines()) == 16
    shown = learnt("evaluate", "--task", "sentiment-task", "--data", data, "--columns", "sentence=text")
    assert "and 13 more: column 'text' is missing; the record has 'Message text', 'Tone', 'id'" in shown.stderr
    wrong = learnt("train", "--task", "sentiment-task", "--data", data, "--columns", "sentence")
    assert (wrong.exit_code, "text=utterance,label=intent" in " ".join(wrong.stderr.split())) == (2, True)


def test_a_translation_reads_a_table_and_writes_json_lines(learnt: Promptbank) -> None:
    data = file("own.csv", table(";", {"sentence": "Message text", "label": "Tone"}).encode())
    given = ("--task", "sentiment-task", "--engine", "copy", "--fallback", "none", "--align", "none", "--out", "out")
    done = learnt("translate", "--data", data, *COLUMNS, *given)
    assert done.exit_code == 0, done.stderr
    written = [json.loads(line) for line in Path("out/own.jsonl").read_text().splitlines()]
    assert [row["id"] for row in written] == [row["id"] for row in rows()]
    assert {row["lang"] for row in written} == {"sv"}


def test_what_is_not_read_is_said_once_with_the_line_that_converts_it(learnt: Promptbank) -> None:
    data = file("win.csv", "sentence,label\nköp,positive\nbra år,positive\n".encode("cp1252"))
    for command in (("train",), ("evaluate",), ("predict",)):
        done = learnt(*command, "--task", "sentiment-task", "--data", data)
        assert done.exit_code == 1
        assert (done.stdout + done.stderr).count("iconv -f CP1252 -t UTF-8 win.csv > win.csv.utf8") == 1


def test_a_mixed_file_trains_the_named_task_and_says_how_many_it_left(learnt: Promptbank) -> None:
    other = [{"taskname": "topic-task", "sentence": "x", "label": "y"}, {"taskname": "sentiment-task", "lang": "sv"}]
    mixed = [*other[:1] * 3, *rows(), *other[1:]]
    Path("mixed.jsonl").write_text("".join(json.dumps(row) + "\n" for row in mixed))
    done = learnt("train", "--task", "sentiment-task", "--data", "mixed.jsonl", *SMALL)
    assert done.exit_code == 0, done.stderr
    left = "16 examples from mixed.jsonl, without 4 of other tasks (sentiment-task:sv 1, topic-task 3)"
    assert left in done.stderr
    only = file("topics.jsonl", json.dumps(other[0]).encode())
    none = learnt("evaluate", "--task", "sentiment-task", "--data", only)
    assert "topics.jsonl: no record is of sentiment-task:en; there are topic-task 1" in none.stderr


def test_all_tasks_of_a_file_are_learnt_when_that_is_asked_for(promptbank: Promptbank) -> None:
    cards = [
        {
            "taskname": name,
            "prompt_template": "{sentence}<|VIRTUAL_PROMPT_0|> {label}",
            "total_virtual_tokens": 2,
            "virtual_token_splits": [2],
            "label_space": {"positive": ["good"], "negative": ["bad"]},
        }
        for name in ("mood", "tone", "unused")
    ]
    Path("cards.json").write_text(json.dumps(cards, indent=1))
    mixed = [{**row, "taskname": name} for row in rows() for name in ("tone", "mood")]
    Path("mixed.json").write_text(json.dumps(mixed))
    done = promptbank("train", "--all-tasks", "--card", "cards.json", "--data", "mixed.json", *SMALL, "--json")
    assert done.exit_code == 0, done.stderr
    assert [json.loads(line)["taskname"] for line in done.stdout.splitlines()] == ["tone", "mood"]
    for given in (("--task", "mood", "--data", "mixed.json"), ()):
        wrong = promptbank("train", "--all-tasks", "--card", "cards.json", *given)
        assert (wrong.exit_code, "--all-tasks goes with --data" in " ".join(wrong.stderr.split())) == (2, True)
    Path("nameless.json").write_text(json.dumps([{"sentence": "x", "label": "good"}]))
    told = promptbank("train", "--all-tasks", "--card", "cards.json", "--data", "nameless.json", *SMALL)
    assert 'nameless.json:record 1: the record names no task; give it a "taskname"' in told.stderr
