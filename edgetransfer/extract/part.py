"""One table, made in whatever process runs it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from edgetransfer.errors import EdgeTransferError
from edgetransfer.extract.plan import PartPlan
from edgetransfer.features.part_statistics import add_rows, save_statistics, statistics_beside
from edgetransfer.features.table_lines import write_lines
from edgetransfer.features.tables import Origin, TableRows, write_table
from edgetransfer.features.worker import FeatureWorker
from edgetransfer.heads import Statistics
from edgetransfer.reprs import short_repr
from edgetransfer.types import Progress, no_progress

_OPEN: dict[str, FeatureWorker] = {}  # of this process: tasks come one after the other


@dataclass(frozen=True, kw_only=True)
class PartTask:
    """Everything that a worker needs to make one table.

    Parameters
    ----------
    worker
        What extracts features.
    part
        Of which photos.
    folder
        Where the table goes: the same place for every worker.
    origin
        What the table says of itself.
    classes
        All class names of the data set.
    made
        Whether the table is there, and only its lines are not.
    lines
        Whether its rows are written as JSON Lines, too.
    """

    worker: FeatureWorker
    part: PartPlan
    folder: Path
    origin: Origin
    classes: tuple[str, ...]
    made: bool = False
    lines: bool = False

    __repr__ = short_repr

    def run(self, progress: Progress = no_progress) -> None:
        """Make what is missing of the table, its statistics and its lines."""
        if not self.made:
            self._make(progress)
        if self.lines:
            write_lines(self.part.table(self.folder))

    def _make(self, progress: Progress) -> None:
        """The table comes last, as its being there says that it is done."""
        part = self.part
        found = self.worker.extract(part.samples, progress, part.name)
        rows = TableRows(
            ids=part.ids,
            labels=list(part.labels),
            splits=list(part.splits),
            features=found.features.astype(self.origin.dtype).astype("float32"),
            problems=found.problems,
        )
        statistics = Statistics(self.origin.dimension, len(self.classes))
        add_rows(statistics, rows, {name: i for i, name in enumerate(self.classes)})
        table = part.table(self.folder)
        save_statistics(statistics_beside(table), statistics, self.classes, self.origin)
        write_table(table, rows, self.origin)


def with_what_is_open(task: PartTask) -> PartTask:
    """A task that came from another process, with the engine of those that came before it."""
    return replace(task, worker=_OPEN.setdefault(task.origin.text(), task.worker))


def run_task(task: PartTask) -> str | EdgeTransferError:
    """Make a table; returns its name, or what went wrong, which schedulers would wrap."""
    try:
        with_what_is_open(task).run()
    except EdgeTransferError as error:
        return error
    return task.part.name
