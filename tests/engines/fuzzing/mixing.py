"""Random steps that cut, join, reorder, normalise and multiply tensors."""

from __future__ import annotations

import numpy as np

from tests.engines.fuzzing.growth import Growth, Step, Tensor


def _cut(g: Growth, x: str, axis: int, size: int) -> tuple[str, int]:
    """A slice along an axis, sometimes backwards or with steps; its name and length."""
    step = g.integer(1, 2)
    first = g.integer(0, size - 1)
    last = g.integer(first + 1, size)
    kept = len(range(first, last, step))
    if g.net.opset < 10:
        if step > 1:
            return x, size
        return g.node("Slice", x, starts=[first], ends=[last], axes=[axis]), kept
    if g.chance(0.2):
        first, last, step, kept = -1, -100, -1, size
    inputs = (g.integers([n]) for n in (first, last, axis, step))
    return g.node("Slice", x, *inputs), kept


def sliced(g: Growth, x: Tensor) -> Tensor | None:
    if x.flat and not x.point:
        return None
    axis = 1 if x.flat else g.integer(1, 3)
    shape = list(x.shape)
    name, shape[axis - 1] = _cut(g, x.name, axis, shape[axis - 1])
    return g.made(name, tuple(shape), flat=x.flat)


def split(g: Growth, x: Tensor) -> Tensor | None:
    """In two, and joined again the other way round."""
    if x.shape[0] < 2 or (x.flat and not x.point):
        return None
    first = g.integer(1, x.shape[0] - 1)
    parts = [first, x.shape[0] - first]
    inputs, attributes = [x.name], {"axis": 1, "split": parts}
    if g.net.opset >= 13:
        inputs, attributes = [x.name, g.integers(parts)], {"axis": 1}
    one = g.node("Split", *inputs, **attributes)
    g.net.nodes[-1].output.append(f"{one}_rest")
    pair = [g.node("Relu", one), f"{one}_rest"]
    return g.renamed(x, g.node("Concat", *reversed(pair), axis=1))


def gathered(g: Growth, x: Tensor) -> Tensor | None:
    if x.flat and not x.point:
        return None
    axis = 1 if x.flat else g.integer(1, 3)
    shape = list(x.shape)
    places = g.rng.integers(0, shape[axis - 1], g.integer(1, shape[axis - 1]))
    if shape[axis - 1] == 1:
        places = np.zeros(1, np.int64)
    shape[axis - 1] = len(places)
    name = g.node("Gather", x.name, g.integers(places.tolist()), axis=axis)
    return g.made(name, tuple(shape), flat=x.flat)


def shuffled(g: Growth, x: Tensor) -> Tensor | None:
    """Channels or pixels in another order: Reshape, Transpose, Reshape."""
    if x.flat:
        return None
    channels, height, width = x.shape
    groups = int(g.rng.choice([n for n in range(1, channels + 1) if channels % n == 0]))
    five = g.integers([g.batch, groups, channels // groups, height, width])
    turned = g.node("Transpose", g.node("Reshape", x.name, five), perm=[0, 2, 1, 3, 4])
    if g.chance(0.3):  # rows and columns too
        turned = g.node("Transpose", turned, perm=[0, 1, 2, 4, 3])
        height, width = width, height
    four = g.integers([g.batch, channels, height, width])
    return g.made(g.node("Reshape", turned, four), (channels, height, width))


def _tokens(g: Growth, x: Tensor) -> str:
    """(batch, pixels, channels)."""
    channels, height, width = x.shape
    flat = g.node("Reshape", x.name, g.integers([g.batch, channels, height * width]))
    return g.node("Transpose", flat, perm=[0, 2, 1])


def _image(g: Growth, tokens: str, shape: tuple[int, int, int]) -> Tensor:
    back = g.node("Transpose", tokens, perm=[0, 2, 1])
    return g.made(g.node("Reshape", back, g.integers([g.batch, *shape])), shape)


def attended(g: Growth, x: Tensor) -> Tensor | None:
    """Self-attention over pixels, its first token of numbers alone at times."""
    channels, height, width = x.shape
    count = height * width
    if x.flat or count > 80:
        return None
    tokens = _tokens(g, x)
    heads, own = g.integer(1, 3), g.integer(1, 4)
    if first := g.chance(0.4):
        token = np.repeat(g.rng.normal(size=(1, 1, channels)), g.batch, 0)
        tokens = g.node("Concat", g.net.constant(token), tokens, axis=1)
        count += 1
    if g.chance(0.5):
        tokens = g.node("Add", tokens, g.net.constant(g.rng.normal(size=(1, count, channels))))
    split = g.integers([g.batch, count, heads, own])
    parts = []
    for _ in range(3):
        weights = g.net.constant(g.rng.normal(size=(channels, heads * own)) / np.sqrt(channels))
        made = g.node("Reshape", g.node("MatMul", tokens, weights), split)
        parts.append(made)
    query, value = (g.node("Transpose", parts[i], perm=[0, 2, 1, 3]) for i in (0, 2))
    key = g.node("Transpose", parts[1], perm=[0, 2, 3, 1])
    scores = g.node("Div", g.node("MatMul", query, key), g.net.constant(np.sqrt(own)))
    mixed = g.node("MatMul", g.node("Softmax", scores, axis=3), value)
    mixed = g.node("Transpose", mixed, perm=[0, 2, 1, 3])
    mixed = g.node("Reshape", mixed, g.integers([g.batch, count, heads * own]))
    if first:
        rest = [g.integers([n]) for n in (1, count, 1)]
        mixed = g.node("Slice", mixed, *rest)
    return _image(g, mixed, (heads * own, height, width))


def softmax(g: Growth, x: Tensor) -> Tensor | None:
    if g.chance(0.5) and g.net.opset >= 13:
        return attended(g, x)
    if x.flat and not x.point:
        return None
    axis = 1 if x.flat or g.net.opset < 13 else g.integer(1, 3)
    if g.net.opset < 13 and not x.point:
        return None
    return g.renamed(x, g.node("Softmax", x.name, axis=axis))


def layer_normalisation(g: Growth, x: Tensor) -> Tensor | None:
    """Over channels, written out at times; the affine part is there or not."""
    if x.flat:
        return None
    if x.shape[0] < 3:
        x = g.made(g.net.conv(x.name, (x.shape[0], 5)), (5, *x.shape[1:]))
    channels = x.shape[0]
    last = g.node("Transpose", x.name, perm=[0, 2, 3, 1])
    scale = g.net.constant(g.numbers(channels))
    if g.net.opset >= 17:
        shift = g.net.constant(g.rng.normal(size=channels))
        made = g.node("LayerNormalization", last, scale, shift, axis=-1, epsilon=1e-3)
    else:
        apart = g.node("Sub", last, g.net.mean_over(last, [-1], keep=1))
        squared = g.node("Pow", apart, g.net.constant(2.0))
        variance = g.net.mean_over(squared, [-1], keep=1)
        root = g.node("Sqrt", g.node("Add", variance, g.net.constant(1e-3)))
        made = g.node("Mul", g.node("Div", apart, root), scale)
    return g.renamed(x, g.node("Transpose", made, perm=[0, 3, 1, 2]))


def instance_normalisation(g: Growth, x: Tensor) -> Tensor | None:
    """Of each channel, or of groups as torch writes them."""
    if x.flat or x.shape[1] * x.shape[2] < 4:
        return None
    channels = x.shape[0]
    groups = int(g.rng.choice([n for n in range(1, channels + 1) if channels % n == 0]))
    numbers = [g.net.constant(g.numbers(groups)), g.net.constant(g.rng.normal(size=groups))]
    if groups == channels:
        return g.renamed(x, g.node("InstanceNormalization", x.name, *numbers, epsilon=1e-3))
    rows = g.node("Reshape", x.name, g.integers([g.batch, groups, -1]))
    made = g.node("InstanceNormalization", rows, *numbers, epsilon=1e-3)
    return g.renamed(x, g.node("Reshape", made, g.integers([g.batch, *x.shape])))


def group_normalisation(g: Growth, x: Tensor) -> Tensor | None:
    if x.flat or g.net.opset < 21 or x.shape[1] * x.shape[2] < 4:
        return None
    channels = x.shape[0]
    groups = int(g.rng.choice([n for n in range(1, channels + 1) if channels % n == 0]))
    numbers = [g.net.constant(g.numbers(channels)) for _ in range(2)]
    name = g.node("GroupNormalization", x.name, *numbers, num_groups=groups, epsilon=1e-3)
    return g.renamed(x, name)


def space_to_depth(g: Growth, x: Tensor) -> Tensor | None:
    if x.flat:
        return None
    if x.shape[0] > 5:
        x = g.made(g.net.conv(x.name, (x.shape[0], 3)), (3, *x.shape[1:]))
    channels, height, width = x.shape
    if height % 2 or width % 2:
        down, right = height % 2, width % 2
        pads = [0, 0, down, right, 0, 0, 0, 0]
        given = {"pads": pads} if g.net.opset < 11 else {}
        more = [] if given else [g.integers(pads)]
        name = g.node("Pad", x.name, *more, **given)
        channels, height, width = x.shape[0], height + down, width + right
        x = g.made(name, (channels, height, width))
    name = g.node("SpaceToDepth", x.name, blocksize=2)
    return g.made(name, (4 * channels, height // 2, width // 2))


def depth_to_space(g: Growth, x: Tensor) -> Tensor | None:
    if x.flat or x.shape[1] * x.shape[2] > 400:
        return None
    if x.shape[0] % 4:
        x = g.made(g.net.conv(x.name, (x.shape[0], 8)), (8, *x.shape[1:]))
    channels, height, width = x.shape
    mode = {"mode": ["DCR", "CRD"][g.integer(0, 1)]} if g.net.opset >= 11 else {}
    name = g.node("DepthToSpace", x.name, blocksize=2, **mode)
    return g.made(name, (channels // 4, 2 * height, 2 * width))


def expanded(g: Growth, x: Tensor) -> Tensor | None:
    if not x.flat and g.chance(0.5):  # a gate for each channel, as large as its tensor
        pooled = g.node("Sigmoid", g.node("GlobalAveragePool", x.name))
        gate = g.node("Expand", pooled, g.integers([g.batch, *x.shape]))
        return g.renamed(x, g.node("Mul", gate, x.name))
    shape = [1, x.features] if x.flat else [1, 1, *x.shape[1:]]
    return g.renamed(x, g.node("Expand", x.name, g.integers(shape)))


def reduced(operator: str) -> Step:
    """Over channels, rows or columns, or all pixels."""

    def step(g: Growth, x: Tensor) -> Tensor | None:
        if x.flat:
            return None
        axes = [[1], [2], [3], [2, 3]][g.integer(0, 3)]
        if operator == "ReduceMax":
            axes = [2, 3]
        since = 13 if operator == "ReduceSum" else 18
        if g.net.opset >= since:
            name = g.node(operator, x.name, g.integers(axes), keepdims=1)
        else:
            name = g.node(operator, x.name, axes=axes, keepdims=1)
        if operator == "ReduceSum":  # of the size of a mean
            count = float(np.prod([x.shape[a - 1] for a in axes]))
            name = g.node("Div", name, g.net.constant(count))
        shape = [1 if i + 1 in axes else n for i, n in enumerate(x.shape)]
        return g.made(name, tuple(shape))

    return step


def resized(g: Growth, x: Tensor) -> Tensor | None:
    """Nearest or linear, by scales or sizes, in the modes that torch and TensorFlow export."""
    channels, height, width = x.shape
    if x.flat or g.net.opset < 11 or height * width > 400:
        return None
    sides = [g.integer(1, 2 * height), g.integer(1, 2 * width)]
    if g.chance(0.5):
        sides = [2 * height, 2 * width]
    how = [
        {
            "mode": "nearest",
            "coordinate_transformation_mode": "asymmetric",
            "nearest_mode": "floor",
        },
        {"mode": "nearest", "coordinate_transformation_mode": "half_pixel"},
        {"mode": "linear", "coordinate_transformation_mode": "half_pixel"},
        {"mode": "linear", "coordinate_transformation_mode": "align_corners"},
        {"mode": "linear", "coordinate_transformation_mode": "pytorch_half_pixel"},
        {"mode": "linear", "coordinate_transformation_mode": "asymmetric"},
    ][g.integer(0, 5)]
    empty = g.net.constant(np.zeros(0))
    shape = g.integers([g.batch, channels, *sides])
    if g.net.opset >= 13:
        name = g.node("Resize", x.name, "", "", shape, **how)
    else:
        name = g.node("Resize", x.name, empty, empty, shape, **how)
    return g.made(name, (channels, sides[0], sides[1]))


def mirrored(g: Growth, x: Tensor) -> Tensor | None:
    """Pad with what is there, or with less than nothing."""
    channels, height, width = x.shape
    if g.net.opset < 11 or min(height, width) < 4:
        return None
    mode = ["reflect", "edge", "constant"][g.integer(0, 2)]
    least = -1 if mode == "constant" else 0
    pads = [g.integer(least, 2) for _ in range(4)]
    before = [g.integer(0, 1), 0] if mode == "constant" else [0, 0]
    given = g.integers([0, before[0], *pads[:2], 0, before[1], *pads[2:]])
    shape = (channels + sum(before), height + pads[0] + pads[2], width + pads[1] + pads[3])
    return g.made(g.node("Pad", x.name, given, mode=mode), shape)
