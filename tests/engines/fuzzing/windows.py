"""Random steps that look at an image through windows, or at all of it."""

from __future__ import annotations

from typing import Any

from tests.engines.fuzzing.growth import Growth, Step, Tensor


def _window(
    g: Growth, x: Tensor, *, convolves: bool
) -> tuple[dict[str, Any], tuple[int, int]] | None:
    """Attributes of a convolution or pooling and its output's sides, or None if none fits."""
    size = x.shape[1:]
    kernel = [g.integer(1, 4), g.integer(1, 4)]
    if g.chance(0.4):
        kernel[1] = kernel[0]
    stride = [g.integer(1, 3), g.integer(1, 3)] if g.chance(0.5) else [1, 1]
    attributes: dict[str, Any] = {"kernel_shape": kernel, "strides": stride}
    form = str(g.rng.choice(["pads", "pads", "none", "SAME_UPPER", "SAME_LOWER", "VALID"]))
    if form not in ("pads", "none"):
        attributes["auto_pad"] = form
    if form.startswith("SAME"):
        same = [-(-side // s) for side, s in zip(size, stride, strict=True)]
        reached = zip(same, stride, kernel, size, strict=True)
        if not convolves and any((n - 1) * s + k < side for n, s, k, side in reached):
            return None  # ONNX Runtime refuses less padding than none
        return attributes, (same[0], same[1])
    dilation, pads = [1, 1], [0, 0, 0, 0]
    if form == "pads":
        most = [3, 3] if convolves else [k - 1 for k in kernel]
        pads = [g.integer(0, most[i % 2]) for i in range(4)]
        attributes["pads"] = pads
    if convolves and g.chance(0.2):
        dilation = [g.integer(1, 2), g.integer(1, 2)]
        attributes["dilations"] = dilation
    rooms = [size[i] + pads[i] + pads[i + 2] - (kernel[i] - 1) * dilation[i] - 1 for i in range(2)]
    if min(rooms) < 0:
        return None
    sides = [room // s + 1 for room, s in zip(rooms, stride, strict=True)]
    more = [n * s < size[i] + pads[i] for i, (n, s) in enumerate(zip(sides, stride, strict=True))]
    rest = [room % s for room, s in zip(rooms, stride, strict=True)]
    # Where a window would begin in the padding, ONNX Runtime infers another shape than it gives.
    fits = all(m or not r for m, r in zip(more, rest, strict=True))
    if not convolves and form != "VALID" and g.net.opset >= 10 and fits and g.chance(0.4):
        attributes["ceil_mode"] = 1
        sides = [n + bool(r) for n, r in zip(sides, rest, strict=True)]
    return attributes, (sides[0], sides[1])


def convolution(g: Growth, x: Tensor) -> Tensor | None:
    found = None if x.flat else _window(g, x, convolves=True)
    if found is None:
        return None
    attributes, sides = found
    channels = x.shape[0]
    divisors = [n for n in range(1, channels + 1) if channels % n == 0]
    groups = int(g.rng.choice(divisors if g.chance(0.3) else [1, 1, channels]))
    out = channels if g.chance(0.4) else groups * g.integer(1, max(1, 12 // groups))
    sparsity = float(g.rng.choice([0.0, 0.5, 0.9]))
    inputs = [
        x.name,
        g.net.weights(out, channels // groups, *attributes["kernel_shape"], sparsity=sparsity),
    ]
    if g.chance(0.6):
        inputs.append(g.net.constant(g.rng.normal(0, 0.3, out)))
    return g.made(g.node("Conv", *inputs, group=groups, **attributes), (out, *sides))


def max_pool(g: Growth, x: Tensor) -> Tensor | None:
    found = None if x.flat else _window(g, x, convolves=False)
    if found is None:
        return None
    attributes, sides = found
    return g.made(g.node("MaxPool", x.name, **attributes), (x.shape[0], *sides))


def average_pool(g: Growth, x: Tensor) -> Tensor | None:
    if x.flat:
        return None
    if g.chance(0.2):
        whole = g.node("AveragePool", x.name, kernel_shape=list(x.shape[1:]))
        return g.made(whole, (x.shape[0], 1, 1))
    found = _window(g, x, convolves=False)
    if found is None:
        return None
    attributes, sides = found
    if g.chance(0.4) and "ceil_mode" not in attributes:
        attributes["count_include_pad"] = 1
    return g.made(g.node("AveragePool", x.name, **attributes), (x.shape[0], *sides))


def pooled_whole(operator: str) -> Step:
    def step(g: Growth, x: Tensor) -> Tensor | None:
        return None if x.flat else g.made(g.node(operator, x.name), (x.shape[0], 1, 1))

    return step


def mean(g: Growth, x: Tensor) -> Tensor | None:
    if x.flat:
        return None
    axes = [[2, 3], [-1, -2], [3, 2]][g.integer(0, 2)]
    keep = g.integer(0, 1)
    if g.net.opset >= 18:
        name = g.node("ReduceMean", x.name, g.integers(axes), keepdims=keep)
    else:
        name = g.node("ReduceMean", x.name, axes=axes, keepdims=keep)
    return g.made(name, (x.shape[0], 1, 1), flat=not keep)
