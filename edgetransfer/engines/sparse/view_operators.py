"""Lowering of operators that see a tensor in another way, take a part of it or join several."""

from __future__ import annotations

from itertools import pairwise
from math import prod

import numpy as np
import onnx

from edgetransfer.engines.sparse.plan import Integers, Kind, Operator
from edgetransfer.engines.sparse.relaying import layout_of, references
from edgetransfer.engines.sparse.state import Attributes, Lowering, Value
from edgetransfer.engines.sparse.views import Axis, Dimension, Factor, reshaped, without_batch
from edgetransfer.errors import EngineError


def transposed(low: Lowering, node: onnx.NodeProto, a: Attributes) -> Value:
    """Transpose: nothing moves before somebody needs it elsewhere."""
    value = low.any_value(node)
    rank = len(value.view)
    order = [int(i) for i in a.get("perm", range(rank)[::-1])]
    if sorted(order) != list(range(rank)):
        raise EngineError(f"{order} is no order of {rank} axes")
    return low.made(value.tensor, tuple(value.view[i] for i in order))


def flattened(low: Lowering, node: onnx.NodeProto, a: Attributes) -> Value:
    """Flatten."""
    value = low.any_value(node)
    shape = low.full_shape(value)
    axis = int(a.get("axis", 1))
    axis = axis % len(shape) if axis < 0 else axis
    return seen_as(low, value, [prod(shape[:axis]), prod(shape[axis:])])


def reshaped_to(low: Lowering, node: onnx.NodeProto, a: Attributes) -> Value:
    """Reshape, Squeeze and Unsqueeze."""
    value = low.any_value(node)
    before = low.full_shape(value)
    given = low.constant(node, 1)
    numbers = [int(i) for i in (a.get("axes", []) if given is None else given.reshape(-1))]
    array = np.broadcast_to(np.zeros(1, np.int8), before)
    try:
        if node.op_type == "Reshape":
            zero = bool(a.get("allowzero"))
            kept = [before[i] if d == 0 and not zero else d for i, d in enumerate(numbers)]
            after = _resolved(before, kept)
        elif node.op_type == "Squeeze":
            axes = tuple(i % len(before) for i in numbers)
            axes = axes or tuple(i for i, d in enumerate(before) if d == 1 and i > 0)
            after = list(np.squeeze(array, axes).shape)
        else:
            after = list(np.expand_dims(array, tuple(numbers)).shape)
    except (ValueError, IndexError) as error:
        raise EngineError(str(error)) from error
    return seen_as(low, value, after)


def _resolved(before: list[int], wanted: list[int]) -> list[int]:
    """A shape with its -1 worked out."""
    known = int(np.prod([d for d in wanted if d != -1]))
    total = int(np.prod(before))
    if wanted.count(-1) > 1 or known <= 0 or total % known:
        raise ValueError(f"{before} does not become {wanted}")
    after = [total // known if d == -1 else d for d in wanted]
    if int(np.prod(after)) != total:
        raise ValueError(f"{before} does not become {wanted}")
    return after


def seen_as(low: Lowering, value: Value, shape: list[int]) -> Value:
    """The same numbers in another shape; moved where the plan's axes would be torn."""
    seen = reshaped(value.view, shape)
    if seen is None:
        whole = references(value.view, range(len(value.view)))
        value = low.relaid(value, (whole, [], []))
        seen = reshaped(value.view, shape)
    if seen is None:
        raise EngineError(f"it does not reshape {low.full_shape(value)} to {shape}")
    return low.made(value.tensor, seen)


def picked(low: Lowering, value: Value, dimension: int, places: Integers) -> Value:
    """Some places along an axis of the graph, in order; any of them several times.

    Raises
    ------
    EngineError
        If the axis is the batch, or no place is left.
    """
    size = low.full_shape(value)[dimension]
    if without_batch(value.view[dimension]) != value.view[dimension]:
        raise EngineError("it does not cut the batch")
    if len(places) == 0:
        raise EngineError("nothing is left")
    if np.array_equal(places, np.arange(size)):
        return value
    if size == 1:
        return _spread(low, value, {dimension: len(places)})
    if len(value.view[dimension]) > 1:
        # Its factors side by side on one axis of the plan.
        layout = layout_of(value.view)
        own = references(value.view, [dimension])
        rest = [[at for at in axis if at not in own] for axis in layout]
        home = 0 if any(at in layout[0] for at in own) else 2
        rest[home] = [*rest[home], *own]
        value = low.relaid(value, (rest[0], rest[1], rest[2]))
        joined = reshaped(value.view, low.full_shape(value))
        assert joined is not None
        value = low.made(value.tensor, joined)
    return low.relaid(value, layout_of(value.view), {(dimension, 0): np.asarray(places, np.int64)})


def sliced(low: Lowering, node: onnx.NodeProto, a: Attributes) -> Value:
    """Slice."""
    value = low.any_value(node)
    shape = low.full_shape(value)
    given = [low.constant(node, i) for i in range(1, 5)]
    starts, ends, axes, steps = (
        a.get(name) if array is None else array.reshape(-1).tolist()
        for name, array in zip(("starts", "ends", "axes", "steps"), given, strict=True)
    )
    if starts is None or ends is None:
        raise EngineError("it misses where it starts or ends")
    axes = range(len(starts)) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        d = int(axis) % len(shape)
        limit = None if step < 0 and end < -shape[d] else int(end)
        places = np.arange(shape[d])[int(start) : limit : int(step)]
        value = value if len(places) == shape[d] and step > 0 else picked(low, value, d, places)
    return value


def split(low: Lowering, node: onnx.NodeProto, a: Attributes) -> list[Value]:
    """Split."""
    value, given = low.any_value(node), low.constant(node, 1)
    axis = int(a.get("axis", 0)) % len(value.view)
    size, count = low.full_shape(value)[axis], len(node.output)
    parts = a.get("split") if given is None else given.reshape(-1).tolist()
    if not parts:
        whole = -(-size // int(a.get("num_outputs", count)))
        parts = [whole] * (count - 1) + [size - whole * (count - 1)]
    if sum(parts) != size or len(parts) != count:
        raise EngineError(f"it does not split {size} into {parts}")
    ends = np.cumsum([0, *parts])
    return [picked(low, value, axis, np.arange(first, last)) for first, last in pairwise(ends)]


def gathered(low: Lowering, node: onnx.NodeProto, a: Attributes) -> Value:
    """Gather of known places along one axis, of any shape; one place alone ends the axis."""
    value, places = low.any_value(node), low.constant(node, 1)
    if places is None:
        raise EngineError("it gathers from nowhere")
    axis = int(a.get("axis", 0)) % len(value.view)
    size = low.full_shape(value)[axis]
    wanted = np.where(places < 0, places + size, places).reshape(-1)
    if ((wanted < 0) | (wanted >= size)).any():
        raise EngineError("a place is outside of its axis")
    made = picked(low, value, axis, wanted)
    if places.ndim == 1:
        return made
    if places.ndim:
        shape = low.full_shape(made)
        return seen_as(low, made, [*shape[:axis], *places.shape, *shape[axis + 1 :]])
    return low.made(made.tensor, (*made.view[:axis], *made.view[axis + 1 :]))


def expanded(low: Lowering, node: onnx.NodeProto, a: Attributes) -> Value:
    """Expand: axes of one place are repeated."""
    value, given = low.any_value(node), low.constant(node, 1)
    shape = low.full_shape(value)
    wanted = [] if given is None else [int(n) for n in given]
    wanted = [1] * (len(shape) - len(wanted)) + wanted
    if len(wanted) != len(shape) or any(
        1 not in (n, size) and n != size for n, size in zip(wanted, shape, strict=True)
    ):
        raise EngineError(f"it does not expand {shape} to {wanted}")
    repeated = [d for d, n in enumerate(wanted) if d and shape[d] == 1 and n > 1]
    if wanted[0] not in (1, shape[0]):
        raise EngineError("it does not repeat the batch")
    if not repeated:
        return value
    return _spread(low, value, {d: wanted[d] for d in repeated})


def _spread(low: Lowering, value: Value, wanted: dict[int, int]) -> Value:
    """Axes of one place, each as many times as is wanted: factors that lead nowhere."""
    rank = len(value.view)
    if rank == 4:
        value = low.canonical(value)
    view, layout = list(value.view), [list(axis) for axis in layout_of(value.view)]
    for d, n in wanted.items():
        view[d] = (*view[d], Factor(Axis.CHANNEL, n, 0))
        home = 2 if d == rank - 1 else 1 if d == rank - 2 else 0
        layout[home].append((d, len(view[d]) - 1))
    seen = low.made(value.tensor, tuple(view))
    return low.relaid(seen, (layout[0], layout[1], layout[2]))


def depth_to_space(low: Lowering, node: onnx.NodeProto, a: Attributes) -> Value:
    """DepthToSpace and SpaceToDepth, by splitting and joining axes."""
    value, side = low.any_value(node), int(a["blocksize"])
    batch, channels, height, width = low.full_shape(value)
    if node.op_type == "SpaceToDepth":
        split_up = [batch, channels, height // side, side, width // side, side]
        order, after = (0, 3, 5, 1, 2, 4), [channels * side**2, height // side, width // side]
    else:
        own = channels // side**2
        after = [own, height * side, width * side]
        if a.get("mode", "DCR") == "CRD":
            split_up, order = [batch, own, side, side, height, width], (0, 1, 4, 2, 5, 3)
        else:
            split_up, order = [batch, side, side, own, height, width], (0, 3, 4, 1, 5, 2)
    value = seen_as(low, value, split_up)
    value = low.made(value.tensor, tuple(value.view[i] for i in order))
    return seen_as(low, value, [batch, *after])


def concatenated(low: Lowering, node: onnx.NodeProto, a: Attributes) -> Value:
    """Concat of tensors and constants along one axis of the graph."""
    first = next(low.any_value(node, i) for i, n in enumerate(node.input) if n in low.values)
    rank = len(first.view)
    axis = int(a.get("axis", 1)) % rank
    if axis == 0:
        raise EngineError("it does not concatenate along the batch")
    homes = _homes(low, node, rank)
    if homes is None or axis not in homes:
        return _stacked(low, node, axis)
    tensors = [_part(low, node, i, first, homes) for i in range(len(node.input))]
    shapes = [low.plan.shapes[t] for t in tensors]
    along = homes[axis]
    if len({s[:along] + s[along + 1 :] for s in shapes}) > 1:
        raise EngineError("it does not concatenate tensors of different sizes")
    if len(tensors) == 1:
        return first
    whole = list(shapes[0])
    whole[along] = sum(s[along] for s in shapes)
    out = low.plan.tensor((whole[0], whole[1], whole[2]))
    at = [0, 0, 0]
    for tensor, shape in zip(tensors, shapes, strict=True):
        low.plan.add(
            Operator(
                kind=Kind.COPY, source=tensor, out=out, offset=(at[0], at[1], at[2]),
                counts_padding=along > 0,
            )
        )  # fmt: skip
        at[along] += shape[along]
    image = low.made(out)
    view: list[Dimension] = [image.view[0]]
    view += [image.view[homes[d] + 1] if d in homes else () for d in range(1, rank)]
    return low.made(out, tuple(view))


def _stacked(low: Lowering, node: onnx.NodeProto, axis: int) -> Value:
    """Tensors of any rank, one behind the other as the outermost part of the channels."""
    values = [low.any_value(node, i) for i in range(len(node.input))]
    rank = len(values[0].view)
    others = [d for d in range(1, rank) if d != axis]
    shapes = {tuple(low.full_shape(v)[d] for d in others) for v in values}
    channels, rows, columns = layout_of(values[0].view)
    homes = {at[0]: home for home, part in enumerate((channels, rows, columns)) for at in part}
    if len(shapes) > 1 or {len(v.view) for v in values} != {rank}:
        raise EngineError("it does not concatenate tensors of different sizes")
    tensors = []
    for value in values:
        layout: list[list[tuple[int, int]]] = [references(value.view, [axis]), [], []]
        for d in others:
            layout[homes.get(d, 0)] += references(value.view, [d])
        tensors.append(low.relaid(value, (layout[0], layout[1], layout[2])))
    counts = [low.full_shape(v)[axis] for v in values]
    inner = low.shape(tensors[0])[0] // counts[0]
    out = low.plan.tensor((inner * sum(counts), *low.shape(tensors[0])[1:]))
    for value, at in zip(tensors, np.cumsum([0, *counts]).tolist(), strict=False):
        low.plan.add(
            Operator(kind=Kind.COPY, source=value.tensor, out=out, offset=(at * inner, 0, 0))
        )
    view = list(tensors[0].view)
    view[axis] = (Factor(Axis.CHANNEL, sum(counts), inner),)
    return low.made(out, tuple(view))


def _homes(low: Lowering, node: onnx.NodeProto, rank: int) -> dict[int, int] | None:
    """For each axis of the graph the axis of the plan that holds it, as some input has it."""
    for i, name in enumerate(node.input):
        if name not in low.values:
            continue
        view = low.any_value(node, i).view
        axes = [d for d in range(1, rank) if len(view[d]) == 1 and view[d][0].axis > Axis.BATCH]
        homes = {d: int(view[d][0].axis) - 1 for d in axes}
        if len(axes) == rank - 1 and len(set(homes.values())) == rank - 1:
            return homes
    match rank:
        case 4:
            return {1: 0, 2: 1, 3: 2}
        case 3:
            return {1: 2, 2: 0}
        case 2:
            return {1: 0}
    return None


def _part(
    low: Lowering, node: onnx.NodeProto, index: int, like: Value, homes: dict[int, int]
) -> int:
    """A tensor whose axes of the plan are those of the graph."""
    name = node.input[index]
    if name in low.constants:
        array = low.constants[name]
        if array.ndim != len(like.view) or (array != array[:1]).any():
            raise EngineError("a constant differs from image to image")
        order = sorted(homes, key=lambda d: homes[d])
        shape = [1, 1, 1]
        for d in homes:
            shape[homes[d]] = array.shape[d]
        return low.constant_tensor(array[0].transpose([d - 1 for d in order]).reshape(shape))
    value = low.any_value(node, index)
    if len(value.view) != len(like.view) or without_batch(value.view[0]):
        raise EngineError("it does not concatenate tensors of different ranks")
    layout: list[list[tuple[int, int]]] = [[], [], []]
    for d, home in homes.items():
        layout[home] += references(value.view, [d])
    return low.relaid(value, (layout[0], layout[1], layout[2])).tensor
