"""Regularised least squares on one-hot targets, with exact leave-one-out scores."""

from __future__ import annotations

import numpy as np

from edgetransfer.heads.loss import FloatArray
from edgetransfer.heads.planes import Float64Array
from edgetransfer.heads.products import Labelled, Products
from edgetransfer.heads.spectrum import Spectrum

SURE = 1e-9  # the least share that a sample leaves to the others


def ridge_left_out(spectrum: Labelled, products: Products) -> FloatArray:
    """(N, K) scores of each row by the head fitted to all samples but it.

    With F the fitted targets and h_i the leverage of sample i, its left-out residual is that of
    the fit over 1 - h_i (Golub, Heath & Wahba, "Generalized cross-validation", 1979, section 2).
    Exact for a fixed penalty and fixed weights.
    """
    labels, weights = spectrum.labels, spectrum.weights
    n = int(spectrum.counts.sum())
    totals = spectrum.totals
    own = weights[labels]
    leverage = own * (1 / n + products.rows)
    scores = products.rows_means * totals.astype(products.rows_means.dtype)
    scores += (totals / n).astype(scores.dtype)
    scores[np.arange(len(labels)), labels] -= leverage
    scores /= np.maximum(1 - leverage, SURE)[:, None]
    return scores


def ridge_weights(spectrum: Spectrum, penalty: float) -> tuple[Float64Array, Float64Array]:
    """The (D, K) weights and (K,) bias at ``penalty`` units of the spectrum."""
    totals = spectrum.totals
    inverse = 1 / (spectrum.values + penalty * spectrum.unit)
    weights = spectrum.basis @ ((spectrum.means * inverse).T * totals)
    return weights, totals / spectrum.counts.sum() - spectrum.mean @ weights
