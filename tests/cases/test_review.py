"""A person decides any row, an edit passes the checks of a translation, and decisions can be listed and changed.

Everything goes through the commands, as a person who reviews would use them.
"""

import csv
import errno
import json
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from promptbank import files
from promptbank.bank.session import Bank
from promptbank.cli import build_app
from promptbank.config import load_settings
from translate.review.items import flagged
from translate.review.lines import parse_items
from translate.review.table import read_answers, write_items

ROWS = {
    "1": ("where is order 50312", "var är beställning 50312"),
    "2": ("it arrived on friday", "den kom på måndag"),
    "3": ("call me on 070-123 45 67", "ring mig på 070-123 45 67"),
    "4": ("the lamp is broken", "lampan är trasig"),
}
SCORES = {"1": -0.9, "2": -0.2, "3": -1.5, "4": -0.1}


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROMPTBANK_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    rows = ({"taskname": "sentiment-task", "sentence": s, "label": "negative", "id": k} for k, (s, _) in ROWS.items())
    Path("rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    known = ({"source": s, "target": t, "score": SCORES[k]} for k, (s, t) in ROWS.items())
    Path("known.jsonl").write_text("".join(json.dumps(row) + "\n" for row in known))


def cli(*arguments: str) -> tuple[int, str, str]:
    found = CliRunner().invoke(build_app(), arguments)
    return found.exit_code, found.stdout, found.stderr


def translated(*more: str) -> dict[str, int]:
    data = ("translate", "--data", "rows.jsonl", "--engine", "recorded:known.jsonl", "--out", "sv", "--json")
    code, out, err = cli(*data, *more)
    assert code == 0, err
    return json.loads(out)


def shown() -> list[dict[str, str]]:
    with Path("sv/review.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def decide(**decisions: tuple[str, str]) -> tuple[int, str, str]:
    """Write decisions and texts into the review file by row id, and apply it."""
    rows = shown()
    for row in rows:
        row["decision"], row["edited_text"] = decisions.get(f"row{row['row_id']}", ("", ""))
    with Path("sv/review.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return cli("mt", "review", "apply", "sv/review.csv")


def texts() -> dict[str, str]:
    rows = map(json.loads, Path("sv/rows.jsonl").read_text().splitlines())
    return {row["id"]: row["sentence"] for row in rows}


def test_a_page_decides_and_writes_the_set_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.consoles import Browser

    translated()
    (hash_,) = (row["source_hash"] for row in shown())
    with Bank(load_settings({"home": tmp_path / "home"}, {})[0]) as bank:
        browser = Browser(bank, review=[tmp_path])
        browser.open("/review/record", set="sv")
        edit = {"set": "sv", "hash": hash_, "revision": "0", "do": "edit", "text": "den kom på fredag"}
        browser.send("/review/record", edit)
        assert browser.answer.status_code == 200
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")  # the service may run in another folder
        browser.send("/review/apply", set="sv", write="1")
        assert "The set is written again: 4 rows, 4 written, 1 ok" in browser.text
        monkeypatch.chdir(tmp_path)
        assert texts()["2"] == "den kom på fredag"
        assert shown() == []
        browser.open("/review/record", set="sv", which="all", state="decided")
        assert "kept in the bank: ok" in browser.text or "decided: edit" in browser.text
    assert translated() == translated()


def test_all_rows_are_shown_the_worst_first_then_by_score() -> None:
    counts = translated()
    assert [row["row_id"] for row in shown()] == ["2"]  # friday became monday
    assert (counts["ok"], counts["unchecked"], counts["review"]) == (0, 3, 1)
    translated("--all-rows")
    assert [row["row_id"] for row in shown()] == ["2", "3", "1", "4"]
    assert [row["score"] for row in shown()] == ["-0.20", "-1.50", "-0.90", "-0.10"]


REFUSED = {
    "var är beställning 50321": ("row1", "entity_lost: lost: 50312"),
    "den kom på torsdag": ("row2", "date_mismatch"),
    "ring mig på 070-123 45 76": ("row3", "entity_lost: lost: 070-123 45 67"),
    "the lamp is broken": ("row4", "copy: chrF 100"),
    "lampan lampan lampan är trasig": ("row4", "repetition"),
    "[lampan är trasig": ("row4", "debris: left in the text: ["),
}


def test_an_edit_that_a_check_refuses_is_told_at_once_and_can_be_insisted_on() -> None:
    translated("--all-rows")
    for text, (row, reason) in REFUSED.items():
        code, _, err = decide(**{row: ("edit", text)})
        assert (code, reason in err, "write edit! if it is right" in err) == (1, True, True), err
        assert "nothing was applied" in err
    insisted = {row: ("edit!", text) for text, (row, _) in REFUSED.items()}
    code, _, err = decide(**insisted)
    assert code == 0, err
    translated()
    assert texts() == {row.removeprefix("row"): text for row, (_, text) in insisted.items()}


def test_what_a_person_decided_is_ok_and_can_be_listed_changed_and_taken_back() -> None:
    translated("--all-rows")
    assert decide(row4=("edit", "lampan är sönder"), row3=("ok", ""), row2=("drop", ""))[0] == 0
    counts = translated("--all-rows")
    assert (counts["ok"], counts["unchecked"], counts["drop"]) == (2, 1, 1)
    assert {row["row_id"]: row["decided"] for row in shown()} == {"1": "", "2": "drop", "3": "ok", "4": "ok"}
    listed = [json.loads(line) for line in cli("mt", "review", "list", "--json")[1].splitlines()]
    assert {(row["source"], row["decision"], row["text"]) for row in listed} == {
        (ROWS["4"][0], "text", "lampan är sönder"),
        (ROWS["3"][0], "text", ROWS["3"][1]),
        (ROWS["2"][0], "drop", ""),
    }
    code, _, err = decide(row4=("edit", "lampan är trasig nu"), row2=("undo", ""))
    assert code == 0, err
    counts = translated()
    assert (texts()["4"], texts()["2"], counts["review"]) == ("lampan är trasig nu", ROWS["2"][1], 1)
    left = [json.loads(line) for line in cli("mt", "review", "list", "--json")[1].splitlines()]
    assert {row["source"] for row in left} == {ROWS["4"][0], ROWS["3"][0]}
    names = [row["source_hash"] for row in left]
    assert "begins 0 decisions" in cli("mt", "review", "undo", names[0], "nonsense")[2]
    assert cli("mt", "review", "undo", *names)[0] == 0
    assert translated()["unchecked"] == 3
    assert texts()["4"] == ROWS["4"][1]


def test_a_review_file_of_an_earlier_promptbank_is_read() -> None:
    translated()
    items = Path("sv/review.jsonl")
    old = [json.loads(line) for line in items.read_text().splitlines()]
    for row in old:
        del row["score"], row["protected"], row["decided"]
    items.write_text("".join(json.dumps(row) + "\n" for row in old))
    code, _, err = decide(row2=("edit", "den kom på fredag"))
    assert code == 0, err


@pytest.mark.parametrize("lacking", ["report.html", "report.json", "review.jsonl", "rows.jsonl"])
def test_a_full_disk_leaves_all_files_or_none(lacking: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, data: bytes) -> int:
        if self.name.startswith(f"{lacking}."):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        with self.open("wb") as file:
            return file.write(data)

    monkeypatch.setattr(files.Path, "write_bytes", full)
    code, _, err = cli("translate", "--data", "rows.jsonl", "--engine", "recorded:known.jsonl", "--out", "sv")
    assert (code, "No space left" in err, "Traceback" in err) == (1, True, False)
    assert {path.name for path in Path("sv").iterdir()} <= {".lock", "status.json"}


def test_rows_that_only_ok_leaves_out_are_told() -> None:
    data = ("translate", "--data", "rows.jsonl", "--engine", "recorded:known.jsonl", "--out", "sv")
    code, _, err = cli(*data, "--only", "ok,warn,review")
    assert (code, "leaves out 3 rows without a flag that nobody has checked; add unchecked" in err) == (0, True)
    assert set(texts()) == {"2"}


@pytest.mark.parametrize("command", [("translate",), ("translate", "--lines", "rows.jsonl")])
def test_a_language_is_not_translated_into_itself(command: tuple[str, ...]) -> None:
    code, _, err = cli(*command, "--src", "en", "--tgt", "en", "--engine", "copy")
    assert (code, "--src and --tgt are both 'en'" in err) == (1, True)


def test_the_engines_for_a_pair_advise_no_package_of_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    code, out, _ = cli("mt", "engines", "--tgt", "sv")
    assert (code, "Apertium is not installed" in out, "-gl" in out) == (0, True, False)


SETS = {
    "source\ttarget\na cat\ten katt\n": "is a header",
    "en\tsv\na cat\ten katt\n": "is a header",
    "English\tSwedish\na cat\ten katt\n": "is a header",
    "a cat\ten katt\na dog\t\na bird\t  \n": "2 pairs have no reference (pair 2, 3)",
    "a cat\ten katt\n\ten hund\n": "1 pair has no source text (pair 2)",
}


@pytest.mark.parametrize("text", SETS)
def test_what_is_no_pair_is_not_scored(text: str) -> None:
    Path("set.tsv").write_text(text)
    code, _, err = cli("mt", "score", "--engine", "copy", "--set", "set.tsv")
    assert (code, SETS[text] in err) == (1, True), err


def test_pairs_that_look_a_little_like_a_header_are_scored() -> None:
    Path("set.tsv").write_text("text\ttext\nsource\tkälla\n")
    code, out, err = cli("mt", "score", "--engine", "copy", "--set", "set.tsv", "--json")
    assert (code, [json.loads(line)["rows"] for line in out.splitlines()]) == (0, [2, 2]), err


@pytest.mark.parametrize("odd", ["\x1b[31m", "\x07", "\x9b2J", "\u202e", "\r"])
def test_control_characters_of_tasknames_and_labels_reach_no_terminal(odd: str) -> None:
    for row in ({"taskname": f"a{odd}b"}, {"taskname": "sentiment-task", "label": f"x{odd}"}):
        Path("odd.jsonl").write_text(json.dumps({"sentence": "x y", "label": "positive", "id": "1"} | row) + "\n")
        for more in ((), ("--card", "card.jsonl")):
            card = {"taskname": f"m{odd}x", "prompt_template": "<|VIRTUAL_PROMPT_0|>{sentence} {label}"}
            card |= {"total_virtual_tokens": 1, "virtual_token_splits": [1], "label_space": {"p": ["p"], "q": ["q"]}}
            Path("card.jsonl").write_text(json.dumps(card) + "\n")
            found = CliRunner().invoke(
                build_app(), ["translate", "--data", "odd.jsonl", "--engine", "copy", *more], color=True
            )
            assert found.exit_code == 1
            assert odd not in found.stderr


CELLS = ["=cmd", "a;=cmd", "a;\t+1", "a\n-x", "a|@x", "\uff1d1+1", "a;\uff0b1", "\r=1", "\t=1"]


@pytest.mark.parametrize("cell", CELLS)
def test_no_part_of_a_cell_begins_as_a_formula_and_nothing_is_lost(cell: str) -> None:
    translated()
    (item,) = flagged(parse_items(Path("sv/review.jsonl").read_text(), "x"))
    written = write_items([replace(item, source=cell, translation=cell, text=cell, label=cell)])
    for part in re.split(r"[;\t\r\n|,]", written):
        assert not re.match(r"\"?[=+@\uff1d\uff0b\uff0d\uff20]|\"?-(?!\d)", part), part
    assert read_answers(written, "x")[0].shown == cell
