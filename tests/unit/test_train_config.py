"""Training settings: the commented example is the defaults, and faults are told all at once."""

import hashlib
import json
import tomllib
from pathlib import Path

import pytest
from pydantic import ValidationError

from promptbank.cli.command import with_run_file
from promptbank.errors import ConfigError
from promptbank.training.config import TrainConfig, TrainingLength, checked_config
from tasks import TaskCard, builtin_cards
from tests.worlds import card_of

EXAMPLE = Path(__file__).parents[2] / "configs" / "example.toml"


def test_the_example_holds_every_key_with_its_default_and_a_comment() -> None:
    assert tomllib.loads(EXAMPLE.read_text()) == TrainConfig().model_dump()
    lines = [line for line in EXAMPLE.read_text().splitlines() if "=" in line and not line.startswith("#")]
    assert len(lines) == len(TrainConfig.model_fields)
    assert all(line.partition("#")[2].strip() for line in lines)


def test_every_setting_is_described() -> None:
    assert all(field.description for field in TrainConfig.model_fields.values())


def test_options_win_over_the_run_file(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text("epochs = 3\nlr = 0.1\n")
    config = checked_config(with_run_file({"run_file": path, "epochs": 5, "lr": None}))
    assert (config.epochs, config.lr) == (5, 0.1)


def test_all_faults_of_the_settings_are_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text('epochs = 0\nencoder = "gru.v1"\nlearning_rate = 1\n')
    with pytest.raises(ConfigError) as caught:
        checked_config(with_run_file({"run_file": path, "init": "from:"}))
    for part in ("epochs", "gru.v1", "lstm.v1", "learning_rate", "from:taskname"):
        assert part in str(caught.value)


def test_a_run_file_that_is_no_toml_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"missing\.toml cannot be read"):
        checked_config(with_run_file({"run_file": tmp_path / "missing.toml"}))


@pytest.mark.parametrize("given", [0, 1001, 2.5, "many"])
def test_epochs_are_a_number_or_auto(given: object) -> None:
    with pytest.raises(ConfigError) as caught:
        checked_config({"epochs": given, "patience": given})
    faults = [f"{name} = {given!r}: give auto, or 1 to 1000 epochs" for name in ("epochs", "patience")]
    assert str(caught.value) == "; ".join(faults)


@pytest.mark.parametrize(
    ("rows", "epochs", "patience"),
    [(9, 100, 40), (47, 34, 14), (160, 10, 4), (161, 10, 4), (9960, 10, 4)],  # of 1, 3, 10, 11 and 623 steps
)
def test_few_rows_get_more_epochs(rows: int, epochs: int, patience: int) -> None:
    config = TrainConfig(batch_size=16)
    assert config.extent(rows) == TrainingLength(epochs, epochs // 4, patience)


def test_epochs_and_patience_that_are_given_win() -> None:
    config = TrainConfig(epochs=2)
    assert config.extent(9) == TrainingLength(2, 0, 4)
    assert TrainConfig(patience=1, keep_from=0.0).extent(9) == TrainingLength(100, 0, 1)


@pytest.mark.parametrize("init", ["from:sentiment-task:en", "nearest"])
def test_a_start_from_a_row_may_keep_its_first_epochs(init: str) -> None:
    assert TrainConfig(init=init).extent(9) == TrainingLength(100, 0, 40)
    assert TrainConfig(init=init, keep_from=0.5).extent(9) == TrainingLength(100, 50, 40)


@pytest.mark.parametrize("given", [-0.1, 1, True, "late"])
def test_the_first_epoch_to_keep_is_a_share_or_auto(given: object) -> None:
    with pytest.raises(ConfigError) as caught:
        checked_config({"keep_from": given})
    assert str(caught.value) == f"keep_from = {given!r}: give auto, or a share of at least 0 and below 1"


def test_what_decides_a_result_names_the_rule_of_auto_but_not_how_often_it_is_saved() -> None:
    decisive = TrainConfig(checkpoint_steps=7, cache_bytes=8, patience=4).decisive()
    assert decisive["auto"] == "auto.v2"  # the epochs are by that rule
    assert not {"checkpoint_steps", "cache_bytes"} & decisive.keys()
    assert "auto" not in TrainConfig(epochs=2, patience=4, keep_from=0.25).decisive()


def test_settings_by_hash_have_the_identity_of_the_time_when_there_was_no_other_rule() -> None:
    before = "f6fe091941fa4bc6061f181d1682da707d79c09feb5ebf0937ae06ed17e26ead"
    decisive = json.dumps(TrainConfig(dev_rule="hash.v1", loss="vocabulary.v1").decisive(), sort_keys=True)
    assert hashlib.sha256(decisive.encode()).hexdigest() == before
    assert TrainConfig().decisive()["dev_rule"] == "stratified.v1"


def test_a_training_ends_when_the_epochs_do_or_nothing_better_comes() -> None:
    extent = TrainingLength(10, 5, 2)
    ends = [[extent.is_over(done, best) for done in range(11)] for best in (None, 0, 5, 6)]
    late, on_time, next_one = [False] * 8 + [True] * 3, [False] * 8 + [True] * 3, [False] * 9 + [True] * 2
    assert ends == [late, on_time, on_time, next_one]


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError):
        TrainConfig().epochs = 3  # type: ignore[misc]


@pytest.mark.parametrize("kind", ["auto", "rows", "deep"])
def test_only_deep_is_named_in_what_decides_a_result_so_that_older_identities_stay(kind: str) -> None:
    decisive = checked_config({"kind": kind}).decisive()
    assert decisive.get("kind") == ("deep" if kind == "deep" else None)
    rest = {key: value for key, value in decisive.items() if key not in ("kind", "batch_size")}
    assert rest.items() < TrainConfig().decisive().items()


@pytest.mark.parametrize("card", builtin_cards(), ids=lambda card: f"{card.taskname}:{card.lang}")
def test_auto_is_rows_for_built_in_cards_with_few_examples_and_what_is_asked_for_wins(card: TaskCard) -> None:
    assert TrainConfig().of_task(card, 1_000).kind == "rows"
    assert TrainConfig(kind="deep").of_task(card, 1).prompt_kind == "deep.v1"


def test_auto_is_deep_where_answers_are_hard_and_examples_are_many() -> None:
    words = {f"w{n}": [f"w{n}"] for n in range(20)}
    many, few = card_of(label_space=words), card_of()
    slots = card_of(label_space=None, answer_format="intent_slots.v1", intents=["news"], slot_types=["time"])
    for card, examples, kind in [
        (many, 1500, "deep"),
        (many, 1499, "rows"),
        (few, 9999, "rows"),
        (slots, 1500, "deep"),
    ]:
        assert TrainConfig().of_task(card, examples).kind == kind


def test_deep_prompts_take_eight_examples_a_step_others_sixteen_unless_told() -> None:
    for settings, number in [
        ({}, 16),
        ({"kind": "rows"}, 16),
        ({"kind": "deep"}, 8),
        ({"kind": "deep", "batch_size": 4}, 4),
    ]:
        config = checked_config(settings)
        assert (config.step_examples, config.decisive()["batch_size"]) == (number, number)


@pytest.mark.parametrize("wrong", [0, 1025, "many", 2.5])
def test_a_number_of_examples_a_step_is_checked(wrong: object) -> None:
    with pytest.raises(ConfigError, match=r"batch_size = .*give auto, or 1 to 1024 examples"):
        checked_config({"batch_size": wrong})
