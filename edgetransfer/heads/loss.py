"""The softmax loss of a linear classifier, and its gradient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgetransfer.reprs import short_repr
from edgetransfer.types import IntArray

FloatArray = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class SoftmaxLoss:
    """Mean cross-entropy of a linear classifier with an L2 penalty on its weights.

    With features X (N, D), labels y (N,), weights W (D, K), bias b (K,), logits Z = XW + b and
    probabilities P = softmax(Z) by rows::

        loss       = mean_i( log sum_k exp(Z_ik) - Z_i,y_i ) + l2 / 2 * ||W||^2
        d loss/dW  = X^T (P - Y) / N + l2 * W          (D, K)
        d loss/db  = sum_i (P - Y)_i / N               (K,)

    where Y is the one-hot form of y. The bias is not penalised. All arrays are C-ordered; the
    result has the dtype of the features.

    Parameters
    ----------
    l2
        The strength of the penalty, zero or more.
    """

    l2: float = 0.0

    __repr__ = short_repr

    def value(
        self, features: FloatArray, labels: IntArray, weights: FloatArray, bias: FloatArray
    ) -> float:
        """The loss alone."""
        logits = features @ weights + bias
        rows = np.arange(len(labels))
        top = logits.max(axis=1)
        log_sum = top + np.log(np.exp(logits - top[:, None]).sum(axis=1))
        cross_entropy = float(np.mean(log_sum - logits[rows, labels], dtype=np.float64))
        return cross_entropy + self.l2 / 2 * float(np.vdot(weights, weights))

    def gradient(
        self,
        features: FloatArray,
        labels: IntArray,
        weights: FloatArray,
        bias: FloatArray,
        importance: FloatArray | None = None,
    ) -> tuple[float, FloatArray, FloatArray]:
        """The loss, its gradient by the weights, and its gradient by the bias.

        ``importance``, (N,), multiplies each sample's share of the mean; ones if None.
        """
        logits = features @ weights
        logits += bias
        loss = residual(logits, labels, importance)
        by_weights = features.T @ logits
        if self.l2:
            loss += self.l2 / 2 * float(np.vdot(weights, weights))
            by_weights += self.l2 * weights
        return loss, by_weights, logits.sum(axis=0)


def residual(logits: FloatArray, labels: IntArray, importance: FloatArray | None = None) -> float:
    """Turn logits (N, K), in place, into the gradient by them; returns the mean cross-entropy.

    In the terms of `SoftmaxLoss` that is (P - Y) / N; ``importance`` is as in its ``gradient``.
    """
    rows = np.arange(len(labels))
    logits -= logits.max(axis=1, keepdims=True)
    of_label = logits[rows, labels]  # advanced indexing copies
    np.exp(logits, out=logits)
    sums = logits.sum(axis=1, keepdims=True)
    losses = np.log(sums[:, 0]) - of_label
    if importance is not None:
        losses = losses * importance
    loss = float(np.mean(losses, dtype=np.float64))
    logits /= sums
    logits[rows, labels] -= 1
    if importance is not None:
        logits *= importance[:, None]
    logits /= len(labels)
    return loss
