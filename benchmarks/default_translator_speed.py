"""The translator that comes with promptbank against `generate` of transformers: same weights, dtype, texts and beam.

Both translate batches of like length and stop at the same limits; `generate` has none of the rules that keep a
translation from repeating itself, so the characters that each made are in the report.

Example: python -m benchmarks.default_translator_speed --texts 64 --out docs/results/default-translator-speed.json
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch

from benchmarks.translation_speed import PAIR, checked, race, race_parser, sample_texts, tell
from promptbank.config import load_settings
from promptbank.engine.decoding import BeamSearch
from promptbank.model.backbone import open_backbone
from promptbank.mt.engines.backbone import BackboneTranslator, length_batches
from promptbank.mt.translator.model import Translator, load_translator
from promptbank.mt.translator.pairs import PairFormat
from promptbank.training.precision import cpu_has_bfloat16
from translate import EngineInfo, Hypothesis, Segment

SHIPPED = Path(__file__).parent.parent / "translate" / "models" / "-".join(PAIR)


class Generate:
    """`generate` of transformers on a translator's own model; satisfies ``translate.Engine``.

    Args:
        translator: the model.
        decoding: beam and limits.
    """

    def __init__(self, translator: Translator, decoding: BeamSearch) -> None:
        self._model: Any = translator.lm.model
        self._pair_format = PairFormat(translator.backbone.tokenizer, translator.languages)
        self._decoding = decoding

    def info(self) -> EngineInfo:
        """Say what this engine is."""
        return EngineInfo("generate", ("-".join(PAIR),), markers="bracket")

    def translate(self, segments: Sequence[Segment]) -> list[Hypothesis]:
        """Translate in the very batches of ours, padded on the left."""
        prompts = [self._pair_format.prompt(segment.text) for segment in segments]
        beam, found = self._decoding.beam, {}
        for batch in length_batches([len(prompt) * beam for prompt in prompts], self._decoding.batch_tokens):
            found |= dict(zip(batch, self._generated([prompts[n] for n in batch]), strict=True))
        return [Hypothesis(self._pair_format.text(found[n])) for n in range(len(prompts))]

    @torch.no_grad()
    def _generated(self, prompts: Sequence[Sequence[int]]) -> list[tuple[int, ...]]:
        width, end = max(map(len, prompts)), self._pair_format.eos_id
        ids = torch.tensor([[end] * (width - len(prompt)) + list(prompt) for prompt in prompts])
        mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts])
        made = self._model.generate(
            input_ids=ids,
            attention_mask=mask,
            num_beams=self._decoding.beam,
            do_sample=False,
            max_new_tokens=self._decoding.limit(width),
            eos_token_id=end,
            pad_token_id=end,
        )
        return [tuple(row[width:].tolist()) for row in made]


def main() -> int:
    """Race and report."""
    args = checked(race_parser(__doc__ or "", texts=64))
    torch.set_num_threads(args.threads)
    before, decoding = os.getloadavg(), BeamSearch(beam=args.beam)
    dtype = torch.bfloat16 if cpu_has_bfloat16() else torch.float32
    settings, _ = load_settings({}, os.environ)
    translator = load_translator(SHIPPED, open_backbone(settings, print), dtype)
    engines = {
        "transformers generate": Generate(translator, decoding),
        "promptbank": BackboneTranslator(translator, decoding),
    }
    report = race(engines, sample_texts(args.texts), args.rounds)
    report["parameters"] = sum(parameter.numel() for parameter in translator.lm.model.parameters())
    tell(report | {"decoding": str(decoding), "model": f"shipped, {dtype}"}, args, before)
    print(f"promptbank is {report['ratio']:.2f} times as fast")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
