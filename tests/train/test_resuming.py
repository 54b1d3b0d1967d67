"""Runs that were interrupted, killed, or are there already."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from dataclasses import replace

import pytest

from edgetransfer import train_linear
from edgetransfer.errors import RunFolderError, UsageError
from edgetransfer.train import linear_job
from tests.train.conftest import head_of, same_head


@pytest.mark.parametrize("mode", ["online", "cached"])
@pytest.mark.parametrize("batches", [1, 5, 8, 13, 23])
def test_interrupted_and_resumed_run_is_bit_identical(
    settings, tmp_path, monkeypatch, mode, batches
):
    settings = replace(settings, mode=mode, checkpoint_seconds=0.0)
    whole = replace(settings, out=tmp_path / "whole")
    expected = train_linear(whole)

    step = linear_job.SGDSolver.step
    count = 0

    def interrupted(self, *arguments):
        nonlocal count
        count += 1
        if count > batches:
            raise KeyboardInterrupt
        return step(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(linear_job.SGDSolver, "step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train_linear(settings)
    report = train_linear(settings, resume=True)
    assert same_head(head_of(settings), head_of(whole))
    losses = [[e["train_loss"] for e in r["epochs"]] for r in (report, expected)]
    assert losses[0] == losses[1]
    assert report["final"] == expected["final"]


def test_killed_and_resumed_run_is_bit_identical(settings, tmp_path):
    settings = replace(settings, epochs=5)
    whole = replace(settings, out=tmp_path / "whole")
    train_linear(whole)
    program = (
        "import os, sys; from pathlib import Path\n"
        "from edgetransfer import LinearTraining, train_linear\n"
        "from edgetransfer.train import linear_job\n"
        "step, steps = linear_job.SGDSolver.step, iter(range(17))\n"
        "def killed(self, *arguments):\n"
        "    next(steps, None) is None and os.kill(os.getpid(), 9)\n"
        "    return step(self, *arguments)\n"
        "linear_job.SGDSolver.step = killed\n"
        "train_linear(LinearTraining(backbone=sys.argv[1], data=Path(sys.argv[2]), "
        "out=Path(sys.argv[3]), cache_dir=Path(sys.argv[4]), mode='online', solver='sgd', "
        "epochs=5, batch_size=8, engine='onnxruntime', learning_rate=0.1, threads=1, "
        "checkpoint_seconds=0.0))\n"
    )
    arguments = [settings.backbone, settings.data, settings.out, settings.cache_dir]
    child = subprocess.run([sys.executable, "-c", program, *map(str, arguments)], check=False)
    assert child.returncode == -signal.SIGKILL
    assert (settings.out / "checkpoint.safetensors").exists()
    train_linear(settings, resume=True)
    assert same_head(head_of(settings), head_of(whole))


def test_existing_run_is_refused_then_overwritten_or_kept(settings):
    first = train_linear(settings)
    with pytest.raises(RunFolderError, match="--resume"):
        train_linear(settings)
    assert train_linear(settings, resume=True) == first
    with pytest.raises(UsageError, match=r"learning_rate was 0\.1 and is now 0\.2"):
        train_linear(replace(settings, learning_rate=0.2), resume=True)
    assert train_linear(replace(settings, learning_rate=0.2), overwrite=True) != first


def test_folder_of_somebody_else_is_never_touched(settings):
    settings.out.mkdir()
    (settings.out / "thesis.doc").write_text("years of work")
    with pytest.raises(RunFolderError, match="not a run folder"):
        train_linear(settings, overwrite=True)
    assert (settings.out / "thesis.doc").read_text() == "years of work"


def test_changed_data_cannot_be_resumed(settings, photos, monkeypatch):
    settings = replace(settings, checkpoint_seconds=0.0)
    step, count = linear_job.SGDSolver.step, 0

    def interrupted(self, *arguments):
        nonlocal count
        count += 1
        if count > 4:
            raise KeyboardInterrupt
        return step(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(linear_job.SGDSolver, "step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train_linear(settings)
    shutil.copy(photos / "train/red/000.png", photos / "train/red/new.png")
    with pytest.raises(RunFolderError, match="have changed"):
        train_linear(settings, resume=True)
