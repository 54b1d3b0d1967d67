"""Runs side by side: on the same photos, with a paired test."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest
from scipy.stats import binomtest

from edgetransfer import Classifier, LinearTraining, train_linear
from edgetransfer.cli.main import main
from edgetransfer.errors import DataError, RunFolderError, UsageError
from edgetransfer.jobs.report import compared, write_comparison
from tests.photos import backbone, photos, write_photos

__all__ = ["backbone", "photos"]


@pytest.fixture
def training(photos, backbone, tmp_path):
    return LinearTraining(
        backbone=str(backbone),
        data=photos,
        out=tmp_path / "good",
        engine="onnxruntime",
        cache_dir=tmp_path / "cache",
        report=False,
    )


@pytest.fixture
def runs(training, tmp_path):
    """One that is trained well, and one that is hardly trained."""
    bad = replace(
        training, out=tmp_path / "bad", solver="sgd", epochs=1, learning_rate=1e-4, seed=5
    )
    for settings in (training, bad):
        train_linear(settings)
    return [training.out, bad.out]


def right(run, data):
    photos = sorted((data / "test").glob("*/*.png"))
    with Classifier.load(run, engine="onnxruntime") as classifier:
        found = classifier.predict(photos, top=1)
    return [p.classes[0] == photo.parent.name for p, photo in zip(found, photos, strict=True)]


def test_the_test_is_that_of_the_predictions(runs, training):
    comparison = compared(runs)
    assert (comparison.split, comparison.runs[0].accuracy.count) == ("test", 15)
    good, bad = (right(run, training.data) for run in runs)
    for run, hits in zip(comparison.runs, (good, bad), strict=True):
        assert run.accuracy.top1 == pytest.approx(sum(hits) / 15)
    test = comparison.runs[1].against_first
    only_good = sum(a and not b for a, b in zip(good, bad, strict=True))
    only_bad = sum(b and not a for a, b in zip(good, bad, strict=True))
    assert (test.only_first, test.only_second) == (only_good, only_bad)
    assert only_good > 3
    assert test.p == pytest.approx(binomtest(only_good, only_good + only_bad).pvalue)


def test_without_test_photos_those_left_out_count(runs, training):
    shutil.rmtree(training.data / "test")
    comparison = compared(runs)
    assert comparison.split == "train"
    assert comparison.runs[0].accuracy.count == 60


def test_runs_on_moved_photos_are_told_by_content(training, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(training.data, elsewhere)
    (elsewhere / "test" / "red" / "000.png").rename(elsewhere / "test" / "red" / "renamed.png")
    (elsewhere / "test" / "red" / "001.png").unlink()
    other = replace(training, out=tmp_path / "other", data=elsewhere)
    for settings in (training, other):
        train_linear(settings)
    comparison = compared([training.out, other.out])
    assert [run.accuracy.count for run in comparison.runs] == [14, 14]
    assert comparison.runs[1].against_first.p == 1.0


def test_what_cannot_be_compared_says_why(runs, training, tmp_path):
    with pytest.raises(UsageError, match="two runs"):
        compared(runs[:1])
    with pytest.raises(RunFolderError):
        compared([runs[0], tmp_path / "nothing"])
    write_photos(tmp_path / "others" / "train", 6, seed=7)
    write_photos(tmp_path / "others" / "test", 6, seed=8)
    other = replace(training, out=tmp_path / "other", data=tmp_path / "others")
    train_linear(other)
    with pytest.raises(DataError, match="tested on other photos"):
        compared([runs[0], other.out])
    for split in ("train", "test"):
        (tmp_path / "others" / split / "red").rename(tmp_path / "others" / split / "rot")
    train_linear(other, overwrite=True)
    with pytest.raises(UsageError, match="classes"):
        compared([runs[0], other.out])


def test_the_page(runs, tmp_path):
    comparison = compared(runs)
    path = tmp_path / "side by side.html"
    write_comparison(comparison, path)
    page = path.read_text(encoding="utf-8")
    assert "<bdi>good</bdi>" in page
    assert "<bdi>bad</bdi>" in page
    assert f"p {comparison.runs[1].against_first.p:.3g}" in page
    assert "http://" not in page
    assert "https://" not in page


def test_the_command(runs, tmp_path, capsys):
    words = ["report", *map(str, runs), "--compare"]
    assert main([*words, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert [row["run"] for row in result["runs"]] == ["good", "bad"]
    assert main([*words, "--out", str(tmp_path / "page.html")]) == 0
    assert (tmp_path / "page.html").is_file()
    assert "bad: " in capsys.readouterr().out
    assert main(["report", *map(str, runs)]) == 2
    assert main(["report", str(runs[0]), "--out", "x"]) == 2
    capsys.readouterr()
    assert main(["report", str(runs[0])]) == 0
    assert capsys.readouterr().out.strip() == str(runs[0] / "report.html")
    assert (runs[0] / "report.html").is_file()
