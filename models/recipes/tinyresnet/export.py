"""Write a trained TinyResNet as sparse ONNX with its card, and measure it with ONNX Runtime.

    python export.py --checkpoint WORK/final.pt --data TINY_IMAGENET --out ../../tinyresnet-90

Batch-norm is folded into the convolutions, which keeps every zero. Sparse weights are stored in
the standard's own sparse form (``sparse_initializer``: values and positions of what is not
zero), so the file is a third of its dense size. The graph keeps the classifier of the training
classes; edgetransfer cuts it off.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from data import MEAN, STD, load_sheets
from network import TinyResNet
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from edgetransfer.backbones import Backbone, BackboneCard
from edgetransfer.types import Preprocessing

OPSET, IR_VERSION = 13, 8  # what DeepSparse 1.8 reads


class GraphWriter:
    """Collects nodes and weights."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.dense: list[onnx.TensorProto] = []
        self.sparse: list[onnx.SparseTensorProto] = []

    def add(self, operator: str, inputs: list[str], output: str, **options: object) -> str:
        self.nodes.append(helper.make_node(operator, inputs, [output], **options))
        return output

    def weight(self, name: str, values: np.ndarray) -> str:
        values = np.ascontiguousarray(values, np.float32)
        positions = np.flatnonzero(values).astype(np.int64)
        if len(positions) * 3 > values.size:  # a position takes twice the room of a value
            self.dense.append(numpy_helper.from_array(values, name))
        else:
            kept = numpy_helper.from_array(values.reshape(-1)[positions], name)
            where = numpy_helper.from_array(positions, f"{name}_positions")
            self.sparse.append(helper.make_sparse_tensor(kept, where, list(values.shape)))
        return name

    def convolution(self, x: str, name: str, conv: nn.Conv2d, norm: nn.BatchNorm2d) -> str:
        """A convolution with its batch-norm folded in."""
        scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        weight = (conv.weight * scale[:, None, None, None]).detach().numpy()
        bias = (norm.bias - norm.running_mean * scale).detach().numpy()
        pad = conv.padding[0]
        return self.add(
            "Conv",
            [x, self.weight(f"{name}.weight", weight), self.weight(f"{name}.bias", bias)],
            name,
            kernel_shape=list(conv.kernel_size),
            strides=list(conv.stride),
            pads=[pad] * 4,
        )


def to_onnx(net: TinyResNet, classes: list[str]) -> onnx.ModelProto:
    graph = GraphWriter()
    x = graph.add("Relu", [graph.convolution("input", "stem", net.stem, net.bn)], "stem.relu")
    for index, block in enumerate(net.blocks):
        name = f"blocks.{index}"
        y = graph.convolution(x, f"{name}.conv1", block.conv1, block.bn1)
        y = graph.add("Relu", [y], f"{name}.relu1")
        y = graph.convolution(y, f"{name}.conv2", block.conv2, block.bn2)
        if block.shortcut is not None:
            x = graph.convolution(x, f"{name}.shortcut", block.shortcut[0], block.shortcut[1])
        x = graph.add("Relu", [graph.add("Add", [y, x], f"{name}.add")], f"{name}.relu2")
    x = graph.add("GlobalAveragePool", [x], "pool")
    x = graph.add("Flatten", [x], "features", axis=1)
    head_weight = graph.weight("head.weight", net.head.weight.detach().numpy())
    head_bias = graph.weight("head.bias", net.head.bias.detach().numpy())
    graph.add("Gemm", [x, head_weight, head_bias], "logits", transB=1)
    proto = helper.make_graph(
        graph.nodes,
        "tinyresnet",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["N", 3, "S", "S"])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", len(classes)])],
        graph.dense,
        sparse_initializer=graph.sparse,
    )
    model = helper.make_model(
        proto, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="edgetransfer"
    )
    model.ir_version = IR_VERSION
    onnx.checker.check_model(model)
    return model


def top1(path: Path, data: Path) -> float:
    """Top-1 accuracy of the written file on the validation tiles, by ONNX Runtime."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    tiles, labels, _ = load_sheets(data / "val")
    right = 0
    for start in range(0, len(tiles), 200):
        x = tiles[start : start + 200].transpose(0, 3, 1, 2).astype(np.float32) / 255
        x = (x - np.float32(MEAN)[:, None, None]) / np.float32(STD)[:, None, None]
        logits = session.run(None, {"input": x.astype(np.float32)})[0]
        right += int((logits.argmax(1) == labels[start : start + 200]).sum())
    return right / len(tiles)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="folder, named as the backbone")
    args = parser.parse_args()

    state = torch.load(args.checkpoint, weights_only=True)
    net = TinyResNet(len(state["classes"])).eval()
    net.load_state_dict(state["net"])
    args.out.mkdir(parents=True, exist_ok=True)
    name = args.out.resolve().name
    path = args.out / f"{name}.onnx"
    path.with_suffix(".toml").unlink(missing_ok=True)
    onnx.save(to_onnx(net, state["classes"]), str(path))

    # The card's own numbers are measured on the written file.
    accuracy = top1(path, args.data)
    written = Backbone.open(path, size=64, resize=73)
    card = BackboneCard(
        name=name,
        preprocessing=Preprocessing(size=64, resize=73, mean=MEAN, std=STD),
        dimension=written.dimension,
        sparsity=written.sparsity,
        pruning=f"AC/DC, {state['sparsity']:.0%} of each convolution but the first",
        licence="Apache-2.0 (weights); trained on Tiny ImageNet, a research-use data set",
        source=(
            "models/recipes/tinyresnet of this project, from scratch; "
            f"{accuracy:.2%} top-1 on the Tiny ImageNet validation tiles"
        ),
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
    )
    path.with_suffix(".toml").write_text(card.to_toml(), encoding="utf-8")
    print(f"{path}: {path.stat().st_size / 1e6:.2f} MB, {accuracy:.2%} top-1")
    print(f"{written.sparsity:.2%} of all weights zero")


if __name__ == "__main__":
    main()
