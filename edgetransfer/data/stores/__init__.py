"""Labelled photos that are no folder here: archives, tables, databases, and what is far away."""

from edgetransfer.data.stores.arrow import ENDINGS as TABLES
from edgetransfer.data.stores.arrow import arrow_files, far_files, found_in_arrow
from edgetransfer.data.stores.hugging_face import found_in_saved, is_saved
from edgetransfer.data.stores.hugging_face_streams import (
    StreamedPart,
    found_in_streamed,
    learned_rows,
)
from edgetransfer.data.stores.queries import ENDING as QUERY
from edgetransfer.data.stores.queries import found_by_query
from edgetransfer.data.stores.reaching import with_environment
from edgetransfer.data.stores.rows import label_of, photo_of
from edgetransfer.data.stores.trees import TAR, ZIP, FarPhoto, Tree, tree_of

ARCHIVES = (*ZIP, *TAR)

__all__ = [
    "ARCHIVES",
    "QUERY",
    "TABLES",
    "FarPhoto",
    "StreamedPart",
    "Tree",
    "arrow_files",
    "far_files",
    "found_by_query",
    "found_in_arrow",
    "found_in_saved",
    "found_in_streamed",
    "is_saved",
    "label_of",
    "learned_rows",
    "photo_of",
    "tree_of",
    "with_environment",
]
