"""A run as one HTML file that a person looks at, and that needs nothing beside it."""

from edgetransfer.pages.compare_page import ComparePage, CompareRow, compare_page
from edgetransfer.pages.run_page import RunPage, run_page

__all__ = ["ComparePage", "CompareRow", "RunPage", "compare_page", "run_page"]
