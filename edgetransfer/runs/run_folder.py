"""A run folder: everything that one training leaves behind.

    config.toml         the settings
    head.safetensors    the trained head
    labels.txt          class names, one a line, in label order
    metrics.jsonl       one object an epoch
    curve.svg           accuracy over a stream
    skipped.jsonl       images that could not be used, and why
    report.json         the result
    report.html         the same for people, with photos
    checkpoint.safetensors   while the training is unfinished
    backbone.onnx       the finetuned backbone, where it was trained too
    backbone.toml       its card
    data.json           which photos it was begun with, to notice others
    lock                while a process writes here: which, and since when

Every file is written under a temporary name and renamed, so each is whole or not there.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from edgetransfer.atomic import is_leftover, remove_folder, remove_leftovers, write_atomically
from edgetransfer.errors import RunFolderError, TakenError
from edgetransfer.names import json_text, readable
from edgetransfer.runs.json_values import finite
from edgetransfer.runs.owning import NAME as LOCK
from edgetransfer.runs.owning import is_empty, make_folder
from edgetransfer.runs.pending import RECORD, STAGE, finish_before_reading
from edgetransfer.runs.previous import (
    drop,
    give_back,
    is_kept,
    put_aside,
    settle,
    whole_run,
)
from edgetransfer.runs.run_entries import refuse_strange_entries
from edgetransfer.runs.run_paths import absolute_paths, relative_paths
from edgetransfer.untrusted_json import json_value

CONFIG, HEAD, LABELS, METRICS, CURVE, SKIPPED, REPORT, CHECKPOINT, BACKBONE, CARD, DATA, PAGE = (
    "config.toml",
    "head.safetensors",
    "labels.txt",
    "metrics.jsonl",
    "curve.svg",
    "skipped.jsonl",
    "report.json",
    "checkpoint.safetensors",
    "backbone.onnx",
    "backbone.toml",
    "data.json",
    "report.html",
)
FILES = (
    *(CONFIG, HEAD, LABELS, METRICS, CURVE, SKIPPED, REPORT, CHECKPOINT, BACKBONE, CARD, DATA),
    PAGE,
)
# A report makes a finished run of a folder, the config a run: that goes first, this one last.
LEAVING = (REPORT, *(name for name in FILES if name not in (REPORT, CONFIG)), CONFIG)


class RunFolder:
    """The files of one run; see the module's text for what they are."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def begin(cls, path: Path, *, resume: bool, overwrite: bool) -> RunFolder:
        """Make a run folder, or enter an existing one, whose owner is the caller.

        Raises
        ------
        RunFolderError
            If there is something already and neither ``resume`` nor ``overwrite`` is given, or
            if it is not a run folder.
        """
        run = cls(path)
        run._check()
        remove_leftovers(path)
        if not (path / RECORD).exists():
            remove_folder(path / STAGE)  # of a change that was killed before it counted
        if path.is_dir() and not is_empty(path):
            run.give_back()
            if run.has_results and not resume and not overwrite:
                raise TakenError(
                    f"{path}: holds a run already; give --resume to go on, --overwrite to start "
                    "anew, or choose another folder"
                )
        make_folder(path)
        return run

    @classmethod
    def check(cls, path: Path, *, passing: str | None = None) -> None:
        """Refuse a place that holds something else; nothing is written.

        A folder that may have an owner is not looked into: who wants to own it is told.

        Parameters
        ----------
        passing
            Files that do not count, as a pattern of their names.

        Raises
        ------
        RunFolderError
            If a file is in the way, or a folder that is not empty and no run's.
        """
        if path.is_dir():
            refuse_strange_entries(path)
        if not (path / LOCK).exists():
            cls(path)._check(passing)

    def _check(self, passing: str | None = None) -> None:
        path = self.path
        if path.exists() and not path.is_dir():
            raise TakenError(f"{path}: a file of that name is in the way; choose another folder")
        if not path.is_dir():
            return
        refuse_strange_entries(path)
        odd = {entry.name for entry in path.iterdir() if not is_leftover(entry.name)}
        odd -= {LOCK, STAGE}
        if passing is not None:
            odd -= {entry.name for entry in path.glob(passing)}
        if odd and not self.is_run and not is_kept(path):
            raise TakenError(f"{path}: not empty, and not a run folder; choose another folder")

    def put_aside(self) -> None:
        """Make room for a new run; what is here comes back if that one leaves nothing."""
        put_aside(self.path, LEAVING)

    def give_back(self) -> None:
        """Bring back what was put aside, unless the new run has learned something by now."""
        settle(self.path, FILES)
        if is_kept(self.path) and not self.has_results:
            give_back(self.path, FILES)

    def drop_aside(self) -> None:
        """Delete what was put aside: the new run is finished."""
        drop(self.path)

    @property
    def is_stream(self) -> bool:
        """Whether a stream's run began here; a broken config does not tell."""
        return self._has_table("stream")

    @property
    def is_finetuning(self) -> bool:
        """Whether a finetuning began here."""
        return self._has_table("finetune")

    def _has_table(self, name: str) -> bool:
        try:
            return self.is_run and name in self.read_config()
        except RunFolderError:
            return False

    @property
    def has_results(self) -> bool:
        """Whether there is anything that was learned."""
        return any(self.file(name).exists() for name in (HEAD, CHECKPOINT, REPORT))

    @classmethod
    def open(cls, path: Path, *, finish: bool = True) -> RunFolder:
        """Enter a folder that a training left, to read it.

        While a new run replaces an old one, that is the old one until the new one is finished.

        Parameters
        ----------
        finish
            Whether a change that was cut off is finished before.

        Raises
        ------
        RunFolderError
            If it is not a run folder, or holds what leads out of it.
        DataError
            If a change was cut off, and what was to be done cannot be read.
        """
        if path.is_dir():
            refuse_strange_entries(path)
            if finish:
                finish_before_reading(path)
        run = cls(whole_run(path, config=CONFIG, report=REPORT))
        if not run.is_run:
            kind = "not a run folder (it has no config.toml)" if path.is_dir() else "no such folder"
            raise RunFolderError(f"{path}: {kind}; `edgetransfer train --out {path}` makes one")
        return run

    @property
    def is_run(self) -> bool:
        """Whether a training has begun here."""
        return (self.path / CONFIG).is_file()

    def file(self, name: str) -> Path:
        """Where a file of the run is."""
        return self.path / name

    def write(self, name: str, content: str | bytes) -> None:
        """Write a file whole, or leave the old one."""
        data = content.encode("utf-8", "surrogateescape") if isinstance(content, str) else content
        write_atomically(self.path / name, data)

    def write_labels(self, classes: Iterable[str]) -> None:
        """Write the class names, in label order."""
        self.write(LABELS, "".join(f"{readable(name)}\n" for name in classes))

    def write_json(self, name: str, value: Any) -> None:
        """Write one JSON document."""
        self.write(name, json_text(finite(value), indent=2) + "\n")

    def write_lines(self, name: str, records: Iterable[Mapping[str, Any]]) -> None:
        """Write JSON Lines."""
        self.write(name, "".join(json_text(finite(record)) + "\n" for record in records))

    def write_config(self, config: Mapping[str, Any]) -> None:
        """Write the settings; values that are None are left out.

        Paths that are not UTF-8 stand there as the bytes that they are, and relative to the run
        where they can be.
        """
        import tomli_w

        given = {k: v for k, v in config.items() if v is not None}
        self.write(CONFIG, tomli_w.dumps(relative_paths(given, self.path)))

    def read_config(self) -> dict[str, Any]:
        """Read the settings; paths are absolute.

        Raises
        ------
        RunFolderError
            If the file is broken.
        """
        try:
            text = (self.path / CONFIG).read_text(encoding="utf-8", errors="surrogateescape")
            return absolute_paths(tomllib.loads(text), self.path)
        except (OSError, ValueError) as error:
            raise RunFolderError(
                f"{self.path / CONFIG}: cannot be read ({error}); restore it from a copy, or start "
                "a training anew with --overwrite"
            ) from error

    def read_report(self) -> dict[str, Any] | None:
        """The result of a finished run; None if it is not finished."""
        try:
            report = json_value((self.path / REPORT).read_text(encoding="utf-8"))
            if not isinstance(report, dict):
                raise ValueError("not a JSON object")
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError) as error:
            raise RunFolderError(
                f"{self.path / REPORT}: cannot be read ({error}); --overwrite starts anew"
            ) from error
        return report
