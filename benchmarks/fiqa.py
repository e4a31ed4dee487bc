"""FiQA, binary, 5 grouped folds: p-tuned rows from the bank beside TF-IDF, majority and zero-shot on the same folds.

Every fold is one training through the use case behind `promptbank train`; its score comes from the stored row, in
float32. Finished folds are kept in the home, and a killed fold goes on from its resume file, so the command can be
given again, or in two processes with ``--only``. FiQA is not part of promptbank; ``docs/results/fiqa.md`` says where it
comes from.

Example: python -m benchmarks.fiqa path/to/fiqa/*.json --out docs/results/fiqa.json
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import statistics
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from promptbank.backbone import Backbone, load_backbone
from promptbank.bank.freeze import record_evaluation
from promptbank.bank.learn import learn_task
from promptbank.bank.select import served_task
from promptbank.cli.progress import TrainingProgress
from promptbank.config import load_settings
from promptbank.engine.predictor import Predictor
from promptbank.engine.scoring import Request, label_scores, score_forms
from promptbank.forward import LanguageModel
from promptbank.render import Form, Policy, encode_plain
from promptbank.train.config import TrainConfig
from store import open_store
from tasks import (
    Example,
    Record,
    Split,
    TaskCard,
    builtin_card,
    classification_report,
    convert_fiqa,
    crossval_split,
    data_sha256,
    example_from,
)

FOLDS = 5
DEV_FRACTION = 0.1
ZERO_SHOT = "{sentence}\nThe sentiment is"


def main() -> None:
    """Run the folds that are not there yet, then print the table."""
    args = _arguments()
    torch.set_num_threads(args.threads)
    settings, _ = load_settings({"home": args.home}, os.environ)
    card = builtin_card("sentiment-task", "en")
    examples = _examples(args.files, card)
    backbone = load_backbone(settings.backbone, home=settings.home)
    lm = LanguageModel(backbone.model)
    config = TrainConfig()
    about = _about(card, examples, backbone, config)
    folder = settings.home / "runs" / f"fiqa-{_digest(about)}"
    folder.mkdir(parents=True, exist_ok=True)
    for fold in args.only:
        path = folder / f"{fold}.json"
        if path.is_file():
            continue
        split = crossval_split(examples, FOLDS, fold, DEV_FRACTION)
        scores = _baselines(split, card, backbone, lm)
        scores |= _ptuned(split, card, backbone, lm, config, settings.home, args)
        path.write_text(json.dumps(scores), encoding="utf-8")
    done = {fold: folder / f"{fold}.json" for fold in range(FOLDS) if (folder / f"{fold}.json").is_file()}
    report = about | {"folds": {fold: json.loads(path.read_text(encoding="utf-8")) for fold, path in done.items()}}
    if len(done) == FOLDS:
        args.out.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    if len(done) > 1:
        _print_table(report)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path, help="FiQA task 1 JSON files")
    parser.add_argument("--out", type=Path, default=Path("docs/results/fiqa.json"))
    parser.add_argument("--home", help="home of the backbone and the bank of the folds")
    parser.add_argument("--only", type=int, nargs="+", default=list(range(FOLDS)), help="folds to run here")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--load", default="nothing else", help="what else the machine was doing, for the report")
    return parser.parse_args()


def _examples(files: Sequence[Path], card: TaskCard) -> list[Example]:
    records = convert_fiqa(sorted(files)).records
    return [
        example_from(Record(n, record, f"fiqa:{n}"), card, need_answer=True)
        for n, record in enumerate(records, start=1)
    ]


def _about(card: TaskCard, examples: list[Example], backbone: Backbone, config: TrainConfig) -> dict[str, Any]:
    """Everything that decides the result."""
    return {
        "experiment": "FiQA binary, 5 grouped folds",
        "rows": len(examples),
        "data_sha256": data_sha256(examples),
        "card": card.plain(),
        "config": config.model_dump(mode="json"),
        "backbone": backbone.name,
        "fingerprint": backbone.fingerprint,
        "zero_shot_prompt": ZERO_SHOT,
        "scores": "float32, from the stored row",
        "torch": torch.__version__,
        "machine": platform.machine(),
    }


def _digest(about: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:12]


def _ptuned(
    split: Split,
    card: TaskCard,
    backbone: Backbone,
    lm: LanguageModel,
    config: TrainConfig,
    home: Path,
    args: argparse.Namespace,
) -> dict[str, Any]:
    """Train one fold into the bank and score its test part from the stored row."""
    begun = time.perf_counter()
    with open_store(f"sqlite:///{home / 'fiqa-folds.db'}") as store:
        with TrainingProgress() as progress:
            learnt = learn_task(
                store, backbone, card, split.train, split.dev, config, home=home, listener=progress, lm=lm
            )
        seconds = time.perf_counter() - begun
        row = store.rows.get(learnt.row.scope, learnt.row.version)
        task = served_task(row, row.version, backbone)
        result = record_evaluation(store, Predictor(lm), row, task, split.test, split="test")
    return {
        "sizes": {"train": len(split.train), "dev": len(split.dev), "test": len(split.test)},
        "ptuned": _scores(result.metrics),
        "confusion": result.metrics["confusion"],
        "dev": _scores(learnt.metrics),
        "best_epoch": learnt.trained.best_epoch,
        "epochs": [epoch.as_dict() for epoch in learnt.trained.epochs],
        "row_sha256": row.sha256,
        "train_seconds": round(seconds, 1),
        "threads": args.threads,
        "load": args.load,
    }


def _baselines(split: Split, card: TaskCard, backbone: Backbone, lm: LanguageModel) -> dict[str, Any]:
    gold = [e.answer or "" for e in split.test]
    labels = tuple(card.label_space or {})
    most = Counter(e.answer or "" for e in (*split.train, *split.dev)).most_common(1)[0][0]
    return {
        "majority": _scores(classification_report(gold, [most] * len(gold), labels).as_dict()),
        "tfidf": _scores(classification_report(gold, _tfidf(split), labels).as_dict()),
        "zero_shot": _scores(classification_report(gold, _zero_shot(split.test, card, backbone, lm), labels).as_dict()),
    }


def _tfidf(split: Split) -> list[str]:
    """Words and word pairs, logistic regression; trained on training and dev rows, since it needs no dev."""
    model = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), LogisticRegression(C=10, max_iter=1000)
    )
    known = (*split.train, *split.dev)
    model.fit([e.fields["sentence"] for e in known], [e.answer for e in known])
    return [str(label) for label in model.predict([e.fields["sentence"] for e in split.test])]


def _zero_shot(examples: Sequence[Example], card: TaskCard, backbone: Backbone, lm: LanguageModel) -> list[str]:
    """The frozen backbone without a prompt table: label words after a plain question, no end token."""
    policy = Policy.of(backbone.tokenizer)
    begin = () if policy.bos_id is None else (policy.bos_id,)
    forms = tuple(
        Form(label, tuple(encode_plain(backbone.tokenizer, f" {form}")))
        for label, words in (card.label_space or {}).items()
        for form in words
    )
    table = torch.zeros(1, lm.hidden_size)
    predicted = []
    for example in examples:
        text = ZERO_SHOT.format_map(example.fields)
        request = Request((*begin, *encode_plain(backbone.tokenizer, text)), 0, forms)
        scores = label_scores(forms, score_forms(lm, table, [request])[0])
        predicted.append(max(scores, key=scores.__getitem__))
    return predicted


def _scores(metrics: dict[str, Any]) -> dict[str, float]:
    return {"accuracy": metrics["accuracy"], "macro_f1": metrics["macro_f1"]}


def _print_table(report: dict[str, Any]) -> None:
    folds = [report["folds"][key] for key in sorted(report["folds"])]
    print(f"{'method':<10} {'accuracy':>16} {'macro-F1':>16}   by fold")
    for method in ("ptuned", "tfidf", "zero_shot", "majority"):
        columns = [[fold[method][metric] for fold in folds] for metric in ("accuracy", "macro_f1")]
        cells = [f"{statistics.mean(c):.4f} +- {statistics.stdev(c):.4f}" for c in columns]
        print(f"{method:<10} {cells[0]:>16} {cells[1]:>16}   {' '.join(f'{v:.3f}' for v in columns[0])}")
    print(f"train seconds: {[fold['train_seconds'] for fold in folds]}")


if __name__ == "__main__":
    main()
