"""TensorBoard, MLflow, Weights & Biases: each opened, told and closed in a few lines.

None is imported before it is asked for, none counts its users, and none but a tracking server that
the user names, or ``--online``, is sent anything.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Protocol

from edgetransfer.errors import EdgeTransferError, UsageError
from edgetransfer.jobs.tracking.measured import Measured
from edgetransfer.settings.track import Tracker, TrackSettings


class Told(Protocol):
    """A tracker that has been opened for one run."""

    def tell(self, measured: Measured) -> None:
        """Hand on what was measured at a step."""

    def close(self, final: Mapping[str, float]) -> None:
        """End, with the numbers of the run's report; empty where it has none yet."""


class TensorBoard:
    """Event files, by tensorboardX."""

    def __init__(self, settings: TrackSettings, name: str, config: Mapping[str, Any]) -> None:
        from tensorboardX import SummaryWriter

        self._writer = SummaryWriter(str(settings.folder / name))
        rows = "\n".join(f"| {key} | {value} |" for key, value in config.items())
        self._writer.add_text("config", f"| setting | value |\n|---|---|\n{rows}", 0)

    def tell(self, measured: Measured) -> None:
        """See `Told.tell`."""
        for name, value in measured.values.items():
            self._writer.add_scalar(name, value, measured.step, measured.time)
        self._writer.flush()

    def close(self, final: Mapping[str, float]) -> None:
        """See `Told.close`."""
        for name, value in final.items():
            self._writer.add_scalar(name, value, 0)
        self._writer.close()


class MlFlow:
    """A run of an experiment, in a store on disk or at the server that the environment names."""

    def __init__(self, settings: TrackSettings, name: str, config: Mapping[str, Any]) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("DO_NOT_TRACK", "true")
        from mlflow import MlflowClient

        uri = os.environ.get("MLFLOW_TRACKING_URI")
        if uri is None:
            # A folder, which MLflow 3 asks to be told to go on with; a database is a URI's to name.
            os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
            uri = settings.folder.resolve().as_uri()
        self._client = MlflowClient(tracking_uri=uri)
        there = self._client.get_experiment_by_name(settings.project)
        experiment = (
            self._client.create_experiment(settings.project)
            if there is None
            else there.experiment_id
        )
        self._run = self._client.create_run(experiment, run_name=name).info.run_id
        for key, value in config.items():
            self._client.log_param(self._run, _called(key), str(value)[:6000])

    def tell(self, measured: Measured) -> None:
        """See `Told.tell`."""
        stamp = None if measured.time is None else int(1000 * measured.time)
        for name, value in measured.values.items():
            self._client.log_metric(self._run, _called(name), value, stamp, measured.step)

    def close(self, final: Mapping[str, float]) -> None:
        """See `Told.close`."""
        for name, value in final.items():
            self._client.log_metric(self._run, _called(name), value)
        self._client.set_terminated(self._run)


class Wandb:
    """A run of a project, kept here unless ``--online`` says otherwise."""

    def __init__(self, settings: TrackSettings, name: str, config: Mapping[str, Any]) -> None:
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        os.environ.setdefault("WANDB_DISABLE_CODE", "true")
        os.environ.setdefault("WANDB_SILENT", "true")
        import wandb

        settings.folder.mkdir(parents=True, exist_ok=True)
        self._run = wandb.init(
            project=settings.project,
            name=name,
            dir=str(settings.folder),
            mode="online" if settings.online else "offline",
            config=dict(config),
            settings=wandb.Settings(
                console="off", disable_git=True, save_code=False, x_disable_stats=True
            ),
        )

    def tell(self, measured: Measured) -> None:
        """See `Told.tell`."""
        self._run.log(dict(measured.values), step=measured.step)

    def close(self, final: Mapping[str, float]) -> None:
        """See `Told.close`."""
        for name, value in final.items():
            self._run.summary[name] = value
        self._run.finish()


_TRACKERS: dict[Tracker, Any] = {"tensorboard": TensorBoard, "mlflow": MlFlow, "wandb": Wandb}


def open_tracker(settings: TrackSettings, name: str, config: Mapping[str, Any]) -> Told:
    """Open a tracker for a run.

    Raises
    ------
    UsageError
        If it is not installed.
    EdgeTransferError
        If it cannot write, or refuses.
    """
    try:
        told: Told = _TRACKERS[settings.to](settings, name, config)
    except ImportError as error:
        raise UsageError(
            f"--to {settings.to}: {error.name or settings.to} is not installed; "
            f"pip install 'edgetransfer[{settings.to}]' brings it"
        ) from error
    except Exception as error:  # each has errors of its own
        text = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise EdgeTransferError(f"--to {settings.to}: it cannot be opened: {text[:300]}") from error
    return told


def _called(name: str) -> str:
    """A name that MLflow takes."""
    kept = (letter if letter.isalnum() or letter in "_-./ " else "_" for letter in name)
    return "".join(kept)[:250]
