"""Grey values wider than 8 bits to 8, by one stated rule.

Which value is white is read from the file where it says so (TIFF: BitsPerSample below 16 and
MaxSampleValue; PNG: sBIT). Otherwise

- unsigned 16-bit: 4095 if no value is above it (12-bit cameras in 16-bit files), else 65535;
- 32-bit, and signed without a negative value: the least of 255, 4095, 65535, 2^24 - 1 and 2^32 - 1
  that no value is above (16-bit ones begin at 4095);
- floating point: the least of 1, 255 and 65535 that no value is above, else the greatest value.
  NaN and negative values are black;
- signed integers with a negative value have no white of their own: the lowest is black, the
  highest white.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

_INTEGERS = (255, 4095, 65535, 2**24 - 1, 2**32 - 1)
_FLOATS = (1.0, 255.0, 65535.0)
_ROWS = 1 << 20  # values at a time


def grey_of_wide(
    values: np.ndarray[Any, Any],
    *,
    least_white: int = 255,
    white: int | None = None,
    inverted: bool = False,
) -> Image.Image:
    """Wide grey values, (H, W), as an 8-bit picture of mode L.

    Parameters
    ----------
    least_white
        The first step of the integers' ladder.
    white
        The value that is white, where the file says so.
    inverted
        Whether 0 is white.
    """
    low, high = _range(values, least_white)
    if white is not None and low == 0:
        high = float(white)
    factor = 255.0 / (high - low) if high > low else 0.0
    out = np.empty(values.shape, np.uint8)
    step = max(1, _ROWS // max(1, values.shape[1]))
    kind = np.float64 if values.dtype.kind == "f" or values.dtype.itemsize > 2 else np.float32
    for y in range(0, len(values), step):
        part: np.ndarray[Any, Any] = values[y : y + step].astype(kind)
        if values.dtype.kind == "f":
            part = np.nan_to_num(part, copy=False, nan=0.0, posinf=high, neginf=0.0)
        part -= low
        part *= factor
        np.clip(part + 0.5, 0, 255, out=part)
        out[y : y + step] = part
    return Image.fromarray(255 - out if inverted else out)


def _range(values: np.ndarray[Any, Any], least_white: int) -> tuple[float, float]:
    """What is black and what is white."""
    if values.size == 0:
        return 0.0, 1.0
    if values.dtype.kind == "f":
        top = float(np.max(values, initial=0, where=np.isfinite(values)))
        return 0.0, next((white for white in _FLOATS if top <= white), top)
    low, top = int(values.min()), int(values.max())
    if low < 0:
        return float(low), float(top)
    return 0.0, float(next(w for w in _INTEGERS if w >= least_white and top <= w))
