"""Gettext catalogs: what becomes of each kind of entry, and which files of a folder count."""

from __future__ import annotations

from pathlib import Path

import polib
import pytest

from translate.corpus.filters import reason, sieve
from translate.corpus.formats import read_pairs
from translate.corpus.formats.accelerators import without_accelerators
from translate.corpus.pairs import CorpusError, Pair

ICELANDIC = "nplurals=2; plural=(n%10!=1 || n%100==11);"
WELSH = "nplurals=4; plural=(n==1) ? 0 : (n==2) ? 1 : (n != 8 && n != 11) ? 2 : 3;"


def catalog(path: Path, *entries: polib.POEntry, plural: str = ICELANDIC, lang: str = "is") -> Path:
    """Write a catalog with polib, ``.po`` or ``.mo``."""
    made = polib.POFile()
    made.metadata = {"Content-Type": "text/plain; charset=UTF-8", "Language": lang, "Plural-Forms": plural}
    made.extend(entries)
    path.parent.mkdir(parents=True, exist_ok=True)
    made.save(str(path)) if path.suffix == ".po" else made.save_as_mofile(str(path))
    return path


def entry(msgid: str, msgstr: str = "", **more: object) -> polib.POEntry:
    return polib.POEntry(msgid=msgid, msgstr=msgstr, **more)


def texts(path: Path, src: str = "en", tgt: str = "is") -> list[tuple[str, str, str]]:
    return [(p.src, p.tgt, p.fault) for p in read_pairs(path, src, tgt) if p.fault != "header"]


@pytest.mark.parametrize("name", ["is.po", "is.mo"])
def test_entries_are_pairs_from_english_or_into_it(tmp_path: Path, name: str) -> None:
    path = catalog(
        tmp_path / name, entry("Close the\nwindow", "Loka\nglugganum"), entry("Open", "Opna", msgctxt="verb")
    )
    assert texts(path) == [("Close the window", "Loka glugganum", ""), ("Open", "Opna", "")]
    assert texts(path, "is", "en") == [("Loka glugganum", "Close the window", ""), ("Opna", "Open", "")]
    assert {p.source for p in read_pairs(path, "en", "is")} == {"catalogs"}


def test_one_word_in_two_contexts_is_two_pairs(tmp_path: Path) -> None:
    path = catalog(tmp_path / "is.mo", entry("Open", "Opna", msgctxt="verb"), entry("Open", "Opið", msgctxt="state"))
    assert sorted(texts(path)) == [("Open", "Opið", ""), ("Open", "Opna", "")]


@pytest.mark.parametrize("name", ["x.po", "x.mo"])
@pytest.mark.parametrize(
    ("rule", "forms", "expected"),
    [
        (ICELANDIC, ["skrá", "skrár"], ["file", "files"]),
        (WELSH, ["ffeil", "ddwy ffeil", "ffeiliau", "ffeil (8)"], ["file", "files", "files", "files"]),
        ("nplurals=1; plural=0;", ["ファイル"], ["files"]),
        ("", ["skrá", "skrár"], ["file", "files"]),
        ("nplurals=2; plural=import os", ["skrá", "skrár"], ["file", "files"]),
        ("nplurals=2; plural=n==1;", ["skrár", "skrá"], ["files", "file"]),
    ],
)
def test_the_form_for_one_goes_with_the_singular(
    tmp_path: Path, name: str, rule: str, forms: list[str], expected: list[str]
) -> None:
    plural = entry("file", msgid_plural="files", msgstr_plural=dict(enumerate(forms)))
    path = catalog(tmp_path / name, plural, plural=rule)
    assert texts(path, "en", "cy") == [(src, tgt, "") for src, tgt in zip(expected, forms, strict=True)]


def test_what_is_no_translation_is_counted_by_its_reason(tmp_path: Path) -> None:
    path = catalog(
        tmp_path / "is.po",
        entry("Save", "Vista"),
        entry("Save all", "Vista allt", flags=["fuzzy"]),
        entry("Old", "Gamalt", obsolete=True),
        entry("Not yet"),
        entry("translator-credits", "Jón Jónsson"),
        entry("%d files of %s", "%s skrár", flags=["c-format"]),
        entry("%1$s of %2$s", "%2$s af %1$s"),
        entry("Delete %s", "Eyða %s"),
    )
    found = sieve(read_pairs(path, "en", "is"), "en", "is")
    assert [(p.src, p.tgt) for p in found.kept] == [("Save", "Vista")]
    assert found.dropped == {
        "catalogs": {
            "header": 1, "fuzzy": 1, "obsolete": 1, "empty": 1, "credits": 1, "mismatch": 1, "placeholder": 2,
        }
    }  # fmt: skip


@pytest.mark.parametrize(
    ("src", "tgt", "cleaned"),
    [
        ("_File", "_Skrá", ("File", "Skrá")),
        ("&File", "&Skrá", ("File", "Skrá")),
        ("~File", "~Skrá", ("File", "Skrá")),
        ("Save _As…", "V_ista sem…", ("Save As…", "Vista sem…")),
        ("E_xit", "_Hætta", ("Exit", "Hætta")),
        ("_File", "Skrá", ("File", "Skrá")),
        ("_File", "文件(_F)", ("File", "文件")),
        ("&Open...", "開く (&O)...", ("Open...", "開く...")),
        ("E_xit", "Hætta", ("E_xit", "Hætta")),
        ("snake_case", "snake_case", ("snake_case", "snake_case")),
        ("R&D", "R&D", ("R&D", "R&D")),
        ("Tom & Jerry", "Tommi & Jenni", ("Tom & Jerry", "Tommi & Jenni")),
        ("a &amp; b", "a &amp; b", ("a &amp; b", "a &amp; b")),
        ("_one _two", "_einn _tveir", ("_one _two", "_einn _tveir")),
        ("_File", "_Skrá _x", ("_File", "_Skrá _x")),
        ("File", "_Skrá", ("File", "_Skrá")),
    ],
)
def test_accelerators_are_taken_out_and_names_are_left(src: str, tgt: str, cleaned: tuple[str, str]) -> None:
    assert without_accelerators(src, tgt) == cleaned
    assert (reason(Pair(*cleaned, "x"), "en", "is") == "placeholder") == any(c in "".join(cleaned) for c in "_") or (
        "&" in src
    )


def test_in_a_folder_the_files_whose_path_names_the_language_count(tmp_path: Path) -> None:
    for name in ("locale/is/LC_MESSAGES/a.mo", "po/is.po", "po/shop-is.po", "c.is.po", "is_IS.UTF-8/d.po"):
        catalog(tmp_path / name, entry(f"Text of {name.count('/')}{name[-6:]}{len(name)}", "Texti"))
    for name in ("locale/isv/LC_MESSAGES/a.mo", "po/sv.po", "is@latin/d.po", "this.po", "list/x.po"):
        catalog(tmp_path / name, entry("Other", "Annað"))
    found = [p.tgt for p in read_pairs(tmp_path, "en", "is") if not p.fault]
    assert found == ["Texti"] * 5


def test_where_no_path_names_the_language_the_header_does(tmp_path: Path) -> None:
    catalog(tmp_path / "one.po", entry("One", "Einn"))
    catalog(tmp_path / "two.po", entry("One", "En"), lang="sv")
    assert texts(tmp_path) == [("One", "Einn", "")]
    with pytest.raises(CorpusError, match=r"no catalog of 'cy'; its files are one\.po, two\.po"):
        texts(tmp_path, "en", "cy")


@pytest.mark.parametrize(("tgt", "files"), [("pt", {"pt_BR", "pt"}), ("pt-BR", {"pt_BR"}), ("pt-PT", set())])
def test_a_region_counts_for_its_language_unless_another_is_asked_for(
    tmp_path: Path, tgt: str, files: set[str]
) -> None:
    for code in ("pt", "pt_BR"):
        catalog(tmp_path / code / "LC_MESSAGES" / "a.mo", entry(f"In {code}", "Sim"), lang=code)
    if not files:
        with pytest.raises(CorpusError, match="no catalog"):
            texts(tmp_path, "en", tgt)
        return
    assert {src.removeprefix("In ") for src, _, _ in texts(tmp_path, "en", tgt)} == files


def test_catalogs_between_other_languages_are_refused(tmp_path: Path) -> None:
    path = catalog(tmp_path / "is.po", entry("One", "Einn"))
    for pair in (("sv", "is"), ("en", "en-GB")):
        with pytest.raises(CorpusError, match="catalogs translate English"):
            texts(path, *pair)


DAMAGED = {
    "is/a.mo": b"no catalog",
    "is/b.mo": b"\xde\x12\x04\x95" + b"\xff" * 40,
    "is/c.mo": b"",
    "is/d.po": b'msgid "x"\nno keyword\n',
    "is/e.po": b'msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8\\n"\n\nmsgid "a"\nmsgstr "\xff\xfe"\n',
}


def test_a_damaged_file_of_a_folder_is_counted_and_one_alone_is_an_error(tmp_path: Path) -> None:
    for name, data in DAMAGED.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    good = catalog(tmp_path / "is" / "good.po", entry("One", "Einn"))
    found = list(read_pairs(tmp_path, "en", "is"))
    broken = [Path(p.src).name for p in found if p.fault == "unreadable"]
    assert broken == ["a.mo", "b.mo", "c.mo", "d.po", "e.po"]
    assert [p.src for p in found if not p.fault] == ["One"]
    for name in broken:
        with pytest.raises(CorpusError, match="cannot be read as a gettext catalog"):
            list(read_pairs(good.with_name(name), "en", "is"))


def test_the_encoding_that_a_catalog_names_is_read(tmp_path: Path) -> None:
    head = 'msgid ""\nmsgstr "Content-Type: text/plain; charset=ISO-8859-1\\n"\n\nmsgid "File"\nmsgstr "Skrá"\n'
    (tmp_path / "is.po").write_bytes(head.encode("latin-1"))
    assert texts(tmp_path / "is.po") == [("File", "Skrá", "")]
