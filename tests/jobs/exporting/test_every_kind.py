"""Every kind of run, in every form of an export: the same probabilities and the same unknowns."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import numpy as np
import pytest

from edgetransfer import Classifier, Extraction, export, extract_features, train_linear
from edgetransfer.data import find_images
from edgetransfer.images import SUFFIXES
from edgetransfer.settings.learning import LearningSettings
from edgetransfer.stream import OnlineLearner, StreamSettings

pytestmark = pytest.mark.slow

FORMS: dict[str, tuple[str, dict[str, bool]]] = {
    "file": ("model.onnx", {}),
    "uint8": ("model.onnx", {"preprocessing_inside": True}),
    "folder and file": ("model", {"merge_head": True}),
}
TRAININGS: dict[str, dict[str, Any]] = {
    "auto": {},
    **{f"ridge {name}": {"solver": "ridge", "feature_map": name} for name in ("l2", "relu")},
    "lda": {"solver": "lda", "feature_map": "power-l2"},
    "lbfgs": {"solver": "lbfgs"},
    "standardised": {"solver": "lbfgs", "standardize": True},
    "balanced": {"solver": "ridge", "class_weights": "balanced"},
    "sgd": {"solver": "sgd", "epochs": 3},
    "online": {"mode": "online", "epochs": 2},
}


def trained(photos: Path, backbone: Path, out: Path, **options: Any) -> None:
    train_linear(
        data=photos,
        backbone=backbone,
        out=out,
        engine="onnxruntime",
        threads=1,
        cache_dir=out.parent / "cache",
        **options,
    )


def from_tables(photos: Path, backbone: Path, out: Path) -> None:
    tables = out.parent / "tables"
    extract_features(
        Extraction(data=photos, backbone=str(backbone), out=tables, engine="onnxruntime", threads=1)
    )
    train_linear(data=tables, out=out, report=False)


def finetuned(photos: Path, backbone: Path, out: Path) -> None:
    pytest.importorskip("torch")
    from edgetransfer import finetune_backbone

    finetune_backbone(
        data=photos, backbone=backbone, out=out, epochs=1, batch_size=20, keep="finetuned"
    )


def streamed(photos: Path, backbone: Path, out: Path, learner: Any) -> None:
    with learning(backbone, out, learner) as live:
        show(live, photos)


def learning(backbone: Path, out: Path, learner: Any) -> OnlineLearner:
    return OnlineLearner(
        StreamSettings(
            backbone=str(backbone),
            source="",
            out=out,
            engine="onnxruntime",
            threads=1,
            learning=LearningSettings(learner=learner),
        )
    )


def show(live: OnlineLearner, photos: Path) -> None:
    for path in sorted(find_images(photos / "train", suffixes=SUFFIXES)):
        live.learn(path, path.parent.name, id=f"{path.parent.name}/{path.name}")


KINDS: dict[str, Callable[[Path, Path, Path], None]] = {
    **{
        name: lambda photos, backbone, out, options=options: trained(
            photos, backbone, out, **options
        )
        for name, options in TRAININGS.items()
    },
    "tables": from_tables,
    "finetuned": finetuned,
    **{
        f"stream, {learner}": lambda photos, backbone, out, learner=learner: streamed(
            photos, backbone, out, learner
        )
        for learner in ("statistics", "replay")
    },
}


def answers(run: Path, files: list[Path]) -> tuple[list[dict[str, float]], list[bool]]:
    with Classifier.load(run, engine="onnxruntime", threads=1) as classifier:
        found = classifier.predict(files)
    return [dict(zip(p.classes, p.probabilities, strict=True)) for p in found], [
        p.unknown for p in found
    ]


def assert_same(run: Path, given: Path, files: list[Path]) -> None:
    expected, unknown = answers(run, files)
    found, unknown_there = answers(given, files)
    assert unknown_there == unknown
    for one, other in zip(found, expected, strict=True):
        assert one.keys() == other.keys()
        np.testing.assert_allclose(
            [one[n] for n in sorted(one)], [other[n] for n in sorted(one)], atol=1e-5
        )


@pytest.mark.parametrize("kind", KINDS)
def test_an_export_says_what_its_run_says(
    kind: str, photos: Path, backbone: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    KINDS[kind](photos, backbone, run)
    files = sorted(find_images(photos / "test", suffixes=SUFFIXES))
    for form, (name, options) in FORMS.items():
        (tmp_path / form).mkdir()
        export(run, tmp_path / form / name, **options)
        assert_same(run, tmp_path / form / name, files)


@pytest.mark.parametrize("learner", ["statistics", "replay"])
@pytest.mark.parametrize("form", FORMS)
def test_so_does_one_of_a_stream_that_runs(
    form: str, learner: str, photos: Path, backbone: Path, tmp_path: Path
) -> None:
    """Before its first checkpoint too; what it learned since is in it."""
    name, options = FORMS[form]
    files = sorted(find_images(photos / "test", suffixes=SUFFIXES))
    with learning(backbone, tmp_path / "live", learner) as live:
        show(live, photos)
        export(tmp_path / "live", tmp_path / name, **options)
        found, _ = answers(tmp_path / name, files)
        until = monotonic() + 60
        while not np.allclose(likeliest(live, files), [max(r.values()) for r in found], atol=1e-5):
            assert monotonic() < until, "the live head did not come to rest"
            sleep(0.1)
        for path, row in zip(files, found, strict=True):
            assert dict(live.predict(path)) == pytest.approx(row, abs=1e-5)


def likeliest(live: OnlineLearner, files: list[Path]) -> list[float]:
    return [next(iter(live.predict(path).values())) for path in files]
