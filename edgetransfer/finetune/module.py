"""An ONNX graph as a torch module whose parameters are the graph's initializers, and back."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from edgetransfer.finetune.initializers import WEIGHTED, with_initializers
from edgetransfer.finetune.operators import DATA_INPUTS, TRANSLATIONS, Call, Reading, uncovered
from edgetransfer.graphs.graph import Array, Graph, dims_of, opset_of

Role = Literal["weight", "bias", "batchnorm"]
"""What a parameter is: a weight of a convolution or fully connected layer, its bias, or the
scale or shift of a normalisation (also where it stands as a Mul or Add of its own)."""

# Their result may be overwritten by an activation: their gradients do not need it.
OVERWRITABLE = frozenset(["Conv", "Gemm", "BatchNormalization", "Add", "Sum", "Concat"])


@dataclass(frozen=True)
class Step:
    """One node: a call, the names of its tensors, and those that nobody reads afterwards."""

    call: Call
    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    last_of: tuple[str, ...] = ()


class OnnxModule(nn.Module):
    """A canonical ONNX graph in torch.

    Every float initializer of the graph is a parameter (`values` gives them by name), except
    batch-norm's statistics, which are buffers, and single numbers, which are constants. In
    training mode batch-norm layers whose scale requires a gradient learn new statistics.
    Dropout does nothing.

    Parameters
    ----------
    model
        A frozen backbone (`Backbone.frozen`), or part of one, as `subgraph` cuts it. The batch
        that it was frozen to is no limit: take one above 1, so that it can be told from the
        other numbers of a Reshape.
    outputs
        The tensors to return; the graph's outputs if None.
    overwrite
        Whether an activation may be written over its input where nobody else reads that.

    Attributes
    ----------
    statistics_share
        How much of a batch goes into batch-norm's statistics; as the graph says if None.

    Raises
    ------
    BackboneError
        Naming the first operator that is not covered, and its node.
    """

    def __init__(
        self,
        model: onnx.ModelProto,
        outputs: Sequence[str] | None = None,
        *,
        overwrite: bool = True,
    ) -> None:
        super().__init__()
        self._overwrite = overwrite
        self._again = False
        self.statistics_share: float | None = None
        graph = Graph(model)
        self.inputs = tuple(value.name for value in graph.inputs)
        self.outputs = tuple(outputs or (value.name for value in model.graph.output))
        self.roles: dict[str, Role] = {}
        self._attributes: dict[str, str] = {}
        self._static: dict[str, Tensor] = {}
        batch = (dims_of(graph.inputs[0])[0] if graph.inputs else None) or 0
        if batch < 2:
            batch = -2  # of one image nothing can be told from a 1 that means something else
        nodes = list(model.graph.node)
        _check_covered(nodes)
        steps = [self._translated(graph, node, batch) for node in nodes]
        self.steps = _with_lifetimes(steps, self.outputs)

    def _translated(self, graph: Graph, node: onnx.NodeProto, batch: int) -> Step:
        reading = Reading(node, graph, batch, opset_of(graph.model))
        inputs = tuple(node.input)[: DATA_INPUTS.get(node.op_type, len(node.input))]
        while inputs and not inputs[-1]:
            inputs = inputs[:-1]
        if not all(inputs):
            raise uncovered(node, "with an input left out")
        for position, name in enumerate(inputs):
            if name in graph.constants:
                self._store(graph, node, position, name)
        overwrite = self._overwrite and _may_overwrite(graph, node, self.outputs)
        call = TRANSLATIONS[node.op_type](reading, overwrite)
        outputs = node.output if node.op_type == "Split" else node.output[:1]
        return Step(call, node.op_type, inputs, tuple(outputs))

    def _store(self, graph: Graph, node: onnx.NodeProto, position: int, name: str) -> None:
        """Keep a constant input as a parameter, a buffer or a plain tensor."""
        if name in self._attributes or name in self._static:
            return
        value = graph.array(name)
        if value is None:
            raise uncovered(node, "of quantised weights")
        tensor = torch.from_numpy(np.array(value))
        role = _role(node, position)
        # A single number is part of a formula, such as the 3 and the 6 of a written-out HardSwish.
        formula = role == "batchnorm" and node.op_type != "BatchNormalization" and value.size == 1
        if value.dtype != np.float32 or formula:
            self._static[name] = tensor
            return
        attribute = f"t{len(self._attributes)}"
        self._attributes[name] = attribute
        if node.op_type == "BatchNormalization" and position > 2:
            self.register_buffer(attribute, tensor)
            return
        self.register_parameter(attribute, nn.Parameter(tensor))
        self.roles[name] = role

    def forward(self, *inputs: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Run the graph: its inputs, (n, …) float32 each, to its outputs; one is returned bare."""
        known = dict(zip(self.inputs, inputs, strict=True))
        self.run(self.steps, known)
        found = tuple(known[name] for name in self.outputs)
        return found[0] if len(found) == 1 else found

    def run(self, steps: Sequence[Step], known: dict[str, Tensor]) -> None:
        """Run some steps on the tensors that are known, and drop those that are used up."""
        for step in steps:
            tensors = [known[n] if n in known else self.tensor(n) for n in step.inputs]
            if step.operator == "BatchNormalization":
                result = step.call(
                    *tensors,
                    training=self.training,
                    again=self._again,
                    share=self.statistics_share,
                )
            else:
                result = step.call(*tensors)
            known.update(
                zip(step.outputs, result if isinstance(result, tuple) else (result,), strict=True)
            )
            for name in step.last_of:
                known.pop(name, None)

    @contextlib.contextmanager
    def recomputing(self) -> Iterator[None]:
        """While a forward pass is repeated: batch-norm does not learn from it a second time."""
        self._again = True
        try:
            yield
        finally:
            self._again = False

    def holds(self, name: str) -> bool:
        """Whether this is an initializer, and no tensor that depends on an image."""
        return name in self._attributes or name in self._static

    def attribute(self, name: str) -> str:
        """The name under which torch knows the parameter of an initializer."""
        return self._attributes[name]

    def tensor(self, name: str) -> Tensor:
        """The parameter, buffer or constant of an initializer."""
        if name in self._attributes:
            found = getattr(self, self._attributes[name])
        else:
            found = self._static[name]
        assert isinstance(found, Tensor)
        return found

    @property
    def trainable(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Initializer name and parameter of everything that requires a gradient, in graph order."""
        for name in self.roles:
            parameter = self.tensor(name)
            if isinstance(parameter, nn.Parameter) and parameter.requires_grad:
                yield name, parameter

    @property
    def values(self) -> dict[str, Array]:
        """The initializers as they stand, batch-norm's statistics among them; float32 copies."""
        return {name: self.tensor(name).detach().cpu().numpy().copy() for name in self._attributes}

    def write_into(self, model: onnx.ModelProto) -> onnx.ModelProto:
        """A copy of the graph that this module was made from, with the values as they stand.

        Parameters
        ----------
        model
            The frozen graph or, with the same initializers, the backbone's own body.
        """
        return with_initializers(model, self.values)


def _check_covered(nodes: Sequence[onnx.NodeProto]) -> None:
    for node in nodes:
        if node.op_type not in TRANSLATIONS or node.domain not in ("", "ai.onnx"):
            raise uncovered(node)


def _role(node: onnx.NodeProto, position: int) -> Role:
    if node.op_type in WEIGHTED:
        return "weight" if position < 2 else "bias"
    return "batchnorm"


def _may_overwrite(graph: Graph, node: onnx.NodeProto, outputs: Sequence[str]) -> bool:
    """Whether nobody else reads this node's input, so that the result may take its place."""
    producer = graph.producers.get(node.input[0]) if node.input else None
    return (
        producer is not None
        and producer.op_type in OVERWRITABLE
        and len(graph.consumers[node.input[0]]) == 1
        and node.input[0] not in outputs
    )


def _with_lifetimes(steps: Sequence[Step], outputs: Sequence[str]) -> tuple[Step, ...]:
    last: dict[str, int] = {}
    for index, step in enumerate(steps):
        for name in (*step.inputs, *step.outputs):
            last[name] = index
    ends: dict[int, list[str]] = {}
    for name, index in last.items():
        if name not in outputs:
            ends.setdefault(index, []).append(name)
    return tuple(
        Step(s.call, s.operator, s.inputs, s.outputs, tuple(ends.get(i, ())))
        for i, s in enumerate(steps)
    )
