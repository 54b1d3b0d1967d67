"""The command that makes a run again."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

from edgetransfer.runs.run_paths import relative_paths
from edgetransfer.settings.command_line import typed
from edgetransfer.settings.finetune import FinetuneSettings
from edgetransfer.settings.option import Opt, Setting, settings_of
from edgetransfer.settings.train import LEARNING_RATE, LinearTraining

# Those that are written by themselves, and those that say where and how fast, not what.
LEFT_OUT = frozenset(
    [
        *("backbone", "data", "test_data", "out", "mode"),
        *("report", "cache_dir", "threads", "workers"),
    ]
)
DECIDED = frozenset(["solver", "checkpoint_seconds"])  # by finetune itself


def command_line(settings: LinearTraining, own: FinetuneSettings | None = None) -> str:
    """The command, to be given in the folder that holds the run.

    What is as usual is left out.

    Parameters
    ----------
    own
        Of a finetuning: what it trains, and how.
    """
    command = "train" if own is None else "finetune"
    config = relative_paths(settings.to_config(), settings.out.resolve().parent)
    words = ["edgetransfer", command, "--backbone", config["backbone"], "--data", config["data"]]
    if "test_data" in config:
        words += ["--test-data", config["test_data"]]
    words += ["--out", Path(config["out"]).name or config["out"]]
    if settings.mode == "online" and own is None:
        words.append("--online")
    for setting in settings_of(LinearTraining):
        if not isinstance(setting.said, Opt) or setting.name in LEFT_OUT:
            continue
        if own is not None and setting.name in DECIDED:
            continue
        if setting.name == "epochs" and own is None and settings.solver != "sgd":
            continue  # there are none
        if not _is_usual(settings, setting, own):
            words += typed(setting, getattr(settings, setting.name))
    for setting in () if own is None else settings_of(FinetuneSettings):
        value = getattr(own, setting.name)
        if isinstance(setting.said, Opt) and value != setting.default:
            words += typed(setting, value)
    return shlex.join(words)


def _is_usual(settings: LinearTraining, setting: Setting, own: FinetuneSettings | None) -> bool:
    value = getattr(settings, setting.name)
    if setting.name == "solver":  # it follows from mode and recipe
        usual = "auto" if settings.mode == "cached" and settings.recipe != "paper" else "sgd"
        return bool(value == usual)
    if own is not None and setting.name in ("epochs", "learning_rate"):
        return False  # its recipe has others, and these are the outcome
    if setting.name == "epochs" and value is not None:
        return bool(value == replace(settings, epochs=None).n_epochs)
    if setting.name == "learning_rate":
        return settings.sgd.learning_rate == LEARNING_RATE
    return bool(value == setting.default)
