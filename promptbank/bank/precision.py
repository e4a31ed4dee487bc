"""Whether a row may be served in another number format than float32: its stored evaluations decide.

bfloat16 has 8 bits of precision, so it halves time and memory and moves probabilities; whether it moves answers depends
on the row.
"""

import json
from collections.abc import Sequence

from promptbank.bank.overview import SHARES
from promptbank.errors import PrecisionError
from store import Evaluation, Scope

__all__ = ["MOST_LOST", "check_precision"]

MOST_LOST = 0.005
"""Of the share of right answers, beside float32 on the same examples."""


def check_precision(evaluations: Sequence[Evaluation], scope: Scope, version: int, dtype: str) -> None:
    """Refuse to serve a row in a number format in which it was not measured, or in which it answers worse.

    Args:
        evaluations: of the row, oldest first; those of one set in both formats are compared, the newest such pair
            counts.
        scope: of the row.
        version: of the row.
        dtype: such as "bfloat16", as evaluations are stored.

    Raises:
        PrecisionError: which command measures it, or how much it loses.
    """
    name = f"{scope.taskname}:{scope.lang}@{version}"
    command = f"promptbank evaluate --task {name} --data FILE"
    pair = _newest_pair(evaluations, dtype)
    if pair is None:
        raise PrecisionError(
            f"this service computes in {dtype}, and {name} has no evaluations in {dtype} and in float32 on the same "
            f"examples; run `{command} --dtype {dtype}` and `{command}`, or serve in float32"
        )
    lost = pair[1] - pair[0]
    if lost > MOST_LOST + 1e-9:
        raise PrecisionError(
            f"this service computes in {dtype}, in which {name} gives {100 * lost:.2f} points fewer right answers than "
            f"in float32 ({pair[0]:.4f} and {pair[1]:.4f}); {100 * MOST_LOST} are allowed, so serve it in float32"
        )


def _newest_pair(evaluations: Sequence[Evaluation], dtype: str) -> tuple[float, float] | None:
    """Return the share of right answers in a number format and in float32, on the same examples and held the same."""
    for one in reversed(evaluations):
        for other in reversed(evaluations) if one.dtype == dtype else ():
            if other.dtype != "float32" or _measured(one) != _measured(other):
                continue
            shares, others = json.loads(one.metrics_json), json.loads(other.metrics_json)
            if metric := next((name for name in SHARES if name in shares and name in others), None):
                return shares[metric], others[metric]
    return None


def _measured(one: Evaluation) -> tuple[object, ...]:
    return one.data_sha256, json.loads(one.details_json).get("constrained", True)
