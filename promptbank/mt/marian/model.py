"""A Marian in transformers: made from sizes, saved as a Hugging Face folder, loaded without a network."""

import json
import shutil
from pathlib import Path

import torch
from safetensors import SafetensorError
from transformers import GenerationConfig, MarianConfig, MarianMTModel

from promptbank.files import read_json
from promptbank.model.backbone.pretrained import quiet_transformers
from promptbank.mt.marian.pieces import Pieces
from promptbank.mt.marian.sizes import MarianSizes
from translate.errors import EngineError

__all__ = ["build_marian", "load_marian", "parameters", "save_marian"]

WEIGHTS = "model.safetensors"


def build_marian(sizes: MarianSizes, pieces: Pieces, *, dropout: float = 0.1, seed: int = 0) -> MarianMTModel:
    """Return an untrained Marian: one table for both embeddings and the output, deep encoder, shallow decoder.

    Args:
        sizes: its shape; the vocabulary's size is that of the pieces.
        pieces: its vocabulary.
        dropout: in training.
        seed: of the weights; the global generator is left as it was.
    """
    config = MarianConfig(
        vocab_size=len(pieces.vocabulary),
        max_position_embeddings=sizes.positions,
        encoder_layers=sizes.encoder_layers,
        encoder_ffn_dim=sizes.feed_forward,
        encoder_attention_heads=sizes.heads,
        decoder_layers=sizes.decoder_layers,
        decoder_ffn_dim=sizes.feed_forward,
        decoder_attention_heads=sizes.heads,
        d_model=sizes.width,
        dropout=dropout,
        activation_function="relu",
        scale_embedding=True,
        pad_token_id=pieces.pad,
        eos_token_id=pieces.eos,
        forced_eos_token_id=pieces.eos,
        decoder_start_token_id=pieces.pad,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = MarianMTModel(config)
    model.generation_config = GenerationConfig(
        pad_token_id=pieces.pad,
        eos_token_id=pieces.eos,
        forced_eos_token_id=pieces.eos,
        decoder_start_token_id=pieces.pad,
        bad_words_ids=[[pieces.pad]],
        max_length=sizes.positions,
    )
    return model


def parameters(model: MarianMTModel) -> int:
    """Return how many numbers are trained; shared tables count once, fixed positions do not."""
    # told by name: transformers freezes the positions of a new model, but not those of a loaded one
    return sum(tensor.numel() for name, tensor in model.named_parameters() if "embed_positions" not in name)


def save_marian(model: MarianMTModel, pieces: Pieces, langpair: tuple[str, str], folder: Path) -> None:
    """Write a folder that transformers' MarianMTModel and MarianTokenizer load; all of it or nothing.

    Args:
        model: its weights are written as they are.
        pieces: its vocabulary.
        langpair: source and target language.
        folder: replaced if it is there.
    """
    temporary = folder.with_name(folder.name + ".tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    with quiet_transformers():
        model.save_pretrained(temporary)
    pieces.save(temporary)
    settings = {
        "tokenizer_class": "MarianTokenizer",
        "source_lang": langpair[0],
        "target_lang": langpair[1],
        "model_max_length": model.config.max_position_embeddings,
        "separate_vocabs": False,
    }
    (temporary / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    if folder.exists():
        shutil.rmtree(folder)
    temporary.replace(folder)


def load_marian(folder: Path) -> MarianMTModel:
    """Load the weights of a Marian folder, in float32 and ready to translate.

    Raises:
        EngineError: the folder has no safetensors weights, or they are no Marian's.
    """
    if not (folder / WEIGHTS).is_file():
        pickled = sorted(path.name for path in folder.glob("*.bin"))
        hint = f"; {', '.join(pickled)} is a pickle and is not loaded, save it again as safetensors" if pickled else ""
        raise EngineError(f"{folder} has no {WEIGHTS}{hint}")
    try:
        config = MarianConfig.from_pretrained(folder, local_files_only=True)
        if config.model_type != "marian" or read_json(folder / "config.json")["model_type"] != "marian":
            raise EngineError(f"{folder} holds no Marian; its config.json has another model_type")
        with quiet_transformers():
            model = MarianMTModel.from_pretrained(
                folder, local_files_only=True, use_safetensors=True, dtype=torch.float32
            )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as exc:
        raise EngineError(f"the Marian in {folder} cannot be loaded: {exc}") from exc
    model.train(False)
    return model
