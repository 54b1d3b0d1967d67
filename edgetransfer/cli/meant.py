"""What a person meant by an option that there is not."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand

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


class Command(TyperCommand):
    """A command that answers an unknown option by the one that was meant."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As in Typer; what an error proposes is what other tools' names stand for."""
        try:
            return super().parse_args(ctx, args)
        except Exception as error:
            name = getattr(error, "option_name", None)
            known = {flag for parameter in self.params for flag in parameter.opts}
            if name is not None and hasattr(error, "possibilities"):
                spelled = name.replace("_", "-")
                meant = spelled if spelled in known else ELSEWHERE.get(name)
                if meant in known:
                    error.possibilities = [meant]
            raise
