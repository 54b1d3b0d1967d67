"""A run's metrics in the trackers that people have."""

from __future__ import annotations

from typing import Any

from edgetransfer.api.calling import settings_by_name, taken
from edgetransfer.api.reports import Report
from edgetransfer.settings.track import TrackSettings


@settings_by_name(TrackSettings)
def track_run(settings: TrackSettings | None = None, **given: Any) -> Report:
    """Hand a run's metrics to TensorBoard, MLflow or Weights & Biases, as the command ``track``.

    Parameters
    ----------
    settings
        Which run, and who is told; or the settings below by name.

    Raises
    ------
    EdgeTransferError
        If there is no such run, or the tracker is not installed or refuses.

    Examples
    --------
    >>> import edgetransfer
    >>> try:
    ...     edgetransfer.track_run(run="no-such-run", to="tensorboard")
    ... except edgetransfer.EdgeTransferError as error:
    ...     print(error.exit_code)
    1
    """
    from edgetransfer.jobs.tracking import track

    return Report(track(taken(TrackSettings, settings, given)))
