"""Cutting a graph where training begins; batch-norm put back and folded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from edgetransfer.backbones import Backbone
from edgetransfer.errors import UsageError
from edgetransfer.finetune.batchnorm import bare_convolutions, fold, restore
from edgetransfer.finetune.masks import count_zeros
from edgetransfer.finetune.module import OnnxModule
from edgetransfer.finetune.partition import last_block, partition
from tests.graphs_made import noise, relative_difference, run, tiny


def opened(tmp_path: Path, **options: object) -> Backbone:
    return Backbone.open(tiny(**options).save(tmp_path / "net.onnx"), size=16)


def through_both_parts(model: onnx.ModelProto, begin: str, images: np.ndarray) -> np.ndarray:
    parts = partition(model, begin)
    assert parts.frozen is not None
    flat = torch.from_numpy(run(parts.frozen, images))
    sizes = [int(np.prod(shape)) for shape in parts.shapes]
    inputs = [
        t.reshape(-1, *shape)
        for t, shape in zip(flat.split(sizes, dim=1), parts.shapes, strict=True)
    ]
    with torch.no_grad():
        return OnnxModule(parts.trained).eval()(*inputs).numpy()


def weights_of(model: onnx.ModelProto) -> list[str]:
    return [node.input[1] for node in model.graph.node if node.op_type == "Conv"]


def test_both_parts_together_are_the_whole_from_any_layer_on(tmp_path: Path) -> None:
    model = opened(tmp_path, shuffle=True, batch=1).frozen(2)
    images = noise(2, 3, 16, 16)
    expected = run(model, images)
    for begin in weights_of(model)[1:]:
        assert relative_difference(through_both_parts(model, begin, images), expected) < 1e-5


def test_a_cut_through_a_residual_block_carries_two_tensors(tmp_path: Path) -> None:
    model = opened(tmp_path).frozen(2)
    second = weights_of(model)[2]
    parts = partition(model, second)
    assert len(parts.shapes) == 2
    assert parts.first == second


def test_nothing_is_frozen_before_the_first_layer(tmp_path: Path) -> None:
    model = opened(tmp_path).frozen(2)
    for begin in (None, weights_of(model)[0]):
        parts = partition(model, begin)
        assert parts.frozen is None
        assert parts.trained == model


def test_names_of_nodes_and_tensors_serve_as_well(tmp_path: Path) -> None:
    model = opened(tmp_path).frozen(2)
    convolution = [node for node in model.graph.node if node.op_type == "Conv"][1]
    for name in (convolution.name, convolution.input[0]):
        assert partition(model, name).first == convolution.input[1]


def test_a_layer_that_is_not_there_is_said_with_those_that_are(tmp_path: Path) -> None:
    model = opened(tmp_path).frozen(2)
    with pytest.raises(UsageError, match="its layers: "):
        partition(model, "nowhere")
    with pytest.raises(UsageError, match="nothing to train"):
        partition(model, model.graph.node[-1].output[0] + "x" if False else _pool(model))


def _pool(model: onnx.ModelProto) -> str:
    (node,) = [n for n in model.graph.node if n.op_type == "GlobalAveragePool"]
    return str(node.name)


def test_the_last_block_of_a_residual_network_is_its_last_residual_block(tmp_path: Path) -> None:
    model = opened(tmp_path).frozen(2)
    assert last_block(model) == weights_of(model)[1]


def test_last_block_of_the_bundled_backbone_has_two_convolutions() -> None:
    model = Backbone.open("tinyresnet-90").frozen(2)
    parts = partition(model, last_block(model))
    assert len(weights_of(parts.trained)) == 2
    assert len(parts.shapes) == 1


def statistics_of(model: onnx.ModelProto, images: np.ndarray) -> dict:
    outputs = bare_convolutions(model)
    with torch.no_grad():
        module = OnnxModule(model, outputs=list(outputs.values()), overwrite=False).eval()
        tensors = module(torch.from_numpy(images))
    tensors = tensors if isinstance(tensors, tuple) else (tensors,)
    return {
        name: (t.mean((0, 2, 3)).numpy(), t.var((0, 2, 3), unbiased=False).numpy())
        for name, t in zip(outputs, tensors, strict=True)
    }


def test_restored_batch_norm_is_neutral_and_folds_away_again(tmp_path: Path) -> None:
    backbone = opened(tmp_path, sparsity=0.6)
    model = backbone.frozen(4)
    images = noise(4, 3, 16, 16)
    statistics = statistics_of(model, images)
    assert len(statistics) == 2  # the first convolution has a batch-norm of its own
    restored = restore(model, statistics)
    expected = run(model, images)
    assert relative_difference(run(restored, images), expected) < 1e-5
    # In training, too, on the data that the statistics are of.
    module = OnnxModule(restored).eval()
    for name, role in module.roles.items():
        module.tensor(name).requires_grad_(role == "batchnorm" and "/bn_" in name)
    with torch.no_grad():
        trained = module.train()(torch.from_numpy(images)).numpy()
    assert relative_difference(trained, expected) < 1e-3
    folded = fold(restored)
    assert [n.op_type for n in folded.graph.node].count("BatchNormalization") == 0
    assert relative_difference(run(folded, images), expected) < 1e-5
    assert count_zeros(folded) == count_zeros(model)


def test_folding_keeps_the_function_and_the_zeros_whatever_batch_norm_learned(
    tmp_path: Path,
) -> None:
    model = opened(tmp_path, sparsity=0.6).frozen(4)
    images = noise(4, 3, 16, 16)
    restored = restore(model, statistics_of(model, images))
    rng = np.random.default_rng(0)
    for tensor in restored.graph.initializer:
        if "/bn_" in tensor.name:
            value = numpy_helper.to_array(tensor)
            moved = (value * rng.uniform(0.5, 2, value.shape)).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(moved, tensor.name))
    folded = fold(restored)
    assert relative_difference(run(folded, images), run(restored, images)) < 1e-5
    assert count_zeros(folded) == count_zeros(model)


def test_weights_that_several_layers_share_are_not_folded(tmp_path: Path) -> None:
    model = opened(tmp_path).frozen(2)
    second, third = [n for n in model.graph.node if n.op_type == "Conv"][0:2]
    tied = onnx.ModelProto()
    tied.CopyFrom(model)
    (bias,) = {second.input[2]} & {t.name for t in tied.graph.initializer}
    for node in tied.graph.node:
        if node.op_type == "Conv" and node.input[1] == third.input[1]:
            node.input[2] = bias
    images = noise(2, 3, 16, 16)
    assert relative_difference(run(fold(tied), images), run(tied, images)) < 1e-5
    assert any(n.op_type == "BatchNormalization" for n in fold(tied).graph.node)
