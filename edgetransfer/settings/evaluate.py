"""All settings of one test on labelled photos: of a run, or of a backbone's own classifier."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from edgetransfer.errors import UsageError
from edgetransfer.reprs import short_repr
from edgetransfer.settings.option import NoOption, Opt, settle
from edgetransfer.settings.shared import MAX_BAD, Engine, MaxBad, Threads


@dataclass(frozen=True, kw_only=True)
class Tested:
    """What every test takes.

    Parameters
    ----------
    max_bad
        The share of photos, 0 to 1, that may be unusable.
    """

    max_bad: MaxBad = MAX_BAD
    engine: Engine = "auto"
    threads: Threads = None

    __repr__ = short_repr

    def __post_init__(self) -> None:
        settle(self)


@dataclass(frozen=True, kw_only=True)
class RunTest(Tested):
    """How what a run learned is tested.

    Parameters
    ----------
    training_photos
        Whether photos that the run was trained on are tested on too; if not, they are left out.
    page
        A file for an HTML page with the mistakes and what is doubtful.
    backbone
        Where the run's backbone is now, if it was moved.

    Examples
    --------
    >>> from edgetransfer import RunTest
    >>> RunTest(page="test.html").training_photos
    False
    """

    training_photos: Annotated[bool, Opt("Test on photos that the run was trained on, too.")] = (
        False
    )
    page: Annotated[
        Path | None,
        Opt(
            "Write an HTML page there, with the mistakes and what is doubtful. Of a run.",
            metavar="FILE",
            flag="--out -o",
        ),
    ] = None
    backbone: Annotated[
        str | None,
        Opt(
            "Where the run's backbone is now, if it was moved; or what --classifier tests.",
            metavar="FILE|NAME",
        ),
    ] = None

    __repr__ = short_repr


@dataclass(frozen=True, kw_only=True)
class ClassifierTest(Tested):
    """How a backbone's own classifier is tested.

    Parameters
    ----------
    labels
        A file with the name of each output, one a line; ImageNet's are known.
    batch_size
        Of the engine.

    Examples
    --------
    >>> from edgetransfer import ClassifierTest
    >>> ClassifierTest(labels="labels.txt").batch_size
    64
    """

    labels: Annotated[
        Path | None,
        Opt(
            "For --classifier: the name of each output, one a line; ImageNet's are known.",
            metavar="FILE",
        ),
    ] = None
    batch_size: Annotated[int, NoOption("the same outputs at every batch")] = 64

    __repr__ = short_repr

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.batch_size < 1:
            raise UsageError(f"--batch-size is at least 1, not {self.batch_size}")
