"""``python scripts/console_pictures.py``: take the pictures of docs/console/, on a small bank of our own."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from PIL import Image  # noqa: E402

from promptbank.bank.session import Bank  # noqa: E402
from promptbank.config import load_settings  # noqa: E402
from tests.consoles import SCOPE, Browser, chromium, learn, page_of, served  # noqa: E402
from tests.tiny import tiny_backbone  # noqa: E402
from tests.unit.test_console_bank import evaluated  # noqa: E402
from tests.unit.test_console_review import item, written  # noqa: E402

OUT = ROOT / "docs" / "console"
COLOURS = 48
WIDTHS = {1280: 900, 400: 860}
LONG = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft"
PAGES = {
    "bank": ("/tasks", ""),
    "task": (f"/task?name=mood:en&backbone={SCOPE.fingerprint}&to=1", "ol details summary"),
    "playground": ("/play?task=mood:en%401&other=mood:en%402", "button:has-text('Ask')"),
    "review": ("/review/record?set=sv&which=all&state=all", ""),
    "runs": ("/runs", ""),
    "compare": ("/runs", "button:has-text('Compare')"),
    "review-rtl": ("/review/record?set=ar&which=all&state=all", ""),
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
    learn(bank, lang="sv")
    learn(bank, taskname=LONG[:60], lang="de")
    evaluated(bank, 1, 0.8125, 96)
    evaluated(bank, 2, 0.875, 96)
    written(folder / "sv", [item(n) for n in range(1, 21)] + [item(30, text=LONG, translation=LONG, spans=())])
    arabic, spans = "أيقظني الساعة التاسعة صباحا", ()
    source, flags = "wake me at [date : nine am]", ("span_lost: date(nine am) is not in the text",)
    written(folder / "ar", [item(1, text=arabic, translation=arabic, spans=spans, source=source, tgt="ar", flags=flags,
                                 others=("أيقظني في التاسعة صباحا",), label="alarm_set: date(nine am)")])  # fmt: skip
    return folder


def _take(page, address: str, name: str, path: Path) -> None:
    where, click = PAGES[name]
    page.goto(address + where)
    if name == "playground":
        page.fill("textarea", "profit rose and the outlook for the year is good, the company said")
    if name == "compare":
        for box in page.locator("input[name=id]").all()[-2:]:
            box.check()
    if click:
        page.locator(click).first.click()
        page.wait_for_timeout(800)
    page.screenshot(path=path)
    Image.open(path).convert("RGB").quantize(COLOURS).save(path, optimize=True)


if __name__ == "__main__":
    main()
