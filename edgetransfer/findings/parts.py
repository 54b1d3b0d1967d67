"""Photos that are a part of another one: cut out of it, framed, or shown on a screen.

Normalised cross-correlation (Lewis, "Fast normalized cross-correlation", 1995) finds the best place
and size of one picture within the other, coarsely, in Fourier space; a search by halving steps
(Hooke and Jeeves, "Direct search solution of numerical and statistical problems", 1961) then fits
the place to fractions of a pixel, and how well the colours agree there decides.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import fft

from edgetransfer.reprs import short_repr
from edgetransfer.types import Float32Array

COARSE = 28  # pixels of the longer side of the picture that holds the other
SIZES = (28, 26, 25, 23, 22, 21, 19, 18, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8)  # of the other
PROMISING = 0.7  # the coarse correlation that is looked at again
GRID = 32  # pixels of the square in which a part is compared
FLAT = 4.0  # grey levels: the least standard deviation of what is compared
FINEST = 0.002  # of the whole's sides: where the search ends
TINT = 16.0  # by how many grey levels the mean of a colour may differ
CLOSE, HOPELESS = 0.01, 0.85  # at steps of such a size, a correlation that leads nowhere
LEAST = 0.2  # of a side of the whole: a smaller part says too little

# What the search tries: each side of the place by itself, the place as it is, and its size.
MOVES = np.array(
    [
        *((1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1)),
        *((1, 0, -1, 0), (0, 1, 0, -1), (-0.5, -0.5, 1, 1)),
    ]
)


@dataclass(frozen=True, kw_only=True)
class Fit:
    """Where one picture lies in another.

    Parameters
    ----------
    likeness
        Correlation of their colours there, up to 1.
    mirrored
        Whether left and right are exchanged.
    x, y, width, height
        The place, in shares of the whole's width and height.
    """

    likeness: float
    mirrored: bool
    x: float
    y: float
    width: float
    height: float

    __repr__ = short_repr


class Glance:
    """A small picture, and what is computed of it once for all comparisons.

    Parameters
    ----------
    picture
        RGB, some 64 pixels wide or high.
    """

    def __init__(self, picture: Image.Image) -> None:
        self.picture = picture
        factor = COARSE / max(picture.size)
        self.width, self.height = (max(1, round(side * factor)) for side in picture.size)

    @cached_property
    def ground(self) -> NDArray[np.complex64]:
        """Its spectrum, as what holds another."""
        spectrum: NDArray[np.complex64] = fft.rfft2(_square(self._grey(COARSE)))
        return spectrum

    @cached_property
    def sums(self) -> NDArray[np.float64]:
        """(2, h + 1, w + 1), sums of grey and of its squares above and left of each place."""
        grey = self._grey(COARSE).astype(np.float64)
        sums = np.zeros((2, self.height + 1, self.width + 1))
        sums[:, 1:, 1:] = np.stack([grey, grey**2]).cumsum(1).cumsum(2)
        return sums

    @cached_property
    def sizes(self) -> list[tuple[int, int]]:
        """Widths and heights that it may have in another."""
        longer = max(self.picture.size)
        return [
            (
                max(1, round(self.picture.width * size / longer)),
                max(1, round(self.picture.height * size / longer)),
            )
            for size in SIZES
        ]

    @cached_property
    def patterns(self) -> NDArray[np.complex64]:
        """Its spectra as a part, of length 1: as it is and mirrored, in each size."""
        patterns = np.zeros((2, len(SIZES), COARSE, COARSE), np.float32)
        for place, size in enumerate(SIZES):
            grey = self._grey(size)
            grey = grey - grey.mean()
            length = float(np.linalg.norm(grey))
            if min(grey.shape) > 2 and length >= FLAT * np.sqrt(grey.size):
                h, w = grey.shape
                patterns[0, place, :h, :w] = grey / length
                patterns[1, place, :h, :w] = grey[:, ::-1] / length
        spectra: NDArray[np.complex64] = np.conj(fft.rfft2(patterns))
        return spectra

    def _grey(self, longer: int) -> Float32Array:
        factor = longer / max(self.picture.size)
        width, height = (max(1, round(side * factor)) for side in self.picture.size)
        small = self.picture.resize((width, height), Image.Resampling.BOX).convert("L")
        return np.asarray(small, np.float32)

    def colours(self, box: tuple[float, float, float, float] | None = None) -> Float32Array:
        """(GRID, GRID, 3), of the whole or of a place in it."""
        small = self.picture.resize((GRID, GRID), Image.Resampling.HAMMING, box=box)
        return np.asarray(small, np.float32)


def fit_of(one: Glance, other: Glance) -> Fit | None:
    """How one of two pictures lies in the other; None if neither does."""
    fits = [(_coarse(whole, part), whole, part) for whole, part in ((one, other), (other, one))]
    best, whole, part = max(fits, key=lambda fit: fit[0].likeness)
    return _refined(whole, part, best) if best.likeness >= PROMISING else None


def _coarse(whole: Glance, part: Glance) -> Fit:
    """The best place on a coarse grid, by the correlation of greys."""
    products = fft.irfft2(part.patterns * whole.ground, s=(COARSE, COARSE))
    values = products * _inverse_lengths(whole, part.sizes)
    at = int(values.argmax())
    mirrored, place, y, x = (int(i) for i in np.unravel_index(at, values.shape))
    w, h = part.sizes[place]
    return Fit(
        likeness=float(values.flat[at]),
        mirrored=bool(mirrored),
        x=x / whole.width,
        y=y / whole.height,
        width=w / whole.width,
        height=h / whole.height,
    )


def _inverse_lengths(whole: Glance, sizes: list[tuple[int, int]]) -> Float32Array:
    """One over the length of what lies under a part of each size at each place, less its mean.

    0 where the part does not lie inside, or nothing is to be seen.
    """
    inverse = np.zeros((len(sizes), COARSE, COARSE), np.float32)
    sums = whole.sums
    for place, (w, h) in enumerate(sizes):
        if w > whole.width or h > whole.height:
            continue
        total, squares = sums[:, h:, w:] - sums[:, :-h, w:] - sums[:, h:, :-w] + sums[:, :-h, :-w]
        spread = squares - total**2 / (w * h)
        seen = spread > FLAT**2 * w * h
        there = inverse[place, : spread.shape[0], : spread.shape[1]]
        there[seen] = 1 / np.sqrt(spread[seen])
    return inverse


def _refined(whole: Glance, part: Glance, fit: Fit) -> Fit | None:
    """Fitted to fractions of a pixel, by the correlation of colours; None if it is no part."""
    wanted = part.colours()
    wanted = wanted[:, ::-1] if fit.mirrored else wanted
    unit = _unit(wanted)
    sides = np.array([*whole.picture.size] * 2)

    def seen(at: NDArray[np.float64]) -> Float32Array:
        left, top, right, bottom = np.concatenate([at[:2], np.minimum(at[:2] + at[2:], 1)]) * sides
        return whole.colours((left, top, right, bottom))

    def likeness(at: NDArray[np.float64]) -> float:
        inside = (at[:2] >= 0).all() and (at[2:] >= LEAST).all()
        if not inside or (at[:2] + at[2:] > 1 + 1e-9).any():
            return 0.0
        return float((unit * _unit(seen(at))).sum())

    at = np.array([fit.x, fit.y, fit.width, fit.height])
    best, step = likeness(at), 0.5 / COARSE
    while best > (HOPELESS if step < CLOSE else 0) and step > FINEST:
        moves = (at + sign * step * move for move in MOVES for sign in (1, -1))
        value, place = max(((likeness(move), n, move) for n, move in enumerate(moves)))[::2]
        if value > best:
            best, at = value, place
        else:
            step /= 2
    if best <= 0 or np.abs((seen(at) - wanted).mean(axis=(0, 1))).max() > TINT:
        return None
    x, y, width, height = at.tolist()
    return replace(fit, likeness=best, x=x, y=y, width=width, height=height)


def _square(grey: Float32Array) -> Float32Array:
    square = np.zeros((COARSE, COARSE), np.float32)
    square[: grey.shape[0], : grey.shape[1]] = grey
    return square


def _unit(pixels: Float32Array) -> Float32Array:
    """Less the mean of each colour, of length 1; of length 0 if there is nothing to see."""
    centred = pixels - pixels.mean(axis=(0, 1))
    length = float(np.linalg.norm(centred))
    flat = length < FLAT * np.sqrt(pixels.size)
    return np.zeros_like(centred) if flat else centred / np.float32(length)
