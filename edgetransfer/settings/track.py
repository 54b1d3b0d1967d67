"""All settings of handing a run's metrics to a tracker."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from edgetransfer.errors import UsageError
from edgetransfer.reprs import short_repr
from edgetransfer.settings.option import Opt, settle

Tracker = Literal["tensorboard", "mlflow", "wandb"]


@dataclass(frozen=True, kw_only=True)
class TrackSettings:
    """Which run, and who is told of it.

    Parameters
    ----------
    run
        A run of `train`, `finetune` or `stream`, finished or not.
    to
        ``tensorboard`` (event files), ``mlflow`` or ``wandb``.
    out
        The folder that it writes to; for mlflow the tracking store, if ``MLFLOW_TRACKING_URI``
        names none.
    project
        What the runs belong to: an experiment of MLflow, a project of Weights & Biases.
    follow
        Go on while the run does, until interrupted.
    online
        Let Weights & Biases send it; else it stays here, and ``wandb sync`` sends it.

    Examples
    --------
    >>> from edgetransfer import TrackSettings
    >>> TrackSettings(run="run", to="tensorboard").folder.name
    'tensorboard'
    """

    run: Annotated[Path, Opt("A run of train, finetune or stream.", metavar="RUN", positional=True)]
    to: Annotated[Tracker, Opt("Who is told.", flag="--to")]
    out: Annotated[
        Path | None,
        Opt("The folder that it writes to; called like it if not given.", metavar="DIR"),
    ] = None
    project: Annotated[
        str, Opt("Experiment of MLflow, project of Weights & Biases.", metavar="NAME")
    ] = "edgetransfer"
    follow: Annotated[bool, Opt("Go on while the run does, until interrupted.")] = False
    online: Annotated[bool, Opt("Let Weights & Biases send it; needs its key.")] = False

    __repr__ = short_repr

    def __post_init__(self) -> None:
        settle(self)
        if not self.project.strip():
            raise UsageError("--project is not empty")
        if self.online and self.to != "wandb":
            raise UsageError(
                f"--online is of wandb; {self.to} writes to a folder"
                + (", or where MLFLOW_TRACKING_URI says" if self.to == "mlflow" else "")
            )

    @property
    def folder(self) -> Path:
        """Where it writes."""
        return self.out or Path({"mlflow": "mlruns"}.get(self.to, self.to))
