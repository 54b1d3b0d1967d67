"""What a backbone is, and what this machine makes of it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from edgetransfer.backbones import Backbone
from edgetransfer.engines import images_per_second, open_engine
from edgetransfer.errors import EngineError
from edgetransfer.features import default_cache_folder, plan_for


def inspect_backbone(
    backbone: str,
    *,
    features: str | None = None,
    size: int | None = None,
    engine: str = "auto",
    threads: int | None = None,
    batch_size: int = 64,
    cache: Path | None = None,
) -> dict[str, Any]:
    """Everything that can be said of a backbone without data; the keys are those of the JSON.

    Speed is the median over about a second of random batches.

    Raises
    ------
    BackboneError
        If it cannot be used as a backbone.
    EngineError
        If an engine was named and cannot run it.
    """
    opened = Backbone.open(backbone, features=features, size=size)
    report = opened.sparsity_report
    cache = cache or default_cache_folder()
    try:
        started = open_engine(
            opened.frozen(batch_size),
            engine=engine,
            threads=threads,
            cache=cache,
            plan=plan_for(opened, cache, threads),
        )
        trial: dict[str, Any] = {
            **asdict(started.choice),
            "batch_size": batch_size,
            "images_per_second": images_per_second(started),
        }
        started.close()
    except EngineError as error:
        if engine != "auto":
            raise
        trial = {"error": str(error)}
    return {
        "name": opened.name,
        "sha256": opened.sha256,
        "features": {"tensor": opened.cut.tensor, "dim": opened.dimension},
        "input": {"size": opened.preprocessing.size},
        "card": asdict(opened.card),
        "sparsity": report.sparsity,
        "pruned_filters": report.pruned_filters,
        "macs": {"dense": report.dense_macs, "nonzero": report.nonzero_macs},
        "engine": trial,
        "layers": [
            {
                "name": layer.name,
                "shape": list(layer.shape),
                "sparsity": layer.sparsity,
                "pruned_filters": layer.pruned_filters,
                "filters": layer.filters,
                "macs": {"dense": layer.dense_macs, "nonzero": layer.nonzero_macs},
            }
            for layer in report.layers
        ],
        "warnings": list(opened.warnings),
    }
