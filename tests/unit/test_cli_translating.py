"""What `promptbank translate` and its neighbours do with files, errors and progress."""

import csv
import io
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from promptbank.cli import build_app
from promptbank.cli import progress as cli_progress
from promptbank.mt.status import TranslationStatus
from promptbank.mt.translate_set import TranslatedSet, translate_sources
from tasks import builtin_card
from translate.inventory.file import dump_inventory, shipped_inventory
from translate.pipeline.memory import Step

ROWS = [
    {"taskname": "sentiment-task", "sentence": "Sales rose. Sentiment for Acme", "label": "positive", "id": "1"},
    {"taskname": "sentiment-task", "sentence": "Sales fell.", "label": "negative", "id": "2"},
]
KNOWN = {"Sales rose.": "Försäljningen steg.", "Sales fell.": "Försäljningen föll."}


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nul.txt").write_text("a\n\0\n")
    (tmp_path / "nul.jsonl").write_text(json.dumps({"sentence": "a\0", "label": "positive"}))
    monkeypatch.setenv("PROMPTBANK_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    known = ({"source": source, "target": target} for source, target in KNOWN.items())
    (tmp_path / "known.jsonl").write_text("".join(json.dumps(row) + "\n" for row in known))


def cli(*arguments: str, stdin: str | None = None) -> tuple[int, str, str]:
    found = CliRunner().invoke(build_app(), arguments, input=stdin)
    return found.exit_code, found.stdout, found.stderr


def translated(*more: str) -> tuple[int, str, str]:
    return cli("translate", "--data", "rows.jsonl", "--engine", "recorded:known.jsonl", "--out", "sv", *more)


def test_a_set_is_translated_into_a_folder(tmp_path: Path) -> None:
    code, out, err = translated("--json")
    assert code == 0, err
    assert {k: v for k, v in json.loads(out).items() if k in ("rows", "written")} == {"rows": 2, "written": 2}
    rows = [json.loads(line) for line in (tmp_path / "sv" / "rows.jsonl").read_text().splitlines()]
    assert [(r["sentence"], r["label"]) for r in rows] == [
        ("Försäljningen steg. Känslan för Acme", "positiv"),
        ("Försäljningen föll.", "negativ"),
    ]
    assert (tmp_path / "sv" / "report.html").is_file()


def test_icelandic_has_its_labels_values_and_a_card(tmp_path: Path) -> None:
    asked = {"wake me at [nine am] [tomorrow]": "vektu mig klukkan [níu f. h.] [á morgun]"}
    known = {"Sales rose.": "Salan jókst.", "Sales fell.": "Salan minnkaði.", **asked}
    lines = (json.dumps({"source": source, "target": target}) for source, target in known.items())
    (tmp_path / "known.jsonl").write_text("\n".join(lines))
    label = "\nIntent: alarm_set\nSlots: time(nine am), date(tomorrow)"
    row = {"taskname": "intent_and_slot", "utterance": "wake me at nine am tomorrow", "label": label, "id": "1"}
    (tmp_path / "asked.jsonl").write_text(json.dumps(row) + "\n")
    code, _, err = translated("--tgt", "is", "--data", "asked.jsonl")
    assert code == 0, err
    rows = [json.loads(line) for line in (tmp_path / "sv" / "rows.jsonl").read_text().splitlines()]
    assert [(r["sentence"], r["label"]) for r in rows] == [
        ("Salan jókst. Viðhorf til Acme", "jákvætt"),
        ("Salan minnkaði.", "neikvætt"),
    ]
    (read,) = [json.loads(line) for line in (tmp_path / "sv" / "asked.jsonl").read_text().splitlines()]
    assert read["label"] == "\nIntent: alarm_set\nSlots: time(níu f. h.), date(á morgun)"
    assert read["lang"] == "is"


def test_a_report_to_be_shared_shows_no_text_of_the_rows(tmp_path: Path) -> None:
    code, _, err = translated("--report", "shared")
    assert code == 0, err
    names = {path.name for path in (tmp_path / "shared").iterdir()}
    assert {"report.md", "report.html", "report.json"} <= names
    assert "provenance.jsonl" not in names
    for name in ("report.md", "report.html", "report.json"):
        assert "rsäljningen" not in (tmp_path / "shared" / name).read_text()
    assert "rsäljningen" in (tmp_path / "sv" / "report.md").read_text()


def test_a_fallback_engine_is_named_and_asked(tmp_path: Path) -> None:
    code, out, err = translated("--engine", "copy", "--fallback", "recorded:known.jsonl", "--json")
    assert (code, json.loads(out)["review"]) == (0, 0), err
    assert "fallback for doubtful rows: recorded:known" in err


def test_lines_go_through_in_order_and_empty_ones_stay() -> None:
    arguments = ("translate", "--engine", "recorded:known.jsonl", "--lines", "-")
    code, out, err = cli(*arguments, stdin="Sales fell.\n\nSales   rose.\n")
    assert (code, out) == (0, "Försäljningen föll.\n\nFörsäljningen steg.\n"), err


@pytest.mark.parametrize(
    ("text", "lines"), [("", []), ("\n", [""]), ("\ufeffSales rose.\r\n", ["Försäljningen steg."])]
)
def test_as_many_lines_come_back_as_went_in(text: str, lines: list[str]) -> None:
    code, out, err = cli("translate", "--engine", "recorded:known.jsonl", "--lines", "-", stdin=text)
    assert (code, out) == (0, "".join(f"{line}\n" for line in lines)), err


def test_what_the_checks_doubt_in_a_line_is_said_beside_it(tmp_path: Path) -> None:
    known = {"Wake me at half past seven.": "Väck mig halv sex.", "Sales rose by 3%.": "Försäljningen steg med 3 %."}
    lines = (json.dumps({"source": source, "target": target}) for source, target in known.items())
    (tmp_path / "known.jsonl").write_text("\n".join(lines))
    code, out, err = cli(
        "translate", "--engine", "recorded:known.jsonl", "--lines", "-", stdin="\n".join(["", *known, ""])
    )
    assert (code, out) == (0, "".join(f"{line}\n" for line in ["", *known.values()]))
    assert [line for line in err.splitlines() if line.startswith("line ")] == [
        "line 2: time_mismatch: the source says 07:30|19:30 ('half past seven'); "
        "the target says 05:30|17:30 ('halv sex')"
    ]


def test_lines_take_no_options_of_rows() -> None:
    code, _, err = cli(
        "translate", "--lines", "-", "--out", "x", "--only", "ok", "--compare", "copy", "--json", stdin="a"
    )
    assert code == 1
    assert "takes none of --out, --only, --compare, --json" in err


def test_undecided_labels_are_proposed_once_and_then_a_person_s_file_counts(tmp_path: Path) -> None:
    arguments = ("translate", "--tgt", "nb", "--engine", "copy", "--data", "rows.jsonl", "--out", "nb")
    assert "proposed" in cli(*arguments)[2]
    labels = tmp_path / "nb" / "labels.nb.toml"
    own = "# decided on Monday\n" + labels.read_text().replace('target = "positive"', 'target = "positiv"')
    labels.write_text(own)
    code, _, err = cli(*arguments)
    assert (code, "proposed" in err, labels.read_text()) == (0, False, own)
    assert json.loads((tmp_path / "nb" / "rows.jsonl").read_text().splitlines()[0])["label"] == "positiv"
    assert json.loads((tmp_path / "nb" / "cards.jsonl").read_text())["label_space"]["positive"] == ["positiv"]


COPIED = ("translate", "--task", "sentiment-task", "--data", "copy.jsonl", "--engine", "copy", "--out", "sv")


def reviewed(tmp_path: Path, **written: str) -> Path:
    """Have a row that needs a look, and write something beside it; return the review file."""
    (tmp_path / "copy.jsonl").write_text(json.dumps({"sentence": "all went badly wrong for us", "label": "negative"}))
    assert cli(*COPIED)[0] == 0
    review = tmp_path / "sv" / "review.csv"
    (shown,) = csv.DictReader(io.StringIO(review.read_text(), newline=""))
    with review.open("w", newline="") as file:
        writer = csv.DictWriter(file, shown.keys())
        writer.writeheader()
        writer.writerow({**shown, **written})
    return review


def test_decisions_that_were_not_applied_are_not_overwritten(tmp_path: Path) -> None:
    review = reviewed(tmp_path, decision="drop")
    code, _, err = cli(*COPIED)
    assert (code, "mt review apply" in err) == (1, True)
    code, out, err = cli("mt", "review", "apply", str(review), "--json")
    assert (code, json.loads(out)) == (0, {"src": "en", "tgt": "sv", "applied": 1, "dropped": 1}), err
    code, out, err = cli(*COPIED, "--json")
    assert (code, json.loads(out)["written"]) == (0, 0), err


@pytest.mark.parametrize("written", [{"edited_text": "allt gick snett"}, {"note": "ask Kim"}])
def test_what_a_person_wrote_without_a_decision_is_not_overwritten(tmp_path: Path, written: dict[str, str]) -> None:
    review = reviewed(tmp_path, **written)
    before = review.read_bytes()
    code, _, err = cli(*COPIED)
    assert (code, "notes of 1 row that are not applied" in err) == (1, True), err
    assert review.read_bytes() == before
    code, _, err = cli("mt", "review", "apply", str(review))
    assert (code, "without a decision; write edit" in err) == ((1, True) if "edited_text" in written else (0, False))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--only", "good"), "give some of ok, unchecked, warn, review"),
        (("--engine", "copy", "--data", "nowhere.jsonl"), "nowhere.jsonl"),
        (("--engine", "copy", "--names", "nowhere.txt"), "--names nowhere.txt"),
        (("--engine", "copy", "--policy", "nowhere.toml"), "nowhere.toml"),
        (("--engine", "copy", "--labels", "nowhere.toml"), "nowhere.toml"),
        (("--engine", "nothing"), "no engine here"),
        (("--engine", "copy", "--fallback", "nothing", "--data", "rows.jsonl"), "no engine here"),
        (("--engine", "copy", "--data", "rows.jsonl", "--out", "."), "itself would be overwritten"),
        (
            ("--engine", "recorded:nb/rows.jsonl", "--data", "rows.jsonl", "--out", "nb"),
            "nb/rows.jsonl itself would be",
        ),
        (("--tgt", "tlh"), "Ways to get one"),
        (("--src", "fr", "--engine", "copy"), "give labelled rows with --data"),
        (("--engine", "copy", "--align", "nowhere", "--data", "rows.jsonl"), "no corpus"),
        (("--lines", "nowhere.txt"), "nowhere.txt"),
        (("--engine", "copy", "--lines", "nul.txt"), "NUL characters in line 2"),
        (
            ("--engine", "copy", "--data", "nul.jsonl", "--task", "sentiment-task"),
            "nul.jsonl:1: field 'sentence' holds a NUL",
        ),
    ],
)
def test_what_cannot_be_done_is_one_line_that_says_what_to_do(arguments: tuple[str, ...], said: str) -> None:
    code, _, err = cli("translate", *arguments)
    assert code == 1
    assert said in err
    assert "Traceback" not in err


def test_a_policy_s_faults_name_what_exists(tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_text('[severities]\nnonsense = "warn"\n')
    code, _, err = translated("--policy", "policy.toml")
    assert (code, "left_words" in err) == (1, True), err
    (tmp_path / "policy.toml").write_text("[limits]\nlow_scores = -1\n")
    assert "low_score" in translated("--policy", "policy.toml")[2]
    faulty = '[severities]\nnonsense = "warn"\ncopy = "fatal"\n[limits]\nlow_scores = -1\nback_chrf = nan\n'
    (tmp_path / "policy.toml").write_text(faulty)
    said = translated("--policy", "policy.toml")[2]
    assert [
        name
        for name in ("flag nonsense", "severities.copy", "limit low_scores", "limits.back_chrf")
        if name not in said
    ] == []
    (tmp_path / "policy.toml").write_text("[limits]\nlength_z = 0.0001\n")
    code, out, err = translated("--policy", "policy.toml", "--json")
    assert (code, json.loads(out)["review"]) == (0, 2), err


def test_references_that_cannot_be_read_are_told_before_anything_is_translated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def translate(*_: object, **__: object) -> None:
        pytest.fail("the engine was asked")

    monkeypatch.setattr("promptbank.mt.translation.translate_sources", translate)
    code, _, err = translated("--references", "typo.jsonl")
    assert (code, "typo.jsonl cannot be read" in err) == (1, True), err


def test_what_a_person_writes_while_a_run_works_is_not_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    review = reviewed(tmp_path)

    def slowly(*given: object, **named: object) -> TranslatedSet:
        done = translate_sources(*given, **named)  # type: ignore[arg-type]  # as they are
        review.write_text(review.read_text().replace(",,,,", ",drop,,,", 1))
        return done

    assert ",,,," in review.read_text()
    monkeypatch.setattr("promptbank.mt.translation.translate_sources", slowly)
    code, _, err = cli(*COPIED)
    assert (code, "decisions, texts or notes of 1 row" in err) == (1, True), err
    assert ",drop,,," in review.read_text()


def test_what_an_earlier_run_left_in_the_folder_is_named(tmp_path: Path) -> None:
    for name in ("train", "test"):
        (tmp_path / f"{name}.jsonl").write_text((tmp_path / "rows.jsonl").read_text())
    run = ("translate", "--task", "sentiment-task", "--engine", "copy", "--out", "sv")
    assert "earlier run" not in cli(*run, "--data", "train.jsonl")[2]
    assert "train.jsonl is of an earlier run" in cli(*run, "--data", "test.jsonl")[2]
    assert "earlier run" not in cli(*run, "--data", "test.jsonl", "--data", "train.jsonl")[2]


def test_rows_of_two_tasks_must_be_named(tmp_path: Path) -> None:
    (tmp_path / "two.jsonl").write_text(json.dumps(ROWS[0]) + "\n" + json.dumps({**ROWS[1], "taskname": "other"}))
    assert "name 2 tasks" in cli("translate", "--data", "two.jsonl", "--engine", "copy")[2]


def saved(folder: Path, parts: Mapping[str, list[dict[str, object]]]) -> str:
    import datasets

    made = {name: datasets.Dataset.from_list(rows) for name, rows in parts.items()}
    datasets.DatasetDict(made).save_to_disk(str(folder))
    return str(folder)


def test_every_split_of_a_dataset_is_translated_into_a_file_of_its_own(tmp_path: Path) -> None:
    spec = saved(tmp_path / "moods", {"train": ROWS[:1], "test": ROWS[1:]})
    code, _, err = cli("translate", "--data", spec, "--engine", "recorded:known.jsonl", "--out", "sv")
    assert code == 0, err
    said = {name: json.loads((tmp_path / "sv" / f"moods-{name}.jsonl").read_text()) for name in ("train", "test")}
    assert said["train"]["sentence"] == "Försäljningen steg. Känslan för Acme"
    assert said["test"]["sentence"] == "Försäljningen föll."
    lines = map(json.loads, (tmp_path / "sv" / "provenance.jsonl").read_text().splitlines())
    assert [(line["file"], line["line"]) for line in lines] == [("moods-train.jsonl", 1), ("moods-test.jsonl", 1)]


def test_a_dataset_of_one_split_is_translated_into_a_file_of_its_name(tmp_path: Path) -> None:
    spec = saved(tmp_path / "moods", {"validation": ROWS})
    assert cli("translate", "--data", spec, "--engine", "recorded:known.jsonl", "--out", "sv")[0] == 0
    assert len((tmp_path / "sv" / "moods.jsonl").read_text().splitlines()) == 2


def test_faults_of_all_splits_of_a_dataset_are_told_at_once_before_anything_is_translated(tmp_path: Path) -> None:
    rows = [{**row, "when": datetime(2026, 11, 21, tzinfo=UTC)} for row in ROWS]
    unknown = [{**rows[1], "label": "so-so"}]
    spec = saved(tmp_path / "moods", {"train": rows, "test": [{**row, "when": None} for row in unknown]})
    code, _, err = cli("translate", "--data", spec, "--engine", "recorded:known.jsonl", "--out", "sv")
    assert (code, "Traceback" in err, (tmp_path / "sv" / "moods-train.jsonl").exists()) == (1, False, False)
    assert re.search(r"\[train\]:1, \S+\[train\]:2: field 'when' is datetime\.datetime\(2026, 11, 21", err)
    assert err.count("field 'when'") == 1
    assert "[test]:1: unknown label 'so-so'" in err


def test_status_tells_of_a_run_and_of_the_memory(tmp_path: Path) -> None:
    translated()
    code, out, _ = cli("mt", "status", "sv")
    assert (code, json.loads(out)["done"]) == (0, json.loads(out)["total"])
    code, out, _ = cli("mt", "status", "--json")
    assert json.loads(out)["segments"] == 2
    assert cli("mt", "status", str(tmp_path))[0] == 1


def test_labels_are_checked_with_all_their_faults(tmp_path: Path) -> None:
    path = tmp_path / "labels.sv.toml"
    path.write_text('src = "en"\ntgt = "sv"\n[label.t.a]\ntarget = "x"\n[label.t.b]\ntarget = "x"\n[intent.c]\n')
    code, _, err = cli("mt", "labels", "check", str(path))
    assert code == 3
    assert "one form has one meaning" in err
    assert "no target" in err
    code, _, err = cli("mt", "labels", "init", "--engine", "copy", "--tgt", "nb", "--out", str(tmp_path / "l.toml"))
    assert (code, "wait for" in err) == (0, True)
    assert cli("mt", "labels", "check", str(tmp_path / "l.toml"))[0] == 0


def test_rounds_are_added_up() -> None:
    shown = []
    status = TranslationStatus(lambda *told: shown.append(told))
    for step in (Step(1, 4, 1), Step(4, 4, 1), Step(0, 2, 0), Step(2, 2, 0), Step(0, 0, 0)):
        status.on_step(step)
    assert [told[:2] for told in shown] == [(1, 4), (4, 4), (4, 6), (6, 6), (6, 6)]
    assert {key: status.figures()[key] for key in ("done", "total", "recalled")} == {
        "done": 6,
        "total": 6,
        "recalled": 1,
    }


def test_a_run_is_scored_against_people_s_translations(tmp_path: Path) -> None:
    people = [
        {
            "taskname": "sentiment-task",
            "sentence": "Försäljningen steg. Känslan för Acme",
            "label": "positiv",
            "id": "1",
        },
        {"taskname": "sentiment-task", "sentence": "Den sjönk.", "label": "negativ", "id": "2"},
    ]
    (tmp_path / "sv.jsonl").write_text("".join(json.dumps(row) + "\n" for row in people))
    assert translated("--references", "sv.jsonl")[0] == 0
    found = json.loads((tmp_path / "sv" / "report.json").read_text())["references"]
    from sacrebleu.metrics.chrf import CHRF

    wanted = CHRF().corpus_score(list(KNOWN.values()), [["Försäljningen steg.", "Den sjönk."]]).score
    assert found["chrf2"] == pytest.approx(wanted)
    (tmp_path / "sv.jsonl").write_text(json.dumps({**people[0], "taskname": "other"}))
    code, _, err = translated("--references", "sv.jsonl")
    assert (code, "one of sentiment-task is needed" in err) == (1, True)


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ("--references", ""),
        ("--names", "Acme"),
        ("--labels", dump_inventory(shipped_inventory("en", "sv"))),
        ("--policy", ""),
        ("--card", json.dumps(builtin_card("sentiment-task", "en").plain())),
    ],
)
def test_no_file_that_a_run_reads_is_overwritten(tmp_path: Path, option: str, text: str) -> None:
    (tmp_path / "sv").mkdir()
    for name in ("rows.jsonl", "review.jsonl"):
        read = tmp_path / "sv" / name
        read.write_text(text)
        code, _, err = translated(option, f"sv/../sv/{name}")
        assert (code, f"sv/../sv/{name} itself would be overwritten" in err) == (1, True), err
        assert read.read_text() == text
        read.unlink()
    assert {path.name for path in (tmp_path / "sv").iterdir()} <= {".lock"}


def test_a_log_gets_a_line_of_progress_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli_progress, "LINE_SECONDS", 0.0)
    with cli_progress.shown() as display:
        status = TranslationStatus(display.count)
        status.on_step(Step(0, 4, 0))
        status.on_step(Step(2, 4, 0))
    assert [line.split(" ")[0] for line in capsys.readouterr().err.splitlines()] == ["0/4", "2/4"]
