"""``edgetransfer track``."""

from __future__ import annotations

from edgetransfer.cli.options import JsonOption
from edgetransfer.cli.terminal import print_json, print_line, show_log
from edgetransfer.settings.track import TrackSettings


def track(settings: TrackSettings, *, json_output: JsonOption = False) -> None:
    """Hand a run's metrics to TensorBoard, MLflow or Weights & Biases.

    They are written to a folder; nothing leaves the machine unless --online, or a tracking server
    that MLFLOW_TRACKING_URI names, says so.

    Examples:

    edgetransfer track run --to tensorboard

    edgetransfer track run --to mlflow --project flowers

    edgetransfer track stream-run --to wandb --follow
    """
    from edgetransfer.jobs.tracking import track as run

    show_log(json_output)
    report = run(settings)
    if json_output:
        print_json(report)
    else:
        print_line(f"{report['values']} values of {report['lines']} steps to {report['out']}")
