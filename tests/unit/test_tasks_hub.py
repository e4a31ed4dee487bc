"""Datasets folders: rows become examples as lines of a file do, and a wrong name is told at once."""

import subprocess
import sys
from pathlib import Path

import pytest

from tasks import DataError, InputRecord, parse_card, read_parts
from tests.examples import load_dataset_examples
from tests.stores import ROOT

CARD = parse_card(
    {
        "taskname": "mood",
        "prompt_template": "{text}<|VIRTUAL_PROMPT_0|> {label}",
        "total_virtual_tokens": 1,
        "virtual_token_splits": [1],
        "label_space": {"good": ["good"], "bad": ["bad"]},
    }
)


def saved(folder: Path, **columns: list[str]) -> str:
    import datasets

    datasets.Dataset.from_dict(columns).save_to_disk(str(folder / "set"))
    return str(folder / "set")


def test_faults_of_rows_are_gathered_with_their_numbers(tmp_path: Path) -> None:
    spec = saved(tmp_path, text=["a", "b\0", "c"], label=["good", "good", "so-so"])
    with pytest.raises(DataError) as caught:
        load_dataset_examples(spec, CARD)
    assert "[train]:2: field 'text' holds a NUL character" in str(caught.value)
    assert "[train]:3: unknown label 'so-so'" in str(caught.value)


def test_answers_are_not_looked_at_when_they_are_not_needed(tmp_path: Path) -> None:
    spec = saved(tmp_path, text=["a"], label=["so-so"])
    assert [e.answer for e in load_dataset_examples(spec, CARD, need_answer=False)] == [None]


def test_a_set_without_rows_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no records"):
        load_dataset_examples(saved(tmp_path, text=[], label=[]), CARD)


def test_one_id_twice_in_a_dataset_is_an_error(tmp_path: Path) -> None:
    spec = saved(tmp_path, text=["a", "b"], label=["good", "bad"], id=["7", "7"])
    with pytest.raises(DataError, match=r"\[train\]:2: id '7' stands at .*\[train\]:1 already"):
        load_dataset_examples(spec, CARD)


def test_equal_rows_of_a_dataset_without_ids_are_kept_apart(tmp_path: Path) -> None:
    first, second = load_dataset_examples(saved(tmp_path, text=["a", "a"], label=["good", "good"]), CARD)
    assert second.id == f"{first.id}-2"
    assert first.group == second.group


def test_a_part_that_a_saved_set_does_not_have_is_not_ignored(tmp_path: Path) -> None:
    import datasets

    train = datasets.Dataset.from_dict({"text": ["a"], "label": ["good"]})
    datasets.DatasetDict({"train": train}).save_to_disk(str(tmp_path / "set"))
    with pytest.raises(DataError, match=r"part 'test'\): it has 'train'"):
        load_dataset_examples(str(tmp_path / "set"), CARD, part="test")


def test_every_part_of_a_set_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    parts = {"train": ["a", "b\0"], "test": ["c"]}
    made = datasets.DatasetDict({name: datasets.Dataset.from_dict({"text": texts}) for name, texts in parts.items()})
    made.save_to_disk(str(tmp_path / "saved"))
    (tmp_path / "files").mkdir()
    for name in parts:
        made[name].to_json(str(tmp_path / "files" / f"{name}.jsonl"))
    for folder in ("saved", "files"):
        found = {name: list(records) for name, records in read_parts(str(tmp_path / folder)).items()}
        assert [r.data for r in (found["train"][0], *found["test"]) if isinstance(r, InputRecord)] == [
            {"text": "a"},
            {"text": "c"},
        ]
        assert "[train]:2: field 'text' holds a NUL character" in str(found["train"][1])
    assert list(read_parts(saved(tmp_path, text=["a"]))) == ["train"]


def test_a_folder_with_a_loading_script_is_refused_and_not_run(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "set.py").write_text(f"open({str(tmp_path / 'was-run')!r}, 'w')\n")
    with pytest.raises(DataError, match="cannot be loaded as a dataset"):
        load_dataset_examples(str(folder), CARD)
    assert not (tmp_path / "was-run").exists()


def test_a_missing_folder_is_not_blamed_on_the_hub(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="missing") as caught:
        load_dataset_examples(str(tmp_path / "missing"), CARD)
    assert "hub cannot be reached" not in str(caught.value)


def test_importing_the_room_imports_neither_datasets_nor_torch() -> None:
    code = (
        "import sys, tasks; print(sorted({'datasets', 'torch', 'transformers', 'huggingface_hub'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
