"""Moving the numbers of a tensor to where an operator can read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

import numpy as np

from edgetransfer.engines.sparse.plan import Integers, Kind, Mixing, Operator, Plan, Shape
from edgetransfer.engines.sparse.views import Axis, Factor, View, without_batch
from edgetransfer.graphs.graph import Array

# A factor of a view: its axis of the graph, and which of that axis' factors.
Reference = tuple[int, int]
Layout = tuple[list[Reference], list[Reference], list[Reference]]
AXES = (Axis.CHANNEL, Axis.ROW, Axis.COLUMN)


def references(view: View, dimensions: Sequence[int]) -> list[Reference]:
    """The factors of some axes of the graph, in their order."""
    return [
        (d, i)
        for d in dimensions
        for i, factor in enumerate(view[d])
        if factor.axis is not Axis.BATCH
    ]


def layout_of(view: View) -> Layout:
    """How a view's factors lie in the plan: for each axis the outermost first."""
    channels, rows, columns = (
        sorted(
            ((d, i) for d, dim in enumerate(view) for i, f in enumerate(dim) if f.axis is axis),
            key=lambda at: -view[at[0]][at[1]].stride,
        )
        for axis in AXES
    )
    return channels, rows, columns


def relay(
    plan: Plan, tensor: int, view: View, layout: Layout, picks: Mapping[Reference, Integers]
) -> tuple[int, View]:
    """A tensor whose axes are factors of a view in another order; itself where they are not.

    Parameters
    ----------
    picks
        Of some factors, which of their places are taken, in order; any number of them.
    """
    tables, strides = [], {}
    for axis, order in zip(AXES, layout, strict=True):
        places = np.zeros((1, 3), np.int64)
        inner = 1
        counts = [len(picks[r]) if r in picks else view[r[0]][r[1]].size for r in order]
        for reference, count in zip(reversed(order), reversed(counts), strict=True):
            strides[reference] = Factor(axis, count, inner)
            inner *= count
        for reference, count in zip(order, counts, strict=True):
            factor = view[reference[0]][reference[1]]
            steps = np.zeros((count, 3), np.int64)
            chosen = picks.get(reference, np.arange(count, dtype=np.int64))
            steps[:, factor.axis - 1] = chosen * factor.stride
            places = (places[:, None, :] + steps[None, :, :]).reshape(-1, 3)
        tables.append(places)
    seen = tuple(
        tuple(strides.get((d, i), factor) for i, factor in enumerate(dimension))
        for d, dimension in enumerate(view)
    )
    shape = (len(tables[0]), len(tables[1]), len(tables[2]))
    return _moved(plan, tensor, shape, (tables[0], tables[1], tables[2])), _without_points(seen)


def _without_points(view: View) -> View:
    return tuple(
        tuple(f for f in dimension if f.size > 1 or f.axis is Axis.BATCH) for dimension in view
    )


def _moved(
    plan: Plan, tensor: int, shape: Shape, places: tuple[Integers, Integers, Integers]
) -> int:
    before = plan.shapes[tensor]
    stays = [
        shape[i] == before[i] and (places[i] == np.arange(shape[i])[:, None] * np.eye(3)[i]).all()
        for i in range(3)
    ]
    if all(stays):
        return tensor
    out = plan.tensor(shape)
    if stays[1] and stays[2] and not places[0][:, 1:].any():
        return _selected(plan, tensor, out, places[0][:, 0])
    plan.add(Operator(kind=Kind.MOVE, source=tensor, out=out, mixing=Mixing(places=places)))
    return out


def _selected(plan: Plan, tensor: int, out: int, channels: Integers) -> int:
    """Channels in another order, as a convolution of one weight each: it tiles and it fuses."""
    weights = np.zeros((len(channels), plan.shapes[tensor][0], 1, 1), np.float32)
    weights[np.arange(len(channels)), channels] = 1
    plan.add(
        Operator(
            kind=Kind.CONVOLUTION, source=tensor, out=out, weights=weights,
            bias=np.zeros(len(channels), np.float32),
        )
    )  # fmt: skip
    return out


def laid_out(array: Array, view: View, shape: Shape) -> Array:
    """A constant that spreads to a view's shape, as the plan has that.

    Parameters
    ----------
    array
        Of the view's rank, 1 along its batch; each axis whole or 1.
    shape
        Channels, rows and columns of the plan's tensor.

    Returns
    -------
    Array
        Of (channels or 1, rows or 1, columns or 1): an axis is 1 where the constant is the same all
        along it.
    """
    factors: list[Factor] = []
    split: list[int] = []
    for d, dimension in enumerate(view):
        own = without_batch(dimension)
        factors += own
        split += [f.size if array.shape[d] > 1 else 1 for f in own]
    order = sorted(range(len(factors)), key=lambda i: (factors[i].axis, -factors[i].stride))
    turned = array.reshape(split).transpose(order)
    made: list[int] = []
    wide = list(turned.shape)
    at = 0
    for axis in AXES:
        own_sizes = [factors[i].size for i in order if factors[i].axis is axis]
        here = wide[at : at + len(own_sizes)]
        if any(n > 1 for n in here):  # whole, whatever part of it the constant differs along
            wide[at : at + len(own_sizes)] = own_sizes
        made.append(prod(wide[at : at + len(own_sizes)]))
        at += len(own_sizes)
    return np.broadcast_to(turned, wide).reshape(made)
