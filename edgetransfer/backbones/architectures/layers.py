"""What an architecture is written in: a table of layers, in the order in which they run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

INPUT = "input"
Activation = Literal["relu", "relu6"]


@dataclass(frozen=True, kw_only=True)
class ConvLayer:
    """A convolution, its batch-norm, then perhaps a sum with a shortcut, then an activation.

    Parameters
    ----------
    name
        The convolution's prefix in a state dict: its weights are ``NAME.weight``. The layer's
        output goes by this name in `source` and `shortcut`.
    norm
        The batch-norm's prefix in a state dict.
    source
        The layer whose output it reads, or ``input``.
    inputs, outputs
        Channels.
    kernel, stride
        Side of the square kernel and its step, in pixels; the padding is ``kernel // 2``.
    groups
        Groups of channels; as many as there are inputs for a depthwise convolution.
    activation
        None for a linear output.
    shortcut
        The layer whose output is added after the batch-norm, before the activation.
    """

    name: str
    norm: str
    source: str
    inputs: int
    outputs: int
    kernel: int
    stride: int = 1
    groups: int = 1
    activation: Activation | None = "relu"
    shortcut: str | None = None

    @property
    def pads(self) -> tuple[int, int, int, int]:
        """Pixels added at the top, left, bottom and right."""
        margin = self.kernel // 2
        return margin, margin, margin, margin

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """The shape of the weights: (outputs, inputs per group, kernel, kernel)."""
        return self.outputs, self.inputs // self.groups, self.kernel, self.kernel


@dataclass(frozen=True, kw_only=True)
class PoolLayer:
    """The maximum over windows of ``kernel`` pixels.

    ``pads`` are pixels added at the top, left, bottom and right.
    """

    name: str
    source: str
    kernel: int
    stride: int
    pads: tuple[int, int, int, int]


Layer = ConvLayer | PoolLayer


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """An image network up to its global average pooling, and its classifier's name.

    Parameters
    ----------
    name
        Its name in torchvision, where it is there.
    layers
        In the order in which they run; features are the last one's output, averaged over
        positions.
    classifier
        The fully connected layer's prefix in a state dict.
    """

    name: str
    layers: tuple[Layer, ...]
    classifier: str

    @property
    def convolutions(self) -> Iterator[ConvLayer]:
        """The layers with weights, in the order in which they run."""
        return (layer for layer in self.layers if isinstance(layer, ConvLayer))

    @property
    def dimension(self) -> int:
        """The length of a feature vector."""
        return list(self.convolutions)[-1].outputs

    def parameter_shapes(self, classes: int = 0) -> dict[str, tuple[int, ...]]:
        """The trained parameters by their names in a state dict, without running statistics.

        Parameters
        ----------
        classes
            Outputs of the classifier; none are listed for 0.
        """
        shapes: dict[str, tuple[int, ...]] = {}
        for layer in self.convolutions:
            shapes[f"{layer.name}.weight"] = layer.shape
            shapes[f"{layer.norm}.weight"] = (layer.outputs,)
            shapes[f"{layer.norm}.bias"] = (layer.outputs,)
        if classes:
            shapes[f"{self.classifier}.weight"] = (classes, self.dimension)
            shapes[f"{self.classifier}.bias"] = (classes,)
        return shapes
