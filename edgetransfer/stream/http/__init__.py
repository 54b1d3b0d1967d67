"""The stream's HTTP side: samples in, predictions and metrics out."""

from edgetransfer.stream.http.server import StreamServer
from edgetransfer.stream.http.source import HttpSource

__all__ = ["HttpSource", "StreamServer"]
