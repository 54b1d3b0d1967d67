"""A run folder: everything that one training leaves behind.

    config.toml         the settings
    head.safetensors    the trained head
    labels.txt          class names, one a line, in label order
    metrics.jsonl       one object an epoch
    skipped.jsonl       images that could not be used, and why
    report.json         the result
    checkpoint.safetensors   while the training is unfinished

Every file is written under a temporary name and renamed, so each is whole or not there.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from edgetransfer.atomic import write_atomically
from edgetransfer.errors import RunFolderError

CONFIG, HEAD, LABELS, METRICS, SKIPPED, REPORT, CHECKPOINT = (
    "config.toml",
    "head.safetensors",
    "labels.txt",
    "metrics.jsonl",
    "skipped.jsonl",
    "report.json",
    "checkpoint.safetensors",
)
FILES = (CONFIG, HEAD, LABELS, METRICS, SKIPPED, REPORT, CHECKPOINT)


class RunFolder:
    """The files of one run; see the module's text for what they are."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def begin(cls, path: Path, *, resume: bool, overwrite: bool) -> RunFolder:
        """Make a run folder, or enter an existing one.

        Raises
        ------
        RunFolderError
            If there is something already and neither ``resume`` nor ``overwrite`` is given, or
            if it is not a run folder.
        """
        run = cls(path)
        if path.exists() and not path.is_dir():
            raise RunFolderError(f"{path}: a file of that name is in the way; choose another --out")
        if path.is_dir() and any(path.iterdir()):
            if not run.is_run:
                raise RunFolderError(
                    f"{path}: not empty, and not a run folder; choose another --out"
                )
            if overwrite:
                for name in FILES:
                    (path / name).unlink(missing_ok=True)
            elif not resume:
                raise RunFolderError(
                    f"{path}: holds a run already; give --resume to go on, --overwrite to start "
                    "anew, or another --out"
                )
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunFolderError(f"{path}: cannot be made: {error.strerror}") from error
        return run

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """Enter a folder that a training left.

        Raises
        ------
        RunFolderError
            If it is not a run folder.
        """
        run = cls(path)
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
        data = content.encode() if isinstance(content, str) else content
        write_atomically(self.path / name, data)

    def write_json(self, name: str, value: Any) -> None:
        """Write one JSON document."""
        self.write(name, json.dumps(value, indent=2, ensure_ascii=False) + "\n")

    def write_lines(self, name: str, records: Iterable[Mapping[str, Any]]) -> None:
        """Write JSON Lines."""
        self.write(name, "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in records))

    def write_config(self, config: Mapping[str, Any]) -> None:
        """Write the settings; values that are None are left out."""
        import tomli_w

        self.write(CONFIG, tomli_w.dumps({k: v for k, v in config.items() if v is not None}))

    def read_config(self) -> dict[str, Any]:
        """Read the settings.

        Raises
        ------
        RunFolderError
            If the file is broken.
        """
        try:
            return tomllib.loads((self.path / CONFIG).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise RunFolderError(f"{self.path / CONFIG}: cannot be read: {error}") from error

    def read_report(self) -> dict[str, Any] | None:
        """The result of a finished run; None if it is not finished."""
        try:
            report: dict[str, Any] = json.loads((self.path / REPORT).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise RunFolderError(f"{self.path / REPORT}: cannot be read: {error}") from error
        return report
