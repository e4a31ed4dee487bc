"""A training under way as a translator: what it has learnt so far can be tried before it has ended."""

from pathlib import Path

from promptbank.errors import TrainingError
from promptbank.model.backbone import Backbone
from promptbank.mt.translator.allowed_tokens import writable_tokens
from promptbank.mt.translator.averaging import TranslatorCheckpoints, mean_of
from promptbank.mt.translator.model import prepared, save_translator
from promptbank.mt.translator.plan import MtPlan, identity_of, training_facts
from promptbank.training.checkpoint import below, load_learnt
from promptbank.training.steps import StepPosition

__all__ = ["snapshot_translator"]


def snapshot_translator(backbone: Backbone, plan: MtPlan, folder: Path) -> Path:
    """Write the mean of a run's newest checkpoint and of what it has kept in its second half; the run stays as it is.

    Args:
        backbone: of the run.
        plan: of the run.
        folder: of the translator.

    Raises:
        TrainingError: the run has no checkpoint yet, it belongs to another run, or the folder is where the run itself
            will write.
    """
    if folder.resolve() == (plan.out / "model").resolve():
        raise TrainingError(
            f"--snapshot {folder} is where the run's own translator comes to its end; name another folder"
        )
    identity = identity_of(backbone, plan)
    checkpoints = TranslatorCheckpoints(plan.out / "checkpoints", identity)
    found = checkpoints.newest()
    if found is None:
        raise TrainingError(f"{plan.out} has no checkpoint yet; they come every 15 minutes and on SIGTERM")
    position = StepPosition(**found.position)
    late = [step for step in position.kept if position.step / 2 <= step < position.step]
    model = prepared(backbone, plan.update)
    load_learnt(model, mean_of([*checkpoints.kept(late), below(found.tensors, "weight.")]))
    facts = training_facts(plan, identity, position) | {"snapshot_of_steps": [*late, position.step]}
    tokens = writable_tokens(backbone.tokenizer, [pair.ids for pair in plan.train])
    languages = plan.pair_format.languages
    return save_translator(folder, model, backbone, plan.update, languages=languages, facts=facts, tokens=tokens)
