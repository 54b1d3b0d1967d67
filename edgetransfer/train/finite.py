"""Features that nothing can be learned from, told by the name of their photo."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgetransfer.data import Sample
from edgetransfer.errors import DataError
from edgetransfer.types import Float32Array


def check_finite(features: Float32Array, samples: Sequence[Sample]) -> None:
    """Refuse (n, D) features of n samples that are not all finite.

    Raises
    ------
    DataError
        Naming the first photo whose features are not, and how many others there are.
    """
    bad = np.flatnonzero(~np.isfinite(features).all(axis=1))
    if len(bad):
        more = f" (nor for {len(bad) - 1} others)" if len(bad) > 1 else ""
        raise DataError(
            f"{samples[bad[0]].id}: the backbone gives features for this photo that are not "
            f"finite numbers{more}; check --mean and --std, or use another backbone or --engine"
        )
