"""A run as one HTML file that a person looks at, and that needs nothing beside it."""

from edgetransfer.pages.run_page import RunPage, run_page


__all__ = ["RunPage", "run_page"]
