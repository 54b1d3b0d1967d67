"""Regularised least squares on one-hot targets, with exact leave-one-out scores."""

from __future__ import annotations

import numpy as np

from edgetransfer.heads.loss import FloatArray
from edgetransfer.heads.moments import Moments
from edgetransfer.heads.planes import Float64Array
from edgetransfer.heads.spectrum import Products, Spectrum

SURE = 1e-9  # the least share that a sample leaves to the others


def ridge_left_out(spectrum: Spectrum, products: Products) -> FloatArray:
    """(N, K) scores of each row by the head fitted to all samples but it.

    With F the fitted targets and h_i the leverage of sample i, its left-out residual is that of
    the fit over 1 - h_i (Golub, Heath & Wahba, "Generalized cross-validation", 1979, section 2).
    Exact for a fixed penalty and fixed weights.
    """
    labels, weights = spectrum.labels, spectrum.weights
    n = int(spectrum.counts.sum())
    totals = weights * spectrum.counts
    own = weights[labels]
    leverage = own * (1 / n + products.rows)
    scores = products.rows_means * totals.astype(products.rows_means.dtype)
    scores += (totals / n).astype(scores.dtype)
    scores[np.arange(len(labels)), labels] -= leverage
    scores /= np.maximum(1 - leverage, SURE)[:, None]
    return scores


def ridge_weights(spectrum: Spectrum, penalty: float) -> tuple[Float64Array, Float64Array]:
    """The (D, K) weights and (K,) bias at ``penalty`` units of the spectrum."""
    totals = spectrum.weights * spectrum.counts
    inverse = 1 / (spectrum.values + penalty * spectrum.unit)
    weights = spectrum.basis @ ((spectrum.means * inverse).T * totals)
    return weights, totals / spectrum.counts.sum() - spectrum.mean @ weights


def ridge_of(moments: Moments, penalty: float) -> tuple[Float64Array, Float64Array]:
    """The same head from statistics alone, all samples weighing 1."""
    cross = (moments.class_means - moments.mean).T * moments.counts
    weights = moments.solve(moments.total, penalty, cross)
    return weights, moments.counts / max(moments.n, 1) - moments.mean @ weights
