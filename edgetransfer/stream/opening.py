"""What a stream opens first: backbone and engine."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass

from edgetransfer.backbones import open_with
from edgetransfer.engines import Engine, open_engine
from edgetransfer.features import default_cache_folder, plan_for
from edgetransfer.reprs import short_repr
from edgetransfer.stream.settings import StreamSettings
from edgetransfer.types import Preprocessing

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Eyes:
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
    def of_engine(cls, engine: Engine, preprocessing: Preprocessing) -> Eyes:
        """An engine that is open already, such as a `FakeEngine`."""
        identity = f"{engine.name} {engine.dimension} {preprocessing.fingerprint}"
        return cls(
            engine=engine,
            preprocessing=preprocessing,
            identity=identity,
            metadata={"backbone": engine.name, "engine": engine.name},
        )


def open_eyes(settings: StreamSettings) -> Eyes:
    """Open the backbone that the settings name.

    Raises
    ------
    EdgeTransferError
        If the backbone or the engine cannot be used.
    """
    backbone = open_with(settings.backbone, settings)
    engine = open_engine(
        backbone.frozen(settings.engine_batch),
        engine=settings.engine,
        threads=settings.threads,
        cache=(cache := default_cache_folder()),
        plan=plan_for(backbone, cache, settings.threads),
    )
    logger.info("engine: %s (%s)", engine.choice.name, engine.choice.reason)
    return Eyes(
        engine=engine,
        preprocessing=backbone.preprocessing,
        identity=f"{backbone.identity} {backbone.preprocessing.fingerprint}",
        metadata={
            "backbone": backbone.identity,
            "backbone_name": backbone.name,
            "preprocessing": json.dumps(asdict(backbone.preprocessing)),
            "features": backbone.cut.tensor,
            "engine": engine.choice.name,
        },
    )
