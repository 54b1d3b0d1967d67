"""What a person meant by an option that there is not."""

from __future__ import annotations

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
