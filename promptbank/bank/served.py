"""From a stored row to a task that can be served; the row holds everything, no card is looked up."""

from promptbank.bank.row_check import checked_row
from promptbank.engine.predictor import ServedTask
from promptbank.errors import BackboneMismatchError, InputError
from promptbank.model.backbone import Backbone
from promptbank.model.layers import layers_of
from promptbank.model.render import Renderer
from store import NewRow

__all__ = ["served_task"]


def served_task(row: NewRow, version: int, backbone: Backbone) -> ServedTask:
    """Turn a row into a task that can be served.

    Args:
        row: stored, or about to be.
        version: its version, which answers carry.
        backbone: the one at hand.

    Raises:
        BackboneMismatchError: the row was made for another backbone or tokenizer.
        InputError: see `checked_row`; or it acts in another number of layers.
        TaskError: see `checked_row`.
    """
    name = f"{row.scope.taskname}:{row.scope.lang}@{version}"
    for what, theirs, ours in (
        ("backbone", row.scope.fingerprint, backbone.fingerprint),
        ("tokenizer", row.tokenizer_sha256, backbone.tokenizer_sha256),
    ):
        if theirs != ours:
            raise BackboneMismatchError(
                f"{name} was trained with {what} {theirs[:12]} ({row.backbone_name}); "
                f"this one is {backbone.name} with {what} {ours[:12]}"
            )
    card, policy, table = checked_row(row, backbone, source=name)
    if table.layers not in (None, layers := len(layers_of(backbone.model))):
        raise InputError(f"{name} acts in {table.layers} layers, and {backbone.name} has {layers}; its file is damaged")
    renderer = Renderer(card, backbone.tokenizer, policy, backbone.window)
    return ServedTask(row.scope.taskname, row.scope.lang, version, row.sha256, renderer, table)
