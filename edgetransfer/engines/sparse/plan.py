"""A plan: tensors, operators in order and weights, as the native library takes them.

A tensor here has no batch: (channels, height, width). What has been flattened is a tensor of one
pixel, or, before a matrix multiplication, still an image.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Any

import numpy as np

from edgetransfer.errors import EngineError
from edgetransfer.types import Float32Array

MAGIC = 0x5350525345
PLAN_VERSION = 2  # kPlanVersion in native/src/sparse/network.h
# How far below or right of its image a window may begin; the native library's number.
FARTHEST = 256

Shape = tuple[int, int, int]
Words = np.ndarray[Any, np.dtype[np.int64]]
Integers = np.ndarray[Any, np.dtype[np.int64]]
Weights = np.ndarray[Any, np.dtype[np.floating[Any]]]


class Kind(IntEnum):
    """What an operator does; the native library's numbers."""

    CONVOLUTION = 0
    DEPTHWISE = 1
    MAX_POOL = 2
    AVERAGE_POOL = 3
    GLOBAL_AVERAGE = 4
    ADD = 5
    COPY = 6
    COMBINE = 7
    MOVE = 8
    RESAMPLE = 9
    NORMALISE = 10
    SOFTMAX = 11
    PRODUCT = 12
    CONSTANT = 13


class Combination(IntEnum):
    """How two tensors become one; the native library's numbers."""

    ADD = 0
    SUBTRACT = 1
    MULTIPLY = 2
    DIVIDE = 3
    LARGER = 4
    SMALLER = 5


class Activation(IntEnum):
    """What is applied on the way out; the native library's numbers."""

    NONE = 0
    RELU = 1
    CLIP = 2
    LEAKY = 3
    HARD_SWISH = 4
    SIGMOID = 5
    HARD_SIGMOID = 6
    SILU = 7
    GELU = 8
    GELU_TANH = 9
    TANH = 10
    ERF = 11
    EXP = 12
    SQRT = 13
    ELU = 14
    MISH = 15
    SOFTPLUS = 16


@dataclass(frozen=True, kw_only=True)
class Epilogues:
    """What a kernel can do on the way out: add another tensor, then activate."""

    addition: bool = False
    activation: bool = False


# The native library holds the same table and refuses a plan that asks for more.
EPILOGUES: dict[Kind, Epilogues] = {
    Kind.CONVOLUTION: Epilogues(addition=True, activation=True),
    Kind.DEPTHWISE: Epilogues(addition=True, activation=True),
    Kind.MAX_POOL: Epilogues(activation=True),
    Kind.AVERAGE_POOL: Epilogues(activation=True),
    Kind.GLOBAL_AVERAGE: Epilogues(),
    Kind.ADD: Epilogues(addition=True, activation=True),
    Kind.COPY: Epilogues(),
    Kind.COMBINE: Epilogues(activation=True),
    Kind.MOVE: Epilogues(),
    Kind.RESAMPLE: Epilogues(),
    Kind.NORMALISE: Epilogues(),
    Kind.SOFTMAX: Epilogues(),
    Kind.PRODUCT: Epilogues(),
    Kind.CONSTANT: Epilogues(),
}
# Kinds that have two inputs; of the others a second one is what they add.
OF_TWO = frozenset((Kind.COMBINE, Kind.PRODUCT))


@dataclass(frozen=True, kw_only=True)
class Window:
    """Where a kernel lies: sides, steps and the padding above and left, each (rows, columns)."""

    kernel: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)


@dataclass(frozen=True, eq=False, kw_only=True)
class Mixing:
    """What an operator says that mixes tensors, pixels or channels without a window.

    Parameters
    ----------
    combination
        Of a combination: what becomes of its two tensors. Either may have one channel, row or
        column for all of the output's.
    places
        Of a move: for each channel, row and column of the output a (channel, row, column) of the
        source; the number at (c, y, x) comes from where the three add up to. Three arrays of
        (n, 3) integers.
    between
        Of an interpolation: for each row and each column of the output the two of the source that
        it lies between, (n, 2) integers, and how far from the first, (n,).
    over_pixels
        Of a normalisation: whether groups are of all pixels' channels, not of each pixel's.
    centred
        Of a normalisation: whether the mean is subtracted.
    over_columns
        Of a product, with d = channels of the source / groups: whether the second tensor is
        (groups times columns, 1, d), so that pixels are added up, not (groups times d, 1, columns).
    """

    combination: Combination = Combination.ADD
    places: tuple[Integers, Integers, Integers] | None = None
    between: tuple[tuple[Integers, Weights], tuple[Integers, Weights]] | None = None
    over_pixels: bool = False
    centred: bool = True
    over_columns: bool = False


@dataclass(frozen=True, eq=False, kw_only=True)
class Operator:
    """One operator of a plan; `source`, `second` and `out` are numbers of tensors.

    An addition without a second tensor is an activation alone.

    Parameters
    ----------
    second
        A tensor that is added before the activation, or -1; of a combination or a product the
        other one.
    weights, bias
        Of (out, in / groups, rows, columns) and (out,) for convolutions, of (channels,) both for a
        normalisation; weights alone, of the output's shape, for a constant. Rounded to float32 when
        they are handed over.
    low, high
        The bounds of a clip, the slope of a leaky rectifier and of what ``elu`` comes to, the line
        of a hard sigmoid, the factor within ``silu``; ``low`` is the epsilon of a normalisation.
    offset
        Of a copy: channel, row and column in the output.
    fill
        Of a copy: what stands around the source in the rows that it writes.

    Raises
    ------
    ValueError
        If its kernel cannot do its epilogue; see `EPILOGUES`.
    """

    kind: Kind
    source: int
    out: int
    second: int = -1
    window: Window = field(default_factory=Window)
    groups: int = 1
    weights: Weights | None = None
    bias: Weights | None = None
    activation: Activation = Activation.NONE
    low: float = 0.0
    high: float = 0.0
    fill: float = 0.0
    offset: tuple[int, int, int] = (0, 0, 0)
    counts_padding: bool = False
    name: str = ""
    mixing: Mixing | None = None

    def __post_init__(self) -> None:
        can = EPILOGUES[self.kind]
        if self.second >= 0 and not can.addition and self.kind not in OF_TWO:
            raise ValueError(f"{self.kind.name} adds no other tensor")
        if self.second < 0 and self.kind in OF_TWO:
            raise ValueError(f"{self.kind.name} takes two tensors")
        if self.activation is not Activation.NONE and not can.activation:
            raise ValueError(f"{self.kind.name} activates nothing")

    @property
    def is_convolution(self) -> bool:
        """Whether it has weights."""
        return self.kind in (Kind.CONVOLUTION, Kind.DEPTHWISE)

    @property
    def is_scale(self) -> bool:
        """Whether it is a factor and a number for each channel, and nothing besides."""
        window = self.window
        return (
            self.kind is Kind.DEPTHWISE
            and self.second < 0
            and self.activation is Activation.NONE
            and window.kernel == window.stride == (1, 1)
            and window.padding == (0, 0)
        )

    @property
    def reads(self) -> tuple[int, ...]:
        """The tensors that it reads."""
        if self.kind is Kind.CONSTANT:
            return ()
        return (self.source,) if self.second < 0 else (self.source, self.second)


class Plan:
    """Tensors and operators, in an order in which they can run."""

    def __init__(self) -> None:
        self.shapes: list[Shape] = []
        self.operators: list[Operator] = []
        self.input = 0
        self.output = 0

    def tensor(self, shape: Shape) -> int:
        """A new tensor's number."""
        self.shapes.append(shape)
        return len(self.shapes) - 1

    def add(self, operator: Operator) -> Operator:
        """Append an operator; depthwise convolutions are recognised."""
        channels = self.shapes[operator.source][0]
        if (
            operator.kind is Kind.CONVOLUTION
            and operator.groups == channels == self.shapes[operator.out][0]
            and operator.second < 0
        ):
            operator = replace(operator, kind=Kind.DEPTHWISE)
        self.operators.append(operator)
        return operator

    def release_weights(self) -> None:
        """Let go of the weights; the plan can then be read, but no longer be opened."""
        self.operators = [replace(o, weights=None, bias=None) for o in self.operators]

    def serialise(self) -> tuple[Words, Float32Array]:
        """The plan as one array of int64 and one of float32.

        Raises
        ------
        EngineError
            If a number of it does not fit.
        """
        numbers = _Numbers()
        words = [MAGIC, PLAN_VERSION, len(self.shapes)]
        words += [side for shape in self.shapes for side in shape]
        words += [self.input, self.output, len(self.operators)]
        for operator in self.operators:
            words += _words(operator, numbers)
        try:
            return np.array(words, np.int64), numbers.joined()
        except OverflowError as error:
            raise EngineError("a number of the graph does not fit 64 bits") from error


class _Numbers:
    """Arrays laid end to end."""

    def __init__(self) -> None:
        self._arrays: list[Float32Array] = []
        self._length = 0

    def add(self, array: Weights) -> int:
        at = self._length
        self._arrays.append(np.ascontiguousarray(array, np.float32).reshape(-1))
        self._length += array.size
        return at

    def joined(self) -> Float32Array:
        return np.concatenate(self._arrays) if self._arrays else np.zeros(0, np.float32)


def _words(operator: Operator, numbers: _Numbers) -> Iterator[int]:
    window = operator.window
    yield from (operator.kind, operator.source, operator.second, operator.out)
    yield from (*window.kernel, *window.stride, *window.dilation, *window.padding)
    yield from operator.offset
    yield operator.counts_padding
    yield operator.activation
    yield numbers.add(np.array([operator.low, operator.high, operator.fill], np.float32))
    yield operator.groups
    if operator.is_convolution:
        assert operator.weights is not None
        assert operator.bias is not None
        yield numbers.add(operator.weights)
        yield numbers.add(operator.bias)
    if operator.kind > Kind.COPY:
        yield from _mixing_words(operator, operator.mixing or Mixing(), numbers)


def _mixing_words(operator: Operator, mixing: Mixing, numbers: _Numbers) -> Iterator[int]:
    match operator.kind:
        case Kind.COMBINE:
            yield mixing.combination
        case Kind.MOVE:
            assert mixing.places is not None
            for places in mixing.places:
                yield from places.reshape(-1).tolist()
        case Kind.RESAMPLE:
            assert mixing.between is not None
            for pairs, shares in mixing.between:
                yield from pairs.reshape(-1).tolist()
                yield numbers.add(shares)
        case Kind.NORMALISE:
            assert operator.weights is not None
            assert operator.bias is not None
            yield from (mixing.over_pixels, mixing.centred)
            yield numbers.add(operator.weights)
            yield numbers.add(operator.bias)
        case Kind.PRODUCT:
            yield mixing.over_columns
        case Kind.CONSTANT:
            assert operator.weights is not None
            yield numbers.add(operator.weights)
