"""Functions of the model, and branches."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgetransfer.backbones import Backbone
from edgetransfer.errors import BackboneError
from tests.graphs.forms import check, head, saved
from tests.graphs_made import Net, tiny

# Functions and branches.


@pytest.mark.parametrize("depth", [1, 3])
def test_functions_of_the_model_are_written_out(depth: int, tmp_path: Path) -> None:
    plain = tiny(opset=17)
    model = onnx.ModelProto.FromString(plain.model.SerializeToString())
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    inner = helper.make_node("LeakyRelu", ["a"], ["t"])
    inner.attribute.add(name="alpha", ref_attr_name="slope", type=onnx.AttributeProto.FLOAT)
    steps = [inner, helper.make_node("Relu", ["t"], ["b"])]
    model.functions.append(
        helper.make_function("own", "f0", ["a"], ["b"], steps, opsets, attributes=["slope"])
    )
    for level in range(1, depth):
        call = helper.make_node(f"f{level - 1}", ["a"], ["b"], domain="own")
        call.attribute.add(name="slope", ref_attr_name="slope", type=onnx.AttributeProto.FLOAT)
        model.functions.append(
            helper.make_function("own", f"f{level}", ["a"], ["b"], [call], opsets, ["slope"])
        )
    model.opset_import.append(helper.make_opsetid("own", 1))
    for node in model.graph.node:
        if node.op_type == "Relu":
            node.op_type, node.domain = f"f{depth - 1}", "own"
            node.attribute.append(helper.make_attribute("slope", 0.25))
    backbone = check(model, tmp_path)
    assert {node.domain for node in backbone.body.graph.node} == {""}


def choice(net: Net, condition: str, x: str, *, constants_inside: bool) -> str:
    """An If whose branches read a tensor from around them: twice it, or minus it."""
    graphs = {}
    for name, factor in (("then_branch", 2.0), ("else_branch", -1.0)):
        out = f"{name}_out"
        factor_name = f"{name}_factor"
        inside = [numpy_helper.from_array(np.float32(factor), factor_name)]
        node = helper.make_node("Mul", [x, factor_name], [out])
        value = helper.make_tensor_value_info(out, TensorProto.FLOAT, None)
        if not constants_inside:
            net.initializers += inside
            inside = []
        graphs[name] = helper.make_graph([node], name, [], [value], inside)
    return net.add("If", condition, **graphs)


@pytest.mark.parametrize("taken", [True, False])
@pytest.mark.parametrize("constants_inside", [True, False])
@pytest.mark.parametrize("known", ["constant", "computed", "by shape", "nested"])
def test_decided_branches_are_put_in_place(
    known: str, constants_inside: bool, taken: bool, tmp_path: Path
) -> None:
    net = Net(opset=17)
    x = net.conv("x", (3, 4))
    if known == "by shape":
        side = net.add("Gather", net.add("Shape", x), net.constant(2, np.int64), axis=0)
        condition = net.add("Equal", side, net.constant(16 if taken else 3, np.int64))
    elif known == "computed":
        condition = net.add("Not", net.constant(not taken, np.bool_))
    else:
        condition = net.constant(taken, np.bool_)
    x = choice(net, condition, x, constants_inside=constants_inside)
    if known == "nested":
        inner = net.nodes.pop()
        inner_out = helper.make_tensor_value_info(x, TensorProto.FLOAT, None)
        branch = helper.make_graph([inner], "outer", [], [inner_out])
        x = net.add("If", net.constant(True, np.bool_), then_branch=branch, else_branch=branch)
    backbone = check(head(net, net.add("Relu", x), 4), tmp_path)
    frozen = backbone.frozen(2)
    assert "If" not in {node.op_type for node in frozen.graph.node}


def test_a_branch_that_the_picture_decides_is_named(tmp_path: Path) -> None:
    net = Net(opset=17)
    x = net.conv("x", (3, 4))
    mean = net.add("ReduceMean", x, keepdims=0)
    condition = net.add("Greater", mean, net.constant(0.0))
    x = choice(net, condition, x, constants_inside=True)
    model = head(net, x, 4)
    name = next(node for node in model.graph.node if node.op_type == "If").name
    backbone = Backbone.open(saved(model, tmp_path))
    with pytest.raises(BackboneError, match=f"If '{name}' makes depends on '{condition}'"):
        backbone.frozen(1)
