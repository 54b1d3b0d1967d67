"""All settings of one audit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from edgetransfer.errors import UsageError
from edgetransfer.reprs import short_repr
from edgetransfer.settings.option import Opt, settle
from edgetransfer.settings.shared import (
    DEFAULT_BACKBONE,
    MAX_BAD,
    CacheDir,
    Engine,
    MaxBad,
    Threads,
)


@dataclass(frozen=True, kw_only=True)
class AuditSettings:
    """What to look through, and where to put what is found.

    Parameters
    ----------
    source
        A run folder, whose data set is looked through with its backbone; or class folders, a
        manifest, or tables that `extract` made, in which no copies are looked for.
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

    Examples
    --------
    >>> from edgetransfer import AuditSettings
    >>> AuditSettings(source="photos", manifest="looked-at.csv").max_bad
    0.05
    """

    source: Annotated[
        Path,
        Opt(
            "A run folder, or labelled images: class folders, a manifest, tables of extract.",
            metavar="RUN|DATA",
            positional=True,
        ),
    ]
    manifest: Annotated[
        Path | None,
        Opt(
            "Write every photo with what is doubtful about it; train takes it as --data.",
            metavar="FILE.csv",
        ),
    ] = None
    sort_into: Annotated[
        Path | None, Opt("Copy the doubtful photos into folders.", metavar="DIR")
    ] = None
    backbone: Annotated[
        str | None,
        Opt(
            "What looks at the photos; of a run: where its own is now. Default: the run's, or the "
            "one that train takes.",
            metavar="FILE|NAME",
        ),
    ] = None
    max_bad: MaxBad = MAX_BAD
    engine: Engine = "auto"
    threads: Threads = None
    cache_dir: CacheDir = None

    __repr__ = short_repr

    def __post_init__(self) -> None:
        settle(self)
        if self.manifest is not None and self.manifest.suffix.lower() != ".csv":
            raise UsageError(f"--manifest {self.manifest}: its name ends in .csv")

    @property
    def backbone_or_default(self) -> str:
        """Of a data set."""
        return DEFAULT_BACKBONE if self.backbone is None else self.backbone
