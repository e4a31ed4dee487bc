"""The command line as a user meets it: data on stdout, one line for an error, exit codes 0 to 3."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Promptbank
from tests.stores import ROOT

CARD = {
    "taskname": "mood",
    "prompt_template": "{sentence}<|VIRTUAL_PROMPT_0|> {label}",
    "total_virtual_tokens": 3,
    "virtual_token_splits": [3],
    "label_space": {"positive": ["good"], "negative": ["bad"]},
}
SMALL = ("--epochs", "1", "--dev-fraction", "0.3")
FIELDS = ("--text", "sentence", "--label", "label")


def lines(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


def error(result) -> str:
    assert result.exit_code == 1, result.output
    assert result.stdout == ""
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("error: ")
    assert "Traceback" not in result.stderr
    return last


def test_predictions_come_one_a_line_in_the_order_of_the_input(learnt: Promptbank) -> None:
    result = learnt("predict", "--data", "data.jsonl", "--json")
    answers = lines(result.stdout)
    assert len(answers) == 16
    alone = lines(
        learnt("predict", "--data", "-", "--json", stdin=Path("data.jsonl").read_text().splitlines()[11]).stdout
    )
    assert answers[11]["probabilities"] == pytest.approx(alone[0]["probabilities"], abs=1e-4)
    assert [answer["id"] for answer in answers] == [row["id"] for row in lines(Path("data.jsonl").read_text())]
    assert set(answers[0]) == {"id", "taskname", "lang", "version", "sha256", "label", "probabilities", "margin"}
    assert sum(answers[0]["probabilities"].values()) == pytest.approx(1)


def test_a_bad_line_has_its_error_in_its_place_and_the_exit_code_says_so(learnt: Promptbank) -> None:
    good = json.dumps({"taskname": "sentiment-task", "sentence": "fine"})
    bad = [
        "{broken",
        '{"taskname": "sentimnt-task", "sentence": "x"}',
        '{"taskname": "sentiment-task"}',
        '{"sentence": "\\ud800"}',
    ]
    result = learnt("predict", "--data", "-", "--json", stdin="\n".join([good, *bad, good]) + "\n")
    answers = lines(result.stdout)
    assert result.exit_code == 1
    assert "4 of 6 records" in result.stderr
    assert ["label" in answer for answer in answers] == [True, False, False, False, False, True]
    assert [answer["status"] for answer in answers[1:5]] == [422, 404, 422, 422]
    assert "stdin:2: broken JSON at column 2" in answers[1]["detail"]
    assert "did you mean sentiment-task?" in answers[2]["detail"]


def test_the_gold_answer_is_ignored_at_inference(learnt: Promptbank) -> None:
    record = {"taskname": "sentiment-task", "sentence": "profit rose"}
    answers = [
        learnt("predict", "--data", "-", "--json", stdin=json.dumps(record | extra)).stdout
        for extra in ({}, {"label": "positive"}, {"label": "negative"}, {"label": 7})
    ]
    assert len(set(answers)) == 1


def test_an_evaluation_is_printed_and_kept(learnt: Promptbank) -> None:
    found = lines(learnt("evaluate", "--task", "sentiment-task", "--data", "data.jsonl", "--json").stdout)[0]
    predicted = [a["label"] for a in lines(learnt("predict", "--data", "data.jsonl", "--json").stdout)]
    gold = [row["label"] for row in lines(Path("data.jsonl").read_text())]
    assert found["accuracy"] == sum(g == p for g, p in zip(gold, predicted, strict=True)) / 16
    kept = lines(learnt("bank", "show", "sentiment-task", "--json").stdout)[0]["evaluations"]
    assert [(e["split"], e["dtype"], e["metrics"]["n"]) for e in kept] == [
        ("dev", "float32", kept[0]["metrics"]["n"]),
        ("test", "float32", 16),
    ]


def test_versions_roll_back_and_the_bank_verifies(learnt: Promptbank) -> None:
    assert learnt("train", "--task", "sentiment-task", "--data", "data.jsonl", "--seed", "1", *SMALL).exit_code == 0
    rows = lines(learnt("bank", "list", "--all", "--json").stdout)
    assert [(row["version"], row["aliases"]) for row in rows] == [(1, []), (2, ["live"])]
    assert lines(learnt("bank", "rollback", "sentiment-task", "--json").stdout)[0] == {
        "taskname": "sentiment-task", "lang": "en", "from": 2, "to": 1,
    }  # fmt: skip
    assert lines(learnt("predict", "--data", "data.jsonl", "--json").stdout)[0]["version"] == 1
    verified = learnt("bank", "verify", "--logits", "--json")
    assert (verified.exit_code, lines(verified.stdout)[0]) == (0, {"rows": 2, "skipped": 0, "faults": []})
    assert "nothing" not in error(learnt("bank", "rollback", "sentiment-task"))
    assert learnt("train", "--task", "sentiment-task", "--data", "data.jsonl", "--seed", "2", *SMALL).exit_code == 0
    assert lines(learnt("bank", "rollback", "sentiment-task@2", "--json").stdout)[0]["to"] == 2
    assert lines(learnt("predict", "--data", "data.jsonl", "--json").stdout)[0]["version"] == 2
    assert "version 2 of sentiment-task:en is live already" in error(learnt("bank", "rollback", "sentiment-task@2"))
    assert "no version 9" in error(learnt("bank", "rollback", "sentiment-task@9"))


def test_a_changed_byte_is_a_check_that_says_no(learnt: Promptbank, home: Path) -> None:
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(home / "bank.db")) as attacker:
        for (name,) in attacker.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            attacker.execute(f"DROP TRIGGER {name}")
        data = bytearray(attacker.execute("SELECT data FROM prompt_row").fetchone()[0])
        data[5] ^= 1
        attacker.execute("UPDATE prompt_row SET data = ?", (bytes(data),))
        attacker.commit()
    verified = learnt("bank", "verify")
    assert verified.exit_code == 3
    assert "sha256" in verified.stderr
    refused = lines(learnt("predict", "--data", "data.jsonl", "--json").stdout)
    assert {answer["type"] for answer in refused} == {"tampered-row"}


def test_a_row_travels_as_a_file_of_kilobytes(learnt: Promptbank, tmp_path: Path) -> None:
    before = lines(learnt("predict", "--data", "data.jsonl", "--json").stdout)
    assert learnt("bank", "export", "sentiment-task", "--out", "row.safetensors").exit_code == 0
    assert Path("row.safetensors").stat().st_size < 20_000
    other = ("--home", str(tmp_path / "other"))
    assert learnt("bank", "import", "row.safetensors", *other).exit_code == 0
    assert lines(learnt("predict", "--data", "data.jsonl", "--json", *other).stdout) == before


def test_a_card_of_ones_own_is_checked_added_trained_and_asked(promptbank: Promptbank) -> None:
    Path("card.jsonl").write_text(json.dumps(CARD))
    rows = (json.loads(line) | {"taskname": "mood"} for line in Path("data.jsonl").read_text().splitlines())
    Path("mood.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert promptbank("tasks", "check", "card.jsonl").exit_code == 0
    assert lines(promptbank("tasks", "add", "card.jsonl", "--json").stdout)[0]["added"] is True
    assert lines(promptbank("tasks", "add", "card.jsonl", "--json").stdout)[0]["added"] is False
    assert promptbank("train", "--task", "mood", "--data", "mood.jsonl", *SMALL).exit_code == 0
    assert lines(promptbank("predict", "--data", "mood.jsonl", "--json").stdout)[0]["taskname"] == "mood"
    shown = lines(promptbank("tasks", "show", "mood").stdout)[0]
    assert shown["prompt_template"] == CARD["prompt_template"]
    assert ("mood", "bank") in {
        (r["taskname"], r["origin"]) for r in lines(promptbank("tasks", "list", "--json").stdout)
    }


def test_train_with_a_card_file_adds_the_card_too(promptbank: Promptbank) -> None:
    Path("card.jsonl").write_text(json.dumps(CARD | {"taskname": "sentiment-task"}))
    result = promptbank("train", "--card", "card.jsonl", "--data", "data.jsonl", "--json", *SMALL)
    assert lines(result.stdout)[0]["taskname"] == "sentiment-task"
    assert len(lines(promptbank("tasks", "show", "sentiment-task").stdout)[0]["virtual_token_splits"]) == 1
    assert lines(promptbank("tasks", "show", "sentiment-task").stdout)[0]["total_virtual_tokens"] == 3


def test_the_articles_variant_is_told_apart_by_its_template(learnt: Promptbank) -> None:
    assert (
        learnt("train", "--task", "sentiment-task", "--card", "article", "--data", "data.jsonl", *SMALL).exit_code == 0
    )
    shown = [lines(learnt("bank", "show", f"sentiment-task@{v}", "--json").stdout)[0] for v in (1, 2)]
    assert shown[0]["template_sha256"] != shown[1]["template_sha256"]
    assert [len(s["card"]["virtual_token_splits"]) for s in shown] == [1, 2]


def test_all_faults_of_a_card_are_told_at_once(promptbank: Promptbank) -> None:
    faulty = CARD | {
        "prompt_template": "{sentence <|VIRTUAL_PROMPT_1|> {label} now",
        "truncate_field": "text",
        "lable_space": {},
    }
    Path("card.jsonl").write_text(json.dumps(faulty))
    result = promptbank("tasks", "check", "card.jsonl")
    assert result.exit_code == 3
    for part in (
        "never closed",
        "must be numbered [0]",
        "last thing",
        "'text' is no text field",
        "did you mean 'label_space'",
    ):
        assert part in result.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("train", "--task", "sentment-task"), "did you mean sentiment-task?"),
        (("train", "--task", "sentiment-task:de"), "languages: en, sv"),
        (("train", "--task", "a b@x"), "is no taskname"),
        (("train",), "name a task with --task"),
        (("train", "--task", "sentiment-task", "--data", "missing.jsonl"), "missing.jsonl cannot be read"),
        (("train", "--task", "sentiment-task", "--lr", "7"), "lr = 7.0"),
        (("train", "--task", "sentiment-task:sv"), "ships no sample"),
        (("predict", "--data", "missing.jsonl"), "missing.jsonl cannot be read"),
        (("evaluate", "--task", "sentiment-task"), "frozen: none yet"),
        (("bank", "show", "nope"), "unknown task 'nope'"),
        (("predict", "--task", "nope", "--data", "data.jsonl"), "unknown task 'nope'"),
        (("bank", "import", "data.jsonl"), "damaged or no safetensors"),
        (
            ("tasks", "init", "--data", "data.josn", *FIELDS),
            "data.josn cannot be read: No such file or directory; did you",
        ),
        (("tasks", "init", "--data", "./data.jsol", *FIELDS), "or directory; did you mean 'data.jsonl'?"),
        (
            ("tasks", "init", "--data", "data.jsonl", "--text", "label", "--label", "label"),
            "are the same column 'label'",
        ),
        (
            ("translate", "--tgt", "swedish"),
            "--tgt is 'swedish'; languages are codes such as sv or pt-BR; did you mean sv?",
        ),
        (("translate", "--src", "EN"), "--src is 'EN'; languages are codes such as sv or pt-BR; did you mean en?"),
        (("translate", "--tgt", "zzzzzz"), "--tgt is 'zzzzzz'; languages are codes such as sv or pt-BR"),
        (("config", "show", "--threads", "-1"), "must be a whole number from 0"),
    ],
)
def test_an_expected_error_is_one_helpful_line(empty_bank: Promptbank, arguments: tuple[str, ...], says: str) -> None:
    assert says in error(empty_bank(*arguments))


def test_an_empty_file_is_called_empty_by_its_name(learnt: Promptbank) -> None:
    Path("nothing.csv").touch()
    for command in (("tasks", "init", *FIELDS), ("train", "--task", "sentiment-task"), ("predict",)):
        assert "nothing.csv is empty: it holds no records; give at least one" in error(
            learnt(*command, "--data", "nothing.csv")
        )
    Path("header.csv").write_text("sentence,label\n")
    told = error(learnt("tasks", "init", *FIELDS, "--data", "header.csv"))
    assert "header.csv holds no records; give at least one" in told


def test_a_card_is_no_row_to_import_and_the_command_that_takes_it_is_named(promptbank: Promptbank) -> None:
    Path("card.json").write_text(promptbank("tasks", "show", "sentiment-task").stdout)
    told = error(promptbank("bank", "import", "card.json"))
    assert "card.json is a task card; `promptbank tasks add card.json` takes it" in told
    assert promptbank("tasks", "add", "card.json").exit_code == 0


def test_faults_of_training_data_name_file_line_and_field(promptbank: Promptbank) -> None:
    bad = [
        '{"sentence": "x", "label": "positive"}',
        "{broken",
        '{"sentence": "x", "label": "meh"}',
        '{"sentence": "x"}',
        '{"text": "x", "label": "negative"}',
        '{"sentence": "x\\u0000", "label": "negative"}',
    ]
    Path("bad.jsonl").write_text("\n".join(bad))
    told = error(promptbank("train", "--task", "sentiment-task", "--data", "bad.jsonl"))
    expected = (
        "bad.jsonl:2: broken JSON",
        "bad.jsonl:3: unknown label 'meh'",
        "bad.jsonl:4: the answer field 'label'",
        "bad.jsonl:5: field 'sentence' is missing",
        "bad.jsonl:6: field 'sentence' holds a NUL",
    )
    for part in expected:
        assert part in told
    Path("empty.jsonl").write_text("\n")
    assert "holds no records" in error(promptbank("train", "--task", "sentiment-task", "--data", "empty.jsonl"))


def test_a_home_below_a_regular_file_is_one_line(promptbank: Promptbank) -> None:
    Path("file").write_text("")
    assert "is a file, not a folder" in error(promptbank("bank", "list", "--home", "file/home"))
    assert "cannot be used" in error(promptbank("db", "migrate", "--home", "file/home"))


def test_another_backbone_is_refused(learnt: Promptbank, tmp_path: Path) -> None:
    from tests.tiny import save_tiny

    other = str(save_tiny("llama", tmp_path / "another", seed=5, window=512))
    answers = lines(learnt("predict", "--data", "data.jsonl", "--json", "--backbone", other).stdout)
    assert {answer["status"] for answer in answers} == {409}


def test_usage_errors_exit_with_two_and_debug_raises(empty_bank: Promptbank) -> None:
    assert empty_bank("train", "--no-such-option").exit_code == 2
    assert empty_bank("tasks", "convert", "csv", "data.jsonl").exit_code == 2
    result = empty_bank("bank", "show", "nope", "--debug")
    assert type(result.exception).__name__ == "UnknownTaskError"


def test_settings_say_where_they_came_from(promptbank: Promptbank, home: Path) -> None:
    home.mkdir()
    (home / "config.toml").write_text("batch_tokens = 512\n")
    found = {row["name"]: row for row in lines(promptbank("config", "show", "--threads", "1", "--json").stdout)}
    assert (found["threads"]["origin"], found["home"]["origin"]) == ("flag", "PROMPTBANK_HOME")
    assert found["batch_tokens"] == {"name": "batch_tokens", "value": "512", "origin": str(home / "config.toml")}
    assert found["max_body"]["origin"] == "default"
    (home / "config.toml").write_text("batch_token = 512\n")
    assert "unknown keys: batch_token" in error(promptbank("config", "show"))


def test_a_password_is_never_shown(promptbank: Promptbank) -> None:
    shown = promptbank("config", "show", "--db", "postgresql://me:secret@localhost/bank").output
    assert "secret" not in shown
    assert "me:***@localhost" in shown


def test_fiqa_is_converted_and_says_what_was_dropped(promptbank: Promptbank) -> None:
    targets = [{"target": "Acme", "sentiment_score": "0.5"}, {"target": "B", "sentiment_score": "-0.1"}]
    neutral = [{"target": "Acme", "sentiment_score": "0"}]
    fiqa = {"1": {"sentence": "Acme soars", "info": targets}, "2": {"sentence": "Nothing new", "info": neutral}}
    Path("fiqa.json").write_text(json.dumps(fiqa))
    result = promptbank("tasks", "convert", "fiqa", "fiqa.json", "--out", "fiqa.jsonl")
    assert "1 neutral targets dropped" in result.stderr
    rows = lines(Path("fiqa.jsonl").read_text())
    assert [row["label"] for row in rows] == ["positive", "negative"]
    assert rows[0]["sentence"] == "Acme soars Sentiment for Acme"
    assert rows[0]["group"] == rows[1]["group"]


def test_python_m_promptbank_works() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "promptbank", "--version"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert re.fullmatch(r"promptbank \d+\.\d+\.\d+\n", done.stdout)


def test_the_database_is_up_to_date_after_opening(learnt: Promptbank) -> None:
    assert learnt("bank", "list").exit_code == 0
    assert learnt("db", "check").exit_code == 0
    assert "nothing to do" in learnt("db", "migrate").stderr


def test_backbones_are_listed(promptbank: Promptbank) -> None:
    found = {row["name"]: row for row in lines(promptbank("backbone", "list", "--json").stdout)}
    assert found["gemma-3-270m"]["default"] is True
    assert found["smollm2-135m"]["installed"] is False
    assert '"window": 512' in promptbank("backbone", "show", "--json").stdout
