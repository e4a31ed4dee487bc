"""`bank verify`: is every row what was frozen, and does this backbone still answer as it did?"""

from collections.abc import Callable
from dataclasses import dataclass

from promptbank.bank.probes import check_probes
from promptbank.bank.select import served_task
from promptbank.errors import BackboneMismatchError, InputError
from promptbank.model.backbone import Backbone
from promptbank.model.forward import LanguageModel
from store import Store, TamperedRowError
from tasks import TaskError

__all__ = ["VerificationResult", "verify_bank", "verify_logits"]


@dataclass(frozen=True)
class VerificationResult:
    """What a verification found.

    Attributes:
        rows: rows checked.
        skipped: rows of other backbones, of which the logits cannot be checked here.
        faults: one line each; empty when the bank is sound.
    """

    rows: int
    skipped: int
    faults: tuple[str, ...]


def verify_bank(store: Store) -> VerificationResult:
    """Check bytes, hashes, shapes, aliases and triggers; needs no backbone."""
    return VerificationResult(len(store.rows.list()), 0, tuple(store.check()))


def verify_logits(
    store: Store, backbone: Backbone, on_row: Callable[[int, int], None] = lambda _a, _b: None
) -> VerificationResult:
    """Compute every row's probe logits again and compare bits; of damaged rows only `verify_bank` tells.

    Args:
        store: the bank's store.
        backbone: float32; rows of other backbones are counted as skipped.
        on_row: called with rows done and rows in all.
    """
    lm = LanguageModel(backbone.model)
    infos = store.rows.list()
    faults: list[str] = []
    skipped = 0
    for done, info in enumerate(infos, start=1):
        name = f"{info.scope.taskname}:{info.scope.lang}@{info.version}"
        try:
            row = store.rows.get(info.scope, info.version)
            fault = check_probes(lm, served_task(row, row.version, backbone), row)
        except BackboneMismatchError:
            skipped += 1
            fault = None
        except TamperedRowError:
            fault = None
        except (InputError, TaskError) as exc:
            fault = str(exc)
        faults += [f"{name}: {fault}"] if fault else []
        on_row(done, len(infos))
    return VerificationResult(len(infos) - skipped, skipped, tuple(faults))
