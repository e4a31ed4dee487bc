"""What is known of a language holds in its regions: value modules, clock times, common words."""

from translate.corpus.clocks import other_clocks
from translate.corpus.filters import reason
from translate.corpus.pairs import Pair
from translate.corpus.settings import CorpusSettings
from translate.values import compare_texts, read_values, written_value

WAKE = Pair("wake me up at nine am on friday", "väck mig klockan nio på fredag", "x")


def test_values_are_read_compared_and_written_in_a_region_as_in_its_language() -> None:
    assert read_values("up 3.5% at five am", "en-GB") == read_values("up 3.5% at five am", "en") != ()
    found = compare_texts("ten am", "tio på kvällen", src="en-GB", tgt="sv-SE")
    assert (found.compatible, found.note) == (False, compare_texts("ten am", "tio", src="en", tgt="sv").note)
    assert written_value(read_values("33%", "en-GB")[0], "sv-SE") == "33 %"


def test_other_clock_times_are_made_for_regions_too() -> None:
    settings, regional = CorpusSettings(clocks=6), CorpusSettings(src="en-GB", tgt="sv-SE", clocks=6)
    assert list(other_clocks(WAKE, regional)) == list(other_clocks(WAKE, settings)) != []


def test_a_pair_of_regions_is_sieved_by_its_languages() -> None:
    pair = Pair("See the list of all tools", "Se the list of alla tools", "x")
    assert reason(pair, "en-GB", "sv-SE") == reason(pair, "en", "sv") == "language"
