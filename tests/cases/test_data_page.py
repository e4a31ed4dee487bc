"""docs/data.md: every row of its tables is true."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks import ANSWER_FORMATS, CONVERTERS, DataError, InputRecord, TaskCard, read_cards
from tasks.data import parse_columns, read_data
from tasks.reading import read_records
from tests.stores import ROOT

ROWS = [{"text": "fine", "label": "good"}, {"text": "so, so", "label": "bad"}]
CSV = 'text,label\nfine,good\n"so, so",bad\n'


def table(title: str) -> list[tuple[str, str]]:
    page = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")
    part = page.partition(f"## {title}\n")[2].partition("\n## ")[0]
    lines = [line for line in part.splitlines() if line.startswith("| ")][1:]
    cells = [line.strip("| ").replace("\\|", "\0").split("|") for line in lines]
    return [(one.strip(), other.strip().replace("\0", "|")) for one, other in cells]


def parquet() -> bytes:
    import datasets

    out = io.BytesIO()
    datasets.Dataset.from_list(ROWS).to_parquet(out)
    return out.getvalue()


def arrow() -> bytes:
    import pyarrow as pa

    out, rows = io.BytesIO(), pa.Table.from_pylist(ROWS)
    with pa.ipc.new_stream(out, rows.schema) as writer:
        writer.write_table(rows)
    return out.getvalue()


def workbook() -> bytes:
    from openpyxl import Workbook

    book, out = Workbook(), io.BytesIO()
    for row in (["text", "label"], *(list(row.values()) for row in ROWS)):
        book.active.append(row)
    book.save(out)
    return out.getvalue()


MADE: dict[str, Callable[[], bytes]] = {  # formats that a page cannot show
    "gzip, bzip2 or xz of any of these": lambda: gzip.compress(CSV.encode()),
    "UTF-16 or UTF-32 with a byte-order mark": lambda: CSV.encode("utf-16"),
    "UTF-8 with a byte-order mark": lambda: CSV.encode("utf-8-sig"),
    "Parquet": parquet,
    "Arrow": arrow,
    "Excel workbook": workbook,
}


@pytest.mark.parametrize(("name", "shown"), table("What is read"))
def test_what_is_said_to_be_read_is_read(name: str, shown: str, tmp_path: Path) -> None:
    path = tmp_path / "data"
    if name == "datasets folder":
        path.mkdir()
        (path / "train.csv").write_text(CSV)
    else:
        sample = shown.strip("`").replace("⏎", "\n").replace("→", "\t").encode()
        path.write_bytes(MADE[name]() if name in MADE else sample)
    found = list(read_data(str(path)))
    assert [record.data for record in found if isinstance(record, InputRecord)] == ROWS
    assert len(found) == len(ROWS)


FOREIGN = {
    "cp1252, Latin-1 and other encodings": "text,label\nköp,x\n".encode("cp1252"),
    "UTF-16 without a byte-order mark": "text,label\nköp,x\n".encode("utf-16-le"),
    "a zip archive": b"PK\x03\x04" + b"\0" * 40,
    "a .nemo or other tar archive": b"x" * 257 + b"ustar" + b"\0" * 300,
    "a PDF document": b"%PDF-1.4\n",
    "plain text": b"A sentence, or two. And more of it.\n",
    "an old Excel file (.xls)": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
    "a pointer of Git LFS": b"version https://git-lfs.github.com/spec/v1\n",
}


@pytest.mark.parametrize(("name", "shown"), table("What is not read"))
def test_what_is_not_read_is_said_as_on_the_page(name: str, shown: str, tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_bytes(FOREIGN[name])
    with pytest.raises(DataError) as caught:
        list(read_records(path))
    assert shown.strip("`").replace("FILE", str(path)) in str(caught.value)


def test_the_page_names_every_case_and_every_converter() -> None:
    assert {name for name, _ in table("What is not read")} == set(FOREIGN)
    assert set(MADE) < {name for name, _ in table("What is read")}
    assert {name for name, _ in table("Published sets")} == set(CONVERTERS)


def test_the_columns_of_the_page_are_columns() -> None:
    assert parse_columns("text=utterance,label=intent") == {"text": "utterance", "label": "intent"}
    assert "--columns text=utterance,label=intent" in (ROOT / "docs" / "data.md").read_text(encoding="utf-8")


def test_the_page_of_cards_explains_every_key_and_its_example_is_a_card(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "cards.md").read_text(encoding="utf-8")
    explained = [line.split("|")[1].strip(" `") for line in page.splitlines() if line.startswith("| `")]
    assert sorted(explained) == sorted(TaskCard.model_fields)
    path = tmp_path / "card.json"
    path.write_text(page.split("```")[3], encoding="utf-8")
    (card,) = read_cards(path)
    assert (card.taskname, card.label_id("invoices")) == ("support-routing", "billing")
    for name in ANSWER_FORMATS:
        assert f"`{name}`" in page
