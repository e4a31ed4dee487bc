"""Arms of a cross-validation: other sets to learn from, tested on the same examples.

A translated set is tested as it is, and learnt from itself, from the set it was translated from, from both, from its
examples without a flag, or first from the other language and then from itself. All arms have the target's card and
answers; only the texts that are learnt from differ.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from promptbank.errors import InputError
from promptbank.lab.experiments.folder import JsonObject
from promptbank.training.config import FROM
from tasks import BY_HASH, Example, Split, SplitRules, TaskCard, data_sha256, divided, fold_split

__all__ = ["Arms", "OtherLanguage", "arm_split", "check_groups", "read_flagged", "relabelled"]

UNFLAGGED = "ok"


@dataclass(frozen=True, eq=False)
class OtherLanguage:
    """The task in another language, to learn from too or to start from.

    Attributes:
        card: closed, with the language's own label forms.
        examples: with the groups of the set that is tested.
    """

    card: TaskCard
    examples: Sequence[Example]

    @property
    def init(self) -> str:
        """The start that names it."""
        return f"{FROM}{self.card.taskname}:{self.card.lang}"

    def identity(self) -> JsonObject:
        """Return what decides what it has learnt."""
        return {"card": json.loads(self.card.canonical_json()), "data_sha256": data_sha256(self.examples)}


@dataclass(frozen=True)
class Arms:
    """What is learnt from beside a set's own examples: another language, and those without ``flagged`` ids."""

    other: OtherLanguage | None = None
    flagged: Collection[str] = frozenset()

    def pools(self, examples: Sequence[Example]) -> dict[str, list[Example]]:
        """Return by name of the arm what it learns from.

        Raises:
            InputError: an answer of the other language is none of this one's, or no flagged example is in the set.
        """
        pools: dict[str, list[Example]] = {}
        if self.other:
            lang, other = self.other.card.lang, relabelled(self.other.examples, examples)
            pools = {lang: other, f"{lang} and {examples[0].lang}": [*other, *examples]}
        if self.flagged:
            if not any(e.id in self.flagged for e in examples):
                raise InputError(
                    f"none of the {len(self.flagged)} flagged ids, such as {min(self.flagged)!r}, is a row of the set; "
                    "give the provenance.jsonl that was written beside it"
                )
            pools[UNFLAGGED] = [e for e in examples if e.id not in self.flagged]
        return pools


def relabelled(others: Sequence[Example], examples: Sequence[Example]) -> list[Example]:
    """Return examples of another language with the answers of this one, and ids of their own.

    Which answer is which is read from examples with the same id.

    Raises:
        InputError: no such example, an answer that stands for two, or one that no common example has; see
            `check_groups`.
    """
    check_groups(others, examples)
    mine = {e.id: e.answer for e in examples}
    answers: dict[str | None, str | None] = {}
    for other in others:
        if other.id in mine and answers.setdefault(other.answer, mine[other.id]) != mine[other.id]:
            raise InputError(
                f"{other.source}: {other.answer!r} is {mine[other.id]!r} in the row with id {other.id!r} and "
                f"{answers[other.answer]!r} in an earlier one; rows with the same id must mean the same"
            )
    unknown = sorted({str(e.answer) for e in others} - {str(answer) for answer in answers})
    if unknown:
        raise InputError(
            f"no row with an id of the tested set has the answer {', '.join(unknown)}, so it has no counterpart there; "
            "give the file that the tested set was translated from"
        )
    lang = examples[0].lang
    return [replace(e, id=f"{e.lang}:{e.id}", lang=lang, answer=answers[e.answer]) for e in others]


def check_groups(others: Sequence[Example], examples: Sequence[Example]) -> None:
    """Refuse examples that would be learnt from in the very fold where their counterpart is tested.

    Raises:
        InputError: examples with the same id are in different groups, or none has an id or a group of the tested set.
    """
    groups = {e.id: e.group for e in examples}
    apart = [e for e in others if groups.get(e.id, e.group) != e.group]
    if apart:
        first = apart[0]
        raise InputError(
            f"{first.source}: the row with id {first.id!r} is of group {first.group!r}, and of "
            f"{groups[first.id]!r} in the tested set ({len(apart)} such rows), so it could be learnt from where it is "
            "tested; keep id and group in a translation, as `promptbank translate` does"
        )
    texts = {e.group: e.fields for e in examples}
    # examples without a group of their own have a hash of their text, which may be the same in two languages
    if not any(e.id in groups or texts.get(e.group, e.fields) != e.fields for e in others):
        raise InputError(
            f"none of the {len(others)} rows of the other language has the id, or the group, of a tested one, so they "
            "could be learnt from where their counterparts are tested; keep id and group in a translation, as "
            "`promptbank translate` does"
        )


def arm_split(
    pool: Sequence[Example], own: Split, folds: int, fold: int, dev_fraction: float, rules: SplitRules = BY_HASH
) -> Split:
    """Return an arm's part of a fold: train and dev from the pool, by its groups; test from the set's own split."""
    if rules.folds == BY_HASH.folds:
        return replace(fold_split(pool, folds, fold, dev_fraction, rules=rules), test=own.test)
    tested = {e.group for e in own.test}  # the pool alone would give its groups other folds
    train, dev = divided([e for e in pool if e.group not in tested], dev_fraction, rules)
    return Split(tuple(train), tuple(dev), own.test)


def read_flagged(path: Path) -> frozenset[str]:
    """Return the ids of flagged examples of a ``provenance.jsonl``: those neither "ok" nor "unchecked".

    Raises:
        InputError: the file cannot be read, or is none.
    """
    try:
        lines: list[Mapping[str, str]] = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        records = {line["row_id"] for line in lines if line["status"] not in (UNFLAGGED, "unchecked")}
    except OSError as exc:
        raise InputError(f"{path} cannot be read: {exc.strerror}") from exc
    except (ValueError, KeyError, TypeError) as exc:
        raise InputError(
            f"{path} is no provenance.jsonl of `promptbank translate`: a line of it has no row_id and status"
        ) from exc
    return frozenset(records | {record.rpartition("#")[0] for record in records if "#" in record})  # id#field
