"""The turns of a benchmark: rounds there and back, resumed from what is on disk."""

from __future__ import annotations

import logging
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from time import monotonic
from typing import Any

from edgetransfer.benchmark.child import TurnFailedError
from edgetransfer.benchmark.contestants import PEER, Contestant, has_peers
from edgetransfer.benchmark.data_sets import DataSet
from edgetransfer.benchmark.doubts import Round, disturbance, is_disturbed
from edgetransfer.benchmark.folder import INT8, BenchmarkFolder
from edgetransfer.benchmark.rows import Cell
from edgetransfer.benchmark.turn import TurnRequest
from edgetransfer.settings.benchmark import BenchmarkSettings
from edgetransfer.settings.shared import EngineName
from edgetransfer.types import Progress

logger = logging.getLogger(__name__)

Measure = Callable[[TurnRequest, Progress], dict[str, Any]]
LEARNED = ("top1", "mean_per_class", "tested", "loss")  # of a record: what no timing changes


@dataclass(frozen=True, kw_only=True)
class Turn:
    """One epoch of one training in one engine.

    Parameters
    ----------
    place
        Its place in the round, from 0.
    key, key_before
        What its record, and that of the epoch before, are kept under.
    """

    cell: Cell
    data: DataSet
    round: Round
    key: str
    key_before: str | None
    place: int


class BenchmarkJob:
    """One benchmark, with everything opened."""

    def __init__(
        self,
        settings: BenchmarkSettings,
        folder: BenchmarkFolder,
        contestants: Sequence[Contestant],
        data: Sequence[DataSet],
        progress: Progress,
        measure: Measure,
    ) -> None:
        self.settings = settings
        self.folder = folder
        self.data = data
        self.progress = progress
        self._measure = measure
        self._took: dict[int, list[float]] = {}
        self._fresh: set[str] = set()
        self.cells = [
            Cell(contestant=contestant, engine=engine, data=d.name, metric=d.metric.name)
            for d in data
            for contestant in contestants
            for engine in engines_of(contestant, settings)
        ]

    @property
    def is_measured(self) -> bool:
        """Whether every turn has a record."""
        return all(self.folder.record(turn.key) is not None for turn in self._turns())

    def measure(self) -> None:
        """Take every turn that has no record yet: A B C, C B A, and so on.

        Then the rounds again, once, that were disturbed when an earlier call measured them.
        """
        turns = list(self._turns())
        for number, turn in enumerate(turns, 1):
            record = self.folder.record(turn.key)
            if record is None and turn.cell.reason is None:
                record = self._take(turn, f"turn {number}/{len(turns)}", turns[number:])
            if record is not None:
                turn.cell.records[turn.round] = record
        if self.settings.retakes:
            self._repeat_disturbed(turns)

    def _repeat_disturbed(self, turns: Sequence[Turn]) -> None:
        rounds: dict[tuple[str, Round], list[Turn]] = {}
        for turn in turns:
            if turn.cell.reason is None and turn.round in turn.cell.records:
                rounds.setdefault((turn.data.name, turn.round), []).append(turn)
        again = [
            same
            for same in rounds.values()
            if any(is_disturbed(turn.cell.records[turn.round]) for turn in same)
            and not any(turn.key in self._fresh for turn in same)
        ]
        for number, same in enumerate(again, 1):
            logger.info("round %d of %d that were disturbed: once more", number, len(again))
            self._time_again(same, f"again {number}/{len(again)}")

    def _time_again(self, same: Sequence[Turn], label: str) -> None:
        """Time a whole round anew, for what it compares; accuracies stay what they are."""
        before = [turn.cell.records[turn.round] for turn in same]
        taken = []
        for turn in same:
            request = replace(
                self.request_of(turn),
                head_before=None,
                head_after=self.folder.head("again"),
                score=False,
            )
            try:
                taken.append(self._quietest(request, self._progress_of(turn, label)))
            except TurnFailedError as error:
                logger.warning("%s: %s", turn.cell.contestant.name, error)
                return
            finally:
                self.folder.head("again").unlink(missing_ok=True)
        if max(map(disturbance, taken)) >= max(map(disturbance, before)):
            return
        for turn, old, new in zip(same, before, taken, strict=True):
            learned = {name: old[name] for name in LEARNED if name in old}
            record = {**new, **learned, "at": _now(), "place": turn.place}
            self.folder.add_record(turn.key, record)
            turn.cell.records[turn.round] = record

    def first_turns(self) -> list[Turn]:
        """The first turn of each cell on the first data set."""
        found: dict[int, Turn] = {}
        for turn in self._turns():
            if turn.data is self.data[0]:
                found.setdefault(id(turn.cell), turn)
        return list(found.values())

    def _turns(self) -> Iterator[Turn]:
        for index, data in enumerate(self.data):
            cells = [(i, cell) for i, cell in enumerate(self.cells) if cell.data == data.name]
            rounds = [
                (seed, epoch)
                for seed in range(self.settings.seeds)
                for epoch in range(self.settings.n_epochs)
            ]
            for number, (seed, epoch) in enumerate(rounds):
                # There and back, so that nobody is always the one who comes after another.
                ordered = cells[::-1] if number % 2 else cells
                for place, (position, cell) in enumerate(ordered):
                    key = f"{index}-{position}-seed{seed}-epoch"
                    yield Turn(
                        cell=cell,
                        data=data,
                        round=(seed, epoch),
                        key=f"{key}{epoch}",
                        key_before=f"{key}{epoch - 1}" if epoch else None,
                        place=place,
                    )

    def _take(self, turn: Turn, label: str, later: Sequence[Turn]) -> dict[str, Any] | None:
        cell, (seed, epoch) = turn.cell, turn.round
        name = self._name_of(cell)
        start = monotonic()
        try:
            record = self._quietest(self.request_of(turn), self._progress_of(turn, label))
        except TurnFailedError as error:
            cell.reason = str(error)
            logger.warning("%s: %s", name, error)
            return None
        record |= {"at": _now(), "place": turn.place}
        self._fresh.add(turn.key)
        self.folder.add_record(turn.key, record)
        if turn.key_before is not None:
            self.folder.head(turn.key_before).unlink(missing_ok=True)
        if epoch + 1 == self.settings.n_epochs:
            self.folder.head(turn.key).unlink(missing_ok=True)
        self._took.setdefault(id(cell), []).append(monotonic() - start)
        logger.info(
            "%s: %s on %s, seed %d, epoch %d: %.2f s, %.0f images/s%s",
            *(label, name, cell.data, seed, epoch + 1),
            *(record["seconds"], record["images"] / record["seconds"], self._left(later)),
        )
        return record

    def _name_of(self, cell: Cell) -> str:
        name = cell.contestant.name
        if sum(c.contestant.name == name and c.data == cell.data for c in self.cells) > 1:
            name += f" in {cell.engine}"
        return name

    def _progress_of(self, turn: Turn, label: str) -> Progress:
        name = self._name_of(turn.cell)
        return lambda stage, done, total: self.progress(f"{label} {name}: {stage}", done, total)

    def _quietest(self, request: TurnRequest, progress: Progress) -> dict[str, Any]:
        """The first record that others did not disturb, or the least disturbed of all takes."""
        takes: list[dict[str, Any]] = []
        while not takes or (is_disturbed(takes[-1]) and len(takes) <= self.settings.retakes):
            if takes:
                logger.info("others took %.0f %%: once more", 100 * disturbance(takes[-1]))
            takes.append(self._measure(request, progress))
        least = min(range(len(takes)), key=lambda at: disturbance(takes[at]))
        return {**takes[least], "takes": len(takes)}

    def request_of(self, turn: Turn) -> TurnRequest:
        """What the turn's process is asked for."""
        settings, contestant, (seed, epoch) = self.settings, turn.cell.contestant, turn.round
        last = epoch + 1 == settings.n_epochs
        return TurnRequest(
            training=settings.training(
                str(contestant.backbone.path),
                turn.data.path,
                turn.cell.engine,
                seed,
                own_card=contestant.is_synthetic,
                val_fraction=turn.data.held_out,
            ),
            epoch=epoch,
            images=settings.images,
            head_before=None if turn.key_before is None else self.folder.head(turn.key_before),
            head_after=self.folder.head(turn.key),
            score=last and not contestant.is_synthetic,
            int8=self.folder.file(f"{INT8}/{contestant.backbone.sha256[:16]}-{turn.data.name}.json")
            if contestant.precision == "int8"
            else None,
        )

    def _left(self, later: Sequence[Turn]) -> str:
        """About how long the other turns will take, once each backbone has had one."""
        seconds = 0.0
        for turn in later:
            if turn.cell.reason is not None:
                continue
            took = self._took.get(id(turn.cell))
            if took is None:
                return ""
            seconds += statistics.mean(took)
        return f"; about {seconds / 60:.0f} min left" if seconds > 90 else ""


def engines_of(contestant: Contestant, settings: BenchmarkSettings) -> tuple[EngineName, ...]:
    """The engines that a contestant runs in: those asked for, and a dense one also in OpenVINO."""
    if contestant.precision == "int8":
        return (PEER,)
    if contestant.baseline == contestant.name and has_peers(settings):
        return tuple(dict.fromkeys((*settings.engines, PEER)))
    return settings.engines


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
