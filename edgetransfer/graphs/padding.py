"""How windows are padded where ``auto_pad`` says SAME."""

from __future__ import annotations


def same_padding(size: int, reach: int, stride: int, *, upper: bool) -> tuple[int, int]:
    """What is padded before and after one axis so that ``ceil(size / stride)`` windows fit.

    Parameters
    ----------
    size, stride
        Of the axis, in pixels.
    reach
        What a window spans: ``(kernel - 1) * dilation + 1``.
    upper
        Whether an odd pixel goes behind the image (``SAME_UPPER``), or before it.
    """
    missing = max((-(-size // stride) - 1) * stride + reach - size, 0)
    less, more = missing // 2, missing - missing // 2
    return (less, more) if upper else (more, less)
