"""What very many classes cost a stream: memory, checkpoints, and how long a sample waits.

    python benchmarks/many_labels.py --labels 10000 --learner statistics --learner replay

Each sample is of a class that was never seen before, its features near a mean of its own, and
comes alone, as over HTTP. All of a stream but its pictures is there: the journal and its syncs,
learning, the thread that solves or refits, checkpoints as they are due. A line of JSON a learner
goes to stdout; progress to stderr. Each learner has a process of its own.

Of each answer is told the processor time that the whole process took from the offer until the
sample was acknowledged (it is on disk then), and until the next one could be taken in, in seconds:
what a sample that comes right behind waits for. ``fits`` are refits, which none may wait for, and
``behind`` the most samples that were acknowledged and waited for one.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, process_time

import numpy as np

from edgetransfer.metrics import peak_memory_bytes
from edgetransfer.runs import RunFolder
from edgetransfer.stream import KeepingSettings, LearningSettings
from edgetransfer.stream.keeping.durable import DurableLearner
from edgetransfer.stream.learner import blas_on_one_thread
from edgetransfer.stream.learning.offers import Offer, Receipt

LEARNERS = ("statistics", "replay", "auto")
SAID = 500  # samples between two lines of progress
BY_MEANS = 64  # features that are a class's own; the rest it shares with others


def row(number: int, dimension: int) -> np.ndarray:
    """(1, D) float32 features of a sample of class ``number``: not negative, as behind a ReLU."""
    rng = np.random.default_rng(number)
    features = np.maximum(rng.normal(0.2, 0.5, (1, dimension)), 0)
    features[0, rng.integers(0, dimension, BY_MEANS)] += 2
    return features.astype(np.float32)


@contextmanager
def opened(run: RunFolder, learner: str, labels: int, dimension: int) -> Iterator[DurableLearner]:
    """The learner of a stream's run, as it is usually set."""
    durable = DurableLearner(
        run,
        dimension,
        LearningSettings(learner=learner),  # type: ignore[arg-type]
        KeepingSettings(max_classes=max(labels, KeepingSettings().max_classes)),
        identity="features",
        head_metadata={},
    )
    with blas_on_one_thread():
        yield durable
    durable.close()


def spread(seconds: Sequence[float]) -> dict[str, float]:
    """Median, 99th percentile and the longest, in seconds."""
    found = np.percentile(seconds, [50, 99, 100]).round(4).tolist()
    return dict(zip(("median", "p99", "most"), found, strict=True))


def measured(learner: str, labels: int, dimension: int, folder: Path) -> dict[str, object]:
    """Learn so many classes, close the run, and open it again."""
    run = RunFolder.begin(folder / "run", resume=True, overwrite=False)
    run.write("config.toml", "[stream]\n")
    answered: list[float] = []
    free: list[float] = []
    behind = 0
    begun, start = 0.0, monotonic()

    def written(receipts: Sequence[Receipt]) -> None:
        assert [receipt.status for receipt in receipts] == ["accepted"]
        answered.append(process_time() - begun)

    with opened(run, learner, labels, dimension) as durable:
        for number in range(labels):
            offer = Offer(id=str(number), label=f"class {number}", rows=row(number, dimension))
            begun = process_time()
            durable.accept([offer], written)
            free.append(process_time() - begun)
            behind = max(behind, len(durable.backlog))
            if (number + 1) % SAID == 0:
                left = (monotonic() - start) * (labels / (number + 1) - 1)
                said = f"{learner}: {number + 1} of {labels} labels, {free[-1]:.3f} s the last"
                print(f"{said}, {left:.0f} s left at most", file=sys.stderr, flush=True)
        durable.flush()
        begun = process_time()
        durable.save()
        saving = process_time() - begun
        assert len(durable.learner.classes) == labels
        fits = durable.learner.counts.refits
        learning = peak_memory_bytes()
    begun = process_time()
    with opened(run, learner, labels, dimension) as durable:
        opening = process_time() - begun
        assert len(durable.learner.classes) == labels
    checkpoint = sorted((run.path / "checkpoints").iterdir())[-1]
    return {
        "learner": learner,
        "labels": labels,
        "dimension": dimension,
        "answered": spread(answered),
        "free": spread(free),
        "fits": fits,
        "behind": behind,
        "processor_seconds": round(process_time(), 1),
        "wall_seconds": round(monotonic() - start, 1),
        "peak_mib": None if learning is None else learning >> 20,
        "checkpoint_mb": round(checkpoint.stat().st_size / 1e6, 1),
        "head_mb": round((run.path / "head.safetensors").stat().st_size / 1e6, 1),
        "save_seconds": round(saving, 2),
        "open_seconds": round(opening, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--labels", type=int, default=10_000)
    parser.add_argument("--dimension", type=int, default=1280)
    parser.add_argument("--learner", action="append", choices=LEARNERS)
    parser.add_argument("--out", type=Path, help="a folder for the runs; a temporary one if none")
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    learners = args.learner or LEARNERS[:2]
    if args.alone:
        with tempfile.TemporaryDirectory(dir=args.out) as folder:
            found = measured(learners[0], args.labels, args.dimension, Path(folder))
        print(json.dumps(found), flush=True)
        return
    sizes = ("--labels", str(args.labels), "--dimension", str(args.dimension))
    for learner in learners:
        call = [sys.executable, __file__, *sizes, "--learner", learner, "--alone"]
        subprocess.run([*call, *(("--out", str(args.out)) if args.out else ())], check=True)


if __name__ == "__main__":
    main()
