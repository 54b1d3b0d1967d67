"""Which weights of a layer stay: the best support of a least-squares problem.

For rows w with input moments H and cross moments c, the support S of a given size is sought that
makes min over w on S of w H wᵀ - 2 c wᵀ small. `SupportProblem` solves it by alternating
directions: a ridge solution in the basis of H's eigenvectors, a projection onto the allowed
patterns, a multiplier, and a penalty that grows while the support settles (Boyd et al.,
"Distributed optimization and statistical learning via the alternating direction method of
multipliers", 2011, section 9.1; for pruning: Meng et al., "ALPS: improved optimization for highly
sparse one-shot pruning for large language models", NeurIPS 2024). All rows are worked on at once,
in three matrix products an iteration, and they compete for the layer's budget.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from edgetransfer.sparsify.layers import Float64Array

Mask = NDArray[np.bool_]
Projection = Callable[[NDArray[np.float32]], Mask]
"""From (R, K) magnitudes to the (R, K) weights that stay."""

FIRST_PENALTY = 0.1
MOST_ITERATIONS = 90
SETTLED = 1e-4  # of the support changing in three iterations


class SupportProblem:
    """The problem of one layer's inputs, factored once, for any outputs and any pattern.

    Parameters
    ----------
    inputs
        (K, K) regularised second moments, positive definite.
    bias
        Whether the last column is a bias: it is never pruned, and its best value for the chosen
        weights is understood.
    """

    def __init__(self, inputs: Float64Array, *, bias: bool = False) -> None:
        self._edge: Float64Array | None = None
        if bias:
            self._edge = inputs[:-1, -1] / inputs[-1, -1]
            inputs = inputs[:-1, :-1] - np.outer(self._edge, inputs[-1, :-1])
        self._scale = np.sqrt(np.diagonal(inputs))
        values, vectors = np.linalg.eigh(inputs / np.outer(self._scale, self._scale))
        self._values = np.maximum(values, 1e-9).astype(np.float32)
        self._basis = np.ascontiguousarray(vectors, np.float32)

    def select(
        self, cross: Float64Array, project: Projection, iterations: int = MOST_ITERATIONS
    ) -> tuple[Mask, Float64Array]:
        """Choose the support, in at most so many iterations.

        Parameters
        ----------
        cross
            (R, K) cross moments.
        project
            The allowed pattern.

        Returns
        -------
        (R, K) bool, and (R, K) float64 weights on it that are close to the best; both without
        the bias.
        """
        if self._edge is not None:
            cross = cross[:, :-1] - np.outer(cross[:, -1], self._edge)
        scaled = cross / self._scale
        # The multiplier has the outputs' scale; bring it to one, so that float32 suffices.
        size = float(np.sqrt(np.mean(scaled**2))) or 1.0
        target = (scaled / size).astype(np.float32)
        ridge = self._ridge(np.float32(0), target)
        kept = project(np.abs(ridge))
        split: NDArray[np.float32] = np.where(kept, ridge, np.float32(0))
        multiplier = np.zeros_like(split)
        before: Mask = kept
        penalty = np.float32(FIRST_PENALTY)
        for iteration in range(1, iterations + 1):
            free = self._ridge(penalty, target + penalty * split - multiplier)
            moved = free + multiplier / penalty
            kept = project(np.abs(moved))
            split = np.where(kept, moved, np.float32(0))
            multiplier += penalty * (free - split)
            if iteration % 3 == 0:
                changed = np.count_nonzero(kept != before) / max(np.count_nonzero(kept), 1)
                before = kept
                if changed < SETTLED:
                    break
                growth = 1.3 if changed > 0.1 else 1.2 if changed > 0.005 else 1.1
                penalty = np.float32(penalty * growth)
        weights: Float64Array = split.astype(np.float64) * size / self._scale
        return kept, weights

    def _ridge(self, penalty: np.float32, target: NDArray[np.float32]) -> NDArray[np.float32]:
        """The solution of (H + penalty) w = target for every row."""
        solved: NDArray[np.float32] = (
            target @ self._basis / (self._values + penalty)
        ) @ self._basis.T
        return solved
