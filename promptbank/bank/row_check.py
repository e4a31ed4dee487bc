"""Whether a row is sound as a whole: one check for rows that are frozen, imported, verified and served.

The store has checked types, sizes and hashes by then; here the parts are compared with each other, and with the
backbone where it is at hand.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch

from promptbank.engine.scoring import SCORINGS
from promptbank.errors import InputError
from promptbank.model.prompt_table import PromptTable
from promptbank.model.render import TokenPolicy
from store import NewRow
from tasks import SpecError, TaskCard, parse_card, parse_spec

__all__ = ["BackboneSizes", "checked_row"]

LARGEST_ID = 2**31 - 1
MOST_ANSWER_TOKENS = 1_000_000
MOST_THREADS = 4096


class BackboneSizes(Protocol):
    """The sizes of a backbone, which need not be loaded."""

    @property
    def hidden_size(self) -> int:
        """H."""

    @property
    def vocab_size(self) -> int:
        """Ids are below it."""


@dataclass(frozen=True)
class _Parts:
    """A row, what was read from it, and the number of ids of its backbone."""

    row: NewRow
    card: TaskCard
    policy: TokenPolicy
    table: PromptTable
    ids: int


def checked_row(
    row: NewRow, sizes: BackboneSizes | None = None, *, source: str
) -> tuple[TaskCard, TokenPolicy, PromptTable]:
    """Return the card, the policy and the prompt of a row that is sound.

    Args:
        row: stored, from a file, or about to be frozen (then its probes may be missing still).
        sizes: of the backbone that it was made for; None where that is not at hand.
        source: what it is called in an error.

    Raises:
        InputError: its parts do not fit each other or the backbone, or this version does not know one; all are named.
        TaskError: its card is faulty.
    """
    raw, policy = _rules(row, source)
    card = parse_card(raw, source=source)
    table = PromptTable.from_bytes(row.kind, row.layout, row.data)
    parts = _Parts(row, card, policy, table, sizes.vocab_size if sizes else LARGEST_ID)
    faults = [*_name_faults(parts), *_shape_faults(parts, sizes), *_policy_faults(parts), *_probe_faults(parts)]
    if faults:
        raise InputError(f"{source} is no sound row: {'; '.join(faults)}; train the task or export the row anew")
    return card, policy, table


def _rules(row: NewRow, source: str) -> tuple[Mapping[str, object], TokenPolicy]:
    try:
        card, policy = json.loads(row.card_json), TokenPolicy(**json.loads(row.policy_json))
    except (TypeError, ValueError, RecursionError) as exc:
        raise InputError(
            f"{source}: its policy {row.policy_json[:200]} is none that this promptbank knows ({exc}); "
            "was it made by a newer one? Then that one can serve it"
        ) from exc
    if policy.scoring is not None and policy.scoring not in list(SCORINGS):
        raise InputError(
            f"{source}: its answers are scored by {policy.scoring!r:.80}, and this promptbank knows "
            f"{', '.join(SCORINGS)}; was it made by a newer one? Then that one can serve it"
        )
    return card, policy


def _name_faults(parts: _Parts) -> Iterator[str]:
    scope, card = parts.row.scope, parts.card
    try:
        ref = parse_spec(f"{scope.taskname}:{scope.lang}")
    except SpecError as exc:
        yield str(exc)
        return
    if (ref.taskname, ref.lang, ref.version) != (card.taskname, card.lang, None):
        yield f"its task is {scope.taskname!r} in {scope.lang!r}, but its card's {card.taskname!r} in {card.lang!r}"


def _shape_faults(parts: _Parts, sizes: BackboneSizes | None) -> Iterator[str]:
    row, table = parts.row, parts.table
    shape = (table.virtual_tokens, table.hidden_size)
    if shape != (row.virtual_tokens, row.hidden_size):
        yield f"its tensors are for (V, H) = {shape}, but it says ({row.virtual_tokens}, {row.hidden_size})"
    if table.virtual_tokens != parts.card.total_virtual_tokens:
        yield f"it has {table.virtual_tokens} virtual tokens, but its card {parts.card.total_virtual_tokens}"
    if sizes is not None and table.hidden_size != sizes.hidden_size:
        yield f"its embeddings have {table.hidden_size} numbers, but those of its backbone {sizes.hidden_size}"
    for name, tensor in table.tensors.items():
        if not torch.isfinite(tensor).all():
            yield f"its tensor {name} holds numbers that are not finite"


def _policy_faults(parts: _Parts) -> Iterator[str]:
    policy, card = parts.policy, parts.card
    for name, value in (("bos_id", policy.bos_id), ("eos_id", policy.eos_id)):
        if not (_is_whole(value, 0, parts.ids - 1) or (name == "bos_id" and value is None)):
            yield f"its {name} is {value!r:.80}, which is no id from 0 to {parts.ids - 1}"
    if not _is_whole(policy.answer_tokens, 1, MOST_ANSWER_TOKENS):
        yield f"its answer_tokens is {policy.answer_tokens!r:.80}, not a number from 1 to {MOST_ANSWER_TOKENS}"
    prior = policy.log_prior
    if not (prior is None or _is_prior(prior, card.label_space or {})):
        yield f"its log_prior {prior!r:.80} is no finite number for each of some labels of its card"


def _is_prior(prior: object, labels: Mapping[str, object]) -> bool:
    return (
        isinstance(prior, dict)
        and prior.keys() <= labels.keys()
        and all(type(value) in (int, float) and math.isfinite(value) for value in prior.values())
    )


def _probe_faults(parts: _Parts) -> Iterator[str]:
    row = parts.row
    if not row.probes_json:  # not taken yet
        return
    try:
        probes = json.loads(row.probes_json)
    except (ValueError, RecursionError):
        probes = None
    if not isinstance(probes, dict) or not _is_whole(probes.get("threads"), 1, MOST_THREADS):
        yield f"its probes {row.probes_json!r:.80} are no object with inputs, token_ids and threads (up to 4096)"
        return
    inputs, ids = probes.get("inputs"), probes.get("token_ids")
    if not (isinstance(ids, list) and all(_is_whole(one, 0, parts.ids - 1) for one in ids)):
        yield f"the token_ids of its probes are no list of ids from 0 to {parts.ids - 1}"
    elif not (isinstance(inputs, list) and all(_has_fields(one, parts.card.fields) for one in inputs)):
        yield f"the inputs of its probes are no list of objects with the text fields {', '.join(parts.card.fields)}"
    elif (len(inputs), len(ids)) != tuple(row.probe_shape):
        yield f"its probes are {len(inputs)} inputs with {len(ids)} ids, but there are logits for {row.probe_shape}"
    elif (
        row.probe_logits
        and not torch.isfinite(torch.frombuffer(bytearray(row.probe_logits), dtype=torch.float32)).all()
    ):
        yield "the logits of its probes are not finite"


def _has_fields(record: object, fields: Sequence[str]) -> bool:
    return isinstance(record, dict) and all(isinstance(record.get(name), str) for name in fields)


def _is_whole(value: object, low: int, high: int) -> bool:
    return type(value) is int and low <= value <= high
