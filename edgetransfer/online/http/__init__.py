"""The stream's HTTP side: samples in, predictions and metrics out."""

from edgetransfer.online.http.server import StreamServer
from edgetransfer.online.http.source import HttpSource

__all__ = ["HttpSource", "StreamServer"]
