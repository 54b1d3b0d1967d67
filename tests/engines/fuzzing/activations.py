"""Random steps of activations, by name and written out, and of products of two tensors."""

from __future__ import annotations

import numpy as np

from tests.engines.fuzzing.growth import Growth, Step, Tensor


def named(operator: str, *, since: int = 0, **attributes: object) -> Step:
    """An operator without inputs of its own, in graphs that may have it."""

    def step(g: Growth, x: Tensor) -> Tensor | None:
        if g.net.opset < since:
            return None
        return g.renamed(x, g.node(operator, x.name, **attributes))

    return step


def clip(g: Growth, x: Tensor) -> Tensor | None:
    low, high = [(-0.4, 0.9), (0.0, 6.0), (-np.inf, 0.6), (-0.5, np.inf)][g.integer(0, 3)]
    return g.renamed(x, bounded(g, x.name, low, high))


def bounded(g: Growth, x: str, low: float, high: float) -> str:
    if g.net.opset < 11:
        bounds = {"min": low, "max": high}
        given = {name: float(v) for name, v in bounds.items() if np.isfinite(v)}
        return g.node("Clip", x, **given)
    inputs = [g.net.constant(v) if np.isfinite(v) else "" for v in (low, high)]
    return g.node("Clip", x, *inputs)


def leaky(g: Growth, x: Tensor) -> Tensor | None:
    return g.renamed(
        x, g.node("LeakyRelu", x.name, alpha=float(g.rng.choice([0.0, 0.1, 1.0, 1.5, -0.5])))
    )


def parametric(g: Growth, x: Tensor) -> Tensor | None:
    one = g.chance(0.3) or (x.flat and not x.point)
    slopes = g.rng.normal(0, 0.5, 1 if one else x.shape[0])
    shape = [1] if one else [-1] if x.flat else [-1, 1, 1]
    return g.renamed(x, g.node("PRelu", x.name, g.net.constant(slopes.reshape(shape))))


def hard_sigmoid(g: Growth, x: Tensor) -> Tensor | None:
    given = {"alpha": 1 / 6, "beta": 0.5} if g.chance(0.5) else {}
    gate = g.node("HardSigmoid", x.name, **given)
    return g.renamed(x, g.node("Mul", x.name, gate) if g.chance(0.4) else gate)


def sigmoid(g: Growth, x: Tensor) -> Tensor | None:
    """A gate by itself, or x times it."""
    gate = g.node("Sigmoid", x.name)
    return g.renamed(x, g.node("Mul", gate, x.name) if g.chance(0.6) else gate)


def erf(g: Growth, x: Tensor) -> Tensor | None:
    """By itself, or in one of the forms of GELU."""
    if g.chance(0.3):
        return g.renamed(x, g.node("Erf", x.name))
    one, half = g.net.constant(1.0), g.net.constant(0.5)
    root = g.node("Div", x.name, g.net.constant(np.sqrt(2)))
    whole = g.node("Add", g.node("Erf", root), one)
    if g.chance(0.5):
        return g.renamed(x, g.node("Mul", g.node("Mul", x.name, whole), half))
    return g.renamed(x, g.node("Mul", g.node("Mul", half, x.name), whole))


def tanh(g: Growth, x: Tensor) -> Tensor | None:
    """By itself, or as mish or GELU's other form."""
    form = g.integer(0, 3)
    if form == 1:
        return softplus(g, x)
    if form != 2:
        return g.renamed(x, g.node("Tanh", x.name))
    cube = g.node("Pow", x.name, g.net.constant(3.0))
    line = g.node("Add", x.name, g.node("Mul", cube, g.net.constant(0.044715)))
    inner = g.node("Tanh", g.node("Mul", line, g.net.constant(np.sqrt(2 / np.pi))))
    whole = g.node("Add", g.net.constant(1.0), inner)
    return g.renamed(x, g.node("Mul", g.node("Mul", x.name, g.net.constant(0.5)), whole))


def softplus(g: Growth, x: Tensor) -> Tensor | None:
    made = g.node("Softplus", x.name)
    return g.renamed(x, g.node("Mul", x.name, g.node("Tanh", made)) if g.chance(0.5) else made)


def exponential(g: Growth, x: Tensor) -> Tensor | None:
    return g.renamed(x, g.node("Exp", bounded(g, x.name, -3.0, 1.0)))


def root(g: Growth, x: Tensor) -> Tensor | None:
    above = g.node("Add", g.node("Relu", x.name), g.net.constant(0.25))
    return g.renamed(x, g.node("Sqrt", above))


def power(g: Growth, x: Tensor) -> Tensor | None:
    exponent = float(g.integer(1, 3))
    return g.renamed(x, g.node("Pow", bounded(g, x.name, -2.0, 2.0), g.net.constant(exponent)))


def _beside(g: Growth, x: Tensor) -> str:
    """A tensor that spreads to this one: a channel's gate, a pixel's, or one of its own shape."""
    if x.flat:
        return x.name
    form = g.integer(0, 2)
    if form == 0:
        return g.net.conv(g.node("GlobalAveragePool", x.name), (x.shape[0], x.shape[0]), 1)
    return g.net.conv(x.name, (x.shape[0], 1 if form == 1 else x.shape[0]))


def combined(operator: str) -> Step:
    """Two tensors that spread to one shape, in either order."""

    def step(g: Growth, x: Tensor) -> Tensor | None:
        other = _beside(g, x)
        if operator == "Div":  # by what is not near zero
            other = g.node("Add", g.node("Sigmoid", other), g.net.constant(0.5))
            return g.renamed(x, g.node(operator, x.name, other))
        pair = [x.name, other]
        if operator == "Mul":
            pair[1] = g.node("Sigmoid", other)
        if g.chance(0.5):
            pair.reverse()
        return g.renamed(x, g.node(operator, *pair))

    return step
