"""A random graph of one image input and one flat output, a function of its seed alone."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper

from tests.engines.fuzzing.growth import Growth, Tensor
from tests.engines.fuzzing.steps import RENAMING, STEPS, WEIGHTS

TRIES = 50
# What must be there before an operator fits.
BEFORE = {
    "Gemm": ["Flatten"],
    "MatMul": ["Flatten"],
    "Squeeze": ["GlobalAveragePool"],
    "Unsqueeze": ["GlobalAveragePool", "Flatten"],
}
# An opset that has what others lack.
SINCE = {
    "HardSwish": 18,
    "Mish": 18,
    "Gelu": 20,
    "LayerNormalization": 18,
    "GroupNormalization": 21,
    "Resize": 13,
}


def random_graph(
    seed: int, *, always: str | None = None, batch: int | None = None
) -> onnx.ModelProto:
    """A graph as engines take it, of 3 to 14 steps; one of them is `always`."""
    growth = Growth(seed, batch=batch, opset=SINCE.get(str(always)))
    wanted = [] if always is None else [*BEFORE.get(always, []), always]
    count = max(len(wanted), growth.integer(3, 14))
    first = growth.integer(0, count - len(wanted))
    computed: set[str] = set()  # all but other names of the input
    for step in range(count):
        at = step - first
        _grow(growth, computed, wanted[at] if 0 <= at < len(wanted) else None)
    return _finished(growth, computed)


def _grow(growth: Growth, computed: set[str], wanted: str | None) -> None:
    """One step: the wanted one, on the latest tensor if that fits, or a random one."""
    names = list(STEPS)
    share = np.array([WEIGHTS.get(name, 1.0) for name in names])
    x = growth.tensors[-1]
    for tried in range(TRIES):
        operator = wanted or str(growth.rng.choice(names, p=share / share.sum()))
        if tried % 6 == 0 and not (wanted and tried == 0):
            x = growth.any_of(growth.tensors)
        made = STEPS[operator](growth, x)
        if made is None:
            continue
        if operator not in RENAMING or x.name in computed:
            computed.add(made.name)
        growth.tensors.append(made)
        return


def _finished(growth: Growth, computed: set[str]) -> onnx.ModelProto:
    """With the last tensor as output, or all that nothing has read, averaged and joined."""
    last, net = growth.tensors[-1], growth.net
    read = {name for node in net.nodes for name in node.input}
    leaves = [x for x in growth.tensors if x.name not in read]
    if len(leaves) > 1 and growth.chance(0.7):
        last = _joined(growth, leaves)
    elif last.name not in computed:
        last = growth.renamed(last, growth.node("Relu", last.name))
    net.add("Flatten", last.name, name="features")
    shape = [growth.batch, *growth.tensors[0].shape]
    model = net.model(shape, {"features": [growth.batch, last.features]})
    model.graph.node.insert(0, helper.make_node("Identity", ["images"], ["x"]))
    model.graph.input[0].CopyFrom(helper.make_tensor_value_info("images", TensorProto.FLOAT, shape))
    return model


def _joined(growth: Growth, leaves: list[Tensor]) -> Tensor:
    flat = []
    for x in leaves:
        if x.flat and not x.point:
            weights = growth.net.weights(x.features, 3)
            flat.append(growth.made(growth.node("MatMul", x.name, weights), (3, 1, 1)))
        elif x.flat:
            flat.append(x)
        else:
            pooled = growth.node("GlobalAveragePool", x.name)
            flat.append(growth.made(growth.node("Flatten", pooled), (x.shape[0], 1, 1)))
    name = growth.node("Concat", *(x.name for x in flat), axis=1)
    return growth.made(name, (sum(x.shape[0] for x in flat), 1, 1), flat=True)
