"""``python scripts/console_pictures.py [FOLDER]``: take the pictures of docs/console/, on a small bank of our own."""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from PIL import Image  # noqa: E402

from promptbank.bank.session import Bank  # noqa: E402
from promptbank.config import load_settings  # noqa: E402
from store import AnswerKeeping, NewAnswer, NewTraining  # noqa: E402
from tests.consoles import SCOPE, Browser, chromium, learn, page_of, served  # noqa: E402
from tests.tiny import tiny_backbone  # noqa: E402
from tests.unit.test_console_bank import evaluated  # noqa: E402
from tests.unit.test_console_review import item, written  # noqa: E402

OUT = Path(sys.argv[1]) if sys.argv[1:] else ROOT / "docs" / "console"
COLOURS = 48
WIDTHS = {1280: 900, 400: 860}
LONG = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft"
RUN = "0c0ffee0c0ffee00"
CARD = {
    "taskname": "mood",
    "lang": "en",
    "prompt_template": "{sentence}<|VIRTUAL_PROMPT_0|> {label}",
    "total_virtual_tokens": 4,
    "virtual_token_splits": [4],
    "label_space": {"positive": ["positive"], "negative": ["negative"], LONG: [LONG]},
}
PAGES = {
    "bank": ("/tasks", ""),
    "task": (f"/task?name=mood:en&backbone={SCOPE.fingerprint}&to=1", "ol details summary"),
    "playground": ("/play?task=mood:en%401&other=mood:en%402", "button:has-text('Ask')"),
    "review": ("/review/record?set=sv&which=all&state=all", ""),
    "runs": ("/runs", ""),
    "run": (f"/run?id={RUN}", ""),
    "compare": ("/runs", "button:has-text('Compare')"),
    "train": ("/train", "button[value=check]"),
    "sets": ("/review", ""),
    "answers": ("/review/answers?task=mood:en", ""),
    "answers-long": ("/review/answers?task=mood:en&at=2", ""),
    "answers-rtl": ("/review/answers?task=mood:en&at=3", ""),
    "review-rtl": ("/review/record?set=ar&which=all&state=all", ""),
    "verified": ("/tasks", "button:has-text('Verify')"),
    "login": ("/login", ""),
    "problem": (f"/task?name={LONG}", ""),
}


def main() -> None:
    """Make the bank, open each page in both widths and colours, and write the pictures."""
    OUT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, Bank(load_settings({"home": folder}, {})[0]) as bank:
        review = _filled(bank, Path(folder) / "translated")
        with served(Browser(bank, review=[review]).app) as address, chromium() as opened:
            for width, height in WIDTHS.items():
                for scheme in ("light", "dark"):
                    with page_of(opened, color_scheme=scheme, viewport={"width": width, "height": height}) as (page, _):
                        for name in PAGES:
                            _take(page, f"{address}/console", name, OUT / f"{name}-{width}-{scheme}.png")


def _filled(bank: Bank, folder: Path) -> Path:
    """Learn some tasks, evaluate them, and write two translated sets."""
    bank.backbone = tiny_backbone("llama")
    learn(bank)
    learn(bank, seed=1, description="the mood of the sentence is")
    learn(bank, seed=2, init="from:mood:en@1")
    learn(bank, seed=3, init="from:mood:en@1")
    learn(bank, seed=4, init="from:mood:en@3")
    bank.store.aliases.move(SCOPE, 2, reason="better on the new texts")
    learn(bank, lang="sv")
    learn(bank, taskname=LONG[:60], lang="de")
    evaluated(bank, 1, 0.8125, 96)
    evaluated(bank, 2, 0.875, 96)
    _ask_for_trainings(bank)
    _keep_answers(bank)
    bank.store.aliases.move(SCOPE, 1, "canary", reason=f"try it beside {LONG}", share=0.1)
    report = folder.parent / "runs" / "crossval-1b2c3d4e5f607182"
    report.mkdir(parents=True)
    (report / "result.json").write_text(json.dumps({"kind": "crossval", "about": {"task": "mood:en"}}))
    (report / "crossval.html").write_text("<h1>crossval</h1>")
    written(folder / "sv", [item(n) for n in range(1, 21)] + [item(30, text=LONG, translation=LONG, spans=())])
    arabic, spans = "أيقظني الساعة التاسعة صباحا", ()
    source, flags = "wake me at [date : nine am]", ("span_lost: date(nine am) is not in the text",)
    written(folder / "ar", [item(1, text=arabic, translation=arabic, spans=spans, source=source, tgt="ar", flags=flags,
                                 others=("أيقظني في التاسعة صباحا",), label="alarm_set: date(nine am)")])  # fmt: skip
    return folder


def _ask_for_trainings(bank: Bank) -> None:
    """Put trainings of each state into the queue, one of them with a curve."""
    trainings, runs = bank.store.trainings, bank.store.runs
    new = NewTraining(
        task="mood:en", card_json="{}", records="", settings_json='{"epochs": 12}', live="gated", asked_by="anna"
    )
    for one in (new, replace(new, task=f"{LONG[:60]}:de", asked_by=LONG), new, new):
        trainings.add(one)
    for number, state, told in ((1, "done", "mood:en@2 is live"), (2, "failed", f"كل الأمثلة لها نفس التسمية {LONG}")):
        trainings.claim("here")
        trainings.end(number, state, told)
    trainings.claim("here")
    trainings.begun(3, RUN)
    runs.start(RUN, "train", json.dumps({"epochs": 12, "lr": 0.005, "description": LONG}), "d" * 64)
    points = [
        (n * 12, {"epoch": n, "train_loss": 2 / n, "dev_loss": 1.5 / n + 0.1, "dev_accuracy": 1 - 0.6 / n})
        for n in range(1, 8)
    ]
    runs.record(RUN, points)


def _keep_answers(bank: Bank) -> None:
    """Keep some doubtful answers."""
    bank.store.answers.choose(AnswerKeeping(taskname="mood", lang="en", below=0.6, beside=1, days=30))
    for text in ("it could have been worse, but nobody would call it good", LONG, "النتائج أفضل مما كان متوقعا"):
        fields = json.dumps({"sentence": text}, ensure_ascii=False)
        about = {"taskname": "mood", "lang": "en", "version": 2, "label": "positive", "probability": 0.52}
        bank.store.answers.keep(NewAnswer(fields_json=fields, other_version=1, other_label="negative", **about))


def _take(page, address: str, name: str, path: Path) -> None:
    where, click = PAGES[name]
    page.goto(address + where)
    if name == "playground":
        page.fill("textarea", "profit rose and the outlook for the year is good, the company said")
    if name == "train":
        page.click("summary:has-text('Write a card')")
        page.fill("textarea[name=card]", json.dumps(CARD, indent=1, ensure_ascii=False))
        lines = [{"sentence": f"{LONG} {n}", "label": "positive" if n % 2 else "negative"} for n in range(40)]
        page.fill("textarea[name=records]", "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
        page.wait_for_selector("#card-checked p")
    if name == "compare":
        for box in page.locator("tr:has-text('mood:en') input[name=id]").all()[:2]:
            box.check()
    if click:
        page.locator(click).first.click()
        page.wait_for_timeout(800)
    if name == "train":
        page.wait_for_selector("#checked p")
    page.screenshot(path=path, full_page=True)
    Image.open(path).convert("RGB").quantize(COLOURS).save(path, optimize=True)


if __name__ == "__main__":
    main()
