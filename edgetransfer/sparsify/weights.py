"""Reading and writing the weights and biases of a graph's layers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from edgetransfer.sparsify.layers import Float64Array, Layer


@dataclass(frozen=True)
class Parameters:
    """What a layer computes with.

    Parameters
    ----------
    weights
        (groups, rows, columns) float64.
    shift
        (groups, rows) float64: what is added to the layer's output, beyond what the dense layer's
        batch-norm takes away; None where the layer can have no bias.
    """

    weights: Float64Array
    shift: Float64Array | None

    @property
    def augmented(self) -> Float64Array:
        """(groups, rows, columns + 1): weights with the shift as a last column, where there is."""
        if self.shift is None:
            return self.weights
        return np.concatenate([self.weights, self.shift[:, :, None]], axis=2)

    @classmethod
    def split(cls, layer: Layer, augmented: Float64Array) -> Parameters:
        """The inverse of `augmented`."""
        if layer.bias is None:
            return cls(augmented, None)
        return cls(augmented[:, :, :-1], augmented[:, :, -1])


class NetworkWeights:
    """The initializers of a model, by name; the model is changed in place.

    Parameters
    ----------
    model
        With the nodes and names of a frozen backbone, or of the file that it was frozen from.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = model
        self._tensors = {t.name: t for t in model.graph.initializer}

    def array(self, name: str) -> NDArray[np.float32]:
        """An initializer's value."""
        return np.asarray(numpy_helper.to_array(self._tensors[name]), np.float32)

    def set_array(self, name: str, value: NDArray[np.float32]) -> None:
        """Change an initializer's value."""
        array = np.ascontiguousarray(value, np.float32)
        self._tensors[name].CopyFrom(numpy_helper.from_array(array, name))

    def parameters(self, layer: Layer, dense: NetworkWeights | None = None) -> Parameters:
        """What a layer computes with.

        Parameters
        ----------
        dense
            The network that this one was pruned from; itself if None.
        """
        weights = layer.to_matrix(self.array(layer.name))
        shape = (layer.groups, layer.rows)
        if layer.bias is None:
            return Parameters(weights, None)
        if layer.bias_home == "bias" or (layer.bias in self._tensors and layer.bias_home == "new"):
            shift = self.array(layer.bias).astype(np.float64)
        elif layer.bias_home == "batch-norm" and dense is not None:
            before = dense.array(layer.bias).astype(np.float64)
            shift = before - self.array(layer.bias)
        else:
            shift = np.zeros(shape)
        return Parameters(weights, shift.reshape(shape) * layer.scales[:, :, 0])

    def write(self, layer: Layer, parameters: Parameters, dense: NetworkWeights) -> None:
        """Give a layer new weights and a new shift; zeros stay exactly zero."""
        self.set_array(layer.name, layer.from_matrix(parameters.weights))
        if layer.bias is None or parameters.shift is None:
            return
        shift = (parameters.shift / layer.scales[:, :, 0]).ravel()
        if layer.bias_home == "batch-norm":
            shift = dense.array(layer.bias) - shift
        elif layer.bias_home == "new" and layer.bias not in self._tensors:
            if not shift.any():
                return
            self._add_bias(layer, shift)
        stored = tuple(self._tensors[layer.bias].dims)
        self.set_array(layer.bias, shift.reshape(stored).astype(np.float32))

    def take_from(self, other: NetworkWeights, layers: Iterable[Layer]) -> None:
        """Take over every weight, bias and batch-norm value of another network of these layers."""
        for name, tensor in self._tensors.items():
            source = other._tensors.get(name)
            # Constants that are repeated for each picture of a batch differ between batches.
            if source is None or tensor.data_type != onnx.TensorProto.FLOAT:
                continue
            if list(source.dims) == list(tensor.dims):
                tensor.CopyFrom(source)
        for layer in layers:
            added = layer.bias_home == "new" and layer.bias in other._tensors
            if added and layer.bias is not None and layer.bias not in self._tensors:
                self._add_bias(layer, other.array(layer.bias))

    def _add_bias(self, layer: Layer, shift: NDArray[Any]) -> None:
        node = next(n for n in self.model.graph.node if layer.name in n.input)
        tensor = numpy_helper.from_array(shift.astype(np.float32), f"{layer.name}/bias")
        self.model.graph.initializer.append(tensor)
        self._tensors[tensor.name] = self.model.graph.initializer[-1]
        del node.input[2:]
        node.input.append(tensor.name)


def copied(model: onnx.ModelProto) -> onnx.ModelProto:
    """A network of its own with the same weights."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy


def zeros_of(model: onnx.ModelProto, layers: Iterable[Layer]) -> float:
    """The share of the prunable weights that are zero, 0 to 1."""
    weights = NetworkWeights(model)
    arrays = [weights.array(layer.name) for layer in layers if layer.prunable]
    return sum(int(np.count_nonzero(a == 0)) for a in arrays) / sum(a.size for a in arrays)
