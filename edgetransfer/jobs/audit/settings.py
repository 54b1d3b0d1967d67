"""All settings of one audit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgetransfer.defaults import DEFAULT_BACKBONE
from edgetransfer.errors import UsageError
from edgetransfer.paths import take_strings
from edgetransfer.reprs import short_repr


@dataclass(frozen=True, kw_only=True)
class AuditSettings:
    """What to look through, and where to put what is found.

    Parameters
    ----------
    source
        A run folder, whose data set is looked through with its backbone; or class folders or a
        manifest.
    backbone
        Of a data set: an ONNX file or the name of a bundled backbone. Of a run: where its own is
        now, if it was moved.
    manifest
        A CSV file to write, with every photo and what is doubtful about it.
    sort_into
        A folder to copy the doubtful photos into.
    threads
        Of the engine, of decoding and of linear algebra; one per core if None.
    cache_dir
        Where features are kept; the user's cache folder if None.
    max_bad
        The share of images, 0 to 1, that may be unusable.
    """

    source: Path
    backbone: str | None = None
    manifest: Path | None = None
    sort_into: Path | None = None
    engine: str = "auto"
    threads: int | None = None
    cache_dir: Path | None = None
    max_bad: float = 0.05

    __repr__ = short_repr

    def __post_init__(self) -> None:
        take_strings(self, "source", "manifest", "sort_into", "cache_dir")
        if self.manifest is not None and self.manifest.suffix.lower() != ".csv":
            raise UsageError(f"--manifest {self.manifest}: its name ends in .csv")

    @property
    def backbone_or_default(self) -> str:
        """Of a data set."""
        return DEFAULT_BACKBONE if self.backbone is None else self.backbone
