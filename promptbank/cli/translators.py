"""What `mt train` and `mt score` do, once their options are read."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import typer

from promptbank.cli.corpora import columns, corpus_folder, languages
from promptbank.cli.output import print_table, say, write_text
from promptbank.config import Settings
from promptbank.errors import ConfigError
from translate.corpus_folder import read_corpus, read_manifest
from translate.corpus_pairs import read_pairs
from translate.nmt.signals import stop_on_signal

if TYPE_CHECKING:
    from promptbank.backbone import Backbone
    from promptbank.mt.curve import EvalSet, Evaluation
    from promptbank.mt.methods import Update
    from promptbank.mt.plan import MtStep
    from promptbank.mt.settings import MtSettings

__all__ = ["ScoreAsked", "TrainAsked", "score", "train"]

STOPPED = 130
"""Exit code of a training that was told to stop, as after Ctrl-C."""

LOG_STEPS = 20
"""Steps of one progress line where no terminal shows a bar."""


@dataclass(frozen=True)
class TrainAsked:
    """What `mt train` was asked for besides the settings of the training; see its options."""

    arch: str
    method: str
    rank: int
    corpus: str
    out: Path | None
    start: Path | None
    sets: Sequence[Path]


@dataclass(frozen=True)
class ScoreAsked:
    """What `mt score` was asked for; see its options."""

    engine: str
    sets: Sequence[Path]
    beam: int
    rows: int | None
    dtype: str
    out: Path | None


def train(settings: Settings, asked: TrainAsked, wanted: MtSettings) -> None:
    """Train a translator, or go on with it."""
    if asked.arch not in ARCHITECTURES:
        raise ConfigError(f"--arch is {asked.arch!r}; known: {', '.join(ARCHITECTURES)}")
    folder = ARCHITECTURES[asked.arch](settings, asked, wanted)
    if folder is None:
        say("stopped, and saved; the same command goes on from here")
        raise typer.Exit(STOPPED)
    say(f"translator: {folder}")


def score(settings: Settings, asked: ScoreAsked, *, as_json: bool) -> None:
    """Score a trained translator."""
    from dataclasses import replace

    import torch

    from promptbank.cli.progress import bar
    from promptbank.cli.session import the_backbone
    from promptbank.mt.decode import Decoding
    from promptbank.mt.engine import translate_texts
    from promptbank.mt.model import backbone_name, load_translator
    from promptbank.mt.rows import Wording
    from promptbank.mt.score import score_texts

    if asked.dtype not in ("float32", "bfloat16"):
        raise ConfigError(f"--dtype is {asked.dtype!r}; float32 or bfloat16")
    folder = _model_folder(settings, asked.engine)
    backbone = the_backbone(replace(settings, backbone=backbone_name(folder)))
    translator = load_translator(folder, backbone, getattr(torch, asked.dtype))
    wording, rows = Wording(backbone.tokenizer, translator.languages), []
    for chosen in _sets(asked.sets, str(translator.languages), asked.rows):
        with bar() as progress:
            line = progress.add_task(chosen.name, total=len(chosen.texts))
            found = translate_texts(
                translator.lm,
                wording,
                chosen.texts,
                Decoding(beam=asked.beam),
                window=backbone.window,
                on_texts=lambda done, line=line, progress=progress: progress.update(line, completed=done),  # type: ignore[misc]
            )
        texts = [hypothesis.text for hypothesis in found]
        if asked.out:
            asked.out.mkdir(parents=True, exist_ok=True)
            write_text(asked.out / f"{chosen.name}.txt", "".join(f"{text}\n" for text in texts))
        rows.append({"set": chosen.name, **score_texts(texts, chosen.references).as_dict()})
    print_table(rows, columns(rows), as_json=as_json)


def _train_backbone(settings: Settings, asked: TrainAsked, wanted: MtSettings) -> Path | None:
    from promptbank.cli.session import the_backbone
    from promptbank.mt.train import train_translator

    folder = corpus_folder(settings, asked.corpus)
    manifest = read_manifest(folder)
    update = _update(asked)
    out = asked.out or settings.home / "mt" / f"{manifest['langpair']}-{asked.method}"
    backbone = the_backbone(settings)
    plan = _plan(backbone, folder, manifest, update, asked, wanted, out)
    with stop_on_signal() as should_stop, TrainingLog(wanted.steps) as log:
        say(f"{len(plan.train)} pairs, {wanted.steps} steps; curve: {out / 'curve.jsonl'}")
        return train_translator(backbone, plan, log, should_stop)


ARCHITECTURES: Mapping[str, Callable[[Settings, TrainAsked, Any], Path | None]] = {"backbone": _train_backbone}
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
    from promptbank.mt.plan import MtPlan
    from promptbank.mt.rows import Languages, Wording, render_pairs

    wording = Wording(backbone.tokenizer, Languages.parse(manifest["langpair"]))
    window = min(backbone.window, wanted.tokens)
    parts = {part: [(pair.src, pair.tgt) for pair in read_corpus(folder, part)] for part in ("train", "dev")}
    return MtPlan(
        update=update,
        wording=wording,
        train=render_pairs(wording, parts["train"], window=window),
        dev=render_pairs(wording, parts["dev"], window=window) if parts["dev"] else [],
        corpus_sha256=manifest["sha256"]["train"],
        sets=_sets(asked.sets, manifest["langpair"], None),
        settings=wanted,
        out=out,
        start=asked.start,
    )


def _update(asked: TrainAsked) -> Update:
    from promptbank.mt.methods import FullUpdate, LowRankUpdate

    if asked.method == "full":
        return FullUpdate()
    if asked.method == "lora":
        return LowRankUpdate(rank=asked.rank, alpha=2.0 * asked.rank)
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


def _sets(paths: Sequence[Path], langpair: str, rows: int | None) -> list[EvalSet]:
    """Read evaluation sets; a set is named as its file, up to the first dot."""
    from promptbank.mt.curve import EvalSet

    found = {path.name.partition(".")[0]: list(read_pairs(path, *languages(langpair)))[:rows] for path in paths}
    return [EvalSet(name, tuple(p.src for p in pairs), tuple(p.tgt for p in pairs)) for name, pairs in found.items()]


def _model_folder(settings: Settings, name: str) -> Path:
    """Return the folder of a translator, given by path or by name, with or without ``model`` at its end."""
    places = [Path(name), Path(name) / "model", settings.home / "mt" / name / "model"]
    return next((place for place in places if (place / "translator.json").is_file()), places[-1])
