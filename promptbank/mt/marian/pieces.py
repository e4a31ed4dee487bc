"""SentencePiece in Marian's layout: `source.spm`, `target.spm` and `vocab.json`, with which text becomes ids.

Text never becomes structure: `</s>` or `<pad>` written in a sentence is encoded as plain characters, which is where
this differs from transformers' MarianTokenizer. Only the trained marks `<s0> ... </s9>` are symbols, since marks are
meant to be.
"""

import hashlib
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from sentencepiece import SentencePieceProcessor, SentencePieceTrainer

from promptbank.errors import TrainingError
from promptbank.files import read_json
from translate.errors import EngineError
from translate.records.markers import MARKS

__all__ = ["EOS", "PIECE_FILES", "Pieces", "load_pieces", "train_pieces"]

PIECE_FILES = ("source.spm", "target.spm", "vocab.json")
EOS, UNK, PAD = "</s>", "<unk>", "<pad>"
_CODE = re.compile(r">>[^<>]+<<")


@dataclass(frozen=True)
class Pieces:
    """A vocabulary and the two SentencePiece models that cut text for it.

    Attributes:
        source: bytes of source.spm.
        target: bytes of target.spm.
        vocabulary: piece -> id; ``</s>``, ``<unk>`` and ``<pad>`` among them.
    """

    source: bytes
    target: bytes
    vocabulary: Mapping[str, int]

    def cut(self, text: str, *, target: bool = False) -> list[str]:
        """Return the pieces of a text, without ``</s>``; a piece outside the vocabulary is ``<unk>``."""
        pieces = (self._target if target else self._source).encode(text, out_type=str)
        return [self._known(piece) for piece in pieces]

    def ids(self, text: str, *, target: bool = False) -> list[int]:
        """Return the ids of a text, with ``</s>`` at the end."""
        return [*(self.vocabulary[piece] for piece in self.cut(text, target=target)), self.eos]

    def join(self, pieces: Sequence[str]) -> str:
        """Return the target text of pieces; marks stay, ``</s>`` and ``<pad>`` go."""
        kept = [piece for piece in pieces if piece not in (EOS, PAD)]
        return str(self._target.decode_pieces(kept)).replace("\u2581", " ").strip()

    def text(self, ids: Sequence[int]) -> str:
        """Return the target text of ids."""
        return self.join([self._words[index] for index in ids])

    def pieces(self, ids: Sequence[int]) -> list[str]:
        """Return the piece of each id."""
        return [self._words[index] for index in ids]

    @property
    def eos(self) -> int:
        """Id of the end of a text."""
        return self.vocabulary[EOS]

    @property
    def pad(self) -> int:
        """Id of padding."""
        return self.vocabulary[PAD]

    @property
    def marked(self) -> bool:
        """Whether the trained marks are symbols of it."""
        return all(mark in self.vocabulary for mark in MARKS)

    @property
    def languages(self) -> tuple[str, ...]:
        """The codes such as ``>>swe<<`` that a model of many target languages wants first."""
        return tuple(piece for piece in self.vocabulary if _CODE.fullmatch(piece))

    def start(self, code: str | None) -> list[str]:
        """Return the pieces before every text: the code of the target language, for a model of many.

        Raises:
            EngineError: the model wants a code and got none or another, or knows none and got one.
        """
        if code is None and not self.languages:
            return []
        if code not in self.languages:
            known = f"one of {', '.join(self.languages[:20])}" if self.languages else "none"
            raise EngineError(f"the target language code {code!r} is not for this model, which takes {known}")
        return [code]

    @cached_property
    def sha256(self) -> str:
        """Hash of all that decides ids."""
        words = json.dumps(sorted(self.vocabulary.items()), ensure_ascii=False).encode()
        parts = (hashlib.sha256(part).hexdigest() for part in (self.source, self.target, words))
        return hashlib.sha256("".join(parts).encode()).hexdigest()

    def save(self, folder: Path) -> None:
        """Write the three files."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "source.spm").write_bytes(self.source)
        (folder / "target.spm").write_bytes(self.target)
        words = json.dumps(dict(self.vocabulary), ensure_ascii=False, indent=0) + "\n"
        (folder / "vocab.json").write_text(words, encoding="utf-8")

    @cached_property
    def _source(self) -> SentencePieceProcessor:
        return SentencePieceProcessor(model_proto=self.source)

    @cached_property
    def _target(self) -> SentencePieceProcessor:
        return SentencePieceProcessor(model_proto=self.target)

    @cached_property
    def _words(self) -> dict[int, str]:
        return {index: piece for piece, index in self.vocabulary.items()}

    def _known(self, piece: str) -> str:
        # a piece that reads as a control symbol can only be a user's characters
        return piece if piece in self.vocabulary and piece not in (EOS, PAD) else UNK


def train_pieces(texts: Iterable[str], size: int) -> Pieces:
    """Train one SentencePiece (unigram) for both languages.

    Letters that are not in the texts are spelt in bytes, so nothing is unknown; digits stand alone, so numbers are
    copied digit by digit. One thread: the same texts give the same bytes.

    Args:
        texts: of both languages.
        size: of the vocabulary, without ``<pad>``; fewer pieces are made when the texts do not hold so many.

    Raises:
        TrainingError: there are no texts, or too few pieces are allowed for their letters.
    """
    model = io.BytesIO()
    try:
        SentencePieceTrainer.train(
            sentence_iterator=iter(texts),
            model_writer=model,
            vocab_size=size,
            hard_vocab_limit=False,
            model_type="unigram",
            character_coverage=0.9999,
            byte_fallback=True,
            split_digits=True,
            num_threads=1,
            input_sentence_size=1_000_000,
            shuffle_input_sentence=False,
            user_defined_symbols=list(MARKS),
            normalization_rule_name="nmt_nfkc",
            eos_id=0,
            unk_id=1,
            bos_id=-1,
            pad_id=-1,
            minloglevel=2,
        )
    except (RuntimeError, OSError) as exc:
        reason = str(exc).strip().splitlines()[-1] if str(exc).strip() else "no text"
        raise TrainingError(f"no SentencePiece of {size} pieces can be made of these texts: {reason}") from exc
    trained = SentencePieceProcessor(model_proto=model.getvalue())
    names = [trained.id_to_piece(index) for index in range(trained.get_piece_size())]
    # Marian's layout: </s> first, <pad> last
    return Pieces(model.getvalue(), model.getvalue(), {name: index for index, name in enumerate([*names, PAD])})


def load_pieces(folder: Path) -> Pieces:
    """Load the three files of a Marian folder.

    Raises:
        EngineError: one is missing or damaged, or source and target have vocabularies of their own.
    """
    missing = [name for name in PIECE_FILES if not (folder / name).is_file()]
    if missing:
        raise EngineError(f"{folder} has no {', '.join(missing)}; a Marian folder has {', '.join(PIECE_FILES)}")
    if (folder / "target_vocab.json").exists():
        raise EngineError(f"{folder} has a target_vocab.json: only models with one shared vocabulary are supported")
    try:
        words = read_json(folder / "vocab.json")
        pieces = Pieces((folder / "source.spm").read_bytes(), (folder / "target.spm").read_bytes(), words)
        _ = pieces.eos, pieces.pad, pieces.vocabulary[UNK], pieces.ids("a"), pieces.ids("a", target=True)
    except (OSError, ValueError, RuntimeError, KeyError, TypeError) as exc:
        raise EngineError(f"the SentencePiece files of {folder} are damaged: {exc}") from exc
    return pieces
