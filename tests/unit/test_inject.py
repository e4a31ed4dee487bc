"""Layout: a row answers the same alone and in any batch; known wrong layouts would be caught."""

from dataclasses import replace

import pytest
import torch

from promptbank.engine.scoring import ScoringRequest, score_forms
from promptbank.model.forward import LanguageModel, cache_of, prefill
from promptbank.model.inject import embed, pack, positions
from promptbank.model.prompt_table import PromptTable
from promptbank.model.render import virtual_id
from tests.tiny import KINDS, Kind, tiny_backbone
from tests.worlds import AFTER, BEFORE, SPLIT, card_of, renderer_of

TEXTS = ["good", "profit rose and the outlook for this year is positive", "bad, said the company"]
TASKS = [(AFTER, (4,)), (BEFORE, (6,)), (SPLIT, (3, 2))]


def mixed_batch(kind: Kind):
    """Sequences of three tasks, each with its own length and split, and the prompt table of each."""
    backbone = tiny_backbone(kind)
    generator = torch.Generator().manual_seed(1)
    own = [
        PromptTable.of_rows(torch.randn(sum(splits), backbone.hidden_size, generator=generator)) for _, splits in TASKS
    ]
    rows, tables = [], []
    for text in TEXTS:
        for table, (template, splits) in zip(own, TASKS, strict=True):
            rows.append(renderer_of(backbone, card_of(template, splits)).prompt({"sentence": text}).ids)
            tables.append(table)
    return LanguageModel(backbone.model), rows, tables


def last_logits(lm, embeds, mask, place):
    out = lm.model(inputs_embeds=embeds, attention_mask=mask, position_ids=place, use_cache=False)
    return out.logits[:, -1]


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_alone_equals_the_row_in_a_mixed_batch(kind: Kind) -> None:
    lm, rows, tables = mixed_batch(kind)
    together = lm.head(lm.hidden(pack(rows, tables))[:, -1])
    for b, (row, table) in enumerate(zip(rows, tables, strict=True)):
        # oracle: embeddings put together by hand, plain positions, the whole model
        own = [table.input_rows[-i - 1] if i < 0 else lm.embedding(torch.tensor([i]))[0] for i in row]
        embeds = torch.stack(own)[None]
        alone = last_logits(lm, embeds, torch.ones(1, len(row), dtype=torch.long), torch.arange(len(row))[None])
        assert torch.allclose(together[b], alone[0], atol=1e-4)


def wrong_prompt_pad_text(ids, mask, slots):
    """[virtual][pad][text]: what stock PEFT makes of left-padded text under a prefix prompt."""
    order = torch.cat([(slots >= 0).nonzero().squeeze(1), (slots < 0).nonzero().squeeze(1)])
    return ids[order], mask[order], slots[order]


def test_prompt_pad_text_layout_would_be_caught() -> None:
    for kind in ("llama", "gemma3", "gpt2"):
        lm, rows, tables = mixed_batch(kind)
        chosen = [b for b in range(len(rows)) if tables[b] is tables[1]]  # the task with its virtual tokens first
        packed = pack([rows[b] for b in chosen], [tables[b] for b in chosen])
        right = lm.head(lm.hidden(packed)[:, -1])
        moved = [wrong_prompt_pad_text(*parts) for parts in zip(packed.ids, packed.mask, packed.slots, strict=True)]
        ids, mask, slots = (torch.stack(column) for column in zip(*moved, strict=True))
        wrong = replace(packed, ids=ids, slots=slots, mask=mask)
        # positions by index, as where no explicit ones are given
        place = torch.arange(wrong.ids.shape[1]).expand_as(wrong.ids)
        logits = last_logits(lm, embed(lm.embedding, wrong), wrong.mask, place)
        shortest = min(range(len(chosen)), key=lambda n: len(rows[chosen[n]]))
        assert (logits[shortest] - right[shortest]).abs().max() > 1e-2


@pytest.mark.parametrize("kind", ["gpt2"])
def test_positions_by_index_would_be_caught_where_positions_are_learned(kind: Kind) -> None:
    # rotary positions are relative, so only learned ones can show this fault
    lm, rows, tables = mixed_batch(kind)
    packed = pack(rows, tables)
    right = lm.head(lm.hidden(packed)[:, -1])
    place = torch.arange(packed.ids.shape[1]).expand_as(packed.ids)
    wrong = last_logits(lm, embed(lm.embedding, packed), packed.mask, place)
    shortest = min(range(len(rows)), key=lambda b: len(rows[b]))
    assert (wrong[shortest] - right[shortest]).abs().max() > 1e-2


@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_mask_would_be_caught(kind: Kind) -> None:
    lm, rows, tables = mixed_batch(kind)
    packed = pack(rows, tables)
    right = lm.head(lm.hidden(packed)[:, -1])
    wrong = last_logits(lm, embed(lm.embedding, packed), torch.ones_like(packed.mask), positions(packed.mask))
    shortest = min(range(len(rows)), key=lambda b: len(rows[b]))
    assert (wrong[shortest] - right[shortest]).abs().max() > 1e-2


@pytest.mark.parametrize("kind", KINDS)
def test_held_keys_and_values_change_nothing(kind: Kind) -> None:
    lm, rows, tables = mixed_batch(kind)
    chosen = [b for b in range(len(rows)) if tables[b] is tables[0]]  # the task with its virtual tokens after the text
    constants = [next(i for i, token in enumerate(rows[b]) if token < 0) for b in chosen]
    held = prefill(lm, [rows[b][:c] for b, c in zip(chosen, constants, strict=True)])
    own = [tables[b] for b in chosen]
    rest = pack([rows[b][c:] for b, c in zip(chosen, constants, strict=True)], own, pad="right")
    hidden = lm.hidden(rest, cache_of(held))[:, -1]
    plain = lm.hidden(pack([rows[b] for b in chosen], own))[:, -1]
    assert torch.allclose(hidden, plain, atol=1e-4)


@pytest.mark.parametrize("length", [15, 16, 17, 40])
def test_sliding_window_layers_see_the_same_in_a_batch_and_after_held_keys(length: int) -> None:
    backbone = tiny_backbone("gemma3", sliding_window=16)
    lm = LanguageModel(backbone.model)
    own = torch.randn(4, backbone.hidden_size, generator=torch.Generator().manual_seed(2))
    table = PromptTable.of_rows(own)
    row = [*range(3, 3 + length), -1, -2, -3, -4, 7, 8]
    embeds = [own[-i - 1] if i < 0 else lm.embedding(torch.tensor([i]))[0] for i in row]
    alone = backbone.model(inputs_embeds=torch.stack(embeds)[None], use_cache=False).logits[0, -1]
    in_batch = lm.head(lm.hidden(pack([row, row[:5], row * 2], [table] * 3))[:, -1])[0]
    held = cache_of(prefill(lm, [row[:length]]))
    after = lm.head(lm.hidden(pack([row[length:]], [table], pad="right"), held)[:, -1])[0]
    assert torch.allclose(in_batch, alone, atol=1e-4)
    assert torch.allclose(after, alone, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_scores_of_a_row_do_not_depend_on_its_batch(kind: Kind) -> None:
    lm, rows, tables = mixed_batch(kind)
    forms = renderer_of(tiny_backbone(kind)).forms
    requests = [ScoringRequest(row, table, forms) for row, table in zip(rows, tables, strict=True)]
    together = score_forms(lm, requests)
    for request, scores in zip(requests, together, strict=True):
        assert torch.allclose(score_forms(lm, [request])[0], scores, atol=1e-4)


def test_the_gradient_of_virtual_rows_is_the_same_to_the_bit_on_several_threads() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        rows = [[*range(1, 11), *(virtual_id(row) for row in range(20))]] * 16
        embedding = torch.nn.Embedding(16, 640)
        weights = torch.randn(16, 30, 640, generator=torch.Generator().manual_seed(0))
        found = set()
        for _ in range(30):
            table = torch.zeros(20, 640, requires_grad=True)
            packed = pack(rows, [PromptTable.of_rows(table)] * 16)
            (embed(embedding, packed) * weights).sum().backward()
            found.add(table.grad.numpy().tobytes())
        assert len(found) == 1
        assert torch.allclose(table.grad, weights[:, 10:].sum(0), atol=1e-5)
    finally:
        torch.set_num_threads(before)
