"""A run's metrics, handed to the trackers that people have."""

from edgetransfer.jobs.tracking.job import track

__all__ = ["track"]
