"""Prune a dense backbone with your own photos, then train the weights that are left on them.

    python examples/sparsify_finetune.py PHOTOS DENSE OUT

Needs torch: pip install 'edgetransfer[finetune]'
"""

from __future__ import annotations

import sys
from pathlib import Path

import edgetransfer


def main(photos: Path, dense: str, out: Path, epochs: int = 3) -> None:
    """Write ``OUT/sparse.onnx`` and the run folder ``OUT/run``."""
    out.mkdir(parents=True, exist_ok=True)
    sparse = out / "sparse.onnx"
    pruned = edgetransfer.sparsify_backbone(
        dense=dense, out=sparse, calibration=photos, sparsity=0.75, views=1
    )
    print(f"{pruned['pruned_layers_sparsity']:.1%} of the pruned layers' weights are zero")

    report = edgetransfer.finetune_backbone(
        backbone=sparse,
        data=photos,
        out=out / "run",
        epochs=epochs,
        val_fraction=0.2,
        optimizer="adam",
        head_init="linear",
        refit_head=True,
        teacher=dense,
    )
    print(f"held out: {report.top1:.1%} top-1")
    print(f"{report['kept']} is better, with the backbone {out / 'run' / 'backbone.onnx'}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
