"""The demonstration: handwritten digits, the bundled backbone and its dense twin, both solvers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from edgetransfer.backbones import Backbone
from edgetransfer.backbones.writing import write_backbone
from edgetransfer.graphs.dense_twin import dense_twin
from edgetransfer.reports.demo import DemoRecord, GuessRecord
from edgetransfer.reports.train import TrainingRecord
from edgetransfer.runs.owning import owned
from edgetransfer.train import Classifier, LinearTraining, train_linear
from edgetransfer.types import Progress, no_progress

BACKBONE = "tinyresnet-90"  # digits of 8 x 8 pixels need no more
EPOCHS = 20
EPOCHS_OF_TWIN = 3
TEST_EVERY = 4  # each fourth digit is tested on
PREDICTIONS = 5


def write_digits(folder: Path) -> None:
    """Write scikit-learn's handwritten digits as PNG files, ``train`` and ``test`` class folders.

    The 1,797 digits of 8x8 pixels come with the package: E. Alpaydin and C. Kaynak, UCI
    "Optical recognition of handwritten digits" (1998), CC BY 4.0.
    """
    from PIL import Image
    from sklearn.datasets import load_digits

    digits = load_digits()
    for index, (pixels, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        split = "test" if index % TEST_EVERY == 0 else "train"
        path = folder / split / str(label) / f"{index:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        grey = np.round(pixels * (255 / 16)).astype(np.uint8)
        Image.fromarray(grey).resize((64, 64), Image.Resampling.BICUBIC).save(path)


def run_demo(
    out: Path, *, threads: int | None = None, progress: Progress = no_progress
) -> DemoRecord:
    """Write the digits, train online by SGD, then by L-BFGS on cached features, and predict.

    A few of the online epochs are run with the backbone's dense twin too, by the same engine.
    """
    with owned(out, "demo"):
        return _run(out, threads, progress)


def _run(out: Path, threads: int | None, progress: Progress) -> DemoRecord:
    data = out / "digits"
    write_digits(data)
    shared: dict[str, Any] = {
        "backbone": BACKBONE,
        "data": data,
        "threads": threads,
        "cache_dir": out / "cache",
    }
    epochs: dict[str, Any] = {
        "mode": "online",
        "solver": "sgd",
        "learning_rate": 0.1,
        "min_crop": 0.5,  # less of a digit may be another digit,
        "flip": False,  # and so may its mirror image
    }
    online = train_linear(
        LinearTraining(**shared, **epochs, out=out / "online", epochs=EPOCHS),
        overwrite=True,
        progress=progress,
    )
    name = online["engine"]["name"]
    beside = shared | {"backbone": str(write_twin(out / "dense-twin.onnx")), "engine": name}
    dense = train_linear(
        LinearTraining(**beside, **epochs, out=out / "dense-twin", epochs=EPOCHS_OF_TWIN),
        overwrite=True,
        progress=progress,
    )
    cached = train_linear(
        LinearTraining(**shared, out=out / "cached", mode="cached", solver="lbfgs"),
        overwrite=True,
        progress=progress,
    )
    online_final, cached_final = online["final"], cached["final"]
    assert online_final is not None  # there are test digits
    assert cached_final is not None
    seconds, twin_seconds = _epoch_seconds(online), _epoch_seconds(dense)
    return {
        "backbone": online["backbone"],
        "engine": online["engine"],
        "n_train": online["n_train"],
        "n_test": online["n_test"],
        "online": {
            **online_final,
            "epochs": EPOCHS,
            "seconds_per_epoch": seconds,
            "images_per_second": online["n_train"] / seconds,
        },
        "dense_twin": {
            "epochs": EPOCHS_OF_TWIN,
            "seconds_per_epoch": twin_seconds,
            "images_per_second": dense["n_train"] / twin_seconds,
        },
        "speedup": twin_seconds / seconds,
        "cached": {**cached_final, "seconds": cached["epochs"][-1]["seconds"]},
        "predictions": _predictions(out, data, threads),
    }


def write_twin(path: Path) -> Path:
    """Write the demonstration's backbone with small numbers for its zeros: the same work, dense."""
    sparse = Backbone.open(BACKBONE)
    card = replace(
        sparse.card, name=path.stem, pruning=None, source=f"the dense twin of {BACKBONE}"
    )
    write_backbone(dense_twin(sparse.body), card, path, made_from=sparse.path)
    return path


def _epoch_seconds(report: TrainingRecord) -> float:
    return float(np.median([epoch["seconds"] for epoch in report["epochs"]]))


def _predictions(out: Path, data: Path, threads: int | None) -> list[GuessRecord]:
    images = sorted((data / "test").glob("*/*.png"), key=lambda path: path.name)[:PREDICTIONS]
    with Classifier.load(out / "cached", threads=threads) as classifier:
        return [
            {
                "image": str(path),
                "true": path.parent.name,
                "predicted": prediction.classes[0],
                "probability": prediction.probabilities[0],
            }
            for path, prediction in zip(images, classifier.predict(images, top=1), strict=True)
        ]
