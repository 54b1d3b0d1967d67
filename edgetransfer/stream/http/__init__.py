"""The stream's HTTP side: samples in, predictions and metrics out."""

from edgetransfer.stream.http.routes import StreamRoutes
from edgetransfer.stream.http.source import HttpSource

__all__ = ["HttpSource", "StreamRoutes"]
