"""Tiny Marian models: twenty pairs learnt by heart in a second, and a random one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from promptbank.mt.marian.model import build_marian, save_marian
from promptbank.mt.marian.pieces import train_pieces
from promptbank.mt.marian.sizes import MarianSizes, TrainSettings
from promptbank.mt.marian.training import MarianPlan, train_marian
from translate import Segment

ADJECTIVES = [("red", "röda"), ("big", "stora"), ("old", "gamla"), ("new", "nya"), ("small", "lilla")]
NOUNS = [("house", "huset"), ("table", "bordet")]
PLACES = [("here", "här"), ("gone", "borta")]
MARIAN_PAIRS = [
    (f"the {a[0]} {n[0]} is {p[0]}", f"det {a[1]} {n[1]} är {p[1]}") for a in ADJECTIVES for n in NOUNS for p in PLACES
]
SIZES = MarianSizes(
    vocabulary=400, width=32, heads=2, feed_forward=64, encoder_layers=1, decoder_layers=1, positions=256
)
SETTINGS = TrainSettings(
    steps=300, batch_tokens=200, lr=1e-2, warmup=20, schedule="cosine.v1", dropout=0.0, longest=32, label_smoothing=0.0,
    log_every=20, check_every=100,
)  # fmt: skip
PLAN = MarianPlan(("en", "sv"), MARIAN_PAIRS, MARIAN_PAIRS[:4], SIZES, SETTINGS)


def segments(texts: Sequence[str]) -> list[Segment]:
    """Return texts as an engine gets them."""
    return [Segment(str(n), "en", "sv", text) for n, text in enumerate(texts)]


def train_tiny_marian(folder: Path) -> Path:
    """Train for 300 steps; return the model's folder."""
    outcome = train_marian(PLAN, folder)
    assert outcome.model is not None
    return outcome.model


def save_random_marian(folder: Path) -> Path:
    """Save a model of large random weights, whose logits are far apart and whose translations seldom end."""
    pieces = train_pieces([text for pair in MARIAN_PAIRS for text in pair], SIZES.vocabulary)
    model = build_marian(SIZES, pieces, seed=1)
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(2)
        for parameter in model.parameters():
            if parameter.requires_grad and parameter.dim() > 1:
                parameter.normal_(0, 0.3)
        model.get_input_embeddings().weight[pieces.pad] = 0  # where the decoder starts, in every Marian
    save_marian(model, pieces, ("en", "sv"), folder)
    return folder
