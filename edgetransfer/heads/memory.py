"""Whether a head can be fitted within this machine's memory, before any of it is taken."""

from __future__ import annotations

import psutil

from edgetransfer.errors import DataError

SHARE = 0.75  # of the machine's memory
SCORES = 5  # tables of rows by classes that exist at a time
ROWS = 3  # tables of rows by features: mapped, rotated, squared
SQUARES = 4  # matrices of features, and of classes, by themselves
COPIES = 7  # of a head's weights, where it learns by steps
DOUBLE = 1 << 21  # numbers of a table up to which it is in float64


def check_fits(n: int, dimension: int, n_classes: int, *, at_once: int) -> None:
    """Refuse to fit so many samples, features and classes where there is no room for it.

    Parameters
    ----------
    at_once
        Feature maps that are tried at the same time.

    Raises
    ------
    DataError
        Naming what it would take, and what there is.
    """
    small, smaller = min(n, dimension), n * dimension <= DOUBLE
    number = 8 if smaller else 4
    needed = number * n * (ROWS * small + SCORES * n_classes)
    needed += 8 * SQUARES * (small * small + n_classes * n_classes)
    needed += 8 * 2 * dimension * (small + n_classes)
    refuse_beyond(needed * at_once, n, dimension, n_classes)


def check_descent_fits(n: int, dimension: int, n_classes: int, *, pairs: int, at_once: int) -> None:
    """As `check_fits`, of ``at_once`` descents that each keep ``pairs`` of steps and changes."""
    width = min(n, dimension)
    each = n * (ROWS * width + 2 * n_classes) + (2 * pairs + 6) * (width + 1) * n_classes
    needed = 4 * each * at_once + 8 * (SQUARES * width * width + 2 * dimension * n_classes)
    refuse_beyond(needed, n, dimension, n_classes)


def check_steps_fit(dimension: int, n_classes: int) -> None:
    """As `check_fits`, of a head that learns by steps, whatever the samples.

    Weights and velocity are there, two copies of both while a checkpoint is written, and one more
    of the weights for a score.
    """
    needed = 4 * COPIES * (dimension + 1) * n_classes
    there = psutil.virtual_memory().total
    if needed > SHARE * there:
        raise DataError(
            f"a head of {n_classes:,} classes on {dimension:,} features takes "
            f"{_gib(needed)} GiB while it learns, and this machine has {_gib(there)}; train fewer "
            "classes, or on a backbone with fewer features"
        )


def refuse_beyond(needed: int, n: int, dimension: int, n_classes: int) -> None:
    """Refuse what takes more bytes than this machine gives; see `check_fits`."""
    there = psutil.virtual_memory().total
    if needed > SHARE * there:
        raise DataError(
            f"a head of {n_classes:,} classes on {n:,} samples of {dimension:,} features takes "
            f"{_gib(needed)} GiB, and this machine has {_gib(there)}; --solver sgd "
            "needs a small part of it, and so do fewer classes"
        )


def _gib(size: int) -> str:
    return f"{size / 2**30:.1f}"
