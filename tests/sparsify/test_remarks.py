"""Numbers of a sparsification beyond their bars are said aloud."""

from __future__ import annotations

from typing import Any

import pytest

from edgetransfer.sparsify.remarks import shortcomings


def report(**changes: Any) -> dict[str, Any]:
    fine = {
        "features": {"fitted": {"relative_error": 0.1}, "held_out": {"relative_error": 0.2}},
        "refinement": {"held_out_error": {"before": 0.3, "after": 0.2}},
        "pruned_layers_sparsity": 0.75,
        "speed": {"engine": "sparse", "ratio": 2.4},
    }
    return {**fine, **changes}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, None),
        ({"features": None, "refinement": None, "speed": None}, None),
        ({"features": {"fitted": {"relative_error": 1.2}}}, "features are lost"),
        (
            {"features": {"fitted": {"relative_error": 0}, "held_out": {"relative_error": 1.0}}},
            "features are lost",
        ),
        ({"features": {"fitted": {"relative_error": float("nan")}}}, "features are lost"),
        ({"refinement": {"held_out_error": {"before": 0.3, "after": 0.3}}}, "not brought"),
        ({"pruned_layers_sparsity": 0.7}, "70.0% of the pruned layers' weights are zero"),
        ({"speed": {"engine": "onnxruntime", "ratio": 0.9}}, "slower than the dense one"),
    ],
)
def test_shortcomings(changes: dict[str, Any], said: str | None) -> None:
    found = shortcomings(report(**changes), 0.75)
    assert [said in text for text in found if said] == ([True] if said else [])
    assert len(found) == (said is not None)


def test_where_a_speed_was_asked_for_any_sparsity_will_do() -> None:
    assert shortcomings(report(pruned_layers_sparsity=0.5), None) == []
