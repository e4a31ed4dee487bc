"""The tuned backbone as an engine: its id, its errors, its folder; scores; the commands."""

from __future__ import annotations

import json
import os
import re
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner, Result

from promptbank.config import Settings
from promptbank.engine.decoding import BeamSearch
from promptbank.errors import BackboneMismatchError, TrainingError
from promptbank.model.backbone import load_backbone
from promptbank.mt.engines.backbone import BackboneTranslator, open_engine
from promptbank.mt.engines.provider import EngineRequest
from promptbank.mt.engines.providers import choose_engine, fallback_engine, offers
from promptbank.mt.engines.providers import open_engine as open_offer
from promptbank.mt.languages import Languages
from promptbank.mt.translator.model import load_translator, misfit, prepared, save_translator, with_backbone_of
from promptbank.mt.translator.updates import FullUpdate, LowRankUpdate
from tests.tiny import save_tiny, tiny_backbone
from translate import Engine, EngineError
from translate.pipeline.memory import make_segment
from translate.scoring.scores import score_texts

EN_SV = Languages("en", "sv")
ASKED = EngineRequest("en", "sv", None, Settings(Path("home"), "sqlite://"))


def stored(path: Path, *, seed: int = 0) -> Path:
    backbone = tiny_backbone("llama")
    model = prepared(backbone, FullUpdate())
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.01 * seed)
    return save_translator(path, model, backbone, FullUpdate(), languages=EN_SV, facts={})


def opened(path: Path, **decoding: int) -> BackboneTranslator:
    return open_engine(path, tiny_backbone("llama"), search=BeamSearch(extra=4, **decoding))  # type: ignore[arg-type]


def test_results_are_in_the_order_of_the_segments_whatever_the_batches(tmp_path: Path) -> None:
    folder = stored(tmp_path)
    texts = ["the year", "a label of hope for the company and for the outlook", "bad", "sales fell"]
    segments = [make_segment("en", "sv", "plain", text) for text in texts]
    engine: Engine = opened(folder)
    together = engine.translate(segments)
    alone = [opened(folder, batch_tokens=1).translate([segment])[0] for segment in segments]
    assert [h.text for h in together] == [h.text for h in alone]
    assert [h.score for h in together] == pytest.approx([h.score for h in alone], abs=1e-4)
    assert engine.translate([]) == []


def test_a_translator_goes_on_its_own_backbone_where_that_is_known_by_name_and_else_on_the_users(
    tmp_path: Path,
) -> None:
    settings = Settings(tmp_path, "sqlite://", backbone="models/my-gpt")
    folder = stored(tmp_path / "t")
    assert with_backbone_of(folder, settings) == settings  # tiny-llama is in no catalogue
    facts = json.loads((folder / "translator.json").read_text())
    (folder / "translator.json").write_text(json.dumps(facts | {"backbone": "smollm2-135m"}))
    assert with_backbone_of(folder, settings) == replace(settings, backbone="smollm2-135m")


def homed(home: Path, name: str, model: Path, *, seed: int) -> None:
    """A translator in a home, trained on a backbone that lies in a folder."""
    backbone = load_backbone(str(save_tiny("llama", model, seed=seed)), home=home)
    update = FullUpdate()
    folder = home / "mt" / name / "model"
    save_translator(folder, prepared(backbone, update), backbone, update, languages=EN_SV, facts={})


@pytest.mark.parametrize("newest", ["on-one", "on-two"])
def test_auto_takes_the_translator_that_goes_on_the_chosen_backbone(tmp_path: Path, newest: str) -> None:
    home, models = tmp_path / "home", {"on-one": tmp_path / "one", "on-two": tmp_path / "two"}
    for seed, (name, model) in enumerate(models.items()):
        homed(home, name, model, seed=seed)
        os.utime(home / "mt" / name / "model" / "translator.json", (1, 9 if name == newest else 5))
    asked = EngineRequest("en", "sv", 1, Settings(home, "sqlite://", backbone=str(models["on-one"])))
    chosen = choose_engine("auto", asked)
    assert chosen.engine == "on-one"
    assert open_offer(chosen, asked).info().langpairs == ("en-sv",)
    (other,) = [offer for offer in offers(asked) if offer.engine == "on-two"]
    assert (other.available, other.why) == (False, "goes on backbone two; name that one with --backbone")
    with pytest.raises(BackboneMismatchError, match="load that one with --backbone"):
        open_offer(choose_engine("on-two", asked), asked)


def test_a_translator_of_a_backbone_that_is_not_there_yet_fits_where_its_name_is_known(tmp_path: Path) -> None:
    homed(tmp_path, "mine", tmp_path / "one", seed=0)
    path = tmp_path / "mt" / "mine" / "model" / "translator.json"
    facts = json.loads(path.read_text())
    settings = Settings(tmp_path, "sqlite://")
    assert "goes on backbone one" in str(misfit(path.parent, settings))
    path.write_text(json.dumps(facts | {"backbone": "smollm2-135m"}))
    assert misfit(path.parent, settings) is None
    path.write_text(json.dumps(facts))
    assert "unknown backbone 'nonsense'" in str(misfit(path.parent, replace(settings, backbone="nonsense")))


def test_a_translator_that_lacks_facts_is_told_as_damaged(tmp_path: Path) -> None:
    homed(tmp_path, "mine", tmp_path / "one", seed=0)
    path = tmp_path / "mt" / "mine" / "model" / "translator.json"
    path.write_text('{"langpair": "en-sv"}')
    asked = EngineRequest("en", "sv", 1, Settings(tmp_path, "sqlite://"))
    (mine,) = [offer for offer in offers(asked) if offer.engine == "mine"]
    assert not mine.available
    assert "it lacks update, backbone, fingerprint" in mine.why


def test_greedy_search_is_an_engine_of_its_own_and_a_greedy_one_has_no_other(tmp_path: Path) -> None:
    engine = opened(stored(tmp_path), beam=3)
    greedy = fallback_engine(engine, "auto", ASKED)
    assert isinstance(greedy, BackboneTranslator)
    assert greedy.info() == opened(tmp_path, beam=1).info() != engine.info()
    assert fallback_engine(greedy, "auto", ASKED) is None
    assert fallback_engine(engine, "none", ASKED) is None
    named = fallback_engine(engine, "copy", ASKED)
    assert named is not None
    assert named.info().engine_id == "copy"


def test_an_engine_id_changes_with_all_that_moves_its_output_and_nothing_else(tmp_path: Path) -> None:
    folder = stored(tmp_path / "a")
    engine = opened(folder)
    info = engine.info()
    assert (info.langpairs, info.markers) == (("en-sv",), "bracket")
    assert opened(folder, batch_tokens=7).info() == info
    other = open_engine(folder, tiny_backbone("llama"), search=BeamSearch(extra=4), dtype=torch.bfloat16)
    ids = {info.engine_id, opened(folder, beam=2).info().engine_id, other.info().engine_id}
    ids.add(opened(stored(tmp_path / "b", seed=1)).info().engine_id)
    assert len(ids) == 4


def test_another_language_pair_and_a_text_over_the_window_are_errors(tmp_path: Path) -> None:
    engine = opened(stored(tmp_path))
    with pytest.raises(EngineError, match="translates en-sv, not sv-en"):
        engine.translate([make_segment("sv", "en", "plain", "hej")])
    with pytest.raises(EngineError, match="of a window of 256; split it into sentences"):
        engine.translate([make_segment("en", "sv", "plain", "word " * 100)])


def test_a_translator_goes_on_its_own_backbone_alone(tmp_path: Path) -> None:
    folder = stored(tmp_path)
    with pytest.raises(BackboneMismatchError, match="update of tiny-llama"):
        load_translator(folder, tiny_backbone("llama", seed=1))


def test_a_changed_or_absent_translator_is_an_error(tmp_path: Path) -> None:
    folder = stored(tmp_path)
    weights = folder / "update.safetensors"
    weights.write_bytes(weights.read_bytes()[:-2] + b"xx")
    with pytest.raises(TrainingError, match="not the file that was written"):
        load_translator(folder, tiny_backbone("llama"))
    weights.unlink()
    with pytest.raises(TrainingError, match="cannot be read"):
        load_translator(folder, tiny_backbone("llama"))
    with pytest.raises(TrainingError, match="holds no translator"):
        load_translator(tmp_path / "x", tiny_backbone("llama"))


def test_a_low_rank_update_of_nothing_is_the_backbone(tmp_path: Path) -> None:
    backbone = tiny_backbone("llama")
    update = LowRankUpdate(rank=2)
    save_translator(tmp_path, prepared(backbone, update), backbone, update, languages=EN_SV, facts={})
    lm = load_translator(tmp_path, backbone).lm
    assert all(torch.equal(t, lm.model.state_dict()[name]) for name, t in backbone.model.state_dict().items())


def test_scores_are_sacrebleus_with_their_signatures() -> None:
    same = score_texts(["Hej du glada värld."], ["Hej du glada värld."])
    assert (same.chrf2, same.bleu) == (pytest.approx(100), pytest.approx(100))
    assert "nc:6|nw:0" in same.chrf2_signature
    assert "tok:13a" in same.bleu_signature
    assert score_texts(["xyz"], ["Hej."]).chrf2 == 0


@pytest.fixture
def mt(home: Path) -> object:
    """The `mt` commands, in this process."""
    from promptbank.cli.mt import app

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(app, list(arguments), prog_name="promptbank mt")

    return run


def write_pairs(path: Path, count: int, offset: int = 0) -> None:
    lines = (f"Tom bought bread {n} times.\tTom köpte bröd {n} gånger.\tshop\n" for n in range(offset, offset + count))
    path.write_text("".join(lines))


def curve_of(run: Path) -> list[float]:
    return [json.loads(line)["dev_loss"] for line in (run / "curve.jsonl").read_text().splitlines()]


def test_the_commands_go_from_pairs_to_scores(mt, home: Path) -> None:  # type: ignore[no-untyped-def]
    write_pairs(Path("pairs.tsv"), 60)
    write_pairs(Path("dev.tsv"), 4, offset=58)
    built = mt("corpus", "build", "--data", "pairs.tsv", "--held-out", "dev.tsv", "--entity", "0", "--json")
    assert built.exit_code == 0, built.stderr
    manifest = json.loads(built.stdout)
    assert manifest["dropped"] == {"shop": {"evaluation": 2}}
    assert manifest["pairs"]["dev"] == 5
    assert json.loads(mt("corpus", "stats", "--json").stdout) == manifest
    trained = mt(
        "train", "--steps", "4", "--every", "2", "--tokens", "200", "--set", "dev.tsv", "--eval-rows", "2",
        "--method", "lora", "--rank", "2", "--threads", "1",
    )  # fmt: skip
    assert trained.exit_code == 0, trained.stderr
    assert "after 4 steps" in trained.stderr
    assert len((home / "mt" / "en-sv-lora" / "curve.jsonl").read_text().splitlines()) == 3
    facts = json.loads((home / "mt" / "en-sv-lora" / "model" / "translator.json").read_text())
    assert facts["training"]["settings"]["lr"] == 8e-4, "low rank has a rate of its own"
    scored = mt("score", "--engine", "en-sv-lora", "--set", "dev.tsv", "--out", "found", "--json")
    assert scored.exit_code == 0, scored.stderr
    rows = [json.loads(line) for line in scored.stdout.splitlines()]
    assert [(row["set"], row["engine"], row["metric"], row["rows"]) for row in rows] == [
        ("dev", "en-sv-lora", "chrF2", 4),
        ("dev", "en-sv-lora", "BLEU", 4),
    ]
    assert len(Path("found/dev.en-sv-lora.txt").read_text().split("\n")) == 5
    about = Path("found/scores.md").read_text()
    assert re.search(r"\| engine en-sv-lora \| backbone-en-sv:[0-9a-f]{64} \|", about)
    assert "| beam | each engine's own |" in about
    assert Path("found/scores.html").is_file()
    assert json.loads(mt("engines", "--json").stdout.splitlines()[0])["auto"] == "*"


def test_a_translator_goes_on_from_one_of_another_language_by_its_name(mt, home: Path) -> None:  # type: ignore[no-untyped-def]
    write_pairs(Path("pairs.tsv"), 60)
    train = (
        "train",
        "--steps",
        "4",
        "--tokens",
        "200",
        "--method",
        "lora",
        "--rank",
        "2",
        "--warmup",
        "1",
        "--lr",
        "0.1",
    )
    for langpair in ("en-sv", "en-nb"):
        assert mt("corpus", "build", "--data", "pairs.tsv", "--langpair", langpair).exit_code == 0
    assert mt(*train).exit_code == 0
    more = (*train, "--corpus", "en-nb")
    assert "--start en-da-lora is no translator of a backbone" in mt(*more, "--start", "en-da-lora").stderr
    assert "translate/models/en-sv is an update of gemma-3-270m" in mt(*more, "--start", "en-sv").stderr
    started = mt(*more, "--start", "en-sv-lora")
    assert started.exit_code == 0, started.stderr
    by_name = curve_of(home / "mt" / "en-nb-lora")
    assert mt(*more, "--start", str(home / "mt" / "en-sv-lora" / "model"), "--out", "same").exit_code == 0
    assert mt(*more, "--out", "other").exit_code == 0
    assert by_name == curve_of(Path("same"))
    assert by_name != curve_of(Path("other"))


def test_a_marian_goes_from_pairs_to_an_engine(mt, home: Path) -> None:  # type: ignore[no-untyped-def]
    write_pairs(Path("pairs.tsv"), 60)
    assert mt("corpus", "build", "--data", "pairs.tsv", "--entity", "0").exit_code == 0
    call = ("train", "--arch", "marian", "--steps", "2", "--tokens", "200", "--warmup", "1", "--every", "1")
    trained = mt(*call, "--threads", "1")
    assert trained.exit_code == 0, trained.stderr
    assert "after 2 steps" in trained.stderr
    (offer, *_) = [json.loads(line) for line in mt("engines", "--json").stdout.splitlines()]
    assert (offer["engine"], offer["auto"]) == ("en-sv-marian", "*")
    write_pairs(Path("dev.tsv"), 2)
    scored = mt("score", "--set", "dev.tsv", "--beam", "1", "--json")
    assert scored.exit_code == 0, scored.stderr


def test_a_sieve_says_what_it_drops(mt) -> None:  # type: ignore[no-untyped-def]
    Path("a.tsv").write_text("Open %s\tÖppna %s\nSave it.\tSpara den.\nSave it.\tSpara den.\n")
    refused = mt("corpus", "filter", "--data", "ui=a.tsv", "--out", "a.tsv", "--dropped", "./a.tsv")
    assert refused.exit_code == 1
    assert "--out a.tsv is a file that is read; --dropped a.tsv is a file that is read; --out and" in refused.stderr
    done = mt("corpus", "filter", "--data", "ui=a.tsv", "--out", "kept.jsonl", "--dropped", "not.jsonl", "--json")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout) == {"source": "ui", "read": 3, "kept": 1, "placeholder": 1, "duplicate": 1}
    assert [json.loads(line)["src"] for line in Path("kept.jsonl").read_text().splitlines()] == ["Save it."]
    reasons = [json.loads(line)["reason"] for line in Path("not.jsonl").read_text().splitlines()]
    assert sorted(reasons) == ["duplicate", "placeholder"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("train", "--corpus", "none"), "holds no finished corpus"),
        (("train", "--arch", "x"), "--arch is 'x'; known: backbone, marian"),
        (("train", "--arch", "marian", "--average", "2"), "--arch marian does not take average"),
        (("train", "--arch", "marian", "--rank", "2"), "--arch marian takes none of --method, --rank"),
        (("train", "--rank", "2"), "--rank 2 is of --method lora, not of full"),
        (
            ("score", "--engine", "none", "--set", "a/dev.tsv", "--set", "b/dev.tsv"),
            "--set files are named dev",
        ),
        (("train", "--steps", "0"), "steps is 0"),
        (("score", "--engine", "none", "--set", "a.tsv"), "a.tsv cannot be read as pairs"),
        (("corpus", "build", "--data", "a.tsv", "--langpair", "en"), "'en' is no language pair"),
        (("corpus", "build", "--data", "a.tsv", "--cap", "x"), "'x' is no source with a number"),
        (("corpus", "build", "--data", "a.tsv"), "a.tsv cannot be read as pairs"),
    ],
)
def test_a_wrong_call_is_one_line_that_helps(mt, arguments: tuple[str, ...], said: str) -> None:  # type: ignore[no-untyped-def]
    done = mt(*arguments)
    assert done.exit_code == 1
    assert said in done.stderr
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) == 1


def test_a_request_to_end_the_process_saves_and_the_same_command_goes_on(mt, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    from promptbank.cli.progress import TerminalDisplay
    from promptbank.training.progress import StepReport

    write_pairs(Path("pairs.tsv"), 60)
    assert mt("corpus", "build", "--data", "pairs.tsv").exit_code == 0
    call = ("train", "--steps", "4", "--every", "4", "--tokens", "200", "--threads", "1")
    plain = TerminalDisplay.on_step
    steps: list[int] = []

    def told(self: TerminalDisplay, report: StepReport) -> None:
        steps.append(report.step)
        plain(self, replace(report))
        if steps == [1, 2]:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(TerminalDisplay, "on_step", told)
    before = signal.getsignal(signal.SIGTERM)
    stopped = mt(*call)
    assert stopped.exit_code == 130
    assert "the same command goes on from here" in stopped.stderr
    assert signal.getsignal(signal.SIGTERM) is before
    assert mt(*call).exit_code == 0
    assert steps == [1, 2, 3, 4]
