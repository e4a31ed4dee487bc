"""Whether a new row goes live: always, never, or only when it is not worse than the live one on the same examples."""

import json
from collections.abc import Sequence

from promptbank.bank.served import served_task
from promptbank.engine.evaluate import answer_examples, right_answers, texts_of
from promptbank.engine.predictor import Predictor
from promptbank.errors import ConfigError, PromptBankError
from promptbank.model.backbone import Backbone
from store import Row, Store, StoreError
from tasks import DataError, Example, TaskError, parse_card
from tasks.statistics import paired_bootstrap

__all__ = ["LIVE_RULES", "live_rule", "may_go_live"]

LIVE_RULES = ("gated", "always", "never")
"""gated: only when it is not worse than the live row, or when none is live yet."""


def live_rule(name: str) -> str:
    """Return a rule that a person named.

    Raises:
        ConfigError: there is no such rule.
    """
    if name not in LIVE_RULES:
        raise ConfigError(f"live is {name!r}; possible: {', '.join(LIVE_RULES)}")
    return name


def may_go_live(
    store: Store,
    predictor: Predictor,
    backbone: Backbone,
    row: Row,
    examples: Sequence[Example],
    predicted: Sequence[str],
    alias: str,
    rule: str,
) -> tuple[bool, str]:
    """Decide whether an alias moves to a new row, and say how it compares with the row that the alias points at.

    Args:
        store: with both rows.
        predictor: answers with the earlier row.
        backbone: of both.
        row: the new one, stored.
        examples: dev examples of the new one.
        predicted: its answers to them.
        alias: that would move.
        rule: one of `LIVE_RULES`.

    Returns:
        Whether it moves, and the comparison in words; empty where nothing is compared.
    """
    before = store.aliases.get(row.scope, alias)
    if rule == "always" or before is None or before == row.version:
        return rule != "never", ""
    try:
        earlier = served_task(store.rows.get(row.scope, before), before, backbone)
        theirs = texts_of(answer_examples(predictor, earlier, examples))
    except (PromptBankError, TaskError, StoreError) as exc:
        return False, f"version {before} cannot answer the dev examples, so the two cannot be compared: {exc}"
    card = parse_card(json.loads(row.card_json))
    new, old = right_answers(card, examples, predicted), right_answers(card, examples, theirs)
    as_many = ", as many, which is not worse" if sum(new) == sum(old) else ""
    told = f"right on {sum(new):g} of {len(new)} dev examples, version {before} on {sum(old):g}{as_many}"
    return rule == "gated" and sum(new) >= sum(old), f"{told}; {_interval(examples, new, old)}"


def _interval(examples: Sequence[Example], new: Sequence[float], old: Sequence[float]) -> str:
    ids = [f"{number}" for number, _ in enumerate(examples)]
    groups = dict(zip(ids, (example.group for example in examples), strict=True))
    pairs = (dict(zip(ids, outcomes, strict=True)) for outcomes in (new, old))
    try:
        found = paired_bootstrap(*pairs, groups=groups)
    except DataError:  # one group
        return f"difference {sum(new) / len(new) - sum(old) / len(old):+.3f}, of one group, so without an interval"
    return f"difference {found.difference:+.3f}, 95 % interval {found.low:+.3f} to {found.high:+.3f}"
