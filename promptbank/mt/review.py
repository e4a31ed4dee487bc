"""The review file of a translated folder, and the decisions that a person wrote into it."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from promptbank.errors import InputError
from translate.errors import ReviewError
from translate.pipeline.translated import Override
from translate.review.decisions import is_written, validated
from translate.review.items import ReviewItem, annotate
from translate.review.lines import parse_items
from translate.review.table import read_answers

__all__ = ["ITEMS", "REVIEW", "decided_pair", "override_row", "read_decisions", "unapplied", "withdrawn"]

REVIEW, ITEMS = "review.csv", "review.jsonl"
HASH_SHOWN = 12
"""Characters of a source hash that are shown to people."""


def read_decisions(path: Path) -> tuple[dict[str, Override], list[ReviewItem]]:
    """Return the decisions of a review file by source hash, and the items that were shown, which lie beside it.

    Raises:
        InputError: it or the items cannot be read.
        ReviewError: a decision is faulty; all faults at once.
    """
    shown = path.parent / ITEMS
    items = parse_items(_text(shown), str(shown))
    return validated(items, read_answers(_text(path), str(path))), items


def decided_pair(items: list[ReviewItem], src: str | None, tgt: str | None) -> tuple[str, str]:
    """Return the language pair of decisions: that of the items, or the given one where they do not say theirs.

    Raises:
        InputError: the two differ, or neither says it.
    """
    said = {(item.src, item.tgt) for item in items if item.src}
    if len(said) > 1:
        raise InputError(
            f"{ITEMS} holds items of several language pairs: {', '.join('-'.join(p) for p in sorted(said))}"
        )
    pair = next(iter(said), ("", ""))
    for name, asked, found in (("--src", src, pair[0]), ("--tgt", tgt, pair[1])):
        if asked and found and asked != found:
            raise InputError(f"{name} is {asked!r}, but the review file is of {'-'.join(pair)}; leave {name} out")
    pair = (pair[0] or src or "", pair[1] or tgt or "")
    if not all(pair):
        raise InputError(f"{ITEMS} does not say its languages; give --src and --tgt")
    return pair


def unapplied(out: Path, overrides: Mapping[str, Override]) -> int:
    """Count the rows of a folder's review file with a decision, text or note that the bank does not keep.

    A new run would overwrite them.

    Raises:
        InputError: the file cannot be read.
    """
    path = out / REVIEW
    if not path.is_file():
        return 0
    answers = read_answers(_text(path), str(path))
    there = (out / ITEMS).is_file()
    items = {one.source_hash: one for one in (parse_items(_text(out / ITEMS), str(out / ITEMS)) if there else [])}
    written = {answer.source_hash for answer in answers if answer.note.strip() or is_written(answer, items)}
    try:
        decided = validated(items.values(), answers)
    except ReviewError:
        return len(written)
    kept = {key: None if override.withdrawn else override for key, override in decided.items()}
    return sum(key not in decided or overrides.get(key) != kept[key] for key in written)


def override_row(override: Override) -> dict[str, str]:
    """Return a decision as a row of a table."""
    return {
        "source_hash": override.source_hash[:HASH_SHOWN],
        "decision": "drop" if override.drop else "text",
        "source": override.source,
        "text": annotate(override.text, override.spans),
        "note": override.note,
    }


def withdrawn(kept: Mapping[str, Override], names: Sequence[str]) -> dict[str, Override]:
    """Return the withdrawals of kept decisions, by source hash; a name is a hash or the first characters of one.

    Raises:
        InputError: a name is of no decision, or of several.
    """
    found = {name: [key for key in kept if name and key.startswith(name)] for name in names}
    if faults := [f"{name!r} begins {len(keys)} decisions" for name, keys in found.items() if len(keys) != 1]:
        raise InputError(f"{'; '.join(faults)}; give source hashes of `promptbank mt review list`")
    return {key: Override(key, withdrawn=True, source=kept[key].source) for keys in found.values() for key in keys}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as exc:
        raise InputError(
            f"{path} cannot be read ({exc.strerror}); {REVIEW} and {ITEMS} of a translated folder belong together"
        ) from exc
    except UnicodeDecodeError as exc:
        raise InputError(f"{path} is not UTF-8 ({exc}); save it as CSV in UTF-8") from exc
