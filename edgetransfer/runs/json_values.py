"""Values as every JSON reader takes them."""

from __future__ import annotations

import math
from typing import Any


def finite(value: Any) -> Any:
    """The value with null in place of nan and infinities, which JSON does not have."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value
