"""The model card of an export: a README that people and model hubs can read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NotRequired, TypedDict

from edgetransfer.jobs.exporting.checking import Verified
from edgetransfer.names import json_text, readable
from edgetransfer.train.opened_run import OpenedRun
from edgetransfer.version import __version__

SHOWN = 100  # class names


class ToldAccuracies(TypedDict):
    """Of a report; those of before may lack one."""

    top1: NotRequired[float]
    mean_per_class: NotRequired[float]


class Told(TypedDict):
    """What is said of a report, if it is there: of any run, or of an export of one."""

    final: NotRequired[ToldAccuracies | None]
    n_test: NotRequired[int]
    accepted: NotRequired[int]
    learned: NotRequired[int]


def model_card(
    run: OpenedRun,
    report: Mapping[str, Any],
    verified: Verified,
    *,
    name: str,
    unknown_below: float | None,
    whole: str | None,
) -> str:
    """The text of README.md: front matter in YAML, then what the model is and how to use it.

    Parameters
    ----------
    report
        Of the run.
    name
        What the export is called.
    whole
        The name of the merged file, if there is one.
    """
    backbone, classes = run.backbone, run.head.classes
    pre = backbone.preprocessing
    licence = backbone.card.licence
    front = [
        "---",
        "library_name: edgetransfer",
        "pipeline_tag: image-classification",
        *_licence(licence),
        "tags:",
        *(f"- {tag}" for tag in ("image-classification", "onnx", "sparse", "cpu")),
        "---",
    ]
    lines = [
        *front,
        "",
        f"# {readable(name)}",
        "",
        f"Tells {len(classes)} classes of photos apart: {_named(classes)}.",
        "",
        f"- Backbone: {readable(backbone.name)}, {backbone.sparsity:.1%} of its weights are zero "
        f"(sha256 {backbone.sha256[:12]}…{f'; licence: {readable(licence)}' if licence else ''}).",
        *_accuracy(report),
        f"- Input: RGB, the shorter side resized to {pre.resize} pixels ({pre.interpolation}, "
        f"antialiased), the central {pre.size} by {pre.size}; (x / 255 - mean) / std with mean "
        f"{list(pre.mean)} and std {list(pre.std)}, channels in the order {pre.channels}.",
    ]
    if unknown_below is not None:
        lines.append(f"- Where no class reaches {unknown_below:g}, a photo shows none of them.")
    lines += [
        f"- Checked against the run on {verified.on}: the largest difference of a probability is "
        f"{max(verified.difference.values(), default=0.0):.1g} "
        f"({', '.join(verified.difference)}).",
        "",
        "```",
        "edgetransfer predict . photo.jpg",
    ]
    if whole is not None:
        lines.append(f"python predict_onnx.py {whole} photo.jpg   # onnxruntime, numpy, pillow")
    lines += ["```", "", f"Made by edgetransfer {__version__}."]
    return "\n".join(lines) + "\n"


def _licence(licence: str | None) -> list[str]:
    """As model hubs take it: an identifier of SPDX, or ``other`` with a name."""
    if licence is None:
        return ["license: unknown"]
    if re.fullmatch(r"[A-Za-z0-9.+-]+", licence):
        return [f"license: {licence.lower()}"]
    return ["license: other", f"license_name: {json_text(licence)}"]


def _named(classes: tuple[str, ...]) -> str:
    shown = ", ".join(readable(name) for name in classes[:SHOWN])
    return shown + (f" and {len(classes) - SHOWN} more" if len(classes) > SHOWN else "")


def _accuracy(report: Mapping[str, Any]) -> list[str]:
    final, learned = report.get("final"), report.get("learned")
    if final is not None and {"top1", "mean_per_class"} <= final.keys():
        return [
            f"- Accuracy on {report.get('n_test', 'the')} test photos: top-1 {final['top1']:.1%}, "
            f"mean per class {final['mean_per_class']:.1%}."
        ]
    if learned is not None:
        return [f"- Learned from a stream of {learned:,} photos."]
    return ["- Its accuracy was not tested on photos of its own."]
