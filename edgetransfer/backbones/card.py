"""A backbone's card: what an ONNX file does not say of itself.

It stands as TOML beside the file (``model.toml`` for ``model.onnx``) or inside it, as the value
of the ``metadata_props`` key ``edgetransfer.card``; the file beside wins.
"""

from __future__ import annotations

import tomllib
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import onnx

from edgetransfer.errors import BackboneError, UsageError
from edgetransfer.names import readable
from edgetransfer.reports.backbones import CardRecord
from edgetransfer.reprs import short_repr
from edgetransfer.settings.shared import CardOverrides
from edgetransfer.types import (
    Channels,
    Preprocessing,
    default_resize,
    normalisation_of,
)

METADATA_KEY = "edgetransfer.card"
TEXTS = ("features", "pruning", "licence", "source", "sha256", "parent")
NUMBERS = ("dimension", "sparsity", "sparsity_with_classifier", "top1_photo_a_class", "transfer")
PREPROCESSING = ("size", "resize", "mean", "std", "interpolation", "channels")
KEYS = ("name", *PREPROCESSING, *NUMBERS, *TEXTS)


@dataclass(frozen=True, kw_only=True)
class BackboneCard:
    """What is known of a backbone beyond its graph.

    Parameters
    ----------
    name
        What people call it.
    preprocessing
        What its input must look like.
    features
        The feature tensor, where the graph alone does not tell.
    dimension
        The length of a feature vector.
    sparsity
        The share of the feature extractor's weights that are zero, 0 to 1.
    sparsity_with_classifier
        The same with the classifier's weights, as the literature counts it.
    top1_photo_a_class
        How many of 1,000 photos, one of each ImageNet class, its own classifier names rightly,
        0 to 1, where the project measured it.
    transfer
        Mean accuracy per class on Caltech-101 with a linear head, 0 to 1, where the project
        measured it.
    pruning
        How it was made sparse.
    licence, source
        Terms of use, and where it comes from.
    sha256
        Of the ONNX file, in hex; checked when given.
    parent
        The sha256 of the backbone that it was made from.
    assumed
        True if there was no card and these are ImageNet's defaults.
    """

    name: str
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    features: str | None = None
    dimension: int | None = None
    sparsity: float | None = None
    sparsity_with_classifier: float | None = None
    top1_photo_a_class: float | None = None
    transfer: float | None = None
    pruning: str | None = None
    licence: str | None = None
    source: str | None = None
    sha256: str | None = None
    parent: str | None = None
    assumed: bool = False

    __repr__ = short_repr

    @property
    def record(self) -> CardRecord:
        """For reports."""
        return cast(CardRecord, asdict(self))

    def to_toml(self) -> str:
        """The card as TOML, in the form that `read_card` takes."""
        import tomli_w

        pre = self.preprocessing
        whole = self.sparsity_with_classifier
        values = {
            "name": self.name,
            "size": pre.size,
            "resize": pre.resize,
            "mean": list(pre.mean),
            "std": list(pre.std),
            "interpolation": pre.interpolation,
            "channels": None if pre.channels == "RGB" else pre.channels,
            "features": self.features,
            "dimension": self.dimension,
            "sparsity": None if self.sparsity is None else round(self.sparsity, 6),
            "sparsity_with_classifier": None if whole is None else round(whole, 6),
            "top1_photo_a_class": self.top1_photo_a_class,
            "transfer": self.transfer,
            "pruning": self.pruning,
            "licence": self.licence,
            "source": self.source,
            "sha256": self.sha256,
            "parent": self.parent,
        }
        written = {
            key: readable(value) if isinstance(value, str) else value
            for key, value in values.items()
            if value is not None
        }
        return tomli_w.dumps(written)


def card_path(backbone: Path) -> Path:
    """Where the card of an ONNX file stands."""
    return backbone.with_suffix(".toml")


def read_card(backbone: Path, model: onnx.ModelProto, fixed_size: int | None) -> BackboneCard:
    """Read the card of an ONNX file, or assume ImageNet's defaults.

    Parameters
    ----------
    fixed_size
        The side of the graph's input where the graph fixes it; the default of ``size``.

    Raises
    ------
    BackboneError
        If the card is not valid TOML, or a value in it makes no sense.
    """
    beside = card_path(backbone)
    inside = {p.key: p.value for p in model.metadata_props}.get(METADATA_KEY)
    if beside.exists():
        try:
            text, where = beside.read_text(encoding="utf-8"), str(beside)
        except (OSError, UnicodeDecodeError) as error:
            raise BackboneError(f"{beside}: the card cannot be read: {error}") from error
    elif inside is not None:
        text, where = inside, f"{backbone} ({METADATA_KEY})"
    else:
        size = fixed_size or 224
        return BackboneCard(
            name=backbone.stem,
            preprocessing=Preprocessing(size=size, resize=default_resize(size)),
            assumed=True,
        )
    try:
        return _parse(tomllib.loads(text), backbone, fixed_size)
    except tomllib.TOMLDecodeError as error:
        raise BackboneError(f"{where}: the card is not valid TOML: {error}") from error
    except (UsageError, TypeError, ValueError) as error:
        raise BackboneError(f"{where}: {error}") from error


def _parse(values: dict[str, Any], backbone: Path, fixed_size: int | None) -> BackboneCard:
    unknown = sorted(set(values) - set(KEYS))
    if unknown:
        raise ValueError(f"unknown key {unknown[0]!r} in the card; known: {', '.join(KEYS)}")
    for name in TEXTS:
        if not isinstance(values.get(name, ""), str):
            raise ValueError(f"{name} must be a text")
    if not isinstance(values.get("size", 0), int) or not isinstance(values.get("resize", 0), int):
        raise ValueError("size and resize are whole numbers of pixels")
    for name in NUMBERS:
        if not isinstance(values.get(name, 0), int | float):
            raise ValueError(f"{name} must be a number")
    size = int(values.get("size", fixed_size or 224))
    defaults = Preprocessing()
    preprocessing = Preprocessing(
        size=size,
        resize=int(values.get("resize", default_resize(size))),
        mean=_triple(values.get("mean", defaults.mean)),
        std=_triple(values.get("std", defaults.std)),
        interpolation=values.get("interpolation", defaults.interpolation),
        channels=values.get("channels", defaults.channels),
    )
    rest: dict[str, Any] = {name: values.get(name) for name in (*NUMBERS, *TEXTS)}
    return BackboneCard(
        name=str(values.get("name", backbone.stem)), preprocessing=preprocessing, **rest
    )


def _triple(values: Any) -> tuple[float, float, float]:
    red, green, blue = (float(v) for v in values)
    return red, green, blue


def override(card: BackboneCard, given: CardOverrides) -> BackboneCard:
    """The card with a person's own settings in place of some of its.

    Raises
    ------
    UsageError
        If a value makes no sense, or no convention has that name.
    """
    pre = card.preprocessing
    channels: Channels = pre.channels
    size, resize, mean, std = given.size, given.resize, given.mean, given.std
    if given.normalisation is not None:
        usual = normalisation_of(given.normalisation)
        mean, std, channels = mean or usual.mean, std or usual.std, usual.channels
    if size is not None and resize is None and size != pre.size:
        resize = round(pre.resize * size / pre.size)
    changed = Preprocessing(
        size=size if size is not None else pre.size,
        resize=resize if resize is not None else pre.resize,
        mean=mean if mean is not None else pre.mean,
        std=std if std is not None else pre.std,
        interpolation=given.interpolation or pre.interpolation,
        channels=channels,
    )
    return replace(card, preprocessing=changed)
