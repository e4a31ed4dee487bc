"""Cells of a CSV that a person left blank or misspelt, and a column of another name: one rule for every command.

Kinds: "ValueError: NaN in label column" (pandas, scikit-learn), a class with one row that is a typo (datasets'
ClassLabel), "KeyError: 'text'" once for each row, dashboards that say "1 rows".
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tasks import Example, parse_card, report_on
from tasks.dataset_report import misspelt
from tests.conftest import Promptbank

TOPICS = {"billing": "my invoice is wrong", "delivery": "where is my parcel"}
INIT = ("tasks", "init", "--text", "text", "--label", "label")


def sheet(name: str, *more: tuple[str, str]) -> str:
    """Write a CSV of eight messages of each topic, and more lines; these begin at line 18."""
    told = [(f"{text} number {n}", label) for n in range(8) for label, text in TOPICS.items()]
    Path(name).write_text("text,label\n" + "".join(f'"{text}",{label}\n' for text, label in (*told, *more)))
    return name


def drafted(promptbank: Promptbank, data: str) -> str:
    done = promptbank(*INIT, "--data", data, "--out", "card.json", "--force")
    assert done.exit_code == 0, done.stderr
    return done.stderr


def test_a_blank_text_is_a_counted_doubt_in_every_command(promptbank: Promptbank) -> None:
    data = sheet("d.csv", ("", "billing"), (" ", "delivery"))
    assert "2 texts are blank: d.csv:18, d.csv:19" in drafted(promptbank, data)
    told = "card.json", "--data", data
    checked = promptbank("tasks", "check", *told)
    assert (checked.exit_code, "2 texts are blank or punctuation only: d.csv:18, d.csv:19" in checked.stderr) == (
        0,
        True,
    )
    trained = promptbank("train", "--card", *told, "--epochs", "1", "--json")
    assert trained.exit_code == 0, trained.stderr
    name, report = json.loads(trained.stdout)["taskname"], json.loads(trained.stdout)["data"]
    assert [d["places"] for d in report["doubts"] if d["kind"] == "blank"] == [["d.csv:18", "d.csv:19"]]
    scored = promptbank("evaluate", "--task", name, "--data", data)
    assert "2 texts are blank or punctuation only: d.csv:18, d.csv:19" in scored.stderr
    for options in ((), ("--json",)):
        answered = promptbank("predict", "--task", name, "--data", data, *options)
        assert (answered.exit_code, len(answered.stdout.splitlines())) == (0, 18)
        assert "2 texts are blank and answered all the same: d.csv:18, d.csv:19" in answered.stderr


def test_a_blank_label_is_a_fault_with_its_lines_where_labels_are_read(promptbank: Promptbank) -> None:
    data = sheet("d.csv", ("late again", ""), ("and again", "  "))
    told = drafted(promptbank, data)  # a draft needs the other lines only, and says what must be mended
    assert "2 records have a blank 'label', which must be filled in before training: d.csv:18, d.csv:19" in told
    assert set(json.loads(Path("card.json").read_text())["label_space"]) == set(TOPICS)
    for command in (("tasks", "check", "card.json"), ("train", "--card", "card.json")):
        refused = promptbank(*command, "--data", data)
        assert (refused.exit_code, refused.stdout) == (1, "")
        assert refused.stderr.endswith("error: d.csv:18, d.csv:19: the answer field 'label' is blank\n")
    good = sheet("good.csv")
    assert promptbank("train", "--card", "card.json", "--data", good, "--epochs", "1").exit_code == 0
    assert promptbank("predict", "--task", "d", "--data", data).exit_code == 0  # gold answers are not looked at
    assert "'label' is blank" in promptbank("evaluate", "--task", "d", "--data", data).stderr


def test_a_blank_open_answer_is_a_fault_too() -> None:
    card = parse_card({"taskname": "gist", "prompt_template": "{text}<|VIRTUAL_PROMPT_0|> {label}",
                       "total_virtual_tokens": 1, "virtual_token_splits": [1]})  # fmt: skip
    from tasks import DataError, InputRecord, example_from

    with pytest.raises(DataError, match="f:1: the answer field 'label' is blank"):
        example_from(InputRecord(1, {"text": "a", "label": " "}, "f:1"), card, need_answer=True)


@pytest.mark.parametrize(
    ("counts", "found"),
    [
        ({"refund": 5, "refnd": 1}, {"refnd": "refund"}),  # one letter less
        ({"refund": 5, "refundd": 1}, {"refundd": "refund"}),  # one more
        ({"refund": 5, "refumd": 1}, {"refumd": "refund"}),  # another one
        ({"refund": 5, "rfeund": 1}, {"rfeund": "refund"}),  # two that changed places
        ({"återbetalning": 30, "aterbetalning": 1}, {"aterbetalning": "återbetalning"}),
        ({"refund": 5, "refnd": 2}, {}),  # twice is no slip
        ({"refund": 4, "refnd": 1}, {}),  # nothing is frequent
        ({"level 1": 9, "level 2": 1}, {}),  # a number is no slip
        ({"yes": 9, "yet": 1}, {}),  # short words are near by chance
        ({"billing": 9, "shipping": 1, "filling in": 1}, {}),
    ],
)
def test_a_label_of_one_example_near_a_frequent_one_is_doubted(counts: dict[str, int], found: dict[str, str]) -> None:
    assert misspelt(counts) == found


def test_a_misspelt_label_is_told_by_the_report_and_the_draft(promptbank: Promptbank) -> None:
    data = sheet("d.csv", ("late again", "delivry"))
    assert "'delivry' of 1 record is nearly 'delivery': misspelt?" in drafted(promptbank, data)
    checked = promptbank("tasks", "check", "card.json", "--data", data)
    assert "1 example has the label 'delivry', and 8 have 'delivery': misspelt?: d.csv:18" in checked.stderr


def test_a_draft_says_what_the_task_is(promptbank: Promptbank) -> None:
    assert "starts from 'the label of the text is'" in drafted(promptbank, sheet("d.csv"))
    assert json.loads(Path("card.json").read_text())["description"] == "the label of the text is"


def test_a_column_of_another_name_is_told_once_with_what_to_write(promptbank: Promptbank) -> None:
    data = sheet("d.csv")
    drafted(promptbank, data)
    Path("other.csv").write_text(Path(data).read_text().replace("text,label", "Texts,label", 1))
    said = "other.csv:2, other.csv:3, other.csv:4 and 13 more: field 'text' is missing; the record has 'Texts', 'label'"
    for command in (("tasks", "check", "card.json"), ("train", "--card", "card.json")):
        told = promptbank(*command, "--data", "other.csv")
        assert told.exit_code == 1
        assert told.stderr.count("field 'text' is missing") == 1
        assert (
            f"{said}; did you mean 'Texts'?; no record has 'text': name its column with --columns text=COLUMN"
            in told.stderr
        )
    right = promptbank("tasks", "check", "card.json", "--data", "other.csv", "--columns", "text=Texts")
    assert right.exit_code == 0
    slip = promptbank("tasks", "check", "card.json", "--data", "other.csv", "--columns", "text=text")
    assert slip.stderr.count("column 'text' is missing") == 1
    assert "did you mean 'Texts'?" in slip.stderr


def test_unknown_labels_are_told_before_the_backbone_is_loaded(promptbank: Promptbank) -> None:
    data = sheet("d.csv", ("late again", "nonsense"))
    drafted(promptbank, sheet("good.csv"))
    for command in (("train", "--card", "card.json"), ("crossval", "--task", "good", "--card", "card.json")):
        told = promptbank(*command, "--data", data, "--backbone", "no/such-backbone")
        assert "unknown label 'nonsense'" in told.stderr, command


def test_counts_agree_with_their_nouns(promptbank: Promptbank) -> None:
    card = parse_card({"taskname": "t", "prompt_template": "{text}<|VIRTUAL_PROMPT_0|> {label}",
                       "label_space": {"a": ["a"], "b": ["b"], "c": ["c"]},
                       "total_virtual_tokens": 1, "virtual_token_splits": [1]})  # fmt: skip
    told = [("x y z", "a"), ("x y z", "b"), ("...", "a"), ("x y z", "a")]
    examples = [
        Example(id=str(n), group=str(n), taskname="t", lang="en", fields={"text": text}, answer=label, source=f"f:{n}")
        for n, (text, label) in enumerate(told)
    ]
    lines = list(report_on({"train": examples[:3], "test": examples[3:]}, card, is_cut=lambda e: e.id == "0").lines())
    assert len(lines) == 6
    assert not [
        line for line in lines if re.search(r"\b1 (texts|labels|examples)\b|\b1 \w+ (are|have|stand|do)\b", line)
    ]
    data = sheet("d.csv")
    drafted(promptbank, data)
    assert promptbank("train", "--card", "card.json", "--data", data, "--epochs", "1").exit_code == 0
    assert "1 row checked, 0 faults" in promptbank("bank", "verify").stderr
