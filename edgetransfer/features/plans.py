"""The measured plan for a backbone."""

from __future__ import annotations

from pathlib import Path

from edgetransfer.backbones import Backbone
from edgetransfer.engines import EnginePlan, Workload, find_plan


def workload_of(backbone: Backbone, threads: int | None) -> Workload:
    """What a plan for a backbone is kept under; ``threads`` are the cores that may be used."""
    return Workload(backbone=backbone.name, key=backbone.workload, threads=threads)


def plan_for(backbone: Backbone, cache: Path, threads: int | None) -> EnginePlan | None:
    """How `tune` found the backbone to run fastest here; None if it was not asked."""
    return find_plan(cache, workload_of(backbone, threads))
