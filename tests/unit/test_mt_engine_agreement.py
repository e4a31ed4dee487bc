"""Engines compared by agreement: figures against sacrebleu by hand, the draw, the ranking, recorded engines."""

from __future__ import annotations

import json
import statistics
from pathlib import Path

import pytest
from sacrebleu.metrics.chrf import CHRF

from tests.conftest import Promptbank
from tests.stores import ROOT
from translate.scoring.agreement import agreements, engine_agreements, pair_agreements

SHARED = ROOT.parent / "shared" / "data" / "eval" / "engines"
SOURCES = ["Close the window.", "Open the door at 9.", "It rains.", "He sold 12 cars.", "Good morning."]
TEXTS = {
    "one": ["Stäng fönstret.", "Öppna dörren klockan 9.", "Det regnar.", "Han sålde 12 bilar.", "God morgon."],
    "two": ["Stäng fönstret!", "Öppna dörren kl. 9.", "Det regnar nu.", "Han sålde 12 bilar.", "Godmorgon."],
    "odd": ["Stäng fönstret.", "Öppna dörren klockan 9.", "Det regnar.", "Zzz.", "God morgon."],
}


def by_hand(text: str, *others: str) -> float:
    return statistics.fmean(CHRF().sentence_score(text, [other]).score for other in others)


def test_agreement_is_the_mean_chrf_with_the_other_engines_and_the_least_agreed_on_comes_first() -> None:
    found = agreements(SOURCES, None, TEXTS, ("en", "sv"))
    assert found[0].number == 4
    assert found[0].outlier == "odd"
    for sentence in found:
        at = sentence.number - 1
        for name, texts in TEXTS.items():
            others = [TEXTS[other][at] for other in TEXTS if other != name]
            assert sentence.alike[name] == pytest.approx(by_hand(texts[at], *others))
        assert sentence.mean == pytest.approx(statistics.fmean(sentence.alike.values()))
    assert [one.mean for one in found] == sorted(one.mean for one in found)


def test_engines_are_summed_up_and_paired() -> None:
    found = agreements(SOURCES, None, TEXTS, ("en", "sv"))
    engines = {one.engine: one for one in engine_agreements(found)}
    assert engines["odd"].alike == min(one.alike for one in engines.values())
    assert engines["odd"].flagged.count == 1  # it lost 12
    assert (engines["one"].flagged.count, engines["one"].chrf, engines["one"].correlation) == (0, None, None)
    pairs = pair_agreements(found)
    assert set(pairs) == {("one", "two"), ("one", "odd"), ("two", "odd")}
    each = [by_hand(a, b) for a, b in zip(TEXTS["one"], TEXTS["odd"], strict=True)]
    assert pairs["one", "odd"] == pytest.approx(statistics.fmean(each))


def test_references_tell_how_well_agreement_finds_the_worst() -> None:
    sources = [f"Sentence {n}." for n in range(40)]
    references = [f"mening nummer {n} är ganska lång" for n in range(40)]
    bad = {3, 11, 19, 27}
    texts = {
        "spoilt": ["helt annat" if n in bad else text for n, text in enumerate(references)],
        "sound": references,
        "other": references,
    }
    by_name = {one.engine: one for one in engine_agreements(agreements(sources, references, texts, ("en", "sv")))}
    spoilt = by_name["spoilt"]
    assert (spoilt.found.count, spoilt.found.of) == (4, 4)
    assert spoilt.correlation == pytest.approx(1.0)
    assert spoilt.chrf == pytest.approx(by_hand_mean(texts["spoilt"], references))
    assert by_name["sound"].correlation is None  # its chrF is 100 everywhere


def by_hand_mean(texts: list[str], references: list[str]) -> float:
    return statistics.fmean(by_hand(text, reference) for text, reference in zip(texts, references, strict=True))


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("texts.txt").write_text("".join(f"{text}\n" for text in [*SOURCES, SOURCES[0], ""]))
    for name, texts in TEXTS.items():
        Path(f"{name}.sv").write_text("".join(f"{text}\n" for text in texts))
    Path("texts.en").write_text("".join(f"{text}\n" for text in SOURCES))
    return tmp_path


def compared(promptbank: Promptbank, *more: str) -> tuple[int, str, str]:
    engines = [word for name in TEXTS for word in ("--engine", f"recorded:texts.en,{name}.sv")]
    result = promptbank("mt", "compare-engines", *engines, "--set", "texts.txt", "--home", "home", *more)
    return result.exit_code, result.stdout, result.stderr


def test_recorded_engines_are_compared_with_a_report(promptbank: Promptbank, files: Path) -> None:
    code, out, err = compared(promptbank, "--out", "agreement", "--json")
    assert code == 0, err
    rows = [json.loads(line) for line in out.splitlines()]
    assert [row["engine"] for row in rows][-1] == "odd.sv"
    lines = [json.loads(line) for line in (files / "agreement" / "sentences.jsonl").read_text().splitlines()]
    assert len(lines) == 5  # a sentence that stands twice is asked once
    assert lines[0]["source"] == "He sold 12 cars."
    page = (files / "agreement" / "report.md").read_text()
    assert page.index("He sold 12 cars.") < page.index("Good morning.")
    assert "Zzz." in page


def test_rows_are_drawn_by_the_seed_alone(promptbank: Promptbank, files: Path) -> None:
    def drawn(*more: str) -> set[str]:
        assert compared(promptbank, "--rows", "2", "--out", "agreement", *more)[0] == 0
        return {json.loads(line)["source"] for line in Path("agreement/sentences.jsonl").read_text().splitlines()}

    first = drawn()
    assert len(first) == 2
    lines = Path("texts.txt").read_text().splitlines()
    Path("texts.txt").write_text("\n".join(reversed(lines)))
    assert drawn() == first
    assert {tuple(sorted(drawn("--seed", str(seed)))) for seed in range(9)} != {tuple(sorted(first))}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--engine", "copy", "--set", "texts.txt"), "give two or more"),
        (("--engine", "copy", "--engine", "copy", "--set", "texts.txt"), "give two or more"),
        (("--engine", "copy", "--engine", "recorded:texts.en,none.sv", "--set", "texts.txt"), "none.sv"),
        (("--engine", "copy", "--engine", "recorded:texts.en,short.sv", "--set", "texts.txt"), "has no line 2"),
        (("--engine", "copy", "--engine", "recorded:texts.en,one.sv", "--set", "empty.txt"), "has no sentences"),
    ],
)
def test_what_cannot_be_compared_is_said(
    promptbank: Promptbank, files: Path, arguments: tuple[str, ...], says: str
) -> None:
    (files / "short.sv").write_text("En rad.\n")
    (files / "empty.txt").write_text("\n")
    result = promptbank("mt", "compare-engines", *arguments, "--home", "home")
    assert result.exit_code == 1
    assert says in result.stderr


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared data (recorded engines) are not on this machine")
def test_agreement_of_six_engines_finds_their_worst_sentences_on_flores() -> None:
    names = ("argos", "bergamot-tiny", "google", "microsoft", "nllb", "opusmt")
    sources, references = ((SHARED / f"flores-dev.{lang}").read_text().split("\n")[:200] for lang in ("en", "sv"))
    texts = {name: (SHARED / f"flores-dev.{name}.sv").read_text().split("\n")[:200] for name in names}
    engines = engine_agreements(agreements(sources, references, texts, ("en", "sv")))
    assert all(one.correlation > 0.3 for one in engines)
    assert statistics.fmean(one.found.value for one in engines) > 0.2
