"""From a run's folder to a tracker."""

from __future__ import annotations

import time
from collections.abc import Callable

from edgetransfer.errors import EdgeTransferError
from edgetransfer.jobs.tracking.measured import MetricsReader, numbers_in, settings_in
from edgetransfer.jobs.tracking.trackers import open_tracker
from edgetransfer.names import readable
from edgetransfer.reports.track import TrackRecord
from edgetransfer.runs import RunFolder
from edgetransfer.runs.run_folder import METRICS, REPORT
from edgetransfer.settings.track import TrackSettings
from edgetransfer.untrusted_json import json_value

LOOK_SECONDS = 1.0


def track(settings: TrackSettings, *, wait: Callable[[float], object] = time.sleep) -> TrackRecord:
    """Hand a run's settings, metrics and results to a tracker; nothing in the run changes.

    Parameters
    ----------
    wait
        Called between two looks at a run that is followed; what it raises (`KeyboardInterrupt`)
        ends it, once all that was measured has been handed on.

    Raises
    ------
    EdgeTransferError
        If there is no such run, its metrics are damaged, or the tracker refuses.
    """
    run = RunFolder.open(settings.run)
    config = dict(settings_in(run.read_config()))
    name = readable(settings.run.resolve().name)
    told = open_tracker(settings, name, config)
    reader = MetricsReader(run.file(METRICS))
    lines = values = 0
    try:
        while True:
            for measured in reader.news():
                told.tell(measured)
                lines += 1
                values += len(measured.values)
            if not settings.follow:
                break
            try:
                wait(LOOK_SECONDS)
            except KeyboardInterrupt:
                break
    except EdgeTransferError:
        raise
    except Exception as error:  # each tracker has errors of its own
        raise EdgeTransferError(f"--to {settings.to}: it failed: {error}") from error
    finally:
        told.close(_final(run))
    return {
        "run": readable(str(settings.run)),
        "to": settings.to,
        "out": readable(str(settings.folder)),
        "lines": lines,
        "values": values,
    }


def _final(run: RunFolder) -> dict[str, float]:
    """The numbers of the run's report that say how good it is."""
    try:
        report = json_value(run.file(REPORT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    final = report.get("final") if isinstance(report, dict) else None
    return dict(numbers_in(final, "final/")) if isinstance(final, dict) else {}
