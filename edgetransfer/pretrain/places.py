"""Where a training puts what it makes; loads no torch."""

from __future__ import annotations

from pathlib import Path

CHECKPOINT = "checkpoint.safetensors"


def work_path(out: Path) -> Path:
    """Where the unfinished part of a file that is to be made lies."""
    return out.with_name(f"{out.name}.partial")


def report_path(out: Path) -> Path:
    """Where the report of a training stands."""
    return out.with_name(f"{out.stem}.pretrain.json")


def twin_path(out: Path) -> Path:
    """Where the dense twin of a sparse network stands."""
    return out.with_name(f"{out.stem}-dense.onnx")
