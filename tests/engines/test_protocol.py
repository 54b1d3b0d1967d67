"""What every engine promises."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgetransfer.backbones import Backbone
from edgetransfer.engines import KINDS, Engine, FakeEngine
from edgetransfer.engines.onnxruntime_engine import OnnxRuntimeEngine
from edgetransfer.engines.protocol import padded
from edgetransfer.engines.registry import engine_kind
from edgetransfer.errors import EngineError
from tests.graphs_made import noise, tiny

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(params=["fake", *(kind.name for kind in KINDS)])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Engine:
    """An engine of batch 4 for 16 pixels."""
    if request.param == "fake":
        return FakeEngine(batch_size=4, size=16)
    kind = engine_kind(request.param)
    absent = kind.why_absent()
    if absent is not None:
        pytest.skip(absent)
    backbone = Backbone.open(tiny().save(tmp_path / "t.onnx"))
    return kind.open(backbone.frozen(4), threads=1, reason="test")


def test_it_says_what_it_is(engine: Engine) -> None:
    assert engine.name == engine.choice.name
    assert engine.choice.version
    assert engine.choice.reason
    assert engine.batch_size == 4
    assert engine.input_shape == (4, 3, 16, 16)


def test_a_full_batch(engine: Engine) -> None:
    features = engine.run(noise(4, 3, 16, 16))
    assert features.dtype == np.float32
    assert features.shape == (4, engine.dimension)
    assert len(np.unique(features[:, 0])) == 4


@pytest.mark.parametrize("n", [1, 2, 3])
def test_a_short_batch_gives_the_same_rows(engine: Engine, n: int) -> None:
    images = noise(4, 3, 16, 16)
    np.testing.assert_allclose(engine.run(images[:n]), engine.run(images)[:n], rtol=1e-5, atol=1e-6)


def test_too_large_a_batch_is_refused(engine: Engine) -> None:
    with pytest.raises(ValueError, match="5 images do not fit a batch of 4"):
        engine.run(noise(5, 3, 16, 16))


def test_results_belong_to_the_caller(engine: Engine) -> None:
    first = engine.run(noise(4, 3, 16, 16))
    kept = first.copy()
    engine.run(noise(4, 3, 16, 16, seed=2))
    np.testing.assert_array_equal(first, kept)
    first[:] = 0
    np.testing.assert_array_equal(engine.run(noise(4, 3, 16, 16)), kept)


def test_the_images_are_not_changed_and_need_not_be_contiguous(engine: Engine) -> None:
    images = noise(4, 3, 16, 16)
    strided = np.asfortranarray(images)
    before = images.copy()
    np.testing.assert_array_equal(engine.run(strided), engine.run(images))
    np.testing.assert_array_equal(images, before)


def test_padding_is_zeros() -> None:
    images = noise(2, 3, 8, 8)
    full = padded(images, 5)
    assert full.shape == (5, 3, 8, 8)
    np.testing.assert_array_equal(full[:2], images)
    assert not full[2:].any()


def test_the_fake_engine_averages_cells_of_each_image_alone() -> None:
    engine = FakeEngine(batch_size=3, size=8, cells=2)
    images = noise(3, 3, 8, 8)
    features = engine.run(images)
    assert engine.dimension == 12
    # Channel 1, lower left cell: (1 * 2 + 1) * 2 + 0.
    assert features[2, 6] == pytest.approx(images[2, 1, 4:, :4].mean(), abs=1e-6)
    for i in range(3):
        np.testing.assert_array_equal(engine.run(images[i : i + 1])[0], features[i])
    np.testing.assert_array_equal(engine.run(images[::-1]), features[::-1])
    assert engine.calls == 5


def test_the_fake_engine_needs_cells_that_divide_its_size() -> None:
    with pytest.raises(ValueError, match="10 pixels do not divide into 4 cells"):
        FakeEngine(batch_size=1, size=10)


def test_a_graph_that_onnx_runtime_refuses_is_an_engine_error(tmp_path: Path) -> None:
    frozen = Backbone.open(tiny().save(tmp_path / "t.onnx")).frozen(1)
    frozen.graph.node[0].op_type = "NoSuchOperator"
    with pytest.raises(EngineError, match="ONNX Runtime cannot load"):
        OnnxRuntimeEngine(frozen, threads=1, reason="test")
