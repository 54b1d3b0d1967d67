"""The photos of a data set that are most like some others."""

from edgetransfer.jobs.searching.job import search

__all__ = ["search"]
