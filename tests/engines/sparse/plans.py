"""Small plans, and what they give in float64."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from scipy.special import erf, expit

from edgetransfer.engines.sparse.library import Session
from edgetransfer.engines.sparse.plan import Activation, Kind, Operator, Plan, Window

# The kernels that can be forced; those in rows go without generated code.
INSTRUCTION_SETS = ("avx512", "avx512-rows", "avx2", "avx2-rows", "portable")


@contextmanager
def forced(isa: str) -> Iterator[None]:
    """Have sessions that are opened meanwhile run in these kernels."""
    before = os.environ.get("EDGETRANSFER_ISA")
    os.environ["EDGETRANSFER_ISA"] = isa
    try:
        yield
    finally:
        if before is None:
            del os.environ["EDGETRANSFER_ISA"]
        else:
            os.environ["EDGETRANSFER_ISA"] = before


def open_plan(plan: Plan, *, threads: int = 1) -> Session:
    words, numbers = plan.serialise()
    return Session(words, numbers, operators=len(plan.operators), threads=threads)


def run_plan(plan: Plan, images: np.ndarray, *, threads: int = 1) -> np.ndarray:
    session = open_plan(plan, threads=threads)
    try:
        return run_session(session, plan, images)
    finally:
        session.close()


def run_session(session: Session, plan: Plan, images: np.ndarray) -> np.ndarray:
    out = np.full((len(images), *plan.shapes[plan.output]), np.nan, np.float32)
    session.run(np.ascontiguousarray(images, np.float32), out)
    return out


def one_operator(shape: tuple[int, int, int], out: tuple[int, int, int], **fields: object) -> Plan:
    """A plan of one operator, and an addition of its input's first operator if asked for."""
    plan = Plan()
    plan.input = plan.tensor(shape)
    plan.output = plan.tensor(out)
    plan.add(Operator(source=plan.input, out=plan.output, **fields))  # type: ignore[arg-type]
    return plan


def windows(x: np.ndarray, window: Window, sides: tuple[int, int], fill: float) -> np.ndarray:
    """(n, c, out rows, out columns, kernel rows, kernel columns) of float64."""
    (kh, kw), (sy, sx), (dy, dx), (top, left) = (
        window.kernel, window.stride, window.dilation, window.padding,
    )  # fmt: skip
    below = max(0, (sides[0] - 1) * sy + (kh - 1) * dy + 1 - top - x.shape[2])
    right = max(0, (sides[1] - 1) * sx + (kw - 1) * dx + 1 - left - x.shape[3])
    padded = np.pad(
        x.astype(np.float64), ((0, 0), (0, 0), (top, below), (left, right)), constant_values=fill
    )
    rows = np.arange(sides[0])[:, None] * sy + np.arange(kh) * dy
    columns = np.arange(sides[1])[:, None] * sx + np.arange(kw) * dx
    return padded[:, :, rows[:, None, :, None], columns[None, :, None, :]]


def convolved(x: np.ndarray, operator: Operator, sides: tuple[int, int]) -> np.ndarray:
    assert operator.weights is not None
    assert operator.bias is not None
    seen = windows(x, operator.window, sides, 0)
    n, groups = len(x), operator.groups
    seen = seen.reshape(n, groups, -1, *seen.shape[2:])
    weights = operator.weights.astype(np.float64).reshape(groups, -1, *operator.weights.shape[1:])
    out = np.einsum("ngcyxij,gocij->ngoyx", seen, weights).reshape(n, -1, *sides)
    return out + operator.bias[:, None, None]


def activated(x: np.ndarray, operator: Operator) -> np.ndarray:
    match operator.activation:
        case Activation.RELU:
            return np.maximum(x, 0)
        case Activation.CLIP:
            return np.clip(x, operator.low, operator.high)
        case Activation.LEAKY:
            return np.where(x > 0, x, x * operator.low)
        case Activation.HARD_SWISH:
            return x * np.clip(x / 6 + 0.5, 0, 1)
        case Activation.SIGMOID:
            return expit(x)
        case Activation.HARD_SIGMOID:
            return np.clip(operator.low * x + operator.high, 0, 1)
        case Activation.SILU:
            return x * expit(operator.low * x)
        case Activation.GELU:
            return x / 2 * (1 + erf(x / np.sqrt(2)))
        case Activation.GELU_TANH:
            return x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
        case Activation.TANH:
            return np.tanh(x)
        case Activation.ERF:
            return erf(x)
        case Activation.EXP:
            return np.exp(x)
        case Activation.SQRT:
            return np.sqrt(x)
        case Activation.ELU:
            return np.where(x > 0, x, operator.low * np.expm1(np.minimum(x, 0)))
        case Activation.MISH:
            return x * np.tanh(np.logaddexp(0, x))
        case Activation.SOFTPLUS:
            return np.logaddexp(0, x)
    return x


__all__ = ["INSTRUCTION_SETS", "Kind", "Operator", "Plan", "Window", "forced"]
