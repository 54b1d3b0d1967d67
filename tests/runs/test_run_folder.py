"""The run folder."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from edgetransfer.errors import RunFolderError
from edgetransfer.runs import RunFolder
from edgetransfer.runs.run_folder import CONFIG, FILES, HEAD, METRICS, REPORT


def begin(path: Path, *, resume: bool = False, overwrite: bool = False) -> RunFolder:
    return RunFolder.begin(path, resume=resume, overwrite=overwrite)


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """A folder with every file of a run, and one of the person's own."""
    run = begin(tmp_path / "run")
    for name in FILES:
        run.write(name, "name = 'x'\n" if name == CONFIG else "{}")
    (run.path / "notes.txt").write_text("mine")
    return run


def test_a_new_folder_is_made_with_its_parents(tmp_path: Path) -> None:
    run = begin(tmp_path / "a" / "b" / "run")
    assert run.path.is_dir()
    assert not run.is_run
    run.write_config({"seed": 0})
    assert run.is_run


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    assert begin(tmp_path).path == tmp_path


def test_an_existing_run_is_refused_without_a_word_about_it(run: RunFolder) -> None:
    with pytest.raises(RunFolderError, match=r"--resume.*--overwrite") as caught:
        begin(run.path)
    assert caught.value.exit_code == 2
    assert all((run.path / name).exists() for name in FILES)


def test_resume_keeps_everything(run: RunFolder) -> None:
    begin(run.path, resume=True)
    assert {p.name for p in run.path.iterdir()} == {*FILES, "notes.txt"}


def test_overwrite_removes_the_run_and_nothing_else(run: RunFolder) -> None:
    before = {p.name: p.read_bytes() for p in run.path.iterdir()}
    entered = begin(run.path, overwrite=True)
    entered.put_aside()
    assert {p.name for p in run.path.iterdir()} == {"notes.txt", ".previous"}
    entered.give_back()  # the new run came to nothing
    assert {p.name: p.read_bytes() for p in run.path.iterdir()} == before
    entered.put_aside()
    entered.write("head.safetensors", b"new")
    entered.drop_aside()
    assert {p.name for p in run.path.iterdir()} == {"notes.txt", "head.safetensors"}


@pytest.mark.parametrize("options", [{}, {"resume": True}, {"overwrite": True}])
def test_a_folder_of_other_things_is_never_touched(
    options: dict[str, bool], tmp_path: Path
) -> None:
    (tmp_path / HEAD).write_text("somebody else's")
    with pytest.raises(RunFolderError, match="not a run folder"):
        begin(tmp_path, **options)
    assert (tmp_path / HEAD).read_text() == "somebody else's"


@pytest.mark.parametrize("options", [{}, {"resume": True}, {"overwrite": True}])
def test_a_file_in_the_way_is_never_touched(options: dict[str, bool], tmp_path: Path) -> None:
    (tmp_path / "run").write_text("mine")
    with pytest.raises(RunFolderError, match="a file of that name is in the way"):
        begin(tmp_path / "run", **options)
    with pytest.raises(RunFolderError, match="cannot be made"):
        begin(tmp_path / "run" / "below", **options)
    assert (tmp_path / "run").read_text() == "mine"


def test_opening_what_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match=r"no config\.toml"):
        RunFolder.open(tmp_path)
    with pytest.raises(RunFolderError, match="no such folder"):
        RunFolder.open(tmp_path / "absent")


def test_opening_a_run(run: RunFolder) -> None:
    assert RunFolder.open(run.path).read_config() == {"name": "x"}


@pytest.mark.parametrize("fails", ["write", "fsync", "replace"])
def test_a_write_that_fails_leaves_the_old_file_and_no_other(
    fails: str, run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.write(REPORT, "the old one")
    before = {p.name for p in run.path.iterdir()}

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    if fails == "write":
        if not Path("/dev/full").exists():
            pytest.skip("no /dev/full here")
        real = os.open

        def on_a_full_disk(path: Path, flags: int, *more: int) -> int:
            return (
                real("/dev/full", os.O_WRONLY) if flags & os.O_CREAT else real(path, flags, *more)
            )

        monkeypatch.setattr(os, "open", on_a_full_disk)
    else:
        monkeypatch.setattr(os, fails, full)
    with pytest.raises(OSError, match="No space left"):
        run.write(REPORT, "the new one")
    monkeypatch.undo()
    assert run.file(REPORT).read_text() == "the old one"
    assert {p.name for p in run.path.iterdir()} == before


def test_config_reads_back_what_was_written_without_nones(run: RunFolder) -> None:
    config = {
        "backbone": "Ünï/“q”.onnx",
        "epochs": 150,
        "learning_rate": 0.01,
        "mean": [0.485, 0.456, 0.406],
        "cached": True,
        "size": None,
        "engine": {"name": "deepsparse", "threads": 2},
    }
    run.write_config(config)
    assert run.read_config() == {k: v for k, v in config.items() if v is not None}


@pytest.mark.parametrize("content", [b"a = ", b"\xff\xfe"])
def test_a_broken_config_is_named(content: bytes, run: RunFolder) -> None:
    run.write(CONFIG, content)
    with pytest.raises(RunFolderError, match=r"config\.toml: cannot be read"):
        run.read_config()


def test_lines_read_back(run: RunFolder) -> None:
    records = [{"epoch": i, "loss": i / 7, "note": "ü\n"} for i in range(3)]
    run.write_lines(METRICS, records)
    lines = run.file(METRICS).read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == records
    run.write_lines(METRICS, [])
    assert run.file(METRICS).read_bytes() == b""


def test_the_report_is_none_until_there_is_one(run: RunFolder) -> None:
    run.file(REPORT).unlink()
    assert run.read_report() is None
    run.write_json(REPORT, {"final": {"top1": 0.5}, "name": "ü"})
    assert run.read_report() == {"final": {"top1": 0.5}, "name": "ü"}
    run.write(REPORT, "{")
    with pytest.raises(RunFolderError, match=r"report\.json: cannot be read"):
        run.read_report()


@pytest.mark.parametrize("name", [b"gr\xfcn", b"\xff\xfe", "猫".encode(), b'\xe4\n\x1b[0m"\\'])
def test_every_file_survives_names_of_all_kinds(name: bytes, tmp_path: Path) -> None:
    text = os.fsdecode(name)
    run = RunFolder.begin(tmp_path / text, resume=False, overwrite=False)
    config = {"data": str(tmp_path / text), "seed": 1}
    run.write_config(config)
    assert run.read_config() == config
    assert (
        name in run.file("config.toml").read_bytes()
        or b"\\" in run.file("config.toml").read_bytes()
    )
    run.write_json("report.json", {"id": text})
    assert run.read_report() == {"id": text}
    run.write_lines("skipped.jsonl", [{"id": text}, {"id": "b"}])
    lines = run.file("skipped.jsonl").read_text(encoding="utf-8").splitlines()
    assert [os.fsencode(json.loads(line)["id"]) for line in lines] == [name, b"b"]
    run.write_labels([text, "b"])
    assert run.file("labels.txt").read_text(encoding="utf-8").endswith("\nb\n")
