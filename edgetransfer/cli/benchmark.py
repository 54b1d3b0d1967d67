"""``edgetransfer benchmark``."""

from __future__ import annotations

from typing import Annotated, Any

from edgetransfer.cli.benchmark_table import show_benchmark
from edgetransfer.cli.options import JsonOption
from edgetransfer.cli.terminal import print_found, show_log, shown_progress
from edgetransfer.errors import EngineError
from edgetransfer.settings.benchmark import BenchmarkSettings
from edgetransfer.settings.option import Opt


def benchmark(
    settings: BenchmarkSettings,
    *,
    overwrite: Annotated[bool, Opt("Start anew in an existing benchmark's folder.")] = False,
    json_output: JsonOption = False,
) -> None:
    r"""Compare backbones with a dense one: seconds per epoch and accuracy, here, on your photos.

    Each epoch of online linear finetuning is timed in a process of its own, after a warm-up, and
    the backbones take turns (A B C, A B C). OUT gets report.html, report.json and, with
    matplotlib, plots. The same command goes on with a benchmark that was interrupted.

    Examples:

    edgetransfer benchmark --baseline dense.onnx --backbone sparse80.onnx \
        --backbone sparse90.onnx --data photos --data flowers.csv --seeds 3 \
        --out bench

    edgetransfer benchmark --synthetic resnet50:0.8,0.9,0.95 --data photos \
        --out bench

    edgetransfer benchmark --synthetic resnet50:0.9 --out bench \
        --distribution acdc,str,woodfisher,rigl --data caltech-101

    edgetransfer benchmark --synthetic mobilenet_v1:0.75 --data photos \
        --engines deepsparse,onnxruntime --images 640 --out bench --json
    """
    from edgetransfer.benchmark import run_benchmark

    show_log(json_output)
    with shown_progress() as progress:
        report = run_benchmark(settings, overwrite=overwrite, progress=progress)
    print_found(report, lambda found: show_benchmark(found, settings.out), as_json=json_output)
    _fail_if_nothing_ran(report)


def _fail_if_nothing_ran(report: dict[str, Any]) -> None:
    reasons = [row["reason"] for row in report["rows"]]
    if all(reasons):
        raise EngineError(f"no backbone could be measured: {reasons[0]}")
