"""Predictions over HTTP: what a run learned, at work for other programs."""

from edgetransfer.serve.job import run_server
from edgetransfer.serve.settings import ServeSettings

__all__ = ["ServeSettings", "run_server"]
