"""The command line at its edges: files that cannot be written, tables for people, pipes that close, bugs of ours."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from promptbank.bank.task_server import TaskServer
from promptbank.cli import main
from tests.conftest import Promptbank
from tests.stores import ROOT

RECORD = json.dumps({"taskname": "sentiment-task", "sentence": "profit rose"})
JSON_COMMANDS = [
    ("bank", "list"),
    ("bank", "list", "--all"),
    ("bank", "show", "sentiment-task"),
    ("bank", "verify"),
    ("bank", "export", "sentiment-task", "--out", "row.safetensors"),
    ("backbone", "list"),
    ("backbone", "show"),
    ("config", "show"),
    ("db", "check"),
    ("db", "migrate"),
    ("evaluate", "--task", "sentiment-task", "--data", "data.jsonl"),
    ("predict", "--data", "data.jsonl"),
    ("tasks", "list"),
]


def error(result) -> str:
    assert (result.exit_code, result.stdout) == (1, ""), result.output
    told = result.stderr.strip().splitlines()
    assert len(told) == 1
    assert told[0].startswith("error: ")
    return told[0]


def test_with_json_stdout_holds_nothing_but_objects(learnt: Promptbank) -> None:
    for arguments in JSON_COMMANDS:
        result = learnt(*arguments, "--json")
        assert result.exit_code == 0, arguments
        assert result.stdout, arguments
        assert all(isinstance(json.loads(line), dict) for line in result.stdout.splitlines()), arguments


def test_people_get_tables_and_short_lines(learnt: Promptbank) -> None:
    listed = learnt("bank", "list").stdout.splitlines()
    assert listed[0].split() == ["task", "aliases", "dev", "kind", "bytes", "backbone", "frozen"]
    task, alias, dev, kind = listed[1].split()[:4]
    assert (task, alias, kind) == ("sentiment-task:en@1", "live", "rows.v1")
    shown = json.loads(learnt("bank", "show", "sentiment-task", "--json").stdout)
    assert dev == f"{shown['evaluations'][0]['metrics']['accuracy']:.3f}" == f"{shown['dev']:.3f}"
    assert max(map(len, listed)) <= 80
    label, probability, text = learnt("predict", "--data", "-", stdin=RECORD).stdout.strip().split("\t")
    assert text == "profit rose"
    assert label in ("positive", "negative")
    assert 0.5 <= float(probability) <= 1
    assert '"text"' in learnt("bank", "show", "sentiment-task").stdout  # the training's init, written out


def test_an_empty_bank_says_so_and_prints_no_data(empty_bank: Promptbank) -> None:
    for arguments in (("bank", "list"), ("bank", "list", "--json")):
        result = empty_bank(*arguments)
        assert (result.exit_code, result.stdout) == (0, "")
    assert "nothing yet" in empty_bank("bank", "list").stderr
    verified = empty_bank("bank", "verify", "--json")
    assert json.loads(verified.stdout) == {"rows": 0, "skipped": 0, "faults": []}


@pytest.mark.parametrize("out", ["no/such/folder/file", "folder", "."])
def test_a_file_that_cannot_be_written_is_one_line_and_nothing_is_left(learnt: Promptbank, out: str) -> None:
    Path("folder").mkdir()
    Path("fiqa.json").write_text("{}")
    before = sorted(map(str, Path().rglob("*")))
    for arguments in (("bank", "export", "sentiment-task"), ("tasks", "convert", "fiqa", "fiqa.json")):
        assert "--out" in error(learnt(*arguments, "--out", out))
    assert sorted(map(str, Path().rglob("*"))) == before


def test_a_converted_file_is_replaced_as_a_whole(promptbank: Promptbank) -> None:
    info = [{"target": "Acme", "sentiment_score": "0.5"}]
    Path("fiqa.json").write_text(json.dumps({"1": {"sentence": "Acme soars", "info": info}}))
    Path("out.jsonl").write_text("old\n" * 99)
    assert promptbank("tasks", "convert", "fiqa", "fiqa.json", "--out", "out.jsonl").exit_code == 0
    printed = promptbank("tasks", "convert", "fiqa", "fiqa.json")
    assert Path("out.jsonl").read_text() == printed.stdout
    assert json.loads(printed.stdout)["label"] == "positive"
    assert not Path("out.jsonl.tmp").exists()


@pytest.mark.parametrize("stdin", ["", "\n \n"])
def test_predicting_nothing_is_an_error(learnt: Promptbank, stdin: str) -> None:
    assert "stdin holds no records" in error(learnt("predict", "--data", "-", stdin=stdin))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("bank", "list", "--home", "~no-such-user-here/x"), "names a user's folder"),
        (("bank", "list", "--db", "mysql://host/bank"), "does not speak 'mysql'"),
        (("bank", "list", "--db", "data.jsonl"), "not a SQLite database"),
        (("bank", "list", "--db", ""), "must be text that is not empty"),
        (("tasks", "check", "missing.jsonl"), "missing.jsonl cannot be read"),
        (("tasks", "show", "mood"), "no card named 'mood'"),
        (("bank", "import", "missing.safetensors"), "does not exist"),
        (("bank", "show", "sentiment-task@0"), "'0' is no version"),
        (("train", "--task", "sentiment-task", "--run-file", "missing.toml"), "run file missing.toml cannot be read"),
        (("train", "--task", "sentiment-task", "--encoder", "lstm.v9"), "known: lstm.v1, mlp.v1, embedding.v1"),
        (("predict", "--data", "data.jsonl", "--backbone", "data.jsonl"), "is no .gguf file"),
        (("predict", "--data", "data.jsonl", "--backbone", "."), "is no backbone: it has no config.json"),
        (("serve", "--host", "a..b", "--port", "0"), "choose another --port or --host"),
    ],
)
def test_an_edge_is_told_in_one_line(empty_bank: Promptbank, arguments: tuple[str, ...], says: str) -> None:
    assert says in error(empty_bank(*arguments))


def test_the_state_of_no_bank_is_an_error(promptbank: Promptbank) -> None:
    assert "there is no bank here" in error(promptbank("db", "check"))


def test_broken_settings_are_told_by_every_command(promptbank: Promptbank, home: Path) -> None:
    home.mkdir()
    (home / "config.toml").write_text("threads = \n")
    for arguments in (("config", "show"), ("bank", "list"), ("predict", "--data", "data.jsonl")):
        assert "config.toml is no valid TOML" in error(promptbank(*arguments))


@pytest.mark.parametrize(
    "arguments",
    [
        ("serve", "--port", "65536"),
        ("serve", "--port", "-1"),
        ("serve", "--port", "http"),
        ("predict",),
        ("predict", "--data"),
        ("bank", "show"),
        ("bank", "nope"),
        ("nope",),
        ("config", "show", "--threads", "two"),
        ("train", "--epochs", "1.5"),
    ],
)
def test_wrong_usage_exits_with_two_and_says_why(promptbank: Promptbank, arguments: tuple[str, ...]) -> None:
    result = promptbank(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Error: " in result.stderr


def test_a_bug_of_ours_is_not_dressed_up_as_an_expected_error(
    learnt: Promptbank, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("ours")

    monkeypatch.setattr(TaskServer, "answer", broken)
    result = learnt("predict", "--data", "data.jsonl")
    assert isinstance(result.exception, ZeroDivisionError)
    assert "error:" not in result.stderr


def test_an_interrupt_says_that_the_command_can_be_given_again(
    learnt: Promptbank, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(TaskServer, "answer", interrupted)
    result = learnt("predict", "--data", "data.jsonl")
    assert result.exit_code == 130
    assert "interrupted" in result.stderr


def test_a_terminated_training_says_that_the_command_can_be_given_again(
    learnt: Promptbank, monkeypatch: pytest.MonkeyPatch
) -> None:
    def terminated(*_: object, **__: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)  # the signal comes at once, or the test is ended by its limit

    monkeypatch.setattr("promptbank.bank.train.train", terminated)
    before = signal.getsignal(signal.SIGTERM)
    result = learnt("train", "--task", "mood")
    assert (result.exit_code, "interrupted; the same command goes on" in result.stderr) == (130, True)
    assert signal.getsignal(signal.SIGTERM) is before


def process(home: Path, *arguments: str, stdout: int = subprocess.PIPE) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.defpath, "HOME": str(home), "PYTHONPATH": str(ROOT), "OMP_WAIT_POLICY": "PASSIVE"}
    command = [sys.executable, "-m", "promptbank", *arguments]
    return subprocess.run(
        command, env=environment, cwd=home, stdout=stdout, stderr=subprocess.PIPE, text=True, check=False
    )


def test_a_reader_that_has_gone_ends_the_command_quietly(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = process(tmp_path, "config", "show", "--json", stdout=writer)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is always full")
@pytest.mark.parametrize(
    "arguments", [("--version",), ("tasks", "list", "--help"), ("tasks", "list"), ("config", "show", "--json")]
)
def test_output_that_cannot_be_written_is_told_in_one_line(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    with Path("/dev/full").open("w") as full:
        done = process(tmp_path, *arguments, stdout=full.fileno())
    told = "error: the output: No space left on device; free space there, or check its rights\n"
    assert (done.returncode, done.stderr) == (1, told)


def test_a_table_for_a_reader_that_has_gone_ends_quietly_too(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = process(tmp_path, "tasks", "list", stdout=writer)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "error", [PermissionError(13, "Permission denied", "/home/x"), OSError(30, "Read-only", "/home/x")]
)
def test_what_the_system_refuses_is_told_with_its_path_and_no_stack_trace(
    error: OSError, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def refused() -> None:
        raise error

    monkeypatch.setattr("promptbank.cli.build_app", lambda: refused)
    monkeypatch.setattr("promptbank.cli.end_output", lambda: None)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    assert capfd.readouterr().err == f"error: /home/x: {error.strerror}; free space there, or check its rights\n"
    monkeypatch.setattr("sys.argv", ["promptbank", "tasks", "list", "--debug"])
    with pytest.raises(OSError, match="/home/x"):
        main()


def test_a_real_process_has_the_promised_exit_codes(tmp_path: Path) -> None:
    (tmp_path / "card.jsonl").write_text('{"taskname": "mood"}\n')
    assert process(tmp_path, "bank", "list", "--db", ".").returncode == 1
    assert process(tmp_path, "tasks", "check", "card.jsonl").returncode == 3


@pytest.mark.parametrize("arch", ["backbone", "marian"])
def test_a_translator_is_trained_on_a_device_and_in_a_folder_that_are_there(
    promptbank: Promptbank, tmp_path: Path, arch: str
) -> None:
    pairs = tmp_path / "pairs.tsv"
    pairs.write_text("".join(f"This is sentence {n}.\tDetta är mening {n}.\n" for n in range(40)))
    assert promptbank("mt", "corpus", "build", "--data", str(pairs), "--name", "few").exit_code == 0
    train = ("mt", "train", "--arch", arch, "--corpus", "few", "--steps", "1")
    assert "--device is 'gpu'; cpu, cuda" in error(promptbank(*train, "--device", "gpu"))
    assert "torch finds no such device here" in error(promptbank(*train, "--device", "cuda:99"))
    assert "cannot be used" in error(promptbank(*train, "--out", str(pairs)))


def test_an_empty_home_is_not_the_working_folder(promptbank: Promptbank) -> None:
    assert "home is '' (from flag)" in error(promptbank("config", "show", "--home", ""))
