"""A run as one HTML file that a person looks at, and that needs nothing beside it."""

from edgetransfer.pages.compare_page import ComparePage, CompareRow, compare_page
from edgetransfer.pages.files import check_page, write_page_file
from edgetransfer.pages.run_page import RunPage, run_page
from edgetransfer.pages.stream_page import StreamPage, stream_page

__all__ = [
    "ComparePage",
    "CompareRow",
    "RunPage",
    "StreamPage",
    "check_page",
    "compare_page",
    "run_page",
    "stream_page",
    "write_page_file",
]
