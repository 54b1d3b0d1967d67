"""The page that a training leaves, and the same page made anew."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace

import pytest

from edgetransfer import Classifier, LinearTraining, train_linear
from edgetransfer.errors import EdgeTransferError, RunFolderError, TakenError, UsageError
from edgetransfer.train import run_page as run_page_module
from edgetransfer.train.finished_run import page_anew


@pytest.fixture
def training(photos, backbone, tmp_path):
    return LinearTraining(
        backbone=str(backbone),
        data=photos,
        out=tmp_path / "run",
        engine="onnxruntime",
        batch_size=16,
        cache_dir=tmp_path / "cache",
    )


def shown(page, heading):
    """The words of a section."""
    section = page.split(f">{heading}</h2>")[1].split("</section>")[0]
    return " ".join(re.sub("<[^>]*>", " ", section).split())


@pytest.mark.parametrize(
    "how",
    [
        {"solver": "auto"},
        {"solver": "lbfgs"},
        {"solver": "lbfgs", "l2": 0.01, "standardize": True},
        {"solver": "sgd", "epochs": 2, "standardize": True},
        {"solver": "ridge", "val_fraction": 0.2},
        {"solver": "sgd", "mode": "online", "epochs": 1},
    ],
)
def test_the_page_made_anew_is_the_same(training, how):
    settings = replace(training, **how)
    report = train_linear(settings)
    path = settings.out / "report.html"
    before = path.read_bytes()
    path.unlink()
    page_anew(settings.out)
    assert path.read_bytes() == before
    page = before.decode()
    assert f"{100 * report['final']['top1']:.1f}" in shown(page, "Accuracy").replace("&#8239;%", "")
    assert report["backbone"]["sha256"] in page
    assert report["engine"]["name"] in shown(page, "How it was made")


def test_it_knows_what_the_report_knows(training):
    settings = replace(training, test_data=None)
    shutil.rmtree(settings.data / "test")
    report = train_linear(settings)
    page = (settings.out / "report.html").read_text()
    accuracy = shown(page, "Accuracy")
    honest = report["honest"]
    assert honest["method"] in accuracy
    for value in (honest["top1"], *honest["interval"], honest["mean_per_class"]):
        assert f"{100 * value:.1f}&#8239;%" in accuracy


def test_copies_count_once(training):
    shutil.rmtree(training.data / "test")
    folder = training.data / "train" / "red"
    shutil.copy(folder / "000.png", folder / "again.png")
    report = train_linear(training)
    page = (training.out / "report.html").read_text()
    assert f"train {report['honest']['method']} {report['honest']['n']} " in shown(page, "Accuracy")
    assert "again.png" in shown(page, "The same picture twice")


def test_it_can_be_left_out(training):
    train_linear(replace(training, report=False))
    assert not (training.out / "report.html").exists()


def test_an_old_page_does_not_outlive_its_run(training):
    train_linear(training)
    train_linear(replace(training, report=False, seed=1), overwrite=True)
    assert not (training.out / "report.html").exists()


def test_a_run_is_finished_without_its_page(training, monkeypatch, caplog):
    def full(*_args, **_more):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(run_page_module, "run_page", full)
    report = train_linear(training)
    assert json.loads((training.out / "report.json").read_text()) == report
    assert "report.html is not written" in caplog.text
    assert train_linear(training, resume=True) == report


def test_a_test_has_a_page_too(training, tmp_path):
    train_linear(replace(training, report=False))
    path = tmp_path / "test.html"
    with Classifier.load(training.out, engine="onnxruntime") as classifier:
        result = classifier.evaluate(training.data, page=path)
        with pytest.raises(TakenError, match="in the way"):
            classifier.evaluate(training.data, page=tmp_path)
        with pytest.raises(EdgeTransferError, match="cannot be written"):
            classifier.evaluate(training.data, page=tmp_path / "no" / "test.html")
    page = path.read_text()
    assert f"test test photos {result['n']} " in shown(page, "Accuracy")
    assert f"{100 * result['top1']:.1f}&#8239;%" in shown(page, "Accuracy")


def test_what_cannot_be_made_anew_says_why(training, tmp_path):
    with pytest.raises(RunFolderError, match="no such folder"):
        page_anew(tmp_path / "nothing")
    train_linear(training)
    (training.out / "report.json").unlink()
    with pytest.raises(RunFolderError, match="not finished"):
        page_anew(training.out)
    stream = tmp_path / "stream"
    stream.mkdir()
    (stream / "config.toml").write_text("[stream]\n")
    with pytest.raises(UsageError, match="keeps no photos"):
        page_anew(stream)
