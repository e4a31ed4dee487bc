"""Sets as they are published: every file here is in the published layout, with texts of our own.

Sources: alexa/massive (52 locales), xliuhw/NLU-Evaluation-Data (annotated CSV, ";"), yvchen/JointSLU and
monologg/JointBERT (ATIS, SNIPS), xSID (word lines with an intent column), NVIDIA/NeMo's intent_slot_classification.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tasks import CONVERTERS, DataError, builtin_card, read_examples
from tasks.converters import Conversion


def massive(
    number: int, locale: str, utterance: str, annotated: str, part: str = "train", **more: object
) -> dict[str, object]:
    line = {"id": str(number), "locale": locale, "partition": part, "scenario": "alarm", "intent": "alarm_set"}
    return line | {"utt": utterance, "annot_utt": annotated, "worker_id": "5"} | more


def write_lines(path: Path, *rows: dict[str, object]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def read_back(folder: Path, converted: Conversion) -> None:
    """Read converted records under their card; answers and parts must stay."""
    card = converted.card or builtin_card("intent_and_slot")
    for name, part in converted.parts().items():
        path = write_lines(folder / f"out-{name}.jsonl", *part)
        assert [e.answer for e in read_examples([path], card)] == [record["label"] for record in part]


def test_massive_of_any_locale_keeps_ids_and_partitions(tmp_path: Path) -> None:
    english = write_lines(
        tmp_path / "en-US.jsonl",
        massive(1, "en-US", "wake me at nine", "wake me at [time : nine]"),
        massive(2, "en-US", "Wake me  at nine", "Wake me  at [time : nine]", "dev"),
        massive(3, "en-US", "stop", "stop", "test"),
    )
    japanese = write_lines(
        tmp_path / "ja-JP.jsonl",
        massive(1, "ja-JP", "九時に起こして", "[time : 九時] に起こして"),
        massive(2, "ja-JP", "九時に起こしてね", "[time : 九時]に起こしてね", "dev", judgments=[{"worker_id": "1"}]),
        massive(3, "ja-JP", "止めて", "止めて", "test"),
    )
    both = CONVERTERS["massive"]([english, japanese])
    assert {name: len(part) for name, part in both.parts().items()} == dict.fromkeys(
        ("en.train", "en.dev", "en.test", "ja.train", "ja.dev", "ja.test"), 1
    )
    groups = [record["group"] for record in both.records]
    assert groups[:3] == groups[3:]
    assert groups[0] == groups[1] != groups[2]
    assert both.records[4]["label"] == "\nIntent: alarm_set\nSlots: time(九時)"
    alone = CONVERTERS["massive"]([japanese])
    assert (
        [r["id"] for r in alone.records]
        == [r["id"] for r in both.records[3:]]
        == ["massive-1", "massive-2", "massive-3"]
    )
    assert [r["group"] for r in alone.records] == ["massive-1", "massive-2", "massive-3"]
    assert list(alone.parts()) == ["train", "dev", "test"]
    assert "give en-US.jsonl too" in alone.notes[1]
    read_back(tmp_path, CONVERTERS["massive"]([english]))


def test_locales_that_are_written_differently_are_different_languages(tmp_path: Path) -> None:
    path = write_lines(
        tmp_path / "x.jsonl", *(massive(1, code, "x", "x") for code in ("zh-CN", "zh-TW", "es-ES", "ca-ES"))
    )
    assert [record["lang"] for record in CONVERTERS["massive"]([path]).records] == ["zh-CN", "zh-TW", "es", "ca"]


NLU = """\
userid;answerid;scenario;intent;status;answer_annotation;notes;suggested_entities;answer_normalised;answer;question
1;7;alarm;set;;wake me at [time : nine am];;"time, date";wake me at nine am;Wake me, at nine am;"How; why?"
2;8;alarm;set;IRR_XL;something else;;;something else;x;q
3;9;alarm;query;;null;;;;;q
4;10;qa;factoid;MOD;who was [person : ada lovelace];a note;;who was ada lovelace;x;q
5;7;alarm;set;;wake me at [time : nine am];;;wake me at nine am;x;q
"""


def test_the_annotated_csv_of_nlu_evaluation_data_is_converted(tmp_path: Path) -> None:
    (tmp_path / "NLU-Data-Home-Domain-Annotated-All.csv").write_text(NLU)
    converted = CONVERTERS["nlu-evaluation"]([tmp_path / "NLU-Data-Home-Domain-Annotated-All.csv"])
    assert [(r["utterance"], r["label"]) for r in converted.records] == [
        ("wake me at nine am", "\nIntent: alarm_set\nSlots: time(nine am)"),
        ("who was ada lovelace", "\nIntent: qa_factoid\nSlots: person(ada lovelace)"),
        ("wake me at nine am", "\nIntent: alarm_set\nSlots: time(nine am)"),
    ]
    first, other, again = (record["id"] for record in converted.records)
    assert again == f"{first}-2"
    assert first.startswith("assistant-7-")
    assert other.startswith("assistant-10-")
    assert converted.notes[1].startswith("2 answers left out")
    read_back(tmp_path, converted)


def test_the_folds_csv_has_the_ids_of_the_json_lines(tmp_path: Path) -> None:
    fold = tmp_path / "alarm_set.csv"
    fold.write_text(
        'answerid;scenario;intent;answer_annotation;answer_from_anno\n"7";"alarm";"set";"wake me";"wake me"\n'
    )
    lines = write_lines(
        tmp_path / "kfold1_train.jsonl",
        {"answerid": "7", "scenario": "alarm", "intent": "alarm_set", "annotation": "wake me", "text": "wake me"},
    )
    assert CONVERTERS["nlu-evaluation"]([fold]).records == CONVERTERS["assistant"]([lines]).records


ATIS = """\
BOS flights from baltimore to new york EOS\tO O O B-fromloc.city_name O B-toloc.city_name I-toloc.city_name atis_flight
BOS what does ewr mean EOS\tO O O B-airport_code O atis_abbreviation
"""
SNIPS = """\
# intent: PlayMusic
play\tO
let\tB-track
it\tI-track
be\tI-track

# a comment between
# intent=BookRestaurant
book\tO
a\tO
table\tO
"""
XSID = """\
# text: remind me at noon
# intent: reminder/set_reminder
1\tremind\treminder/set_reminder\tO
2\tme\treminder/set_reminder\tO
3\tat\treminder/set_reminder\tB-datetime
4\tnoon\treminder/set_reminder\tI-datetime
"""


@pytest.mark.parametrize(
    ("name", "content", "labels"),
    [
        (
            "atis.train.w-intent.iob",
            ATIS,
            [
                "\nIntent: atis_flight\nSlots: fromloc_city_name(baltimore), toloc_city_name(new york)",
                "\nIntent: atis_abbreviation\nSlots: airport_code(ewr)",
            ],
        ),
        (
            "snips.conll",
            SNIPS,
            ["\nIntent: PlayMusic\nSlots: track(let it be)", "\nIntent: BookRestaurant\nSlots: None"],
        ),
        ("xsid.conll", XSID, ["\nIntent: reminder_set_reminder\nSlots: datetime(at noon)"]),
        ("cells.tsv", "add this song\tO O O\tAddToPlaylist\n", ["\nIntent: AddToPlaylist\nSlots: None"]),
        (
            "adjacent.tsv",  # two slots of one type side by side, and an I- without its B-
            "a b c d\tB-x B-x O I-y\tdo\n",
            ["\nIntent: do\nSlots: x(a), x(b), y(d)"],
        ),
        ("last.conll", "turn O\nit O\noff B-state\nswitch_off\n", ["\nIntent: switch_off\nSlots: state(off)"]),
        ("swedish.conll", "# intent: köp\nköp\tO\nmjölk\tB-vara\n", ["\nIntent: köp\nSlots: vara(mjölk)"]),
    ],
)
def test_bio_tags_become_intents_and_slots(name: str, content: str, labels: list[str], tmp_path: Path) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    converted = CONVERTERS["bio"]([tmp_path / name])
    assert [record["label"] for record in converted.records] == labels
    assert converted.card is not None
    assert converted.records[0]["taskname"] == converted.card.taskname
    read_back(tmp_path, converted)


def test_names_that_are_no_identifiers_are_changed_and_told(tmp_path: Path) -> None:
    (tmp_path / "atis.tsv").write_text(ATIS)
    (note,) = CONVERTERS["bio"]([tmp_path / "atis.tsv"]).notes[1:]
    assert note.startswith("2 names were made identifiers: fromloc.city_name -> fromloc_city_name")
    (tmp_path / "atis.tsv").write_text("a b\tB-x.y B-x_y\tdo\n")
    with pytest.raises(DataError, match=r"'x\.y' and 'x_y' both become 'x_y'; rename one"):
        CONVERTERS["bio"]([tmp_path / "atis.tsv"])


def test_a_folder_with_words_tags_and_labels_apart_keeps_its_parts(tmp_path: Path) -> None:
    for part, words in (("train", "play jazz"), ("valid", "play blues"), ("test", "play rock now")):
        folder = tmp_path / "snips" / part
        folder.mkdir(parents=True)
        (folder / "seq.in").write_text(f"{words}\n")
        (folder / "seq.out").write_text("O B-genre O\n"[: 2 * len(words.split()) + 6].strip() + "\n")
        (folder / "label").write_text("PlayMusic\n")
    (tmp_path / "snips" / "valid" / "seq.out").write_text("O B-genre\n")
    (tmp_path / "snips" / "train" / "seq.out").write_text("O B-genre\n")
    converted = CONVERTERS["bio"]([tmp_path / "snips"])
    assert {name: [r["utterance"] for r in part] for name, part in converted.parts().items()} == {
        "test": ["play rock now"],
        "train": ["play jazz"],
        "dev": ["play blues"],
    }
    read_back(tmp_path, converted)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("a\tO\nb\tO\n", ":1: one intent is needed for an utterance, not none; write '# intent: NAME'"),
        ("# intent: x\n# intent: y\na\tO\n", "one intent is needed for an utterance, not 'x', 'y'"),
        ("a b\tO O O\tdo\n", ":1: 2 words, but 3 tags"),
        ("a b\tO O\tdo\tmore\n", ":1: 4 cells"),
        ("", "there are no utterances to convert"),
        ("x ), t( y\tO B-a B-a\tdo\na ), t( b\tB-t I-t I-t I-t\tdo\n", "which starts a new slot"),
    ],
)
def test_what_is_wrong_with_a_tagged_file_is_told_with_its_line(content: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "x.tsv").write_text(content)
    with pytest.raises(DataError) as caught:
        CONVERTERS["bio"]([tmp_path / "x.tsv"])
    assert says in str(caught.value)


@pytest.fixture
def nemo(tmp_path: Path) -> Path:
    folder = tmp_path / "assistant"
    folder.mkdir()
    (folder / "dict.intents.csv").write_text("alarm_set\nplay_music\n")
    (folder / "dict.slots.csv").write_text("date\nsong_name\ntime\nO\n")
    (folder / "train.tsv").write_text("sentence\tlabel\nwake me at nine am tomorrow\t0\nplay hey jude\t1\n")
    (folder / "train_slots.tsv").write_text("3 3 3 2 2 0\n3 1 1\n")
    (folder / "test.tsv").write_text("sentence\tlabel\nwake me\t0\n")
    (folder / "test_slots.tsv").write_text("3 3\n")
    return folder


def test_nemos_folder_of_intents_and_slots_is_converted(nemo: Path, tmp_path: Path) -> None:
    converted = CONVERTERS["nemo-intent-slots"]([nemo])
    assert {name: [r["label"] for r in part] for name, part in converted.parts().items()} == {
        "test": ["\nIntent: alarm_set\nSlots: None"],
        "train": [
            "\nIntent: alarm_set\nSlots: time(nine am), date(tomorrow)",
            "\nIntent: play_music\nSlots: song_name(hey jude)",
        ],
    }
    assert converted.card is not None
    assert (converted.card.taskname, converted.card.slot_types) == ("assistant", ("date", "song_name", "time"))
    read_back(tmp_path, converted)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("train_slots.tsv", "3 3 3 2 2 0\n3 1 9\n", "train.tsv:3: intent '1' and slots '3 1 9'; the numbers"),
        ("train_slots.tsv", "3 3 3 2 2 0\n", "2 utterances after the header, but 1 lines of slots"),
        ("train_slots.tsv", "3 3 3 2 2\n3 1 1\n", "train.tsv:2: 6 words, but 5 tags"),
        ("train.tsv", "sentence\tlabel\nwake me now\tzero\nplay a b\t1\n", "train.tsv:2: intent 'zero'"),
        ("dict.slots.csv", None, "dict.slots.csv cannot be read"),
    ],
)
def test_what_is_wrong_with_nemos_folder_is_told(nemo: Path, name: str, content: str | None, says: str) -> None:
    (nemo / name).unlink() if content is None else (nemo / name).write_text(content)
    with pytest.raises(DataError) as caught:
        CONVERTERS["nemo-intent-slots"]([nemo])
    assert says in str(caught.value)


@pytest.mark.parametrize("name", ["massive", "nlu-evaluation", "assistant", "massive-is", "massive-sv"])
def test_a_file_of_another_format_is_told_once(name: str, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "x.jsonl", *({"text": "a", "label": "b"} for _ in range(30)))
    with pytest.raises(DataError, match=r"x\.jsonl:1: no text in .*; this format has") as caught:
        CONVERTERS[name]([path])
    assert str(caught.value).count("this format has") == 1
