"""Time an epoch of online finetuning of a sparse backbone beside the dense one, on this machine.

    python examples/measure.py PHOTOS DENSE SPARSE OUT

``OUT/report.html`` shows all of it. Close other programs first.
"""

from __future__ import annotations

import sys
from pathlib import Path

from edgetransfer import run_benchmark


def main(photos: Path, dense: str, sparse: str, out: Path, epochs: int = 3) -> None:
    """Measure, and say what share of the dense epoch the sparse one takes."""
    report = run_benchmark(data=photos, out=out, baseline=dense, backbones=sparse, epochs=epochs)
    for row in report.rows:
        if row["reason"] is not None:
            print(f"{row['backbone']}: {row['reason']}")
            continue
        share = row["fraction_of_baseline"]
        took = "not told" if share is None else f"{share['median']:.2f} of the dense epoch"
        print(f"{row['backbone']}: {row['sparsity']:.0%} zeros, {took}")
        for doubt in row["doubts"]:
            print(f"  {doubt['says']}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], Path(sys.argv[4]))
