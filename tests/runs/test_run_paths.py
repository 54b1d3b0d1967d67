"""A run that is moved finds what moved with it, and what stayed."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetransfer import Classifier, LinearTraining, train_linear
from edgetransfer.runs import RunFolder
from edgetransfer.runs.run_paths import MADE_IN, PATHS, absolute_paths, relative_paths
from tests.photos import backbone, photos

__all__ = ["backbone", "photos"]

part = st.sampled_from(["a", ".hidden", "b", "ü", "with space", "run", "...", "x\udce4"])
place = st.lists(part, min_size=1, max_size=4).map(lambda parts: "/" + "/".join(parts))


@given(run=place, backbone=place | st.sampled_from(["tinyresnet-90", "x.onnx"]), data=place)
def test_what_is_written_is_read_back(run: str, backbone: str, data: str) -> None:
    config = {"backbone": backbone, "data": data, "out": run, "seed": 3, "stream": {"data": "/a/b"}}
    written = relative_paths(config, Path(run))
    assert absolute_paths(written, Path(run)) == config
    for name in PATHS:
        given = config.get(name)
        if given is not None and given.split("/")[1:2] == run.split("/")[1:2]:
            assert not written[name].startswith("/")
        else:
            assert written.get(name) == given


def test_what_another_version_wrote_is_read(tmp_path: Path) -> None:
    config = {"backbone": "/x/y.onnx", "data": "folder:photos", "out": str(tmp_path)}
    assert absolute_paths(config, tmp_path / "elsewhere") == config
    assert relative_paths({"backbone": "tinyresnet-90"}, tmp_path) == {"backbone": "tinyresnet-90"}


def test_a_run_that_is_kept_aside_is_seen_from_its_own_folder(tmp_path: Path) -> None:
    config = {"data": str(tmp_path / "photos"), "out": str(tmp_path / "run")}
    run = tmp_path / "run"
    run.mkdir()
    RunFolder(run).write_config(config)
    (run / ".previous").mkdir()
    (run / "config.toml").rename(run / ".previous" / "config.toml")
    (run / "photos").mkdir()  # where a careless reader would look
    assert RunFolder(run / ".previous").read_config() == config


@pytest.mark.parametrize("moved", ["run alone", "everything", "everything, and back"])
def test_a_run_that_was_moved_predicts_as_before(
    moved: str, photos: Path, backbone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "project"
    project.mkdir()
    shutil.copy(backbone, project / "net.onnx")
    shutil.move(photos, project / "photos")
    monkeypatch.chdir(project)
    train_linear(
        backbone="net.onnx",
        data="photos",
        out="runs/first",
        cache_dir=tmp_path / "cache",
        engine="onnxruntime",
        threads=1,
        l2=1e-3,
    )
    monkeypatch.chdir(tmp_path)
    text = (project / "runs" / "first" / "config.toml").read_text()
    assert 'backbone = "../../net.onnx"' in text
    assert 'data = "../../photos"' in text
    photo = project / "photos" / "test" / "red" / "000.png"
    with Classifier.load(project / "runs" / "first", engine="onnxruntime") as classifier:
        expected = classifier.predict(photo).probabilities
    if moved == "run alone":
        run = tmp_path / "elsewhere" / "deep" / "run"
        run.parent.mkdir(parents=True)
        shutil.move(project / "runs" / "first", run)
        data = project / "photos"
    else:
        shutil.move(project, tmp_path / "second")
        data, run = tmp_path / "second" / "photos", tmp_path / "second" / "runs" / "first"
        if moved == "everything, and back":
            shutil.move(tmp_path / "second", project)
            data, run = project / "photos", project / "runs" / "first"
    config = RunFolder.open(run).read_config()
    assert config["data"] == str(data.resolve())
    assert config["out"] == str(run.resolve())
    assert MADE_IN not in config
    with Classifier.load(run, engine="onnxruntime") as classifier:
        assert classifier.predict(data / "test" / "red" / "000.png").probabilities == expected
    settings = LinearTraining(
        backbone=os.path.relpath(config["backbone"]),
        data=data,
        out=run,
        cache_dir=tmp_path / "cache",
        engine="onnxruntime",
        threads=1,
        l2=1e-3,
    )
    report = json.loads((run / "report.json").read_text())
    assert train_linear(settings, resume=True)["final"] == report["final"]
