"""What an architecture is written in: a table of layers, in the order in which they run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

INPUT = "input"
Activation = Literal["relu", "relu6", "silu", "hardswish", "gelu"]
Gate = Literal["sigmoid", "hardsigmoid"]
Padding = Literal["symmetric", "same"]


@dataclass(frozen=True, kw_only=True)
class ConvLayer:
    """A convolution, its batch-norm, then perhaps a sum with a shortcut, then an activation.

    Parameters
    ----------
    name
        The convolution's prefix in a state dict: its weights are ``NAME.weight``. The layer's
        output goes by this name in `source` and `shortcut`.
    norm
        The batch-norm's prefix in a state dict; empty for a layer with a bias and none.
    source
        The layer whose output it reads, or ``input``.
    inputs, outputs
        Channels.
    kernel, stride
        Side of the square kernel and its step, in pixels.
    groups
        Groups of channels; as many as there are inputs for a depthwise convolution.
    activation
        None for a linear output.
    shortcut
        The layer whose output is added after the batch-norm, before the activation.
    scale
        The parameter that multiplies each channel before the sum, if there is one.
    padded
        Whether the input is padded at all.
    entry
        For the last layer of a block without a shortcut: the layer whose output would be added
        if it had as many channels.
    """

    name: str
    source: str
    norm: str = ""
    inputs: int
    outputs: int
    kernel: int
    stride: int = 1
    groups: int = 1
    activation: Activation | None = "relu"
    shortcut: str | None = None
    scale: str | None = None
    padded: bool = True
    entry: str | None = None

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """The shape of the weights: (outputs, inputs per group, kernel, kernel)."""
        return self.outputs, self.inputs // self.groups, self.kernel, self.kernel

    @property
    def depthwise(self) -> bool:
        """Whether each channel is filtered by itself."""
        return self.groups == self.inputs == self.outputs > 1

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the trained parameters by name, without a bias beside a batch-norm."""
        channels = (self.outputs,)
        own: dict[str, tuple[int, ...]] = {f"{self.name}.weight": self.shape}
        if self.norm:
            return own | {f"{self.norm}.weight": channels, f"{self.norm}.bias": channels}
        return (
            own | {f"{self.name}.bias": channels} | ({self.scale: channels} if self.scale else {})
        )


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


@dataclass(frozen=True, kw_only=True)
class GateLayer:
    """Squeeze and excitation: channels scaled by what a small network makes of their means.

    Hu et al., "Squeeze-and-Excitation Networks" (CVPR 2018): two 1x1 convolutions with biases
    on the globally averaged input, an activation between them, a gate in 0 to 1 behind.

    Parameters
    ----------
    name
        Its output's name.
    reduce, expand
        The two convolutions' prefixes in a state dict.
    channels, hidden
        Of its input and output, and between the convolutions.
    """

    name: str
    reduce: str
    expand: str
    source: str
    channels: int
    hidden: int
    activation: Activation
    gate: Gate = "sigmoid"

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the parameters by name."""
        return {
            f"{self.reduce}.weight": (self.hidden, self.channels, 1, 1),
            f"{self.reduce}.bias": (self.hidden,),
            f"{self.expand}.weight": (self.channels, self.hidden, 1, 1),
            f"{self.expand}.bias": (self.channels,),
        }


@dataclass(frozen=True, kw_only=True)
class NeckLayer:
    """A fully connected layer between the pooling and the features, and its activation."""

    name: str
    inputs: int
    outputs: int
    activation: Activation

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the parameters by name."""
        return {
            f"{self.name}.weight": (self.outputs, self.inputs),
            f"{self.name}.bias": (self.outputs,),
        }


@dataclass(frozen=True, kw_only=True)
class NormLayer:
    """Layer normalisation over the channels of each position (Ba et al., 2016)."""

    name: str
    source: str
    channels: int
    epsilon: float = 1e-6

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the parameters by name."""
        return {f"{self.name}.weight": (self.channels,), f"{self.name}.bias": (self.channels,)}


Layer = ConvLayer | PoolLayer | GateLayer | NormLayer


@dataclass(frozen=True, kw_only=True)
class Conventions:
    """What parameters do not tell of the network that they were trained in.

    Parameters
    ----------
    activation
        In place of each convolution's own; None to keep those.
    padding
        ``symmetric``: ``kernel // 2`` pixels on every side. ``same``: TensorFlow's, by which a
        layer's output has ceil(side / stride) pixels and an odd pixel more stands at the bottom
        and right; it depends on the size of the input.
    epsilon
        Added to the variances of the batch-norms.
    """

    activation: Activation | None = None
    padding: Padding = "symmetric"
    epsilon: float = 1e-5


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """An image network up to its features, and its classifier's name.

    Parameters
    ----------
    name
        Its name in torchvision, where it is there.
    layers
        In the order in which they run; features are the last one's output, averaged over
        positions, and then through the neck.
    classifier
        The fully connected layer's prefix in a state dict.
    neck
        Fully connected and normalising layers before the features.
    conventions
        What else its layers have in common.
    """

    name: str
    layers: tuple[Layer, ...]
    classifier: str
    neck: tuple[NeckLayer | NormLayer, ...] = ()
    conventions: Conventions = field(default_factory=Conventions)

    @property
    def convolutions(self) -> Iterator[ConvLayer]:
        """The convolutions of the table, in the order in which they run; not those of gates."""
        return (layer for layer in self.layers if isinstance(layer, ConvLayer))

    @property
    def others(self) -> Iterator[GateLayer | NeckLayer | NormLayer]:
        """What else has parameters, in the order in which it runs."""
        yield from (layer for layer in self.layers if isinstance(layer, GateLayer | NormLayer))
        yield from self.neck

    @property
    def pooled(self) -> int:
        """Channels of the last layer."""
        return list(self.convolutions)[-1].outputs

    @property
    def dimension(self) -> int:
        """The length of a feature vector."""
        connected = [step for step in self.neck if isinstance(step, NeckLayer)]
        return connected[-1].outputs if connected else self.pooled

    def under(self, conventions: Conventions) -> Architecture:
        """The same layers, trained under other conventions."""
        return replace(self, conventions=conventions)

    def parameter_shapes(self, classes: int = 0) -> dict[str, tuple[int, ...]]:
        """The trained parameters by their names in a state dict, without running statistics.

        Parameters
        ----------
        classes
            Outputs of the classifier; none are listed for 0.
        """
        shapes: dict[str, tuple[int, ...]] = {}
        for layer in self.layers:
            if not isinstance(layer, PoolLayer):
                shapes |= layer.shapes
        for step in self.neck:
            shapes |= step.shapes
        if classes:
            shapes[f"{self.classifier}.weight"] = (classes, self.dimension)
            shapes[f"{self.classifier}.bias"] = (classes,)
        return shapes
