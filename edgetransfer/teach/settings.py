"""All settings of one page."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from edgetransfer.paths import take_strings
from edgetransfer.reprs import short_repr
from edgetransfer.stream import KeepingSettings, LearningSettings, StreamSettings
from edgetransfer.web import AddressSettings

# The photos' features stay in the journal, as far back as this reaches: half of it is kept beyond
# the checkpoints, 100,000 photos of 1,280 features.
JOURNAL_BYTES = 2**30


@dataclass(frozen=True, kw_only=True)
class TeachSettings:
    """One page, and the stream's run that it teaches.

    Parameters
    ----------
    backbone
        An ONNX file, or the name of a bundled backbone.
    run
        The run folder; made if it is not there, gone on with if it is.
    address
        Where the page is.
    batch_size
        Photos that go through the engine together at most.
    """

    backbone: str
    run: Path
    address: AddressSettings = field(default_factory=AddressSettings)
    engine: str = "auto"
    threads: int | None = None
    batch_size: int = 8

    __repr__ = short_repr

    def __post_init__(self) -> None:
        take_strings(self, "run")
        self.stream()

    def stream(self) -> StreamSettings:
        """The settings of the run, as `edgetransfer stream` has them."""
        return StreamSettings(
            backbone=self.backbone,
            source="http:page",
            out=self.run,
            learning=LearningSettings(),
            keeping=KeepingSettings(journal_bytes=JOURNAL_BYTES),
            engine=self.engine,
            engine_batch=self.batch_size,
            threads=self.threads,
        )
