"""Keeps the metrics of runs in the bank while they train, and passes every report on."""

from collections.abc import Mapping

from promptbank.training.progress import EpochReport, NoProgress, Progress, StepReport
from store import Store

__all__ = ["RunLog"]


class RunLog(NoProgress):
    """Stores metrics by step, an epoch at a time.

    Args:
        store: the bank's store.
        run_ids: id of each run by its name.
        inner: hears everything too.
    """

    def __init__(self, store: Store, run_ids: Mapping[str, str], inner: Progress) -> None:
        self._store, self._run_ids, self._inner = store, run_ids, inner
        self._pending: dict[str, list[tuple[int, dict[str, float]]]] = {name: [] for name in run_ids}
        self._steps = dict.fromkeys(run_ids, 0)

    def on_prefix(self, done: int, total: int) -> None:
        """Pass it on."""
        self._inner.on_prefix(done, total)

    def on_step(self, report: StepReport) -> None:
        """Keep loss and rate."""
        self._steps[report.run] = report.step
        self._pending[report.run].append((report.step, {"loss": report.loss, "lr": report.lr}))
        self._inner.on_step(report)

    def on_epoch(self, report: EpochReport) -> None:
        """Keep the scores, and write the epoch."""
        dev = {f"dev_{name}": value for name, value in report.dev.as_dict().items() if isinstance(value, float)}
        metrics = {"epoch": report.epoch, "train_loss": report.train_loss, **dev}
        self._pending[report.run].append((self._steps[report.run], metrics))
        self.flush(report.run)
        self._inner.on_epoch(report)

    def flush(self, run: str) -> None:
        """Write what is pending of a run."""
        self._store.runs.record(self._run_ids[run], self._pending[run])
        self._pending[run] = []
