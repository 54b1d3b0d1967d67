"""The command that makes a run again."""

from __future__ import annotations

import shlex
from dataclasses import MISSING, fields, replace
from pathlib import Path
from typing import Any

from edgetransfer.runs.run_paths import relative_paths
from edgetransfer.train.settings import LEARNING_RATE, LinearTraining

# Those that are written by themselves, and those that say where and how fast, not what.
LEFT_OUT = frozenset(
    [
        *("backbone", "data", "test_data", "out", "mode"),
        *("report", "cache_dir", "threads", "workers", "checkpoint_seconds"),
    ]
)
SWITCHES = {"flip": ("--flip", "--no-flip"), "standardize": ("--standardize", "")}


def command_line(settings: LinearTraining, command: str = "train") -> str:
    """The command, to be given in the folder that holds the run.

    What is as usual is left out.
    """
    config = relative_paths(settings.to_config(), settings.out.resolve().parent)
    words = ["edgetransfer", command, "--backbone", config["backbone"], "--data", config["data"]]
    if config["test_data"] is not None:
        words += ["--test-data", config["test_data"]]
    words += ["--out", Path(config["out"]).name or config["out"]]
    if settings.mode == "online":
        words.append("--online")
    for field in fields(settings):
        value = getattr(settings, field.name)
        if field.name in LEFT_OUT or _is_usual(settings, field.name, field.default, value):
            continue
        words += _option(field.name, value)
    return shlex.join(words)


def _is_usual(settings: LinearTraining, name: str, default: Any, value: Any) -> bool:
    if name == "solver":  # it follows from mode and recipe
        usual = "auto" if settings.mode == "cached" and settings.recipe != "paper" else "sgd"
        return bool(value == usual)
    if name == "epochs" and value is not None:
        return bool(value == replace(settings, epochs=None).n_epochs)
    if name == "learning_rate":
        return settings.sgd.learning_rate == LEARNING_RATE
    return default is not MISSING and bool(value == default)


def _option(name: str, value: Any) -> list[str]:
    if name in SWITCHES:
        return [word for word in (SWITCHES[name][0 if value else 1],) if word]
    option = f"--{name.replace('_', '-')}"
    if isinstance(value, tuple):
        return [option, ",".join(f"{number:.17g}" for number in value)]
    return [option, str(value)]
