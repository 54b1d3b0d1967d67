"""How the graph sees a tensor of the plan: what each of its axes is made of.

A tensor of the plan is (channels, rows, columns) for each image; the graph may see it transposed,
split and joined in any way without a number being moved. A view names, for each axis of the graph,
factors of the plan's axes, outermost first: the heads of an attention are an outer factor of the
channels, tokens are rows and columns joined.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from math import prod

from edgetransfer.engines.sparse.plan import Shape


class Axis(IntEnum):
    """An axis of the plan; the batch is the images themselves."""

    BATCH = 0
    CHANNEL = 1
    ROW = 2
    COLUMN = 3


@dataclass(frozen=True)
class Factor:
    """A part of an axis of the plan: so many steps of so many places."""

    axis: Axis
    size: int
    stride: int = 1


Dimension = tuple[Factor, ...]
View = tuple[Dimension, ...]


def factors_of(batch: int, shape: Shape) -> tuple[Dimension, Dimension, Dimension, Dimension]:
    """Batch, channels, rows and columns whole; what has one place is left out, but the batch."""
    channels, rows, columns = (
        (Factor(axis, size),) if size > 1 else ()
        for axis, size in zip((Axis.CHANNEL, Axis.ROW, Axis.COLUMN), shape, strict=True)
    )
    return (Factor(Axis.BATCH, batch),), channels, rows, columns


def image_view(batch: int, shape: Shape) -> View:
    """(batch, channels, rows, columns)."""
    return factors_of(batch, shape)


def flat_view(batch: int, shape: Shape) -> View:
    """(batch, features)."""
    images, *others = factors_of(batch, shape)
    return images, tuple(factor for dimension in others for factor in dimension)


def sizes(view: View) -> list[int]:
    """The shape that the graph sees."""
    return [prod(factor.size for factor in dimension) for dimension in view]


def joined(dimension: Dimension) -> Dimension:
    """With factors that follow each other made one."""
    made: list[Factor] = []
    for factor in dimension:
        last = made[-1] if made else None
        if last and last.axis is factor.axis and last.stride == factor.size * factor.stride:
            made[-1] = Factor(factor.axis, last.size * factor.size, factor.stride)
        else:
            made.append(factor)
    return tuple(made)


def reshaped(view: View, shape: list[int]) -> View | None:
    """The view of the same numbers in another shape, or None if a factor would be torn."""
    left = list(joined(tuple(factor for dimension in view for factor in dimension)))
    made: list[Dimension] = []
    for size in shape:
        rest, taken = size, []
        while left and (rest > 1 or left[0].size == 1):
            first = left.pop(0)
            if rest % first.size == 0:
                taken.append(first)
                rest //= first.size
            elif first.size % rest == 0 and first.axis is not Axis.BATCH:
                inner = first.size // rest
                taken.append(Factor(first.axis, rest, first.stride * inner))
                left.insert(0, Factor(first.axis, inner, first.stride))
                rest = 1
            else:
                return None
            if rest == 1 and first.size > 1:
                break
        if rest != 1:
            return None
        made.append(joined(tuple(taken)))
    return None if left else tuple(made)


def without_batch(dimension: Dimension) -> Dimension:
    """Its factors that are places within an image."""
    return tuple(factor for factor in dimension if factor.axis is not Axis.BATCH)


def is_canonical(view: View, wanted: View) -> bool:
    """Whether two views see the same numbers at the same places."""
    return tuple(joined(d) for d in view) == tuple(joined(d) for d in wanted)
