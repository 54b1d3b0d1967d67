"""Linear discriminant analysis with a shrunken covariance, and exact leave-one-out scores.

A class is its mean m, all share the scatter S about their means: with A = S + penalty, a sample
scores m^T A^-1 x - m^T A^-1 m / 2. No penalty is Fisher's discriminant; without bound it is the
nearest class mean. The streaming form is Hayes & Kanan, "Lifelong machine learning with deep
streaming linear discriminant analysis" (CVPRW 2020).

S = T - sum_k n_k (m_k - m)(m_k - m)^T is T but for one direction a class, so everything comes from
the eigenbasis of T, which ridge needs too, by the Woodbury identity; and leaving a sample out
moves one mean and changes S by one direction, which the Sherman-Morrison identity follows.
"""

from __future__ import annotations

import numpy as np

from edgetransfer.heads.loss import FloatArray
from edgetransfer.heads.planes import Float64Array
from edgetransfer.heads.products import Labelled, Products
from edgetransfer.heads.spectrum import Spectrum
from edgetransfer.types import IntArray

SURE = 1e-9


def discriminant_left_out(spectrum: Labelled, products: Products) -> FloatArray:
    """(N, K) scores of each row by the head fitted to all samples but it.

    The only sample of a class leaves none behind: it scores -inf there. All scores are N times
    smaller than those of a covariance in place of a scatter.
    """
    labels, rows = spectrum.labels, np.arange(len(spectrum.labels))
    inverse = within(spectrum, products)
    g, h, q = inverse.rows_means, inverse.means.astype(inverse.rows_means.dtype), inverse.rows
    norms = h.diagonal()
    n = spectrum.counts[labels].astype(g.dtype)
    others = np.maximum(n - 1, 1)
    # d is the sample minus the mean of its class.
    d_means = g - h[labels]
    d_row = q - g[rows, labels]
    d_own = d_means[rows, labels]
    d_d = np.maximum(d_row - d_own, 0)
    grown = grown_by(spectrum, d_d)
    scores: FloatArray = d_means * d_row[:, None] - d_means**2 / 2
    scores *= grown[:, None]
    scores += g - norms / 2
    # Its own class has another mean without it: m - d / (n - 1).
    own_row = g[rows, labels] - d_row / others
    own_own = norms[labels] - 2 * d_own / others + d_d / others**2
    own_d = d_own - d_d / others
    own = own_row - own_own / 2 + grown * (own_d * d_row - own_d**2 / 2)
    scores[rows, labels] = np.where(n > 1, own, -np.inf)
    scores[:, spectrum.counts == 0] = -np.inf
    return scores


def discriminant_weights(spectrum: Spectrum, penalty: float) -> tuple[Float64Array, Float64Array]:
    """The (D, K) weights and (K,) bias at ``penalty`` units of the spectrum."""
    means, inverse = spectrum.means, 1 / (spectrum.values + penalty * spectrum.unit)
    products = (means * inverse) @ means.T
    correction = correction_of(products, spectrum.totals) @ products + np.eye(len(means))
    weights = spectrum.basis @ ((means * inverse).T @ correction)
    bias = -np.diagonal(products @ correction) / 2 - spectrum.mean @ weights
    return weights, np.where(spectrum.counts > 0, bias, -np.inf)


def grown_by(spectrum: Labelled, squares: FloatArray) -> FloatArray:
    """(N,), of each row: A grows by this times (A d)(A d)^T where the row is left out of S.

    d is the row less the mean of its class, and ``squares`` are d^T A d.
    """
    counts = spectrum.counts[spectrum.labels].astype(squares.dtype)
    own = spectrum.weights[spectrum.labels].astype(squares.dtype)
    grown = own * counts / np.maximum(counts - 1, 1)
    growth: FloatArray = grown / np.maximum(1 - grown * squares, SURE)
    return growth


def within(spectrum: Labelled, products: Products) -> Products:
    """The inner products of (S + penalty)^-1 from those of (T + penalty)^-1."""
    correction = correction_of(products.means, spectrum.totals)
    kind = products.rows_means.dtype
    moved = products.rows_means @ correction.astype(kind)
    return Products(
        rows_means=products.rows_means + moved @ products.means.astype(kind),
        means=products.means + products.means @ correction @ products.means,
        rows=products.rows + np.einsum("ij,ij->i", products.rows_means, moved),
    )


def correction_of(means: Float64Array, totals: Float64Array | IntArray) -> Float64Array:
    """C of (T + l - B^T B)^-1 = P + P M^T C M P, where P = (T + l)^-1 and B = sqrt(totals) M.

    ``means``, (K, K), are M P M^T; ``totals``, (K,), what the samples of each class weigh.
    """
    roots = np.sqrt(totals)
    inner = np.eye(len(means)) - means * np.outer(roots, roots)
    return np.linalg.inv(inner) * np.outer(roots, roots)
