"""All settings of one extraction."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from edgetransfer.errors import UsageError
from edgetransfer.reprs import short_repr
from edgetransfer.settings.option import Form, Opt, settle
from edgetransfer.settings.shared import (
    DEFAULT_BACKBONE,
    MACHINE,
    MAX_BAD,
    BackboneName,
    BackboneReading,
    Data,
    Engine,
    MaxBad,
    Threads,
)

Scheduler = Literal["local", "ray", "spark", "dask"]
Kept = Literal["float32", "float16"]

ROWS = 16384
INDEX = "extract.json"
"""The file that says a folder is one of tables."""


def _read_share(option: str, text: str) -> tuple[int, int]:
    part, slash, of = text.partition("/")
    if not (slash and part.isdecimal() and of.isdecimal()):
        raise UsageError(f"{option}: {text!r} is not a share such as 1/8, the first of eight")
    return int(part), int(of)


SHARE = Form(read=_read_share, write=lambda v: None if v is None else f"{v[0]}/{v[1]}")
"""``i/n``."""


@dataclass(frozen=True, kw_only=True)
class Extraction(BackboneReading):
    """Which features of which photos, and where they go.

    Parameters
    ----------
    data
        Class folders or a manifest; see `edgetransfer.data.load_data`.
    out
        The folder of the tables.
    backbone
        An ONNX file, or the name of a bundled backbone.
    rows
        Photos a table.
    dtype
        How a feature is kept.
    jsonl
        Write the rows of each table as JSON Lines beside it, too.
    partition
        (i, n): make only each n-th table, from the i-th, counted from 1; all if None.
    on
        Where the tables are made: on this machine, or as tasks of Ray, Spark or Dask.
    processes
        Of this machine, which share the threads; as many as pay if None.
    threads
        Of each task; what the scheduler grants if None.
    max_bad
        The share of images, 0 to 1, that may be unusable.

    Examples
    --------
    >>> from edgetransfer import Extraction
    >>> Extraction(data="photos", out="features", partition=(1, 8)).dtype
    'float32'
    """

    data: Data
    out: Annotated[Path, Opt("The folder of the tables.", metavar="DIR", flag="--out -o")]
    backbone: BackboneName = DEFAULT_BACKBONE
    rows: Annotated[int, Opt("Photos a table.", metavar="N", least=1)] = ROWS
    dtype: Annotated[Kept, Opt("How a feature is kept.")] = "float32"
    jsonl: Annotated[bool, Opt("Write each table's rows as JSON Lines, too, beside it.")] = False
    partition: Annotated[
        tuple[int, int] | None,
        Opt(
            "Make only each n-th table, from the i-th: for job arrays.",
            metavar="I/N",
            parse=SHARE,
        ),
    ] = None
    on: Annotated[
        Scheduler,
        Opt("Who runs it: this machine, or the workers of Ray, Spark or Dask.", panel=MACHINE),
    ] = "local"
    processes: Annotated[
        int | None,
        Opt(
            "Processes of --on local, which share --threads; as many as pay if not given, as "
            "measured. Never changes the result.",
            metavar="N",
            panel=MACHINE,
            least=1,
        ),
    ] = None
    max_bad: MaxBad = MAX_BAD
    engine: Engine = "auto"
    threads: Threads = None

    __repr__ = short_repr

    def __post_init__(self) -> None:
        settle(self)
        if self.partition is not None and not 1 <= self.partition[0] <= self.partition[1]:
            part, of = self.partition
            raise UsageError(f"--partition {part}/{of}: the first of {of} is 1/{of}")
        if self.processes is not None and self.on != "local":
            raise UsageError(
                f"--processes is of --on local; how many workers there are is for {self.on} to say"
            )
