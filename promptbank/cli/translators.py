"""What `mt train` and `mt pack` do, once their options are read."""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import typer

from promptbank.cli.corpora import corpus_folder
from promptbank.cli.output import print_json, say
from promptbank.config import Settings
from promptbank.errors import ConfigError
from promptbank.mt.languages import Languages
from promptbank.mt.marian.signals import stop_on_signal
from translate.corpus.folder import read_corpus, read_manifest
from translate.corpus.pairs import read_pairs

if TYPE_CHECKING:
    from promptbank.model.backbone import Backbone
    from promptbank.mt.marian.curve import Point
    from promptbank.mt.translator.curve import EvalSet, Evaluation
    from promptbank.mt.translator.plan import MtStep
    from promptbank.mt.translator.settings import MtSettings
    from promptbank.mt.translator.updates import Update

__all__ = ["TrainAsked", "pack", "read_sets", "train"]

STOPPED = 130
"""Exit code of a training that was told to stop, as after Ctrl-C."""

FULL, RANK = "full", 32
"""The method of a backbone's translator, and the rank of a low-rank one, unless another is asked for."""

LOG_STEPS = 20
"""Steps of one progress line where no terminal shows a bar."""


@dataclass(frozen=True)
class TrainAsked:
    """What `mt train` was asked for besides the settings of the training; see its options."""

    arch: str
    method: str | None
    rank: int | None
    corpus: str
    out: Path | None
    start: Path | None
    snapshot: Path | None
    sets: Sequence[Path]
    settings: Mapping[str, Any]


def train(settings: Settings, asked: TrainAsked) -> None:
    """Train a translator, or go on with it."""
    if asked.arch not in ARCHITECTURES:
        raise ConfigError(f"--arch is {asked.arch!r}; known: {', '.join(ARCHITECTURES)}")
    _check_device(asked.settings.get("device", "cpu"))
    folder = ARCHITECTURES[asked.arch](settings, asked)
    if folder is None:
        say("stopped, and saved; the same command goes on from here")
        raise typer.Exit(STOPPED)
    say(f"translator: {folder}")


def _check_device(device: str) -> None:
    import torch

    if not re.fullmatch(r"cpu|cuda(:\d+)?", device):
        raise ConfigError(f"--device is {device!r}; cpu, cuda, or one of several as cuda:1")
    if device != "cpu" and not torch.cuda.is_available():
        raise ConfigError(f"--device is {device!r}, but torch finds no such device here; leave it out to train on cpu")


def _made(out: Path) -> Path:
    """Return the folder of a run, made if it is not there."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise ConfigError(f"--out {out} cannot be used ({exc.strerror}); choose another folder") from exc
    return out


def pack(
    settings: Settings,
    engine: str,
    out: Path | None,
    max_bytes: int,
    coding: str,
    rank: int | None,
    corpus: str | None,
    *,
    as_json: bool,
) -> None:
    """Write a translator small, or as the start of a low-rank training."""
    from promptbank.cli.session import the_backbone
    from promptbank.mt.engines.models import translator_folder
    from promptbank.mt.translator.model import with_backbone_of
    from promptbank.mt.translator.pack import as_low_rank, pack_translator

    source = translator_folder(engine, settings.home)
    if source is None:
        raise ConfigError(f"--engine {engine!r} is no translator in {settings.home / 'mt'} and no folder of one")
    name = Path(engine).name + ("-packed" if rank is None else f"-rank{rank}")
    target = out or settings.home / "mt" / name / "model"
    backbone = the_backbone(with_backbone_of(source, settings))
    if rank is not None:
        say(f"start of a low-rank training: {as_low_rank(source, backbone, target, rank=rank)}")
        return
    words = None if corpus is None else _words(backbone, corpus_folder(settings, corpus))
    done = pack_translator(source, backbone, target, max_bytes=max_bytes, coding=coding, words=words)
    if as_json:
        print_json({"folder": str(done.folder), "bytes": done.total_bytes, "kept": done.kept})
    say(f"{done.folder}: {done.total_bytes} bytes, {done.kept:.1%} of the change's energy; score it with `mt score`")


def _words(backbone: Backbone, folder: Path) -> set[int]:
    """Return the words that a corpus's training pairs open."""
    from promptbank.mt.translator.allowed_tokens import writable_words
    from promptbank.mt.translator.pairs import Wording, render_pairs

    wording = Wording(backbone.tokenizer, Languages.parse(read_manifest(folder)["langpair"]))
    pairs = [(pair.src, pair.tgt) for pair in read_corpus(folder, "train")]
    return writable_words(backbone.tokenizer, [row.ids for row in render_pairs(wording, pairs, window=backbone.window)])


def _train_backbone(settings: Settings, asked: TrainAsked) -> Path | None:
    from promptbank.cli.session import the_backbone
    from promptbank.mt.translator.settings import MtSettings
    from promptbank.mt.translator.train import train_translator

    given = dict(asked.settings)
    if "checkpoint_minutes" in given:
        given["checkpoint_seconds"] = 60 * given.pop("checkpoint_minutes")
    update = _update(asked)
    wanted = MtSettings(**{"lr": update.lr, **given})
    folder = corpus_folder(settings, asked.corpus)
    manifest = read_manifest(folder)
    out = _made(asked.out or settings.home / "mt" / f"{manifest['langpair']}-{asked.method or FULL}")
    backbone = the_backbone(settings)
    plan = _plan(backbone, folder, manifest, update, asked, wanted, out)
    if asked.snapshot:
        from promptbank.mt.translator.snapshot import snapshot_translator

        return snapshot_translator(backbone, plan, asked.snapshot)
    with stop_on_signal() as should_stop, TrainingLog(wanted.steps) as log:
        say(f"{len(plan.train)} pairs, {wanted.steps} steps; curve: {out / 'curve.jsonl'}")
        return train_translator(backbone, plan, log, should_stop)


MARIAN = {"steps": "steps", "tokens": "batch_tokens", "lr": "lr", "warmup": "warmup", "schedule": "schedule",
          "every": "check_every", "seed": "seed", "device": ""}  # fmt: skip
"""Options that a Marian takes, and what its settings call them."""

PARITY_SENTENCES = 100
"""A conversion for CTranslate2 must give the very same tokens on so many."""


def _train_marian(settings: Settings, asked: TrainAsked) -> Path | None:
    import torch

    from promptbank.mt.marian.sizes import TrainSettings
    from promptbank.mt.marian.training import Job, train_marian

    if strange := sorted(set(asked.settings) - set(MARIAN)):
        raise ConfigError(f"--arch marian does not take {', '.join(strange)}; it takes {', '.join(MARIAN)}")
    if asked.start or asked.sets or asked.snapshot or asked.method or asked.rank:
        raise ConfigError(
            "--arch marian takes none of --method, --rank, --start, --set, --snapshot; score it with `mt score`"
        )
    wanted = TrainSettings(**{MARIAN[name]: value for name, value in asked.settings.items() if MARIAN[name]})
    if settings.threads:
        torch.set_num_threads(settings.threads)
    folder = corpus_folder(settings, asked.corpus)
    manifest = read_manifest(folder)
    out = _made(asked.out or settings.home / "mt" / f"{manifest['langpair']}-marian")
    learn, dev = ([(pair.src, pair.tgt) for pair in read_corpus(folder, part)] for part in ("train", "dev"))
    job = Job(Languages.parse(manifest["langpair"]), learn, dev, settings=wanted, device=asked.settings["device"])
    with stop_on_signal() as should_stop:
        say(f"{len(learn)} pairs, {wanted.steps} steps; curve: {out / 'curve.jsonl'}")
        done = train_marian(job, out, on_point=_say_point, stop=should_stop)
    if done.model:
        say(_converted(done.model, out / "ct2", [src for src, _ in dev or learn]))
    return done.model


def _say_point(point: Point) -> None:
    dev = "" if point.dev_loss is None else f", dev loss {point.dev_loss:.3f}"
    say(f"step {point.step}: loss {point.loss:.3f}{dev}, {point.tokens_per_second:.0f} tokens/s, lr {point.lr:.1e}")


def _converted(model: Path, out: Path, texts: Sequence[str]) -> str:
    """Convert a Marian for CTranslate2, if that is installed and agrees; return what to say about it."""
    from promptbank.mt.marian.conversion import convert_marian
    from promptbank.mt.marian.errors import NmtError

    if out.is_dir():
        return f"CTranslate2: {out} is there already"
    try:
        parity = convert_marian(model, out, texts[:PARITY_SENTENCES])
    except NmtError as exc:
        return f"not converted for CTranslate2: {exc}"
    return f"CTranslate2: {out}, {parity.bytes} bytes; {parity.sentences} sentences alike in float32, " + (
        f"{parity.quantised_same} in int8"
    )


ARCHITECTURES: Mapping[str, Callable[[Settings, TrainAsked], Path | None]] = {
    "backbone": _train_backbone,
    "marian": _train_marian,
}
"""What `--arch` names."""


def _plan(
    backbone: Backbone,
    folder: Path,
    manifest: Mapping[str, Any],
    update: Update,
    asked: TrainAsked,
    wanted: MtSettings,
    out: Path,
) -> Any:
    from promptbank.mt.translator.pairs import Wording, render_pairs
    from promptbank.mt.translator.plan import MtPlan

    wording = Wording(backbone.tokenizer, Languages.parse(manifest["langpair"]))
    window = min(backbone.window, wanted.tokens)
    parts = {part: [(pair.src, pair.tgt) for pair in read_corpus(folder, part)] for part in ("train", "dev")}
    return MtPlan(
        update=update,
        wording=wording,
        train=render_pairs(wording, parts["train"], window=window),
        dev=render_pairs(wording, parts["dev"], window=window) if parts["dev"] else [],
        corpus_sha256=manifest["sha256"]["train"],
        sets=read_sets(asked.sets, manifest["langpair"], None),
        settings=wanted,
        out=out,
        start=asked.start,
    )


def _update(asked: TrainAsked) -> Update:
    from promptbank.mt.translator.updates import FullUpdate, LowRankUpdate

    rank = asked.rank or RANK
    if asked.method == "lora":
        return LowRankUpdate(rank=rank, alpha=2.0 * rank)
    if asked.rank:
        raise ConfigError(f"--rank {asked.rank} is of --method lora, not of {asked.method or FULL}")
    if asked.method in (FULL, None):
        return FullUpdate()
    raise ConfigError(f"--method is {asked.method!r}; full or lora")


class TrainingLog:
    """Tells of a training on stderr: a bar on a terminal, a line every 20 steps in a log."""

    def __init__(self, steps: int) -> None:
        from promptbank.cli.progress import bar

        self._progress = bar() if sys.stderr.isatty() else None
        self._line = self._progress.add_task("training", total=steps) if self._progress else None
        self._recent: list[MtStep] = []

    def __enter__(self) -> TrainingLog:
        """Start drawing."""
        if self._progress:
            self._progress.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Stop drawing."""
        if self._progress:
            self._progress.stop()

    def on_step(self, report: MtStep) -> None:
        """Tell of the last steps: loss, seconds a step, tokens a second, time left."""
        self._recent = [*self._recent[-(LOG_STEPS - 1) :], report]
        seconds = sum(r.seconds for r in self._recent) / len(self._recent)
        loss = sum(r.loss for r in self._recent) / len(self._recent)
        speed = sum(r.tokens for r in self._recent) / sum(r.seconds for r in self._recent)
        said = f"loss {loss:.3f}, {seconds:.2f} s a step, {speed:.0f} tokens/s"
        if self._progress and self._line is not None:
            self._progress.update(self._line, completed=report.step, description=said)
        elif report.step % LOG_STEPS == 0:
            left = (report.steps - report.step) * seconds / 3600
            say(f"step {report.step}/{report.steps}: {said}, lr {report.lr:.1e}, {left:.1f} h left")

    def on_evaluation(self, evaluation: Evaluation) -> None:
        """Tell of an evaluation."""
        scores = "".join(f", {name} chrF2 {value:.1f}" for name, value in evaluation.chrf2.items())
        dev = "" if evaluation.dev_loss is None else f", dev loss {evaluation.dev_loss:.3f}"
        averaged = " (averaged weights)" if evaluation.averaged else ""
        say(f"after {evaluation.step} steps{averaged}: {evaluation.tokens} tokens{dev}{scores}")


def read_sets(paths: Sequence[Path], langpair: str, rows: int | None) -> list[EvalSet]:
    """Read evaluation sets; a set is named as its file, up to the first dot."""
    from promptbank.mt.translator.curve import EvalSet

    named = Counter(path.name.partition(".")[0] for path in paths)
    if twice := [name for name, count in named.items() if count > 1]:
        raise ConfigError(f"several --set files are named {', '.join(twice)}; a set is named as its file: rename them")
    found = {path.name.partition(".")[0]: list(read_pairs(path, *Languages.parse(langpair)))[:rows] for path in paths}
    return [EvalSet(name, tuple(p.src for p in pairs), tuple(p.tgt for p in pairs)) for name, pairs in found.items()]
