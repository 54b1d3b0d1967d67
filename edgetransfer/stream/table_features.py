"""The feature source of a stream that has features in place of photos."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from edgetransfer.engines import EngineChoice
from edgetransfer.errors import DataError, EngineError, UsageError
from edgetransfer.features.table_backbone import named_backbone, open_backbone_of
from edgetransfer.features.table_folder import is_table_folder
from edgetransfer.features.table_index import Index
from edgetransfer.features.tables import Origin
from edgetransfer.reprs import short_repr
from edgetransfer.settings.shared import DEFAULT_BACKBONE
from edgetransfer.settings.stream import StreamSettings
from edgetransfer.stream.opening import (
    FeatureSource,
    feature_source_of,
    features_identity,
    open_feature_source,
)
from edgetransfer.types import Float32Array

logger = logging.getLogger(__name__)

DATA = "data:"
ROWS = 256


class FeaturesAlone:
    """An engine that is none: the features are there, and photos are refused.

    Parameters
    ----------
    origin
        What made the features.
    """

    batch_size = ROWS  # rows that are written down and learned together

    def __init__(self, origin: Origin) -> None:
        self.name = origin.engine
        self.choice = EngineChoice(
            name=origin.engine,
            version=origin.engine_version,
            reason="the tables were made by it; none is opened here",
        )
        size = origin.preprocessing.size
        self.input_shape = (self.batch_size, 3, size, size)
        self.dimension = origin.dimension

    def run(self, images: Float32Array) -> Float32Array:
        """See `Engine.run`: it cannot."""
        raise EngineError(f"{len(images)} photos came to a stream that has features alone")

    def close(self) -> None:
        """See `Engine.close`."""


@dataclass(frozen=True, kw_only=True)
class ToldBy:
    """The tables that say what a stream's features are.

    Parameters
    ----------
    folder
        The first of them.
    origin
        What made them all.
    alone
        Whether nothing else is learned from or tested on, so that no engine is needed.
    """

    folder: Path
    origin: Origin
    alone: bool

    __repr__ = short_repr

    @classmethod
    def sources(cls, settings: StreamSettings) -> ToldBy | None:
        """Look at what the settings name; None if there are photos alone.

        Raises
        ------
        UsageError
            If views are asked for, which take the photos themselves.
        DataError
            If tables are damaged, or of another making than others.
        """
        found = dict(_origins(settings))
        if not found:
            return None
        (folder, origin), *others = found.items()
        for other, theirs in others:
            difference = origin.difference(replace(theirs, dtype=origin.dtype))
            if difference is not None:
                raise DataError(f"{other}: it does not go with {folder}: {difference}")
        if settings.learning.views:
            raise UsageError(
                f"--views: {folder} are tables of features, and the photos are not there"
            )
        named = len([text for text in settings.source if _table_folder(text) is not None])
        tested = settings.test_data is None or settings.test_data in found
        return cls(folder=folder, origin=origin, alone=tested and named == len(settings.source))

    def named(self, settings: StreamSettings) -> StreamSettings:
        """The settings with the backbone of the tables, where they name none."""
        return replace(settings, backbone=named_backbone(settings.backbone, self.origin))

    def feature_source(self, settings: StreamSettings, *, photos: bool) -> FeatureSource:
        """What the stream sees by: the engine too, if there are photos.

        A backbone that nobody asked for by name may be missing where there are features alone.

        Raises
        ------
        EdgeTransferError
            If the backbone is another one, or is needed and cannot be used.
        """
        needed = photos or not self.alone
        try:
            backbone = open_backbone_of(self.origin, self.folder, settings.backbone, settings)
        except DataError as error:
            if needed or settings.backbone not in (DEFAULT_BACKBONE, self.origin.backbone):
                raise
            logger.warning(
                "%s; it is not needed to learn, but whoever predicts or exports needs it", error
            )
            return self._without_backbone()
        if needed:
            return open_feature_source(settings, backbone)
        return feature_source_of(backbone, FeaturesAlone(self.origin))

    def _without_backbone(self) -> FeatureSource:
        origin = self.origin
        return FeatureSource(
            engine=FeaturesAlone(origin),
            preprocessing=origin.preprocessing,
            identity=features_identity(origin.identity, origin.preprocessing),
            metadata={
                "backbone": origin.identity,
                "backbone_name": Path(origin.backbone).stem,
                "preprocessing": json.dumps(asdict(origin.preprocessing)),
                "features": origin.tensor,
                "engine": origin.engine,
            },
        )


def _table_folder(source: str) -> Path | None:
    """The folder of tables that a source is; None if it is something else."""
    path = Path(source.removeprefix(DATA))
    return path if source.startswith(DATA) and is_table_folder(path) else None


def _origins(settings: StreamSettings) -> Iterator[tuple[Path, Origin]]:
    places = [_table_folder(text) for text in settings.source]
    if settings.test_data is not None and is_table_folder(settings.test_data):
        places.append(settings.test_data)
    for place in places:
        index = None if place is None else Index.read(place)
        if place is not None and index is not None:
            yield place, index.origin
