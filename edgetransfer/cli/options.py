"""Options that several commands share, and how their values are read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgetransfer.defaults import ENGINES
from edgetransfer.errors import UsageError

_BACKBONE = "Backbone: how it is read"
_MACHINE = "Machine"


def parse_triple(option: str, text: str | None) -> tuple[float, float, float] | None:
    """``R,G,B`` as three numbers.

    Raises
    ------
    UsageError
        If it is anything else.
    """
    if text is None:
        return None
    try:
        red, green, blue = (float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(
            f"{option}: {text!r} is not three numbers with commas, such as 0.485,0.456,0.406"
        ) from None
    return red, green, blue


def parse_automatic(option: str, text: str) -> float | None:
    """``auto`` as None, else a number.

    Raises
    ------
    UsageError
        If it is neither.
    """
    if text == "auto":
        return None
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"{option}: {text!r} is neither auto nor a number") from None


def parse_l2(text: str) -> float | None:
    """The value of ``--l2``; see `parse_automatic`."""
    return parse_automatic("--l2", text)


def parse_bytes(option: str, text: str) -> int:
    """A number of bytes, perhaps with K, M, G or T for powers of 1024.

    Raises
    ------
    UsageError
        If it is anything else.
    """
    units = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
    digits = text.strip().upper().removesuffix("IB").removesuffix("B")
    number, unit = (digits[:-1], digits[-1:]) if digits[-1:].isalpha() else (digits, "")
    try:
        size = int(float(number) * units[unit])
    except (ValueError, KeyError, OverflowError):
        raise UsageError(f"{option}: {text!r} is not a size such as 64M or 2G") from None
    if size < 0:
        raise UsageError(f"{option}: a size is not negative")
    return size


BackboneOption = Annotated[
    str,
    typer.Option(
        "--backbone",
        metavar="FILE|NAME",
        help="ONNX file, or a name that `edgetransfer backbones` lists.",
    ),
]
MovedBackbone = Annotated[
    str | None,
    typer.Option(
        "--backbone", metavar="FILE", help="Where the run's backbone is now, if it was moved."
    ),
]
RunArgument = Annotated[
    Path,
    typer.Argument(
        metavar="RUN|EXPORT",
        help="A run folder made by train, finetune or stream, or what export made of one.",
    ),
]
EngineOption = Annotated[
    str,
    typer.Option(
        "--engine",
        metavar="|".join(ENGINES),
        help="auto: what `edgetransfer tune` measured to be fastest; before that, the project's "
        "own sparse engine, else DeepSparse where a trial succeeds, else ONNX Runtime.",
        rich_help_panel=_MACHINE,
    ),
]
ThreadsOption = Annotated[
    int | None,
    typer.Option(
        "--threads",
        metavar="N",
        min=1,
        help="CPU threads; all cores if not given. A resumed run needs the same.",
        rich_help_panel=_MACHINE,
    ),
]
WorkersOption = Annotated[
    int | None,
    typer.Option(
        "--workers",
        metavar="N",
        min=1,
        help="Decoding threads; as --threads if not given. Never changes the result.",
        rich_help_panel=_MACHINE,
    ),
]
CacheOption = Annotated[
    Path | None,
    typer.Option(
        "--cache-dir",
        metavar="DIR",
        help="Where features are kept; your cache folder if not given.",
        rich_help_panel=_MACHINE,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object to stdout.")]
QuietOption = Annotated[
    bool, typer.Option("--quiet", "-q", help="Only results and warnings, nothing else.")
]
UnknownOption = Annotated[
    float | None,
    typer.Option(
        "--unknown-below",
        metavar="P",
        help="Where no class reaches this probability, a photo shows none of them.",
    ),
]
FeaturesOption = Annotated[
    str | None,
    typer.Option(
        "--features",
        metavar="TENSOR",
        help="Cut the graph at this tensor; found by itself if not given.",
        rich_help_panel=_BACKBONE,
    ),
]
SizeOption = Annotated[
    int | None,
    typer.Option(
        "--size", metavar="PIXELS", help="Side of the model input.", rich_help_panel=_BACKBONE
    ),
]
ResizeOption = Annotated[
    int | None,
    typer.Option(
        "--resize",
        metavar="PIXELS",
        help="Shorter side before the eval view's centre crop.",
        rich_help_panel=_BACKBONE,
    ),
]
MeanOption = Annotated[
    str | None,
    typer.Option(
        "--mean",
        metavar="R,G,B",
        help="Mean of pixel values in 0 to 1.",
        rich_help_panel=_BACKBONE,
    ),
]
StdOption = Annotated[
    str | None,
    typer.Option(
        "--std",
        metavar="R,G,B",
        help="Standard deviation of pixel values in 0 to 1.",
        rich_help_panel=_BACKBONE,
    ),
]
NormalisationOption = Annotated[
    str | None,
    typer.Option(
        "--normalisation",
        metavar="NAME",
        help="A usual convention in place of --mean and --std: imagenet (also torch), half (-1 "
        "to 1; also tf), lite, unit (0 to 1), raw (0 to 255), torch-255, caffe (blue first), clip.",
        rich_help_panel=_BACKBONE,
    ),
]
InterpolationOption = Annotated[
    str | None,
    typer.Option(
        "--interpolation",
        metavar="bilinear|bicubic",
        help="Resampling filter.",
        rich_help_panel=_BACKBONE,
    ),
]
LearningRateOption = Annotated[
    float | None,
    typer.Option(
        "--learning-rate",
        metavar="X",
        help="Of SGD, a tenth after each third of the epochs. Default: 0.01.",
        show_default=False,
    ),
]
RecipeOption = Annotated[
    str,
    typer.Option(
        "--recipe",
        metavar="default|paper",
        help="paper: what is not given is as in Iofinova et al. (CVPR 2022), such as 150 epochs; "
        "what departs from it is named.",
    ),
]
MetricOption = Annotated[
    str,
    typer.Option(
        "--metric",
        metavar="auto|top1|per-class",
        help="The accuracy that counts. auto: mean per class for Aircraft, Caltech-101 and -256, "
        "Flowers and Pets, by the name of the data, else top-1.",
    ),
]
MinCropOption = Annotated[
    float,
    typer.Option(
        "--min-crop",
        metavar="SHARE",
        help="Of the augmented views: least share of the photo that a crop covers.",
    ),
]
FlipOption = Annotated[
    bool,
    typer.Option(
        "--flip/--no-flip",
        help="Of the augmented views: exchange left and right; not for letters and digits.",
    ),
]
MaxBadOption = Annotated[
    float,
    typer.Option(
        "--max-bad", metavar="SHARE", help="Share of images, 0 to 1, that may be unusable."
    ),
]
DataOption = Annotated[
    Path,
    typer.Option(
        *("--data", "-d"),
        metavar="DIR|MANIFEST",
        help="One folder a class (or train/ val/ test/ of those), or CSV / JSON Lines of path "
        "and label.",
    ),
]
OutOption = Annotated[
    Path, typer.Option("--out", "-o", metavar="RUN", help="The run folder to make.")
]
TestDataOption = Annotated[
    Path | None,
    typer.Option("--test-data", metavar="DIR|MANIFEST", help="Images to test on at the end."),
]
BatchSizeOption = Annotated[int, typer.Option("--batch-size", metavar="N", min=1)]
MomentumOption = Annotated[float, typer.Option("--momentum", metavar="X", help="Of SGD.")]
WeightDecayOption = Annotated[float, typer.Option("--weight-decay", metavar="X", help="Of SGD.")]
SeedOption = Annotated[int, typer.Option("--seed", metavar="N", min=0)]
ValFractionOption = Annotated[
    float,
    typer.Option(
        "--val-fraction",
        metavar="X",
        help="Share of each class to hold out for validation, if there is no val/.",
    ),
]
ReportOption = Annotated[
    bool,
    typer.Option("--report/--no-report", help="Write report.html, a page with photos, at the end."),
]
ResumeOption = Annotated[bool, typer.Option("--resume", help="Go on with an interrupted run.")]
OverwriteOption = Annotated[
    bool, typer.Option("--overwrite", help="Start anew in an existing run folder.")
]


def check_resume(*, resume: bool, overwrite: bool) -> None:
    """Refuse two wishes that exclude each other."""
    if resume and overwrite:
        raise UsageError("--resume and --overwrite exclude each other")
