"""What people serve prompts with today: forty lines of FastAPI around peft, or around transformers.

Both answer one record a request, under a lock, as such apps do. Started by `benchmarks.serving_load`:
``python -m benchmarks.plain_servers peft BACKBONE TABLE PORT`` with a table of virtual tokens (V, H) as safetensors.
"""

from __future__ import annotations

import os
import sys
import threading
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from safetensors.torch import load_file
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer

LABELS = ("billing", "delivery", "other")


class Ask(BaseModel):
    """One record."""

    taskname: str
    text: str


def peft_app(folder: str, table: Tensor) -> FastAPI:
    """Stock peft prompt tuning, the virtual tokens before the text, and `generate`."""
    from peft import PromptTuningConfig, TaskType, get_peft_model

    tokenizer = AutoTokenizer.from_pretrained(folder)
    base = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    config = PromptTuningConfig(task_type=TaskType.CAUSAL_LM, num_virtual_tokens=len(table))
    model: Any = get_peft_model(base, config).eval()
    model.prompt_encoder["default"].embedding.weight.data = table

    @torch.no_grad()
    def answer(text: str) -> str:
        ids = tokenizer(text, return_tensors="pt")
        made = model.generate(**ids, max_new_tokens=4, do_sample=False)
        return str(tokenizer.decode(made[0, ids["input_ids"].shape[1] :], skip_special_tokens=True))

    return _app(answer)


def transformers_app(folder: str, table: Tensor) -> FastAPI:
    """Embeddings put together by hand, and a score for each label over the vocabulary."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    embed = model.get_input_embeddings()
    forms = [
        tokenizer(f" {label}", add_special_tokens=False)["input_ids"] + [tokenizer.eos_token_id] for label in LABELS
    ]

    @torch.no_grad()
    def answer(text: str) -> str:
        ids = tokenizer(text, return_tensors="pt")["input_ids"]
        prompt = torch.cat([embed(ids)[0], table])
        scores = []
        for form in forms:
            whole = torch.cat([prompt, embed(torch.tensor(form))])[None]
            logits = model(inputs_embeds=whole, logits_to_keep=len(form) + 1).logits[0, :-1].float()
            scores.append(float(logits.log_softmax(1).gather(1, torch.tensor(form)[:, None]).sum()))
        return LABELS[max(range(len(scores)), key=scores.__getitem__)]

    return _app(answer)


def _app(answer: Any) -> FastAPI:
    app, lock = FastAPI(), threading.Lock()

    @app.post("/v1/predict")
    def predict(ask: Ask) -> dict[str, str]:
        with lock:
            return {"label": answer(ask.text)}

    @app.get("/livez")
    def livez() -> dict[str, str]:
        return {"status": "ok"}

    return app


def main() -> None:
    """Serve one of the two."""
    kind, folder, table, port = sys.argv[1:]
    torch.set_num_threads(1)
    made = {"peft": peft_app, "transformers": transformers_app}[kind]
    app = made(folder, load_file(table)["virtual_tokens"])
    uvicorn.run(app, port=int(port), log_level="error")


if __name__ == "__main__":
    main()
