"""From a Marian folder to a CTranslate2 directory, accepted only after greedy token parity with transformers.

First a float32 conversion must give the very same discrete tokens as transformers in float32 on every sentence: it
shows that the conversion understood the model. Then the quantised one is made, and its agreement is reported.
"""

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from transformers import MarianMTModel

from promptbank.errors import TrainingError
from promptbank.model.backbone.pretrained import quiet_transformers
from promptbank.mt.marian.model import load_marian
from promptbank.mt.marian.pieces import EOS, Pieces, load_pieces
from promptbank.mt.marian.search import search

__all__ = ["ConversionAgreement", "convert_marian"]

LIMIT = 128
"""Longest translation that is compared, in discrete tokens."""

COPIED = ["source.spm", "target.spm", "tokenizer_config.json"]


@dataclass(frozen=True)
class ConversionAgreement:
    """How alike the conversion and transformers translate, greedily.

    Attributes:
        sentences: compared.
        float32_same: translations of the float32 conversion with the very same tokens; all of them, or it is refused.
        quantised_same: translations of the quantised conversion with the very same tokens.
        quantised_tokens_same: share of transformers' tokens that the quantised conversion has at the same place, 0-1.
        bytes: size of the quantised directory.
    """

    sentences: int
    float32_same: int
    quantised_same: int
    quantised_tokens_same: float
    bytes: int


def convert_marian(
    folder: Path, out: Path, sentences: Sequence[str], *, quantisation: str = "int8"
) -> ConversionAgreement:
    """Convert a Marian folder; leave nothing behind when it is refused.

    Args:
        folder: of transformers' Marian.
        out: CTranslate2 directory to make; must not exist.
        sentences: source texts to compare on, a hundred or so.
        quantisation: of the weights, such as "int8" or "int8_float32"; "float32" for none.

    Raises:
        TrainingError: the folder cannot be converted, ``out`` is there, or a float32 translation differs.
    """
    if out.exists():
        raise TrainingError(f"{out} is there already; name another directory or remove it")
    if not sentences:
        raise TrainingError("a conversion is checked on sentences, and there are none")
    pieces, model = load_pieces(folder), load_marian(folder)
    rows = [pieces.cut(text) for text in sentences]
    longest = model.config.max_position_embeddings - 1
    if any(len(row) > longest for row in rows):
        raise TrainingError(f"a sentence to compare on has more than {longest} discrete tokens; leave it out")
    wanted = [_transformers_tokens(model, pieces, row) for row in rows]
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as room:
        exact, small = Path(room, "float32"), Path(room, "quantised")
        _convert(folder, exact, "float32")
        same = [found == want for found, want in zip(_ct2_tokens(exact, rows), wanted, strict=True)]
        if not all(same):
            first = sentences[same.index(False)]
            raise TrainingError(
                f"the conversion of {folder} is refused: {same.count(False)} of {len(same)} float32 translations "
                f"differ from transformers', the first of {first[:60]!r}"
            )
        _convert(folder, small, quantisation)
        found = _ct2_tokens(small, rows)
        shutil.move(small, out)
    return ConversionAgreement(
        sentences=len(rows),
        float32_same=len(rows),
        quantised_same=sum(one == want for one, want in zip(found, wanted, strict=True)),
        quantised_tokens_same=_agreement(found, wanted),
        bytes=sum(file.stat().st_size for file in out.iterdir()),
    )


def _convert(folder: Path, out: Path, quantisation: str) -> None:
    from ctranslate2.converters import TransformersConverter

    copied = [name for name in COPIED if (folder / name).is_file()]
    try:
        with quiet_transformers():
            converter = TransformersConverter(str(folder), copy_files=copied)
            converter.convert(str(out), quantization=None if quantisation == "float32" else quantisation)
    except (ValueError, RuntimeError, OSError, KeyError, AttributeError) as exc:
        raise TrainingError(f"CTranslate2 cannot convert {folder}: {exc}") from exc


def _ct2_tokens(folder: Path, rows: Sequence[Sequence[str]]) -> list[list[str]]:
    """Translate greedily, a row at a time, as it is done for transformers."""
    import ctranslate2

    translator = ctranslate2.Translator(str(folder), device="cpu")
    found = (
        translator.translate_batch([[*row, EOS]], beam_size=1, max_decoding_length=LIMIT, max_input_length=0)
        for row in rows
    )
    return [list(one[0].hypotheses[0]) for one in found]


def _transformers_tokens(model: MarianMTModel, pieces: Pieces, row: Sequence[str]) -> list[str]:
    ids = [*(pieces.vocabulary[piece] for piece in row), pieces.eos]
    [(found, _)] = search(model, [ids], LIMIT, beam=1)
    return [piece for piece in pieces.pieces(found) if piece != EOS]


def _agreement(found: Sequence[Sequence[str]], wanted: Sequence[Sequence[str]]) -> float:
    same = sum(a == b for one, want in zip(found, wanted, strict=True) for a, b in zip(one, want, strict=False))
    longest = sum(max(len(one), len(want)) for one, want in zip(found, wanted, strict=True))
    return same / longest if longest else 1.0
