"""Two hundred ONNX files of some hundred bytes that ask for terabytes, or never end."""

from __future__ import annotations

from tests.graphs.hostile.growth import growing
from tests.graphs.hostile.nets import Make
from tests.graphs.hostile.numbers import large_results, of_wrong_forms


def hostile() -> dict[str, Make]:
    """All of them, by name."""
    return {
        name: make for part in (large_results, growing, of_wrong_forms) for name, make in part()
    }
