"""All settings of one page that is taught."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from edgetransfer.reprs import short_repr
from edgetransfer.settings.address import AddressSettings
from edgetransfer.settings.learning import KeepingSettings, LearningSettings
from edgetransfer.settings.option import Opt, settle
from edgetransfer.settings.shared import (
    DEFAULT_BACKBONE,
    BackboneName,
    BackboneReading,
    Engine,
    ServerBatch,
    Threads,
)
from edgetransfer.settings.stream import StreamSettings

# The photos' features stay in the journal, as far back as this reaches: half of it is kept beyond
# the checkpoints, 100,000 photos of 1,280 features.
JOURNAL_BYTES = 2**30


@dataclass(frozen=True, kw_only=True)
class TeachSettings(BackboneReading):
    """One page, and the stream's run that it teaches.

    Parameters
    ----------
    run
        The run folder; made if it is not there, gone on with if it is.
    backbone
        An ONNX file, or the name of a bundled backbone.
    address
        Where the page is.
    batch_size
        Photos that go through the engine together at most.

    The others say what is taken in place of the backbone's card (`BackboneReading`).

    Examples
    --------
    >>> from edgetransfer import TeachSettings
    >>> TeachSettings(run="flowers").stream().source
    ('http:page',)
    """

    run: Annotated[
        Path, Opt("The run folder, new or to go on with.", metavar="RUN", positional=True)
    ]
    backbone: BackboneName = DEFAULT_BACKBONE
    address: AddressSettings = field(default_factory=AddressSettings)
    batch_size: ServerBatch = 8
    engine: Engine = "auto"
    threads: Threads = None

    __repr__ = short_repr

    def __post_init__(self) -> None:
        settle(self)
        self.stream()

    def stream(self) -> StreamSettings:
        """The settings of the run, as `edgetransfer stream` has them."""
        return StreamSettings(
            backbone=self.backbone,
            source=("http:page",),
            out=self.run,
            learning=LearningSettings(),
            keeping=KeepingSettings(journal_bytes=JOURNAL_BYTES),
            engine=self.engine,
            engine_batch=self.batch_size,
            threads=self.threads,
            **{name: getattr(self, name) for name in BackboneReading.__dataclass_fields__},
        )
