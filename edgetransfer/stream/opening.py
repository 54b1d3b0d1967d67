"""What a stream opens first: backbone and engine."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass

from edgetransfer.backbones import Backbone, open_with
from edgetransfer.engines import Engine, open_engine
from edgetransfer.features import default_cache_folder, plan_for
from edgetransfer.reprs import short_repr
from edgetransfer.settings.stream import StreamSettings
from edgetransfer.types import Preprocessing

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class FeatureSource:
    """What turns images into features.

    Parameters
    ----------
    engine
        That runs the backbone.
    preprocessing
        What the backbone expects.
    identity
        What features depend on; a run keeps to one.
    metadata
        Saved with the head.
    """

    engine: Engine
    preprocessing: Preprocessing
    identity: str
    metadata: dict[str, str]

    __repr__ = short_repr

    @classmethod
    def of_engine(cls, engine: Engine, preprocessing: Preprocessing) -> FeatureSource:
        """An engine that is open already, such as a `FakeEngine`."""
        identity = features_identity(f"{engine.name} {engine.dimension}", preprocessing)
        return cls(
            engine=engine,
            preprocessing=preprocessing,
            identity=identity,
            metadata={"backbone": engine.name, "engine": engine.name},
        )


def open_feature_source(
    settings: StreamSettings, backbone: Backbone | None = None
) -> FeatureSource:
    """Open the engine, of the backbone that the settings name if none is given.

    Raises
    ------
    EdgeTransferError
        If the backbone or the engine cannot be used.
    """
    backbone = open_with(settings.backbone, settings) if backbone is None else backbone
    engine = open_engine(
        backbone.frozen(settings.engine_batch),
        engine=settings.engine,
        threads=settings.threads,
        cache=(cache := default_cache_folder()),
        plan=plan_for(backbone, cache, settings.threads),
    )
    logger.info("engine: %s (%s)", engine.choice.name, engine.choice.reason)
    return feature_source_of(backbone, engine)


def feature_source_of(backbone: Backbone, engine: Engine) -> FeatureSource:
    """Of a backbone that is open already."""
    return FeatureSource(
        engine=engine,
        preprocessing=backbone.preprocessing,
        identity=features_identity(backbone.identity, backbone.preprocessing),
        metadata={
            "backbone": backbone.identity,
            "backbone_name": backbone.name,
            "preprocessing": json.dumps(asdict(backbone.preprocessing)),
            "features": backbone.cut.tensor,
            "engine": engine.choice.name,
        },
    )


def features_identity(identity: str, preprocessing: Preprocessing) -> str:
    """What features depend on: the backbone's identity, and what it was shown."""
    return f"{identity} {preprocessing.fingerprint}"
