"""Which normalisation separates labelled photos best."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from edgetransfer.cli.main import main
from edgetransfer.errors import DataError, UsageError
from edgetransfer.images import normalise
from edgetransfer.jobs.inspection import conventions
from edgetransfer.jobs.inspection.conventions import PENALTIES, leave_one_out_accuracy
from edgetransfer.types import (
    NORMALISATIONS,
    SAME_NORMALISATION,
    Preprocessing,
    normalisation_of,
)


def refitted(features, labels):
    """The same by leaving one out and fitting again, a few hundred times."""
    x, classes = features.astype(np.float64), np.unique(labels)
    centred = x - x.mean(axis=0)
    # The penalty belongs to the whole set; the fit is without one.
    mean = np.linalg.eigvalsh(centred @ centred.T).clip(0).mean()
    best = 0.0
    for penalty in PENALTIES:
        right = 0
        for out in range(len(x)):
            kept = np.arange(len(x)) != out
            rows, y = x[kept], (labels[kept, None] == classes).astype(float)
            middle, level = rows.mean(axis=0), y.mean(axis=0)
            gram = (rows - middle).T @ (rows - middle) + penalty * mean * np.eye(x.shape[1])
            weights = np.linalg.solve(gram, (rows - middle).T @ (y - level))
            right += classes[((x[out] - middle) @ weights + level).argmax()] == labels[out]
        best = max(best, right / len(x))
    return best


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("shape", [(24, 5), (18, 40)])
def test_leave_one_out_in_closed_form_is_leaving_one_out(seed, shape) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, shape[0])
    features = rng.normal(0, 1, shape) + 0.7 * rng.normal(0, 1, (3, shape[1]))[labels]
    found = leave_one_out_accuracy(features.astype(np.float32), labels)
    assert found == pytest.approx(refitted(features.astype(np.float32), labels))


def test_one_class_cannot_be_separated_from_another() -> None:
    with pytest.raises(DataError, match="two classes"):
        leave_one_out_accuracy(np.ones((4, 2), np.float32), np.zeros(4, np.int64))


def test_features_that_are_not_finite_separate_nothing() -> None:
    features = np.full((4, 2), np.inf, np.float32)
    assert leave_one_out_accuracy(features, np.array([0, 0, 1, 1])) == 0


@pytest.mark.parametrize("name", [*NORMALISATIONS, *SAME_NORMALISATION])
def test_every_convention_feeds_what_it_says(name) -> None:
    usual = normalisation_of(name)
    given = Preprocessing(size=8, resize=8, mean=usual.mean, std=usual.std, channels=usual.channels)
    out = np.empty((3, 8, 8), np.float32)
    normalise(Image.new("RGB", (8, 8), (10, 60, 200)), given, out)
    # By hand, from the sources named beside each.
    byte = np.array([10.0, 60.0, 200.0])
    torch = (byte / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    expected = {
        "imagenet": torch,
        "torch": torch,
        "half": byte / 127.5 - 1,
        "tf": byte / 127.5 - 1,
        "inception": byte / 127.5 - 1,
        "lite": (byte - 127) / 128,
        "unit": byte / 255,
        "raw": byte,
        "torch-255": byte - [123.675, 116.28, 103.53],
        "caffe": byte[::-1] - [103.939, 116.779, 123.68],
        "clip": (byte / 255 - [0.48145466, 0.4578275, 0.40821073])
        / [0.26862954, 0.26130258, 0.27577711],
    }[name]
    np.testing.assert_allclose(out[:, 0, 0], expected, rtol=1e-5, atol=1e-4)
    np.testing.assert_array_equal(out, out[:, :1, :1].repeat(8, 1).repeat(8, 2))


def test_an_unknown_convention_names_the_known() -> None:
    with pytest.raises(UsageError, match=r"'imagnet' is not known.*imagenet.*caffe"):
        normalisation_of("imagnet")


def test_a_fingerprint_from_before_the_order_of_channels_still_holds() -> None:
    # Taken from the version without `channels`.
    assert Preprocessing().fingerprint == "d0e0944f58a22feb"
    assert Preprocessing(channels="BGR").fingerprint != Preprocessing().fingerprint


def test_inspect_scores_every_convention(photos, backbone, tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.setattr(conventions, "MOST_PER_CLASS", 4)
    arguments = ["inspect", str(backbone), "--data", str(photos), "--engine", "onnxruntime"]
    arguments += ["--no-compare", "--cache-dir", str(tmp_path), "--json"]
    assert main(arguments) == 0
    rows = json.loads(capsys.readouterr().out)["normalisations"]
    assert {row["normalisation"] for row in rows} >= set(NORMALISATIONS)
    accuracies = [row["accuracy"] for row in rows]
    assert accuracies == sorted(accuracies, reverse=True)
    assert 0 <= accuracies[-1] <= accuracies[0] <= 1
