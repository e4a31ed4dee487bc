"""Gettext catalogs: translations of programs, ``.po`` and ``.mo``; single files, or folders in any common layout.

What becomes of an entry:

* a plain one is a pair; so is each of several that differ in their context (``msgctxt``), which is no text;
* of plural forms, the one that the catalog's rule takes for 1 goes with the singular, every other one with the plural;
* header, fuzzy, obsolete, untranslated entries and names of translators are pairs with a fault, counted as such;
* accelerators ("_File", "&File") are taken out; placeholders stay, for the corpus filters to judge;
* a damaged file of a folder is one pair with the fault "unreadable", which holds its path and what is wrong.
"""

import gettext
import re
import struct
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

import polib

from translate.corpus.formats.accelerators import without_accelerators
from translate.corpus.pairs import CorpusError, Pair
from translate.langcodes import base_code

__all__ = ["GettextFormat", "catalog_language", "is_code"]

_SUFFIXES = (".po", ".mo", ".gmo")
_DAMAGED = (OSError, ValueError, LookupError, struct.error, TypeError, AttributeError)
"""What polib raises for files that are no catalogs."""
_CREDITS = re.compile(r"translator[-_ ]credits|your (names|emails)|_?: ?(name|email) of translators.*", re.IGNORECASE)
_PLURAL = re.compile(r"nplurals\s*=\s*(\d+)\s*;\s*plural\s*=\s*([^;]+)")
_ENGLISH = "en"


class GettextFormat:
    """Catalogs from English into another language, or the other way where English is the target.

    In a folder, those count whose path names the language: ``is/LC_MESSAGES/*.mo``, ``po/is.po``, ``shop-is.po``,
    ``is_IS/shop.po``; where no path does, those whose header names it. One with a region ("pt_BR") counts for the
    language where none is asked for.
    """

    def fits(self, path: Path, _src: str, _tgt: str) -> bool:
        """Tell by the name, or by what is in the folder."""
        return path.suffix in _SUFFIXES or (path.is_dir() and next(_catalogs(path), None) is not None)

    def files(self, path: Path, src: str, tgt: str) -> Sequence[Path]:
        """Return the catalogs of the language that is not English."""
        if not path.is_dir():
            return [path]
        lang = catalog_language(src, tgt)
        everything = sorted(_catalogs(path))
        return [file for file in everything if _names(file.relative_to(path), lang)] or [
            file for file in everything if is_code(_header(file).get("Language", ""), lang)
        ]

    def source(self, _path: Path, _src: str, _tgt: str) -> str:
        """Name the source "catalogs", of which a corpus takes only a part by default."""
        return "catalogs"

    def pairs(self, path: Path, src: str, tgt: str) -> Iterator[Pair | str]:
        """Read all entries of all catalogs."""
        lang = catalog_language(src, tgt)
        files = self.files(path, src, tgt)
        if not files:
            raise CorpusError(f"{path} has no catalog of {lang!r}; its files are {_shown(path)}")
        for pair in chain.from_iterable(_file_pairs(file, alone=not path.is_dir()) for file in files):
            yield pair if lang == tgt else Pair(pair.tgt, pair.src, "", fault=pair.fault)


def catalog_language(src: str, tgt: str) -> str:
    """Return the language of a pair that is not English.

    Raises:
        CorpusError: both are or none is.
    """
    english = [base_code(lang) == _ENGLISH for lang in (src, tgt)]
    if english.count(True) != 1:
        raise CorpusError(
            f"catalogs translate English, which must be one of {src} and {tgt}; tables, Moses files and TMX need not"
        )
    return tgt if english[0] else src


def _catalogs(folder: Path) -> Iterator[Path]:
    return (file for file in folder.rglob("*") if file.suffix in _SUFFIXES and file.is_file())


def _shown(folder: Path) -> str:
    return ", ".join(str(file.relative_to(folder)) for file in sorted(_catalogs(folder))[:5])


def _names(path: Path, lang: str) -> bool:
    """Say whether a folder of a path is named after a language, or the file's name ends in it."""
    return is_code(re.split(r"[.-]", path.stem)[-1], lang) or any(is_code(part, lang) for part in path.parts[:-1])


def is_code(name: str, lang: str) -> bool:
    """Say whether a name is a language in gettext's spelling, such as "pt_BR"; any region where none is asked for.

    >>> is_code("pt_BR", "pt"), is_code("pt_BR", "pt-PT"), is_code("sr@latin", "sr")
    (True, False, False)
    """
    code = re.sub(r"\.utf-?8$", "", name, flags=re.IGNORECASE).replace("_", "-").casefold()
    lang = lang.casefold()
    return code == lang or ("-" not in lang and re.fullmatch(rf"{re.escape(lang)}-[a-z]{{2}}", code) is not None)


def _header(file: Path) -> dict[str, str]:
    try:
        found: dict[str, str] = _opened(file).metadata
    except _DAMAGED:
        return {}
    return found


def _opened(file: Path) -> "polib.POFile | polib.MOFile":
    return polib.pofile(str(file)) if file.suffix == ".po" else polib.mofile(str(file))


def _file_pairs(file: Path, *, alone: bool) -> Iterator[Pair]:
    try:
        catalog = _opened(file)
    except _DAMAGED as exc:
        if alone:
            raise CorpusError(f"{file} cannot be read as a gettext catalog: {exc}") from exc
        yield Pair(str(file), str(exc), "", fault="unreadable")
        return
    yield Pair("", " ".join(f"{key}: {value}" for key, value in catalog.metadata.items()), "", fault="header")
    one = _form_of_one(catalog.metadata.get("Plural-Forms", ""))
    for entry in catalog:
        yield from _entry_pairs(entry, one)


def _form_of_one(rule: str) -> int | None:
    """Return the number of the plural form for 1; None where a language has a single form.

    A rule that is missing or cannot be read is taken for that of English.
    """
    found = _PLURAL.search(rule)
    if found and found[1] == "1":
        return None
    try:
        return int(gettext.c2py(found[2])(1)) if found else 0
    except (ValueError, RecursionError):
        return 0


def _entry_pairs(entry: "polib.POEntry", one: int | None) -> Iterator[Pair]:
    fault = _fault(entry)
    texts = [(entry.msgid, entry.msgstr)]
    if entry.msgid_plural:
        forms = sorted(entry.msgstr_plural.items())
        texts = [(entry.msgid if number == one else entry.msgid_plural, text) for number, text in forms]
    for src, tgt in texts:
        yield Pair(*without_accelerators(src, tgt), "", fault=fault)


def _fault(entry: "polib.POEntry") -> str:
    if entry.obsolete:
        return "obsolete"
    if "fuzzy" in getattr(entry, "flags", ()):  # a compiled catalog has no flags
        return "fuzzy"
    return "credits" if _CREDITS.fullmatch(entry.msgid) else ""
