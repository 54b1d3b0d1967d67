"""``edgetransfer finetune``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgetransfer.cli.options import JsonOption, OverwriteOption, ResumeOption, check_resume
from edgetransfer.cli.terminal import print_json, print_line, show_log, shown_progress
from edgetransfer.cli.train import show_outcome
from edgetransfer.settings.finetune import FinetuneSettings, TrainingToo

if TYPE_CHECKING:
    from edgetransfer.reports.train import FinetuningRecord


def finetune(
    training: TrainingToo,
    own: FinetuneSettings,
    *,
    resume: ResumeOption = False,
    overwrite: OverwriteOption = False,
    json_output: JsonOption = False,
) -> None:
    r"""Train all non-zero weights of a sparse backbone on your own photos; the zeros stay zero.

    Examples:

    edgetransfer finetune --backbone sparse.onnx --data photos --out run \
        --epochs 10

    edgetransfer finetune --backbone sparse.onnx --data photos --out run \
        --only last-block

    edgetransfer finetune --backbone sparse.onnx --teacher dense.onnx \
        --data photos --out run --epochs 10 --optimizer adam \
        --head-init linear --refit-head

    edgetransfer finetune --data photos --out run --head-init linear \
        --batchnorm restore --learning-rate 0.01 --json

    edgetransfer finetune --backbone sparse.onnx --data photos --out run \
        --recipe paper
    """
    from edgetransfer.finetune import finetune as run_finetuning

    check_resume(resume=resume, overwrite=overwrite)
    show_log(json_output)
    with shown_progress() as progress:
        report = run_finetuning(
            training, own, resume=resume, overwrite=overwrite, progress=progress
        )
    if json_output:
        print_json(report)
    else:
        _show(report, training.out)


def _show(report: FinetuningRecord, out: Path) -> None:
    from edgetransfer.metrics.conventions import TITLES

    trained, masked = report["trained"], report["masked"]
    print_line(
        f"trained    {trained['parameters']:,} values from {trained['from']} on, "
        f"{trained['precision']}"
    )
    print_line(f"zeros      {masked['before']:,} before, {masked['after']:,} after")
    metric = report["metric"]["name"] if "metric" in report else "top1"  # of an earlier version
    judged = {"linear": report["linear"], "finetuned": report.get("finetuned")}
    for what, found in judged.items():
        if found is not None:
            held = ", kept" if report.get("kept") == what else ""
            print_line(f"{what:10} {found[metric] or 0:.1%} {TITLES[metric]} ({found['on']}{held})")
    show_outcome(report, out)
