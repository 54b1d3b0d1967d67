"""Batch-norm behind a layer, kept or folded into it: the same problem."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from edgetransfer.backbones import Backbone, BackboneCard
from edgetransfer.backbones.architectures import build, random_parameters
from edgetransfer.backbones.architectures.small import residual
from edgetransfer.sparsify import Sparsification, sparsify
from edgetransfer.sparsify.layers import all_layers
from edgetransfer.sparsify.weights import NetworkWeights, copied
from edgetransfer.types import Preprocessing
from tests.graphs_made import noise, relative_difference, run
from tests.sparsify.conftest import SIZE


def written(folder: Path, *, keep: bool, seed: int) -> Path:
    """A residual network whose channels differ much in scale before batch-norm."""
    table = residual("tiny", (8, 16), 1, stem_stride=2)
    parameters = random_parameters(table, seed, classes=3)
    rng = np.random.default_rng(seed)
    for name, value in parameters.items():
        if name.endswith("running_var"):
            parameters[name] = np.exp(rng.normal(0, 2, value.shape)).astype(np.float32)
        elif name.endswith("running_mean"):
            parameters[name] = rng.normal(0, 0.3, value.shape).astype(np.float32)
        elif value.ndim == 1 and f"{name.removesuffix('.weight')}.running_var" in parameters:
            parameters[name] = rng.normal(0, 1, value.shape).astype(np.float32)
    path = folder / f"{'kept' if keep else 'folded'}.onnx"
    onnx.save(build(table, parameters, size=SIZE, keep_batchnorm=keep), str(path))
    card = BackboneCard(name=path.stem, preprocessing=Preprocessing(size=SIZE, resize=36))
    path.with_suffix(".toml").write_text(card.to_toml())
    return path


def masks(path: Path) -> list[np.ndarray]:
    model = onnx.load(str(path))
    found = [numpy_helper.to_array(t) for t in model.graph.initializer]
    found += [np.asarray(numpy_helper.to_array(t.values)) for t in model.graph.sparse_initializer]
    return [array != 0 for array in found if array.ndim == 4]


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_kept_and_folded_are_pruned_alike(seed: int, textures: Path, tmp_path: Path) -> None:
    images = noise(4, 3, SIZE, SIZE)
    made, chosen = [], []
    for keep in (True, False):
        dense = written(tmp_path, keep=keep, seed=seed)
        asked = Sparsification(
            dense=str(dense), out=tmp_path / f"{dense.stem}-sparse.onnx", calibration=textures,
            sparsity=0.6, views=2, engine="onnxruntime", threads=1, batch_size=4,
        )  # fmt: skip
        sparsify(asked)
        made.append(run(Backbone.open(asked.out).frozen(4), images))
        chosen.append(masks(asked.out))
    agreed = np.mean([np.mean(a == b) for a, b in zip(*chosen, strict=True)])
    assert agreed > 0.98, "the same weights but for near ties; 0.77 in units of before batch-norm"
    assert relative_difference(*made) < 0.1


def test_what_is_read_in_units_of_the_gain_is_written_as_it_was(tmp_path: Path) -> None:
    """To the bit; and a shift is where it was."""
    model = Backbone.open(written(tmp_path, keep=True, seed=0)).frozen(2)
    layers = [layer for layer in all_layers(model) if layer.norm is not None]
    assert layers
    assert any(np.ptp(layer.gain) > 1 for layer in layers)
    again = copied(model)
    before, after = NetworkWeights(model), NetworkWeights(again)
    for layer in layers:
        after.write(layer, before.parameters(layer), before)
    for tensor, other in zip(model.graph.initializer, again.graph.initializer, strict=True):
        assert np.array_equal(numpy_helper.to_array(tensor), numpy_helper.to_array(other))
