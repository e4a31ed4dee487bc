"""Icelandic values, against readings by hand and MASSIVE's human translations."""

import json
import re
from pathlib import Path

import pytest

from tests.stores import ROOT
from translate.values import GRAMMARS, compare_texts, read_values, written_value

MASSIVE = ROOT.parent / "shared" / "data" / "massive"


def said(text: str, lang: str = "is") -> list[str]:
    return ["|".join(sorted(map(str, m.readings))) for m in read_values(text, lang)]


@pytest.mark.parametrize(
    ("text", "readings"),
    [
        ("hálf tíu", "09:30|21:30"),
        ("klukkan hálf þrjú", "02:30|14:30"),
        ("hálf tólf fyrir hádegi", "11:30"),
        ("hálf eitt eftir hádegi", "12:30"),
        ("hálf tíu um kvöldið", "21:30"),
        ("fimm mínútur í hálf sjö", "06:25|18:25"),
        ("korter í níu", "08:45|20:45"),
        ("kortér yfir níu að morgni", "09:15"),
        ("tíu mínútur yfir fimm e. h.", "17:10"),
        ("fimm mínútur fyrir tólf", "11:55|23:55"),
        ("kl. 9.30", "09:30|21:30"),
        ("klukkan 21:05", "21:05"),
        ("kl 05.00", "05:00"),
        ("níu núll núll", "09:00|21:00"),
        ("klukkan núll átta núll núll", "08:00"),
        ("klukkan tuttugu og eitt núll fimm", "21:05"),
        ("klukkan tuttugu og tvö þrjátíu", "22:30"),
        ("sex fjörutíu og fimm", "06:45|18:45"),
        ("níu f. h.", "09:00"),
        ("tíu e. h.", "22:00"),
        ("tvö eftir hádegi", "14:00"),
        ("átta um morguninn", "08:00"),
        ("sjö síðdegis", "19:00"),
        ("tvö eftir miðnætti", "02:00"),
        ("tólf á hádegi", "12:00"),
        ("hádegi", "12:00"),
        ("á miðnætti", "00:00"),
        ("klukkan tvö hundruð e. h.", "14:00"),
        ("klukkan fimm hundruð og þrjátíu", "05:30|17:30"),
        ("klukkan 930", "09:30|21:30"),
        ("tuttugu og fimm", "25"),
        ("hundrað tuttugu og þrír", "123"),
        ("tvö hundruð þrjátíu og fimm", "235"),
        ("tvöþúsund og sautján", "2017"),
        ("nítján hundruð áttatíu og fjögur", "1984"),
        ("tvær og hálf milljón", "2500000"),
        ("hálfur milljarður", "500000000"),
        ("2,3 milljarðar króna", "2300000000 ISK"),
        ("1.200 krónur", "1200 ISK"),
        ("14,7 milljarða dollara", "14700000000 USD"),
        ("tíu þúsund bandarískum dollurum", "10000 USD"),
        ("fimm evrur", "5 EUR"),
        ("20 pund", "20 GBP"),
        ("500 sænskar krónur", "500 SEK"),
        ("2,5", "2.5"),
        ("1.250.000", "1250000"),
        ("4,6%", "4.6 %"),
        ("fimm prósent", "5 %"),
        ("tvö prósentustig", "2 % points"),
        ("tuttugasti og annar mars", "month 3 day 22"),
        ("tuttugasta og annan mars", "month 3 day 22"),
        ("fyrsta apríl", "month 4 day 1"),
        ("þrítugasti og fyrsti desember", "month 12 day 31"),
        ("15. mars", "month 3 day 15"),
        ("17. júní", "month 6 day 17"),
        ("maí", "month 5"),
        ("föstudaginn", "Fri"),
        ("á þriðjudögum", "Tue"),
        ("mánudegi", "Mon"),
        ("í dag", "day +0"),
        ("á morgun", "day +1"),
        ("morgundagsins", "day +1"),
        ("í fyrradag", "day -2"),
        ("í gærkvöldi", "day -1"),
        ("í næstu viku", "week +1"),
        ("þessum mánuði", "month +0"),
        ("síðasta ári", "year -1"),
        ("um helgina", "weekend +0"),
        ("tuttugasta og þriðja", "23"),
        ("tuttugu, fimm", "20 5"),
    ],
)
def test_icelandic_is_read(text: str, readings: str) -> None:
    assert " ".join(said(text)) == readings


@pytest.mark.parametrize("forms", ["einn ein eitt einum einni", "tveir tvær tvö tveimur tveggja", "þrír þrjár þremur"])
def test_genders_and_cases_of_a_number_are_one_value(forms: str) -> None:
    assert len({reading for form in forms.split() for reading in said(form)}) == 1


def test_the_word_for_the_clock_is_no_part_of_a_time() -> None:
    (mention,) = read_values("vekja mig klukkan níu að morgni", "is")
    assert mention.text == "níu að morgni"
    assert [m.text for m in read_values("fundur kl. 9.30 og kl.10", "is")] == ["9.30", "10"]


def test_words_with_other_uses_need_no_partner() -> None:
    for text in ("það er eins og einn vinur", "annar maður kom fyrstur", "fyrsta skiptið"):
        assert all(mention.weak for mention in read_values(text, "is")), text
    assert compare_texts("play the song again", "spilaðu annað lagið", src="en", tgt="is").compatible


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("$2.7 billion", "2,7 milljarðar dollara"),
        ("$1 million", "1 milljón dollara"),
        ("€21", "21 evra"),
        ("€11", "11 evrur"),
        ("£5", "5 pund"),
        ("2,700", "2.700"),
        ("3.5%", "3,5%"),
        ("-4%", "-4%"),
        ("2 percentage points", "2 prósentustig"),
        ("Dec 13", "13. desember"),
        ("1990s", None),
    ],
)
def test_values_in_digits_are_written_in_icelandic(text: str, written: str | None) -> None:
    (mention,) = read_values(text, "en")
    assert written_value(mention, "is") == written


@pytest.mark.parametrize("way", ["half-day", "o'clock", "24-hour", "relative"])
def test_every_clock_phrase_is_read_as_the_time_that_it_was_made_of(way: str) -> None:
    phrases = GRAMMARS["is"].clock_phrases
    assert phrases is not None
    for hour in range(24):
        for minute in (0, 10, 15, 20, 30, 45, 50):
            text = phrases.ways[way](hour, minute)
            (mention,) = read_values(text, "is")
            times = {int(reading.value) for reading in mention.readings}
            full = text.startswith("klukkan ") and len(text.split()) == 2 and way == "relative"
            exact = hour * 60 + (0 if full else minute)
            assert exact in times, (text, hour, minute)
            assert times <= {exact, (exact + 720) % 1440}, (text, hour, minute)


@pytest.mark.parametrize(
    ("source", "target", "same"),
    [
        ("wake me at nine am on friday", "vektu mig klukkan níu að morgni á föstudag", True),
        ("wake me at nine am on friday", "vektu mig klukkan níu um kvöldið á föstudag", False),
        ("wake me at half past nine", "vektu mig klukkan hálf níu", False),
        ("wake me at half past nine", "vektu mig klukkan hálf tíu", True),
        ("what is on this morning", "hvað er á dagskrá í kvöld", False),
        ("what is on tomorrow", "hvað er á dagskrá á morgun", True),
        ("what is on tomorrow night", "hvað er á dagskrá annað kvöld", True),
        ("sales rose to 2.3 million euros", "salan jókst í 2,3 milljónir evra", True),
        ("sales rose to 2.3 million euros", "salan jókst í 2,3 milljarða evra", False),
        ("sales rose to 1,250 euros", "salan jókst í 1.250 evrur", True),
    ],
)
def test_values_are_compared_with_english(source: str, target: str, same: bool) -> None:
    assert compare_texts(source, target, src="en", tgt="is").compatible is same


@pytest.mark.skipif(not MASSIVE.is_dir(), reason="shared/data/massive is not here")
def test_values_agree_with_peoples_icelandic_as_often_as_with_their_swedish() -> None:
    shares = {}
    for lang in ("is", "sv"):
        lines = (MASSIVE / f"en-{lang}.train.jsonl").read_text(encoding="utf-8").splitlines()
        rows = [json.loads(line) for line in lines]
        spoken = [row for row in rows if re.search(r"\b(?:p\. m\.|am|o'clock)", row["en"])]
        same = [compare_texts(row["en"], row[lang], src="en", tgt=lang).compatible for row in spoken]
        shares[lang] = sum(same) / len(same)
    assert shares["is"] >= shares["sv"] - 0.01
    assert shares["is"] >= 0.93


def test_the_module_says_that_no_native_speaker_has_read_it() -> None:
    text = (Path(ROOT) / "translate" / "values" / "is_.py").read_text(encoding="utf-8")
    assert "no native speaker has read it" in text.split('"""')[1]
