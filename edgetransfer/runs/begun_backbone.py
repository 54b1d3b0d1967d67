"""Which backbone a run goes on with that was begun when another one was the default."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TypeVar

from edgetransfer.errors import EdgeTransferError
from edgetransfer.runs.run_folder import RunFolder
from edgetransfer.settings.shared import DEFAULT_BACKBONE, FORMER_DEFAULTS
from edgetransfer.settings.stream import StreamSettings
from edgetransfer.settings.train import LinearTraining

logger = logging.getLogger(__name__)

Settings = TypeVar("Settings", LinearTraining, StreamSettings)


def as_begun(settings: Settings) -> Settings:
    """The settings, with the backbone that their run was begun with where they name none.

    They stay as they are where there is no run yet, one of another kind, or one that cannot be
    read.
    """
    run = RunFolder(settings.out)
    if settings.backbone != DEFAULT_BACKBONE or not run.is_run:
        return settings
    try:
        config = run.read_config()
    except EdgeTransferError:  # whoever enters it says why
        return settings
    begun = config.get("backbone")
    if begun not in FORMER_DEFAULTS or ("stream" in config) != isinstance(settings, StreamSettings):
        return settings
    logger.info("%s: goes on with %s, which it was begun with", settings.out, begun)
    return replace(settings, backbone=begun)
