"""The review page: decisions as review.csv has them, refused at once where they cannot be written, undone at will."""

import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from promptbank.bank.keys import create_key
from promptbank.bank.session import Bank
from promptbank.errors import InputError
from promptbank.mt.memory import kept_overrides
from promptbank.mt.review_log import LOG, ItemState, ReviewLog
from promptbank.mt.review_set import stretches
from tests.consoles import Browser
from translate import Span
from translate.errors import ReviewError
from translate.review.decisions import validated
from translate.review.items import ReviewItem, annotate
from translate.review.lines import dump_items
from translate.review.table import read_answers, write_items

HOSTILE = "<img src=x onerror=alert(1)> \"'&"
FLAGS = ("value_differs: friday is not måndag", "copy: the text is the source", "length: 3.0 times as long")


def item(number: int, *, flags: tuple[str, ...] = FLAGS[:1], severity: str = "review", **more: object) -> ReviewItem:
    text, value = f"den kom på måndag {number}", "måndag"
    spans = (Span(text.index(value), text.index(value) + len(value), "date"),)
    made = {
        "source_hash": f"{number:064x}", "row_id": f"r{number}", "source": f"it came on [date : monday] {number}",
        "translation": annotate(text, spans), "label": "calendar_query: date(friday)", "flags": flags,
        "severity": severity, "agreement": 50.0, "others": (f"den kom på fredag {number}", f"det kom måndag {number}"),
        "slot_types": ("date",), "text": text, "spans": spans, "src": "en", "tgt": "sv", "score": -0.5,
    }  # fmt: skip
    return ReviewItem(**(made | more))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A translated folder with five records to look at and one that is fine."""
    items = [item(n) for n in range(1, 5)] + [item(5, flags=FLAGS[1:]), item(6, flags=(), severity="info")]
    return written(tmp_path / "translated" / "sv", items)


def written(folder: Path, items: list[ReviewItem]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "review.jsonl").write_text(dump_items(items), encoding="utf-8")
    return folder


@pytest.fixture
def browser(bank: Bank, folder: Path) -> Browser:
    return Browser(bank, review=[folder.parent])


def decide(browser: Browser, do: str, **more: str) -> None:
    """Press a button of the record that is shown."""
    form = browser.page.find("form", id="decide")
    fields = {field["name"]: field.get("value", "") for field in form.find_all("input")}
    browser.send("/review/record", fields | {"text": form.textarea.text, "do": do} | more)


def shown(browser: Browser) -> str:
    """The record that is shown; empty where none is left."""
    section = browser.page.find(id="record")
    return section["aria-label"] if section else ""


def csv_of(browser: Browser, which: str = "all") -> str:
    return browser.client.get("/console/review/csv", params={"set": "sv", "which": which}).text


def test_sets_are_listed_with_what_is_left_to_do(browser: Browser) -> None:
    browser.open("/review")
    cells = [cell.text for cell in browser.page.tbody.tr(["th", "td"])]
    assert cells == ["sv", "5", "0", "6"]
    browser.open("/review/record", set="../sv")
    assert (browser.answer.status_code, "no translated set" in browser.text) == (422, True)


def test_both_texts_are_shown_with_their_spans_in_one_colour_and_their_flags(browser: Browser) -> None:
    page = browser.open("/review/record", set="sv")
    source, translation = page.find_all("p", class_="text")
    assert (source["lang"], translation["lang"], source["dir"]) == ("en", "sv", "auto")
    marks = [(mark["class"], mark.contents[0]) for mark in (*source("mark"), *translation("mark"))]
    number = (["value", "span1"], "1")  # a value outside of spans, the same on both sides
    assert marks == [(["span0"], "monday"), number, (["span0"], "måndag"), number]
    assert "friday is not måndag" in page.find(class_="flags").text
    assert "".join(str(part) for part in source.strings) == "it came on mondaydate 1"
    assert [button["data-key"] for button in page.find(class_="others")("button")] == ["1", "2"]
    assert "0 of 5 decided" in page.find(attrs={"aria-live": "polite"}).text


def test_values_that_agree_have_one_colour_on_both_sides_and_others_are_marked_as_alone() -> None:
    text = "tolv av 40 kom klockan tre"
    shown = item(1, source="at 4 pm twelve of 40 came", translation=text, text=text, spans=(), slot_types=())
    source, translation = (
        {one.said: (one.kind, one.colour) for one in side if one.kind} for side in stretches(shown, text)
    )
    assert source == {"4 pm": ("alone", 0), "twelve": ("value", 0), "40": ("value", 1)}
    assert translation == {"klockan tre": ("alone", 0), "tolv": ("value", 0), "40": ("value", 1)}
    for side, said in zip(stretches(shown, text), (shown.source, text), strict=True):
        assert "".join(one.said for one in side) == said


def test_a_filter_takes_records_by_their_worst_flag(bank: Bank, tmp_path: Path) -> None:
    items = [item(1, severity="drop"), item(2), item(3, severity="warn"), item(4, severity="drop")]
    browser = Browser(bank, review=[written(tmp_path / "sv", items)])
    page = browser.open("/review/record", set="sv", severity="drop", which="all")
    assert "1 of 2" in page.find(attrs={"aria-live": "polite"}).text
    assert [one["value"] for one in page.find(id="severity")("option") if one.has_attr("selected")] == ["drop"]
    decide(browser, "ok")
    assert shown(browser) == "Record r4"


def test_accept_edit_drop_attempt_and_dismissal_become_what_review_csv_would_say(
    browser: Browser, folder: Path
) -> None:
    browser.open("/review/record", set="sv")
    decide(browser, "ok")
    assert shown(browser) == "Record r2"
    decide(browser, "edit!", text="hon kom [date : fredag]", note="she")
    decide(browser, "drop")
    decide(browser, "take 2")
    assert shown(browser) == "Record r5"
    decide(browser, "dismiss")  # the first of two flags
    decide(browser, "dismiss")  # it was the last record left, so it is shown again
    assert shown(browser) == ""
    table = browser.open("/review/record", set="sv", state="decided")
    assert "5 of 5 decided" in table.text
    log = ReviewLog(folder)
    answers = {one.source_hash[-1]: (one.decision, one.text) for one in read_answers(csv_of(browser), "x")}
    assert answers == {
        "1": ("ok", ""), "2": ("edit!", "hon kom [date : fredag]"), "3": ("drop", ""),
        "4": ("edit", "det kom [date : måndag] 4"), "5": ("ok", ""), "6": ("", ""),
    }  # fmt: skip
    state = log.state()
    assert state.items[f"{5:064x}"].dismissed == ("copy", "length")
    assert validated(log.items(), read_answers(csv_of(browser), "x")) == validated(
        log.items(), state.answers(log.items())
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("hon kom fredag", "no stretch is marked as date"),
        ("[date : fredag] eller [date : lördag]", "date is marked once too often"),
        ("  ", "there is no text"),
        ("[date : ] kom", "is empty"),
    ],
)
def test_an_edit_that_could_not_be_written_is_refused_at_once_and_its_text_kept(
    browser: Browser, folder: Path, text: str, says: str
) -> None:
    browser.open("/review/record", set="sv")
    decide(browser, "edit", text=text)
    assert (browser.answer.status_code, shown(browser)) == (422, "Record r1")
    assert says in browser.page.find(attrs={"role": "alert"}).text
    assert browser.page.find("details", id="editor").has_attr("open")
    assert browser.page.find("textarea").text in (text, "den kom på [date : måndag] 1")
    assert not (folder / LOG).exists()


def test_an_attempt_whose_slots_are_not_found_opens_the_editor_with_its_text(browser: Browser) -> None:
    browser.open("/review/record", set="sv")
    decide(browser, "take 1")  # it says fredag, where the translation has måndag
    assert (browser.answer.status_code, browser.page.find("textarea").text) == (422, "den kom på fredag 1")


def test_everything_is_undone_to_any_depth_byte_for_byte(browser: Browser, folder: Path) -> None:
    browser.open("/review/record", set="sv")
    first, items = csv_of(browser), (folder / "review.jsonl").read_bytes()
    states = [first]
    for do in ("ok", "drop", "edit!", "take 2", "dismiss"):
        decide(browser, do)
        states.append(csv_of(browser))
    assert len(set(states)) >= 5
    for before in reversed(states[:-1]):
        browser.open("/review/record", set="sv", state="all")
        browser.send("/review/undo", set="sv", state="all")
        assert csv_of(browser) == before
    assert csv_of(browser) == first == write_items(ReviewLog(folder).items())
    assert (folder / "review.jsonl").read_bytes() == items
    browser.open("/review/record", set="sv")
    browser.send("/review/undo", set="sv")
    assert "nothing left to undo" in browser.text
    assert len((folder / LOG).read_text().splitlines()) == 10  # nothing is ever taken out of the log


def test_160_records_are_decided_in_little_time_and_undone_to_the_first_state(bank: Bank, tmp_path: Path) -> None:
    folder = written(tmp_path / "many" / "sv", [item(n) for n in range(1, 161)])
    browser = Browser(bank, review=[folder])
    browser.open("/review/record", set="sv")
    first, seconds = csv_of(browser), []
    for number in range(1, 161):
        fields = {"token": browser.token, "set": "sv", "hash": f"{number:064x}", "revision": "0"}
        began = time.process_time()
        browser.answer = browser.client.post(
            "/console/review/record", data=fields | {"do": "ok" if number % 2 else "drop"}
        )
        seconds.append(time.process_time() - began)
    assert "160 of 160 decided" in browser.text
    assert statistics.median(seconds) < 0.15
    for _ in range(160):
        browser.client.post("/console/review/undo", data={"token": browser.token, "set": "sv"}, follow_redirects=False)
    assert csv_of(browser) == first
    assert ReviewLog(folder).state().items == {}


def test_a_form_with_nonsense_in_it_is_refused(browser: Browser, folder: Path) -> None:
    for more in ({"revision": "x", "do": "burn"}, {"do": "take 99"}, {"hash": "0"}):
        browser.open("/review/record", set="sv")
        decide(browser, more.pop("do", "ok"), **more)
        assert browser.answer.status_code == 422
    assert not (folder / LOG).exists()


def test_undo_shows_the_record_again(browser: Browser) -> None:
    browser.open("/review/record", set="sv")
    decide(browser, "ok")
    assert shown(browser) == "Record r2"
    browser.send("/review/undo", set="sv", state="open")
    assert shown(browser) == "Record r1"


def test_two_reviewers_never_overwrite_each_other(bank: Bank, folder: Path) -> None:
    ada, bo = (Browser(bank, review=[folder.parent]) for _ in range(2))
    ada.begin(create_key(bank, "ada", ["review"]))
    bo.begin(create_key(bank, "bo", ["review"]))
    for one in (ada, bo):
        one.open("/review/record", set="sv")
    decide(ada, "ok")
    decide(bo, "drop")
    assert (bo.answer.status_code, "somebody else decided" in bo.text) == (422, True)
    assert ReviewLog(folder).state().of(f"{1:064x}").decision == "ok"
    bo.open("/review/record", set="sv")
    assert shown(bo) == "Record r2"
    decide(bo, "drop")
    ada.open("/review/record", set="sv", state="all", at=f"{2:064x}")
    decide(ada, "ok")  # she has seen bo's decision, and decides otherwise
    bo.open("/review/record", set="sv")
    bo.send("/review/undo", set="sv")
    assert "somebody else has decided about the same record since" in bo.text
    assert ReviewLog(folder).state().of(f"{2:064x}").decision == "ok"


def test_a_filter_takes_flags_states_and_texts_and_acts_on_all_of_them(browser: Browser, folder: Path) -> None:
    page = browser.open("/review/record", set="sv", flag="value_differs", q="MONDAY] 3")
    assert (shown(browser), "1 of 1" in page.text) == ("Record r3", True)
    options = [" ".join(one.text.split()) for one in page.find("select", {"name": "flag"})("option")]
    assert options == ["any", "value_differs (4)", "copy (1)", "length (1)"]
    browser.open("/review/record", set="sv", flag="value_differs")
    browser.send("/review/all", set="sv", flag="value_differs", do="drop", count="5")
    assert (browser.answer.status_code, "takes 4 open records now" in browser.text) == (422, True)
    browser.open("/review/record", set="sv", flag="value_differs")
    browser.send("/review/all", set="sv", flag="value_differs", do="drop", count="4")
    state = ReviewLog(folder).state()
    assert {key[-1]: one.decision for key, one in state.items.items()} == dict.fromkeys("1234", "drop")
    assert len((folder / LOG).read_text().splitlines()) == 1
    browser.open("/review/record", set="sv", state="all")
    browser.send("/review/undo", set="sv")
    assert ReviewLog(folder).state().items == {}
    assert shown(browser) == "Record r1"
    browser.open("/review/record", set="sv", which="all", state="all", q="r6")
    assert shown(browser) == "Record r6"


def test_next_and_previous_go_round_in_the_order_of_the_file(browser: Browser) -> None:
    browser.open("/review/record", set="sv")
    seen = []
    for key in "jjjjjkk":
        link = browser.page.find("a", attrs={"data-key": key})
        browser.answer = browser.client.get(link["href"])
        seen.append(shown(browser)[-1])
    assert seen == ["2", "3", "4", "5", "1", "5", "4"]


def test_decisions_are_kept_in_the_bank_and_withdrawn_when_they_are_open_again(browser: Browser, bank: Bank) -> None:
    browser.open("/review/record", set="sv")
    decide(browser, "ok")
    decide(browser, "drop")
    browser.send("/review/apply", set="sv")
    assert "2 decisions are kept" in browser.text
    kept = kept_overrides(bank.store, "en", "sv")
    assert {key[-1]: (one.text, one.drop) for key, one in kept.items()} == {
        "1": ("den kom på måndag 1", False), "2": ("", True),
    }  # fmt: skip
    assert kept[f"{1:064x}"].spans == (Span(11, 17, "date"),)
    browser.open("/review/record", set="sv", state="all")
    browser.send("/review/undo", set="sv")
    browser.open("/review/record", set="sv")
    browser.send("/review/apply", set="sv")
    assert list(kept_overrides(bank.store, "en", "sv")) == [f"{1:064x}"]


def test_html_in_every_part_of_a_record_is_shown_as_text(bank: Bank, tmp_path: Path) -> None:
    hostile = item(
        1, text=HOSTILE, translation=HOSTILE, spans=(), source=HOSTILE, slot_types=(), others=(HOSTILE,), label=HOSTILE,
        flags=(f"copy: {HOSTILE}",), row_id=HOSTILE, protected=(HOSTILE,),
    )  # fmt: skip
    written(tmp_path / "t" / "<b>sv", [hostile])
    browser = Browser(bank, review=[tmp_path / "t"])
    browser.open("/review")
    browser.answer = browser.client.get(browser.page.tbody.a["href"])
    page = browser.page
    assert page.find("img") is page.find("b") is None
    assert [p.text for p in page.find_all("p", class_="text")] == [HOSTILE, HOSTILE]
    decide(browser, "drop", note=HOSTILE)
    browser.open("/review/record", set="<b>sv", state="decided")
    assert (browser.page.find("img"), browser.page.find("input", id="note")["value"]) == (None, HOSTILE)


def test_a_reviewer_opens_the_review_and_nothing_else(bank: Bank, folder: Path) -> None:
    browser = Browser(bank, review=[folder.parent])
    browser.begin(create_key(bank, "kim", ["review"]))
    assert browser.page.h1.text == "Review"
    assert [a.text for a in browser.page.nav("a")] == ["Review"]
    browser.open("/review/record", set="sv")
    decide(browser, "ok")
    assert json.loads((folder / LOG).read_text())["by"] == "kim"


def test_a_line_that_a_kill_cut_short_counts_for_nothing(folder: Path) -> None:
    log, key = ReviewLog(folder), f"{1:064x}"
    log.decide("kim", {key: ItemState("ok")}, {})
    whole = (folder / LOG).read_bytes()
    for cut in (1, len(whole) // 2, len(whole) - 1):
        (folder / LOG).write_bytes(whole + whole[:cut])
        assert ReviewLog(folder).state() == log.state()
        log.decide("kim", {f"{2:064x}": ItemState("drop")}, {})
        assert {one[-1] for one in ReviewLog(folder).state().items} == {"1", "2"}
        assert len((folder / LOG).read_bytes().split(b"\n")) == 3


def test_a_log_decides_all_or_nothing(folder: Path) -> None:
    log, first, second = ReviewLog(folder), f"{1:064x}", f"{2:064x}"
    with pytest.raises(ReviewError):
        log.decide("kim", {first: ItemState("ok"), second: ItemState("edit", "no slot")}, {})
    log.decide("kim", {first: ItemState("ok")}, {})
    with pytest.raises(InputError, match="somebody else"):
        log.decide("ada", {first: ItemState("drop"), second: ItemState("drop")}, {second: 0})
    assert {key: one.decision for key, one in log.state().items.items()} == {first: "ok"}


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    from datetime import UTC, datetime
    from unittest.mock import Mock

    from promptbank.mt import review_log

    def at(second: int) -> None:
        now = Mock(now=lambda _: datetime(2026, 1, 1, 12, second // 60, second % 60, tzinfo=UTC))
        now.fromisoformat = datetime.fromisoformat
        monkeypatch.setattr(review_log, "datetime", now)

    return at


def test_the_rate_is_that_of_ones_own_decisions(browser: Browser, timed: Callable[[int], None]) -> None:
    for second in (0, 10, 40):
        timed(second)
        browser.open("/review/record", set="sv")
        decide(browser, "ok")
    assert "3 of 5 decided, 3.0 a minute" in browser.text  # two more in 40 seconds
