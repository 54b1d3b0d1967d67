"""The inverse of an empirical Fisher matrix, F = λI + (1/m) Σ gᵢ gᵢᵀ: two ways of having it.

What pruning wants of it is its diagonal, and its product with a vector.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor


class InverseFisher(Protocol):
    """F⁻¹ of n weights."""

    def diagonal(self) -> Tensor:
        """(n,)."""

    def times(self, vector: Tensor) -> Tensor:
        """F⁻¹ v of an (n,) vector."""


class BlockFisher:
    """Blocks on the diagonal alone, each written out.

    Singh and Alistarh, "WoodFisher: Efficient Second-Order Approximation for Neural Network
    Compression", NeurIPS 2020, section 3: one gradient after the other by Woodbury's identity,
    F⁻¹ -= (F⁻¹ g)(F⁻¹ g)ᵀ / (m + gᵀ F⁻¹ g).

    Parameters
    ----------
    gradients
        (m, n).
    damping
        λ, above zero.
    block
        Weights of a block; the last one may have fewer.
    """

    def __init__(self, gradients: Tensor, damping: float, block: int) -> None:
        m, self._n = gradients.shape
        block = min(block, self._n)
        blocks = -(-self._n // block)
        padded = torch.zeros((m, blocks * block), dtype=gradients.dtype, device=gradients.device)
        padded[:, : self._n] = gradients
        rows = padded.view(m, blocks, block)
        eye = torch.eye(block, dtype=gradients.dtype, device=gradients.device) / damping
        self._inverse = eye.repeat(blocks, 1, 1)
        for g in rows:
            product = torch.einsum("bij,bj->bi", self._inverse, g)
            scale = m + (product * g).sum(dim=1)
            self._inverse -= product[:, :, None] * product[:, None, :] / scale[:, None, None]

    def diagonal(self) -> Tensor:
        """See `InverseFisher.diagonal`."""
        return self._inverse.diagonal(dim1=1, dim2=2).reshape(-1)[: self._n]

    def times(self, vector: Tensor) -> Tensor:
        """See `InverseFisher.times`."""
        blocks, block = self._inverse.shape[:2]
        padded = torch.zeros(blocks * block, dtype=vector.dtype, device=vector.device)
        padded[: self._n] = vector
        product = torch.einsum("bij,bj->bi", self._inverse, padded.view(blocks, block))
        return product.reshape(-1)[: self._n]


class MatrixFreeFisher:
    """The whole inverse, never written out.

    Frantar, Kurtic, Alistarh, "M-FAC: Efficient Matrix-Free Approximations of Second-Order
    Information", NeurIPS 2021: all that is needed are products of the m gradients. Unrolled, their
    recursion is Woodbury's identity for all of them at once,
    F⁻¹ = (I - Gᵀ (λ m I + G Gᵀ)⁻¹ G) / λ, with G (m, n).

    Parameters
    ----------
    gradients
        (m, n).
    damping
        λ, above zero.
    """

    def __init__(self, gradients: Tensor, damping: float) -> None:
        self._g, self._damping = gradients, damping
        m = len(gradients)
        # In float64: the products of like gradients are close to one another.
        gram = (gradients @ gradients.T).double()
        eye = torch.eye(m, dtype=gram.dtype, device=gram.device)
        self._middle = torch.linalg.inv(gram + damping * m * eye).to(gradients.dtype)

    def diagonal(self) -> Tensor:
        """See `InverseFisher.diagonal`."""
        return (1 - ((self._middle @ self._g) * self._g).sum(dim=0)) / self._damping

    def times(self, vector: Tensor) -> Tensor:
        """See `InverseFisher.times`."""
        return (vector - self._g.T @ (self._middle @ (self._g @ vector))) / self._damping
