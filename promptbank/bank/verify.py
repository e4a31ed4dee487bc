"""`bank verify`: is every row what was frozen, and does this backbone still answer as it did?"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from promptbank.bank.probes import check_probes
from promptbank.bank.row_check import BackboneSizes, checked_row
from promptbank.bank.served import served_task
from promptbank.errors import BackboneMismatchError, InputError
from promptbank.model.backbone import Backbone
from promptbank.model.forward import LanguageModel
from promptbank.model.prompt_kinds import PROMPT_KINDS
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


def verify_bank(store: Store, sizes: Mapping[str, BackboneSizes] | None = None) -> VerificationResult:
    """Check hashes, aliases and triggers, and whether each row is sound as a whole; needs no backbone.

    A row of a kind that this version does not know is left to the version that made it.

    Args:
        store: the bank's store.
        sizes: of the backbones that are at hand, by fingerprint.
    """
    faults = store.check()
    infos = store.rows.list()
    for info in infos:
        name = f"{info.scope.taskname}:{info.scope.lang}@{info.version}"
        try:
            if info.kind in PROMPT_KINDS:
                checked_row(
                    store.rows.get(info.scope, info.version), (sizes or {}).get(info.scope.fingerprint), source=name
                )
        except TamperedRowError:
            continue  # the store's own check has told
        except (InputError, TaskError) as exc:
            faults.append(str(exc))
    return VerificationResult(len(infos), 0, tuple(faults))


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
