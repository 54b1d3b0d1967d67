"""What a person meant by an option that there is not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgetransfer.cli.completing import CONFIG
from edgetransfer.errors import UsageError

# What other tools call it: ours, where the command has that one.
ELSEWHERE = {
    "--arch": "--backbone",
    "--bs": "--batch-size",
    "--batch": "--batch-size",
    "--checkpoint": "--resume",
    "--classes": "--data",
    "--dataset": "--data",
    "--dir": "--out",
    "--folder": "--data",
    "--image-size": "--size",
    "--images": "--data",
    "--img-size": "--size",
    "--imgsz": "--size",
    "--input": "--data",
    "--jobs": "--threads",
    "--learning_rate": "--learning-rate",
    "--lr": "--learning-rate",
    "--model": "--backbone",
    "--name": "--out",
    "--net": "--backbone",
    "--network": "--backbone",
    "--num-threads": "--threads",
    "--output": "--out",
    "--output-dir": "--out",
    "--photos": "--data",
    "--project": "--out",
    "--prune": "--sparsity",
    "--pruning": "--sparsity",
    "--path": "--data",
    "--save-dir": "--out",
    "--source": "--data",
    "--test": "--test-data",
    "--train": "--data",
    "--val": "--val-fraction",
    "--val-split": "--val-fraction",
    "--wd": "--weight-decay",
    "--weights": "--backbone",
}


def check_order(command: str, run: Path, others: Sequence[Path | str]) -> None:
    """Refuse a run that was typed behind what it is to be used on.

    Raises
    ------
    UsageError
        If ``run`` is none, and one of the others is.
    """
    if _is_run(run):
        return
    for other in map(Path, others):
        if _is_run(other):
            raise UsageError(f"the run comes first: edgetransfer {command} {other} {run}")


def _is_run(path: Path) -> bool:
    return (path / CONFIG).is_file() or (path.suffix == ".onnx" and path.is_file())


def propose(error: Exception, known: set[str]) -> None:
    """Let an error about an unknown option propose what was meant by it.

    Parameters
    ----------
    known
        The options that there are.
    """
    name = getattr(error, "option_name", None)
    if name is None or not hasattr(error, "possibilities"):
        return
    spelled = name.replace("_", "-")
    meant = spelled if spelled in known else ELSEWHERE.get(name)
    if meant in known:
        error.possibilities = [meant]


def propose_flags(error: Exception, parameters: Sequence[Any], loose: Sequence[str]) -> None:
    """Let an error about a missing option propose what was typed without its flag.

    Parameters
    ----------
    parameters
        Of the command.
    loose
        What was typed that belongs to no option.
    """
    if not loose or any(one.param_type_name == "argument" for one in parameters):
        return
    needed = [one for one in parameters if one.required or "--data" in one.opts]
    needed.sort(key=lambda one: "--data" not in one.opts)
    meant = " ".join(f"{one.opts[0]} {word}" for one, word in zip(needed, loose, strict=False))
    error.message = f"Did you mean {meant}?"  # type: ignore[attr-defined]
