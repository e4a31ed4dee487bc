"""Reports: what is text stays text, numbers are written one way, and all files are written or none."""

from __future__ import annotations

import base64
import os
import re
import struct
import zlib
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from promptbank.report.cells import about_rows, blocks, cell_text
from promptbank.report.errors import ReportError
from promptbank.report.parts import Figure, Prose, Report, Table
from promptbank.report.render import markdown, page
from promptbank.report.write import write_report
from tasks.statistics import Interval, MeanSd

EVIL = "<script>alert(1)</script> & \"q\" | 'p' *b* `c` [l](x) <!-- --> \\| $m$ &lt;"
texts = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), max_size=40)
VOID = {"meta", "img", "br"}


def png(width: int = 3, height: int = 2) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + b"\xff" * width for _ in range(height)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def report(**changes: object) -> Report:
    parts = [
        Table("Scores", ["method", "accuracy"], [["p-tuned", 0.826], ["majority", None]], "One thread."),
        Figure("curve", "Curve", png(), "Five seeds.", alt="It rises from 0.6 to 0.8."),
        Prose("How", "First.\n\n- one\n- two"),
    ]
    settings = {"title": "FiQA", "summary": "It works.", "about": {"seed": 7}, "parts": parts} | changes
    return Report(**settings)


class Elements(HTMLParser):
    """Every element of a page: name, attributes, and the text directly in it. Fails on tags that do not match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None], list[str]]] = []
        self.open: list[tuple[str, dict[str, str | None], list[str]]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs), []))
        if tag not in VOID:
            self.open.append(self.found[-1])

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        if self.open:
            self.open[-1][2].append(data)

    def named(self, *tags: str) -> list[tuple[dict[str, str | None], str]]:
        return [(attributes, "".join(data)) for tag, attributes, data in self.found if tag in tags]


def parsed(text: str) -> list[Token]:
    return MarkdownIt("commonmark").enable("table").parse(text)


def shown(tokens: list[Token]) -> list[str]:
    """Texts of the inline tokens; fails where one holds anything but text."""
    found = []
    for token in tokens:
        if token.type == "inline":
            assert {child.type for child in token.children or []} <= {"text", "text_special"}, token.content
            found.append("".join(child.content for child in token.children or []))
    return found


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (0.826, "0.8260"),
        (1.0, "1.0000"),
        (0.0, "0.0000"),
        (-0.03, "-0.0300"),
        (2.834, "2.834"),
        (44.2, "44.20"),
        (328.84, "328.8"),
        (12345.6, "12,346"),
        (0.00012, "1.20e-04"),
        (25600, "25,600"),
        (True, "yes"),
        (None, "-"),
        (float("nan"), "nan"),
        (MeanSd(0.826, 0.0004, 5), "0.8260 ± 0.0004"),
        (MeanSd(44.2, 3.0, 5), "44.20 ± 3.00"),
        (MeanSd(0.8, None, 1), "0.8000"),
        (Interval(0.092, 0.061, 0.123, 0.95), "0.0920 [0.0610, 0.1230]"),
        ("a\x00b\ud800", "a�b�"),
    ],
)
def test_cells_are_written_one_way(cell: object, text: str) -> None:
    assert cell_text(cell) == text


def test_what_a_result_is_about_is_shown_exactly_and_flat() -> None:
    about = {"lr": 0.00005, "seed": 20260101, "packages": {"torch": "2"}, "none": None, "cards": [{"taskname": "a"}]}
    assert dict(about_rows(about)) == {
        "lr": "5e-05",
        "seed": "20260101",
        "packages.torch": "2",
        "none": "-",
        "cards": '[{"taskname": "a"}]',
    }


def test_prose_has_paragraphs_and_lists() -> None:
    text = "One\nsentence.\n\nTwo:\n- a\n  b\n- c\n\n\nThree."
    assert list(blocks(text)) == [
        ("p", ["One sentence."]),
        ("p", ["Two:"]),
        ("ul", ["a b", "c"]),
        ("p", ["Three."]),
    ]
    assert list(blocks(" \n ")) == []


@given(texts)
@example(EVIL)
@example("a\\")
@example("a\\|b")
def test_a_cell_of_a_markdown_table_is_the_text_that_was_given(text: str) -> None:
    one = Table("T", [text, "b"], [[text, text]])
    found = shown(parsed(markdown(report(parts=[one], about={}), "r")))
    assert found[-4:] == [" ".join(text.split()), "b", *[" ".join(text.split())] * 2]


@given(texts)
@example("# no heading #")
@example("1. no list")
@example("12) no list")
@example("+ no list")
@example("---")
@example("===")
@example("[a]: b")
@example("_a_ a_b __c__")
@example("&amp; &#65; R&D")
@example("~~~ x")
@example(EVIL)
def test_markdown_prose_is_the_text_that_was_given(text: str) -> None:
    line = " ".join(text.split()).removeprefix("- ").strip()
    made = report(title=line, summary=line, falls_short=[line], parts=[Prose(line, f"- {line}")], about={})
    tokens = parsed(markdown(made, "r"))
    kinds = [token.type for token in tokens if token.type.endswith("_open")]
    bullets = ["bullet_list_open", "list_item_open", "paragraph_open"]
    if line:
        assert kinds == ["heading_open", "heading_open", *bullets, "paragraph_open", "heading_open", *bullets]
        assert shown(tokens) == [line, "Falls short", line, line, line, line]


def test_a_markdown_report_reads_as_it_should() -> None:
    assert markdown(report(falls_short=["0.85 was not reached."]), "fiqa") == (
        "# FiQA\n\n## Falls short\n\n- 0.85 was not reached.\n\nIt works.\n\n"
        "## Scores\n\n| method | accuracy |\n| --- | ---: |\n| p-tuned | 0.8260 |\n| majority | - |\n\nOne thread.\n\n"
        "## Curve\n\n![It rises from 0.6 to 0.8.](fiqa-curve.png)\n\nFive seeds.\n\n"
        "## How\n\nFirst.\n\n- one\n- two\n\n"
        "## About\n\n| what | value |\n| --- | --- |\n| seed | 7 |\n"
    )


@given(texts)
@example(EVIL)
def test_text_in_a_page_is_text(text: str) -> None:
    table = Table(text, [text, "n"], [[text, text]], text)
    figure = Figure("f", text, png(), text, alt=text if text.strip() else "none")
    made = report(
        title=text, summary=text, falls_short=[text], about={text: text}, parts=[table, figure, Prose(text, text)]
    )
    known = report(parts=[table, figure, Prose("t", "t")])
    found = Elements(page(made))
    assert {tag for tag, _, _ in found.found} <= {tag for tag, _, _ in Elements(page(known)).found} | {"ul", "li"}
    assert found.named("h1") == [({}, text)]
    assert found.named("td")[0][1] == text
    assert found.named("img")[0][0]["alt"] == figure.alt


def test_a_page_needs_nothing_else_and_runs_nothing() -> None:
    text = page(report())
    found = Elements(text)
    tags = {tag for tag, _, _ in found.found}
    assert not tags & {"script", "link", "iframe", "object", "embed", "base", "form"}
    sources = [value or "" for _, a, _ in found.found for key, value in a.items() if key in ("src", "href")]
    assert all(source.startswith(("data:image/png;base64,", "#")) for source in sources)
    assert not re.search(r"url\(|@import", text)
    policy = next(a["content"] for a, _ in found.named("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none'; img-src data:;")


def test_a_page_can_be_read_without_eyes_and_on_a_phone() -> None:
    found = Elements(page(report(lang="sv", falls_short=["x"])))
    assert found.named("html")[0][0]["lang"] == "sv"
    assert all(a["scope"] == "col" for a, text in found.named("th") if text in ("method", "accuracy"))
    assert [text for a, text in found.named("th") if a["scope"] == "row"] == ["p-tuned", "majority", "seed"]
    image = found.named("img")[0][0]
    assert (image["alt"], image["width"], image["height"]) == ("It rises from 0.6 to 0.8.", "3", "2")
    ids = [a["id"] for _, a, _ in found.found if "id" in a]
    assert len(ids) == len(set(ids))
    assert {a["aria-labelledby"] for _, a, _ in found.found if "aria-labelledby" in a} <= set(ids)
    assert any(a.get("name") == "viewport" for a, _ in found.named("meta"))
    assert all(a["tabindex"] == "0" for a, _ in found.named("div") if a["class"] == "scroll")


def test_the_picture_in_the_page_is_the_one_beside_the_markdown(tmp_path: Path) -> None:
    paths = write_report(report(), tmp_path / "new" / "folder", "fiqa")
    assert [path.name for path in paths] == ["fiqa.md", "fiqa.html", "fiqa-curve.png"]
    assert sorted(path.name for path in paths[0].parent.iterdir()) == sorted(path.name for path in paths)
    assert paths[2].read_bytes() == png()
    source = Elements(paths[1].read_text(encoding="utf-8")).named("img")[0][0]["src"] or ""
    assert base64.b64decode(source.partition(",")[2]) == png()
    for line in re.findall(r"!\[.*]\((.*)\)", paths[0].read_text(encoding="utf-8")):
        assert (paths[0].parent / line).is_file()


def test_what_falls_short_stands_before_everything_else() -> None:
    made = report(falls_short=["0.85 was not reached."])
    for text in (markdown(made, "r"), page(made).partition("<body>")[2]):
        assert text.index("0.85 was not reached.") < text.index("It works.") < text.index("p-tuned")
    assert "Falls short" not in markdown(report(), "r") + page(report())


def test_a_page_with_many_parts_begins_with_a_list_of_them() -> None:
    parts = [Prose(f"Part {n}", "x") for n in range(4)]
    found = Elements(page(report(parts=parts)))
    heads = {a["id"]: text for a, text in found.named("h2")}
    assert [heads[(a["href"] or "")[1:]] for a, _ in found.named("a")] == [part.title for part in parts]
    assert Elements(page(report(parts=parts[:3]))).named("nav") == []


def test_equal_reports_give_equal_bytes_and_replace_older_ones(tmp_path: Path) -> None:
    first = [path.read_bytes() for path in write_report(report(), tmp_path, "r")]
    write_report(report(title="Other"), tmp_path, "r")
    assert [path.read_bytes() for path in write_report(report(), tmp_path, "r")] == first


def test_a_report_that_cannot_be_written_leaves_the_older_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {path: path.read_bytes() for path in write_report(report(), tmp_path, "r")}
    write = Path.write_bytes

    def full(path: Path, data: bytes) -> int:
        if "curve" in path.name:
            raise OSError(28, "No space left on device")
        return write(path, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(ReportError, match="No space left"):
        write_report(report(title="Newer"), tmp_path, "r")
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_folder_in_the_way_is_an_error_and_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "r-curve.png").mkdir()
    with pytest.raises(ReportError, match=r"r-curve\.png is a folder"):
        write_report(report(), tmp_path, "r")
    assert os.listdir(tmp_path) == ["r-curve.png"]
    (tmp_path / "file").write_text("")
    with pytest.raises(ReportError, match="name another folder"):
        write_report(report(), tmp_path / "file", "r")


@pytest.mark.parametrize("name", ["", "../x", "a b", "A", "-a", "a--b", "x.md", "å"])
def test_names_that_are_no_files_names_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="a-z, 0-9"):
        write_report(report(), tmp_path, name)
    with pytest.raises(ReportError, match="figure name"):
        Figure(name, "t", png(), alt="x")
    assert list(tmp_path.iterdir()) == []


def test_parts_that_cannot_be_shown_are_refused() -> None:
    with pytest.raises(ReportError, match="row 2 of table 'T' has 1 cells; 2 are needed"):
        Table("T", ["a", "b"], [[1, 2], [3]])
    with pytest.raises(ReportError, match="no columns"):
        Table("T", [], [])
    with pytest.raises(ReportError, match="no PNG"):
        Figure("f", "t", b"GIF89a", alt="x")
    with pytest.raises(ReportError, match="no alt text"):
        Figure("f", "t", png(), alt=" ")
    with pytest.raises(ReportError, match="f stand twice"):
        report(parts=[Figure("f", "t", png(), alt="x")] * 2)
