"""The report of a translation: its figures are those of the files, its texts stay at home unless asked for."""

import json
from pathlib import Path
from typing import Any

import pytest
import sacrebleu

from promptbank.errors import InputError
from promptbank.mt import reporting
from promptbank.mt.compare_engines import engine_figures, engine_scores
from promptbank.mt.references import read_references
from promptbank.mt.reporting import pick_samples, summary_of, translation_report, translation_report_files
from promptbank.mt.task_records import source_examples
from promptbank.mt.translate_set import SourceFile, TranslatedSet, translate_sources, write_translated
from promptbank.report.parts import Figure, Report, Table
from promptbank.report.write import write_files
from tasks import DataError, InputRecord, TaskCard, builtin_card, builtin_cards, parse_card
from translate import Engine
from translate.engines import CopyEngine, RecordedEngine
from translate.inventory.file import shipped_inventory
from translate.pipeline.memory import DictMemory
from translate.pipeline.pipeline import Setup
from translate.protocols import Hypothesis
from translate.scoring.bootstrap import EvalSet, paired
from translate.scoring.scores import score_against_references, score_texts
from translate.scoring.text_figures import Proportion, plain

SENTIMENT, SLOTS = builtin_card("sentiment-task", "en"), builtin_card("intent_and_slot", "en")
MOODS = [
    {"sentence": f"{text} Sentiment for Acme", "label": label, "target": "Acme", "id": str(n), "group": str(n)}
    for n, (text, label) in enumerate(
        [
            ("Acme has had a very good year", "positive"),
            ("Acme lost 5 percent on friday", "negative"),
            ("Acme <b>rose</b> | again", "positive"),
        ]
    )
]
ALARMS = [
    {"utterance": "wake me on sunday", "label": "\nIntent: alarm_set\nSlots: date(sunday)", "id": "a", "group": "a"}
]
SWEDISH = {
    "Acme has had a very good year": "Acme har haft ett mycket bra år",
    "Acme lost 5 percent on friday": "Acme tappade 6 procent på fredagen",
    "Acme <b>rose</b> | again": "Acme <b>steg</b> | igen",
    "wake me on [sunday]": "väck mig på [söndag]",
}
ENGINE = RecordedEngine("test", "en", "sv", {text: Hypothesis(said) for text, said in SWEDISH.items()})
PEOPLE = {("intent_and_slot", "a"): ("väck mig söndag", {"date": ["söndag"]})}


@pytest.fixture(autouse=True)
def pictures(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures take seconds, so only tests that ask for them by this fixture's name draw them."""
    if "pictures" in request.function.__code__.co_varnames:
        pytest.importorskip("matplotlib", reason="the extra experiments is not installed")
    else:
        monkeypatch.setattr(reporting, "find_spec", lambda _: None)


def source(name: str, rows: list[dict[str, str]], card: TaskCard) -> SourceFile:
    return SourceFile(
        name,
        card,
        source_examples([InputRecord(n, row, f"{name}:{n}") for n, row in enumerate(rows, 1)], card, name=name),
    )


def run(
    engine: Engine = ENGINE,
    only: tuple[str, ...] = ("ok", "unchecked", "warn", "review"),
    others: tuple[Engine, ...] = (),
) -> TranslatedSet:
    sources = [source("moods.jsonl", MOODS, SENTIMENT), source("alarms.jsonl", ALARMS, SLOTS)]
    setup = Setup(shipped_inventory("en", "sv"), others=others)
    return translate_sources(sources, engine, DictMemory(), setup, known=builtin_cards(), only=only)


def write_translation_report(done: TranslatedSet, out: Path, **options: Any) -> list[Path]:
    files = translation_report_files(done, **options)
    write_files(out, files)
    return [out / name for name in files]


def rows_of(report: Report, title: str) -> dict[Any, list[Any]]:
    found = next(part for part in report.parts if isinstance(part, Table) and part.title == title)
    return {row[0]: list(row[1:]) for row in found.rows}


def test_the_tables_hold_the_figures_of_the_run() -> None:
    report = translation_report(summary_of(run()))
    rows = rows_of(report, "Rows")
    assert (rows["rows"], rows["written"], rows["status review"]) == ([4, 1.0], [4, 1.0], [1, 0.25])
    assert (rows["sent bracket"], rows["sent plain"]) == ([1, 0.25], [3, 0.75])
    assert rows_of(report, "Flags")["percent_mismatch"] == ["review", 1, 0.25]
    texts = rows_of(report, "Texts")
    assert texts["translations with the percent values of their source"] == [0, 1, 0.0]
    assert texts["translations with the date values of their source"] == [2, 2, 1.0]
    assert texts["protected strings kept"] == [3, 3, 1.0]
    assert texts["source texts in several files"] == [0, 4, 0.0]
    assert rows_of(report, "Labels of sentiment-task")["positive"] == [2, pytest.approx(2 / 3), 2, pytest.approx(2 / 3)]
    assert rows_of(report, "By intent") == {"alarm_set": [1, 1, 1.0]}
    assert rows_of(report, "By slot type") == {"date": [1, 1, 1.0], "any": [1, 1, 1.0]}


def test_rows_that_are_not_written_and_values_that_changed_come_first() -> None:
    report = translation_report(summary_of(run(only=("ok", "unchecked", "warn"))))
    assert report.falls_short[0] == "1 of 4 rows are not written."
    assert "1 of 1 translations say other percent values than their source." in report.falls_short
    assert rows_of(report, "Labels of sentiment-task")["negative"] == [1, pytest.approx(1 / 3), 0, 0.0]


def test_a_copying_engine_falls_short() -> None:
    copied, good = (translation_report(summary_of(run(engine))) for engine in (CopyEngine("en", "sv"), ENGINE))
    assert rows_of(copied, "Texts")["words of the source left as they are"][2] == 1.0
    assert any("look like en" in text for text in copied.falls_short)
    assert not any("look like en" in text for text in good.falls_short)


def test_an_engine_that_only_copies_fails_the_checks_beside_the_run_s_own() -> None:
    ours, copied = engine_figures(run(others=(CopyEngine("en", "sv"),)))
    assert (ours.engine, copied.engine) == ("this run", CopyEngine("en", "sv").info().engine_id)
    assert (ours.clean, copied.clean) == (Proportion(3, 4), Proportion(0, 4))
    assert (ours.values, copied.values) == (
        Proportion(2, 3),
        Proportion(1, 3),
    )  # "friday" and "sunday" are no days in Swedish
    assert ours.protected == copied.protected == Proportion(3, 3)
    assert copied.left.value == 1.0
    assert ours.left.value is not None
    assert ours.left.value < 0.3
    assert engine_figures(run()) == []


def test_other_engines_stand_in_the_report(tmp_path: Path) -> None:
    paths = write_translation_report(run(others=(CopyEngine("en", "sv"),)), tmp_path)
    assert len(json.loads(paths[0].read_text())["beside"]) == 2
    assert "Engines beside one another" in (tmp_path / "report.md").read_text()


def test_compared_engines_are_scored_against_people_on_the_same_rows() -> None:
    done = run(others=(CopyEngine("en", "sv"),))
    people = {("intent_and_slot", "a"): ("väck mig på söndag", {}), ("sentiment-task", "a"): ("x", {})}
    ours, copied = (one for one in engine_scores(done, people) if one.metric == "chrF2")
    (said,) = (o for o in done.records if o.source.id == "a")
    assert ours.score == pytest.approx(score_texts([said.text], ["väck mig på söndag"]).chrf2)
    assert copied.score == pytest.approx(score_texts([said.source.text], ["väck mig på söndag"]).chrf2)
    assert ours.score > copied.score
    assert engine_scores(run(), people) == []
    assert engine_scores(done, {}) == []


LETTER = parse_card(
    {
        "taskname": "letter",
        "lang": "en",
        "prompt_template": "{subject} {body}<|VIRTUAL_PROMPT_0|> {label}",
        "total_virtual_tokens": 1,
        "virtual_token_splits": [1],
        "truncate_field": "body",
        "answer_field": "label",
        "label_space": {"good": ["good"], "bad": ["bad"]},
    }
)


def references_of(path: Path, *rows: dict[str, str]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def cards_of(done: TranslatedSet) -> dict[str, TaskCard]:
    return {file.card.taskname: file.card for file in done.files}


def test_each_field_of_a_row_is_scored_against_people_s_translation_of_that_field(tmp_path: Path) -> None:
    letter = {"subject": "the meeting", "body": "we meet on friday", "label": "good", "id": "1"}
    said = {"the meeting": "mötet", "we meet on friday": "vi ses på fredag"}
    engine = RecordedEngine("test", "en", "sv", {text: Hypothesis(one) for text, one in said.items()})
    sources = [source("letters.jsonl", [letter], LETTER)]
    done = translate_sources(sources, engine, DictMemory(), Setup(shipped_inventory("en", "sv")))
    people = {"subject": "sammanträdet", "body": "vi träffas på fredag", "label": "good", "id": "1"}
    references = read_references([references_of(tmp_path / "people.jsonl", people)], sources, cards_of(done))
    found = score_against_references(done.records, references)
    wanted = sacrebleu.corpus_chrf(list(said.values()), [[people["subject"], people["body"]]])
    assert (found.chrf2, found.rows) == (pytest.approx(wanted.score), Proportion(2, 2))


def test_rows_of_two_tasks_with_one_id_are_scored_against_their_own(tmp_path: Path) -> None:
    sources = [source("moods.jsonl", [MOODS[1] | {"id": "a"}], SENTIMENT), source("alarms.jsonl", ALARMS, SLOTS)]
    done = translate_sources(sources, ENGINE, DictMemory(), Setup(shipped_inventory("en", "sv")), known=builtin_cards())
    mood = {"taskname": "sentiment-task", "sentence": "Acme föll 5 procent", "label": "negativ", "id": "a"}
    label = "\nIntent: alarm_set\nSlots: date(söndag)"
    alarm = {"taskname": "intent_and_slot", "utterance": "väck mig söndag", "label": label, "id": "a"}
    paths = [references_of(tmp_path / f"{n}.jsonl", row) for n, row in enumerate((mood, alarm))]
    found = score_against_references(done.records, read_references(paths, sources, cards_of(done)))
    wanted = sacrebleu.corpus_chrf(
        ["Acme tappade 6 procent på fredagen", "väck mig på söndag"], [[mood["sentence"], alarm["utterance"]]]
    )
    assert (found.chrf2, found.rows) == (pytest.approx(wanted.score), Proportion(2, 2))


def test_references_of_an_id_that_stands_for_different_rows_are_refused(tmp_path: Path) -> None:
    mood = {"sentence": "Acme föll", "label": "negativ", "id": "1"}
    people = references_of(tmp_path / "people.jsonl", mood)
    others = references_of(tmp_path / "others.jsonl", mood | {"sentence": "Acme steg"})
    train, same = (source(name, MOODS[1:2], SENTIMENT) for name in ("train.jsonl", "same.jsonl"))
    test = source("test.jsonl", [MOODS[0] | {"id": "1"}], SENTIMENT)
    cards = {"sentiment-task": builtin_card("sentiment-task", "sv")}
    assert read_references([people, people], [train, same], cards) == {("sentiment-task", "1"): ("Acme föll", {})}
    for sources, paths in (([train, test], [people]), ([train, same], [people, others])):
        with pytest.raises(DataError, match=r"people\.jsonl:1(, \S+others\.jsonl:1)?: id '1' stands for rows"):
            read_references(paths, sources, cards)


def test_the_pictures_show_status_flags_and_labels_with_their_numbers(pictures: None) -> None:
    figures = {f.name: f for f in translation_report(summary_of(run())).parts if isinstance(f, Figure)}
    assert list(figures) == ["status", "flags", "labels-1", "labels-2"]
    assert "review 1" in figures["status"].alt
    assert "percent_mismatch 1" in figures["flags"].alt
    assert "alarm_set 1.000, 1.000" in figures["labels-1"].alt
    assert "positive 0.667, 0.667" in figures["labels-2"].alt


def test_without_matplotlib_the_report_has_no_pictures_and_says_so() -> None:
    report = translation_report(summary_of(run()))
    assert report.figures == []
    assert "matplotlib is not installed" in report.summary


def test_references_and_engines_have_their_tables() -> None:
    translated = run()
    references = score_against_references(translated.records, PEOPLE)
    texts = ["väck mig på söndag", "hej på dig min vän"]
    engines = paired([EvalSet("dev", texts, {"human": texts, "copy": ["wake me", "hello"]})], resamples=20)
    report = translation_report(summary_of(translated), references=references, scores=engines)
    assert rows_of(report, "Slot values against human translations")["any"] == [1, 1, 1.0, 1, 1.0]
    assert rows_of(report, "Against human translations")["chrF2"][0] == references.chrf2
    table = next(part for part in report.parts if isinstance(part, Table) and part.title == "Engines")
    assert [(row[0], row[2], row[6]) for row in table.rows][:2] == [
        ("human", "chrF2", "human"),
        ("copy", "chrF2", "human"),
    ]
    assert "seed:12345" in table.note


def test_samples_are_the_same_rows_each_time_and_the_worst_are_flagged() -> None:
    translated = run()
    first = pick_samples(translated.records, translated.setup.policy, count=2)
    again = pick_samples(translated.records[::-1], translated.setup.policy, count=2)
    assert {i.row_id for i in first.random} == {i.row_id for i in again.random}
    assert len(first.random) == 2
    assert first.worst[0].row_id == "1"
    assert all(item.flags for item in first.worst)


def test_texts_are_shown_only_where_they_are_asked_for(tmp_path: Path) -> None:
    paths = write_translation_report(run(), tmp_path / "home")
    assert [path.name for path in paths[:3]] == ["report.json", "report.md", "report.html"]
    assert "Acme har haft ett mycket bra år" in (tmp_path / "home" / "report.md").read_text()
    page = (tmp_path / "home" / "report.html").read_text()
    assert "&lt;b&gt;steg&lt;/b&gt;" in page
    assert "<b>steg" not in page
    for path in write_translation_report(run(), tmp_path / "public", with_samples=False):
        assert b"bra \xc3\xa5r" not in path.read_bytes()


def test_the_json_file_holds_the_figures_and_equal_runs_write_equal_bytes(tmp_path: Path, pictures: None) -> None:
    one, other = (write_translation_report(run(), tmp_path / name, references=PEOPLE) for name in "ab")
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in other]
    content = json.loads(one[0].read_text())
    assert content["format"] == "promptbank.mt.v1"
    assert content["summary"] == plain(summary_of(run()))
    assert content["summary"]["emitted"] == {"count": 4, "of": 4, "share": 1.0}
    assert content["references"]["slots"]["exact"] == {"count": 1, "of": 1, "share": 1.0}
    assert content["engine_scores"] == []


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="so nothing was; choose another folder"):
        write_translated(run(), tmp_path / "new", {tmp_path / "file" / "report.md": "x"})
    assert not list((tmp_path / "new").glob("*"))
