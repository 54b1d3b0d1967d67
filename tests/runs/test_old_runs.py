"""Runs that an earlier version made, whole and killed: opened, asked, gone on with, checked.

What is interrupted in the old tree and ended in today's comes to what the old tree alone came to.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgetransfer.cli.main import main
from edgetransfer.heads import LinearHead
from tests.graphs_made import tiny
from tests.photos import write_photos
from tests.runs.old_tree import by_old, unpack

pytestmark = pytest.mark.slow

TRAININGS: dict[str, tuple[str, ...]] = {
    "closed form": ("train", "--solver", "lbfgs"),
    "sgd": ("train", "--solver", "sgd", "--epochs", "4", "--batch-size", "8"),
    "online": ("train", "--online", "--epochs", "3", "--batch-size", "8"),
    "finetune": ("finetune", "--epochs", "3", "--batch-size", "8", "--normalise", "card"),
}
STREAM = ("--batch-size", "8", "--refit-every", "16", "--checkpoint-seconds", "0")
SAVED = "-0000.safetensors"  # how the names of a stream's checkpoints end


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The old tree, photos, a backbone, and the photos as lines of a stream, half and all."""
    home = tmp_path_factory.mktemp("old")
    (home / "tree").mkdir()
    unpack(home / "tree")
    write_photos(home / "photos" / "train", 20, seed=0)
    write_photos(home / "photos" / "test", 5, seed=1)
    tiny(sparsity=0.6, head="none", size=32).save(home / "net.onnx")
    files = sorted((home / "photos" / "train").rglob("*.png"))
    lines = [
        json.dumps({"id": f"s{i}", "path": str(file), "label": file.parent.name}) + "\n"
        for i, file in enumerate(files[(7 * i) % len(files)] for i in range(len(files)))
    ]
    (home / "half.jsonl").write_text("".join(lines[:40]))
    (home / "all.jsonl").write_text("".join(lines))
    return home


def common(home: Path) -> list[str]:
    reading = ["--backbone", str(home / "net.onnx"), "--size", "32", "--resize", "36"]
    return [*reading, "--engine", "onnxruntime", "--threads", "1"]


def today(capsys: pytest.CaptureFixture[str], *arguments: object) -> Any:
    """What a command of today's tree prints as JSON."""
    capsys.readouterr()
    assert main([*map(str, arguments), "--json"]) == 0, capsys.readouterr().err
    return json.loads(capsys.readouterr().out.splitlines()[-1])


@pytest.mark.parametrize("kind", TRAININGS)
def test_a_training(kind: str, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if kind == "finetune":
        pytest.importorskip("torch")
    command = [*TRAININGS[kind], *common(home), "--data", home / "photos"]
    command += ["--cache-dir", home / "cache"]
    whole, killed = home / kind, home / f"{kind} killed"
    by_old(home / "tree", *command, "--out", whole)
    said = json.loads((whole / "report.json").read_text())
    found = today(capsys, "evaluate", whole, "--data", home / "photos" / "test")
    assert found["top1"] == said["final"]["top1"]
    assert found["mean_per_class"] == said["final"]["mean_per_class"]
    photo = home / "photos" / "test" / "red" / "000.png"
    assert len(today(capsys, "predict", whole, photo)["predictions"][0]["classes"]) == 3
    assert main([*map(str, command), "--out", str(whole), "--resume"]) == 0  # what it says, shown
    today(capsys, "report", whole)
    if kind == "closed form":
        return
    by_old(home / "tree", *command, "--out", killed, killed_at=("checkpoint.safetensors", 9))
    ended = today(capsys, *command, "--out", killed, "--resume")
    assert ended["final"]["top1"] == said["final"]["top1"]
    old, new = (LinearHead.load(path / "head.safetensors") for path in (whole, killed))
    np.testing.assert_allclose(new.weights, old.weights, atol=1e-6)
    np.testing.assert_allclose(new.bias, old.bias, atol=1e-6)


@pytest.mark.parametrize("at", ["config.toml", "metrics.jsonl", "head.safetensors"])
@pytest.mark.parametrize("searched", [False, True])
def test_an_lbfgs_run_that_was_killed(
    at: str, searched: bool, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It has no steps to go on with: it is fitted by today's rules, to the same objective."""
    command = ["train", "--solver", "lbfgs", *common(home), "--data", home / "photos"]
    command += ["--cache-dir", tmp_path / "cache", *([] if searched else ["--l2", "0.001"])]
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    by_old(home / "tree", *command, "--out", killed, killed_at=(at, 1))
    ended = today(capsys, *command, "--out", killed, "--resume")
    if searched:  # how the strength is chosen has changed since
        said = today(capsys, *command, "--out", whole)
    else:
        by_old(home / "tree", *command, "--out", whole)
        said = json.loads((whole / "report.json").read_text())
    assert ended["final"]["top1"] == said["final"]["top1"]
    old, new = (LinearHead.load(path / "head.safetensors") for path in (whole, killed))
    largest = np.abs(old.weights).max()
    np.testing.assert_allclose(new.weights, old.weights, atol=(0 if searched else 5e-3) * largest)


@pytest.mark.parametrize("killed", [False, True], ids=["ended", "killed"])
def test_a_stream(killed: bool, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, reference = home / f"stream {killed}", home / f"whole {killed}"
    options = [*common(home), *STREAM]
    by_old(
        *(home / "tree", "stream", "--source", f"jsonl:{home / 'half.jsonl'}"),
        *("--out", run, *options),
        killed_at=(SAVED, 2) if killed else None,
    )
    if not killed:
        assert today(capsys, "check", run)["findings"] == []
    if (run / "head.safetensors").exists():  # it dies between a checkpoint and its head
        photo = home / "photos" / "test" / "red" / "000.png"
        assert today(capsys, "predict", run, photo)["predictions"][0]["classes"]
    shutil.copytree(run, reference)
    everything = f"jsonl:{home / 'all.jsonl'}"
    by_old(home / "tree", "stream", "--source", everything, "--out", reference, *options)
    said = json.loads((reference / "report.json").read_text())
    ended = today(capsys, "stream", "--source", everything, "--out", run, *options)
    for key in ("accepted", "learned", "class_counts", "prequential"):
        assert ended[key] == said[key], key
    old, new = (LinearHead.load(path / "head.safetensors") for path in (reference, run))
    np.testing.assert_allclose(new.weights, old.weights, atol=1e-5)
    assert today(capsys, "check", run)["findings"] == []
    assert today(capsys, "rollback", run, "--to", 50)["accepted"] == 50
    assert today(capsys, "forget", run, "--id", "s3")["removed"] >= 1
    assert today(capsys, "check", run)["findings"] == []
