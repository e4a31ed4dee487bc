"""Swedish values: "halv tio", "nio noll noll", "kl. 9.30", "2,3 mdr kr", "tjugoandra mars", "i övermorgon"."""

import re
from collections.abc import Iterable
from decimal import Decimal

from translate.values.amounts import Amounts, NumberFormat
from translate.values.calendar import Months, relative_rules, weekday_rule
from translate.values.cardinals import CardinalWords
from translate.values.clock import ClockWords
from translate.values.grammar import ValueGrammar, fixed_rule, numbered, paired_digits, phrase_rule, words_of
from translate.values.mention import Kind, Reading, clock_readings
from translate.values.sv_write import CLOCK_PHRASES, write

__all__ = ["GRAMMAR"]

UNITS = numbered(
    "noll ett två tre fyra fem sex sju åtta nio tio elva tolv tretton fjorton femton sexton sjutton arton nitton"
)
TENS = numbered("tjugo trettio fyrtio femtio sextio sjuttio åttio nittio", 2)
CARDINALS = UNITS | {"en": 1, "aderton": 18} | {word: n * 10 for word, n in TENS.items()} | {"förtio": 40}
CARDINALS |= {"hundra": 100, "tusen": 1000, "ettusen": 1000, "miljon": 10**6, "miljoner": 10**6}
CARDINALS |= {"miljard": 10**9, "miljarder": 10**9, "biljon": 10**12, "biljoner": 10**12}
ORDINALS = numbered(
    "första andra tredje fjärde femte sjätte sjunde åttonde nionde tionde elfte tolfte trettonde fjortonde", 1
) | {"förste": 1, "andre": 2}
ORDINALS |= {"femtonde": 15, "sextonde": 16, "sjuttonde": 17, "artonde": 18, "nittonde": 19}
ORDINALS |= {f"{word}nde": n * 10 for word, n in TENS.items()} | {"hundrade": 100, "tusende": 1000}

SPOKEN = CardinalWords(
    CARDINALS,
    ORDINALS,
    weak=frozenset(
        {"noll", "en", "ett", "första", "förste", "andra", "andre", "tredje", "miljoner", "miljarder", "biljoner"}
    ),
    joined=True,
    link="och",
)
DOLLARS = [
    "dollars",
    "u. s. d.",
    *(f"{whose}dollar" for whose in ("", "us ", "us-", "u. s. ", "amerikansk ", "amerikanska ")),
]
AMOUNTS = Amounts(
    digits=NumberFormat(group=r"[ \u00a0\u202f.]", point="[,.]", ordinal="(?::?(?:a|e)|:?an|-?(?:talet|tal))(?!\\w)"),
    spoken=SPOKEN,
    scales={"k": Decimal(1000), "tusen": Decimal(1000), "hundra": Decimal(100)}
    | dict.fromkeys(("m", "mn", "milj", "miljon", "miljoner"), Decimal(10**6))
    | dict.fromkeys(("md", "mdr", "miljard", "miljarder"), Decimal(10**9))
    | dict.fromkeys(("bn", "b"), Decimal(10**9))  # left in English
    | dict.fromkeys(("biljon", "biljoner"), Decimal(10**12)),
    half="och en halv",
    half_of="(?:en )?halv",
    percent=(
        "procent",
        "procents",
        "procenten",
        "procentig",
        "procentiga",
        "procentigt",
        "percent",
        "pct",  # left in English
    ),
    points=("procentenhet", "procentenheter"),
    currencies=dict.fromkeys(("kr", "krona", "kronor", "kronors"), "SEK")
    | dict.fromkeys(DOLLARS, "USD")
    | {"euro": "EUR", "pund": "GBP", "yen": "JPY"},
    scaled_currencies={"mkr": (Decimal(10**6), "SEK"), "mnkr": (Decimal(10**6), "SEK"), "tkr": (Decimal(1000), "SEK")}
    | {"mdkr": (Decimal(10**9), "SEK")},
)


def _below(end: int) -> dict[str, int]:
    """Return the numbers below ``end`` in words, written together or apart, and in digits."""
    words = {word: n for word, n in CARDINALS.items() if n < min(end, 100)}
    for ten in TENS:
        for unit in [*list(UNITS)[1:10], "en"]:
            words |= {f"{ten}{gap}{unit}": CARDINALS[ten] + CARDINALS[unit] for gap in ("", " ")}
    return {word: n for word, n in words.items() if n < end} | {str(n): n for n in range(end)}


HOURS = {word: n for word, n in _below(25).items() if word != "en"}
MINUTES = _below(60)
MORNING, EVENING, NIGHT = range(12), range(12, 24), (*range(6), *range(18, 24))
PARTS = {
    r"f\.?\s?m\b\.?": MORNING,
    r"e\.?\s?m\b\.?": EVENING,
    r"a\.?\s?m\b\.?": MORNING,  # left in English
    r"p\.?\s?m\b\.?": EVENING,
    "(?:på )?(?:morgonen|förmiddagen)": MORNING,
    "(?:mitt )?på dagen": range(9, 18),
    "(?:på )?(?:eftermiddagen|kvällen)": EVENING,
    "(?:på )?natten": NIGHT,
}
DAY_PARTS = {  # these name a day too, which is a mention of its own: only looked at
    "i ?morse|i förmiddag|i ?morgon (?:bitti|förmiddag)|i ?går morse": MORNING,
    "i ?kväll|i ?eftermiddag|i ?(?:morgon|går) (?:eftermiddag|kväll)": EVENING,
    "i ?natt|i ?(?:morgon|går) natt": NIGHT,
}
PART = rf"(?:\s*(?P<part>{'|'.join(PARTS)})|(?=\s*(?P<day>{'|'.join(DAY_PARTS)})(?!\w)))"
HOUR = rf"(?P<zero>noll )?(?P<hour>{words_of(HOURS)})"
MINUTE = rf"(?P<minute>{words_of(MINUTES)})"
ROUND = rf"(?P<minute>kvart|{words_of(word for word, n in MINUTES.items() if n in (5, 10, 20, 25))})"
QUARTERS = words_of(word for word, n in MINUTES.items() if n in (15, 30, 45) and not word.isdigit())
LONG = words_of(word for word, n in MINUTES.items() if n >= 10 and not word.isdigit())
O_CLOCK = r"(?P<clock>klockan|klockslaget|kl\.?)\s*"
BEFORE = rf"(?:{O_CLOCK})?"
BEHIND = f"{PART}?"
NO_RANGE = "(?<!mellan )"
CLOCK = ClockWords(HOURS, {**PARTS, **DAY_PARTS}, MORNING)


def _minute(word: str | None) -> int:
    word = (word or "noll").casefold()
    return 15 if word == "kvart" else MINUTES[word.lstrip("0") or "0"]


def _at(found: re.Match[str]) -> Iterable[Reading]:
    return CLOCK.at(found, _minute(found.groupdict().get("minute")))


def _past(found: re.Match[str]) -> Iterable[Reading]:
    back = -1 if found["way"].casefold() == "i" else 1
    return CLOCK.at(found, back * _minute(found["minute"]))


def _half(found: re.Match[str]) -> Iterable[Reading]:
    """Read "halv tio" as 9:30, "fem i halv tio" as 9:25, "fem över halv tio" as 9:35."""
    way, off = found.groupdict().get("way"), _minute(found.groupdict().get("minute"))
    minute = -30 + (-off if way and way.casefold() == "i" else off)
    return CLOCK.half_to(found, minute)


def _run_together(found: re.Match[str]) -> Iterable[Reading]:
    hour, minute = divmod(int(found["number"]), 100)
    return clock_readings(hour, minute, CLOCK.hours(found)) if hour <= 24 and minute < 60 else ()


CLOCKS = (
    phrase_rule(rf"{BEFORE}halv {HOUR}{BEHIND}", _half),
    phrase_rule(rf"{BEFORE}{ROUND}(?: minuter)? (?P<way>i|över) halv {HOUR}{BEHIND}", _half),
    phrase_rule(rf"{BEFORE}(?:en )?{ROUND}(?: minuter)? (?P<way>i|över) {HOUR}{BEHIND}", _past),
    phrase_rule(rf"{BEFORE}{MINUTE} minuter (?P<way>i|över) {HOUR}{BEHIND}", _past),
    phrase_rule(rf"{O_CLOCK}{MINUTE} (?P<way>i|över) {HOUR}{BEHIND}", _past),
    phrase_rule(rf"{BEFORE}(?P<hour>[01]?\d|2[0-4]):(?P<minute>[0-5]\d){BEHIND}", _at),
    phrase_rule(rf"{O_CLOCK}(?P<hour>[01]?\d|2[0-4])[.](?P<minute>[0-5]\d){BEHIND}", _at),
    phrase_rule(rf"(?P<hour>[01]?\d|2[0-4])[.](?P<minute>[0-5]\d){PART}", _at),
    phrase_rule(rf"{BEFORE}{HOUR} noll (?P<minute>{words_of(list(UNITS)[:10])}){BEHIND}", _at),
    phrase_rule(rf"{BEFORE}{HOUR} (?P<minute>{LONG}){BEHIND}", _at),
    phrase_rule(rf"{O_CLOCK}{HOUR}(?: och)? (?P<minute>{LONG}){BEHIND}", _at),
    phrase_rule(rf"{NO_RANGE}{HOUR} och (?P<minute>{LONG}){PART}", _at),
    phrase_rule(rf"{NO_RANGE}{HOUR} och (?P<minute>{QUARTERS})", _at),
    phrase_rule(rf"{O_CLOCK}{HOUR}{BEHIND}", _at),
    phrase_rule(rf"{O_CLOCK}(?P<number>\d{{3,4}}){BEHIND}", _run_together),
    phrase_rule(rf"{HOUR}{PART}", _at),
    phrase_rule(rf"(?P<hour>[01]?\d|2[0-4])-tiden{BEHIND}", _at),
    fixed_rule("(?:klockan )?tolv mitt på dagen|mitt på dagen", Reading("clock", Decimal(12 * 60))),
    fixed_rule("midnatt", Reading("clock", Decimal(0))),
)


COUNTED = "dygn|dag|minut|timme|timmar|veck|månad|år"


def _compound(found: re.Match[str]) -> Iterable[Reading]:
    """Read the number that begins a compound: "tiodygnsprognos", "femdagars", "trettiominutersalarm"."""
    spoken = SPOKEN.read(found["number"], 0)
    return [Reading("number", Decimal(spoken.value))] if spoken and spoken.end == len(found["number"]) else []


PREFIX = words_of(word for word, n in MINUTES.items() if n > 1 and " " not in word and not word.isdigit())
YEARS = (
    paired_digits(_below(100)),
    phrase_rule(rf"(?P<number>{PREFIX})(?:{COUNTED})\w*", _compound),
)

WEEKDAYS = {f"{stem}dag": n for stem, n in numbered("mån tis ons tors fre lör sön", 1).items()}
MONTHS = numbered("januari februari mars april maj juni juli augusti september oktober november december", 1)
MONTHS |= {word[:3]: n for word, n in MONTHS.items() if n not in (3, 5, 7)} | {"sept": 9}  # mars, maj, jul
DAYS = {word: n for word, n in _below(32).items() if not word.isdigit() and n} | {
    f"{tens}{word}": value + n
    for tens, value in (("", 0), ("tjugo", 20), ("tjugo ", 20), ("trettio", 30))
    for word, n in ORDINALS.items()
    if 0 < value + n < 32 and (n < 10 or not tens)
}
WEAK_MONTHS = frozenset({"mars", *(name for name in MONTHS if len(name) <= 3 and name != "maj")})  # also names
RELATIVE: dict[str, tuple[Kind, tuple[int, ...]]] = {
    "i ?övermorgon|övermorgon|dagen efter imorgon": ("day", (2,)),
    "i ?förrgår|förrgår": ("day", (-2,)),
    "i ?dag": ("day", (0,)),
    "i ?morgon(?: bitti)?|morgondagens?": ("day", (1,)),
    "i ?går|gårdagens?": ("day", (-1,)),
    "i ?morse|i eftermiddag|i förmiddag": ("day", (0,)),
    r"(?:denna|den här) (?:morgon|kväll|eftermiddag|förmiddag)\w*": ("day", (0,)),
    "i ?natt": ("day", (-1, 0)),
    r"(?:igår|i går) (?:kväll|natt|morse|eftermiddag)|gårdagskvällen|förra natten|gårdagsnatten": ("day", (-1,)),
}
UNITS_OF_TIME: dict[str, Kind] = {
    r"veck(?:a|an)s?": "week",
    r"(?:helg|helgen|veckoslut|veckoslutet|veckohelgen)s?": "weekend",
    r"(?:månad|månaden)s?": "month",
    r"(?:år|året)s?": "year",
}
WAYS: dict[str, tuple[int, ...]] = {
    "(?:den här|det här|denna|detta|nuvarande|i|innevarande)": (0,),
    "(?:nästa|kommande|följande|nästkommande)": (1,),
    "(?:förra|senaste|föregående|sista|gångna)": (-1,),
}
SPELLS: dict[str, tuple[Kind, tuple[int, ...]]] = {
    rf"{way} {unit}": (kind, far) for way, far in WAYS.items() for unit, kind in UNITS_OF_TIME.items()
}
SPELLS |= {rf"{way}(?=\s+(?:{words_of(WEEKDAYS)}))": ("week", far) for way, far in WAYS.items() if far != (0,)} | {
    "i fjol": ("year", (-1,)),
    "veckans": ("week", (0,)),
    "dagens|i ?kväll|kvällens": ("day", (0,)),  # also "of the day", "in the evening"
    "från (?:och med )?(?:nu|i ?dag)": ("day", (0,)),
}

NO_GREETING = r"(?<!\bgod )(?<!\bgod)"
NOT_TOMORROW = r"(?<!\bi )(?<!\bi)(?<!över)"

GRAMMAR = ValueGrammar(
    "sv",
    (
        *YEARS,
        *CLOCKS,
        *Months(MONTHS, DAYS, ":?e|:?a", "i|den", "hundra|tusen", WEAK_MONTHS).rules(),
        weekday_rule(WEEKDAYS, r"\w*"),
        *relative_rules(RELATIVE, weak=False),
        *relative_rules(SPELLS, weak=True),
        AMOUNTS,
    ),
    write,
    {
        "morning": rf"{NO_GREETING}(?:{NOT_TOMORROW}morgon(?!dag)|förmiddag)|\b(?:morgnar|i ?morse|går morse|bitti\b)",
        "afternoon": rf"{NO_GREETING}eftermiddag",
        "evening or night": rf"{NO_GREETING}(?:kväll|\b(?:mid|i|\w*s)?natt|\bnätter)",
    },
    range_word="till",
    list_words="och|eller",
    common_words=frozenset(
        numbered(
            "och att det som är var den på för av med inte till ett en har kan ska skulle från om eller när du din "
            "ditt jag han hon vi de sig detta denna vid efter hur"
        )
    ),
    clock_phrases=CLOCK_PHRASES,
)
