"""Settings that several commands share: how a backbone is read, the machine, augmented views.

A name of this module is a setting with its option; a class is a group of them. A class of settings
takes groups as bases, so that their fields are its own: ``LinearTraining(size=96, threads=2)``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, get_args

from edgetransfer.reprs import short_repr
from edgetransfer.settings.forms import TRIPLE
from edgetransfer.settings.option import Opt

Interpolation = Literal["bilinear", "bicubic"]
MetricChoice = Literal["auto", "top1", "per-class"]
RecipeName = Literal["default", "paper"]
EngineName = Literal["auto", "sparse", "deepsparse", "openvino", "openvino-bf16", "onnxruntime"]
ENGINES: tuple[EngineName, ...] = get_args(EngineName)
"""What ``--engine`` takes; a test holds it against the registry, which is heavy."""

DEFAULT_BACKBONE = "efficientnet-lite0-192-50"
FORMER_DEFAULTS = ("efficientnet-lite0-50", "tinyresnet-90")
"""Runs that were begun with one of these go on with it."""
MAX_BAD = 0.05
TOP = 5

BACKBONE = "Backbone: how it is read"
MACHINE = "Machine"

BackboneName = Annotated[
    str,
    Opt("ONNX file, or a name that `edgetransfer backbones` lists.", metavar="FILE|NAME"),
]
GivenBackbone = Annotated[
    str,
    Opt("ONNX file, or a bundled backbone.", metavar="FILE|NAME", positional=True),
]
Data = Annotated[
    Path,
    Opt(
        "One folder a class (or train/ val/ test/ of those), CSV / JSON Lines of path and label, "
        "a zip or tar archive, Parquet or Arrow, a saved Hugging Face data set, a .sql query; "
        "here or at an address (s3://, https://).",
        metavar="DIR|FILE|ADDRESS",
        flag="--data -d",
    ),
]
TestData = Annotated[Path | None, Opt("Images to test on at the end.", metavar="DIR|MANIFEST")]
DataSets = Annotated[
    tuple[Path, ...],
    Opt(
        "Labelled photos, as for train; may be given more than once.",
        metavar="DIR|MANIFEST",
        flag="--data -d",
    ),
]
ComparedBackbones = Annotated[
    tuple[str, ...],
    Opt(
        "A backbone to compare; may be given more than once.",
        metavar="FILE|NAME",
        flag="--backbone",
    ),
]
Recipe = Annotated[
    RecipeName,
    Opt(
        "paper: what is not given is as in Iofinova et al. (CVPR 2022), such as 150 epochs; "
        "what departs from it is named.",
        free=True,
    ),
]
Metric = Annotated[
    MetricChoice,
    Opt(
        "The accuracy that counts. auto: mean per class for Aircraft, Caltech-101 and -256, "
        "Flowers and Pets, by the name of the data, else top-1.",
        free=True,
    ),
]
BatchSize = Annotated[int, Opt(metavar="N", least=1)]
LearningRate = Annotated[
    float | None,
    Opt("Of SGD, a tenth after each third of the epochs. Default: 0.01.", metavar="X"),
]
Seed = Annotated[int, Opt(metavar="N", least=0)]
MaxBad = Annotated[
    float,
    Opt(
        "Share of images, 0 to 1, that may be unusable.",
        metavar="SHARE",
        least=0,
        most=1,
        free=True,
    ),
]
Engine = Annotated[
    EngineName,
    Opt(
        "auto: what `edgetransfer tune` measured to be fastest; before that, the project's own "
        "sparse engine, else DeepSparse where a trial succeeds, else ONNX Runtime.",
        panel=MACHINE,
    ),
]
Threads = Annotated[
    int | None,
    Opt(
        "CPU threads; all cores if not given. A resumed run needs the same.",
        metavar="N",
        panel=MACHINE,
        least=1,
    ),
]
Workers = Annotated[
    int | None,
    Opt(
        "Decoding threads; as --threads if not given. Never changes the result.",
        metavar="N",
        panel=MACHINE,
        least=1,
        free=True,
    ),
]
CacheDir = Annotated[
    Path | None,
    Opt(
        "Where features are kept; your cache folder if not given.",
        metavar="DIR",
        panel=MACHINE,
        free=True,
    ),
]
MovedBackbone = Annotated[
    str | None,
    Opt("Where the run's backbone is now, if it was moved.", metavar="FILE"),
]
TrainedRun = Annotated[
    Path,
    Opt(
        "A run folder made by train, finetune or stream, or what export made of one.",
        metavar="RUN|EXPORT",
        positional=True,
    ),
]
UnknownBelow = Annotated[
    float | None,
    Opt(
        "Where no class reaches this probability, none of them is shown; 0: one always is.",
        metavar="P",
    ),
]
ServerBatch = Annotated[
    int, Opt("Photos that go through the engine together.", metavar="N", least=1)
]
Features = Annotated[
    str | None,
    Opt(
        "Cut the graph at this tensor; found by itself if not given.",
        metavar="TENSOR",
        panel=BACKBONE,
    ),
]
Size = Annotated[int | None, Opt("Side of the model input.", metavar="PIXELS", panel=BACKBONE)]


@dataclass(frozen=True, kw_only=True)
class CardOverrides:
    """What is said in place of a backbone's card; None to follow the card.

    Parameters
    ----------
    size
        Side of the model input, in pixels.
    resize
        The shorter side before the eval view's centre crop.
    mean, std
        Of pixel values in 0 to 1: red, green, blue.
    interpolation
        Of the resize.
    normalisation
        A convention by name, in place of mean, deviation and order of channels.
    """

    size: Size = None
    resize: Annotated[
        int | None,
        Opt("Shorter side before the eval view's centre crop.", metavar="PIXELS", panel=BACKBONE),
    ] = None
    mean: Annotated[
        tuple[float, float, float] | None,
        Opt("Mean of pixel values in 0 to 1.", metavar="R,G,B", panel=BACKBONE, parse=TRIPLE),
    ] = None
    std: Annotated[
        tuple[float, float, float] | None,
        Opt(
            "Standard deviation of pixel values in 0 to 1.",
            metavar="R,G,B",
            panel=BACKBONE,
            parse=TRIPLE,
        ),
    ] = None
    interpolation: Annotated[Interpolation | None, Opt("Resampling filter.", panel=BACKBONE)] = None
    normalisation: Annotated[
        str | None,
        Opt(
            "A usual convention in place of --mean and --std: imagenet (also torch), half (-1 to "
            "1; also tf), lite, unit (0 to 1), raw (0 to 255), torch-255, caffe (blue first), "
            "clip.",
            metavar="NAME",
            panel=BACKBONE,
        ),
    ] = None

    __repr__ = short_repr


@dataclass(frozen=True, kw_only=True)
class BackboneReading(CardOverrides):
    """How a backbone is read: where it is cut, and what is said in place of its card.

    Parameters
    ----------
    features
        The tensor to cut at; found in the graph if None.
    """

    features: Features = None

    __repr__ = short_repr


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What of the machine a job takes.

    Parameters
    ----------
    threads
        Of the engine and of linear algebra; one per core if None. It also sets ``workers``
        unless they are given.
    workers
        Decoding threads; never changes the result.
    cache_dir
        Where features are kept; the user's cache folder if None.
    """

    threads: Threads = None
    workers: Workers = None
    cache_dir: CacheDir = None

    __repr__ = short_repr


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """The augmented views.

    Parameters
    ----------
    min_crop
        The least share of the photo that a crop covers.
    flip
        Whether left and right may be exchanged; letters and digits do not allow it.
    """

    min_crop: Annotated[
        float,
        Opt(
            "Of the augmented views: least share of the photo that a crop covers.",
            metavar="SHARE",
            above=0,
            most=1,
        ),
    ] = 0.08
    flip: Annotated[
        bool,
        Opt("Of the augmented views: exchange left and right; not for letters and digits."),
    ] = True

    __repr__ = short_repr


@dataclass(frozen=True, kw_only=True)
class Descent:
    """What every SGD here has beside its learning rate.

    Parameters
    ----------
    momentum
        Share of the last step that is kept, 0 to below 1.
    weight_decay
        L2 penalty on weights and bias, added to the gradient as torch's SGD does.
    """

    momentum: Annotated[float, Opt("Of SGD.", metavar="X")] = 0.9
    weight_decay: Annotated[float, Opt("Of SGD.", metavar="X")] = 5e-4

    __repr__ = short_repr
