"""Pairs written in each corpus format by other code are read back, whatever their texts."""

from __future__ import annotations

import gzip
import json
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from xml.sax.saxutils import escape

import polib
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from promptbank.mt.pair_files import read_pairs
from translate.records.record import tidy_text

Texts = list[tuple[str, str]]

plain = st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=1, max_size=20).filter(tidy_text)
pairs = st.lists(st.tuples(plain, plain), min_size=1, max_size=6)


def lines(texts: Texts, side: int) -> str:
    return "".join(f"{pair[side]}\n" for pair in texts)


def moses(folder: Path, texts: Texts) -> Path:
    for side, lang in enumerate(("en", "is")):
        (folder / f"a.{lang}").write_text(lines(texts, side), newline="\n")
    return folder / "a.en"


def moses_zip(folder: Path, texts: Texts) -> Path:
    with zipfile.ZipFile(folder / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("README", "of the corpus")
        for side, lang in enumerate(("en", "is")):
            archive.writestr(f"A.en-is.{lang}", lines(texts, side))
    return folder / "a.zip"


def tmx(folder: Path, texts: Texts) -> Path:
    def variant(lang: str, text: str) -> str:
        return f'<tuv xml:lang="{lang}"><seg>{escape(text)}</seg></tuv>'

    units = "".join(f"<tu>{variant('en', src)}{variant('is', tgt)}</tu>" for src, tgt in texts)
    text = f'<?xml version="1.0" encoding="UTF-8" ?>\n<tmx version="1.4"><header/><body>{units}</body></tmx>'
    with gzip.open(folder / "a.tmx.gz", "wt", encoding="utf-8") as file:
        file.write(text)
    return folder / "a.tmx.gz"


def tsv(folder: Path, texts: Texts) -> Path:
    (folder / "a.tsv").write_text("".join(f"{src}\t{tgt}\n" for src, tgt in texts), newline="\n")
    return folder / "a.tsv"


def jsonl(folder: Path, texts: Texts) -> Path:
    rows = ({"translation": {"en": src, "is": tgt}} for src, tgt in texts)
    (folder / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder / "a.jsonl"


def parquet(folder: Path, texts: Texts) -> Path:
    from pyarrow import Table
    from pyarrow import parquet as writer

    columns = {lang: [pair[side] for pair in texts] for side, lang in enumerate(("en", "is"))}
    writer.write_table(Table.from_pydict(columns), folder / "a.parquet")
    return folder / "a.parquet"


@pytest.mark.parametrize("write", [moses, moses_zip, tmx, tsv, jsonl, parquet])
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=pairs)
def test_pairs_come_back_tidied_and_in_order(write: Callable[[Path, Texts], Path], texts: Texts) -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = list(read_pairs(write(Path(folder), texts), "en", "is"))
    assert [(p.src, p.tgt) for p in found] == [(tidy_text(src), tidy_text(tgt)) for src, tgt in texts]


words = st.text(st.characters(whitelist_categories=("Lu", "Ll", "Lo")), min_size=1, max_size=9).map(tidy_text)


@pytest.mark.parametrize("suffix", [".po", ".mo"])
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.dictionaries(words, words, min_size=1, max_size=6))
def test_catalogs_come_back(suffix: str, texts: dict[str, str]) -> None:
    catalog = polib.POFile()
    catalog.metadata = {"Content-Type": "text/plain; charset=UTF-8"}
    catalog.extend(polib.POEntry(msgid=src, msgstr=tgt) for src, tgt in texts.items())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"is{suffix}"
        catalog.save(str(path)) if suffix == ".po" else catalog.save_as_mofile(str(path))
        found = {p.src: p.tgt for p in read_pairs(path, "en", "is") if not p.fault}
    assert found == {tidy_text(src): tgt for src, tgt in texts.items()}
