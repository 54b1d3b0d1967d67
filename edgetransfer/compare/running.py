"""The runs of a comparison: a process each, and none that is there already."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgetransfer.compare.contestants import Contestant, Task
from edgetransfer.errors import DataError, EdgeTransferError, EngineError, UsageError
from edgetransfer.names import readable
from edgetransfer.runs.run_folder import CONFIG, REPORT
from edgetransfer.settings.command_line import typed
from edgetransfer.settings.compare import ComparisonSettings, Transfer
from edgetransfer.settings.option import Opt, settings_of
from edgetransfer.untrusted_json import json_value

COMMANDS: dict[Transfer, str] = {"linear": "train", "full": "finetune"}
ERRORS = {2: UsageError, 3: DataError, 4: EngineError}
PATIENCE = 30.0  # seconds that an interrupted run has to save what it learned


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One training of a comparison."""

    transfer: Transfer
    task: Task
    contestant: Contestant
    seed: int

    @property
    def title(self) -> str:
        """For people."""
        name = f"{self.contestant.name} on {self.task.name}"
        return f"{self.transfer}, {name}, seed {self.seed}"

    def folder(self, out: Path) -> Path:
        """Of its run: another one as soon as the backbone or the photos are others."""
        data = f"{_plain(self.task.name)}-{self.task.seen_by(self.contestant).fingerprint[:8]}"
        backbone = f"{_plain(self.contestant.name)}-{self.contestant.sha256[:8]}"
        return out / "runs" / self.transfer / data / backbone / f"seed-{self.seed}"


def cells(
    settings: ComparisonSettings, contestants: list[Contestant], tasks: list[Task]
) -> Iterator[Cell]:
    """All trainings; the first seed of everything comes first."""
    for seed in range(settings.seeds):
        for transfer in settings.transfers:
            for task in tasks:
                for contestant in contestants:
                    yield Cell(transfer=transfer, task=task, contestant=contestant, seed=seed)


def is_done(cell: Cell, out: Path) -> bool:
    """Whether its run is finished."""
    return (cell.folder(out) / REPORT).is_file()


def run(cell: Cell, settings: ComparisonSettings) -> dict[str, Any]:
    """The report of a training, which is run, or gone on with, unless it is there.

    Raises
    ------
    EdgeTransferError
        If the training fails: what it said, and where its log is.
    """
    folder = cell.folder(settings.out)
    if not is_done(cell, settings.out):
        _train(cell, settings, folder)
    found: dict[str, Any] = json_value((folder / REPORT).read_text(encoding="utf-8"))
    return found


def words(cell: Cell, settings: ComparisonSettings) -> list[str]:
    """The command of a training."""
    training = settings.training(
        cell.contestant.given,
        cell.task.seen_by(cell.contestant).path,
        cell.folder(settings.out),
        seed=cell.seed,
        held_out=cell.task.held_out,
    )
    own: dict[str, Any] = {}
    if cell.transfer == "linear":
        own = {"solver": settings.solver}
        without = {"epochs", "learning_rate", "mode"}
    else:
        own = {"epochs": settings.epochs}
        without = {"learning_rate", "mode", "solver", "l2", "penalty", "feature_map"}
        without |= {"class_weights", "standardize"}
    made = [COMMANDS[cell.transfer]]
    for setting in settings_of(type(training)):
        value = own.get(setting.name, getattr(training, setting.name))
        if isinstance(setting.said, Opt) and setting.name not in without - own.keys():
            usual = value == setting.default and not setting.required
            made += [] if usual or value is None else typed(setting, value)
    return made if cell.transfer == "linear" else [*made, "--keep", "finetuned"]


def _train(cell: Cell, settings: ComparisonSettings, folder: Path) -> None:
    log = folder.with_suffix(".log")
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "edgetransfer", *words(cell, settings)]
    if (folder / CONFIG).is_file():
        command.append("--resume")
    with log.open("wb") as said:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said
        )
        try:
            code = process.wait()
        except BaseException:
            _stop(process)
            raise
    if code:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        last = next((line for line in reversed(lines) if line.strip()), f"exit code {code}")
        raise ERRORS.get(code, EdgeTransferError)(
            f"{cell.title}: {readable(last.strip().removeprefix('error: '))} (all that it said is "
            f"in {log}; what is done is kept, and the same command goes on)"
        )


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Let a training save what it learned."""
    process.send_signal(signal.SIGINT)
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _plain(name: str) -> str:
    """A name for a folder."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip("._")[:60] or "data"
