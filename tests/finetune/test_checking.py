"""What a finetuning measures about its result has a consequence beyond its bar."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from edgetransfer import LinearTraining
from edgetransfer.engines import Engine, open_engine
from edgetransfer.errors import EdgeTransferError, EngineError
from edgetransfer.finetune import FinetuneSettings, context, finetune, finishing
from edgetransfer.finetune.checking import AGREED, difference_of, doubts
from edgetransfer.types import Float32Array
from tests.graphs_made import tiny

OWN = FinetuneSettings(baseline=False, precision="float32", normalise="card")

FAULTS: dict[str, Callable[[Float32Array], Float32Array]] = {
    "scaled": lambda rows: rows * np.float32(1.01),
    "channels exchanged": lambda rows: rows[:, ::-1].copy(),
    "all of one image": lambda rows: np.repeat(rows[:1], len(rows), axis=0),
    "zero": np.zeros_like,
    "not a number": lambda rows: np.full_like(rows, np.nan),
    "infinite": lambda rows: np.full_like(rows, np.inf),
}


class FaultyEngine:
    """Another engine's features, made wrong; it calls itself the sparse engine."""

    def __init__(self, engine: Engine, fault: Callable[[Float32Array], Float32Array]) -> None:
        self._engine = engine
        self._fault = fault
        self.name = "sparse"
        self.choice = replace(engine.choice, name="sparse")
        self.batch_size, self.input_shape = engine.batch_size, engine.input_shape
        self.dimension = engine.dimension

    def run(self, images: Float32Array) -> Float32Array:
        return self._fault(self._engine.run(images))

    def close(self) -> None:
        self._engine.close()


@pytest.fixture
def settings(photos: Path, tmp_path: Path) -> LinearTraining:
    (tmp_path / "net").mkdir()
    return LinearTraining(
        backbone=str(tiny(sparsity=0.6, head="none", size=32).save(tmp_path / "net" / "net.onnx")),
        data=photos,
        out=tmp_path / "run",
        epochs=1,
        batch_size=16,
        engine="sparse",
        threads=1,
        cache_dir=tmp_path / "cache",
        size=32,
        resize=36,
    )


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(name, marks=() if name in ("scaled", "not a number") else pytest.mark.slow)
        for name in FAULTS
    ],
)
def test_an_engine_that_disagrees_with_torch_ends_no_run(
    settings: LinearTraining, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def opened(model: onnx.ModelProto, *, engine: str, **options: object) -> Engine:
        right = open_engine(model, engine="onnxruntime")
        return FaultyEngine(right, FAULTS[fault]) if engine == "sparse" else right

    monkeypatch.setattr(context, "open_engine", opened)
    with pytest.raises(EngineError, match=r"--resume --engine onnxruntime") as caught:
        finetune(settings, OWN)
    assert caught.value.exit_code == 4
    assert not (settings.out / "report.json").exists()
    assert not (settings.out / "head.safetensors").exists()
    if fault == "scaled":  # what was trained is not lost
        report = finetune(replace(settings, engine="onnxruntime"), OWN, resume=True)
        assert report["exported"]["difference_from_torch"] <= AGREED


def test_an_export_that_is_wrong_ends_no_run(
    settings: LinearTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = finishing.trained_body

    def perturbed(*given: object) -> onnx.ModelProto:
        body = trained(*given)  # type: ignore[arg-type]
        (tensor, *_) = (t for t in body.graph.initializer if len(t.dims) == 4)
        values = numpy_helper.to_array(tensor) * np.float32(1.5)
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
        return body

    monkeypatch.setattr(finishing, "trained_body", perturbed)
    with pytest.raises(EdgeTransferError, match="exported backbone's features differ") as caught:
        finetune(settings, OWN)
    assert caught.value.exit_code == 1
    assert not (settings.out / "report.json").exists()


def test_zeros_that_moved_end_no_run(
    settings: LinearTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = finishing.trained_body

    def filled(*given: object) -> onnx.ModelProto:
        body = trained(*given)  # type: ignore[arg-type]
        for tensor in body.graph.initializer:
            if len(tensor.dims) == 4:
                values = numpy_helper.to_array(tensor).copy()
                values[values == 0] = 1e-9
                tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
        return body

    monkeypatch.setattr(finishing, "trained_body", filled)
    with pytest.raises(EdgeTransferError, match="weights that were zero are not zero"):
        finetune(settings, OWN)


def test_difference_is_relative_to_the_larger_side() -> None:
    ones = np.ones((2, 3), np.float32)
    assert difference_of(ones, ones) == 0
    assert difference_of(ones, 0 * ones) == difference_of(0 * ones, ones) == 1
    assert difference_of(4 * ones, 3 * ones) == 0.25
    assert not difference_of(ones, ones * np.nan) <= AGREED
    assert difference_of(0 * ones, 0 * ones) == 0


@pytest.mark.parametrize(
    ("before", "after", "taken", "said"),
    [
        (None, {}, 10, 0),
        ({"top1": 0.5}, {"val_top1": 0.6}, 10, 0),
        ({"top1": 0.5}, {"val_top1": 0.4}, 10, 1),
        ({"top1": 0.5}, {}, 16, 1),
        ({"top1": 0.5}, {"val_top1": 0.4}, 16, 2),
    ],
)
def test_doubts(
    before: dict[str, float] | None, after: dict[str, float], taken: int, said: int
) -> None:
    found = doubts(before=before, after=after, metric="top1", estimated=10, taken=taken)
    assert len(found) == said
