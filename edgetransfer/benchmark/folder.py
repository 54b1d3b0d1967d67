"""A benchmark's folder: its measurements, each whole or not there, and its report.

benchmark.json      the settings, and what they stood for when it began
turns/              a record of each measured epoch, and the heads in training
synthetic/          backbones with random weights
int8/               what calibration found
profiles.json       the engines alone, layer by layer and by threads
content.json        a checksum over all photos
report.json report.html results.csv table.tex *.png *.svg *.pdf
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from edgetransfer.atomic import write_atomically
from edgetransfer.errors import RunFolderError, TakenError
from edgetransfer.names import json_text
from edgetransfer.runs.json_values import finite
from edgetransfer.runs.owning import NAME as LOCK
from edgetransfer.runs.owning import is_empty
from edgetransfer.untrusted_json import json_value

CONFIG, TURNS, SYNTHETIC, REPORT = "benchmark.json", "turns", "synthetic", "report.json"
INT8, PROFILES = "int8", "profiles.json"
PAGE, RESULTS, TABLE = "report.html", "results.csv", "table.tex"
FIGURES = tuple(
    f"{name}.{kind}"
    for name in ("accuracy", "speedup", "stages", "epochs", "threads", "roofline", "sparsity")
    for kind in ("png", "svg", "pdf")
)


class BenchmarkFolder:
    """The files of one benchmark."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def check(self) -> None:
        """Refuse a place that holds something else; nothing is written.

        Raises
        ------
        RunFolderError
            If a file is in the way, or a folder that is not empty and no benchmark's.
        """
        if self.path.exists() and not self.path.is_dir():
            raise TakenError(
                f"{self.path}: a file of that name is in the way; choose another --out"
            )
        if self.file(LOCK).exists():
            return  # who wants to own it is told; `begin` looks again
        self._check_contents()

    def _check_contents(self) -> None:
        if self.path.is_dir() and not is_empty(self.path) and not self.file(CONFIG).is_file():
            raise TakenError(
                f"{self.path}: not empty, and not a benchmark's folder; choose another --out"
            )

    @property
    def settings(self) -> dict[str, Any]:
        """The settings, and what they stood for when it began."""
        settings: dict[str, Any] = json_value(self.file(CONFIG).read_text(encoding="utf-8"))
        return settings

    def begin(self, config: dict[str, Any], *, overwrite: bool) -> None:
        """Enter the folder for a benchmark: a new one, or one to go on with.

        Raises
        ------
        RunFolderError
            If another benchmark is here and is not to be overwritten.
        """
        self._check_contents()
        config = json.loads(json.dumps(finite(config), default=str))
        if self.file(CONFIG).is_file():
            if overwrite:
                self._clear()
            else:
                self._compare(config)
        try:
            self.file(TURNS).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunFolderError(f"{self.path}: cannot be made: {error.strerror}") from error
        self.write_json(CONFIG, config)

    def _compare(self, config: dict[str, Any]) -> None:
        try:
            before = json_value(self.file(CONFIG).read_text(encoding="utf-8"))
            # What an older version did not keep cannot be compared.
            names = [name for name in before if before[name] != config.get(name)]
        except (OSError, ValueError, AttributeError, TypeError) as error:
            raise RunFolderError(
                f"{self.file(CONFIG)}: cannot be read ({error}); --overwrite starts anew"
            ) from error
        if names == ["photos"]:
            raise TakenError(
                f"{self.path}: holds a benchmark whose photos were written anew since it began; "
                "give --overwrite to start anew, or another --out"
            )
        if names:
            was, now = before.get(names[0]), config.get(names[0])
            raise TakenError(
                f"{self.path}: holds a benchmark with other settings: {names[0]} was "
                f"{_short(was)} and is now {_short(now)}; give the same settings to go on, "
                "--overwrite to start anew, or another --out"
            )

    def _clear(self) -> None:
        for name in (TURNS, SYNTHETIC, INT8):
            shutil.rmtree(self.file(name), ignore_errors=True)
        for name in (REPORT, PAGE, RESULTS, TABLE, "content.json", PROFILES, *FIGURES, CONFIG):
            self.file(name).unlink(missing_ok=True)

    def file(self, name: str) -> Path:
        """Where a file is."""
        return self.path / name

    def write(self, name: str, content: bytes) -> None:
        """Write a file whole, or leave the old one."""
        write_atomically(self.file(name), content)

    def write_json(self, name: str, value: Any) -> None:
        """Write one JSON document."""
        self.write(name, (json_text(finite(value), indent=2) + "\n").encode())

    def kept(self, name: str) -> dict[str, Any]:
        """What `keep` kept in a file, by key; nothing if that is not there or broken."""
        try:
            value = json_value(self.file(name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return value if isinstance(value, dict) else {}

    def keep(self, name: str, key: str, value: Any) -> None:
        """Keep a value in a file beside those of other keys."""
        self.write_json(name, {**self.kept(name), key: value})

    def record(self, key: str) -> dict[str, Any] | None:
        """The record of a turn; None if it was not measured, or its file is broken."""
        try:
            value = json_value(self.file(f"{TURNS}/{key}.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return value if isinstance(value, dict) else None

    def add_record(self, key: str, record: dict[str, Any]) -> None:
        """Keep the record of a turn."""
        self.write_json(f"{TURNS}/{key}.json", record)

    def head(self, key: str) -> Path:
        """Where the head lies after a turn."""
        return self.file(f"{TURNS}/{key}.safetensors")


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 200 else f"{text[:200]}…"
