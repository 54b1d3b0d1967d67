"""Two threads beside a busy core: what a thread that the system does not schedule costs.

    python benchmarks/busy_core.py [--backbone mobilenet_v1:0.9] [--batches 1 16 64]
        [--engines sparse deepsparse] [--seconds 2] [--repeats 5] [--idle]

A child process keeps one core busy all the while (none with --idle). Each engine runs with one
thread and with two, in turns of some seconds; counted are all images of a turn, so that a thread
that waits for another costs what it costs. Two threads should make at least 0.95 of what one
makes. JSON lines on stdout.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from workloads import backbone_of, in_turns, median, report

from edgetransfer.engines import Engine
from edgetransfer.engines.registry import engine_kind

LOOP = "import os; hasattr(os, 'sched_setaffinity') and os.sched_setaffinity(0, {0})\nwhile 1: pass"


@contextlib.contextmanager
def busy_core(*, idle: bool) -> Iterator[None]:
    if idle:
        yield
        return
    child = subprocess.Popen([sys.executable, "-c", LOOP])
    try:
        yield
    finally:
        child.kill()
        child.wait()


def rate(engine: Engine, seconds: float) -> Callable[[], float]:
    images = np.random.default_rng(0).standard_normal(engine.input_shape, np.float32)

    def measure() -> float:
        start, runs = time.perf_counter(), 0
        while (taken := time.perf_counter() - start) < seconds:
            engine.run(images)
            runs += 1
        return runs * len(images) / taken

    return measure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbone", default="mobilenet_v1:0.9")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 16, 64])
    parser.add_argument("--engines", nargs="+", default=["sparse", "deepsparse"])
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--idle", action="store_true")
    options = parser.parse_args()
    names = [n for n in options.engines if engine_kind(n).why_absent() is None]
    with tempfile.TemporaryDirectory() as folder:
        backbone = backbone_of(options.backbone, Path(folder))
        for batch in options.batches:
            model = backbone.frozen(batch)
            engines = {
                f"{name} {threads}": engine_kind(name).open(model, threads=threads, reason="")
                for name, threads in itertools.product(names, (1, 2))
            }
            with busy_core(idle=options.idle):
                found = in_turns(
                    {n: rate(e, options.seconds) for n, e in engines.items()}, options.repeats
                )
            for engine in engines.values():
                engine.close()
            rates = {name: median(values) for name, values in found.items()}
            report(
                "busy core",
                backbone=options.backbone,
                batch=batch,
                busy=not options.idle,
                cores=os.cpu_count(),
                images_per_second=rates,
                two_over_one={n: round(rates[f"{n} 2"] / rates[f"{n} 1"], 3) for n in names},
            )


if __name__ == "__main__":
    main()
