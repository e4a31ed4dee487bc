"""Corpus formats: Moses files, TMX and records of other kinds; what is refused and what is said."""

from __future__ import annotations

import gzip
import json
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from promptbank.mt.corpora import CorpusRequest, build
from promptbank.mt.pair_files import files_of, read_pairs
from translate.corpus.pairs import CorpusError

TMX = '<?xml version="1.0"?>\n{doctype}<tmx version="1.4"><header/><body>{units}</body></tmx>'


def texts(path: Path, src: str = "en", tgt: str = "is") -> list[tuple[str, str]]:
    return [(p.src, p.tgt) for p in read_pairs(path, src, tgt)]


def unit(**variants: str) -> str:
    inner = "".join(f'<tuv xml:lang="{k.replace("_", "-")}"><seg>{v}</seg></tuv>' for k, v in variants.items())
    return f"<tu>{inner}</tu>"


def tmx(folder: Path, *units: str, doctype: str = "") -> Path:
    (folder / "memory.tmx").write_text(TMX.format(doctype=doctype, units="".join(units)))
    return folder / "memory.tmx"


@pytest.mark.parametrize("named", ["sub.en", "sub.is", "sub"])
def test_moses_files_are_named_by_either_or_by_what_they_share(tmp_path: Path, named: str) -> None:
    (tmp_path / "sub.en").write_text("One\u2028still one\r\nTwo\n")
    (tmp_path / "sub.is").write_text("Einn\nTveir")
    assert texts(tmp_path / named) == [("One still one", "Einn"), ("Two", "Tveir")]
    assert [path.name for path in files_of(tmp_path / named, "en", "is")] == ["sub.en", "sub.is"]
    assert [p.source for p in read_pairs(tmp_path / named, "en", "is")] == ["sub"] * 2


def test_moses_files_may_be_gzipped(tmp_path: Path) -> None:
    for name, text in (("a.en-is.en.gz", "One\n"), ("a.en-is.is.gz", "Einn\n")):
        (tmp_path / name).write_bytes(gzip.compress(text.encode()))
    assert texts(tmp_path / "a.en-is.en.gz") == [("One", "Einn")]


def test_files_of_unequal_length_are_no_pairs(tmp_path: Path) -> None:
    (tmp_path / "a.en").write_text("One\nTwo\n")
    (tmp_path / "a.is").write_text("Einn\n")
    with pytest.raises(CorpusError, match="one of the two files has no line 2"):
        texts(tmp_path / "a.en")
    (tmp_path / "a.is").unlink()
    with pytest.raises(CorpusError, match=r"a\.en cannot be read as pairs.*a\.is"):
        texts(tmp_path / "a.en")


def test_a_zip_of_opus_is_read_and_its_other_files_are_not(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "en-is.txt.zip", "w") as archive:
        for name, text in (
            ("README", "x"),
            ("QED.en-is.ids", "x"),
            ("QED.en-is.en", "One\n"),
            ("QED.en-is.is", "Einn\n"),
        ):
            archive.writestr(name, text)
    (found,) = read_pairs(tmp_path / "en-is.txt.zip", "en", "is")
    assert (found.src, found.tgt, found.source) == ("One", "Einn", "QED")
    with pytest.raises(CorpusError, match=r"no two files that end in \.en and \.sv; it has README"):
        texts(tmp_path / "en-is.txt.zip", "en", "sv")
    (tmp_path / "bad.zip").write_bytes(b"PK\x03\x04 no")
    with pytest.raises(CorpusError, match="cannot be read as a zip archive"):
        texts(tmp_path / "bad.zip")


def test_units_are_read_by_language_region_and_order(tmp_path: Path) -> None:
    path = tmp_path
    tmx(
        path,
        unit(en="One", **{"is": "Einn"}),
        unit(EN_GB="Colour", EN_US="Color", is_IS="Litur"),
        unit(en="Only English"),
        '<tu><tuv lang="IS"><seg>Tveir</seg></tuv><tuv lang="en"><seg>Two</seg></tuv></tu>',
    )
    assert texts(path / "memory.tmx") == [("One", "Einn"), ("Colour", "Litur"), ("Only English", ""), ("Two", "Tveir")]
    assert texts(path / "memory.tmx", "en-US", "is")[1] == ("Color", "Litur")


def test_formatting_codes_are_no_text_and_highlighted_words_are(tmp_path: Path) -> None:
    text = 'Press <bpt i="1">&lt;b&gt;</bpt><hi>OK</hi><ept i="1">&lt;/b&gt;</ept> now<ph/>!'
    assert texts(tmx(tmp_path, unit(en=text, **{"is": "Ýttu á OK!"}))) == [("Press OK now!", "Ýttu á OK!")]


def test_entities_are_refused_and_a_plain_document_type_is_not(tmp_path: Path) -> None:
    one = unit(en="One &lol;", **{"is": "Einn"})
    bomb = '<!DOCTYPE tmx [<!ENTITY lo "ha ha"><!ENTITY lol "&lo;&lo;&lo;">]>\n'
    with pytest.raises(CorpusError, match=r"cannot be read as TMX.*EntitiesForbidden"):
        texts(tmx(tmp_path, one, doctype=bomb))
    outside = f'<!DOCTYPE tmx [<!ENTITY lol SYSTEM "file://{tmp_path}/secret">]>\n'
    with pytest.raises(CorpusError, match="cannot be read as TMX"):
        texts(tmx(tmp_path, one, doctype=outside))
    usual = '<!DOCTYPE tmx SYSTEM "tmx14.dtd">\n'
    assert texts(tmx(tmp_path, unit(en="One", **{"is": "Einn"}), doctype=usual)) == [("One", "Einn")]


@pytest.mark.parametrize("text", ["", "<tmx><body><tu>", "no xml"])
def test_what_is_no_tmx_is_said(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.tmx").write_text(text)
    with pytest.raises(CorpusError, match=r"a\.tmx cannot be read as TMX"):
        texts(tmp_path / "a.tmx")


def test_units_that_were_read_are_not_kept_in_memory(tmp_path: Path) -> None:
    path = tmx(tmp_path, *(unit(en=f"Sentence {n} " + "word " * 40, **{"is": "Setning"}) for n in range(8000)))
    assert path.stat().st_size > 2_000_000
    tracemalloc.start()
    count = sum(1 for _ in read_pairs(path, "en", "is"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 8000
    assert peak < 1_000_000


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", 'id,en,is\n1,"One, two","Einn, tveir"\n'),
        ("a.json", '[{"en": "One, two", "is": "Einn, tveir"}]'),
        ("a.json", '[{"id": "7", "translation": {"en": "One, two", "is": "Einn, tveir"}}]'),
    ],
)
def test_records_of_any_kind_are_pairs_by_their_fields(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    assert texts(tmp_path / name) == [("One, two", "Einn, tveir")]


def test_parquet_of_the_hub_has_both_texts_in_one_column(tmp_path: Path) -> None:
    from pyarrow import Table, parquet

    rows = {"id": ["0"], "translation": [{"en": "One", "is": "Einn"}]}
    parquet.write_table(Table.from_pydict(rows), tmp_path / "train.parquet")
    assert texts(tmp_path / "train.parquet") == [("One", "Einn")]
    assert [p.source for p in read_pairs(tmp_path / "train.parquet", "en", "is", source="opus")] == ["opus"]


def test_records_without_both_languages_are_told_together(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("en,sv\nOne,En\nTwo,Två\n")
    with pytest.raises(CorpusError, match=r"a\.csv:1: a pair needs two texts, in the fields 'en' and 'is'; .*csv:2"):
        texts(tmp_path / "a.csv")


def test_a_corpus_of_all_formats_names_every_file_that_it_read(tmp_path: Path) -> None:
    import polib

    for number, lang in enumerate(("en", "is")):
        (tmp_path / f"news.{lang}").write_text(f"{('Good morning', 'Góðan dag')[number]}\n")
    tmx(tmp_path, unit(en="Good night", **{"is": "Góða nótt"}))
    for package in ("one", "two"):
        folder = tmp_path / "locale" / package / "is" / "LC_MESSAGES"
        folder.mkdir(parents=True)
        catalog = polib.POFile()
        catalog.metadata = {"Content-Type": "text/plain; charset=UTF-8"}
        catalog.append(polib.POEntry(msgid=f"Close {package}", msgstr=f"Loka {package}"))
        catalog.save_as_mofile(str(folder / "a.mo"))
    data = [str(tmp_path / "news.en"), f"memories={tmp_path / 'memory.tmx'}", str(tmp_path / "locale")]
    manifest, folder = build(tmp_path / "home", CorpusRequest("en-is", data, augment={"entity": 0.0, "marker": 0.0}))
    assert manifest["read"] == {"catalogs": 4, "memories": 1, "news": 1}
    assert manifest["dropped"] == {"catalogs": {"header": 2}}
    tail = "is/LC_MESSAGES/a.mo"
    assert set(manifest["inputs"]) == {"news.en", "news.is", "memory.tmx", f"one/{tail}", f"two/{tail}"}
    kept = [json.loads(line)["tgt"] for line in (folder / "train.jsonl").read_text().splitlines()]
    assert sorted(kept) == ["Góða nótt", "Góðan dag", "Loka one", "Loka two"]
