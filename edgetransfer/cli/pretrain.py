"""``edgetransfer pretrain``."""

from __future__ import annotations

import inspect
from typing import Annotated, Any

from edgetransfer.cli.options import JsonOption
from edgetransfer.cli.terminal import print_json, print_line, show_log, shown_progress
from edgetransfer.settings.option import Opt
from edgetransfer.settings.policies import POLICIES
from edgetransfer.settings.pretrain import Pretraining


def pretrain(
    settings: Pretraining,
    *,
    resume: Annotated[bool, Opt("Go on with an interrupted call.")] = False,
    overwrite: Annotated[bool, Opt("Replace an existing --out.")] = False,
    json_output: JsonOption = False,
) -> None:
    r"""Train a sparse network on photos, from random weights or from a dense backbone.

    Needs the finetune extra. Out comes an ONNX file with its card and a report beside it; --policy
    says how it becomes sparse:

    POLICIES

    Examples:

    edgetransfer pretrain --data photos --sparsity 0.9 --out sparse.onnx

    edgetransfer pretrain --data photos --policy cram+-multi --epochs 40 \
        --out prunable.onnx

    edgetransfer pretrain --data photos --dense dense.onnx --policy gmp \
        --out sparse.onnx

    edgetransfer pretrain --data unlabelled --no-labels --dense dense.onnx \
        --out sparse.onnx
    """
    from edgetransfer.pretrain import pretrain as run

    show_log(json_output)
    with shown_progress() as progress:
        report = run(settings, resume=resume, overwrite=overwrite, progress=progress)
    if json_output:
        print_json(report)
    else:
        _show(report)


def _listed() -> str:
    return "\n\n".join(
        f"{name}: {record.line}" + (f" ({record.paper})." if record.paper else ".")
        for name, record in POLICIES.items()
    )


pretrain.__doc__ = inspect.cleandoc(pretrain.__doc__ or "").replace("POLICIES", _listed())


def _show(report: dict[str, Any]) -> None:
    print_line(
        f"accuracy   {_judged(report)} on {report['photos']['tested']} photos that were held out"
    )
    whole = report["sparsity_with_classifier"]
    counted = "" if whole is None else f", {whole:.1%} with the classifier"
    print_line(f"sparsity   {report['sparsity']:.1%} of the weights{counted}")
    print_line(f"filters    {report['pruned_filters']:.1%} without a weight left")
    print_line(
        f"training   {report['training_macs_over_dense']:.2f} times the work of dense training"
    )
    for row in report["one_shot"]:
        tuned = f", {_judged(row['tuned'])} with batch-norm tuned" if "tuned" in row else ""
        print_line(f"one shot   {row['level']:>6}: {_judged(row['untuned'])}{tuned}")
    if report["twin"]:
        print_line(f"dense twin {_judged(report['twin'])}; {report['twin']['out']}")
    print_line(f"time       {report['seconds']:,.0f} s")
    print_line(f"saved in   {report['out']}")


def _judged(record: dict[str, Any]) -> str:
    if record.get("top1") is not None:
        return f"top-1 {record['top1']:.1%}"
    if record.get("feature_error") is not None:
        return f"feature error {record['feature_error']:.3f}"
    return "not tested"
