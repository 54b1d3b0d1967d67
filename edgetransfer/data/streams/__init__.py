"""Sources that may never end."""

from edgetransfer.data.streams.arrivals import Arrival, Ledger, Source, read_fields
from edgetransfer.data.streams.data_set import DataSetSource
from edgetransfer.data.streams.folder import FolderSource
from edgetransfer.data.streams.hugging_face import HuggingFaceSource
from edgetransfer.data.streams.json_lines import JsonLinesSource
from edgetransfer.data.streams.merged import MergedSource, PrefixedSource
from edgetransfer.data.streams.tar import TarSource
from edgetransfer.data.streams.video import VideoSource

__all__ = [
    "Arrival",
    "DataSetSource",
    "FolderSource",
    "HuggingFaceSource",
    "JsonLinesSource",
    "Ledger",
    "MergedSource",
    "PrefixedSource",
    "Source",
    "TarSource",
    "VideoSource",
    "read_fields",
]
