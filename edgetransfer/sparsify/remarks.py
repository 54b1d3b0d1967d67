"""What a person should know of a sparsification: doubts, and how it was made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import onnx

from edgetransfer.reports.sparsify import PrunedLayerRecord
from edgetransfer.settings.sparsify import Sparsification
from edgetransfer.sparsify.layers import Layer
from edgetransfer.sparsify.photos import CalibrationViews

OVERFITTED = 1.5  # held-out error over fitted error
FEW_SAMPLES = 20  # for each weight of a filter
UNWELCOME = 0.05  # errors below this are no reason to warn
LOST = 1.0  # error of the features at which their mean alone would be as good
MISSED = 0.01  # of the sparsity that was asked for
SLOWER = 0.95  # times the dense speed


def left_out(model: onnx.ModelProto, layers: Sequence[Layer]) -> list[str]:
    """A warning if some layers with weights can neither be pruned nor refitted."""
    known = {layer.name for layer in layers}
    weighted = [node for node in model.graph.node if node.op_type in ("Conv", "Gemm", "MatMul")]
    names = [node.input[1] for node in weighted if node.input[1] not in known]
    if not names:
        return []
    return [
        f"{len(names)} layers stay as they are, because their weights or biases are shared, "
        f"computed, or not of a 2-D convolution: {', '.join(names[:3])}"
    ]


def doubts(records: Sequence[PrunedLayerRecord], views: CalibrationViews | None) -> list[str]:
    """Warnings of too few photos, and of layers that fit them better than others."""
    fitted = [(record, error) for record in records if (error := record.get("error"))]
    if views is None or not fitted:
        return []
    texts = []
    few = [r["name"] for r, _ in fitted if r["samples"] < FEW_SAMPLES * r["columns"]]
    if few:
        texts.append(
            f"{views.photos} photos are few for {len(few)} wide layers ({few[0]} first): more "
            "--calibration-images would help"
        )
    over = [
        (error["held_out"], error, record["name"])
        for record, error in fitted
        if error["held_out"] > max(UNWELCOME, OVERFITTED * error["fitted"])
    ]
    if over:
        _, worst, name = max(over, key=lambda found: found[0])
        texts.append(
            f"{len(over)} layers fit these photos better than others (worst: {name}, "
            f"error {worst['fitted']:.3f}, on held-out photos {worst['held_out']:.3f}): more "
            "--calibration-images would help"
        )
    return texts


def shortcomings(report: dict[str, Any], target: float | None) -> list[str]:
    """Warnings of a result that is not what was wanted.

    Parameters
    ----------
    report
        Of the whole sparsification.
    target
        The sparsity of the pruned layers that was asked for; None where it was a speed.
    """
    texts = []
    if report["features"] is not None:
        error = report["features"].get("held_out", report["features"]["fitted"])["relative_error"]
        if not error < LOST:
            texts.append(
                f"the features are lost: they differ from the dense ones by {error:.2f} of these' "
                "own variation; ask for less --sparsity, or give --refine"
            )
    refined = report["refinement"]
    if refined is not None:
        before, after = (refined["held_out_error"][name] for name in ("before", "after"))
        if not after < before:
            texts.append(
                f"--refine has not brought the features nearer (error {before:.3g}, then "
                f"{after:.3g}): give it more minutes"
            )
    reached = report["pruned_layers_sparsity"]
    if target is not None and abs(reached - target) > MISSED:
        texts.append(f"{reached:.1%} of the pruned layers' weights are zero, not {target:.1%}")
    speed = report["speed"]
    if speed is not None and speed["ratio"] < SLOWER:
        texts.append(
            f"in {speed['engine']} the sparse backbone is slower than the dense one "
            f"({speed['ratio']:.2f} times its speed): the zeros gain nothing there"
        )
    return texts


def how_made(settings: Sparsification, views: CalibrationViews | None) -> str:
    """Method, target and calibration in a line, for the card."""
    text = f"{settings.method}, {settings.distribution_name}"
    if settings.target_speedup is not None:
        text += f" for {settings.target_speedup:g} times the dense speed"
    else:
        text += f", {settings.target_sparsity:.0%} of the pruned layers' weights"
    if settings.pattern != "unstructured":
        text += f" ({settings.pattern})"
    if views is not None and settings.method == "reconstruct":
        text += f", {views.photos} calibration photos, seed {settings.seed}"
    if settings.refine_minutes:
        text += f", refined for {settings.refine_minutes:g} minutes"
    return text
