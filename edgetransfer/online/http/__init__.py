"""The stream's HTTP side: samples in, predictions and metrics out."""

from edgetransfer.online.http.routes import StreamRoutes
from edgetransfer.online.http.source import HttpSource

__all__ = ["HttpSource", "StreamRoutes"]
