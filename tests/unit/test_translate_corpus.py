"""Corpora of pairs: what is dropped and why, what is made, that nothing depends on order."""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from translate.corpus.augment import augment
from translate.corpus.build import build_corpus
from translate.corpus.filters import reason, sieve
from translate.corpus.folder import corpus_files, read_corpus, read_manifest
from translate.corpus.formats import likenesses, read_pairs
from translate.corpus.pairs import CorpusError, Pair, draw, is_sentence, likeness
from translate.corpus.settings import CorpusSettings
from translate.values import GRAMMARS

PLAIN = CorpusSettings(title=0, entity=0, marker=0, dev=0, caps={}, repeats={})


def pair(src: str, tgt: str, source: str = "x") -> Pair:
    return Pair(src, tgt, source)


@pytest.mark.parametrize(
    ("src", "tgt", "why"),
    [
        ("Save the file now.", "Spara filen nu.", None),
        ("50 % of us are 30 years old.", "50 % av oss är 30 år gamla.", None),
        ("Tom & Jerry are here.", "Tom & Jerry är här.", None),
        ("It costs $5 or so.", "Det kostar ungefär 5 dollar.", None),
        ("", "Spara", "empty"),
        ("Cannot open %s", "Kan inte öppna %s", "placeholder"),
        ("%1$s of %2$d files", "%1$s av %2$d filer", "placeholder"),
        ("Hello {name}", "Hej {name}", "placeholder"),
        ("Page {0}", "Sida {0}", "placeholder"),
        ("Setting to %1 now", "Ställer in %1 nu", "placeholder"),
        ("&File menu", "&Arkivmeny", "placeholder"),
        ("Save F&ile", "Spara f&il", "placeholder"),
        ("_Open it", "Ö_ppna den", "placeholder"),
        ("see <b>this</b> part", "se <b>denna</b> del", "markup"),
        ("a &quot;word&quot;", "ett &quot;ord&quot;", "markup"),
        ("x" * 601, "y" * 601, "long"),
        ("12 / 45 - 88 : a", "12 / 45 - 88 : b", "letters"),
        ("Home", "Hem till gården igen efter en lång dag", "ratio"),
        ("GNU Image Manipulation Program", "GNU Image manipulation program.", "copy"),
        ("Stockholm", "Stockholm", None),
        ("Click the button to close.", "Click the button to close it.", "language"),
        ("See the list of all tools", "Se the list of alla tools", "language"),
        ("Kürdəmir rayon", "Kurdamir distrikt", "language"),
    ],
)
def test_a_pair_is_dropped_for_its_first_fault(src: str, tgt: str, why: str | None) -> None:
    assert reason(pair(src, tgt), "en", "sv") == why


@pytest.mark.parametrize(
    ("tgt", "text"),
    [("hi", "यह मेरी किताब है।"), ("th", "ที่นี่มีร้านอาหารดีๆ ไหม"), ("ta", "இது என் புத்தகம்.")],
)
def test_vowel_signs_are_letters(tgt: str, text: str) -> None:
    assert reason(pair("This is my book.", text), "en", tgt) is None
    assert reason(pair("This is my book.", f"{text} {'1' * len(text)}"), "en", tgt) == "letters"


@pytest.mark.parametrize(
    ("tgt", "src", "text", "why"),
    [
        ("zh", "The weather will be fine tomorrow in the whole country.", "明天全国天气晴好。", None),
        ("ja", "The meeting has been postponed until next Wednesday.", "会議は来週の水曜日に延期されました。", None),
        ("ko", "The weather will be fine tomorrow in the whole country.", "내일은 전국이 맑겠습니다.", None),
        ("zh", "Please turn it off.", "请" * 60, "ratio"),
        ("zh", "Please turn off all the lights before you leave.", "关灯", "ratio"),
    ],
)
def test_a_wide_character_is_as_long_as_three_of_an_alphabet(tgt: str, src: str, text: str, why: str | None) -> None:
    assert reason(pair(src, text), "en", tgt) == why


def test_hindi_words_that_differ_in_vowel_signs_are_no_doubles() -> None:
    pairs = [pair("day", "दिन"), pair("Day!", "दान"), pair("day.", "दिन।")]
    assert {likeness(p.tgt) for p in sieve(pairs, "en", "hi").kept} == {"दान", "दिन"}
    assert likeness("I ❤\ufe0f you") == likeness("i ❤ you")
    assert likeness("İstanbul") == likeness("istanbul")


def test_common_words_of_one_language_are_not_common_in_another() -> None:
    assert GRAMMARS["en"].common_words
    assert GRAMMARS["en"].common_words.isdisjoint(GRAMMARS["sv"].common_words)


def test_a_language_without_a_word_list_is_not_judged() -> None:
    assert reason(pair("the list of all", "a lista of the todas"), "en", "gl") is None


def test_another_place_on_the_other_side_drops_a_pair_and_an_inflected_one_does_not() -> None:
    def located(first: str, second: str) -> Pair:
        return replace(pair("a b c", "d e f"), spans=(("place_name", first, second), ("date", "monday", "idag")))

    assert reason(located("new york", "alvesta"), "en", "sv") == "localised"
    assert reason(located("paris", "paris'"), "en", "sv") is None


def test_evaluation_sentences_are_dropped_whatever_their_case_and_punctuation_on_either_side() -> None:
    held_out = frozenset(map(likeness, ["Get back in the van.", "Åk hem"]))
    pairs = [pair("get back in the van", "hoppa in igen"), pair("Go home!", "åk hem!"), pair("Go away.", "Gå bort.")]
    found = sieve(pairs, "en", "sv", held_out)
    assert found.kept == [pairs[2]]
    assert found.dropped == {"x": {"evaluation": 2}}


def test_of_doubles_one_stays_and_every_pair_read_is_counted_once() -> None:
    pairs = [pair("Close it.", "Stäng den.", name) for name in ("b", "a", "b")] + [pair("%s it", "%s den", "b")]
    found = sieve(pairs, "en", "sv")
    assert [p.source for p in found.kept] == ["a"]
    assert found.read == {"a": 1, "b": 3}
    assert found.dropped == {"b": {"duplicate": 2, "placeholder": 1}}


def test_a_cap_keeps_sentences_before_fragments() -> None:
    fragments = [pair(f"label {n} here", f"etikett {n} här", "ui") for n in range(20)]
    sentences = [pair(f"Close window number {n} now.", f"Stäng fönster nummer {n} nu.", "ui") for n in range(5)]
    corpus = build_corpus(fragments + sentences, replace(PLAIN, caps={"ui": 7}))
    kept = [is_sentence(p.src) for p in corpus.train]
    assert sorted(kept, reverse=True) == [True] * 5 + [False] * 2
    assert corpus.dropped["ui"]["cap"] == 18


def many(count: int = 200) -> list[Pair]:
    words = ["bread", "milk", "rain", "snow", "coffee", "music", "light", "water"]
    ord_ = ["bröd", "mjölk", "regn", "snö", "kaffe", "musik", "ljus", "vatten"]
    return [
        pair(
            f"Tom bought {words[n % 8]} in Boston {n} times.",
            f"Tom köpte {ord_[n % 8]} i Boston {n} gånger.",
            "ab"[n % 2],
        )
        for n in range(count)
    ]


def test_a_corpus_does_not_depend_on_the_order_of_its_pairs_and_does_on_the_seed() -> None:
    settings = CorpusSettings(caps={"a": 50}, repeats={"b": 2}, title=0.3, dev=20)
    once, again = build_corpus(many(), settings), build_corpus(many()[::-1], settings)
    assert once == again
    assert build_corpus(many(), replace(settings, seed=1)) != once


def test_dev_pairs_share_no_side_with_training_pairs() -> None:
    doubled = many() + [replace(p, src=p.src + " Twice.") for p in many()]
    corpus = build_corpus(doubled, CorpusSettings(dev=30))
    sides = {likeness(text) for p in corpus.train if p.kind == "plain" for text in (p.src, p.tgt)}
    assert len(corpus.dev) == 30
    assert not sides & {likeness(text) for p in corpus.dev for text in (p.src, p.tgt)}


def test_counts_add_up() -> None:
    settings = CorpusSettings(caps={"a": 50}, repeats={"b": 2}, title=0, entity=0, marker=0, dev=20)
    corpus = build_corpus(many(), settings)
    assert corpus.kept["b"]["plain"] == 2 * len({p.src for p in corpus.train if p.source == "b"})
    kept = sum(n["plain"] // settings.repeats.get(name, 1) for name, n in corpus.kept.items())
    assert kept + len(corpus.dev) + corpus.dropped["a"]["cap"] == 200


def test_nothing_left_is_an_error() -> None:
    with pytest.raises(CorpusError, match="no pair of 1 is left"):
        build_corpus([pair("%s", "%s")], PLAIN)


def made(one: Pair, kind: str, **shares: float) -> Pair:
    settings = replace(PLAIN, **shares)
    found = {p.kind: p for p in augment(one, settings)}
    assert found["plain"] == one or one.marked
    return found[kind]


def test_a_headline_has_title_case_and_no_full_stop() -> None:
    one = pair("The price of oil fell to a new low.", "Oljepriset föll till en ny bottennivå.")
    headline = made(one, "title.v1", title=1)
    assert headline.src == "The Price of Oil Fell to a New Low"
    assert headline.tgt == "Oljepriset föll till en ny bottennivå"


@pytest.mark.parametrize("text", ["Is the price of oil low?", "low price.", "It fell to 3.5 percent today."])
def test_questions_fragments_and_inner_stops_are_no_headlines(text: str) -> None:
    assert {p.kind for p in augment(pair(text, "Det är så."), replace(PLAIN, title=1))} == {"plain"}


def test_a_spoken_sentence_is_in_lower_case_without_signs_on_both_sides() -> None:
    one = pair("Hey, cancel the meeting with Lisa on Tuesday, please!", "Hej, ställ in mötet med Lisa på tisdag, tack!")
    new = made(one, "spoken.v1", spoken=1)
    assert new.src == "hey cancel the meeting with lisa on tuesday please"
    assert new.tgt == "hej ställ in mötet med lisa på tisdag tack"


@pytest.mark.parametrize("text", ["I have 2 cars here.", "Stop. He is here.", 'He said "no" to me.', "Open the window"])
def test_what_nobody_says_so_is_no_spoken_sentence(text: str) -> None:
    assert {p.kind for p in augment(pair(text, "Det är så det är."), replace(PLAIN, spoken=1))} == {"plain"}


def test_another_name_stands_in_the_same_places_on_both_sides() -> None:
    one = pair("I met Boston yesterday.", "Jag träffade Boston igår.")
    new = made(one, "entity.v1", entity=1)
    before, after = new.src.removeprefix("I met ").removesuffix(" yesterday."), new.tgt
    assert after == f"Jag träffade {before} igår."
    assert before != "Boston"


def test_another_number_has_the_decimal_comma_of_the_translation() -> None:
    seen = set()
    for n in range(10, 60):
        one = pair(f"We sold {n} cars.", f"Vi sålde {n} bilar.")
        new = made(one, "entity.v1", entity=1)
        number = new.src.removeprefix("We sold ").removesuffix(" cars.")
        assert new.tgt == f"Vi sålde {number.replace('.', ',')} bilar."
        seen.add("." in number)
    assert seen == {True, False}


def test_a_language_of_which_nothing_writes_values_is_given_whole_numbers() -> None:
    for n in range(2, 60):
        one = pair(f"We sold {n} cars.", f"We sold {n} cars.")
        (new,) = [p for p in augment(one, replace(PLAIN, entity=1, src="sv", tgt="en")) if p.kind == "entity.v1"]
        assert re.fullmatch(r"We sold \d+ cars\.", new.src)
        assert new.tgt == new.src


@pytest.mark.parametrize("text", ["He came at 10:30 today.", "It is 3.5 or 1,200 here.", "I know NASA."])
def test_times_fractions_and_capitals_are_not_replaced(text: str) -> None:
    assert {p.kind for p in augment(pair(text, text), replace(PLAIN, entity=1))} == {"plain"}


def test_spans_of_the_source_are_marked_in_both_texts(tmp_path: Path) -> None:
    row = {
        "en": "wake me at nine on friday", "sv": "väck mig på fredag vid nio",
        "en_annot": "wake me at [time : nine] on [date : friday]",
        "sv_annot": "väck mig på [date : fredag] vid [time : nio]",
    }  # fmt: skip
    other = {**row, "sv_annot": "väck mig på [date : fredag] vid nio"}
    path = tmp_path / "massive.train.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in (row, other)))
    first, second = read_pairs(path, "en", "sv")
    assert first.source == "massive"
    assert first.spans == (("time", "nine", "nio"), ("date", "friday", "fredag"))
    marked = made(first, "marker.v1", marker=1)
    assert marked.src == "wake me at <s0> nine </s0> on <s1> friday </s1>"
    assert marked.tgt == "väck mig på <s1> fredag </s1> vid <s0> nio </s0>"
    assert second.marked is None
    assert {p.kind for p in augment(second, replace(PLAIN, marker=1))} == {"plain"}


def test_a_word_that_is_the_same_on_both_sides_may_be_marked() -> None:
    settings = replace(PLAIN, marker=1)
    kinds = Counter(p.kind for one in many() for p in augment(one, settings))
    assert 25 <= kinds["marker.v1"] <= 80  # a quarter of 200, as drawn
    texts = [(p.src, p.tgt) for one in many() for p in augment(one, settings) if p.kind == "marker.v1"]
    assert all(re.findall(r"<s0> (.+?) </s0>", src) == re.findall(r"<s0> (.+?) </s0>", tgt) != [] for src, tgt in texts)


def test_shares_are_the_shares_asked_for() -> None:
    kinds = Counter(p.kind for one in many(1000) for p in augment(one, replace(PLAIN, title=0.2, entity=0.5)))
    assert kinds["title.v1"] == pytest.approx(200, abs=45)
    assert kinds["entity.v1"] == pytest.approx(500, abs=65)


def test_a_draw_is_uniform_and_its_own() -> None:
    numbers = [draw(p, "cap", 0) for p in many(1000)]
    assert all(0 <= n < 1 for n in numbers)
    assert sum(numbers) / 1000 == pytest.approx(0.5, abs=0.04)
    assert draw(many(1)[0], "cap", 0) != draw(many(1)[0], "dev", 0)


def test_files_are_read_zipped_or_not_and_tidied(tmp_path: Path) -> None:
    lines = 'Hello\u00a0 "you"\tHej \u201ddu\u201d\ttatoeba\nA\u030aland\tÅland\n'
    (tmp_path / "en-sv.tsv").write_text(lines)
    with gzip.open(tmp_path / "en-sv.tsv.gz", "wt") as file:
        file.write(lines)
    plain = list(read_pairs(tmp_path / "en-sv.tsv", "en", "sv", source="mine"))
    assert plain == list(read_pairs(tmp_path / "en-sv.tsv.gz", "en", "sv", source="mine"))
    assert plain[0] == Pair('Hello "you"', "Hej ”du”", "tatoeba")
    assert plain[1] == Pair("Åland", "Åland", "mine")


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.tsv", "one\n", "a.tsv:1: a pair needs two texts"),
        ("a.jsonl", '{"en": "one"}\n', "a.jsonl:1: a pair needs two texts"),
        ("a.jsonl", '{"en": "a", "sv": "b"}\n\n{"en": \n', "a.jsonl:3: this is no JSON"),
        (
            "a.tsv",
            "a\tb\n" + "one\n" * 22,
            "a.tsv:21: a pair needs two texts, in columns or in 'en' and 'sv'; and 2 more",
        ),
        ("a.jsonl", '{"en": \n{"en": "a"}\n', "a.jsonl:2: a pair needs two texts"),
        ("a.json", f"[{'1' * 140_000}]", "a.json:1: a pair needs two texts"),
        ("a.tsv.gz", "one\ttwo\n", "cannot be read as pairs"),
        ("a.tsv.gz", gzip.compress(b"one\ttwo\n" * 9, mtime=0)[:12] + b"damaged" * 9, "cannot be read as pairs"),
    ],
)
def test_a_file_without_pairs_is_an_error_that_names_it(
    tmp_path: Path, name: str, text: str | bytes, said: str
) -> None:
    (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(CorpusError, match=re.escape(said)):
        list(read_pairs(tmp_path / name, "en", "sv"))


@pytest.mark.parametrize(("name", "line"), [("a.tsv", "one\ttwo\n"), ("a.jsonl", '{"en": "one", "sv": "two"}\n\n')])
def test_a_byte_order_mark_is_part_of_no_sentence(tmp_path: Path, name: str, line: str) -> None:
    (tmp_path / name).write_text(line, encoding="utf-8-sig")
    assert list(read_pairs(tmp_path / name, "en", "sv")) == [Pair("one", "two", "a")]


@pytest.mark.parametrize("name", ["pairs.tsv", "pairs.tsv.gz"])
def test_a_carriage_return_within_a_line_ends_no_pair(tmp_path: Path, name: str) -> None:
    data = b"One cat\r\tEinn k\xc3\xb6ttur\r\r\nTwo\rdogs\tTveir hundar\n"
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    found = [(p.src, p.tgt, p.source) for p in read_pairs(tmp_path / name, "en", "is")]
    assert found == [("One cat", "Einn köttur", "pairs"), ("Two dogs", "Tveir hundar", "pairs")]


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="cannot be read as pairs"):
        list(read_pairs(tmp_path / "a.tsv", "en", "sv"))


def test_held_out_sentences_are_those_of_both_languages(tmp_path: Path) -> None:
    (tmp_path / "dev.tsv").write_text("Go!\tGå!\n")
    assert likenesses(read_pairs(tmp_path / "dev.tsv", "en", "sv")) == {"go", "gå"}


@pytest.mark.parametrize(
    ("one", "other"),
    [("at five p. m.", "at five pm"), ("an e-mail", "an e mail"), ("It 's a Mercedes-Benz", "its a mercedes benz")],
)
def test_texts_that_differ_in_case_punctuation_and_spaces_are_alike(one: str, other: str) -> None:
    assert likeness(one) == likeness(other)
    assert likeness(one) != likeness(f"{other} too")
    assert likeness("?!") != likeness("...")


def test_no_augmentation_makes_a_sentence_that_is_held_out() -> None:
    settings = replace(PLAIN, dev=1, clocks=6, values=0)
    pairs = [Pair(f"wake {name} at seven am", f"väck {name} klockan sju", "x") for name in ("Ann", "Bo", "Cy", "Di")]
    free = build_corpus(pairs, settings)
    made = sorted({new.src for new in free.train if new.kind != "plain"})
    assert made
    held = frozenset(map(likeness, made[::2]))
    corpus = build_corpus(pairs, settings, held)
    assert {new.src for new in corpus.train if new.kind != "plain"} == set(made) - set(made[::2])
    assert corpus.dropped["x"]["evaluation"] == sum(new.src in made[::2] for new in free.train)


def spoken(name: str, hour: tuple[str, str] = ("seven am", "sju på morgonen")) -> Pair:
    (en, sv) = hour
    marked = (f"wake {name} at <s0> {en} </s0>", f"väck {name} <s0> klockan {sv} </s0>")
    return Pair(f"wake {name} at {en}", f"väck {name} klockan {sv}", "x", marked=marked)


def unmarked(pair: Pair) -> str:
    return re.sub(r"</?s\d> ?", "", pair.src).strip()


def test_no_marked_variant_is_made_of_a_held_out_sentence() -> None:
    settings = replace(PLAIN, marker=1, clocks=40)
    free = build_corpus([spoken("Ann")], settings)
    wanted = {unmarked(new) for new in free.train if "<s0>" in new.src} - {"wake Ann at seven am"}
    assert len(wanted) > 9
    corpus = build_corpus([spoken("Ann")], settings, frozenset(map(likeness, wanted)))
    assert {new.src for new in corpus.train} == {new.src for new in free.train if unmarked(new) not in wanted}


def test_no_marked_variant_is_made_of_a_dev_sentence() -> None:
    hours = ("one", "ett"), ("two", "två"), ("three", "tre"), ("four", "fyra"), ("five", "fem"), ("six", "sex")
    halves = ("am", "på morgonen"), ("p. m.", "på eftermiddagen")
    pairs = [spoken("Ann", (f"{en} {half}", f"{sv} {part}")) for en, sv in hours for half, part in halves]
    corpus = build_corpus(pairs, replace(PLAIN, dev=9, clocks=40))
    assert corpus.dev
    assert not {likeness(unmarked(new)) for new in corpus.train} & {likeness(one.src) for one in corpus.dev}


def test_a_written_corpus_is_read_back_and_a_changed_one_refused(tmp_path: Path) -> None:
    settings = CorpusSettings(dev=5)
    corpus = build_corpus(many(), settings)
    files = corpus_files(corpus, settings, {"many": "0" * 64})
    assert list(files) == ["train.jsonl", "dev.jsonl", "manifest.json"]
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert read_corpus(tmp_path) == list(corpus.train)
    assert read_corpus(tmp_path, "dev") == list(corpus.dev)
    manifest = read_manifest(tmp_path)
    assert manifest == json.loads(files["manifest.json"])
    assert manifest["pairs"] == {"train": len(corpus.train), "dev": 5}
    assert corpus_files(build_corpus(many()[::-1], settings), settings, {"many": "0" * 64}) == files
    with (tmp_path / "train.jsonl").open("a") as file:
        file.write("\n")
    with pytest.raises(CorpusError, match="not the file that its manifest tells of"):
        read_corpus(tmp_path)


def test_a_folder_without_a_manifest_is_no_corpus(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="no finished corpus"):
        read_corpus(tmp_path)


def test_all_faults_of_settings_are_told_at_once() -> None:
    faults = r"title is 2.*cap of a is -1.*repeat of b is 0.*dev is -1; it is at least 0.*both 'sv'"
    with pytest.raises(CorpusError, match=faults):
        CorpusSettings(src="sv", dev=-1, title=2, caps={"a": -1}, repeats={"b": 0})
