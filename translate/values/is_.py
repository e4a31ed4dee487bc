"""Icelandic values: "hálf tíu", "korter yfir níu", "kl. 9.30", "2,3 milljarðar króna", "tuttugasti og annar mars".

Written after grammars and MASSIVE's human Icelandic (train part); no native speaker has read it.
"""

import re
from collections.abc import Iterable
from decimal import Decimal

from translate.values.amounts import Amounts, NumberFormat
from translate.values.calendar import Months, relative_rules, weekday_rule
from translate.values.cardinals import CardinalWords
from translate.values.clock import ClockWords
from translate.values.grammar import ValueGrammar, fixed_rule, numbered, paired_digits, phrase_rule, words_of
from translate.values.is_write import CLOCK_PHRASES, write
from translate.values.mention import Kind, Reading

__all__ = ["GRAMMAR"]

NEUTER = numbered(
    "núll eitt tvö þrjú fjögur fimm sex sjö átta níu tíu ellefu tólf þrettán fjórtán fimmtán sextán sautján átján "
    "nítján"
)
INFLECTED = (
    "einn ein eina einum einni einu eins einnar",
    "tveir tvær tvo tveim tveimur tveggja",
    "þrír þrjár þrjá þrem þremur þriggja",
    "fjórir fjórar fjóra fjórum fjögurra fjögra",
)
"""One to four in their other genders and cases; the numbers above them have one form."""
ONE = frozenset({"eitt", *INFLECTED[0].split()})
UNITS = NEUTER | {word: n for n, words in enumerate(INFLECTED, 1) for word in words.split()}
TENS = numbered("tuttugu þrjátíu fjörutíu fimmtíu sextíu sjötíu áttatíu níutíu", 2)
SCALES = (
    (100, "hundrað hundruð hundruðum hundraða hundraði"),
    (1000, "þúsund þúsundir þúsundum þúsunda þúsundi"),
    (10**6, "milljón milljónir milljónum milljóna"),
    (10**9, "milljarður milljarð milljarði milljarðs milljarðar milljarða milljörðum"),
    (10**12, "billjón billjónir billjónum billjóna"),
)
SCALE_WORDS = {word: size for size, words in SCALES for word in words.split()}
CARDINALS = UNITS | {word: n * 10 for word, n in TENS.items()} | {"fjörtíu": 40} | SCALE_WORDS
SECOND = "annar önnur annað annan aðra annarri annarrar öðrum öðru annars aðrir aðrar annarra"
NTH = numbered("fyrst _ þriðj fjórð fimmt sjött sjöund áttund níund tíund elleft tólft þrettánd fjórtánd fimmtánd", 1)
NTH |= {"sextánd": 16, "sautjánd": 17, "átjánd": 18, "nítjánd": 19, "tuttugast": 20, "þrítugast": 30, "fertugast": 40}
NTH |= {"fimmtugast": 50, "sextugast": 60, "sjötugast": 70, "áttugast": 80, "nítugast": 90, "hundraðast": 100}
ORDINALS = {f"{stem}{end}": n for stem, n in NTH.items() for end in "iau" if stem != "_"}
ORDINALS |= dict.fromkeys(SECOND.split(), 2)

SPOKEN = CardinalWords(
    CARDINALS,
    ORDINALS,
    weak=frozenset(
        {"núll", *ONE, *SECOND.split(), *(f"{stem}{end}" for stem in ("fyrst", "þriðj") for end in "iau")}
        | {word for word, size in SCALE_WORDS.items() if size > 100}
    ),
    joined=True,
    link="og",
    links_tens=True,
)
DOLLARS = re.findall(
    r"\S+", "dollar dollari dollara dollarar dollurum dollars dollarans dalur dal dali dals dalir dala dölum"
)
US = [f"bandarísk{end} " for end in ("ur", "ir", "a", "an", "um", "ra", "s", "i")]
KRONAS = ("króna", "krónu", "krónur", "krónum", "krónan", "krónunnar", "krónuna")
AMOUNTS = Amounts(
    digits=NumberFormat(
        group=r"[ \u00a0\u202f.]", point=r"(?:,|\.(?!\d{3}(?!\d)))", ordinal=r"\.(?=\s+[a-záðéíóúýþæö])"
    ),
    spoken=SPOKEN,
    scales={word: Decimal(size) for word, size in SCALE_WORDS.items()}
    | {"k": Decimal(1000), "þús": Decimal(1000), "m": Decimal(10**6), "mn": Decimal(10**6)}
    | {"bn": Decimal(10**9), "b": Decimal(10**9)},  # left in English
    half="og hálf(?:ur|a|t|an|u|um|ri|s)?",
    half_of="hálf(?:ur|a|t|an|u|um|ri|s|rar)?",
    percent=("prósent", "prósentum", "prósenta", "prósentu", "prósentur", "percent", "pct"),  # the last two in English
    points=("prósentustig", "prósentustigum", "prósentustiga"),
    currencies=dict.fromkeys(("kr", *KRONAS, *(f"{one} {word}" for one in ("íslenskar",) for word in KRONAS)), "ISK")
    | {f"{whose}{end} {word}": "SEK" for whose in ("sænsk",) for end in ("", "ar", "um", "ra") for word in KRONAS}
    | {f"{whose}{word}": "USD" for whose in ("", "bandaríkja", *US) for word in DOLLARS}
    | {"u. s. d.": "USD"}
    | dict.fromkeys(("evra", "evru", "evrur", "evrum", "evran", "evrunnar"), "EUR")
    | dict.fromkeys(("pund", "pundi", "punda", "pundum", "pundið", "pundinu", "sterlingspund", "sterlingspunda"), "GBP")
    | dict.fromkeys(("jen", "jeni", "jena", "jenum", "jens"), "JPY"),
    scaled_currencies={"m.kr": (Decimal(10**6), "ISK"), "mkr": (Decimal(10**6), "ISK")}
    | {"ma.kr": (Decimal(10**9), "ISK"), "þús.kr": (Decimal(1000), "ISK")},
)


def _below(end: int, units: Iterable[str]) -> dict[str, int]:
    """Return the numbers below ``end`` in words, of 1 to 9 the given forms, and in digits."""
    words = {word: n for word, n in NEUTER.items() if n >= 5 or n == 0} | {word: UNITS[word] for word in units}
    for ten, tens in TENS.items():
        words |= {ten: tens * 10} | {f"{ten} og {unit}": tens * 10 + UNITS[unit] for unit in units}
    return {word: n for word, n in words.items() if n < end} | {str(n): n for n in range(end)}


DIGITS = list(NEUTER)[1:10]
HOURS = _below(25, DIGITS)
MINUTES = _below(60, [*DIGITS, "ein", "eina", "tvær", "þrjár", "fjórar"])
MORNING, EVENING, NIGHT = range(12), range(12, 24), (*range(6), *range(18, 24))
PARTS = {
    r"f\.?\s?h\b\.?|fyrir hádegi|árdegis": MORNING,
    r"e\.?\s?h\b\.?|eftir hádegið?|síðdegis|(?:um |á )?(?:seinni ?partinn|eftirmiðdaginn)": EVENING,
    r"a\.?\s?m\b\.?": MORNING,  # left in English
    r"p\.?\s?m\b\.?": EVENING,
    "að morgni(?: dags)?|(?:um |á )?(?:morguninn|morgun|morgunin|morgnana)(?!dag)": MORNING,
    "um daginn|að degi til": range(9, 18),
    "(?:að |um |á )?(?:kvöldi|kvöldið|kvöld|kvöldin)": EVENING,
    "(?:að |um |á )?(?:nóttu|nóttina|nótt|næturnar)": NIGHT,
    "á hádegi": range(12, 13),
    "á miðnætti": range(1),
    "eftir miðnætti": range(6),
}
DAY_PARTS = {  # these name a day too, which is a mention of its own: only looked at
    "í morgun|í fyrramálið|fyrramálið|í gærmorgun|á morgun (?:fyrir hádegi|um morguninn)": MORNING,
    "í kvöld|annað kvöld|í gærkvöldi?|(?:í dag|á morgun) (?:eftir hádegi|síðdegis|seinni ?partinn)": EVENING,
    "í nótt|aðra nótt": NIGHT,
}
PART = rf"(?:\s*(?P<part>{'|'.join(PARTS)})|(?=\s*(?P<day>{'|'.join(DAY_PARTS)})(?!\w)))"
HOUR = rf"(?P<zero>núll )?(?P<hour>{words_of(HOURS)})"
MINUTE = rf"(?P<minute>kort[eé]r|{words_of(MINUTES)})"
ROUND = rf"(?P<minute>kort[eé]r|{words_of(word for word, n in MINUTES.items() if n in (5, 10, 20, 25))})"
QUARTERS = words_of(word for word, n in MINUTES.items() if n in (15, 30, 45) and not word.isdigit())
LONG = words_of(word for word, n in MINUTES.items() if n >= 10 and not word.isdigit())
HUNDREDS = rf"(?:{words_of(w for w, n in HOURS.items() if not w.isdigit() and n)}) hundr[au]ð(?:(?: og)? (?:{LONG}))?"
O_CLOCK = r"(?:(?<=klukkan )|(?<=klukkuna )|(?<=klukkunni )|(?<=kl\. )|(?<=kl\.)|(?<=kl ))"
"""Stands before a time and is no part of it: of 407 times behind "klukkan", MASSIVE's slots leave it out of 393."""
BEHIND = f"{PART}?"
WAY = "(?P<way>í|fyrir|yfir|eftir)"
MINS = "(?: mínút(?:ur|um|u|a))?"
CLOCK = ClockWords(HOURS, {**PARTS, **DAY_PARTS}, MORNING)


def _minute(word: str | None) -> int:
    word = (word or "núll").casefold()
    return 15 if word.startswith("kort") else MINUTES[word.lstrip("0") or "0"]


def _at(found: re.Match[str]) -> Iterable[Reading]:
    return CLOCK.at(found, _minute(found.groupdict().get("minute")))


def _back(found: re.Match[str]) -> int:
    return -1 if (found.groupdict().get("way") or "").casefold() in ("í", "fyrir") else 1


def _past(found: re.Match[str]) -> Iterable[Reading]:
    return CLOCK.at(found, _back(found) * _minute(found["minute"]))


def _half(found: re.Match[str]) -> Iterable[Reading]:
    """Read "hálf tíu" as 9:30, "fimm mínútur í hálf tíu" as 9:25."""
    minute = -30 + _back(found) * _minute(found.groupdict().get("minute"))
    return CLOCK.half_to(found, minute)


def _run_together(found: re.Match[str]) -> Iterable[Reading]:
    """Read "tvö hundruð f. h." and "930" after "klukkan", as a transcriber writes 2:00 and 9:30."""
    return CLOCK.run_together(found, SPOKEN)


EXACT = phrase_rule(rf"{O_CLOCK}{HOUR}(?: og)? (?P<minute>{LONG}){BEHIND}", _at)
"""Before years: "klukkan sautján tíu" is no year 1710."""
CLOCKS = (
    phrase_rule(rf"hálf {HOUR}{BEHIND}", _half),
    phrase_rule(rf"{ROUND}{MINS} (?P<way>í|yfir) hálf {HOUR}{BEHIND}", _half),
    phrase_rule(rf"{ROUND}{MINS} (?P<way>í|yfir) {HOUR}{BEHIND}", _past),
    phrase_rule(rf"{MINUTE} mínút(?:ur|um|u|a) {WAY} {HOUR}(?! mínút| klukku| tíma){BEHIND}", _past),
    phrase_rule(rf"{O_CLOCK}{MINUTE}{MINS} {WAY} {HOUR}{BEHIND}", _past),
    phrase_rule(rf"(?P<hour>[01]?\d|2[0-4]):(?P<minute>[0-5]\d){BEHIND}", _at),
    phrase_rule(rf"{O_CLOCK}(?P<hour>[01]?\d|2[0-4])[.](?P<minute>[0-5]\d){BEHIND}", _at),
    phrase_rule(rf"(?P<hour>[01]?\d|2[0-4])[.](?P<minute>[0-5]\d){PART}", _at),
    phrase_rule(rf"{HOUR} núll (?P<minute>{words_of(list(NEUTER)[:10])}){BEHIND}", _at),
    phrase_rule(rf"{HOUR} (?P<minute>{LONG}){BEHIND}", _at),
    phrase_rule(rf"{HOUR} og (?P<minute>{QUARTERS}){PART}", _at),
    phrase_rule(rf"{O_CLOCK}{HOUR}{BEHIND}", _at),
    phrase_rule(rf"{O_CLOCK}(?P<number>\d{{3,4}}|{HUNDREDS}){BEHIND}", _run_together),
    phrase_rule(rf"(?P<number>{HUNDREDS}){PART}", _run_together),
    phrase_rule(rf"{HOUR}{PART}", _at),
    fixed_rule("(?:tólf )?á hádegi|(?<!fyrir )(?<!eftir )hádegi(?:nu|ð)?", Reading("clock", Decimal(12 * 60))),
    fixed_rule("(?:tólf )?(?:á )?miðnætti(?:ð|nu)?", Reading("clock", Decimal(0))),
)

WEEKDAYS = {
    f"{stem}{day}": n
    for stem, n in numbered("mánu þriðju miðviku fimmtu föstu laugar sunnu", 1).items()
    for day in ("dag", "deg", "dög")
}
MONTHS = numbered("janúar febrúar mars apríl maí júní júlí ágúst september október nóvember desember", 1)
MONTHS |= {word[:3]: n for word, n in MONTHS.items() if n != 3} | {"sept": 9}
TENTHS = {"": 0} | {f"{ten}{end} og ": n for ten, n in (("tuttugast", 20), ("þrítugast", 30)) for end in "iau"}
DAYS = {word: n for word, n in _below(32, DIGITS).items() if not word.isdigit() and n} | {
    f"{tens}{word}": value + n
    for tens, value in TENTHS.items()
    for word, n in ORDINALS.items()
    if 0 < value + n < 32 and (n < 10 or not tens)
}
WEAK_MONTHS = frozenset({"mars", *(name for name in MONTHS if len(name) <= 3 and name != "maí")})  # also names
RELATIVE: dict[str, tuple[Kind, tuple[int, ...]]] = {
    "hinn daginn|þar ?næsta dag|daginn eftir morgundaginn|ekki á morgun heldur hinn(?: daginn)?": ("day", (2,)),
    "í fyrradag": ("day", (-2,)),
    "í dag|da[gs]\\w*(?:inn|urinn|sins) í dag|deginum í dag": ("day", (0,)),
    r"á morgunn?|morgundag\w*|morgundeg\w*|annað kvöld|aðra nótt": ("day", (1,)),
    r"í gær(?:dag|kv[öe]ldi?|morgun)?|gærdag\w*|gærkv[öe]ld\w*": ("day", (-1,)),
    "í kvöld": ("day", (0,)),
    "í nótt": ("day", (-1, 0)),
}
UNITS_OF_TIME: dict[str, Kind] = {
    "vik(?:a|an|u|una|unni|unnar)": "week",
    "helg(?:i|in|ina|inni|ar|arinnar)": "weekend",
    "mán(?:uður|uðurinn|uð|uðinn|uði|uðinum|aðar|aðarins)": "month",
    "ár(?:ið|i|inu|s|sins)?": "year",
}
WAYS: dict[str, tuple[int, ...]] = {
    "(?:þess(?:i|a|ari|arar|um|u)|þenn?an|þetta|núverandi|yfirstandandi)": (0,),
    "(?:næst(?:a|u|i)|komandi)": (1,),
    r"(?:síðast(?:a|i|liðin\w*)|síðustu|liðinn\w*|liðinni|seinust[au]|seinasta)": (-1,),
}
SPELLS: dict[str, tuple[Kind, tuple[int, ...]]] = {
    rf"{way} {unit}": (kind, far) for way, far in WAYS.items() for unit, kind in UNITS_OF_TIME.items()
}
SPELLS |= {rf"{way}(?=\s+(?:{words_of(WEEKDAYS)}))": ("week", far) for way, far in WAYS.items() if far != (0,)} | {
    "í vikunni|vikunnar|út vikuna": ("week", (0,)),
    "um helgina|helgarinnar": ("weekend", (0,)),
    "í mánuðinum|mánaðarins": ("month", (0,)),
    "í ár|á árinu|ársins": ("year", (0,)),
    "í fyrra": ("year", (-1,)),
    # also "of the day", "in the evening", "in the morning"
    "dagsins|kvöldsins|(?:um )?kvöldið|(?:núna )?(?:seinni ?partinn|síðdegis)|í morgun": (
        "day",
        (0,),
    ),
    r"(?:þennan|þessum|þetta|þess[ai]) (?:morg[un]n?\w*|kvöld\w*|eftirmiðdag\w*|degi|dag)": ("day", (0,)),
    "(?:í )?fyrramálið": ("day", (1,)),
    "héðan í frá|frá (?:og með )?(?:núna|í dag)": ("day", (0,)),
}

GRAMMAR = ValueGrammar(
    "is",
    (
        EXACT,
        paired_digits(_below(100, DIGITS)),
        *CLOCKS,
        *Months(MONTHS, DAYS, r"\.", "í|þann|hinn|dag(?:ur|inn)? í", "hundr[au]ð|þúsund", WEAK_MONTHS).rules(),
        weekday_rule(WEEKDAYS, r"\w*"),
        *relative_rules(RELATIVE, weak=False),
        *relative_rules(SPELLS, weak=True),
        AMOUNTS,
    ),
    write,
    {
        "morning": r"(?<!góðan )(?<!\bá )\bmorgun(?!dag|mat|verð|korn)|\bmorgn(?:i|ana|ar)\b|fyrramál|gærmorgun|árdegi",
        "afternoon": r"síðdegi|seinni ?part|eftirmiðdag",
        "evening or night": r"(?<!gott )(?<!góða )(?:kvöld(?!mat|verð)|\b(?:mið)?n(?:ótt|ætur|ætti))",
    },
    range_word="til",
    list_words="og|eða",
    common_words=frozenset(
        numbered(
            "og að er ekki það sem með við fyrir frá eða þú ég mér mig þig þetta þessi eru hefur verður þegar hvað "
            "hvernig á í um af til hann hún ef skal þegar einnig þessa hægt"
        )
    )
    - {"af", "til"},
    clock_phrases=CLOCK_PHRASES,
)
