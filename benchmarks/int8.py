"""Which quantised forms of a sparse ResNet50 DeepSparse accelerates, and whether any is worth it.

    python benchmarks/int8.py [--sparsity 0.5,0.9] [--forms qdq,…]

Each form is made from the same pruned float graph (weights symmetric, so that zeros stay zeros;
random calibration: for speed alone) and runs in a process of its own, which a bad graph may end:

``float32``          the graph as it is
``qdq``              QuantizeLinear / DequantizeLinear around float operators, one scale a tensor
``qdq-channel``      the same with one scale a filter
``qlinear``          QLinearConv with one scale a filter; residual adds and pooling quantised too
``qlinear-float``    QLinearConv; residual adds and pooling in float between de- and requantising
``convinteger``      ConvInteger, int32 bias, cast, one fused rescale; adds and pooling in float
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from peers import quantised
from workloads import report

from edgetransfer.backbones import Backbone
from edgetransfer.backbones.architectures import synthetic

BATCH = 16
FORMS = ("float32", "qdq", "qdq-channel", "qlinear", "qlinear-float", "convinteger")
SECONDS, LIMIT = 4.0, 240


class Rewriting:
    """A quantised graph, rewritten node by node."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = model
        self.arrays = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
        self.nodes: list[onnx.NodeProto] = []

    def constant(self, name: str, value: np.ndarray) -> str:
        self.model.graph.initializer.append(numpy_helper.from_array(value, name))
        return name

    def add(self, kind: str, inputs: list[str], output: str, **options: object) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [output], **options))
        return output

    def in_float(self, node: onnx.NodeProto) -> None:
        """QLinearAdd or QLinearGlobalAveragePool as float between de- and requantising."""
        out = node.output[0]
        pairs = [node.input[0:3], node.input[3:6]] if node.op_type == "QLinearAdd" else []
        pairs = pairs or [node.input[0:3]]
        floats = [
            self.add("DequantizeLinear", list(pair), f"{out}/in{i}") for i, pair in enumerate(pairs)
        ]
        value = self.add(node.op_type.removeprefix("QLinear"), floats, f"{out}/float")
        self.add("QuantizeLinear", [value, *node.input[-2:]], out)

    def convolution(self, node: onnx.NodeProto) -> None:
        """QLinearConv as ConvInteger with an int32 bias and one rescale."""
        x, x_scale, x_zero, w, w_scale, w_zero, y_scale, y_zero, *bias = node.input
        out = node.output[0]
        options = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        # ConvInteger takes one zero point for the weights; all of a symmetric scale's are zero.
        zero = self.constant(f"{out}/w_zero", np.zeros((), self.arrays[w_zero].dtype))
        value = self.add("ConvInteger", [x, w, x_zero, zero], f"{out}/int", **options)
        if bias:
            wide = self.arrays[bias[0]].reshape(1, -1, 1, 1).astype(np.int32)
            value = self.add("Add", [value, self.constant(f"{out}/b", wide)], f"{out}/biased")
        value = self.add("Cast", [value], f"{out}/cast", to=TensorProto.FLOAT)
        scale = (self.arrays[x_scale] * self.arrays[w_scale]).astype(np.float32)
        named = self.constant(f"{out}/scale", scale.reshape(1, -1, 1, 1))
        value = self.add("Mul", [value, named], f"{out}/scaled")
        self.add("QuantizeLinear", [value, y_scale, y_zero], out)

    def done(self) -> onnx.ModelProto:
        del self.model.graph.node[:]
        self.model.graph.node.extend(self.nodes)
        del self.model.graph.value_info[:]
        kept = [o for o in self.model.opset_import if o.domain in ("", "ai.onnx")]
        del self.model.opset_import[:]
        self.model.opset_import.extend(kept)
        return self.model


def rewritten(model: onnx.ModelProto, *, integer: bool) -> onnx.ModelProto:
    work = Rewriting(model)
    for node in model.graph.node:
        if node.op_type in ("QLinearAdd", "QLinearGlobalAveragePool"):
            work.in_float(node)
        elif node.op_type == "QLinearConv" and integer:
            work.convolution(node)
        else:
            work.nodes.append(node)
    return work.done()


def form_of(name: str, frozen: onnx.ModelProto, folder: Path) -> onnx.ModelProto:
    if name == "float32":
        return frozen
    if name.startswith("qdq"):
        return quantised(frozen, folder, per_channel=name == "qdq-channel")
    model = quantised(frozen, folder, operators=True)
    return model if name == "qlinear" else rewritten(model, integer=name == "convinteger")


def child(path: str) -> None:
    """Compile and time one graph; one JSON line."""
    from edgetransfer.engines.deepsparse_engine import DeepSparseEngine

    engine = DeepSparseEngine(onnx.load(path), threads=None, reason="measured")
    images = np.random.default_rng(0).standard_normal(engine.input_shape, np.float32)
    engine.run(images)
    done, start = 0, perf_counter()
    while done < 2 or perf_counter() - start < SECONDS:
        engine.run(images)
        done += 1
    speed = done * BATCH / (perf_counter() - start)
    print(json.dumps({"speed": speed, "compiled": engine.supported_fraction}))


def measured(path: Path) -> dict[str, object]:
    try:
        done = subprocess.run(
            [sys.executable, __file__, "--child", str(path)],
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )
        found = json.loads(done.stdout.strip().splitlines()[-1])
        return {
            "images_per_second": round(found["speed"], 1),
            "compiled_share_of_operators": round(found["compiled"], 3),
        }
    except subprocess.TimeoutExpired:
        return {"failed": f"not done in {LIMIT} s"}
    except (ValueError, IndexError):
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        return {"failed": lines[-1][-200:]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sparsity", default="0.5,0.9")
    parser.add_argument("--forms", default=",".join(FORMS))
    parser.add_argument("--child", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        child(args.child)
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for sparsity in map(float, args.sparsity.split(",")):
            source = folder / "source.onnx"
            onnx.save(synthetic("resnet50", sparsity=sparsity), str(source))
            frozen = Backbone.open(str(source)).frozen(BATCH)
            for name in args.forms.split(","):
                path = folder / f"{name}-{sparsity}.onnx"
                try:
                    onnx.save(form_of(name, frozen, folder), str(path))
                    found = measured(path)
                except Exception as error:
                    found = {"failed": f"{type(error).__name__}: {str(error)[:200]}"}
                report("int8", sparsity=sparsity, form=name, batch_size=BATCH, **found)


if __name__ == "__main__":
    main()
