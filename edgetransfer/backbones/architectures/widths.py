"""Networks of an architecture's layers with other widths: channel-pruned, or scaled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from edgetransfer.backbones.architectures.layers import (
    INPUT,
    Architecture,
    ConvLayer,
    GateLayer,
    Layer,
    NeckLayer,
    NormLayer,
)
from edgetransfer.errors import BackboneError

ShapeOf = Callable[[str], tuple[int, ...]]
Called = Callable[[str], str]


def with_widths(
    architecture: Architecture, shape_of: ShapeOf, called: Called = str
) -> Architecture:
    """The architecture with the numbers of channels that its weights have.

    Kernels, strides, groups' kinds and connections stay those of the table, so that the result
    is one network only: whatever the widths leave open is refused. He et al., "AMC: AutoML for
    Model Compression and Acceleration on Mobile Devices" (ECCV 2018), publish such networks.

    Parameters
    ----------
    shape_of
        The shape of a parameter by the architecture's own name of it.
    called
        What errors call a parameter, by that name.

    Raises
    ------
    BackboneError
        If the widths do not fit one another, or a shape differs in more than widths.
    """
    channels = {INPUT: 3}
    layers: list[Layer] = []
    for layer in architecture.layers:
        found: Layer = layer
        if isinstance(layer, ConvLayer):
            found = _convolution(layer, channels, shape_of, called)
            channels[layer.name] = found.outputs
        elif isinstance(layer, GateLayer):
            found = _gate(layer, channels[layer.source], shape_of, called)
            channels[layer.name] = found.channels
        elif isinstance(layer, NormLayer):
            found = replace(layer, channels=channels[layer.source])
            channels[layer.name] = found.channels
        else:
            channels[layer.name] = channels[layer.source]
        layers.append(found)
    neck: list[NeckLayer | NormLayer] = []
    width = channels[architecture.layers[-1].name]
    for step in architecture.neck:
        if isinstance(step, NormLayer):
            neck.append(replace(step, channels=width))
            continue
        connected = _neck(step, width, shape_of, called)
        neck.append(connected)
        width = connected.outputs
    return replace(architecture, layers=tuple(layers), neck=tuple(neck))


def _convolution(
    layer: ConvLayer, channels: dict[str, int], shape_of: ShapeOf, called: Called
) -> ConvLayer:
    name = f"{layer.name}.weight"
    shape, inputs = shape_of(name), channels[layer.source]
    if len(shape) != 4:
        raise BackboneError(f"{called(name)!r} has shape {shape}, not {layer.shape}")
    if layer.depthwise:
        groups = inputs
    else:
        groups = inputs // (layer.inputs // layer.groups) if layer.groups > 1 else 1
    found = replace(layer, inputs=inputs, outputs=shape[0], groups=max(groups, 1))
    if found.shape != shape or inputs % found.groups or shape[0] % found.groups:
        wanted = layer.shape if inputs == layer.inputs else (shape[0], *found.shape[1:])
        raise BackboneError(f"{called(name)!r} has shape {shape}, not {wanted}")
    if layer.depthwise and found.outputs != inputs:
        raise BackboneError(f"{called(name)!r} has shape {shape}, but {inputs} channels come in")
    if layer.shortcut is not None and channels[layer.shortcut] != found.outputs:
        raise BackboneError(
            f"{called(name)!r} makes {found.outputs} channels, but {channels[layer.shortcut]} are "
            "to be added to them"
        )
    if layer.entry is not None and channels[layer.entry] == found.outputs:
        raise BackboneError(
            f"{called(name)!r} makes as many channels as come into its block: whether they are "
            "added is not told"
        )
    return found


def _gate(layer: GateLayer, channels: int, shape_of: ShapeOf, called: Called) -> GateLayer:
    found = replace(layer, channels=channels, hidden=shape_of(f"{layer.reduce}.weight")[0])
    for name, shape in found.shapes.items():
        # Gates are written as convolutions of one pixel or as fully connected layers.
        if without_ones(shape_of(name)) != without_ones(shape):
            raise BackboneError(f"{called(name)!r} has shape {shape_of(name)}, not {shape}")
    return found


def _neck(step: NeckLayer, width: int, shape_of: ShapeOf, called: Called) -> NeckLayer:
    found = replace(step, inputs=width, outputs=shape_of(f"{step.name}.weight")[0])
    for name, shape in found.shapes.items():
        if without_ones(shape_of(name)) != without_ones(shape):
            raise BackboneError(f"{called(name)!r} has shape {shape_of(name)}, not {shape}")
    return found


def without_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    """A weight's shape as that of a fully connected layer, where it is of a 1x1 convolution."""
    return shape[:2] if shape[2:] == (1, 1) else shape
