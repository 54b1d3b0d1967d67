"""Photos to features, as a transformer of scikit-learn's."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from edgetransfer.backbones import Backbone
from edgetransfer.errors import BackboneError
from edgetransfer.features import Photo, features_of
from edgetransfer.reprs import LONGEST
from edgetransfer.settings.shared import DEFAULT_BACKBONE
from edgetransfer.types import Float32Array

_OPENED = "_backbone"


class BackboneFeatures(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """The features of photos, a row a photo.

    Nothing is learned in ``fit``: it opens the backbone, and notes what file it is. A pickle holds
    the backbone's name or path and the sha256 of its file, never the weights; what is unpickled
    where the file is another one refuses to go on.

    Parameters
    ----------
    backbone
        An ONNX file, or the name of a backbone that ``edgetransfer backbones`` lists.
    engine, threads
        As of `edgetransfer.features`.

    Attributes
    ----------
    n_features_out_
        The length D of a feature row.
    sha256_
        Of the backbone's file.

    Examples
    --------
    >>> from edgetransfer import BackboneFeatures
    >>> BackboneFeatures("small.onnx").fit_transform(["photos/test/red/000.png"]).shape
    (1, 16)
    """

    def __init__(
        self,
        backbone: str | Path = DEFAULT_BACKBONE,
        *,
        engine: str = "auto",
        threads: int | None = None,
    ) -> None:
        self.backbone = backbone
        self.engine = engine
        self.threads = threads

    def __repr__(self, N_CHAR_MAX: int = LONGEST // 2) -> str:
        text: str = super().__repr__(N_CHAR_MAX)
        return text

    def fit(self, X: Iterable[Photo] | None = None, y: Any = None) -> BackboneFeatures:
        """Open the backbone; ``X`` and ``y`` are not looked at.

        Raises
        ------
        BackboneError
            If the file cannot be used as a backbone.
        """
        opened = Backbone.open(self.backbone)
        setattr(self, _OPENED, opened)
        self.sha256_ = opened.sha256
        self.n_features_out_ = opened.dimension
        return self

    def transform(self, X: Iterable[Photo] | Photo) -> Float32Array:
        """(N, D) float32, a row a photo, in their order.

        Parameters
        ----------
        X
            Paths, bytes, Pillow's pictures, arrays (H, W, 3) uint8; one column of a table of
            these; or a folder.

        Raises
        ------
        ImageError
            If a photo cannot be decoded: none is left out.
        BackboneError
            If the backbone's file is not the one that was fitted with.
        """
        check_is_fitted(self)
        return features_of(
            self._same_backbone(), _column(X), engine=self.engine, threads=self.threads
        )

    def _same_backbone(self) -> Backbone:
        opened: Backbone | None = getattr(self, _OPENED, None)
        if opened is None:
            opened = Backbone.open(self.backbone)
            if opened.sha256 != self.sha256_:
                raise BackboneError(
                    f"{opened.path}: not the file that this transformer was fitted with (sha256 "
                    f"{opened.sha256[:12]}… instead of {self.sha256_[:12]}…); put that one back, "
                    "or fit anew"
                )
            setattr(self, _OPENED, opened)
        return opened

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = dict(super().__getstate__())
        state.pop(_OPENED, None)
        return state

    @property
    def _n_features_out(self) -> int:
        return int(self.n_features_out_)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.requires_fit = True
        tags.no_validation = True
        tags.input_tags.two_d_array = False
        tags.input_tags.one_d_array = True
        tags.input_tags.string = True
        tags.transformer_tags.preserves_dtype = []
        return tags


def _column(photos: Any) -> Any:
    """Photos as `features_of` takes them: of a table, or a column of objects, what is in it."""
    values = photos.to_numpy() if hasattr(photos, "to_numpy") else photos
    if getattr(values, "dtype", None) is not None and values.dtype.kind in "OU":
        return list(values.ravel())
    return values
