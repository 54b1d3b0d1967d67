"""Which channels cannot change a network's outputs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx

from edgetransfer.graphs.compact.channels import Bools, Channels, Layer, number_channels
from edgetransfer.graphs.compact.constants import Values, constant_channels, foldable
from edgetransfer.types import IntArray


@dataclass(frozen=True, kw_only=True)
class LayerChannels:
    """The channels of one layer.

    Parameters
    ----------
    weights
        The name of its weights.
    inputs, outputs
        How many it has.
    dead_inputs
        Inputs that it does not need: all their weights are zero, or their value never changes
        and a bias can stand in for it.
    cut_inputs, cut_outputs
        How many can be cut away; a dead input stays where another layer needs the channel.
    """

    weights: str
    inputs: int
    outputs: int
    dead_inputs: int
    cut_inputs: int
    cut_outputs: int


@dataclass(frozen=True, kw_only=True)
class DeadChannels:
    """What `find_dead_channels` found.

    Parameters
    ----------
    layers
        The layers that are understood, in graph order.
    channels, constants
        The analysis itself, for `compact`.
    live
        The roots of channels that must stay.
    """

    layers: tuple[LayerChannels, ...]
    channels: Channels
    constants: Values
    live: frozenset[int]

    @property
    def cut_outputs(self) -> int:
        """How many output channels of layers can be cut away in all."""
        return sum(layer.cut_outputs for layer in self.layers)

    def kept(self, tensor: str) -> Bools | None:
        """Which channels of a tensor stay, (C,) bool; None if all do."""
        if tensor not in self.channels.of:
            return None
        kept = np.array([root in self.live for root in self.channels.roots(tensor).tolist()])
        return None if kept.all() else kept


def find_dead_channels(
    model: onnx.ModelProto, *, keep: frozenset[str] = frozenset()
) -> DeadChannels:
    """Find what can be cut away without changing any output.

    A channel stays if an output depends on it. It goes if nobody reads it, or if its value is
    constant and whoever reads it can take that up in a bias: without padding exactly so, with
    padding for zero alone. What residual sums, batch-norms, activations and depthwise
    convolutions tie together stays or goes together. Grouped convolutions, reshapes and operators
    that are not known here keep what they read.

    Parameters
    ----------
    model
        In canonical form.
    keep
        Tensors that must keep all their channels, beside the graph's outputs.
    """
    channels = number_channels(model, keep)
    constants = constant_channels(model, channels)
    live = _live(channels, constants)
    found = DeadChannels(layers=(), channels=channels, constants=constants, live=frozenset(live))
    return DeadChannels(
        layers=tuple(_described(layer, found) for layer in channels.layers),
        channels=channels,
        constants=constants,
        live=found.live,
    )


def _live(channels: Channels, constants: Values) -> set[int]:
    """The roots that must stay: from the outputs back, to where nothing changes."""
    live = {channels.root(number) for number in channels.pinned}
    roots = {name: channels.roots(name) for name in channels.of}
    while True:
        _spread(channels, constants, roots, live)
        empty = [
            layer.node.output[0]
            for layer in channels.layers
            if live.isdisjoint(roots[layer.node.output[0]].tolist())
        ]
        if not empty:
            return live
        live.add(int(roots[empty[-1]][0]))  # a tensor has one channel at least


def _spread(
    channels: Channels, constants: Values, roots: dict[str, IntArray], live: set[int]
) -> None:
    """Add everything that live channels need."""
    before = -1
    while len(live) != before:
        before = len(live)
        for layer in reversed(channels.layers):
            source = layer.node.input[0]
            if layer.depthwise or source not in roots:
                continue
            outputs = np.array([root in live for root in roots[layer.node.output[0]].tolist()])
            needed = layer.reaches[outputs].any(axis=0) & ~foldable(layer, constants[source])
            live.update(roots[source][needed].tolist())


def _described(layer: Layer, found: DeadChannels) -> LayerChannels:
    source, output = layer.node.input[0], layer.node.output[0]
    inputs = len(layer.reaches) if layer.depthwise else layer.reaches.shape[1]
    dead = ~(layer.reaches[:, 0] if layer.depthwise else layer.reaches.any(axis=0))
    if source in found.constants:
        dead = dead | foldable(layer, found.constants[source])
    cut = {}
    for tensor in (source, output):
        kept = found.kept(tensor)
        cut[tensor] = 0 if kept is None else int(np.count_nonzero(~kept))
    return LayerChannels(
        weights=layer.weights,
        inputs=inputs,
        outputs=len(layer.reaches),
        dead_inputs=int(np.count_nonzero(dead)),
        cut_inputs=cut[source],
        cut_outputs=cut[output],
    )
