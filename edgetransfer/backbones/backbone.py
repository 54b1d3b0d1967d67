"""A backbone: an ONNX file, cut at its features, with its card."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import onnx

from edgetransfer.backbones.card import BackboneCard, override, read_card
from edgetransfer.backbones.catalogue import resolve
from edgetransfer.errors import BackboneError
from edgetransfer.graphs.canonical import CanonicalFile, read_canonical
from edgetransfer.graphs.cut import FeatureCut, check_tensor, cut, find_features
from edgetransfer.graphs.freeze import freeze_opened, input_layout
from edgetransfer.graphs.graph import dims_of
from edgetransfer.graphs.image_signs import what_normalises
from edgetransfer.graphs.independence import pictures_stay_apart
from edgetransfer.graphs.sparsity import SparsityReport, count_weights, measure_sparsity
from edgetransfer.reports.shared import BackboneRecord
from edgetransfer.reprs import short_repr
from edgetransfer.settings.shared import BackboneReading, Interpolation
from edgetransfer.types import Preprocessing


@dataclass(frozen=True, kw_only=True)
class Backbone:
    """An image backbone, ready to be handed to an engine.

    Made by `Backbone.open`. The file on disk is never changed.

    Parameters
    ----------
    path
        The ONNX file.
    sha256
        Of the ONNX file and of its external weight files, in hex.
    card
        Preprocessing and provenance.
    cut
        Where the graph was cut.
    body
        The graph up to the feature tensor, in canonical form.
    classifier
        The graph from the feature tensor to the outputs; None where there was none.
    warnings
        What a person should know before trusting the result.
    variant
        In what ``body`` is not the file's; empty where it is.

    Examples
    --------
    >>> from edgetransfer import Backbone
    >>> backbone = Backbone.open("tinyresnet-90")
    >>> backbone.dimension, round(backbone.sparsity, 1)
    (256, 0.9)
    """

    path: Path
    sha256: str
    card: BackboneCard
    cut: FeatureCut
    body: onnx.ModelProto
    classifier: onnx.ModelProto | None
    warnings: tuple[str, ...] = ()
    variant: str = ""

    __repr__ = short_repr

    @classmethod
    def open(
        cls,
        backbone: str | Path,
        *,
        features: str | None = None,
        size: int | None = None,
        resize: int | None = None,
        mean: tuple[float, float, float] | None = None,
        std: tuple[float, float, float] | None = None,
        interpolation: Interpolation | None = None,
        normalisation: str | None = None,
    ) -> Backbone:
        """Open an ONNX file or a bundled backbone.

        Parameters
        ----------
        backbone
            A path, or the name of a bundled backbone.
        features
            The feature tensor; found in the graph if None.
        size, resize, mean, std, interpolation
            As in `Preprocessing`; each overrides the card.
        normalisation
            A convention of `NORMALISATIONS` by name, in place of the card's mean, std and order
            of channels.

        Raises
        ------
        BackboneError
            If the file cannot be used as a backbone.
        """
        path = resolve(backbone)
        reading = BackboneReading(
            features=features,
            size=size,
            resize=resize,
            mean=mean,
            std=std,
            interpolation=interpolation,
            normalisation=normalisation,
        )
        return cls.of(path, read_canonical(path), reading)

    @classmethod
    def of(cls, path: Path, read: CanonicalFile, reading: BackboneReading) -> Backbone:
        """The backbone in a file that was read already.

        Parameters
        ----------
        path
            Of the file: its card may lie beside it.
        reading
            Where it is cut, and what is said in place of its card.

        Raises
        ------
        BackboneError
            If the file cannot be used as a backbone.
        """
        try:
            return cls._from_model(path, read, reading)
        except BackboneError as error:
            named = str(error).startswith(str(path.with_suffix("")))
            raise error if named else BackboneError(f"{path}: {error}") from error

    @classmethod
    def _from_model(cls, path: Path, read: CanonicalFile, reading: BackboneReading) -> Backbone:
        model, digest = read.model, read.sha256
        layout, fixed_size = input_layout(model)
        card = read_card(path, model, fixed_size)
        if card.sha256 is not None and card.sha256.lower() != digest:
            raise BackboneError(
                f"{path}: its sha256 is {digest[:12]}…, but its card says {card.sha256[:12]}…: the "
                "file was changed or is incomplete; fetch it again or correct the card"
            )
        warnings = list(read.notes)
        given = reading.normalisation is not None or (
            reading.mean is not None and reading.std is not None
        )
        assumed = card.assumed and not given
        card = override(card, reading)
        if assumed:
            warnings.append(
                f"{path.name} has no card: assuming ImageNet's preprocessing, "
                f"{card.preprocessing.size} pixels; " + what_normalises(model, layout, path.name)
            )
        named = reading.features or card.features
        where = check_tensor(model, named) if named else find_features(model)
        warnings += where.doubts
        body, classifier = cut(model, where)
        return cls(
            path=path,
            sha256=digest,
            card=card,
            cut=where,
            body=body,
            classifier=classifier,
            warnings=tuple(warnings),
        )

    @property
    def name(self) -> str:
        """What people call it."""
        return self.card.name

    @property
    def preprocessing(self) -> Preprocessing:
        """What its input must look like."""
        return self.card.preprocessing

    def seeing(self, preprocessing: Preprocessing) -> Backbone:
        """The same backbone, fed in another way than its card says."""
        return replace(self, card=replace(self.card, preprocessing=preprocessing))

    @cached_property
    def dimension(self) -> int:
        """The length of a feature vector."""
        return dims_of(self._single.graph.output[0])[1] or 0

    @cached_property
    def sparsity_report(self) -> SparsityReport:
        """Zeros and multiply-adds, layer by layer."""
        return measure_sparsity(self._single)

    @property
    def sparsity(self) -> float:
        """The share of weights that are zero, 0 to 1."""
        return self.sparsity_report.sparsity

    @property
    def record(self) -> BackboneRecord:
        """For reports: which one it is."""
        return {"name": self.name, "sha256": self.sha256, "sparsity": self.sparsity}

    @cached_property
    def sparsity_with_classifier(self) -> float | None:
        """The share of zeros with the classifier's weights, as the literature counts it.

        None where the file has no classifier.
        """
        zeros, weights = (0, 0) if self.classifier is None else count_weights(self.classifier)
        if not weights:
            return None
        layers = self.sparsity_report.layers
        zeros += sum(layer.zeros for layer in layers)
        return zeros / (weights + sum(layer.weights for layer in layers))

    @property
    def identity(self) -> str:
        """Two backbones with equal identity make the same features of the same input."""
        of_file = f"{self.sha256}:{self.cut.tensor}"
        return f"{of_file}:{self.variant}" if self.variant else of_file

    @property
    def workload(self) -> str:
        """Two backbones of equal workload take the same time for an image."""
        return f"{self.identity}:{self.preprocessing.size}"

    def frozen(self, batch_size: int) -> onnx.ModelProto:
        """A copy with input ``images`` (batch_size, 3, S, S) and output ``features``.

        Raises
        ------
        BackboneError
            If the graph cannot take that batch or that size.
        """
        size = self.preprocessing.size
        try:
            found = freeze_opened(self.body, batch_size=batch_size, size=size)
            if found.opened and not self._pictures_stay_apart:
                raise BackboneError(
                    f"a batch of 1 is built into the graph (node {found.opened[0]}), and with "
                    f"{batch_size} pictures at once it mixes them; export it with an open batch"
                )
        except BackboneError as error:
            raise BackboneError(f"{self.path}: {error}") from error
        return found.model

    @cached_property
    def _pictures_stay_apart(self) -> bool:
        return pictures_stay_apart(self.body, self.preprocessing.size)

    @cached_property
    def _single(self) -> onnx.ModelProto:
        return self.frozen(1)
