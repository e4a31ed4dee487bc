"""Files as other people have them: what is read, and what is said once of the others.

Sources: huggingface/datasets 2573, 6460, 6851 (gzip), lil-lab/nlvr 1 (lines and one document), ludwig-ai/ludwig 113 and
futianfan/clinical-trial-outcome-prediction 6 (encodings), DataScienceUIBK/ChroniclingAmericaQA 2 (array),
google-research-datasets/sentence-compression 1 (objects one after another), NeMo's configuration of its prompt model.
"""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import sys
import zipfile
from pathlib import Path

import pytest

from tasks import CardError, DataError, InputRecord, builtin_card, parse_card, read_cards, read_examples
from tasks.data import read_data
from tasks.reading import open_records, read_records
from tasks.reading.compressed import gunzip

ROWS = [{"text": "köp nu", "label": "spam"}, {"text": 'a "good" day; or, two', "label": "ham"}]
LINES = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS)
CSV = 'text,label\nköp nu,spam\n"a ""good"" day; or, two",ham\n'
SEMICOLONS = 'text;label\r\nköp nu;spam\r\n"a ""good"" day; or, two";ham\r\n'
TABS = 'text\tlabel\nköp nu\tspam\na "good" day; or, two\tham\n'
QUOTED_TABS = 'text\tlabel\n"köp nu"\tspam\n"a ""good"" day; or, two"\tham\n'


def data_of(source: Path | bytes) -> list[dict[str, object]]:
    found = list(read_records(source))
    assert not [str(record) for record in found if isinstance(record, DataError)]
    return [dict(record.data) for record in found if isinstance(record, InputRecord)]


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("json-lines", LINES.encode()),
        ("json-lines", LINES.replace("\n", "\r\n\r\n").encode()),
        ("json-lines", LINES.rstrip("\n").encode("utf-8-sig")),
        ("json-lines", LINES.encode("utf-16")),
        ("json-lines", LINES.encode("utf-32")),
        ("json-array", json.dumps(ROWS).encode()),
        ("json-array", json.dumps(ROWS, indent=4, ensure_ascii=False).encode("utf-16")),
        ("json-array", b"\n\n  " + json.dumps(ROWS).encode("utf-8-sig").removeprefix(b"\xef\xbb\xbf")),
        ("json-objects", "\n".join(json.dumps(row, indent=2) for row in ROWS).encode()),
        ("json-objects", "".join(json.dumps(row, indent=2, ensure_ascii=False) for row in ROWS).encode()),
        ("table", CSV.encode()),
        ("table", CSV.encode("utf-8-sig")),
        ("table", CSV.encode("utf-16")),
        ("table", CSV.replace("\n", "\r\n").rstrip().encode()),
        ("table", SEMICOLONS.encode()),
        ("table", ("sep=;\r\n" + SEMICOLONS).encode("utf-8-sig")),
        ("table", TABS.encode()),
        ("table", QUOTED_TABS.encode()),
        ("table", 'text|label\nköp nu|spam\na "good" day; or, two|ham\n'.encode()),
        ("json-lines", gzip.compress(LINES.encode(), mtime=0)),
        ("table", gzip.compress(CSV.encode("utf-16"), mtime=0)),
        ("json-array", bz2.compress(json.dumps(ROWS).encode())),
        ("json-lines", lzma.compress(LINES.encode())),
    ],
    ids=lambda value: value if isinstance(value, str) else value[:12].hex(),
)
def test_a_file_is_read_by_its_content_whatever_it_is_called(kind: str, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_bytes(content)
    assert open_records(content).kind == open_records(io.BytesIO(content)).kind == kind
    assert data_of(path) == data_of(content) == ROWS


def parquet(rows: list[dict[str, object]], labels: list[str] | None = None) -> bytes:
    import datasets

    label = datasets.ClassLabel(names=labels) if labels else datasets.Value("string")
    features = datasets.Features({"text": datasets.Value("string"), "label": label})
    out = io.BytesIO()
    datasets.Dataset.from_list(rows, features=features).to_parquet(out)
    return out.getvalue()


def workbook(rows: list[list[object]], *more: list[list[object]]) -> bytes:
    from openpyxl import Workbook

    book = Workbook()
    for number, cells in enumerate((rows, *more)):
        sheet = book.active if number == 0 else book.create_sheet()
        for row in cells:
            sheet.append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def test_parquet_is_read_with_the_names_of_its_labels() -> None:
    assert data_of(parquet(ROWS)) == ROWS
    assert open_records(parquet(ROWS)).kind == "parquet"
    assert data_of(parquet([{"text": "a", "label": 1}, {"text": "b", "label": None}], ["ham", "spam"])) == [
        {"text": "a", "label": "spam"},
        {"text": "b"},
    ]


def test_arrow_files_of_a_saved_dataset_are_read(tmp_path: Path) -> None:
    import datasets

    datasets.Dataset.from_list(ROWS).save_to_disk(str(tmp_path / "set"))
    (arrow,) = (tmp_path / "set").glob("*.arrow")
    assert data_of(arrow) == list(read_and_checked(tmp_path / "set")) == ROWS


def read_and_checked(path: Path) -> list[dict[str, object]]:
    return [dict(r.data) for r in read_data(str(path)) if isinstance(r, InputRecord)]


def test_a_workbook_is_read_where_openpyxl_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [["text", "label", "n"], ["köp nu", "spam", 3], [None, None, None], ["b", "ham", 2.5], ["c", None, True]]
    assert data_of(workbook(rows)) == [
        {"text": "köp nu", "label": "spam", "n": 3},
        {"text": "b", "label": "ham", "n": 2.5},
        {"text": "c", "n": True},
    ]
    (two,) = read_records(workbook(rows, rows), name="two.xlsx")
    assert "two.xlsx must have one sheet with cells, not 'Sheet', 'Sheet1'; save the one you mean as CSV" in str(two)
    book = workbook(rows)
    assert open_records(book).kind == "excel"
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    (told,) = read_records(book, name="w.xlsx")
    assert "w.xlsx is an Excel workbook, which needs openpyxl: pip install 'promptbank[excel]'" in str(told)


def test_a_folder_is_read_as_a_file_is(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "train.csv").write_text(CSV)
    assert read_and_checked(tmp_path / "set") == ROWS


NEMO = """\
name: megatron_virtual_prompt_gpt
model:
  seed: 1234
  new_tasks: ["sentiment"]
  task_templates:
  - taskname: "sentiment"   # as in the tutorial of NeMo
    prompt_template: "<|VIRTUAL_PROMPT_0|> {sentence} sentiment: {label}"
    total_virtual_tokens: 10
    virtual_token_splits: [10]
    truncate_field: null
    answer_only_loss: False
    answer_field: "label"
  - taskname: dates
    prompt_template: "{when}<|VIRTUAL_PROMPT_0|>{label}"
    total_virtual_tokens: 2
    virtual_token_splits: [2]
    description: 2024-01-31
"""


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("as_list", [False, True])
def test_cards_come_on_a_line_pretty_printed_or_in_an_array(tmp_path: Path, indent: int | None, as_list: bool) -> None:
    card = builtin_card("sentiment-task").plain()
    (tmp_path / "card.json").write_text(json.dumps([card] if as_list else card, indent=indent))
    assert read_cards(tmp_path / "card.json") == [builtin_card("sentiment-task")]


def test_nemos_configuration_is_read_as_cards(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(NEMO)
    sentiment, dates = read_cards(path)
    assert (sentiment.taskname, sentiment.answer_only_loss, sentiment.fields) == ("sentiment", False, ("sentence",))
    assert dates.description == "2024-01-31"  # a date in YAML, a text here
    template = {"taskname": "t", "prompt_template": "{x}<|VIRTUAL_PROMPT_0|>{label}"}
    sizes = {"total_virtual_tokens": 1, "virtual_token_splits": [1]}
    for text in ("- taskname: t\n", "taskname: t\n"):
        rest = "".join(f"  {k}: {json.dumps(v)}\n" for k, v in (template | sizes).items() if k != "taskname")
        path.write_text(text + (rest if text[0] == "-" else rest.replace("  ", "")))
        assert read_cards(path) == [parse_card(template | sizes)]


ALIASES = "x0: &x0 [y, y]\n" + "".join(f"x{n}: &x{n} [*x{n - 1}, *x{n - 1}]\n" for n in range(1, 25))
ALIASES += "task_templates: *x24\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (NEMO.replace("[10]", "[4, 4]"), "line 6, total_virtual_tokens: 10, but the splits add up to 8"),
        (NEMO.replace("  seed: 1234", "  seed: [1"), "is no sound YAML"),
        ("task_templates: []\n", "holds no card"),
        ("taskname: a\ntaskname: b\n", "a key stands twice"),
        (ALIASES, "aliases in aliases"),
    ],
)
def test_what_is_wrong_with_a_configuration_is_told(text: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises((CardError, DataError)) as caught:
        read_cards(tmp_path / "c.yaml")
    assert says in str(caught.value)


def archive(*names: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as writer:
        for name in names:
            writer.writestr(name, "x")
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.csv", CSV.encode("cp1252"), ("0xF6 at 12 (line 2)", "iconv -f CP1252 -t UTF-8 {file} > {file}.utf8")),
        ("a.jsonl", LINES.encode("latin-1"), ("0xF6 at 11 (line 1)", "iconv -f CP1252")),
        ("a.csv", CSV.encode("utf-16-le"), ("looks like UTF-16LE without", "iconv -f UTF-16LE -t UTF-8 {file}")),
        ("a.csv", ("text,label\n" + "今日は天気がいい,x\n" * 9).encode("shift_jis"), ("name its encoding",)),
        ("a.zip", archive("data.csv"), ("a zip archive", "unzip {file}")),
        ("a.docx", archive("[Content_Types].xml", "word/document.xml"), ("a Word document",)),
        ("a.pt", archive("archive/data.pkl", "archive/data/0"), ("a PyTorch checkpoint",)),
        ("m.nemo", b"./" + b"\0" * 255 + b"ustar  \0" + b"\0" * 300, ("a NeMo checkpoint (.nemo)", "tar xf {file}")),
        ("a.pdf", b"%PDF-1.7\n%\xe2\xe3", ("a PDF document", "pdftotext {file}")),
        ("a.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 99, ("an old Excel or Word file",)),
        ("a.pkl", b"\x80\x04\x95" + b"\0" * 20, ("a Python pickle, which may run code",)),
        ("a.zst", b"\x28\xb5\x2f\xfd" + b"x" * 9, ("zstd -d {file}",)),
        ("a.csv", b"<!DOCTYPE html>\n<html><body>404</body></html>", ("an HTML page, perhaps the error page",)),
        ("a.csv", b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", ("git lfs pull",)),
        ("a.json", b"{'text': 'a', 'label': True}\n", ("Python's own notation", "json.dumps")),
        ("a.json", b"[\n  // all of them\n  {}]", ("JSON with comments",)),
        ("a.txt", b"I love it. Really.\nNo comment.\n", ("plain text that begins with 'I love it.", "jq -Rc")),
        ("a.gz", gzip.compress(gzip.compress(LINES.encode(), mtime=0), mtime=0), ("is compressed twice",)),
        ("a.gz", b"\x1f\x8b" + b"\0" * 20, ("is cut short or damaged",)),
    ],
)
def test_what_is_not_read_is_said_once_with_the_line_that_converts_it(
    name: str, content: bytes, says: tuple[str, ...], tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    card = builtin_card("sentiment-task")
    with pytest.raises(DataError) as caught:
        read_examples([path], card)
    told = str(caught.value)
    assert told.count(f"{path} is") == 1
    assert all(part.format(file=path) in told for part in says)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b'[{"a": 1},\n {"a": 2,}]', "begins as a JSON array: broken JSON at line 2, column 10"),
        (b'{\n "a": 1,\n "b" 2\n}', "begins as a JSON object: broken JSON at line 3, column 6"),
        (b'[{"a": 1}]\n[{"a": 2}]\n', "begins as a JSON array: broken JSON at line 2, column 1: Extra data"),
        (json.dumps({"data": ROWS}).encode(), "holds no text, but an array under 'data'; write one object for each"),
        (json.dumps({"text": {"0": "a"}, "label": {"0": "b"}}, indent=1).encode(), "an object under 'text', an object"),
        (b'text,label\n"a,spam\nb,ham\n', "f:2: cannot be read as a table: unexpected end of data; is a quotation"),
        (b"text,label\nno, not this,spam\n", "f:2: 3 cells, but the header names 2; put cells that hold the separator"),
        (b"text,text\na,b\n", "f:1: the header names 'text' more than once; rename them"),
        (gzip.compress(LINES.encode() * 9999, mtime=0)[:-30], "is cut short or damaged"),
        (b"PAR1" + b"\0" * 40, "is no sound Parquet or Arrow file"),
        (CSV.encode("utf-16")[:-1], "f is cut short or damaged UTF-16-LE text"),
    ],
)
def test_a_fault_of_a_whole_file_is_told_once_with_its_place(content: bytes, says: str) -> None:
    faults = [str(record) for record in read_records(content, name="f") if isinstance(record, DataError)]
    assert len(faults) == 1
    assert says in faults[0]


def test_broken_lines_among_good_ones_keep_their_places() -> None:
    found = list(
        read_records(b'{"a": "1"}\n{"a": \n{"a": "\xff"}\n{"a": "2"}\n'.replace(b"\xff", "ÿ".encode()), name="f")
    )
    assert [isinstance(record, DataError) for record in found] == [False, True, False, False]
    assert str(found[1]).startswith("f:2: broken JSON")


def test_a_table_keeps_line_breaks_and_says_the_line_of_each_record() -> None:
    found = list(read_records(b'id,text,label\n1,"two\nlines",x\n\n,b,\n', name="f"))
    assert [(r.source, r.data) for r in found if isinstance(r, InputRecord)] == [
        ("f:2", {"id": "1", "text": "two\nlines", "label": "x"}),
        ("f:5", {"text": "b", "label": ""}),  # no id is no id, no label is an empty one
    ]


def test_a_single_column_needs_a_name_that_says_table(tmp_path: Path) -> None:
    for name in ("a.csv", "a.tsv.gz"):
        (tmp_path / name).write_bytes(gzip.compress(b"text\na\nb\n") if name.endswith("gz") else b"text\na\nb\n")
        assert data_of(tmp_path / name) == [{"text": "a"}, {"text": "b"}]


@pytest.mark.parametrize(
    ("content", "columns", "read"),
    [
        (b"Post\nFlat tyre\n", ("Post",), [{"Post": "Flat tyre"}]),
        (b"post\nFlat tyre\n", ("Title", "Post"), [{"post": "Flat tyre"}]),  # as anywhere: told by the name it has
        (b'\n"Post"\r\n"a, b"\r\n', ("Post",), [{"Post": "a, b"}]),
        ("K\u00f6p\nx\n".encode(), ("Ko\u0308p",), [{"K\u00f6p": "x"}]),
        (b"What is it? Say.\nx", ("What is it? Say.",), [{"What is it? Say.": "x"}]),
        (gzip.compress(b"Post\nx\n", mtime=0), ("Post",), [{"Post": "x"}]),
        (b"Post", ("Post",), []),
        (b"Post\nx\n", (), "jq -Rc '{text: .}' FILE > FILE.jsonl"),
        (b"Posted\nx\n", ("Post", "Title"), "jq -Rc '{Post: .}' FILE > FILE.jsonl"),
        (b"A line.\nx\n", ("Message {text}",), """jq -Rc '{"Message {text}": .}' FILE > FILE.jsonl"""),
    ],
)
def test_a_first_line_that_names_a_field_heads_a_table_of_one_column(
    content: bytes, columns: tuple[str, ...], read: list[dict[str, str]] | str
) -> None:
    if isinstance(read, str):
        with pytest.raises(DataError) as caught:
            list(read_records(content, columns=columns))
        assert str(caught.value).endswith(read)
    else:
        assert [r.data for r in read_records(content, columns=columns) if isinstance(r, InputRecord)] == read


def test_a_pipe_is_answered_line_by_line() -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as stream, os.fdopen(writing, "wb", buffering=0) as pipe:
        records = read_records(stream, name="stdin")
        for number in ("1", "2"):
            pipe.write(b'{"a": "%s"}\n' % number.encode())
            assert next(records).data == {"a": number}
        pipe.close()
        assert list(records) == []


@pytest.mark.parametrize("content", [b"", b"\n \n", gzip.compress(b"", mtime=0)])
def test_an_empty_file_holds_no_records(content: bytes) -> None:
    assert list(read_records(content)) == []


def test_a_gzip_body_is_unpacked_within_a_limit() -> None:
    body = gzip.compress(b"a" * 1000)
    assert gunzip(body, 1000) == b"a" * 1000
    for wrong, limit, says in ((body, 999, "over 999 bytes"), (body[:-9], 1000, "no sound"), (b"abc", 9, "no sound")):
        with pytest.raises(DataError, match=says):
            gunzip(wrong, limit)
